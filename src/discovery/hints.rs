//! Where else to look: what names, sentinels and the nodes themselves say of others. A hint is never more than that;
//! who is primary is asked of the node it leads to.

use crate::config::NodeAddress;
use crate::connection::Network;
use crate::time::Instant;
use crate::topology::Mode;

use super::names::Name;
use super::search::{MOST_TARGETS, MOST_WITH_NAMED, Search};
use super::sentinels::Sentinels;
use super::target::Target;

/// A server may announce more names than a deployment has nodes; each costs the name server some questions.
const MOST_NAMES: usize = 32;

impl Search {
    /// Asks for the addresses behind names, and the nodes at new ones.
    pub(super) fn ask_names(&mut self, network: &dyn Network, now: Instant, again: bool) {
        let mut found = Vec::new();
        for name in &mut self.names {
            if again {
                name.ask(network, self.started, now);
            }
            let most = if name.is_configured() { MOST_WITH_NAMED } else { MOST_TARGETS };
            found.extend(name.answer(now, self.settings.errand.tls()).map(|nodes| (nodes, most)));
        }
        for (nodes, most) in found {
            for node in nodes {
                if self.add(node, most)
                    && let Some(target) = self.targets.last_mut()
                {
                    target.ask(network, &self.settings, now);
                    self.rounds = self.rounds.max(1);
                }
            }
        }
    }

    /// An endpoint that says that it is a Sentinel is asked for the primary instead.
    pub(super) fn recognise_sentinels(&mut self, network: &dyn Network, now: Instant) {
        let is_sentinel = |target: &Target| target.report().is_some_and(|report| report.mode == Mode::Sentinel);
        if !self.targets.iter().any(is_sentinel) {
            return;
        }
        let nodes = self.targets.iter().filter(|target| is_sentinel(target)).map(|target| target.node.clone());
        let nodes: Vec<NodeAddress> =
            nodes.filter(|node| self.endpoints.contains(node) || self.is_named_by_dns(node)).collect();
        if nodes.is_empty() {
            return;
        }
        self.targets.retain(|target| !nodes.contains(&target.node));
        let (settings, probe) = (&self.sentinel_settings, &self.settings);
        let sentinels = self
            .sentinels
            .get_or_insert_with(|| Sentinels::new(settings, &[], None, self.allowed.as_ref(), probe, now));
        nodes.iter().for_each(|node| sentinels.add(node));
        sentinels.ask(network, now);
    }

    /// What sentinels say is where to look; who is primary there is asked of the node itself.
    pub(super) fn follow_sentinels(&mut self, network: &dyn Network, now: Instant) {
        let Some(sentinels) = &mut self.sentinels else { return };
        let (primaries, replicas) = sentinels.step(network, self.started, now);
        if sentinels.have_spoken() {
            self.heard_at.get_or_insert(now);
        }
        let narrow = self.widen_at != Instant::FAR_FUTURE;
        for node in primaries {
            self.follow(&node, MOST_WITH_NAMED, network, now);
        }
        for node in replicas {
            if !narrow {
                self.follow(&node, MOST_TARGETS, network, now);
            } else if !self.others.contains(&node) {
                self.others.push(node);
            }
        }
    }

    /// Asks a node that another one named, if it is not there yet and there are fewer than `most`.
    fn follow(&mut self, node: &NodeAddress, most: usize, network: &dyn Network, now: Instant) {
        if self.add_hinted(node, most)
            && let Some(target) = self.targets.last_mut()
        {
            target.ask(network, &self.settings, now);
            target.step(&self.settings, now);
        }
    }

    /// A replica names its primary: the demoted node of a planned failover knows the promoted one.
    pub(super) fn follow_hints(&mut self, network: &dyn Network, now: Instant) {
        let hints: Vec<NodeAddress> = self
            .targets
            .iter()
            .filter_map(Target::report)
            .flat_map(|report| report.primary.iter().chain(&report.replicas))
            .cloned()
            .collect();
        let narrow = self.widen_at != Instant::FAR_FUTURE;
        for hint in hints {
            if narrow {
                if !self.others.contains(&hint) {
                    self.others.push(hint);
                }
            } else {
                self.follow(&hint, MOST_TARGETS, network, now);
            }
        }
    }

    /// Adds a node that another one named, if it may be used. A name (a server may announce one) is resolved first.
    pub(super) fn add_hinted(&mut self, node: &NodeAddress, most: usize) -> bool {
        if !self.allowed.as_ref().is_none_or(|allowed| allowed.admit(node) || self.endpoints.contains(node)) {
            return false;
        }
        match Name::announced(node) {
            None => self.add(node.clone(), most),
            Some(name) => {
                if !self.names.iter().any(|known| known.is(node)) && self.names.len() < MOST_NAMES {
                    self.names.push(name);
                }
                false
            }
        }
    }
}
