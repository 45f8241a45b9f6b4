//! Which shard serves which slot, as the whole process knows it, and as the workers of a host tell each other (P10).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::board::{Place, Publication, Turn, Volume};
use crate::config::NodeAddress;
use crate::time::Instant;
use crate::topology::{Shard, SlotMap};

use super::Deployment;

/// The map of a deployment that turned out to be a cluster; empty while it did not.
#[derive(Debug)]
pub struct Slots {
    map: Mutex<Option<Arc<SlotMap>>>,
    /// Counts the maps; 0 while there is none.
    edition: AtomicU64,
    /// What is known of the shards, by their nodes: kept for as long as the map has them.
    shards: Mutex<HashMap<Vec<NodeAddress>, Arc<Deployment>>>,
    /// Where the workers tell each other.
    volume: Volume,
    /// The volume's news as of the last look, and the stamp of what was read or written last.
    seen: AtomicU32,
    stamp: AtomicU64,
    /// Whether something is known here that the others were not told yet.
    untold: AtomicBool,
}

impl Slots {
    pub(super) fn new(volume: Volume) -> Slots {
        Slots {
            map: Mutex::default(),
            edition: AtomicU64::new(0),
            shards: Mutex::default(),
            volume,
            seen: AtomicU32::new(0),
            stamp: AtomicU64::new(0),
            untold: AtomicBool::new(false),
        }
    }

    /// Counts the maps that there were; 0 while there is none. To be compared without a lock.
    #[inline]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The map, and its edition.
    pub fn map(&self) -> Option<(Arc<SlotMap>, u64)> {
        let map = self.map.lock();
        map.clone().map(|map| (map, self.edition()))
    }

    /// Keeps what is known of a shard while no client has it in hand, until the map has other shards.
    pub fn keep(&self, nodes: Vec<NodeAddress>, known: &Arc<Deployment>) {
        let Some((map, _)) = self.map() else { return };
        let mut shards = self.shards.lock();
        shards.insert(nodes, known.clone());
        if shards.len() > map.shards().len() {
            let present: HashSet<Vec<NodeAddress>> = map.shards().iter().map(Shard::nodes).collect();
            shards.retain(|nodes, _| present.contains(nodes));
        }
    }

    /// The record of the map: its turn is the right to ask for it.
    pub fn place(&self) -> &Place {
        self.volume.take()
    }

    /// Learns what a node has told.
    pub fn learn(&self, learned: &SlotMap) {
        self.join(learned);
        if !learned.is_ring() {
            self.untold.store(true, Ordering::Release);
        }
    }

    /// Learns that a slot is served by the shard of that node; heard `at` that time. False if no shard is known to have it.
    pub fn assign(&self, slot: u16, node: &NodeAddress, at: Instant) -> bool {
        let mut map = self.map.lock();
        let Some(known) = map.as_mut() else { return false };
        let Some(shard) = known.shard_with(node) else { return false };
        if known.shard_of(slot) != Some(shard) {
            // Copied once, while somebody has the former map in hand, and not for each slot.
            Arc::make_mut(known).assign(slot, shard, at);
            self.edition.fetch_add(1, Ordering::AcqRel);
            self.untold.store(true, Ordering::Release);
        }
        true
    }

    /// Whether another worker has told something, or should be told. All that a command costs without either: two loads.
    #[inline]
    pub fn is_stirred(&self) -> bool {
        let news = self.volume.first().map_or(0, |place| place.news());
        news != self.seen.load(Ordering::Relaxed) || self.untold.load(Ordering::Relaxed)
    }

    /// Takes over what another worker has told, and what nobody was told yet tells them.
    #[cold]
    pub(super) fn exchange(&self, now: Instant, admits: impl Fn(&NodeAddress) -> bool) {
        self.hear(&admits);
        if self.untold.load(Ordering::Acquire) {
            // Somebody asks for the map at the moment: what he tells is news, and we come back.
            let place = self.place();
            let turn = place.is_shared().then(|| place.take_turn(now.as_nanos()));
            if !matches!(turn, Some(None)) {
                self.tell(turn.flatten().as_ref(), now, admits);
            }
        }
    }

    /// Looks for what other workers have told before this one began.
    pub(super) fn look(&self, admits: impl Fn(&NodeAddress) -> bool) {
        self.volume.look();
        self.hear(admits);
    }

    /// Tells the others what is known, if they do not know. The turn has to be held, unless nobody is there to be told. What
    /// they have told before the turn was taken is looked at first: it would be overwritten.
    pub(super) fn tell(&self, turn: Option<&Turn>, now: Instant, admits: impl Fn(&NodeAddress) -> bool) {
        self.hear(admits);
        self.untold.store(false, Ordering::Release);
        let Some((map, _)) = self.map().filter(|_| turn.is_some() && self.place().is_shared()) else { return };
        let Some(text) = map.encode() else { return };
        if let Publication::Done(stamp) = self.volume.publish(text.as_bytes(), now.as_nanos()) {
            self.stamp.store(stamp, Ordering::Release);
        }
    }

    fn hear(&self, admits: impl Fn(&NodeAddress) -> bool) {
        let Some(place) = self.volume.first() else { return };
        // Read first: what is told after this is news again.
        self.seen.store(place.news(), Ordering::Relaxed);
        if place.stamp() == self.stamp.load(Ordering::Acquire) {
            return;
        }
        let Some(told) = self.volume.read() else { return };
        self.stamp.store(told.stamp, Ordering::Release);
        let Some(told) = SlotMap::decode(&told.bytes, admits) else { return };
        if self.join(&told) {
            self.untold.store(true, Ordering::Release);
        }
    }

    /// Takes over what is new of a map. True if something is known that it does not say.
    fn join(&self, other: &SlotMap) -> bool {
        let mut map = self.map.lock();
        let joined = map.as_ref().map_or_else(|| other.clone(), |own| own.joined(other));
        let says_more = joined != *other;
        if map.as_ref().is_none_or(|own| **own != joined) {
            *map = Some(Arc::new(joined));
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
        says_more
    }
}

#[cfg(test)]
mod tests;
