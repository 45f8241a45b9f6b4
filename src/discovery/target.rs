//! One node under probe.

use std::time::Duration;

use crate::config::{Credentials, NodeAddress, NodeAddresses};
use crate::connection::{
    Answer, Asked, Asking, Connection, DialProgress, Dialing, Errand, Interest, Network, Pollable, SocketOptions,
};
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::Limits;
use crate::time::{Deadline, Instant};
use crate::topology::{Mode, Report, Role};

/// How connections for probes are made.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// Who we are, and what we want to know.
    pub errand: Errand,
    /// Who we are to Sentinels that the user has named.
    pub to_sentinels: Credentials,
    /// Bounds on replies.
    pub limits: Limits,
    /// How sockets are set up.
    pub sockets: SocketOptions,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Whether the node is wanted whatever its role.
    pub any_role: bool,
    /// Whether the nodes are those of one shard of a cluster: a primary and its replicas, as anywhere else.
    pub shard: bool,
    /// Where nodes are that announce other addresses.
    pub addresses: NodeAddresses,
}

/// A node and how far its probe got.
pub struct Target {
    /// The node.
    pub node: NodeAddress,
    state: State,
    /// Since when the open connection has led to a replica.
    replica_since: Option<Instant>,
}

enum State {
    Idle,
    Opening {
        dialing: Box<Dialing>,
        interest: Interest,
        until: Deadline,
        /// Why the dial before failed, if there was one.
        former: Option<Lost>,
    },
    Asking {
        asking: Box<Asking>,
        interest: Interest,
        until: Deadline,
    },
    /// It told who it is.
    Told(Box<Connection>, Report),
    Failed(Lost, Instant),
}

/// A node that let us know that it cannot now (it is full, or busy) is not called again before this has passed: many
/// workers that call it as often as they can would keep it busy themselves.
const RESPITE: Duration = Duration::from_millis(100);

/// For how long a replica behind an endpoint is asked again on the same connection.
const SAME_CONNECTION: Duration = Duration::from_millis(100);

impl State {
    /// A node that is too old to say its role is taken at its word that it lets us in.
    fn told(connection: Box<Connection>, settings: &ProbeSettings) -> State {
        let mut report = connection.greeting().report.clone().unwrap_or_else(|| Report::silent(Role::Primary));
        report.find(&settings.addresses);
        if settings.any_role {
            // It takes the place of the primary; the others are none of our business.
            report = Report { lineage: report.lineage, version: report.version, ..Report::silent(Role::Primary) };
        }
        if settings.shard && report.mode == Mode::Cluster {
            report.mode = Mode::Standalone;
        }
        State::Told(connection, report)
    }
}

impl Target {
    /// A node that is not asked yet.
    pub fn new(node: NodeAddress) -> Target {
        Target { node, state: State::Idle, replica_since: None }
    }

    /// Asks the node who it is (again), on the connection that is open, or on a new one. Does nothing while an answer
    /// is awaited.
    pub fn ask(&mut self, network: &dyn Network, settings: &ProbeSettings, now: Instant) {
        let until = Deadline::after(now, Some(settings.timeout));
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Failed(lost, at) if matches!(lost.cause, Cause::Refused(_)) && now < at + RESPITE => {
                State::Failed(lost, at)
            }
            idle @ (State::Idle | State::Failed(..)) => {
                let former = if let State::Failed(lost, _) = idle { Some(lost) } else { None };
                match Dialing::begin(network, &self.node, &settings.errand, settings.limits, settings.sockets) {
                    Ok(dialing) => {
                        State::Opening { dialing: Box::new(dialing), interest: Interest::Write, until, former }
                    }
                    Err(lost) => State::Failed(lost, now),
                }
            }
            State::Told(connection, _) => {
                let asking = Box::new(Asking::again(connection, &settings.errand));
                State::Asking { asking, interest: Interest::Write, until }
            }
            awaited => awaited,
        };
    }

    /// Gives up a connection that has led to a replica for a while: behind this address may stand several nodes, and
    /// another connection may lead to another one.
    pub fn look_elsewhere(&mut self, now: Instant) {
        let is_replica = |report: &Report| report.role == Role::Replica && report.mode == Mode::Standalone;
        match self.report().map(is_replica) {
            Some(true) if now >= *self.replica_since.get_or_insert(now) + SAME_CONNECTION => {
                (self.state, self.replica_since) = (State::Idle, None);
            }
            Some(false) => self.replica_since = None,
            _ => {}
        }
    }

    /// Goes on as far as it goes without waiting.
    pub fn step(&mut self, settings: &ProbeSettings, now: Instant) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            // Looked at first: a peer that talks without end would never let the step come to a wait.
            State::Opening { dialing, until, .. } if until.passed(now) => State::Failed(dialing.late(), now),
            State::Asking { until, .. } if until.passed(now) => {
                State::Failed(Lost::before(Phase::Auth, Cause::TimedOut(Limit::Timeout)), now)
            }
            State::Opening { mut dialing, until, former, .. } => match dialing.step() {
                DialProgress::Ready(connection) => State::told(connection, settings),
                DialProgress::Failed(lost) => State::Failed(lost, now),
                DialProgress::Wait(interest) => State::Opening { dialing, interest, until, former },
            },
            State::Asking { mut asking, until, .. } => match asking.step() {
                Asked::Told(greeting) => {
                    let mut connection = asking.connection;
                    connection.set_greeting(greeting);
                    State::told(connection, settings)
                }
                Asked::Failed(lost) => State::Failed(lost, now),
                Asked::Wait(interest) => State::Asking { asking, interest, until },
            },
            settled => settled,
        };
    }

    /// Whether an answer is awaited.
    pub fn is_awaited(&self) -> bool {
        matches!(self.state, State::Opening { .. } | State::Asking { .. })
    }

    /// What the answer that is awaited fails with if no time is left for it.
    pub fn late(&self) -> Option<Lost> {
        match &self.state {
            State::Opening { dialing, .. } => Some(dialing.late()),
            State::Asking { .. } => Some(Lost::before(Phase::Auth, Cause::TimedOut(Limit::Timeout))),
            _ => None,
        }
    }

    /// What one waits for, and until when at the most.
    pub fn awaited(&self) -> Option<(&dyn Pollable, Interest, Deadline)> {
        match &self.state {
            State::Opening { dialing, interest, until, .. } => dialing.pollable().map(|what| (what, *interest, *until)),
            State::Asking { asking, interest, until } => Some((asking.connection.pollable(), *interest, *until)),
            _ => None,
        }
    }

    /// What the node told, if it answered the last time it was asked.
    pub fn report(&self) -> Option<&Report> {
        match &self.state {
            State::Told(_, report) => Some(report),
            _ => None,
        }
    }

    /// Its answers to the errand's own questions.
    pub fn answers(&self) -> Option<&[Answer]> {
        match &self.state {
            State::Told(connection, _) => Some(&connection.greeting().answers),
            _ => None,
        }
    }

    /// Why there is no answer from the last time it was asked.
    pub fn loss(&self) -> Option<&Lost> {
        match &self.state {
            State::Failed(lost, _) => Some(lost),
            _ => None,
        }
    }

    /// Why the node did not answer the last time, or why its answer does not help.
    pub fn failure(&self) -> Option<Lost> {
        match &self.state {
            State::Failed(lost, _) => Some(lost.clone()),
            State::Told(_, report) => {
                let cause = match report.mode {
                    Mode::Standalone => return None,
                    Mode::Cluster => Cause::Cluster,
                    Mode::Sentinel => Cause::NotSupported(
                        "the server is a Sentinel, where a node with data was looked for".to_owned(),
                    ),
                };
                Some(Lost::before(Phase::Auth, cause))
            }
            _ => None,
        }
    }

    /// The same for messages: while an answer is awaited, why there was none before.
    pub fn obstacle(&self) -> Option<Lost> {
        match &self.state {
            State::Opening { former, .. } => former.clone(),
            _ => self.failure(),
        }
    }

    /// The connection of a node that answered.
    pub fn take_connection(&mut self) -> Option<Box<Connection>> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Told(connection, _) => Some(connection),
            other => {
                self.state = other;
                None
            }
        }
    }
}
