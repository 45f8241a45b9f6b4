//! Waiting for a reply: at the price of one system call where it comes soon, and with open eyes where it does not.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::connection::{Connection, Interest, Network, Patience, Received, Waiter};
use crate::discovery::{Search, Sign, Step};
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::Sink;
use crate::time::{Clock, Deadline, Instant};
use crate::topology::{Change, Evidence};

use super::call::Call;
use super::desk::Desk;
use super::state::Client;

/// While a command blocks by its own will its node is looked at this often.
const BLOCKED_CHECK: Duration = Duration::from_secs(5);
/// A node that is silent but was found alive is looked at less and less often, down to this.
const LEAST_OFTEN: Duration = Duration::from_secs(1);
/// A node under a blocking command that could not be reached this often in a row is given up.
const MOST_MISSED: u32 = 2;

impl Client {
    /// Sends the frame on the desk's connection, whole.
    #[inline(always)]
    pub(super) fn send(&mut self, desk: &mut Desk, call: &Call, replies: u32) -> Result<(), Lost> {
        let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
        let frame = desk.frame.bytes();
        lease.connection.set_riding(desk.frame.riding());
        let sent = lease.connection.send(frame, replies)?;
        if sent == frame.len() { Ok(()) } else { self.send_rest(desk, sent, call, replies) }
    }

    /// The kernel has taken a part. A node that takes no more is suspect like one that is silent.
    #[cold]
    fn send_rest(&mut self, desk: &mut Desk, mut sent: usize, call: &Call, replies: u32) -> Result<(), Lost> {
        let mut heard = self.world.clock.now();
        let limits = call.reply_deadline(heard, &self.configuration.policy);
        let whole = desk.frame.bytes().len();
        let own = whole - desk.frame.riding();
        while sent < whole {
            let went = self.bide(desk, call, Interest::Write, heard, limits).and_then(|()| {
                let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
                lease.connection.send(&desk.frame.bytes()[sent..], replies)
            });
            // Where only a rider was left to be sent, the command itself may have been applied.
            let went = went.map_err(|lost| Lost { phase: Phase::Write, sent: sent >= own, ..lost })?;
            if went > 0 {
                heard = self.world.clock.now();
            }
            sent += went;
        }
        if let Some(lease) = desk.lease.as_mut() {
            lease.connection.sent_rest();
        }
        Ok(())
    }

    /// Receives the reply on the desk's connection.
    #[inline]
    pub(super) fn await_reply<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        begun: Instant,
        sink: &mut S,
    ) -> Result<Received, Lost> {
        let (deadline, limit) = call.reply_deadline(begun, &self.configuration.policy);
        let mut heard = begun;
        // Where the socket's own patience is no longer than ours, it saves the system call that says how long to wait.
        let brief = desk.lease.as_ref().map_or(Duration::MAX, |lease| lease.connection.brief());
        let within = |left: Option<Duration>| left.is_none_or(|left| left >= brief);
        let mut patience = if brief <= self.configuration.policy.suspect_after && within(deadline.remaining(begun)) {
            Patience::Brief
        } else {
            Patience::None
        };
        loop {
            let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
            match lease.connection.receive(sink, patience)? {
                Received::More => {
                    let now = self.world.clock.coarse();
                    if deadline.passed(now) {
                        return Err(Lost::awaiting(Cause::TimedOut(limit)));
                    }
                    heard = now;
                    if !within(deadline.remaining(now)) {
                        patience = Patience::None;
                    }
                }
                Received::Nothing => {
                    self.bide(desk, call, Interest::Read, heard, (deadline, limit))?;
                    patience = Patience::None;
                }
                done => return Ok(done),
            }
        }
    }

    /// Nothing came for a while: waits on, and looks meanwhile whether another node was promoted (P9). Ends when the
    /// connection is ready for what is of interest, or when PHP wants to do something else and may.
    #[cold]
    pub(super) fn bide(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        interest: Interest,
        heard: Instant,
        (deadline, limit): (Deadline, Limit),
    ) -> Result<(), Lost> {
        if call.reading.at.is_some() {
            return self.bide_at_reader(desk, call, interest, heard, (deadline, limit));
        }
        let mut calm = if call.blocking { BLOCKED_CHECK } else { self.configuration.policy.suspect_after };
        let mut suspect_at = heard + calm;
        let Some(node) = desk.lease.as_ref().map(|lease| lease.connection.node().clone()) else {
            return Err(no_lease());
        };
        let mut missed = 0;
        let mut looked = None;
        let outcome = loop {
            let now = self.world.clock.now();
            if call.blocking && missed >= MOST_MISSED {
                break Err(Lost::awaiting(Cause::Io("the node does not answer any more".to_owned())));
            }
            if deadline.passed(now) {
                break Err(Lost::awaiting(Cause::TimedOut(limit)));
            }
            if (call.interruptible || call.blocking) && (self.world.is_interrupted)() {
                if call.interruptible {
                    break Ok(());
                }
                self.let_go(desk, call, now);
            }
            let slice = Deadline::after(now, call.attention());
            if desk.search.is_none() && now >= suspect_at {
                let Ok(search) = self.suspect(desk, &node, now) else {
                    suspect_at = now + calm;
                    continue;
                };
                // What a blocked command wants to know of its node nobody else tells.
                desk.search = Some(Box::new(if call.blocking { search } else { search.holding_back() }));
                looked = None;
            }
            if let Some(mut search) = desk.search.take() {
                let told = self.told_since(&mut looked).filter(|told| search.is_proven(told, &node));
                if let Some(told) = told {
                    break Err(Lost::awaiting(Cause::Superseded(told.primary.to_string())));
                }
                self.take_turns(desk, &mut search, looked, now);
                desk.search = Some(search);
            }
            let Some(lease) = desk.lease.as_mut() else { break Err(no_lease()) };
            let (network, clock) = (&*self.world.network, &*self.world.clock);
            let Some(search) = desk.search.as_mut() else {
                let until = deadline.min(slice).min(Deadline::after(now, Some(suspect_at.since(now))));
                let left = until.remaining(now);
                if wait_for(network, &lease.connection, interest, left) {
                    break Ok(());
                }
                continue;
            };
            let step = search.step(network, clock);
            let sign = search.sign_of(&node);
            match step {
                Step::Found(found) if search.supersedes(&found, &node) => {
                    let promoted = found.node.to_string();
                    let started = search.started();
                    let Some(change) = self.keep_found(*found) else {
                        // Another worker has found another one: whether that is proof is seen next.
                        desk.search = None;
                        continue;
                    };
                    if change == Change::Promoted {
                        let cause = "no reply within suspect_after".to_owned();
                        self.tell(Some(node.to_string()), cause, started, Some((promoted.clone(), true)));
                    }
                    break Err(Lost::awaiting(Cause::Superseded(promoted)));
                }
                // The answer may take its time, but a command that blocks for ever has no other end if its node is gone
                // without a word: what is seen of the node is all that the search is for.
                Step::Searching if !(call.blocking && sign.is_some()) => {
                    if desk.turn.is_some() {
                        self.events.extend(self.count_failure(search));
                    }
                    let until = self.soon(desk.turn.is_some(), now, deadline.min(slice));
                    if search.wait(network, clock, Some((lease.connection.pollable(), interest)), until) {
                        break Ok(());
                    }
                    continue;
                }
                // It is primary still: what it says of itself is fresher than what we knew.
                Step::Found(found) if found.node == node && self.deployment.knowledge().primary() == Some(&node) => {
                    let evidence = Evidence::of(&found.report, found.replicas, None);
                    self.learn(&node, &found.report, evidence, found.based_on);
                }
                // Nothing proves that another one is primary. A node that will not let anybody else in is alive.
                Step::Found(_) | Step::Hopeless(..) | Step::Searching => {}
            }
            missed = if sign == Some(Sign::Silence) { missed + 1 } else { 0 };
            desk.search = None;
            desk.turn = None;
            calm = (calm * 2).min(LEAST_OFTEN.max(calm));
            suspect_at = self.world.clock.now() + calm;
        };
        desk.search = None;
        desk.turn = None;
        outcome
    }

    /// A search into the silence of `node`: by its own history, as of when the connection to it was opened, since
    /// somebody else in the process may have left it for another one meanwhile.
    fn suspect(&self, desk: &Desk, node: &NodeAddress, now: Instant) -> Result<Search, Lost> {
        let knowledge = self.deployment.knowledge();
        let cap = self.configuration.policy.retry.cap;
        let mut search = Search::wide(self.deployment.key(), &knowledge, self.search_settings()?, cap, now);
        let report = desk.lease.as_ref().and_then(|lease| lease.connection.greeting().report.as_ref());
        let mut histories: Vec<String> =
            report.and_then(|report| report.lineage.as_ref()).map(|lineage| lineage.id.clone()).into_iter().collect();
        if knowledge.primary() == Some(node) {
            histories.extend_from_slice(knowledge.histories());
        }
        search.suspect(node.clone(), histories);
        Ok(search)
    }
}

/// Receives one reply until a deadline, without suspicion: for the house's own small questions.
pub fn within<S: Sink>(
    network: &dyn Network,
    clock: &dyn Clock,
    connection: &mut Connection,
    sink: &mut S,
    deadline: Deadline,
) -> Result<Received, Lost> {
    loop {
        match connection.receive(sink, Patience::None)? {
            Received::Nothing => {
                let now = clock.now();
                if deadline.passed(now) {
                    return Err(Lost::awaiting(Cause::TimedOut(Limit::Timeout)));
                }
                wait_for(network, connection, Interest::Read, deadline.remaining(now));
            }
            // A peer that talks without end would otherwise never be asked for the time.
            Received::More if deadline.passed(clock.now()) => {
                return Err(Lost::awaiting(Cause::TimedOut(Limit::Timeout)));
            }
            Received::More => {}
            done => return Ok(done),
        }
    }
}

pub(super) fn wait_for(
    network: &dyn Network,
    connection: &Connection,
    interest: Interest,
    limit: Option<Duration>,
) -> bool {
    let mut waiters = [Waiter { what: connection.pollable(), interest, ready: false }];
    // A poll that fails counts as a wait that ended: the receive or send that follows tells what is wrong.
    network.wait(&mut waiters, limit).is_err() || waiters[0].ready
}

pub(super) fn no_lease() -> Lost {
    Lost::before(Phase::Lease, Cause::Io("no connection is at hand".to_owned()))
}
