//! What the workers of one host do at a common pace, so that many of them ask no more than one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When somebody did it last, in nanoseconds; zero if nobody did.
#[derive(Debug, Default)]
pub struct Pace(AtomicU64);

impl Pace {
    /// Takes the task, unless somebody did within `pace` before `now`: then gives when that was. A worker that is killed
    /// with the task in hand holds it up for one pace.
    ///
    /// # Errors
    /// Not an error but somebody else's turn: when he took it.
    pub fn take(&self, now: u64, pace: Duration) -> Result<(), u64> {
        let last = self.0.load(Ordering::Acquire);
        // The clocks of two workers may be a tick apart, and what lies in the future is no instant at all.
        if last != 0 && u128::from(now.abs_diff(last)) < pace.as_nanos() {
            return Err(last.min(now));
        }
        self.0.compare_exchange(last, now, Ordering::AcqRel, Ordering::Acquire).map(drop).map_err(|_| now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_nanos(50);

    #[test]
    fn only_one_takes_the_task_within_a_pace() {
        let pace = Pace::default();
        assert_eq!(pace.take(1000, PACE), Ok(()));
        assert_eq!(pace.take(1010, PACE), Err(1000));
        assert_eq!(pace.take(990, PACE), Err(990), "a clock that is a little behind");
        assert_eq!(pace.take(1050, PACE), Ok(()));
        assert_eq!(pace.take(1051, PACE), Err(1050));
    }

    #[test]
    fn an_instant_far_in_the_future_holds_up_nobody() {
        let pace = Pace(AtomicU64::new(u64::MAX));
        assert_eq!(pace.take(1000, PACE), Ok(()));
    }
}
