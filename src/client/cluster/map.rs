//! The map of the slots: following what is known of it.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{ConfigurationError, NodeAddress};
use crate::failover::{Limit, Phase};
use crate::pool::DeploymentKey;
use crate::time::{Backoff, Deadline, Instant};
use crate::topology::{Shard, SlotMap};

use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::Detour;
use super::asking::pause_after;
use super::fan::Merge;
use super::ring::configuration_at;

/// For how long a node that hangs may keep the question from the next one, at first: far nodes get more later.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

impl Client {
    /// Has the map at hand, asking for it if nobody in this process knows it yet.
    pub(super) fn make_sure_of_map(&mut self, desk: &mut Desk, until: Deadline) -> Result<(), Box<Failure>> {
        if self.configuration.ring.is_empty() {
            self.deployment.slots().place();
        }
        self.follow_map();
        let mut backoff = Backoff::new(Duration::from_millis(10), self.configuration.policy.retry.cap);
        let mut patience = PATIENCE;
        // One that was heard of may have nothing left that this client is allowed to reach.
        while self.map().is_none_or(|map| map.shards().is_empty()) {
            let learned = match self.configuration.ring.is_empty() {
                true => self.renew_map(desk, until, None, patience),
                false => self.learn_nature(desk, until, patience),
            };
            let Err(failure) = learned else { break };
            patience = (patience * 2).min(self.configuration.policy.timeout.max(PATIENCE));
            if until.passed(self.now()) || !is_passing(&failure) {
                return Err(failure);
            }
            self.rest(backoff.next_wait());
        }
        self.check_database()
    }

    /// A cluster has one database.
    fn check_database(&self) -> Result<(), Box<Failure>> {
        let database = self.configuration.database;
        if database == 0 || self.is_ring() {
            return Ok(());
        }
        let accepted = "0, since the servers are a Redis Cluster, which has no other database";
        let error = ConfigurationError::new("database", database.to_string(), accepted);
        Err(Box::new(Failure { kind: Kind::Configuration, ..Failure::misuse("", error.to_string()) }))
    }

    /// Follows what this process, or another worker, has learned of the slots since the last command. Shards that are
    /// as they were keep their clients, and with them what is pinned.
    pub(super) fn follow_map(&mut self) {
        self.deployment.exchange_slots(|| self.world.clock.now());
        let edition = self.deployment.slots().edition();
        let Some(cluster) = self.cluster.as_deref_mut().filter(|cluster| cluster.edition != edition) else { return };
        let Some((map, edition)) = self.deployment.slots().map() else { return };
        let mut former: Vec<Box<Client>> = std::mem::take(&mut cluster.shards).into_iter().flatten().collect();
        let shards = map.shards().iter().map(|shard| {
            let same = |client: &Client| match client.deployment.knowledge().primary() {
                Some(primary) => shard.includes(primary),
                None => client.configuration.endpoints.iter().any(|endpoint| shard.includes(&endpoint.address)),
            };
            former.iter().position(|client| same(client)).map(|place| former.swap_remove(place))
        });
        cluster.shards = shards.collect();
        cluster.torn |= former.iter().any(|client| client.pins.any());
        cluster.map = Some(map);
        cluster.edition = edition;
        let told = cluster.map.as_ref().filter(|map| !map.is_ring());
        cluster.old_from = told.map_or(Instant::FAR_FUTURE, |map| map.asked() + pause_after(map));
        self.note_pin();
    }

    /// A command could not be served where it was thought to belong: looks at the map anew and gives it time to change.
    pub(super) fn wait_for_change(
        &mut self,
        desk: &mut Desk,
        detour: &mut Detour,
        until: Deadline,
        asked: Option<&NodeAddress>,
        failure: Box<Failure>,
    ) -> Result<(), Box<Failure>> {
        let began = self.now();
        // What commands wait by their own will moves their end: it must not for those that are only sent about.
        let longest = self.configuration.policy.command_timeout.unwrap_or(Detour::LONGEST);
        if until.passed(began) || detour.spent >= longest {
            return Err(self.out_of_time(failure));
        }
        if let Some(node) = asked.filter(|_| detour.count > 0) {
            // Other nodes may know one that may be used: the map was looked at once.
            self.may_lead_to(node)?;
        }
        if detour.count > 0 {
            let cap = Duration::from_millis(50);
            let wait = detour.backoff.get_or_insert_with(|| Backoff::new(Duration::from_millis(2), cap)).next_wait();
            self.rest(until.remaining(began).map_or(wait, |left| wait.min(left)));
            desk.budget.spend(self.now().since(began));
        }
        // An old map is better than none.
        let patience = PATIENCE * (1 << detour.count.min(4));
        match self.renew_map(desk, until, asked, patience) {
            Err(failure) if failure.kind == Kind::Credentials => return Err(failure),
            _ => {}
        }
        detour.count += 1;
        detour.spent += self.now().since(began);
        Ok(())
    }

    /// The failure of a command that was sent from node to node until its time was over.
    pub(super) fn out_of_time(&self, failure: Box<Failure>) -> Box<Failure> {
        if !matches!(failure.kind, Kind::Server(_) | Kind::NotSupported) {
            return failure;
        }
        let by_budget = self.cluster.as_ref().is_some_and(|cluster| cluster.ends_by_budget);
        let limit = if by_budget { Limit::RequestBudget } else { Limit::CommandTimeout };
        let end = match self.configuration.policy.command_timeout {
            None if !by_budget => format!("no node has served it for {} s", Detour::LONGEST.as_secs()),
            _ => format!("{} ran out", limit.as_str()),
        };
        let is_narrowed = failure.kind == Kind::NotSupported && self.configuration.allowed_nodes.is_some();
        let of_whom = if is_narrowed { " (of those that the option `allowed_nodes` admits)" } else { "" };
        let message = format!("{end}; the last obstacle: {}{of_whom}: it was not applied", failure.message);
        let phase = Some(failure.phase.unwrap_or(Phase::Read));
        Box::new(Failure { kind: Kind::Timeout(limit), message, phase, ..*failure })
    }

    /// Sees to it that what is for all nodes can be for all of them, unless one of them is enough.
    ///
    /// # Errors
    /// As `see_whole`.
    pub(super) fn see_all(&self, map: &SlotMap, merge: Merge) -> Result<(), Box<Failure>> {
        if merge == Merge::One { Ok(()) } else { self.see_whole(map) }
    }

    /// Sees to it that what is for all keys can be for all of them.
    ///
    /// # Errors
    /// `allowed_nodes` leaves out nodes that may have some.
    pub(super) fn see_whole(&self, map: &SlotMap) -> Result<(), Box<Failure>> {
        if self.configuration.allowed_nodes.is_none() || map.is_ring() {
            return Ok(());
        }
        let missing = map.unserved();
        if missing == 0 {
            return Ok(());
        }
        let text = format!(
            "it is for all nodes of the cluster, and no node that the option `allowed_nodes` admits serves {missing} of \
             the slots: it was not sent"
        );
        Err(Failure::not_supported("", text))
    }

    /// The map, for those who only look; `None` if the deployment is no cluster, or not known to be one yet.
    pub fn slot_map(&self) -> Option<Arc<SlotMap>> {
        self.deployment.slots().map().map(|(map, _)| map)
    }

    /// The shards as this process knows them: a primary that was promoted since the map was made is the primary.
    pub fn shards(&self) -> Vec<Shard> {
        let Some(map) = self.slot_map() else { return Vec::new() };
        (0..map.shards().len()).filter_map(|place| self.shard_in(&map, place)).collect()
    }

    /// One of them, by its place in the map.
    pub fn shard_at(&self, place: usize) -> Option<Shard> {
        self.shard_in(&*self.slot_map()?, place)
    }

    fn shard_in(&self, map: &SlotMap, place: usize) -> Option<Shard> {
        let shard = map.shards().get(place)?;
        let key = DeploymentKey::of(&configuration_at(&self.configuration, map, place));
        let knowledge = self.world.registry.deployment(key).knowledge();
        Some(match knowledge.primary() {
            Some(primary) => Shard { primary: primary.clone(), replicas: knowledge.replicas().to_vec() },
            None => shard.clone(),
        })
    }
}

/// Whether time may mend it.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Connection | Kind::Timeout(_) | Kind::NotSupported)
        || matches!(&failure.kind, Kind::Server(kind) if kind == "CLUSTERDOWN" || kind == "LOADING")
}

/// The failure where nobody serves a slot.
pub(super) fn unserved(slot: Option<u16>, why: &str) -> Box<Failure> {
    let what = slot.map_or_else(|| "the cluster has no slots".to_owned(), |slot| format!("no node serves slot {slot}"));
    Failure::not_supported("", if why.is_empty() { what } else { format!("{what}: {why}") })
}
