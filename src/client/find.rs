//! Getting a connection to the primary: from the pool, by a dial, or by a search.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::connection::Received;
use crate::discovery::{Found, Search, Step};
use crate::failover::{Cause, Lost, Phase, Remedy};
use crate::pool::{Learned, Lease, Leased};
use crate::telemetry::COUNTERS;
use crate::time::{Deadline, Instant};
use crate::topology::{Change, Evidence, Report, Role};

use super::call::{Call, Recovery};
use super::desk::Desk;
use super::state::Client;

/// What stood in the way of somebody who waited for another worker's search.
const OTHERS_SEARCH: &str = "another worker of this host searches, and has found no primary yet";

/// Who said what when a search ended.
struct Roles {
    primary: NodeAddress,
    replicas: Vec<NodeAddress>,
}

impl Roles {
    /// The role that a node gave; `None` if it gave none.
    fn role_of(&self, node: &NodeAddress) -> Option<Role> {
        if self.primary == *node {
            return Some(Role::Primary);
        }
        self.replicas.contains(node).then_some(Role::Replica)
    }
}

impl Client {
    /// Puts a connection to the primary on the desk.
    #[inline]
    pub(super) fn acquire(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        if let Some(recovery) = call.recover.take() {
            return self.recover(desk, call, recovery);
        }
        if self.deployment.has_news() && self.attend(desk, call)? {
            return Ok(());
        }
        let epoch = self.deployment.epoch();
        if !matches!(&self.primary, Some((known, _)) if *known == epoch) {
            if self.identity.credentials.are_unknown() {
                self.see_pass()?;
            }
            let primary = self.deployment.knowledge();
            self.primary = primary.primary().map(|node| (primary.epoch(), self.pool_of(node)));
        }
        while let Some((_, pool)) = &self.primary {
            let lease = match pool.lease(call.started, &self.configuration.pool, &*self.world.clock) {
                Leased::Ready(lease) => Some(lease),
                Leased::Doubtful(lease) => self.ask_doubtful(lease, call),
                Leased::Empty => break,
                Leased::Exhausted => {
                    call.node = Some(pool.node().clone());
                    let most = self.configuration.pool.max_connections;
                    return Err(Lost::before(Phase::Lease, Cause::PoolExhausted(most)));
                }
            };
            if lease.is_some() {
                self.attached = true;
                desk.lease = lease;
                return Ok(());
            }
        }
        self.dial(desk, call)
    }

    /// Opens a connection to where the primary should be; looks further if it is not there.
    fn dial(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        self.see_pass()?;
        let knowledge = self.deployment.knowledge();
        let policy = &self.configuration.policy;
        let now = self.world.clock.now();
        // Opening a connection is rare: a good time to close those that nobody comes for any more.
        self.world.registry.tidy(now);
        let settings = self.search_settings()?;
        let search =
            Search::narrow(self.deployment.key(), &knowledge, settings, policy.suspect_after, policy.retry.cap, now);
        let former = knowledge.primary().cloned();
        self.drive(desk, call, search, former.as_ref(), None).map(|_| ())
    }

    /// Searches for the primary after one was lost or refused.
    fn recover(&mut self, desk: &mut Desk, call: &mut Call, recovery: Recovery) -> Result<(), Lost> {
        let settings = match self.see_pass().and_then(|()| self.search_settings()) {
            Ok(settings) => settings,
            Err(asks) => {
                call.recover = Some(recovery);
                return Err(asks);
            }
        };
        call.recoveries += 1;
        let patient = recovery.patience();
        if call.recoveries > 1 || patient.is_some() {
            // The last search found a primary and that one failed, too: no storm of searches.
            self.pause(call);
        }
        let at_once = match patient {
            Some(remedy) => !call.looks_around(remedy, self.world.clock.now()),
            None => recovery.remedy == Some(Remedy::Reconnect),
        };
        if patient.is_some() && call.deadline.passed(self.world.clock.now()) {
            return Err(Lost::before(Phase::Read, Cause::Overdue(call.limit(), recovery.cause)));
        }
        if at_once {
            self.acquire(desk, call)?;
            return self.see_ready(desk, call, recovery);
        }
        let knowledge = self.deployment.knowledge();
        let former = knowledge.primary().cloned();
        let asked = call.node.clone();
        let now = self.world.clock.now();
        let cap = self.configuration.policy.retry.cap;
        let mut search = Search::wide(self.deployment.key(), &knowledge, settings, cap, now);
        if recovery.only_if_replica.is_some()
            && let Some(asked) = &asked
        {
            search.ask_first(asked.clone());
        }
        let mut found = self.drive(desk, call, search, former.as_ref(), Some(&recovery));
        if let Err(asks @ Lost { cause: Cause::Credentials, .. }) = found {
            call.recover = Some(recovery);
            return Err(asks);
        }
        if let (Some(_), Err(Lost { cause: Cause::Overdue(_, obstacle), .. })) = (patient, &mut found) {
            // What the server said weighs more than that the last look at it came too late.
            *obstacle = format!("{}; then: {obstacle}", recovery.cause);
        }
        let Some(text) = recovery.only_if_replica else {
            found?;
            return self.see_ready(desk, call, recovery);
        };
        // A script can say anything after having written: its word counts only where the node confirms it.
        let role = found.ok().and_then(|found| asked.as_ref().and_then(|asked| found.role_of(asked)));
        match role {
            Some(Role::Replica) => Ok(()),
            Some(Role::Primary) => {
                self.put_back(desk);
                call.node = asked;
                Err(Lost::awaiting(Cause::Refused(text)))
            }
            None => {
                self.put_back(desk);
                call.node = asked;
                // What only reads is in no doubt, whatever it says.
                if !call.is_read(&desk.frame) {
                    call.retry.doubt();
                }
                let cause = Cause::Io(format!("the node cannot be asked whether it is a replica; it said: {text}"));
                Err(Lost::awaiting(cause))
            }
        }
    }

    /// Waits until the node takes commands again, before a script that it has turned away goes out again. Sent earlier,
    /// the script could be turned away at the last moment, and when the node was asked whether those were its own words,
    /// it would not say them any more.
    fn see_ready(&mut self, desk: &mut Desk, call: &mut Call, recovery: Recovery) -> Result<(), Lost> {
        if !recovery.of_script {
            return Ok(());
        }
        let Some((answer, text)) = self.ask_whether_ready(desk, call) else {
            desk.lease = None;
            let text = format!("the node does not say whether it is ready; it said: {}", recovery.cause);
            return Err(Lost::before(Phase::Read, Cause::Io(text)));
        };
        if answer != Received::Error {
            return Ok(());
        }
        call.note_node(desk.lease.as_ref());
        self.put_back(desk);
        self.recover(desk, call, Recovery { cause: text, ..recovery })
    }

    /// When a search has to be over. A router that knows of other nodes wants to be asked sooner; but not for what may have
    /// been applied here, since nobody else could tell that from its reply.
    fn search_deadline(&self, call: &Call) -> Deadline {
        if call.retry.tainted() { call.deadline } else { call.deadline.min(self.patience) }
    }

    fn drive(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        search: Search,
        former: Option<&NodeAddress>,
        recovery: Option<&Recovery>,
    ) -> Result<Roles, Lost> {
        if !self.configuration.ring.is_empty() {
            // Each node has keys of its own, so there is none to be found that has them all.
            return Err(Lost::before(Phase::Auth, Cause::Cluster));
        }
        call.dialed = true;
        let result = self.drive_to_end(desk, call, search, former, recovery);
        // Whoever waits goes on where this search has stopped.
        desk.turn = None;
        result.map_err(|lost| self.reconsider(lost))
    }

    fn drive_to_end(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        mut search: Search,
        former: Option<&NodeAddress>,
        recovery: Option<&Recovery>,
    ) -> Result<Roles, Lost> {
        let cause = recovery.map(|recovery| recovery.cause.as_str());
        let started = self.world.clock.now();
        if former.is_some() || cause.is_some() {
            self.count_wait(call, started);
        }
        let once = self.configuration.policy.retry.max_attempts == Some(1);
        if let Some(left) = self.search_deadline(call).remaining(started) {
            search.believe_at(started + if once { Duration::ZERO } else { left / 2 });
        }
        // Who wants one look only, or a certain node's own word, has nothing to wait for.
        let alone = once || recovery.is_some_and(|recovery| recovery.only_if_replica.is_some());
        if !alone {
            search = search.holding_back();
        }
        let mut looked = Some(search.based_on());
        loop {
            let bell = self.bell();
            if !alone && self.told_since(&mut looked).is_some_and(|told| search.known() != Some(&told.primary)) {
                search = self.go_after(desk, call)?;
            }
            if let Some(lost) = self.circuit() {
                if former.is_some() {
                    self.announce(former, cause, started, &search, None);
                }
                call.node = former.cloned();
                return Err(lost);
            }
            self.take_turns(desk, &mut search, looked, self.world.clock.now());
            let (network, clock) = (&*self.world.network, &*self.world.clock);
            match search.step(network, clock) {
                Step::Found(found) => {
                    let roles = Roles { primary: found.node.clone(), replicas: found.replicas.clone() };
                    call.node = Some(found.node.clone());
                    if !self.take_over(desk, *found) {
                        search = self.go_after(desk, call)?;
                        continue;
                    }
                    let promoted = former.is_some_and(|former| *former != roles.primary);
                    // A connection that was lost while its primary stayed is no failover; nor is a server that needs time.
                    let patient = recovery.is_some_and(|recovery| recovery.patience().is_some());
                    let away = former.is_some() && search.rounds() > 1 && !patient;
                    if promoted || (away && cause.is_some()) {
                        let to = roles.primary.to_string();
                        self.announce(former, cause, started, &search, Some((to, promoted)));
                    } else {
                        self.tell_of_no_failover(&roles.primary, recovery, started);
                    }
                    return Ok(roles);
                }
                Step::Hopeless(node, lost) => {
                    if former.is_some() {
                        self.announce(former, cause, started, &search, None);
                    }
                    call.node = Some(node);
                    return Err(lost);
                }
                Step::Searching => {}
            }
            let now = clock.now();
            // Who wants no retries gets one look everywhere.
            if self.search_deadline(call).passed(now) || (once && search.is_settled()) {
                // Where a router goes on, nothing has failed yet.
                if former.is_some() && (call.deadline.passed(now) || once) {
                    self.announce(former, cause, started, &search, None);
                }
                let (node, lost) = match search.is_held_back(now) {
                    true => (None, Lost::before(Phase::Dial, Cause::Io(OTHERS_SEARCH.to_owned()))),
                    false => search.obstacle(),
                };
                call.node = node.or_else(|| former.cloned());
                return Err(if self.search_deadline(call).passed(now) {
                    let asked = format!("{} (looked for a primary {} times)", lost.cause, search.rounds());
                    Lost { cause: Cause::Overdue(call.limit(), asked), ..lost }
                } else {
                    lost
                });
            }
            if desk.turn.is_some() {
                self.events.extend(self.count_failure(&search));
            }
            self.wait_together(&search, desk.turn.is_some(), bell, self.search_deadline(call));
        }
    }

    /// Goes where another worker has found the primary: one connection, and a search only if it is not there.
    fn go_after(&self, desk: &mut Desk, call: &Call) -> Result<Search, Lost> {
        desk.turn = None;
        let knowledge = self.deployment.knowledge();
        let policy = &self.configuration.policy;
        let now = self.world.clock.now();
        let settings = self.search_settings()?;
        let mut search =
            Search::direct(self.deployment.key(), &knowledge, settings, policy.suspect_after, policy.retry.cap, now);
        if let Some(left) = self.search_deadline(call).remaining(now) {
            search.believe_at(now + left / 2);
        }
        Ok(search.holding_back())
    }

    /// Makes what a search found known, and its connection ours. False if what another worker has found meanwhile counts.
    fn take_over(&mut self, desk: &mut Desk, found: Found) -> bool {
        desk.lease = self.adopt(found).map(|(lease, _)| lease);
        self.attached |= desk.lease.is_some();
        desk.lease.is_some()
    }

    /// Makes what a search found beside an awaited reply known, and keeps its connection for the next attempt. `None` if
    /// what another worker has found meanwhile counts.
    pub(super) fn keep_found(&mut self, found: Found) -> Option<Change> {
        let (lease, change) = self.adopt(found)?;
        lease.give_back(self.world.clock.now());
        Some(change)
    }

    pub(super) fn adopt(&mut self, found: Found) -> Option<(Lease, Change)> {
        let Found { node, report, connection, replicas, silent, based_on, watched, .. } = found;
        if let Some(watched) = watched {
            self.deployment.learn_watched(watched);
        }
        let change = self.learn(&node, &report, Evidence::of(&report, replicas, silent), based_on)?;
        self.let_in(&node);
        let pool = self.pool_of(&node);
        let lease = pool.adopt(connection, &self.configuration.pool, &*self.world.clock);
        self.primary = Some((self.deployment.epoch(), pool));
        Some((lease, change))
    }

    pub(super) fn learn(
        &mut self,
        node: &NodeAddress,
        report: &Report,
        evidence: Evidence,
        based_on: u64,
    ) -> Option<Change> {
        let former = self.deployment.knowledge().primary().cloned();
        let now = self.world.clock.now().as_nanos();
        let learned = self.deployment.learn_primary(node, report, evidence, based_on, now);
        self.recovered(Some(node.to_string()));
        if let Some(former) = former.filter(|former| self.deployment.knowledge().primary() != Some(former)) {
            COUNTERS.failovers.increment();
            // What is idle there leads to a node that is dead or a replica now, whatever the identity.
            self.world.registry.forget_node(&former);
        }
        match learned {
            Learned::New(change) => Some(change),
            Learned::Overtaken => None,
        }
    }

    /// Waits a moment, as the retry policy says, within the deadline.
    pub(super) fn pause(&self, call: &mut Call) {
        let wait = call.next_wait(&self.configuration.policy);
        let left = call.deadline.remaining(self.world.clock.now());
        // A poll that fails is no pause; the deadline still ends the loop.
        let _ = self.world.network.wait(&mut [], Some(left.map_or(wait, |left| wait.min(left))));
    }

    /// Waits for a while, for a reason of the caller's own.
    pub fn rest(&self, time: Duration) {
        // As above; whoever waits for something looks at the clock.
        let _ = self.world.network.wait(&mut [], Some(time));
    }

    /// The client's clock.
    pub fn now(&self) -> Instant {
        self.world.clock.now()
    }

    /// Checks in what is on the desk.
    pub(super) fn put_back(&mut self, desk: &mut Desk) {
        if let Some(lease) = desk.lease.take() {
            if self.vouches && self.is_of_primary(&lease) {
                self.vouch();
            }
            lease.give_back(self.world.clock.coarse());
        }
    }
}
