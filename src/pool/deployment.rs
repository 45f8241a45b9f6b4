//! One deployment as the whole process knows it: several client objects share what any of them finds out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::board::{Place, Turn, Volume};
use crate::config::{
    AllowedNodes, Configuration, Credentials, Endpoint, NodeAddress, NodeAddresses, Protocol, RingMember,
    SentinelSettings, Tls,
};
use crate::telemetry::Toll;
use crate::time::Instant;
use crate::topology::{Knowledge, Report, Role, SlotMap, Speaker, Watched};

use super::readers::Readers;
use super::{Allowed, Answer, Plan, Slots, Watch};

/// What makes two configurations speak of the same deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeploymentKey {
    /// The configured endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The endpoint of replicas.
    pub reader: Option<Endpoint>,
    /// Where discovery may lead; none means wherever it leads.
    pub allowed_nodes: Option<AllowedNodes>,
    /// Where nodes are that announce other addresses.
    pub node_addresses: NodeAddresses,
    /// How sentinels are asked, if the endpoints are such.
    pub sentinel: SentinelSettings,
    /// Findings under one user's rights say nothing about another's.
    pub credentials: Credentials,
    /// The version of RESP.
    pub protocol: Protocol,
    /// How connections are secured.
    pub tls: Option<Tls>,
    /// Whether the endpoint is the only node to talk to, whatever its role.
    pub fixed: bool,
    /// Whether the endpoints are the nodes of one shard of a cluster.
    pub shard: bool,
    /// How the endpoints share keys, if they may be a ring.
    pub ring: Vec<RingMember>,
}

/// A deployment and what is known of it.
#[derive(Debug)]
pub struct Deployment {
    pub(super) key: DeploymentKey,
    pub(super) knowledge: Mutex<Knowledge>,
    /// A copy of the knowledge's epoch, to be compared without a lock.
    pub(super) epoch: AtomicU64,
    /// Where the workers tell each other what they find.
    pub(super) place: Place,
    /// The place's news as of the last look.
    pub(super) seen: AtomicU32,
    /// What the present disturbance has cost so far.
    disturbance: Mutex<Disturbance>,
    pub(super) watch: Watch,
    readers: Readers,
    slots: Slots,
}

/// What keeps the commands of this process from their primary. It ends when one is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// When the first command met it; `None` while there is none.
    pub since: Option<Instant>,
    /// What it has cost so far.
    pub toll: Toll,
}

impl DeploymentKey {
    /// The deployment that a configuration speaks of.
    pub fn of(configuration: &Configuration) -> DeploymentKey {
        DeploymentKey {
            endpoints: configuration.endpoints.clone(),
            reader: configuration.reader.clone(),
            allowed_nodes: configuration.allowed_nodes.clone(),
            node_addresses: configuration.node_addresses.clone(),
            sentinel: configuration.sentinel.clone(),
            credentials: configuration.credentials.clone(),
            protocol: configuration.protocol,
            tls: configuration.tls.clone(),
            fixed: configuration.fixed,
            shard: configuration.shard,
            ring: configuration.ring.clone(),
        }
    }
}

impl DeploymentKey {
    /// Whether a node that another one named, a worker or a server, may be used at all.
    pub fn admits(&self, node: &NodeAddress) -> bool {
        let configured = || self.endpoints.iter().any(|endpoint| endpoint.address == *node);
        self.allowed_nodes.as_ref().is_none_or(|allowed| allowed.admit(node) || configured())
    }
}

impl DeploymentKey {
    /// A node of the deployment, as one that names others.
    pub fn speaker(&self, node: NodeAddress) -> Speaker {
        Speaker { node, addresses: self.node_addresses.clone() }
    }
}

impl Deployment {
    pub(super) fn new(key: DeploymentKey, place: Place, volume: Volume) -> Deployment {
        let slots = Slots::new(volume);
        if !key.fixed && !key.shard {
            slots.look(|node| key.admits(node));
        }
        Deployment {
            key,
            knowledge: Mutex::default(),
            epoch: AtomicU64::new(0),
            place,
            seen: AtomicU32::new(0),
            disturbance: Mutex::default(),
            watch: Watch::default(),
            readers: Readers::default(),
            slots,
        }
    }

    /// Where the user said that it is.
    pub fn key(&self) -> &DeploymentKey {
        &self.key
    }

    /// Counts the changes of who is primary; 0 while none was found.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Counts the server processes that were primary; 0 while none was found.
    pub fn incarnation(&self) -> u64 {
        self.knowledge.lock().incarnation()
    }

    /// What is known now.
    pub fn knowledge(&self) -> Knowledge {
        self.knowledge.lock().clone()
    }

    /// Supposes that these are its nodes, as another node has told, while nothing is known of it.
    pub fn suppose(&self, primary: &NodeAddress, replicas: &[NodeAddress]) {
        let mut knowledge = self.knowledge.lock();
        if knowledge.epoch() == 0 {
            let report = Report { replicas: replicas.to_vec(), ..Report::silent(Role::Primary) };
            knowledge.learn_primary(primary, &report);
            self.epoch.store(knowledge.epoch(), Ordering::Release);
        }
    }

    /// Which shard serves which slot, if it is a cluster.
    #[inline]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Takes over what another worker has told of the slots, and tells what it does not know, if there is either.
    #[inline]
    pub fn exchange_slots(&self, now: impl FnOnce() -> Instant) {
        if self.slots.is_stirred() {
            self.slots.exchange(now(), |node| self.key.admits(node));
        }
    }

    /// Learns what a node has told of the slots, and tells it to the other workers: by whoever has the turn to ask for it.
    pub fn learn_slots(&self, learned: &SlotMap, turn: Option<&Turn>, now: Instant) {
        self.slots.learn(learned);
        self.slots.tell(turn, now, |node| self.key.admits(node));
    }

    /// Learns who watches over it.
    pub fn learn_watched(&self, watched: Watched) {
        self.knowledge.lock().learn_watched(watched);
    }

    /// Looks at the present disturbance, or counts what it costs.
    pub fn disturbance<R>(&self, change: impl FnOnce(&mut Disturbance) -> R) -> R {
        change(&mut self.disturbance.lock())
    }

    /// What a write that begins `now` has to do because of what is known of the primary's replicas.
    pub fn plan(&self, now: Instant, allowed: Allowed) -> Plan {
        self.watch.plan(now, self.epoch(), allowed, &self.place)
    }

    /// Takes what the primary of `epoch` answered when it was asked for its replicas.
    pub fn heed(&self, epoch: u64, answer: Answer, now: Instant) {
        let answer = match answer {
            Answer::Primary(named) => {
                Answer::Primary(named.into_iter().map(|node| self.key.node_addresses.of(node)).collect())
            }
            other => other,
        };
        let replicas = match &answer {
            Answer::Primary(replicas) => replicas.iter().filter(|node| self.key.admits(node)).cloned().collect(),
            _ => Vec::new(),
        };
        let complete = self.watch.heed(epoch, answer, now, &self.place);
        let mut knowledge = self.knowledge.lock();
        if knowledge.epoch() == epoch {
            // Those that are missed may be the next primary: they are not forgotten.
            if complete { knowledge.learn_replicas(replicas) } else { knowledge.hear_of_replicas(replicas) }
        }
    }

    /// Says that the replicas of the primary of `epoch` did not acknowledge a write.
    pub fn suspect(&self, epoch: u64, now: Instant) {
        self.watch.suspect(epoch, now, &self.place);
    }

    /// The nodes that reads may go to.
    #[inline]
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// What is known of the primary's replicas, and what is due because of it.
    #[inline]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}
