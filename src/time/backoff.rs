//! Exponential backoff with full jitter: each wait is drawn evenly from zero to a bound that doubles.
//!
//! Full jitter spreads the reconnects of many workers better than any other form
//! (AWS Architecture Blog, "Exponential Backoff and Jitter").

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

/// A sequence of waits. One value serves one search or one command.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    doublings: u32,
    state: u64,
}

impl Backoff {
    /// Waits of at most `base`, then twice that, and so on up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Backoff {
        let mut seed = [0_u8; 8];
        // A failing getrandom (no entropy at boot) costs jitter, not correctness.
        let _ = getrandom(&mut seed, GetRandomFlags::NONBLOCK);
        Backoff::seeded(base, cap, u64::from_ne_bytes(seed))
    }

    /// As [`Backoff::new`], with a sequence that `seed` fixes.
    pub fn seeded(base: Duration, cap: Duration, seed: u64) -> Backoff {
        Backoff { base, cap, doublings: 0, state: seed | 1 }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.bound();
        self.doublings = self.doublings.saturating_add(1);
        bound.mul_f64(self.next_fraction())
    }

    /// The longest that the next wait can be.
    pub fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Lets the bound grow up to `cap` from now on, if that is more than before.
    pub fn raise_cap(&mut self, cap: Duration) {
        self.cap = self.cap.max(cap);
    }

    // xorshift64*: jitter needs spread, not secrecy.
    fn next_fraction(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_up_to_the_cap() {
        let (base, cap) = (Duration::from_millis(8), Duration::from_millis(50));
        let mut backoff = Backoff::seeded(base, cap, 42);
        for expected in [8, 16, 32, 50, 50] {
            assert_eq!(backoff.bound(), Duration::from_millis(expected));
            assert!(backoff.next_wait() <= Duration::from_millis(expected));
        }
    }

    #[test]
    fn a_thousand_doublings_do_not_overflow() {
        let mut backoff = Backoff::seeded(Duration::from_secs(1), Duration::from_secs(3), 7);
        for _ in 0..1000 {
            assert!(backoff.next_wait() <= Duration::from_secs(3));
        }
    }

    #[test]
    fn two_sequences_differ_so_that_workers_do_not_march_in_step() {
        let new = || Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        let draws: Vec<Duration> = (0..8).map(|_| new().next_wait()).collect();
        assert!(draws.windows(2).any(|pair| pair[0] != pair[1]), "all the same: {draws:?}");
    }
}
