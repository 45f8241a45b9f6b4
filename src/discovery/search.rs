//! The search for the primary.

use std::time::Duration;

use crate::config::{AllowedNodes, NodeAddress, SentinelSettings};
use crate::connection::{Connection, Interest, Network, Pollable, Waiter};
use crate::failover::{Cause, Lost};
use crate::pool::DeploymentKey;
use crate::time::{Backoff, Clock, Deadline, Instant};
use crate::topology::{Claim, Knowledge, Report, Watched};

use super::names::Name;
use super::sentinels::Sentinels;
pub use super::target::ProbeSettings as SearchSettings;
use super::target::Target;

/// The pace of rounds while a failover is fresh: a promotion is seen within this.
const EAGER_CAP: Duration = Duration::from_millis(25);
const EAGER_FOR: Duration = Duration::from_secs(3);
const PACE_BASE: Duration = Duration::from_millis(4);
/// How long a node of unrelated history must be the only one to claim before it is believed: the known primary may be
/// away for a moment only, and a former one started again would hand out old data.
const DISBELIEF: Duration = Duration::from_secs(1);
/// No round follows another one sooner than this for each node: many nodes are asked less often.
const PACE_OF_EACH: Duration = Duration::from_micros(500);
/// A deployment has a handful of nodes; a name or a hostile server may claim more.
pub(super) const MOST_TARGETS: usize = 128;
/// Where configured names lead, and whom sentinels call the primary, finds room beside any number of claimed replicas.
pub(super) const MOST_WITH_NAMED: usize = 2 * MOST_TARGETS;

/// A search in progress.
pub struct Search {
    pub(super) settings: SearchSettings,
    pub(super) targets: Vec<Target>,
    pub(super) names: Vec<Name>,
    /// Where to look when the obvious place was not it.
    pub(super) others: Vec<NodeAddress>,
    pub(super) other_names: Vec<Name>,
    pub(super) started: Instant,
    pub(super) widen_at: Instant,
    /// Whether it may look everywhere. One worker per host does so at a time; the others hold back.
    pub(super) free: bool,
    /// The sentinels, while they are not to be asked.
    pub(super) aside: Option<Sentinels>,
    once: bool,
    /// Whether anybody has said something else than that he is a replica.
    pub(super) spoken: bool,
    pub(super) next_round: Instant,
    pace: Backoff,
    slow_cap: Duration,
    pub(super) rounds: u32,
    /// Until when all that were asked are waited for, whoever claims to be primary.
    pub(super) all_until: Instant,
    /// The first node that says that it is primary and since when it does, and when that is decided upon.
    pub(super) claimed: Option<(NodeAddress, Instant)>,
    pub(super) decide_at: Option<Instant>,
    /// Since when enough sentinels have spoken.
    pub(super) heard_at: Option<Instant>,
    /// Where the configured endpoints are; the reader endpoint is none of them.
    pub(super) endpoints: Vec<NodeAddress>,
    /// Where else a search may lead; none means wherever it leads.
    pub(super) allowed: Option<AllowedNodes>,
    pub(super) known: Option<NodeAddress>,
    pub(super) known_replicas: Vec<NodeAddress>,
    pub(super) based_on: u64,
    pub(super) histories: Vec<String>,
    pub(super) disbelief_ends: Instant,
    /// A node that must have answered, or failed to, before anybody else is taken; and whether that holds for one that
    /// proves its promotion, too.
    pub(super) waits_for: Option<(NodeAddress, bool)>,
    pub(super) sentinel_settings: SentinelSettings,
    /// Whom the endpoints turned out to be, or were declared to be.
    pub(super) sentinels: Option<Sentinels>,
}

/// Where a search got to.
pub enum Step {
    /// It goes on: wait for it.
    Searching,
    /// A primary.
    Found(Box<Found>),
    /// No node can be it, and none is likely to become it: who asked wrongly gets an answer now.
    Hopeless(NodeAddress, Lost),
}

/// What is seen of a node that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answered something.
    Life,
    /// It could not be reached, or did not answer in time.
    Silence,
}

/// The primary that a search found.
pub struct Found {
    /// Where it is.
    pub node: NodeAddress,
    /// What it said of itself.
    pub report: Report,
    /// The connection on which it said so, ready for a command.
    pub connection: Box<Connection>,
    /// The nodes that said that they are replicas.
    pub replicas: Vec<NodeAddress>,
    /// What it has to do with the primary that was known.
    pub claim: Claim,
    /// The service and its sentinels, if it was found through such.
    pub watched: Option<Watched>,
    /// The primary that was known, if it did not answer.
    pub silent: Option<NodeAddress>,
    /// The publication that the search was based on.
    pub based_on: u64,
}

impl Search {
    /// Looks everywhere at once.
    pub fn wide(
        key: &DeploymentKey,
        knowledge: &Knowledge,
        settings: SearchSettings,
        cap: Duration,
        now: Instant,
    ) -> Search {
        let watched = knowledge.watched();
        let sentinels = (key.sentinel.declared || watched.is_some()).then(|| {
            Sentinels::new(&key.sentinel, &key.endpoints, watched, key.allowed_nodes.as_ref(), &settings, now)
        });
        let endpoints = if sentinels.is_some() { &[][..] } else { &key.endpoints[..] };
        let mut search = Search {
            settings,
            targets: Vec::new(),
            names: Vec::new(),
            others: Vec::new(),
            other_names: Vec::new(),
            started: now,
            widen_at: Instant::FAR_FUTURE,
            free: true,
            aside: None,
            once: false,
            spoken: false,
            next_round: now,
            pace: Backoff::new(PACE_BASE, EAGER_CAP.min(cap)),
            slow_cap: cap,
            rounds: 0,
            all_until: now,
            claimed: None,
            decide_at: None,
            heard_at: None,
            endpoints: key.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect(),
            allowed: key.allowed_nodes.clone(),
            known: knowledge.primary().cloned(),
            known_replicas: knowledge.replicas().iter().filter(|node| knowledge.was_replica(node)).cloned().collect(),
            based_on: knowledge.stamp(),
            histories: knowledge.histories().to_vec(),
            disbelief_ends: now + DISBELIEF,
            waits_for: None,
            sentinel_settings: key.sentinel.clone(),
            sentinels,
        };
        for endpoint in endpoints.iter().chain(&key.reader) {
            match Name::of(&endpoint.address) {
                Some(name) => search.names.push(name),
                None => {
                    search.add(endpoint.address.clone(), MOST_WITH_NAMED);
                }
            }
        }
        for node in knowledge.primary().into_iter().chain(knowledge.replicas()) {
            search.add_hinted(node, MOST_TARGETS);
        }
        search
    }

    /// Says that a claim that nothing supports is taken at `instant` at the latest: a command with little time left can
    /// not wait for better ones.
    pub fn believe_at(&mut self, instant: Instant) {
        self.disbelief_ends = self.disbelief_ends.min(instant);
    }

    /// Says that `node` was the primary, with these histories, and that its silence is what is looked into.
    pub fn suspect(&mut self, node: NodeAddress, histories: Vec<String>) {
        self.known = Some(node.clone());
        self.histories = histories;
        self.waits_for = Some((node, false));
    }

    /// Says that the answer of `node` is wanted, whoever else claims to be primary.
    pub fn ask_first(&mut self, node: NodeAddress) {
        self.waits_for = Some((node, true));
    }

    /// Says that these nodes are to be asked, too, and that everybody's answer is wanted, until `instant`.
    pub fn ask_all(&mut self, nodes: &[NodeAddress], instant: Instant) {
        for node in nodes {
            self.add_hinted(node, MOST_TARGETS);
            if !self.known_replicas.contains(node) {
                self.known_replicas.push(node.clone());
            }
        }
        self.all_until = instant;
        // What they could name are replicas, and those are known: a look around now and then is not worth their time.
        self.sentinels = None;
    }

    /// The primary that was known when it began.
    pub fn known(&self) -> Option<&NodeAddress> {
        self.known.as_ref()
    }

    /// The publication that it is based on.
    pub fn based_on(&self) -> u64 {
        self.based_on
    }

    /// Has it ask everybody once, and not again.
    pub fn ask_once(&mut self) {
        self.once = true;
    }

    /// When the search began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How many rounds have begun.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Whether everything that was asked has been answered, one way or the other.
    pub fn is_settled(&self) -> bool {
        self.others.is_empty()
            && self.other_names.is_empty()
            && self.aside.is_none()
            && self.rounds > 0
            && !self.is_awaiting()
    }

    /// What the last question to a node showed of it; `None` while its answer is awaited.
    pub fn sign_of(&self, node: &NodeAddress) -> Option<Sign> {
        let target = self.targets.iter().find(|target| target.node == *node)?;
        match target.failure() {
            Some(lost) => match lost.cause {
                Cause::TimedOut(_) | Cause::Io(_) | Cause::Closed => Some(Sign::Silence),
                // It would not let us in, or spoke nonsense: but it spoke.
                _ => Some(Sign::Life),
            },
            None => target.report().map(|_| Sign::Life),
        }
    }

    /// Goes on as far as it goes without waiting.
    pub fn step(&mut self, network: &dyn Network, clock: &dyn Clock) -> Step {
        let now = clock.now();
        if self.free && now >= self.widen_at {
            self.widen(now);
        }
        let held_back = self.is_held_back(now);
        self.ask_names(network, now, !held_back);
        if now >= self.next_round && !held_back {
            self.begin_round(network, now);
        }
        for target in &mut self.targets {
            target.step(&self.settings, now);
        }
        self.listen();
        self.recognise_sentinels(network, now);
        self.follow_sentinels(network, now);
        self.follow_hints(network, now);
        if let Some(winner) = self.winner(now) {
            return Step::Found(Box::new(winner));
        }
        if self.free && self.widen_at != Instant::FAR_FUTURE && self.is_disappointed() {
            self.widen(now);
            return self.step(network, clock);
        }
        match self.hopeless() {
            Some((node, lost)) => Step::Hopeless(node, lost),
            None => Step::Searching,
        }
    }

    /// Waits until a step would get further, `also` is ready, or `deadline` has passed.
    pub fn wait(
        &self,
        network: &dyn Network,
        clock: &dyn Clock,
        also: Option<(&dyn Pollable, Interest)>,
        deadline: Deadline,
    ) -> bool {
        let now = clock.now();
        let mut until = deadline.instant();
        if !self.is_held_back(now) {
            until = until.min(self.next_round).min(self.widen_at);
        }
        if let Some(decide_at) = self.decide_at.filter(|at| *at > now) {
            until = until.min(decide_at);
        }
        let mut waiters: Vec<Waiter<'_>> = Vec::with_capacity(self.targets.len() + self.names.len() + 1);
        waiters.extend(also.map(|(what, interest)| Waiter { what, interest, ready: false }));
        let sentinels = self.sentinels.iter().flat_map(Sentinels::awaited);
        for (what, interest, limit) in self.targets.iter().filter_map(Target::awaited).chain(sentinels) {
            until = until.min(limit.instant());
            waiters.push(Waiter { what, interest, ready: false });
        }
        let names = self.names.iter().map(|name| (name.awaited(), name.next_at(self.started)));
        for asked in names.chain(self.sentinels.iter().flat_map(|sentinels| sentinels.awaited_names(self.started))) {
            match asked {
                (Some(lookup), _) => {
                    until = until.min(lookup.due().unwrap_or(now));
                    let awaited = lookup.awaited().into_iter();
                    waiters.extend(awaited.map(|(what, interest)| Waiter { what, interest, ready: false }));
                }
                (None, _) if self.is_held_back(now) => {}
                (None, next) => until = until.min(next.unwrap_or(now)),
            }
        }
        let timeout = (until != Instant::FAR_FUTURE).then(|| until.since(now));
        // A poll that fails (no memory) is a short wait; the deadline still holds.
        let waited = network.wait(&mut waiters, timeout);
        waited.is_ok() && also.is_some() && waiters.first().is_some_and(|first| first.ready)
    }

    fn begin_round(&mut self, network: &dyn Network, now: Instant) {
        self.rounds += 1;
        let is_only_endpoint = |node: &NodeAddress| matches!(&self.endpoints[..], [only] if only == node);
        let ambiguous: Vec<usize> = (0..self.targets.len())
            .filter(|index| {
                is_only_endpoint(&self.targets[*index].node) || self.is_named_by_dns(&self.targets[*index].node)
            })
            .collect();
        for index in ambiguous {
            self.targets[index].look_elsewhere(now);
        }
        for target in &mut self.targets {
            target.ask(network, &self.settings, now);
        }
        if let Some(sentinels) = &mut self.sentinels {
            sentinels.ask(network, now);
        }
        // Where there is nobody who could be promoted, nobody's promotion can be missed.
        let alone =
            self.targets.len() <= 1 && self.names.is_empty() && self.others.is_empty() && self.sentinels.is_none();
        if alone || now.since(self.started) > EAGER_FOR {
            self.pace.raise_cap(self.slow_cap);
        }
        if self.once {
            self.next_round = Instant::FAR_FUTURE;
            return;
        }
        // Never a busy loop, whatever the jitter draws, and no flood, however many there are.
        let count = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.next_round = now + self.pace.next_wait().max(PACE_BASE / 4).max(PACE_OF_EACH.saturating_mul(count));
    }

    /// Adds a node that is not there yet, unless there are `most` already.
    pub(super) fn add(&mut self, node: NodeAddress, most: usize) -> bool {
        let known = self.targets.iter().any(|target| target.node == node)
            || self.sentinels.as_ref().is_some_and(|sentinels| sentinels.include(&node));
        if known || self.targets.len() >= most {
            return false;
        }
        self.targets.push(Target::new(node));
        true
    }

    /// What a primary has to do with the one that was known.
    pub(super) fn claim_of(&self, report: &Report) -> Claim {
        Claim::of(report, &self.histories)
    }
}
