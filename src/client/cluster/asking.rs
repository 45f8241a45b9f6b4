//! Learning the map of the slots: from any node that answers, and on behalf of all workers of the host.

use std::time::Duration;

use redis::Value;

use crate::config::{ConfigurationError, NodeAddress};
use crate::resp::ValueSink;
use crate::time::{Deadline, Instant};
use crate::topology::SlotMap;

use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::map::unserved;

/// How often one worker of the host asks for the map though nothing says that it is another one.
const SLOWLY: Duration = Duration::from_secs(60);
/// And how often where many slots move.
const OFTEN: Duration = Duration::from_secs(1);
/// For so long it waits then for a node that has just answered.
const BRIEFLY: Duration = Duration::from_millis(100);
/// For so long who asks may hear nothing without another worker's asking, too.
const LONGEST_BREATH: Duration = Duration::from_millis(500);

impl Client {
    /// Has the map at hand that somebody learned after this was called: asks for it, unless another worker does already.
    /// `first` is the node that knows, and that the map has to have.
    pub(super) fn renew_map(
        &mut self,
        desk: &mut Desk,
        until: Deadline,
        first: Option<&NodeAddress>,
        patience: Duration,
    ) -> Result<(), Box<Failure>> {
        if self.is_ring() {
            // The user has said which nodes there are.
            return Ok(());
        }
        let before = self.cluster.as_deref().map_or(0, |cluster| cluster.edition);
        while !self.has_followed(before, first) {
            let (now, slots) = (self.now(), self.deployment.slots());
            let bell = slots.place().bell().load(std::sync::atomic::Ordering::Acquire);
            desk.asking = slots.place().take_turn(now.as_nanos());
            if desk.asking.is_some() {
                // Whoever had the turn before us has told what he found.
                let result = match self.has_followed(before, first) {
                    true => Ok(()),
                    false => self.ask_around(desk, until, first, patience),
                };
                desk.asking = None;
                return result;
            }
            if until.passed(now) {
                return Err(self.out_of_time(unserved(None, "another worker is still asking for the map")));
            }
            if let Some(left) = slots.place().lease_left(now.as_nanos()) {
                let left = until.remaining(now).map_or(left, |until| until.min(left));
                self.world.network.wait_word(slots.place().bell(), bell, left);
            }
        }
        Ok(())
    }

    /// After a command has been answered: asks the same node for the map, if nobody of the host has for long. So shards
    /// are heard of that no slot of ours has moved to, before they are needed.
    #[inline]
    pub(super) fn look_again(&mut self, desk: &mut Desk, at: usize, now: Instant, until: Deadline) {
        if self.cluster.as_deref().is_some_and(|cluster| cluster.old_from <= now) {
            self.ask_again(desk, at, now, until);
        }
    }

    #[cold]
    fn ask_again(&mut self, desk: &mut Desk, at: usize, now: Instant, until: Deadline) {
        if self.is_ring() || self.pins.any() || desk.has_manner() || desk.is_littered() {
            return;
        }
        let pause = self.map().map_or(SLOWLY, |map| pause_after(map));
        let place = self.deployment.slots().place();
        let turn = place.questions().take(now.as_nanos(), pause).map(|()| place.take_turn(now.as_nanos()));
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.old_from = turn.as_ref().map_or_else(|last| Instant::of_nanos(*last), |_| now) + pause;
        }
        let Ok(Some(turn)) = turn else { return };
        desk.asking = Some(turn);
        let node = self.address_of(at);
        // If it says nothing now, another one will be asked in a while.
        if let Ok(map) = self.ask_for_map(desk, &node, Deadline::after(self.now(), Some(BRIEFLY)).min(until)) {
            self.deployment.learn_slots(&map, desk.asking.as_ref(), self.now());
        }
        desk.asking = None;
    }

    /// Follows what is known. Whether that is another map than `before`, and has the node.
    fn has_followed(&mut self, before: u64, node: Option<&NodeAddress>) -> bool {
        self.follow_map();
        let is_new = self.cluster.as_deref().is_some_and(|cluster| cluster.edition != before);
        is_new && self.map().is_some_and(|map| node.is_none_or(|node| map.shard_with(node).is_some()))
    }

    /// Asks for the map: first the node that knows, then the known primaries, their replicas, and the endpoints.
    fn ask_around(
        &mut self,
        desk: &mut Desk,
        until: Deadline,
        first: Option<&NodeAddress>,
        patience: Duration,
    ) -> Result<(), Box<Failure>> {
        let mut nodes: Vec<NodeAddress> = first.cloned().into_iter().collect();
        if let Some(map) = self.map() {
            nodes.extend(map.shards().iter().map(|shard| shard.primary.clone()));
            nodes.extend(map.shards().iter().flat_map(|shard| shard.replicas.iter().cloned()));
        }
        nodes.extend(self.configuration.endpoints.iter().map(|endpoint| endpoint.address.clone()));
        let mut last = None;
        let mut asked: Vec<NodeAddress> = Vec::new();
        for node in nodes {
            if asked.contains(&node) || !self.deployment.key().admits(&node) {
                continue;
            }
            let now = self.now();
            if let Some(turn) = &mut desk.asking {
                // A promise: nobody breathes while a node is waited for.
                turn.breathe((now + patience.min(LONGEST_BREATH)).as_nanos());
            }
            match self.ask_for_map(desk, &node, Deadline::after(now, Some(patience)).min(until)) {
                Ok(map) => {
                    self.deployment.learn_slots(&map, desk.asking.as_ref(), self.now());
                    self.follow_map();
                    return Ok(());
                }
                Err(failure) if failure.kind == Kind::Credentials => return Err(failure),
                Err(failure) => last = Some(failure),
            }
            if until.passed(self.now()) {
                break;
            }
            asked.push(node);
        }
        Err(last.unwrap_or_else(|| unserved(None, "no node of it may be asked (option `allowed_nodes`)")))
    }

    pub(super) fn ask_for_map(
        &mut self,
        desk: &mut Desk,
        node: &NodeAddress,
        until: Deadline,
    ) -> Result<SlotMap, Box<Failure>> {
        let mut client = self.at_node(node, false);
        client.bound_by(until, Deadline::NEVER);
        let (mut sink, asked_at) = (ValueSink::default(), self.now());
        let row = crate::command::find(b"CLUSTER");
        let result = desk.asking(&["CLUSTER", "SLOTS"], |desk| client.run_alone(desk, row, &mut sink));
        result?;
        // What a question that failed met is told by the command that needs its answer: no failover ended there.
        self.adopt_events(&mut client);
        let key = self.deployment.key();
        let asked = key.speaker(node.clone());
        let reply = sink.take().unwrap_or(Value::Nil);
        let map = SlotMap::read(&reply, &asked, asked_at, |node| key.admits(node));
        map.ok_or_else(|| match SlotMap::read(&reply, &asked, asked_at, |_| true) {
            Some(map) => none_allowed(&map),
            None => unserved(None, &format!("{node} knows no node that serves one")),
        })
    }
}

/// How long a map is good, if nothing says that it is another one.
pub(super) fn pause_after(map: &SlotMap) -> Duration {
    if map.is_worn() { OFTEN } else { SLOWLY }
}

/// The failure where the user has left out all nodes of the cluster.
fn none_allowed(map: &SlotMap) -> Box<Failure> {
    let nodes: Vec<String> = map.shards().iter().map(|shard| shard.primary.to_string()).collect();
    let accepted = format!("a list in which the nodes of the cluster are: {}", nodes.join(", "));
    let error = ConfigurationError::new("allowed_nodes", "one that leaves out every primary of the cluster", accepted);
    Box::new(Failure { kind: Kind::Configuration, ..Failure::misuse("", error.to_string()) })
}
