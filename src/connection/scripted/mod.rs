//! A network for tests: small servers, a script of what befalls them, and a clock that turns only while somebody waits.
//!
//! Everything happens in one thread and in no time: a wait turns the fake clock to the next thing that happens, so a
//! failover that takes seconds is over in microseconds and always goes the same way.

mod network;
mod publishing;
mod server;
mod sharding;
mod watching;

pub use network::{ScriptedNetwork, State, node};
pub use server::{Fault, Server};
pub use sharding::Sharding;
