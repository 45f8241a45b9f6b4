//! Getting a connection to the primary: from the pool, by a dial, or by a search.

use crate::config::NodeAddress;
use crate::connection::Connection;
use crate::discovery::{Found, Search, Step};
use crate::failover::{Cause, Lost, Phase};
use crate::pool::{Lease, Leased};
use crate::resp::{ValueSink, frame_of};
use crate::telemetry::{COUNTERS, Event};
use crate::time::{Deadline, Instant};
use crate::topology::Change;

use super::await_reply;
use super::call::{Call, Recovery};
use super::desk::Desk;
use super::state::Client;

impl Client {
    /// Puts a connection to the primary on the desk.
    #[inline]
    pub(super) fn acquire(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        if let Some(recovery) = call.recover.take() {
            return self.recover(desk, call, recovery);
        }
        let epoch = self.deployment.epoch();
        if !matches!(&self.primary, Some((known, _)) if *known == epoch) {
            let primary = self.deployment.knowledge();
            self.primary = primary.primary().map(|node| (primary.epoch(), self.pool_of(node)));
        }
        while let Some((_, pool)) = &self.primary {
            match pool.lease(call.started, &self.configuration.pool) {
                Leased::Ready(lease) => {
                    self.attached = true;
                    desk.lease = Some(lease);
                    return Ok(());
                }
                Leased::Doubtful(lease) => {
                    if let Some(lease) = self.ask_doubtful(lease, call) {
                        desk.lease = Some(lease);
                        return Ok(());
                    }
                }
                Leased::Empty => break,
                Leased::Exhausted => {
                    call.node = Some(pool.node().clone());
                    let most = self.configuration.pool.max_connections;
                    return Err(Lost::before(Phase::Lease, Cause::PoolExhausted(most)));
                }
            }
        }
        self.dial(desk, call)
    }

    /// Opens a connection to where the primary should be; looks further if it is not there.
    fn dial(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        let knowledge = self.deployment.knowledge();
        let policy = &self.configuration.policy;
        let now = self.world.clock.now();
        let settings = self.search_settings();
        let search =
            Search::narrow(self.deployment.key(), &knowledge, settings, policy.suspect_after, policy.retry.cap, now);
        let former = knowledge.primary().cloned();
        self.drive(desk, call, search, former.as_ref(), None, false)
    }

    /// Searches for the primary after one was lost or refused.
    fn recover(&mut self, desk: &mut Desk, call: &mut Call, recovery: Recovery) -> Result<(), Lost> {
        call.recoveries += 1;
        if call.recoveries > 1 || recovery.wait {
            // The last search found a primary and that one failed, too: no storm of searches.
            self.pause(call);
        }
        let knowledge = self.deployment.knowledge();
        let former = knowledge.primary().cloned();
        let asked = call.node.clone();
        // A command that has to look again and again tells of it once, and again only when something has changed.
        let announced = call.recoveries == 1;
        if announced {
            self.events.push(Event::FailoverStarted {
                node: former.as_ref().map(ToString::to_string),
                cause: recovery.cause.clone(),
            });
        }
        let now = self.world.clock.now();
        let cap = self.configuration.policy.retry.cap;
        let search = Search::wide(self.deployment.key(), &knowledge, self.search_settings(), cap, now);
        self.drive(desk, call, search, former.as_ref(), Some(&recovery.cause), announced)?;
        match recovery.only_if_replica {
            // The script's node is primary after all: its error is the script's own.
            Some(text) if self.primary.as_ref().map(|(_, pool)| pool.node()) == asked.as_ref() => {
                self.put_back(desk);
                Err(Lost { phase: Phase::Read, cause: Cause::Refused(text), sent: true })
            }
            _ => Ok(()),
        }
    }

    fn drive(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        mut search: Search,
        former: Option<&NodeAddress>,
        cause: Option<&str>,
        announced: bool,
    ) -> Result<(), Lost> {
        let started = self.world.clock.now();
        loop {
            let (network, clock) = (&*self.world.network, &*self.world.clock);
            match search.step(network, clock) {
                Step::Found(found) => {
                    let to = found.node.clone();
                    call.node = Some(to.clone());
                    let change = self.take_over(desk, found);
                    let promoted = change == Change::Promoted && former.is_some();
                    if promoted || announced {
                        let cause = cause.map_or_else(|| search.obstacle().1.to_string(), ToOwned::to_owned);
                        self.announce(former, &to, promoted, cause, started, announced);
                    }
                    return Ok(());
                }
                Step::Hopeless(node, lost) => {
                    call.node = Some(node);
                    return Err(lost);
                }
                Step::Searching => {}
            }
            let now = clock.now();
            // Who wants no retries gets one look everywhere.
            let once = self.configuration.policy.retry.max_attempts == Some(1);
            if call.deadline.passed(now) || (once && search.is_settled()) {
                let (node, lost) = search.obstacle();
                call.node = node.or_else(|| former.cloned());
                if announced {
                    self.events.push(Event::FailoverFailed {
                        node: former.map(ToString::to_string),
                        cause: cause.unwrap_or_default().to_owned(),
                        duration: now.since(started),
                    });
                }
                return Err(if call.deadline.passed(now) {
                    Lost { cause: Cause::Overdue(lost.cause.to_string()), ..lost }
                } else {
                    lost
                });
            }
            search.wait(network, clock, None, call.deadline);
        }
    }

    /// Makes what a search found known, and its connection ours.
    fn take_over(&mut self, desk: &mut Desk, found: Found) -> Change {
        let change = self.learn(&found);
        let pool = self.pool_of(&found.node);
        desk.lease = Some(pool.adopt(found.connection));
        self.primary = Some((self.deployment.epoch(), pool));
        self.attached = true;
        change
    }

    /// Makes what a search found beside an awaited reply known, and keeps its connection for the next attempt.
    pub(super) fn keep_found(&mut self, found: Found) -> Change {
        let change = self.learn(&found);
        let pool = self.pool_of(&found.node);
        let lease = pool.adopt(found.connection);
        pool.check_in(lease, self.world.clock.now());
        self.primary = Some((self.deployment.epoch(), pool));
        change
    }

    fn learn(&mut self, found: &Found) -> Change {
        let former = self.deployment.knowledge().primary().cloned();
        let change = self.deployment.learn_primary(&found.node, &found.report);
        if change == Change::Promoted
            && let Some(former) = former
        {
            COUNTERS.failovers.increment();
            // What is idle there leads to a node that is dead or a replica now.
            self.pool_of(&former).clear();
        }
        change
    }

    fn announce(
        &mut self,
        former: Option<&NodeAddress>,
        to: &NodeAddress,
        promoted: bool,
        cause: String,
        started: Instant,
        announced: bool,
    ) {
        let from = former.map(ToString::to_string);
        if !announced {
            self.events.push(Event::FailoverStarted { node: from.clone(), cause: cause.clone() });
        }
        let duration = self.world.clock.now().since(started);
        self.events.push(Event::FailoverCompleted { from, to: to.to_string(), cause, duration, promoted });
    }

    /// Waits a moment, as the retry policy says, within the deadline.
    pub(super) fn pause(&self, call: &mut Call) {
        let wait = call.next_wait(&self.configuration.policy);
        let left = call.deadline.remaining(self.world.clock.now());
        // A poll that fails is no pause; the deadline still ends the loop.
        let _ = self.world.network.wait(&mut [], Some(left.map_or(wait, |left| wait.min(left))));
    }

    /// Checks in what is on the desk.
    pub(super) fn put_back(&mut self, desk: &mut Desk) {
        if let Some(lease) = desk.lease.take() {
            lease.give_back(self.world.clock.coarse());
        }
    }

    /// A connection that was idle for long is asked whether it is alive, for no longer than silence is normal.
    fn ask_doubtful(&self, mut lease: Lease, call: &Call) -> Option<Lease> {
        let policy = &self.configuration.policy;
        let until = Deadline::after(self.world.clock.now(), Some(policy.suspect_after.min(policy.timeout)));
        let alive = self.ping(&mut lease.connection, until.min(call.deadline));
        alive.then_some(lease)
    }

    fn ping(&self, connection: &mut Connection, until: Deadline) -> bool {
        let frame = frame_of(&["PING"]);
        if connection.send(frame.bytes(), 1) != Ok(frame.bytes().len()) {
            return false;
        }
        let mut sink = ValueSink::default();
        await_reply::within(&*self.world.network, &*self.world.clock, connection, &mut sink, until).is_ok()
    }
}
