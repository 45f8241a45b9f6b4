//! Time as the rest of the house sees it: a clock that tests can turn by hand, deadlines, backoff,
//! and the time of day.
//!
//! Uses nothing of the house. No room reads the system's clock itself.

mod backoff;
mod clock;
mod deadline;
mod wall;

pub use backoff::Backoff;
#[cfg(test)]
pub use clock::FakeClock;
pub use clock::{AtomicInstant, Clock, Instant, Lead, SystemClock};
pub use deadline::Deadline;
pub use wall::Wall;
