//! How a command failed, as a value that the PHP room turns into an exception.

use std::time::Duration;

use thiserror::Error;

use crate::config::NodeAddress;
use crate::failover::{Cause, Limit, Lost, Phase};

/// Which exception it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Out of reach or lost, and surely not applied.
    Connection,
    /// Nothing was tried, since it is known that nobody can be reached.
    CircuitOpen,
    /// Sent, but no whole reply came: it may have been applied.
    LostReply,
    /// A limit ran out; the command was not applied.
    Timeout(Limit),
    /// A limit ran out, and the command may have been applied.
    ReplyTimeout(Limit),
    /// Applied, but too few replicas acknowledged it in time.
    NotEnoughReplicas {
        /// How many did.
        reached: u32,
        /// How many had to.
        wanted: u32,
    },
    /// The server's error reply; the first word of it.
    Server(String),
    /// Misuse.
    Client,
    /// An option that does not go with what the deployment turned out to be.
    Configuration,
    /// Impossible here.
    NotSupported,
    /// The program has to be asked for its credentials, and the same to be run once more: see [`super::Client::present`].
    Credentials,
    /// The deployment is a cluster: the command has to be routed.
    Cluster,
    /// A watched transaction that lost its connection, and so its watch.
    AbortedTransaction,
    /// PHP has no memory left for the reply, and reports that itself.
    NoMemory,
    /// Bytes that are no RESP, in reply to a command that changed nothing.
    Protocol,
}

/// A command that failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Failure {
    /// Which exception it becomes.
    pub kind: Kind,
    /// What happened, for people.
    pub message: String,
    /// The node it happened at, if one was reached for.
    pub node: Option<String>,
    /// The operating system's number for what it said; 0 where it said nothing.
    pub code: i32,
    /// The command's name.
    pub command: String,
    /// How often the command was tried.
    pub attempts: u32,
    /// How long it took in all.
    pub elapsed: Duration,
    /// Where it ended.
    pub phase: Option<Phase>,
    /// In a batch: the first command without a reply, counted from zero.
    pub index: Option<u32>,
}

impl Failure {
    /// Misuse, found before anything was sent.
    pub fn misuse(command: &str, message: impl Into<String>) -> Failure {
        Failure {
            kind: Kind::Client,
            message: message.into(),
            node: None,
            code: 0,
            command: command.to_owned(),
            attempts: 0,
            elapsed: Duration::ZERO,
            phase: None,
            index: None,
        }
    }

    /// What is impossible here.
    pub fn not_supported(command: &str, message: impl Into<String>) -> Box<Failure> {
        Box::new(Failure { kind: Kind::NotSupported, ..Failure::misuse(command, message) })
    }

    /// A node's error reply, for what has no call of its own.
    pub fn refused(command: &str, node: &NodeAddress, text: &str) -> Box<Failure> {
        let kind = Kind::Server(text.split(' ').next().unwrap_or_default().to_owned());
        let (node, phase) = (Some(node.to_string()), Some(Phase::Read));
        Box::new(Failure { kind, node, phase, attempts: 1, ..Failure::misuse(command, text) })
    }

    /// Whether the command may have been applied.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self.kind, Kind::LostReply | Kind::ReplyTimeout(_) | Kind::NotEnoughReplicas { .. })
    }
}

/// The kind of failure that `lost` is; `unknown` if the command may have been applied, by this attempt or one before.
pub fn kind_of(lost: &Lost, unknown: bool) -> Kind {
    match (&lost.cause, unknown) {
        (Cause::NoMemory, _) => Kind::NoMemory,
        (Cause::TimedOut(limit), true) => Kind::ReplyTimeout(*limit),
        (Cause::Overdue(limit, _), true) => Kind::ReplyTimeout(*limit),
        (_, true) => Kind::LostReply,
        (Cause::Credentials, false) => Kind::Credentials,
        (Cause::TimedOut(limit), false) => Kind::Timeout(*limit),
        (Cause::Overdue(limit, _), false) => Kind::Timeout(*limit),
        (Cause::Protocol(_), false) => Kind::Protocol,
        (Cause::Cluster, false) => Kind::Cluster,
        (Cause::NotSupported(_), false) => Kind::NotSupported,
        (Cause::CircuitOpen { .. }, false) => Kind::CircuitOpen,
        (_, false) => Kind::Connection,
    }
}
