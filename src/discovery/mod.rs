//! Asks the network who is who: probes side by side until one node is seen to be primary (P9).
//!
//! A probe is the opening of a connection, so the winner's connection is ready for the command that waits. Nothing
//! here blocks by itself: a search is stepped and waited for by the client's loop, which may be waiting for a reply
//! at the same time. May use `pool`, `connection`, `failover`, `topology`, `resp`, `config`, `time`, `telemetry`.

mod belief;
mod hints;
mod names;
mod obstacles;
mod reach;
mod search;
mod sentinels;
mod target;

pub use names::Name;
pub use search::{Found, Search, SearchSettings, Sign, Step};
