//! One iteration over the keys of all shards, which no key escapes that is there from its beginning to its end, though slots
//! move meanwhile.
//!
//! A server's `SCAN` gives each key that is there in the moment in which the cursor passes it. So a slot is done when one
//! node was walked whole while the slot, with all its keys, was at that node. The node says so itself at the beginning, now
//! and then, and at the end; that a slot went and came back between two looks shows in its configuration epoch. It grows
//! when a slot comes to it, unless it is the largest of all already, and after a slot has gone it is not: the one who
//! took it has the largest. Then the pages since the last look are had again, with another look soon. Slots that only
//! came do not count. A handing over that was called off between two looks shows nowhere.
//!
//! A slot whose keys move one by one is done, too, if the node that it leaves was walked, and after that the one that it
//! goes to, and the first has taken no slot over since: each key was at the first, or at the second from then on. So a
//! resharding that was broken off ends no iteration never.

use std::collections::HashMap;

use crate::config::NodeAddress;
use crate::topology::{Ownership, SlotMap, SlotSet};

/// After how many pages a node is looked at, at first and at the most. They are had again if slots have come to it.
const PAGES: u32 = 16;
const MOST_PAGES: u32 = 1_024;

/// How many iterations of one client object are known at a time.
const WALKS: usize = 16;

/// Numbers of iterations in cursors: the lowest bits.
const NUMBERS: u128 = 4_096;

/// The iterations that a client object has begun, those used last at the end.
#[derive(Default)]
pub struct Walks {
    open: Vec<Walk>,
    count: u64,
}

/// One iteration.
#[derive(Debug)]
pub struct Walk {
    number: u16,
    /// The cursor that was handed out last.
    handed: u128,
    /// The slots that nothing is missing of.
    done: SlotSet,
    /// Slots on their way, after the node that they leave was walked.
    left: Vec<Left>,
    pub leg: Option<Leg>,
}

/// A slot on its way: where it was, and where the rest of its keys is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    slot: u16,
    pub from: NodeAddress,
    id: String,
    epoch: u64,
    pub to: NodeAddress,
    /// Whether it has arrived.
    arrived: bool,
}

/// The walk over one node.
#[derive(Debug)]
pub struct Leg {
    pub node: NodeAddress,
    incarnation: u64,
    id: String,
    epoch: u64,
    /// The slots that were whole there at each look.
    whole: SlotSet,
    /// The slots that have been on their way since a look, and were whole before.
    leaving: HashMap<u16, NodeAddress>,
    /// The slots that come to it, whose former node was walked.
    arriving: Vec<Left>,
    /// Where the next page is; none after the last.
    cursor: Option<u64>,
    /// Where it was at the last look.
    looked: u64,
    pages: u32,
    until_look: u32,
}

/// What a cursor says to those who do not know its walk.
pub struct Place {
    pub shard: usize,
    pub cursor: u64,
}

impl Walks {
    /// Takes the iteration that a cursor belongs to out of those that are known.
    pub fn take(&mut self, given: u128) -> Option<Walk> {
        let at = self.open.iter().position(|walk| given != 0 && walk.handed == given)?;
        Some(self.open.remove(at))
    }

    /// A new iteration, with some slots done from the start.
    pub fn begin(&mut self, done: SlotSet) -> Walk {
        if self.count == 0 {
            use std::hash::{BuildHasher, Hasher};
            // The cursors of other clients are rarely like ours.
            self.count = std::hash::RandomState::new().build_hasher().finish() / 2;
        }
        self.count += 1;
        let number = 1 + u16::try_from(u128::from(self.count) % (NUMBERS - 1)).unwrap_or(0);
        Walk { number, handed: 0, done, left: Vec::new(), leg: None }
    }

    /// Puts an iteration back; the one that was not used for the longest time is forgotten.
    pub fn put(&mut self, walk: Walk) {
        if self.open.len() == WALKS {
            self.open.remove(0);
        }
        self.open.push(walk);
    }

    pub fn clear(&mut self) {
        self.open.clear();
    }
}

impl Place {
    /// What a cursor says by itself.
    pub fn of(given: u128, shards: usize) -> Place {
        let (rest, shards) = (given / NUMBERS, shards.max(1) as u128);
        Place { shard: (rest % shards) as usize, cursor: u64::try_from(rest / shards).unwrap_or(0) }
    }
}

impl Walk {
    /// Whether a slot is done, so that its keys need not be given again.
    pub fn is_done(&self, slot: u16) -> bool {
        self.done.contains(slot)
    }

    /// Takes all that a node has for done.
    pub fn suppose_done(&mut self, said: &Ownership) {
        self.done.add(&said.whole);
    }

    /// Whether anything is done.
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// The node to walk next; none if all that anybody serves is done.
    pub fn next_node(&self, map: &SlotMap) -> Option<NodeAddress> {
        if let Some(left) = self.left.first() {
            return Some(left.to.clone());
        }
        // In the order of the shards: a cursor says which one is next, and those before it are done.
        let shard = self.done.missing().filter_map(|slot| map.shard_of(slot)).min()?;
        map.shards().get(shard).map(|shard| shard.primary.clone())
    }

    /// Begins the walk over a node, at a cursor. False if it has nothing that is not done.
    pub fn set_out(&mut self, node: NodeAddress, said: Ownership, incarnation: u64, cursor: u64) -> bool {
        let leaving: HashMap<_, _> = said.leaving.into_iter().filter(|(slot, _)| !self.is_done(*slot)).collect();
        let mut arriving: Vec<Left> = self.left.iter().filter(|left| left.to == node).cloned().collect();
        arriving.iter_mut().for_each(|left| left.arrived = said.whole.contains(left.slot));
        if said.whole.is_within(&self.done) && leaving.is_empty() && arriving.is_empty() {
            return false;
        }
        self.leg = Some(Leg {
            node,
            incarnation,
            id: said.id,
            epoch: said.epoch,
            whole: said.whole,
            leaving,
            arriving,
            cursor: Some(cursor),
            looked: cursor,
            pages: 0,
            until_look: PAGES,
        });
        true
    }

    /// The walk over a node is over, with a last look at it. `settled` says of slots that have come to it whether they were
    /// on one way only.
    pub fn arrive(&mut self, leg: Leg, settled: impl Fn(&Left) -> bool) {
        self.done.add(&leg.whole);
        leg.arriving.iter().filter(|left| settled(left)).for_each(|left| self.done.insert(left.slot));
        self.left.retain(|left| left.to != leg.node);
        let on_their_way = leg.leaving.into_iter().map(|(slot, to)| Left {
            slot,
            from: leg.node.clone(),
            id: leg.id.clone(),
            epoch: leg.epoch,
            to,
            arrived: false,
        });
        self.left.extend(on_their_way);
        let done = &self.done;
        self.left.retain(|left| !done.contains(left.slot));
    }

    /// The cursor to hand out, given the shards of the map.
    pub fn hand(&mut self, map: &SlotMap) -> u128 {
        let shards = map.shards().len().max(1) as u128;
        let (node, cursor) = match &self.leg {
            Some(leg) => (Some(leg.node.clone()), leg.cursor.unwrap_or(0)),
            None => (self.next_node(map), 0),
        };
        let place = node.and_then(|node| map.shard_with(&node)).unwrap_or(0) as u128;
        let cursor = u128::from(cursor);
        self.handed = (cursor * shards + place) * NUMBERS + u128::from(self.number);
        self.handed
    }
}

impl Left {
    /// Whether keys can have gone only one way, by what the node that they left says now.
    pub fn is_settled(&self, said: &Ownership) -> bool {
        let is_same = said.id == self.id && said.epoch == self.epoch;
        is_same && (self.arrived || said.leaving.get(&self.slot) == Some(&self.to))
    }
}

impl Leg {
    /// Where the next page is; none after the last.
    pub fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// Whether the node has to be looked at before anything else.
    pub fn needs_look(&self) -> bool {
        self.cursor.is_none() || self.pages >= self.until_look
    }

    /// A page was had.
    pub fn turn(&mut self, next: u64) {
        self.pages += 1;
        self.cursor = (next != 0).then_some(next);
    }

    /// Whether it is still the process whose cursors these are.
    pub fn is_at(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation
    }

    /// The slots that come to the node, whose former node was walked.
    pub fn arriving(&self) -> &[Left] {
        &self.arriving
    }

    /// Looks at the node. False if it is another one, so that nothing counts.
    pub fn look(&mut self, said: Ownership, incarnation: u64) -> bool {
        if self.id != said.id || !self.is_at(incarnation) {
            return false;
        }
        let came = self.epoch != said.epoch;
        let was_whole = &self.whole;
        // One that was on its way and came back may have brought keys to where the cursor had been.
        self.leaving.retain(|slot, to| !came && said.leaving.get(slot) == Some(to));
        self.leaving.extend(said.leaving.into_iter().filter(|(slot, _)| was_whole.contains(*slot)));
        self.whole.keep(&said.whole);
        self.arriving.retain_mut(|left| {
            let stays = said.whole.contains(left.slot);
            let keeps = stays || !left.arrived;
            left.arrived |= stays;
            keeps
        });
        self.epoch = said.epoch;
        self.pages = 0;
        if came {
            self.cursor = Some(self.looked);
            self.until_look = 1;
        } else {
            self.looked = self.cursor.unwrap_or(0);
            self.until_look = (self.until_look * 2).min(MOST_PAGES);
        }
        true
    }
}

#[cfg(test)]
mod tests;
