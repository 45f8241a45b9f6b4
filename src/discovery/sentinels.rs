//! Sentinels under question: a source of hints beside names. All are asked at the same time, again in every round on
//! the connections that are open, and none is waited for longer than the others need.

use std::time::Duration;

use crate::config::{AllowedNodes, Credentials, Endpoint, NodeAddress, NodeAddresses, SentinelSettings};
use crate::connection::{Errand, Interest, Lookup, Network, Pollable};
use crate::failover::{Cause, Lost, Phase};
use crate::time::{Deadline, Instant};
use crate::topology::{Mode, Watch, Watched};

use super::names::Name;
use super::target::{ProbeSettings, Target};

/// Who else is there changes seldom; a search asks for it again after this.
const WHO_ELSE: Duration = Duration::from_millis(500);
/// A service has a handful of sentinels; a hostile one may claim more.
const MOST_SENTINELS: usize = 32;

/// The sentinels of one search.
pub struct Sentinels {
    settings: SentinelSettings,
    /// Who else may be asked.
    allowed: Option<AllowedNodes>,
    service: Option<String>,
    probe: ProbeSettings,
    who_else_at: Instant,
    watchers: Vec<Watcher>,
    names: Vec<Name>,
}

/// One sentinel.
struct Watcher {
    target: Target,
    /// What it said last; it is kept while the next answer is awaited, or fails to come.
    watch: Option<Watch>,
    /// The services that it watches, where none was named.
    services: Vec<String>,
    /// Why it would not tell.
    refusal: Option<String>,
    /// It turned out to be a node that holds data.
    is_node: bool,
    /// Whether it has answered once, or failed to.
    tried: bool,
    /// Whether the last question was about the service, and whether its answer was looked at.
    about_service: bool,
    heard: bool,
}

impl Sentinels {
    /// The sentinels behind `endpoints`, and those that `watched` tells of from earlier. `probe` is how nodes are asked;
    /// who they take us for is not said to sentinels.
    pub fn new(
        settings: &SentinelSettings,
        endpoints: &[Endpoint],
        watched: Option<&Watched>,
        allowed: Option<&AllowedNodes>,
        probe: &ProbeSettings,
        now: Instant,
    ) -> Sentinels {
        let timeout = settings.timeout.unwrap_or(probe.timeout);
        let credentials = if settings.declared { probe.to_sentinels.clone() } else { Credentials::default() };
        let errand = Errand::Questions(credentials, settings.tls.clone(), Vec::new());
        let mut sentinels = Sentinels {
            settings: settings.clone(),
            allowed: allowed.cloned(),
            service: settings.service.clone().or_else(|| watched.map(|watched| watched.service.clone())),
            probe: ProbeSettings { errand, timeout, any_role: false, ..probe.clone() },
            who_else_at: now,
            watchers: Vec::new(),
            names: Vec::new(),
        };
        for endpoint in endpoints {
            sentinels.add(&endpoint.address);
        }
        for node in watched.into_iter().flat_map(|watched| &watched.sentinels) {
            sentinels.add_hinted(node);
        }
        sentinels
    }

    /// Whether a sentinel that another one named may be used.
    fn admits(&self, node: &NodeAddress) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.admit(node))
    }

    /// Adds a sentinel that another one named, if it may be used.
    fn add_hinted(&mut self, node: &NodeAddress) {
        if self.admits(node) {
            self.add_as(node, Name::announced(node));
        }
    }

    /// Adds a sentinel that is not there yet. A name (they may announce one) is resolved first.
    pub fn add(&mut self, node: &NodeAddress) {
        self.add_as(node, Name::of(node));
    }

    fn add_as(&mut self, node: &NodeAddress, name: Option<Name>) {
        match name {
            _ if self.watchers.len() >= MOST_SENTINELS => {}
            Some(_) if self.names.len() >= MOST_SENTINELS || self.names.iter().any(|name| name.is(node)) => {}
            Some(name) => self.names.push(name),
            None if self.watchers.iter().any(|watcher| watcher.target.node == *node) => {}
            None => self.watchers.push(Watcher {
                target: Target::new(node.clone()),
                watch: None,
                services: Vec::new(),
                refusal: None,
                is_node: false,
                tried: false,
                about_service: false,
                heard: true,
            }),
        }
    }

    /// Whether a node is one of them.
    pub fn include(&self, node: &NodeAddress) -> bool {
        self.watchers.iter().any(|watcher| watcher.target.node == *node && !watcher.is_node)
    }

    /// Asks all of them, but for those whose answer is awaited.
    pub fn ask(&mut self, network: &dyn Network, now: Instant) {
        let who_else = now >= self.who_else_at;
        if who_else {
            self.who_else_at = now + WHO_ELSE;
        }
        self.set_questions(who_else);
        for index in 0..self.watchers.len() {
            self.ask_one(index, network, now);
        }
    }

    fn set_questions(&mut self, who_else: bool) {
        let about =
            |question: &str, service: &str| vec!["SENTINEL".to_owned(), question.to_owned(), service.to_owned()];
        let asked = match &self.service {
            None => vec![vec!["SENTINEL".to_owned(), "MASTERS".to_owned()]],
            Some(service) => {
                let all = ["GET-MASTER-ADDR-BY-NAME", "MASTER", "REPLICAS", "SENTINELS"];
                all[..if who_else { 4 } else { 2 }].iter().map(|question| about(question, service)).collect()
            }
        };
        if let Errand::Questions(_, _, questions) = &mut self.probe.errand {
            *questions = asked;
        }
    }

    fn ask_one(&mut self, index: usize, network: &dyn Network, now: Instant) {
        let watcher = &mut self.watchers[index];
        if !watcher.is_node && !watcher.target.is_awaited() {
            watcher.target.ask(network, &self.probe, now);
            (watcher.about_service, watcher.heard) = (self.service.is_some(), false);
        }
    }

    /// Goes on as far as it goes without waiting. Gives the nodes that are named for the first time by an answer:
    /// primaries, and replicas.
    pub fn step(
        &mut self,
        network: &dyn Network,
        started: Instant,
        now: Instant,
    ) -> (Vec<NodeAddress>, Vec<NodeAddress>) {
        // Where sentinels are changes seldom: a name is asked again only while none of them is found.
        let lost = self.are_lost();
        for name in self.names.iter_mut().filter(|name| lost || name.next_at(started).is_none()) {
            name.ask(network, started, now);
        }
        let tls = self.probe.errand.tls();
        let found: Vec<NodeAddress> =
            self.names.iter_mut().filter_map(|name| name.answer(now, tls)).flatten().collect();
        let known = self.watchers.len();
        found.iter().for_each(|node| self.add(node));
        self.set_questions(true);
        (known..self.watchers.len()).for_each(|index| self.ask_one(index, network, now));

        let (mut primaries, mut replicas, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut named = false;
        for watcher in &mut self.watchers {
            watcher.target.step(&self.probe, now);
            if watcher.heard || watcher.target.is_awaited() {
                continue;
            }
            (watcher.heard, watcher.tried) = (true, true);
            watcher.hear(&self.probe.addresses);
            if watcher.is_node {
                primaries.push(watcher.target.node.clone());
            }
            if let ([only], None) = (&watcher.services[..], &self.service) {
                self.service = Some(only.clone());
                named = true;
            }
            if let Some(watch) = &watcher.watch {
                primaries.extend(watch.primary.clone());
                replicas.extend_from_slice(&watch.replicas);
                others.extend_from_slice(&watch.sentinels);
            }
        }
        if self.settings.learn {
            others.iter().for_each(|node| self.add_hinted(node));
        }
        if named {
            self.set_questions(true);
            (0..self.watchers.len()).for_each(|index| self.ask_one(index, network, now));
        }
        (primaries, replicas)
    }

    /// The primary that they name, by the newest configuration.
    pub fn named(&self) -> Option<&NodeAddress> {
        Watch::newest(self.watchers.iter().filter_map(|watcher| watcher.watch.as_ref()))
    }

    /// The replicas that any of them names.
    pub fn replicas(&self) -> impl Iterator<Item = &NodeAddress> {
        self.watchers.iter().filter_map(|watcher| watcher.watch.as_ref()).flat_map(|watch| &watch.replicas)
    }

    /// The service and who watches it: those that answered, and if they may be learned, those that these know of.
    pub fn watched(&self) -> Option<Watched> {
        let mut sentinels = Vec::new();
        for (node, watch) in self.watchers.iter().filter_map(|one| Some((&one.target.node, one.watch.as_ref()?))) {
            sentinels.push(node.clone());
            let others = watch.sentinels.iter().filter(|other| self.settings.learn && self.admits(other));
            sentinels.extend(others.cloned());
        }
        sentinels.sort();
        sentinels.dedup();
        let service = self.service.clone()?;
        (!sentinels.is_empty()).then_some(Watched { service, sentinels })
    }

    /// Whether more than half of them have spoken, so that the rest cannot outvote them, or all had their chance.
    pub fn have_spoken(&self) -> bool {
        let spoken = self.watchers.iter().filter(|watcher| watcher.watch.is_some() || watcher.is_node).count();
        let all_tried = self.watchers.iter().all(|watcher| watcher.tried);
        let all_resolved = self.names.iter().all(Name::has_answered);
        spoken > self.watchers.len() / 2 || (all_tried && all_resolved)
    }

    /// Whether any answer is awaited.
    pub fn is_awaited(&self) -> bool {
        self.watchers.iter().any(|watcher| watcher.target.is_awaited())
            || self.names.iter().any(|name| name.awaited().is_some() || name.next_at(Instant::default()).is_none())
    }

    /// What one waits for, and until when at the most.
    pub fn awaited(&self) -> impl Iterator<Item = (&dyn Pollable, Interest, Deadline)> {
        self.watchers.iter().filter_map(|watcher| watcher.target.awaited())
    }

    /// Names under resolution, and when to ask for the others again.
    pub fn awaited_names(&self, started: Instant) -> impl Iterator<Item = (Option<&dyn Lookup>, Option<Instant>)> {
        let lost = self.are_lost();
        let names = self.names.iter().map(move |name| (name.awaited(), name.next_at(started)));
        names.filter(move |(lookup, next)| lookup.is_some() || next.is_none() || lost)
    }

    /// Whether none of them has answered yet.
    fn are_lost(&self) -> bool {
        self.watchers.iter().all(|watcher| watcher.watch.is_none())
    }

    /// What each of them could not do, for messages.
    pub fn failures(&self) -> impl Iterator<Item = (Option<NodeAddress>, Lost)> {
        let names = self.names.iter().filter_map(|name| Some((None, name.failure()?.clone())));
        names.chain(self.watchers.iter().filter_map(|watcher| {
            let node = watcher.target.node.clone();
            Some((Some(node), self.objection(watcher).or_else(|| watcher.target.loss().cloned())?))
        }))
    }

    /// The failure of each of them; `None` if one has none, or if there are names that lead nowhere.
    pub fn all_failures(&self) -> Option<Vec<(NodeAddress, Lost)>> {
        let failures: Option<Vec<_>> = self.failures().map(|(node, lost)| Some((node?, lost))).collect();
        failures.filter(|failures| failures.len() == self.watchers.len())
    }

    /// Why a Sentinel that answers is of no use, in words for the user.
    fn objection(&self, watcher: &Watcher) -> Option<Lost> {
        if watcher.is_node || watcher.target.is_awaited() || watcher.target.loss().is_some() {
            return None;
        }
        if let Some(refusal) = &watcher.refusal {
            let text = format!("the Sentinel refuses to tell where the primary is; it said: {refusal}");
            return Some(Lost::before(Phase::Auth, Cause::Denied(text)));
        }
        let text = match (&self.service, &watcher.watch) {
            _ if !self.settings.declared && self.settings.credentials != Credentials::default() => {
                "the endpoint is a Sentinel: with credentials, say `'replication' => 'sentinel'` and `service`; those in \
                 the first argument are then for the sentinels, those in option `parameters` for the nodes"
                    .to_owned()
            }
            (None, _) if watcher.services.is_empty() => "the Sentinel watches no service".to_owned(),
            (None, _) => {
                format!("the Sentinel watches several services ({}): name one in option `service`", watcher.services.join(", "))
            }
            (Some(service), Some(watch)) if watch.primary.is_none() => {
                format!("the Sentinel knows no service '{service}' (option `service`)")
            }
            _ => return None,
        };
        Some(Lost::before(Phase::Auth, Cause::NotSupported(text)))
    }
}

impl Watcher {
    /// Takes the answer that has come.
    fn hear(&mut self, addresses: &NodeAddresses) {
        let Some(answers) = self.target.answers() else { return };
        let foreign = |text: &String| text.to_ascii_lowercase().contains("unknown command");
        let first_refusal = answers.first().and_then(|answer| answer.as_ref().err());
        let mode = self.target.report().map(|report| report.mode);
        if mode != Some(Mode::Sentinel) && first_refusal.is_some_and(foreign) {
            self.is_node = true;
            return;
        }
        let values: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
        let told = values.iter().take(2).any(Option::is_some);
        self.refusal = first_refusal.filter(|_| !told).cloned();
        if self.about_service && told {
            self.watch.get_or_insert_default().learn(&values, addresses);
        } else if !self.about_service {
            self.services = values.first().copied().flatten().map(Watch::services).unwrap_or_default();
        }
    }
}
