//! Trouble and the breaker: what the workers know together about a deployment that is out of reach.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Record;

/// A breaker that nobody has probed for so long after a probe was due knows nothing any more.
const STALE: u64 = 60_000_000_000;
/// Failures of one outage come in a row, with pauses no longer than this, or than the breaker's own limit.
const LONGEST_PAUSE: u64 = 2_000_000_000;

/// How a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody says anything else.
    None,
    /// Searches fail since then (nanoseconds); a worker that succeeds should say so.
    Since(u64),
    /// It is known to be down.
    Open {
        /// Since when searches failed.
        since: u64,
        /// When the next probe is due.
        next_probe: u64,
    },
}

impl Record {
    /// Whether anybody has said that something is wrong, however long ago.
    pub fn is_troubled(&self) -> bool {
        self.troubled_since.load(Ordering::Acquire) != 0 || self.opened_at.load(Ordering::Acquire) != 0
    }

    /// How the deployment is, as far as anybody has said.
    pub fn trouble(&self, now: u64) -> Trouble {
        let since = self.troubled_since.load(Ordering::Acquire);
        let next_probe = self.next_probe.load(Ordering::Acquire);
        match (self.opened_at.load(Ordering::Acquire), since) {
            (0, 0) => Trouble::None,
            (0, since) => Trouble::Since(since),
            _ if now > next_probe.saturating_add(STALE) => Trouble::None,
            (_, since) => Trouble::Open { since, next_probe },
        }
    }

    /// Says that a search has looked everywhere and found nobody. Opens the breaker, and returns true, if this has gone
    /// on for `limit`; `next` is when to probe then.
    pub fn fail(&self, now: u64, limit: Duration, next: u64) -> bool {
        // Zero says that there is no trouble.
        let now = now.max(1);
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let before = self.failed_at.swap(now, Ordering::AcqRel);
        let since = self.troubled_since.load(Ordering::Acquire);
        // One that knew nothing any more can open again.
        let opened_at = self.opened_at.load(Ordering::Acquire);
        let open = opened_at != 0 && now <= self.next_probe.load(Ordering::Acquire).saturating_add(STALE);
        let pause = if open { STALE } else { limit.max(LONGEST_PAUSE) };
        if since == 0 || now.saturating_sub(before) > pause {
            // Only one begins the count; the others' failures belong to it.
            if self.troubled_since.compare_exchange(since, now, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.opened_at.store(0, Ordering::Release);
                self.tell();
            }
            return false;
        }
        if open || now.saturating_sub(since) < limit {
            return false;
        }
        self.next_probe.store(next, Ordering::Release);
        let opened = self.opened_at.compare_exchange(opened_at, now, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if opened {
            self.tell();
        }
        opened
    }

    /// Says that a probe begins, and when the next one is due. The number of this one.
    pub fn probe_at(&self, next: u64) -> u64 {
        self.next_probe.store(next, Ordering::Release);
        self.count_probe()
    }

    /// Says that no probe could begin before `now`.
    pub fn probe_not_before(&self, now: u64) {
        self.next_probe.fetch_max(now, Ordering::AcqRel);
    }

    /// Says that somebody has succeeded. Returns since when the breaker was open, if this closed it.
    pub fn recover(&self) -> Option<u64> {
        if !self.is_troubled() {
            return None;
        }
        let opened = self.opened_at.swap(0, Ordering::AcqRel);
        let since = self.troubled_since.swap(0, Ordering::AcqRel);
        if opened != 0 {
            self.tell();
        }
        (opened != 0).then_some(if since == 0 { opened } else { since })
    }
}
