//! Learning the map of the slots: from any node that answers, and on behalf of all workers of the host.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::resp::ValueSink;
use crate::time::Deadline;
use crate::topology::SlotMap;

use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::map::unserved;

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
                    self.deployment.slots().learn(&map);
                    self.deployment.slots().tell(desk.asking.as_ref(), self.now());
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
        Err(last.unwrap_or_else(|| unserved(None, "no node of it may be asked")))
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
        self.adopt_events(&mut client);
        result?;
        let key = self.deployment.key();
        let asked = key.speaker(node.clone());
        let map = sink.take().and_then(|reply| SlotMap::read(&reply, &asked, asked_at, |node| key.admits(node)));
        map.ok_or_else(|| unserved(None, &format!("{node} knows no node that serves one")))
    }
}
