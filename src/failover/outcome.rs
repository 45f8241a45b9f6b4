//! What stopped an attempt: in which phase, for which reason.

use std::fmt;
use std::time::Duration;

use crate::resp::ProtocolError;

/// Where in an attempt something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A name was being resolved.
    Resolve,
    /// A connection was being opened.
    Dial,
    /// TLS was being agreed upon.
    Tls,
    /// The server was asked to let us in: HELLO, AUTH, SELECT.
    Auth,
    /// A connection was wanted from the pool.
    Lease,
    /// The command was being sent.
    Write,
    /// The reply was awaited.
    Read,
}

impl Phase {
    /// The word that exceptions give.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Dial => "dial",
            Phase::Tls => "tls",
            Phase::Auth => "auth",
            Phase::Lease => "lease",
            Phase::Write => "write",
            Phase::Read => "read",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which limit ran out; the words are the names of the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// One dial.
    Timeout,
    /// One attempt's reply.
    ReadWriteTimeout,
    /// Everything that a command does.
    CommandTimeout,
    /// Everything that a request does.
    RequestBudget,
}

impl Limit {
    /// The option's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Timeout => "timeout",
            Limit::ReadWriteTimeout => "read_write_timeout",
            Limit::CommandTimeout => "command_timeout",
            Limit::RequestBudget => "request_budget",
        }
    }
}

/// Why an attempt ended without a reply that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The operating system said so.
    Io(String),
    /// The server closed the connection.
    Closed,
    /// A limit ran out.
    TimedOut(Limit),
    /// The limit on the whole command ran out; what stood in the way is told in these words.
    Overdue(Limit, String),
    /// What came was no RESP, or more than allowed.
    Protocol(ProtocolError),
    /// The server would not let us in. Trying again changes nothing until somebody changes the configuration.
    Denied(String),
    /// The program has to be asked for its credentials first.
    Credentials,
    /// The server refused because of its own state, in these words.
    Refused(String),
    /// All connections that the pool may have are in use.
    PoolExhausted(usize),
    /// The server runs in a mode that this client cannot serve.
    NotSupported(String),
    /// The server is a node of a cluster, which is reached in another way.
    Cluster,
    /// The node was silent, and another one was seen to be primary meanwhile: this one.
    Superseded(String),
    /// The node still answers as a replica.
    NotPrimary,
    /// It is known that nobody can be reached: nothing was tried.
    CircuitOpen {
        /// For how long that has been so.
        since: Duration,
        /// How soon somebody looks again.
        next: Duration,
    },
    /// There is no memory left for the reply.
    NoMemory,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(text) | Cause::Denied(text) | Cause::Refused(text) | Cause::NotSupported(text) => {
                f.write_str(text)
            }
            Cause::Credentials => f.write_str("the credentials have to be asked for"),
            Cause::Closed => f.write_str("the server closed the connection"),
            Cause::TimedOut(limit) => write!(f, "{} ran out", limit.as_str()),
            Cause::Overdue(limit, obstacle) => write!(f, "{} ran out; the last obstacle: {obstacle}", limit.as_str()),
            Cause::Protocol(error) => write!(f, "{error}"),
            Cause::PoolExhausted(most) => write!(f, "all {most} connections of max_connections are in use"),
            Cause::Superseded(node) => write!(f, "the node was silent and {node} was promoted"),
            Cause::CircuitOpen { since, next } => write!(
                f,
                "no primary could be reached for {:.1} s, so nothing is tried until a probe finds one (the next is due in {:.2} s)",
                since.as_secs_f64(),
                next.as_secs_f64()
            ),
            Cause::NoMemory => f.write_str("there is no memory left for the reply"),
            Cause::Cluster => f.write_str("the server is a node of a cluster"),
            Cause::NotPrimary => f.write_str("the node is a replica"),
        }
    }
}

/// An attempt that brought no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where it ended.
    pub phase: Phase,
    /// Why.
    pub cause: Cause,
    /// Whether the command's last byte had reached the kernel: then it may have been applied.
    pub sent: bool,
    /// The operating system's number for what it said; 0 where it said nothing.
    pub errno: i32,
}

impl Lost {
    /// An attempt that ended before the command was sent whole.
    pub fn before(phase: Phase, cause: Cause) -> Lost {
        Lost { phase, cause, sent: false, errno: 0 }
    }

    /// An attempt that ended while its reply was awaited.
    pub fn awaiting(cause: Cause) -> Lost {
        Lost { phase: Phase::Read, cause, sent: true, errno: 0 }
    }

    /// The same, by what the operating system said.
    pub fn with_errno(self, error: &std::io::Error) -> Lost {
        Lost { errno: error.raw_os_error().unwrap_or(0), ..self }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)
    }
}
