//! What the user asked for, checked and made plain: endpoints, credentials, policy and limits.
//!
//! The room takes what the constructor got (as [`Setting`], free of PHP) and gives back one [`Configuration`] in
//! which nothing is left to interpret, or a [`ConfigurationError`] that names the option, what was given and what is
//! accepted. Everything a Predis user may write is either honoured, known to be without meaning here, or refused in
//! words; nothing is dropped silently because it was misspelt. Seconds are floats outside and
//! [`Duration`](std::time::Duration) inside.
//!
//! It may use `time`, `board` and `telemetry`, and needs of them how large a board may be. It knows nothing of PHP,
//! sockets or Redis replies.

mod address;
mod allowed;
mod board;
mod call_site;
mod command_set;
mod defaults;
mod deployment;
mod error;
mod host;
mod iam;
mod names;
mod node;
mod node_addresses;
mod numbers;
mod one_node;
mod options;
mod policy;
mod predis;
mod quorum;
mod read_from;
mod retry;
mod ring;
mod secret;
mod sentinel;
mod session;
mod setting;
mod tls;
mod uri;

pub use address::{DeclaredRole, Endpoint, NodeAddress};
pub use allowed::AllowedNodes;
pub use board::{BOARD_INI_NAMES, BoardSettings};
pub use command_set::CommandSet;
pub use defaults::{Defaults, INI_NAMES};
pub use deployment::{Configuration, configure};
pub use error::ConfigurationError;
pub use host::{LONGEST_NAME, fault_of_host_name};
pub use iam::{Iam, IamService};
pub use node_addresses::NodeAddresses;
pub use policy::{Ceiling, Policy, PoolLimits, Protocol, Quorum, ReplyLimits, RetrySettings, WhenOpen};
pub use read_from::ReadFrom;
pub use ring::RingMember;
pub use secret::{Asker, Credentials, Password, Secret, Signing, SigningKeys};
pub use sentinel::SentinelSettings;
pub use session::{SavePath, SessionLocking, SessionSettings};
pub use setting::Setting;
pub use tls::{Tls, TlsOptions, TlsVersion};

#[cfg(test)]
mod document;
