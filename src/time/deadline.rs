//! A deadline: the instant at which a wait has to end, and which limit set it.

use std::time::Duration;

use super::Instant;

/// The end of a wait. `None` in a limit means that it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// A wait without an end.
    pub const NEVER: Deadline = Deadline(Instant::FAR_FUTURE);

    /// The deadline `limit` after `start`; never, if there is no limit.
    pub fn after(start: Instant, limit: Option<Duration>) -> Deadline {
        limit.map_or(Deadline::NEVER, |limit| Deadline(start + limit))
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The earlier of the two.
    #[must_use]
    pub fn min(self, other: Deadline) -> Deadline {
        Deadline(self.0.min(other.0))
    }

    /// The deadline, put off by `time`.
    #[must_use]
    pub fn later_by(self, time: Duration) -> Deadline {
        Deadline(self.0 + time)
    }

    /// Whether the deadline has passed.
    pub fn passed(self, now: Instant) -> bool {
        now >= self.0
    }

    /// What is left; zero once it has passed, `None` where there is no end.
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        (self != Deadline::NEVER).then(|| self.0.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_deadlines_counts() {
        let start = Instant::default();
        let near = Deadline::after(start, Some(Duration::from_secs(1)));
        let far = Deadline::after(start, None);
        assert_eq!(near.min(far), near);
        assert_eq!(near.remaining(start), Some(Duration::from_secs(1)));
        assert_eq!(far.remaining(start), None);
        assert!(near.passed(start + Duration::from_secs(1)));
        assert!(!far.passed(start + Duration::from_secs(1_000_000)));
    }
}
