//! Time as the rest of the house sees it: a clock that tests can turn by hand, deadlines, and backoff.
//!
//! Uses nothing of the house. No room reads the system's clock itself.

mod backoff;
mod clock;
mod deadline;

pub use backoff::Backoff;
#[cfg(test)]
pub use clock::FakeClock;
pub use clock::{AtomicInstant, Clock, Instant, Lead, SystemClock};
pub use deadline::Deadline;
