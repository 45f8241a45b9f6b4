//! Down means fast (P11): when nobody has succeeded for a while, commands fail at once, and one worker probes.

use std::sync::Arc;
use std::time::Duration;

use crate::board::{Trouble, Turn};
use crate::config::WhenOpen;
use crate::connection::{Identity, current_generation};
use crate::discovery::{Search, Step};
use crate::failover::{Cause, Lost, Phase};
use crate::pool::{Deployment, Lease};
use crate::telemetry::{COUNTERS, Event};
use crate::time::{Backoff, Deadline, Instant};

use super::call::Call;
use super::desk::Desk;
use super::state::Client;

/// The least distance of two probes while the breaker is open, and what is drawn on top of it.
const PROBE_EVERY: Duration = Duration::from_millis(300);
const PROBE_JITTER: Duration = Duration::from_millis(300);
/// How long a node may take to answer a probe: a new one finds it sooner if packets were lost. But every so many probes
/// one is given what the user gives a dial, for nodes that are far away.
const PROBE_LIMIT: Duration = Duration::from_millis(250);
const PATIENT_EACH: u64 = 4;
/// How long the command that begins a probe waits for it. The rest is looked at by the commands that follow.
const PATIENCE: Duration = Duration::from_micros(1_500);
/// Where commands are rare none may follow in time. So the command that begins a probe late waits for this part of the
/// delay, and if that was long, with a patient probe, for its end.
const PATIENT_PART: u32 = 4;
const RARE: Duration = Duration::from_millis(100);
/// A command that waits says as often that it is alive.
const BREATH: Duration = Duration::from_millis(50);
/// A probe that no command came for in this time is given up.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// A probe on its way, from one command of the process to the next.
pub struct Probe {
    deployment: Arc<Deployment>,
    search: Box<Search>,
    turn: Turn,
    generation: u64,
    /// Who dials: its connection is for nobody else.
    identity: Identity,
    /// How long it may take.
    limit: Duration,
}

impl Probe {
    /// Ends it. Who has it as a copy only, after a fork, takes nobody's turn away.
    fn end(self) {
        if self.generation != current_generation() {
            self.turn.disown();
        }
    }
}

impl Client {
    /// Looks at what has come up: what others have told, trouble, an open breaker. True if a probe has put a connection
    /// on the desk.
    ///
    /// # Errors
    /// The breaker is open.
    #[cold]
    pub(super) fn attend(&mut self, desk: &mut Desk, call: &mut Call) -> Result<bool, Lost> {
        self.heed();
        match self.deployment.place().trouble(self.world.clock.now().as_nanos()) {
            Trouble::Open { .. } if self.obeys() => self.probe(desk, call),
            _ => {
                self.vouches = self.deployment.place().is_troubled();
                Ok(false)
            }
        }
    }

    /// How the deployment is, in one word: `closed`, `troubled` (searches fail) or `open`.
    pub fn breaker(&self) -> &'static str {
        let of_shards = self.shard_clients().map(Client::breaker);
        of_shards
            .chain([self.own_breaker()])
            .max_by_key(|state| ["closed", "troubled", "open"].iter().position(|known| known == state))
            .unwrap_or("closed")
    }

    fn own_breaker(&self) -> &'static str {
        match self.deployment.place().trouble(self.world.clock.now().as_nanos()) {
            Trouble::None => "closed",
            Trouble::Since(_) => "troubled",
            Trouble::Open { .. } => "open",
        }
    }

    /// Why a command must not wait any longer: the breaker is open.
    pub(super) fn circuit(&self) -> Option<Lost> {
        let now = self.world.clock.now();
        match self.deployment.place().trouble(now.as_nanos()) {
            Trouble::Open { since, next_probe } if self.obeys() => {
                let (since, next) = (now.since(Instant::of_nanos(since)), Instant::of_nanos(next_probe).since(now));
                Some(Lost::before(Phase::Lease, Cause::CircuitOpen { since, next }))
            }
            _ => None,
        }
    }

    /// Says that the server answers us, whatever others say.
    #[cold]
    pub(super) fn vouch(&mut self) {
        self.vouches = false;
        let node = self.primary.as_ref().map(|(_, pool)| pool.node().to_string());
        self.recovered(node);
    }

    /// Whether the lease is one to the primary that is known: a replica that answers a read says nothing of it.
    pub(super) fn is_of_primary(&self, lease: &Lease) -> bool {
        self.primary.as_ref().is_some_and(|(_, pool)| Arc::ptr_eq(pool, lease.home()))
    }

    /// Ends the trouble, and closes the breaker if it was open.
    pub(super) fn recovered(&mut self, node: Option<String>) {
        if let Some(since) = self.deployment.place().recover() {
            let duration = self.world.clock.now().since(Instant::of_nanos(since));
            self.events.push(Event::breaker_closed(node, duration));
        }
    }

    /// Counts a search on behalf of all, if it has looked everywhere in vain. The event, if that has gone on for so long
    /// that the breaker opens.
    pub(super) fn count_failure(&self, search: &Search) -> Option<Event> {
        let limit = self.configuration.policy.breaker_after?;
        let now = self.world.clock.now();
        let place = self.deployment.place();
        if !search.is_in_vain() || !place.fail(now.as_nanos(), limit, next_probe(now)) {
            return None;
        }
        let since = match place.trouble(now.as_nanos()) {
            Trouble::Open { since, .. } => now.since(Instant::of_nanos(since)),
            _ => limit,
        };
        let (node, lost) = search.obstacle();
        let node = node.or_else(|| search.known().cloned()).map(|node| node.to_string());
        Some(Event::breaker_opened(node, lost.cause.to_string(), since))
    }

    fn obeys(&self) -> bool {
        let policy = &self.configuration.policy;
        policy.breaker_after.is_some() && policy.when_open == WhenOpen::Fail
    }

    /// Steps the probe of this process, or begins one if it is due.
    fn probe(&mut self, desk: &mut Desk, call: &mut Call) -> Result<bool, Lost> {
        let Some(refusal) = self.circuit() else { return Ok(false) };
        call.node = self.deployment.knowledge().primary().cloned();
        let now = self.world.clock.now();
        let mut until = Deadline::after(now, Some(Duration::ZERO));
        let probe = match self.probe_on(desk, now) {
            Some(probe) => probe,
            None => {
                let Some((probe, patience)) = self.begin_probe(now)? else { return Err(refusal) };
                until = Deadline::after(now, Some(patience)).min(call.deadline);
                probe
            }
        };
        let Probe { deployment, mut search, mut turn, generation, identity, limit } = probe;
        loop {
            let (network, clock) = (&*self.world.network, &*self.world.clock);
            match search.step(network, clock) {
                Step::Found(found) => {
                    call.node = Some(found.node.clone());
                    desk.lease = self.adopt(*found).map(|(lease, _)| lease);
                    self.attached |= desk.lease.is_some();
                    return if desk.lease.is_some() { Ok(true) } else { Err(refusal) };
                }
                Step::Hopeless(node, lost) => {
                    // It speaks: what it says is no outage.
                    self.recovered(Some(node.to_string()));
                    call.node = Some(node);
                    return Err(lost);
                }
                Step::Searching if search.is_settled() || clock.now().since(search.started()) >= limit => {
                    // Nobody could begin the next one before.
                    self.deployment.place().probe_not_before(clock.now().as_nanos());
                    return Err(refusal);
                }
                Step::Searching => {}
            }
            let now = clock.now();
            if until.passed(now) {
                break;
            }
            turn.breathe(now.as_nanos());
            search.wait(network, clock, None, until.min(Deadline::after(now, Some(BREATH))));
        }
        desk.probes.push(Probe { deployment, search, turn, generation, identity, limit });
        Err(refusal)
    }

    /// The probe of our deployment, if this process has begun one and is still in charge of it.
    fn probe_on(&self, desk: &mut Desk, now: Instant) -> Option<Probe> {
        for index in (0..desk.probes.len()).rev() {
            let probe = &desk.probes[index];
            let forgotten = now.since(probe.search.started()) > FORGOTTEN_AFTER;
            if probe.generation != current_generation() || forgotten {
                desk.probes.swap_remove(index).end();
            }
        }
        let is_ours =
            |probe: &Probe| Arc::ptr_eq(&probe.deployment, &self.deployment) && probe.identity == self.identity;
        let index = desk.probes.iter().position(is_ours)?;
        let mut probe = desk.probes.swap_remove(index);
        probe.turn.breathe(now.as_nanos()).then_some(probe)
    }

    /// Begins a probe, if one is due and nobody else searches. Also says how long to wait for it.
    fn begin_probe(&self, now: Instant) -> Result<Option<(Probe, Duration)>, Lost> {
        let place = self.deployment.place();
        let Trouble::Open { next_probe: due, .. } = place.trouble(now.as_nanos()) else { return Ok(None) };
        if now < Instant::of_nanos(due) {
            return Ok(None);
        }
        self.see_pass()?;
        let mut settings = self.search_settings()?;
        let Some(turn) = place.take_turn(now.as_nanos()) else { return Ok(None) };
        // Said before anything else: if we are killed, the others wait no longer than this.
        let is_patient = place.probe_at(next_probe(now)).is_multiple_of(PATIENT_EACH);
        COUNTERS.searches.increment();
        settings.timeout = if is_patient { settings.timeout } else { settings.timeout.min(PROBE_LIMIT) };
        let limit = settings.timeout.max(PROBE_LIMIT);
        let delay = now.since(Instant::of_nanos(due));
        let part = if is_patient && delay >= RARE { limit } else { delay / PATIENT_PART };
        let cap = self.configuration.policy.retry.cap;
        let mut search = Search::wide(self.deployment.key(), &self.deployment.knowledge(), settings, cap, now);
        // All were away for long: whoever is back first is not doubted.
        search.believe_at(now);
        search.ask_once();
        let (deployment, generation) = (self.deployment.clone(), current_generation());
        let identity = self.identity.clone();
        let probe = Probe { deployment, search: Box::new(search), turn, generation, identity, limit };
        Ok(Some((probe, part.clamp(PATIENCE, limit))))
    }
}

fn next_probe(now: Instant) -> u64 {
    (now + PROBE_EVERY + Backoff::new(PROBE_JITTER, PROBE_JITTER).next_wait()).as_nanos()
}
