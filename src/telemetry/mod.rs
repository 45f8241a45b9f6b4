//! What the client tells about itself: events for listeners, counters for `stats()` and phpinfo.
//!
//! Uses nothing of the house, so that every room may report here. Nothing is delivered from here: events wait in a
//! bounded queue until the PHP room hands them to listeners, never in the middle of an exchange.

mod counters;
mod events;

pub use counters::{COUNTERS, Counter, Counters};
pub use events::{Detail, EVENTS, Event, EventQueue, Toll};
