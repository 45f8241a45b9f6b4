//! The searcher's lease: one worker searches, the others wait for what it finds.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Place, Record};

/// A holder that has not breathed for so long is dead or stopped: another one takes over.
pub const LEASE_AGE: Duration = Duration::from_millis(150);
/// The holder breathes this often at the most: often enough, and no store into shared memory at every step.
const BREATH: u64 = 10;

const NONCE_BITS: u32 = 20;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// The right to search. Given up when dropped; a holder that is killed loses it by silence.
#[derive(Debug)]
pub struct Turn {
    place: Place,
    /// One word holds when its holder breathed last (milliseconds) and who that is: so both change at once.
    word: u64,
}

impl Turn {
    pub(super) fn take(place: &Place, now: u64) -> Option<Turn> {
        let before = place.lease.0.load(Ordering::Acquire);
        if place.lease_left(now).is_some() {
            return None;
        }
        let nonce = RandomState::new().hash_one(now) >> (64 - NONCE_BITS);
        let word = breath(now) | nonce.max(1);
        let taken = place.lease.0.compare_exchange(before, word, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok().then(|| Turn { place: place.clone(), word })
    }

    /// Says that the holder is alive; false if somebody else has taken over. Who says an instant to come cannot breathe
    /// before it.
    pub fn breathe(&mut self, now: u64) -> bool {
        if (now / NANOS_PER_MILLI).saturating_sub(self.word >> NONCE_BITS) < BREATH {
            return self.place.lease.0.load(Ordering::Relaxed) == self.word;
        }
        let next = breath(now) | (self.word & ((1 << NONCE_BITS) - 1));
        let held = self.place.lease.0.compare_exchange(self.word, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.word = if held { next } else { self.word };
        held
    }

    /// Forgets the turn without a word: a child of a fork has it only as a copy.
    pub fn disown(self) {
        std::mem::forget(self);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.place.lease.0.compare_exchange(self.word, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // One of those who wait goes on where this one stopped.
            self.place.ring(1);
        }
    }
}

impl Record {
    /// How long a lease that somebody holds stays his if he is heard of no more; `None` if it can be taken.
    pub fn lease_left(&self, now: u64) -> Option<Duration> {
        let word = self.lease.0.load(Ordering::Acquire);
        let age = Duration::from_nanos(now.saturating_sub((word >> NONCE_BITS) * NANOS_PER_MILLI));
        (word != 0).then(|| LEASE_AGE.saturating_sub(age)).filter(|left| !left.is_zero())
    }
}

fn breath(now: u64) -> u64 {
    (now / NANOS_PER_MILLI) << NONCE_BITS
}
