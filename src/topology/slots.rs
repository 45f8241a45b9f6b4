//! Which shard of a cluster serves which slot, as one node told it; or which node of a ring has which keys.

use std::collections::{BTreeMap, HashMap};

use redis::Value;

use crate::command::{Command, SLOTS, Slots, slot_of, slots_of};
use crate::config::NodeAddress;
use crate::time::Instant;

use super::Speaker;
use super::ring::Ring;

/// More than these a hostile node may claim, but no cluster has: one is made for up to a thousand nodes.
pub(super) const MOST_SHARDS: usize = 1_000;
pub(super) const MOST_REPLICAS: usize = 64;
/// When more slots than these moved since somebody asked for the map, it is time to ask again: each of them is told to
/// the other workers with each change, and what they tell each other has a bound. None is forgotten until then, or
/// those who have heard of it and those who have not would correct each other for ever.
const MANY_MOVES: usize = 256;
/// The place of the node of a ring that has all that is published.
const MESSAGES: u16 = 0;

/// One shard: a primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// The primary, as of the time when the node that was asked said so.
    pub primary: NodeAddress,
    /// The others, in order.
    pub replicas: Vec<NodeAddress>,
}

impl Shard {
    /// Whether a node belongs to it.
    pub fn includes(&self, node: &NodeAddress) -> bool {
        self.primary == *node || self.replicas.contains(node)
    }

    /// All its nodes, in an order that does not depend on who is primary.
    pub fn nodes(&self) -> Vec<NodeAddress> {
        let mut nodes = self.replicas.clone();
        nodes.push(self.primary.clone());
        nodes.sort();
        nodes
    }
}

/// The shards, and the slots that each of them serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap {
    pub(super) shards: Vec<Shard>,
    /// For each slot the number of its shard, counted from one; zero where nobody serves it.
    pub(super) owners: Box<[u16]>,
    /// When the node was asked that told it.
    pub(super) asked: Instant,
    /// The slots that have moved since, and when that was heard.
    pub(super) moved: BTreeMap<u16, Instant>,
    /// If the nodes know nothing of each other: where they stand. The slot of a key is the place of its node.
    pub(super) ring: Option<Ring>,
}

impl SlotMap {
    /// Shards, and for each slot the place of the one that serves it.
    #[cfg(test)]
    pub fn of(shards: Vec<Shard>, owner: impl Fn(u16) -> usize) -> SlotMap {
        let owners = (0..SLOTS as u16).map(|slot| owner(slot) as u16 + 1).collect();
        SlotMap { shards, owners, ..SlotMap::empty(Instant::default()) }
    }

    pub(super) fn empty(asked: Instant) -> SlotMap {
        let owners = vec![0; SLOTS].into_boxed_slice();
        SlotMap { shards: Vec::new(), owners, asked, moved: BTreeMap::new(), ring: None }
    }

    /// Reads the reply to `CLUSTER SLOTS` that the node `asked` gave, which was asked `at` that time. Where that names
    /// no host, the host that was asked is meant. Only nodes that `admits` is true of are taken; `None` if the reply is
    /// none, or leaves no shard.
    pub fn read(reply: &Value, asked: &Speaker, at: Instant, admits: impl Fn(&NodeAddress) -> bool) -> Option<SlotMap> {
        let Value::Array(ranges) = reply else { return None };
        if ranges.len() > SLOTS {
            return None;
        }
        let (mut map, mut numbers) = (SlotMap::empty(at), HashMap::new());
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = &parts[..] else { return None };
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let [primary, replicas @ ..] = nodes else { continue };
            let Some(primary) = address_in(primary, asked).filter(&admits) else { continue };
            let replicas = replicas.iter().take(MOST_REPLICAS).filter_map(|node| address_in(node, asked));
            let mut replicas: Vec<NodeAddress> = replicas.filter(&admits).collect();
            replicas.sort();
            let number = map.number_of(Shard { primary, replicas }, &mut numbers)?;
            map.owners.get_mut(first..=last)?.fill(number);
        }
        (!map.shards.is_empty()).then_some(map)
    }

    /// The map of nodes that share the keys on a ring, in the order of their places.
    pub fn of_ring(nodes: impl Iterator<Item = NodeAddress>, ring: Ring, at: Instant) -> SlotMap {
        let mut map = SlotMap { ring: Some(ring), ..SlotMap::empty(at) };
        map.shards = nodes.map(|primary| Shard { primary, replicas: Vec::new() }).collect();
        let owned = map.owners.iter_mut().take(map.shards.len());
        owned.zip(1..).for_each(|(owner, number)| *owner = number);
        map
    }

    /// Whether the nodes know nothing of each other.
    pub fn is_ring(&self) -> bool {
        self.ring.is_some()
    }

    /// The slot of a key.
    #[inline]
    pub fn slot_of(&self, key: &[u8]) -> u16 {
        self.ring.as_ref().map_or_else(|| slot_of(key), |ring| ring.place_of(key))
    }

    /// The slot of the keys of an encoded command.
    #[inline]
    pub fn slots_of(&self, row: Option<&Command>, encoded: &[u8]) -> Slots {
        match &self.ring {
            None => slots_of(row, encoded, slot_of),
            Some(_) if row.is_some_and(|row| matches!(row.name, "PUBLISH" | "PUBSUB")) => Slots::One(MESSAGES),
            Some(ring) => slots_of(row, encoded, |key| ring.place_of(key)),
        }
    }

    /// Where messages are published and heard, if that is not the same everywhere: no node of a ring tells another, so
    /// all of them are at one.
    pub fn slot_of_messages(&self) -> Option<u16> {
        self.is_ring().then_some(MESSAGES)
    }

    /// A slot for messages.
    pub fn shown(&self, slot: u16) -> String {
        match self.shard_of(slot).and_then(|place| self.shards.get(place)).filter(|_| self.is_ring()) {
            Some(node) => format!("at {}", node.primary),
            None => format!("in slot {slot}"),
        }
    }

    /// The number of a shard, which is new or has had slots before. `numbers` are those given so far, by primaries.
    pub(super) fn number_of(&mut self, shard: Shard, numbers: &mut HashMap<NodeAddress, u16>) -> Option<u16> {
        if let Some(number) = numbers.get(&shard.primary) {
            return Some(*number);
        }
        let number = u16::try_from(self.shards.len() + 1).ok().filter(|_| self.shards.len() < MOST_SHARDS)?;
        numbers.insert(shard.primary.clone(), number);
        self.shards.push(shard);
        Some(number)
    }

    /// The shards, in the order of their first slots.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The place of the shard that serves a slot.
    #[inline]
    pub fn shard_of(&self, slot: u16) -> Option<usize> {
        usize::from(*self.owners.get(usize::from(slot))?).checked_sub(1)
    }

    /// How many slots nobody serves.
    pub fn unserved(&self) -> usize {
        self.owners.iter().filter(|owner| **owner == 0).count()
    }

    /// How many slots a shard serves; of a ring, at how many points its node stands.
    pub fn share_of(&self, shard: usize) -> usize {
        match &self.ring {
            None => self.owners.iter().filter(|owner| usize::from(**owner) == shard + 1).count(),
            Some(ring) => ring.points_of(shard),
        }
    }

    /// The place of the shard that a node belongs to.
    pub fn shard_with(&self, node: &NodeAddress) -> Option<usize> {
        let primary = self.shards.iter().position(|shard| shard.primary == *node);
        primary.or_else(|| self.shards.iter().position(|shard| shard.includes(node)))
    }

    /// Gives a slot to a shard: a node said so `at` that time.
    pub fn assign(&mut self, slot: u16, shard: usize, at: Instant) {
        if let (Some(owner), Ok(number)) = (self.owners.get_mut(usize::from(slot)), u16::try_from(shard + 1)) {
            *owner = number;
            self.moved.insert(slot, at);
        }
    }

    /// Whether so much has moved that it should be asked for anew.
    pub fn is_worn(&self) -> bool {
        self.moved.len() > MANY_MOVES
    }

    /// When the node was asked that told the map.
    pub fn asked(&self) -> Instant {
        self.asked
    }

    /// What is known by two maps together: the one that was asked for later, with the slots of the other that have moved
    /// after that. Of what was heard at the same moment one counts, the same for everybody: so a map is never joined to one
    /// that counts less, and who tells what he knows more, and hears what others do, ends with the map that they have.
    pub fn joined(&self, other: &SlotMap) -> SlotMap {
        let order = self.asked.cmp(&other.asked).then_with(|| self.shards.cmp(&other.shards));
        let (later, earlier) = if order.is_lt() { (other, self) } else { (self, other) };
        let mut joined = later.clone();
        if order.is_eq() {
            (0..SLOTS as u16).for_each(|slot| joined.take(slot, earlier.standing(slot)));
            return joined;
        }
        for (slot, at) in earlier.moved.iter().filter(|(_, at)| **at > later.asked) {
            let owner = earlier.shard_of(*slot).map(|shard| &earlier.shards[shard].primary);
            let number =
                owner.and_then(|primary| joined.shard_with(primary)).and_then(|shard| u16::try_from(shard + 1).ok());
            number.into_iter().for_each(|number| joined.take(*slot, (Some(*at), number)));
        }
        joined
    }

    /// When a slot was heard to move, and the number of its shard.
    fn standing(&self, slot: u16) -> (Option<Instant>, u16) {
        (self.moved.get(&slot).copied(), self.owners[usize::from(slot)])
    }

    /// Takes over what counts more of a slot than what is known.
    fn take(&mut self, slot: u16, (at, number): (Option<Instant>, u16)) {
        if (at, number) > self.standing(slot) {
            self.owners[usize::from(slot)] = number;
            self.moved.extend(at.map(|at| (slot, at)));
        }
    }
}

/// The address in `[host, port, id, ...]`.
fn address_in(node: &Value, asked: &Speaker) -> Option<NodeAddress> {
    let Value::Array(parts) = node else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        _ => "",
    };
    asked.names(host, u16::try_from(*port).ok()?)
}

#[cfg(test)]
mod tests;
