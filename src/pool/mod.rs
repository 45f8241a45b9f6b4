//! The process-wide registry: connections that outlive requests, and what is known of each deployment.
//!
//! A lease is a connection in use. It belongs to whoever took it until it is checked in clean; dropped, it closes.
//! Nothing here dials or waits. May use `connection`, `failover`, `topology`, `resp`, `config`,
//! `time`, `board`, `telemetry`.

mod deployment;
mod hearsay;
mod moves;
mod node_pool;
mod readers;
mod registry;
mod slots;
mod watch;

pub use deployment::{Deployment, DeploymentKey, Disturbance};
pub use hearsay::{Heard, Learned};
pub use moves::Move;
pub use node_pool::{Lease, Leased, NodePool, PoolStatus};
pub use readers::{Reader, ReaderStatus, Readers};
pub use registry::Registry;
pub use slots::Slots;
pub use watch::{Allowed, Answer, Look, Plan, Question, Watch};
