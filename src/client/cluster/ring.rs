//! Nodes among which the client shares the keys, because they say that they are no cluster. Predis does the same, and
//! puts each key at the same node.

use std::time::Duration;

use crate::config::{Configuration, NodeAddress};
use crate::time::Deadline;
use crate::topology::{Ring, SlotMap};

use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::Detour;
use super::map::unserved;

/// What nodes of which the user says that they share the keys turned out to be.
enum Nature {
    Standalone,
    Cluster,
}

impl Client {
    /// Learns from any node that answers whether they are a cluster: if not, the keys are shared among them.
    pub(super) fn learn_nature(
        &mut self,
        desk: &mut Desk,
        until: Deadline,
        patience: Duration,
    ) -> Result<(), Box<Failure>> {
        let ring = Ring::of(&self.configuration.ring);
        let nodes: Vec<NodeAddress> =
            self.configuration.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect();
        let map = SlotMap::of_ring(nodes.iter().cloned(), ring, self.now());
        // The node that the command is for has to be there in any case.
        let first = map.slots_of(None, desk.frame.bytes()).one().map_or(0, usize::from);
        let mut last = None;
        for place in (first..nodes.len()).chain(0..first) {
            match self.nature_of(desk, place, until, patience) {
                Ok(Nature::Standalone) => {
                    self.deployment.slots().learn(&map);
                    self.follow_map();
                    return Ok(());
                }
                Ok(Nature::Cluster) => return self.enter_true_cluster(desk, place, &nodes, until, patience),
                Err(failure) if failure.kind == Kind::Credentials => return Err(failure),
                Err(failure) => last = Some(failure),
            }
            if until.passed(self.now()) {
                break;
            }
        }
        Err(last.unwrap_or_else(|| unserved(None, "")))
    }

    /// The nodes are those of a cluster, as one of them says: then all are.
    fn enter_true_cluster(
        &mut self,
        desk: &mut Desk,
        place: usize,
        nodes: &[NodeAddress],
        until: Deadline,
        patience: Duration,
    ) -> Result<(), Box<Failure>> {
        if let Some(error) = &self.configuration.disagreement {
            return Err(Box::new(Failure::misuse("", error.to_string())));
        }
        let node = &nodes[place];
        let limit = Deadline::after(self.now(), Some(patience)).min(until);
        let map = self.ask_for_map(desk, node, limit)?;
        for (other, address) in nodes.iter().enumerate().filter(|(_, other)| map.shard_with(other).is_none()) {
            match self.nature_of(desk, other, until, patience) {
                Ok(Nature::Standalone) => return Err(mixed(node, address)),
                Err(failure) if failure.kind == Kind::Credentials => return Err(failure),
                _ => {}
            }
        }
        self.deployment.slots().learn(&map);
        self.follow_map();
        Ok(())
    }

    fn nature_of(
        &mut self,
        desk: &mut Desk,
        place: usize,
        until: Deadline,
        patience: Duration,
    ) -> Result<Nature, Box<Failure>> {
        let mut client = Client::new(self.world.clone(), self.configuration.apart[place].clone());
        client.bound_by(Deadline::after(self.now(), Some(patience)).min(until), Deadline::NEVER);
        self.lend_pass(&mut client);
        let result = desk.asking(&["PING"], |desk| client.connect_alone(desk));
        self.adopt_events(&mut client);
        match result {
            Ok(()) => Ok(Nature::Standalone),
            Err(failure) if failure.kind == Kind::Cluster => Ok(Nature::Cluster),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the nodes share the keys by themselves.
    pub(super) fn is_ring(&self) -> bool {
        self.map().is_some_and(|map| map.is_ring())
    }

    /// The way of a command that begins. A node of a ring is waited for: no other has its keys.
    pub(super) fn detour(&self) -> Detour {
        if self.is_ring() { Detour::renewed() } else { Detour::default() }
    }

    /// What a shard said, as it is for the whole.
    pub(super) fn as_of_whole(&self, place: usize, failure: Box<Failure>) -> Box<Failure> {
        if failure.kind != Kind::Cluster {
            return failure;
        }
        let other = self.configuration.endpoints.iter().enumerate().find(|(other, _)| *other != place);
        let other = other.map_or_else(|| self.address_of(place), |(_, endpoint)| endpoint.address.clone());
        mixed(&self.address_of(place), &other)
    }
}

/// A shard's configuration, where `whole` is that of all.
pub(super) fn configuration_at(whole: &Configuration, map: &SlotMap, place: usize) -> Configuration {
    match whole.apart.get(place).filter(|_| map.is_ring()) {
        Some(node) => node.clone(),
        None => whole.at_shard(&map.shards()[place].nodes()),
    }
}

/// The failure where nodes of one list are of two kinds.
fn mixed(cluster: &NodeAddress, standalone: &NodeAddress) -> Box<Failure> {
    let text = format!(
        "{cluster} says that it is a node of a cluster, and {standalone} says that it is none: keys can be shared among nodes of one kind only (option cluster = 'predis' with several nodes)"
    );
    Box::new(Failure::misuse("", text))
}
