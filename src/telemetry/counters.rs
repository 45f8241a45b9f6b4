//! Counters of the process: they only ever grow, and reading them stops nobody.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a number.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened in this process since it started (a forked child goes on from its parent's numbers).
#[derive(Debug, Default)]
pub struct Counters {
    /// Commands that PHP code issued, retries not counted.
    pub commands: Counter,
    /// Attempts after the first.
    pub retries: Counter,
    /// Commands that had to wait for a primary.
    pub waited: Counter,
    /// Searches that ended at another primary than before.
    pub failovers: Counter,
    /// Commands whose outcome was reported as unknown.
    pub unknown: Counter,
    /// Connections that were opened and greeted.
    pub opened: Counter,
    /// Connections that were closed, by whichever side.
    pub closed: Counter,
    /// Searches that looked everywhere on behalf of all workers of the host.
    pub searches: Counter,
    /// Connection attempts, failed ones and probes included.
    pub dialed: Counter,
}

/// The counters of this process.
pub static COUNTERS: Counters = Counters {
    commands: Counter(AtomicU64::new(0)),
    retries: Counter(AtomicU64::new(0)),
    waited: Counter(AtomicU64::new(0)),
    failovers: Counter(AtomicU64::new(0)),
    unknown: Counter(AtomicU64::new(0)),
    opened: Counter(AtomicU64::new(0)),
    closed: Counter(AtomicU64::new(0)),
    searches: Counter(AtomicU64::new(0)),
    dialed: Counter(AtomicU64::new(0)),
};
