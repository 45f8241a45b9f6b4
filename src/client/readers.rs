//! Getting to know the nodes that are read from: who they are, and how each of them stands.

use std::sync::Arc;
use std::time::Duration;

use crate::config::NodeAddress;
use crate::connection::{Connection, DialProgress, Dialing, Errand, Received, Waiter};
use crate::discovery::{Name, SearchSettings};
use crate::failover::{Cause, Limit, Lost};
use crate::pool::{Answer, Lease, Leased, NodePool, Reader};
use crate::resp::{ValueSink, frame_of};
use crate::time::{Deadline, Instant};
use crate::topology::{Report, Role, Standing};

use super::await_reply;
use super::call::Call;
use super::desk::Desk;
use super::state::Client;

/// How long the primary may take to be reached for the question who its replicas are, which no command waits for.
const ASIDE_DIAL: Duration = Duration::from_millis(50);

/// What a node said when it was asked.
enum Said {
    /// This, of itself.
    Report(Box<Report>),
    /// That the user may not ask.
    Nothing,
}

impl Client {
    /// Looks who the nodes are: what the primary says, where names lead to now, and the nodes that the user listed.
    #[cold]
    pub(super) fn renew_readers(&mut self, desk: &mut Desk, call: &Call, now: Instant) {
        let readers = self.deployment.readers();
        let first = readers.version() == 0;
        let due = readers.is_due(now);
        if due || call.reading_in_vain() {
            readers.looking(now);
            debug_assert!(desk.lease.is_none());
            self.ask_primary_for_replicas(call);
            self.begin_names(now);
        }
        self.hear_names(if first { call.deadline } else { Deadline::after(now, Some(Duration::ZERO)) });
        let nodes = self.wanted();
        // Without a primary and without a list nothing is known yet: the first read finds the primary.
        if !nodes.is_empty() {
            self.deployment.readers().renew(nodes);
        }
    }

    /// The addresses that the list should have.
    fn wanted(&self) -> Vec<NodeAddress> {
        let knowledge = self.deployment.knowledge();
        let mut nodes: Vec<NodeAddress> = Vec::new();
        for place in self.sources() {
            match Name::of(&place) {
                None => nodes.push(place),
                Some(_) => nodes.extend(self.deployment.readers().behind(&place).unwrap_or_default()),
            }
        }
        nodes.extend(knowledge.primary().cloned());
        nodes
    }

    /// Where replicas may be, by address or name.
    fn sources(&self) -> Vec<NodeAddress> {
        let knowledge = self.deployment.knowledge();
        let key = self.deployment.key();
        let mut sources: Vec<NodeAddress> =
            knowledge.replicas().iter().filter(|node| key.admits(node)).cloned().collect();
        // One endpoint is where the primary is. The endpoints of a service are sentinels.
        if key.endpoints.len() > 1 && knowledge.watched().is_none() {
            sources.extend(key.endpoints.iter().map(|endpoint| endpoint.address.clone()));
        }
        sources.extend(key.reader.iter().map(|endpoint| endpoint.address.clone()));
        sources
    }

    fn begin_names(&mut self, now: Instant) {
        for mut name in self.sources().iter().filter_map(Name::of) {
            if !self.list.names.iter().any(|begun| begun.is(&name.address())) {
                name.ask(&*self.world.network, now, now);
                self.list.names.push(name);
            }
        }
    }

    /// Takes the answers that are there. Waits for them, at the most for as long as silence is normal, only where nothing
    /// is known of a name.
    fn hear_names(&mut self, until: Deadline) {
        let suspect_after = self.configuration.policy.suspect_after;
        let until = until.min(Deadline::after(self.world.clock.now(), Some(suspect_after)));
        loop {
            let now = self.world.clock.now();
            let readers = self.deployment.readers();
            self.list.names.retain_mut(|name| match name.answer(now, self.identity.tls.as_ref()) {
                Some(nodes) => {
                    readers.resolved(name.address(), nodes);
                    false
                }
                None => name.awaited().is_some(),
            });
            if self.list.names.is_empty() || until.passed(now) {
                return;
            }
            let mut wake = until;
            let mut waiters = Vec::new();
            for lookup in self.list.names.iter().filter_map(Name::awaited) {
                wake = wake.min(Deadline::after(lookup.due().unwrap_or(now), Some(Duration::ZERO)));
                let awaited = lookup.awaited().into_iter();
                waiters.extend(awaited.map(|(what, interest)| Waiter { what, interest, ready: false }));
            }
            if self.world.network.wait(&mut waiters, wake.remaining(now)).is_err() {
                return;
            }
        }
    }

    /// A worker that only reads would not hear of replicas that were added. Nothing waits for the answer but this: a
    /// primary that is not well is left to the commands that need it.
    fn ask_primary_for_replicas(&self, call: &Call) {
        let knowledge = self.deployment.knowledge();
        let Some(primary) = knowledge.primary() else { return };
        let pool = self.pool_of(primary);
        let until = Deadline::after(self.world.clock.now(), Some(ASIDE_DIAL)).min(call.deadline);
        let clock = &*self.world.clock;
        let lease = match pool.lease(call.started, &self.configuration.pool, clock) {
            Leased::Ready(lease) | Leased::Doubtful(lease) => Some(lease),
            Leased::Empty => {
                let opened = self.search_settings().and_then(|settings| self.open_at(&pool, until, &settings));
                opened.ok().map(|one| {
                    self.let_in(primary);
                    pool.adopt(one, &self.configuration.pool, clock)
                })
            }
            Leased::Exhausted => None,
        };
        let Some(mut lease) = lease else { return };
        let begun = self.world.clock.now();
        if let Ok(Said::Report(report)) = self.ask_standing(&mut lease.connection, until)
            && report.role == Role::Primary
        {
            let now = self.world.clock.now();
            let known = self.deployment.readers().nodes();
            if let Some(reader) = known.iter().find(|reader| reader.node() == primary) {
                reader.took(now.since(begun));
                reader.told(Standing::Behind(Duration::ZERO), now);
            }
            self.deployment.heed(knowledge.epoch(), Answer::Primary(report.replicas), now);
            lease.give_back(now);
        }
    }

    /// Asks a node how it stands, on the connection that a read is about to use. `None` if it must not be read from.
    #[cold]
    pub(super) fn ask_reader(&self, mut lease: Lease, reader: &Reader, deadline: Deadline) -> Option<Lease> {
        let policy = &self.configuration.policy;
        let begun = self.world.clock.now();
        let until = Deadline::after(begun, Some(policy.suspect_after)).min(deadline);
        let said = self.ask_standing(&mut lease.connection, until);
        let now = self.world.clock.now();
        match said {
            Ok(said) => {
                reader.took(now.since(begun));
                self.judge_reader(reader, said, now);
            }
            Err(lost) => {
                // A command that ran out of its own time says nothing of the node.
                if !deadline.passed(now) {
                    reader.put_aside(lost.cause.to_string(), now);
                    lease.home().clear();
                }
                return None;
            }
        }
        if reader.is_fit(policy.max_replica_lag) {
            return Some(lease);
        }
        lease.give_back(now);
        None
    }

    /// Opens a connection to a node that is to be read from. `None` if that fails, or if it must not be read from.
    #[cold]
    pub(super) fn dial_reader(
        &self,
        reader: &Reader,
        pool: &Arc<NodePool>,
        deadline: Deadline,
        settings: &SearchSettings,
    ) -> Option<Lease> {
        let policy = &self.configuration.policy;
        let begun = self.world.clock.now();
        self.world.registry.tidy(begun);
        let until = Deadline::after(begun, Some(policy.timeout.min(policy.suspect_after))).min(deadline);
        let opened = self.open_at(pool, until, settings);
        let now = self.world.clock.now();
        match opened {
            Ok(connection) => {
                let said = connection.greeting().report.clone();
                self.judge_reader(reader, said.map_or(Said::Nothing, |report| Said::Report(Box::new(report))), now);
                self.let_in(reader.node());
                let lease = pool.adopt(connection, &self.configuration.pool, &*self.world.clock);
                if policy.read_from == crate::config::ReadFrom::Nearest && reader.latency().is_zero() {
                    // One round trip, measured by itself: the opening has several.
                    return self.ask_reader(lease, reader, deadline);
                }
                if reader.is_fit(policy.max_replica_lag) {
                    return Some(lease);
                }
                lease.give_back(now);
            }
            Err(lost) if !deadline.passed(now) => reader.put_aside(lost.cause.to_string(), now),
            Err(_) => {}
        }
        None
    }

    fn judge_reader(&self, reader: &Reader, said: Said, now: Instant) {
        let is_primary = self.deployment.knowledge().primary() == Some(reader.node());
        let standing = match said {
            Said::Report(report) => Standing::of(&report, is_primary),
            // Its own refusals have to do.
            Said::Nothing => Standing::Behind(Duration::ZERO),
        };
        reader.told(standing, now);
    }

    fn ask_standing(&self, connection: &mut Connection, until: Deadline) -> Result<Said, Lost> {
        let frame = frame_of(&["INFO", "replication"]);
        if connection.send(frame.bytes(), 1)? != frame.bytes().len() {
            return Err(Lost::awaiting(Cause::TimedOut(Limit::Timeout)));
        }
        let mut sink = ValueSink::default();
        match await_reply::within(&*self.world.network, &*self.world.clock, connection, &mut sink, until)? {
            Received::Value => {
                let report = sink.take().and_then(|value| Report::read(None, Some(&value)));
                Ok(report.map_or(Said::Nothing, |report| Said::Report(Box::new(report))))
            }
            Received::Error if connection.error_text().starts_with(b"NOPERM") => Ok(Said::Nothing),
            _ => {
                let text = String::from_utf8_lossy(connection.error_text()).into_owned();
                Err(Lost::awaiting(Cause::Refused(text)))
            }
        }
    }

    fn open_at(&self, pool: &NodePool, until: Deadline, settings: &SearchSettings) -> Result<Box<Connection>, Lost> {
        let network = &*self.world.network;
        let mut identity = pool.identity().clone();
        if let Errand::Commands(said) = &settings.errand {
            identity.credentials = said.credentials.clone();
        }
        let errand = Errand::Commands(identity);
        let mut dialing = Dialing::begin(network, pool.node(), &errand, settings.limits, settings.sockets)?;
        loop {
            let interest = match dialing.step() {
                DialProgress::Ready(connection) => return Ok(connection),
                DialProgress::Failed(lost) => return Err(lost),
                DialProgress::Wait(interest) => interest,
            };
            let now = self.world.clock.now();
            let late = dialing.late();
            if until.passed(now) {
                return Err(late);
            }
            let Some(what) = dialing.pollable() else { return Err(late) };
            let mut waiters = [Waiter { what, interest, ready: false }];
            if network.wait(&mut waiters, until.remaining(now)).is_err() {
                return Err(late);
            }
        }
    }
}
