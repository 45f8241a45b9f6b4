//! The clock behind a trait, so that every timing rule has a test that does not sleep.

use std::ops::{Add, Sub};
#[cfg(test)]
use std::sync::atomic::AtomicI64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Wall;

/// A point on the monotonic clock: nanoseconds since an origin that means nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant(u64);

impl Instant {
    /// The latest instant there is: what "no limit" compares against.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// Nanoseconds since the clock's origin, which all processes of a host share.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant so many nanoseconds after the clock's origin.
    pub fn of_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// The time from `earlier` to this instant, zero if `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// How far the wall clock is ahead of the monotonic one. It stays the same, unless somebody sets the wall clock or the
/// monotonic one stood still: in a sandbox that was frozen, or in a machine that slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Lead(i64);

impl Lead {
    /// By how much it has grown since it was `earlier`; zero if it has shrunk.
    pub fn grown_since(self, earlier: Lead) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// An instant that threads share.
#[derive(Debug, Default)]
pub struct AtomicInstant(AtomicU64);

impl AtomicInstant {
    /// The instant.
    #[inline]
    pub fn get(&self) -> Instant {
        Instant(self.0.load(Ordering::Acquire))
    }

    /// Sets it.
    pub fn set(&self, instant: Instant) {
        self.0.store(instant.0, Ordering::Release);
    }

    /// Sets it if it still is `from`; false if somebody was faster.
    pub fn advance(&self, from: Instant, to: Instant) -> bool {
        self.0.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        // Without the 128 bits of `as_nanos`: every command adds its limits.
        let nanos = duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()));
        Instant(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The time, exact to the nanosecond as far as the kernel knows it.
    fn now(&self) -> Instant;

    /// The time as of the kernel's last tick (some milliseconds old): cheap enough for every command.
    fn coarse(&self) -> Instant;

    /// How far the wall clock is ahead, exact to some milliseconds.
    fn lead(&self) -> Lead;

    /// The time of day.
    fn wall(&self) -> Wall {
        let nanos = self.now().0.saturating_add_signed(self.lead().0);
        Wall::of_seconds(nanos / 1_000_000_000)
    }
}

/// `CLOCK_MONOTONIC` of the kernel.
#[derive(Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    fn read(id: ClockId) -> Instant {
        let time = clock_gettime(id);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Instant(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Self::read(ClockId::Monotonic)
    }

    fn coarse(&self) -> Instant {
        Self::read(ClockId::MonotonicCoarse)
    }

    fn lead(&self) -> Lead {
        // In this order: what comes between the two reads makes the lead too small, and the next look finds it grown.
        let wall = Self::read(ClockId::RealtimeCoarse);
        let monotonic = Self::read(ClockId::MonotonicCoarse);
        Lead(wall.0.cast_signed().saturating_sub(monotonic.0.cast_signed()))
    }
}

/// A clock that stands still until a test (or the scripted network) turns it.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct FakeClock {
    monotonic: AtomicU64,
    lead: AtomicI64,
}

#[cfg(test)]
impl FakeClock {
    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.monotonic.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Turns the clock forward to `instant`; never back.
    pub fn advance_to(&self, instant: Instant) {
        self.monotonic.fetch_max(instant.0, Ordering::SeqCst);
    }

    /// Lets the wall clock alone go on, as while a sandbox is frozen.
    pub fn freeze(&self, time: Duration) {
        self.lead.fetch_add(i64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Sets the wall clock back.
    pub fn set_back(&self, time: Duration) {
        self.lead.fetch_sub(i64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for std::sync::Arc<FakeClock> {
    fn now(&self) -> Instant {
        Instant(self.monotonic.load(Ordering::SeqCst))
    }

    fn coarse(&self) -> Instant {
        self.now()
    }

    fn lead(&self) -> Lead {
        Lead(self.lead.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_never_goes_below_zero_or_beyond_the_far_future() {
        let start = Instant::default();
        assert_eq!(start.since(Instant::FAR_FUTURE), Duration::ZERO);
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
    }

    #[test]
    fn the_coarse_clock_trails_the_exact_one_by_a_tick_at_most() {
        let clock = SystemClock;
        let coarse = clock.coarse();
        let exact = clock.now();
        assert!(exact >= coarse, "coarse {coarse:?} is ahead of exact {exact:?}");
    }

    #[test]
    fn the_wall_clock_keeps_its_lead_while_nothing_freezes() {
        let clock = SystemClock;
        let before = clock.lead();
        let after = clock.lead();
        assert!(after.grown_since(before) < Duration::from_millis(500), "{before:?}, then {after:?}");
        assert!(before.0 > 0, "the wall clock counts from 1970, the other from the start: {before:?}");
    }

    #[test]
    fn the_time_of_day_is_that_of_the_system() {
        let system = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let seen = SystemClock.wall();
        let near = [system - 1, system, system + 1, system + 2].map(Wall::of_seconds);
        assert!(near.contains(&seen), "{seen} at {system}");
    }

    #[test]
    fn a_lead_that_shrinks_has_not_grown() {
        assert_eq!(Lead(-3).grown_since(Lead(2)), Duration::ZERO);
        assert_eq!(Lead(2).grown_since(Lead(-3)), Duration::from_nanos(5));
    }
}
