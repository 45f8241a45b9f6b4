//! One connection to one node: resolve its name, open it, be let in, exchange frames.
//!
//! Sockets, names and waiting stand behind [`Network`] and [`Transport`], so that every way in which a peer can
//! misbehave has a test with the scripted network (`scripted.rs`) and no sleeping. Nothing here retries.
//! May use `failover` (the words for what went wrong), `topology` (what a node says of itself), `resp`, `config`,
//! `time` and `telemetry`.

mod dialing;
mod dns;
mod exchange;
mod generation;
mod greeting;
#[cfg(test)]
pub mod scripted;
mod sockets;
mod tls;
mod transport;

pub use dialing::{Asked, Asking, Dialing, Progress as DialProgress};
pub use exchange::{Connection, Received};
pub use generation::{current_generation, forked};
pub use greeting::{Answer, Errand, Greeting, Identity};
pub use sockets::{SystemNetwork, Unacknowledged};
pub use tls::{announce as announce_name, check as check_certificates};
pub use transport::{Interest, Lookup, Network, Patience, Pollable, Quiet, SocketOptions, Transport, Waiter};
