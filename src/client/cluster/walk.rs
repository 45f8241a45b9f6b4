//! One iteration over the keys of all shards, which no key escapes that is there from its beginning to its end, though slots
//! move meanwhile.
//!
//! A server's `SCAN` gives each key that is there in the moment in which the cursor passes it. So a slot is done when one
//! node was walked whole while the slot, with all its keys, was at that node. The node says so itself at the beginning, now
//! and then, and at the end; what happened between two looks shows in its configuration epoch, which grows when a slot comes
//! to it: then the pages since the last look are had again, with another look soon.
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
        let shard = self.done.missing().find_map(|slot| map.shard_of(slot))?;
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
        let (place, cursor) = self.leg.as_ref().map_or((0, 0), |leg| {
            (map.shard_with(&leg.node).unwrap_or(0) as u128, u128::from(leg.cursor.unwrap_or(0)))
        });
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
mod tests {
    use super::*;
    use crate::command::SLOTS;
    use crate::topology::Shard;

    fn node(port: u16) -> NodeAddress {
        NodeAddress::tcp("10.0.0.1", port)
    }

    /// Two shards: slots below 10 at the first, the others at the second.
    fn map() -> SlotMap {
        let shards = [1, 2].map(|port| Shard { primary: node(port), replicas: vec![] });
        SlotMap::of(shards.to_vec(), |slot| usize::from(slot >= 10))
    }

    fn says(port: u16, epoch: u64, slots: impl IntoIterator<Item = u16>, leaving: &[(u16, u16)]) -> Ownership {
        let leaving = leaving.iter().map(|(slot, to)| (*slot, node(*to))).collect();
        Ownership { id: port.to_string(), epoch, whole: slots.into_iter().collect(), leaving }
    }

    fn walk() -> Walk {
        Walks::default().begin(SlotSet::default())
    }

    /// Ends the walk over the present node; `settled` as it is for [`Walk::arrive`].
    fn end(walk: &mut Walk, said: Ownership, settled: bool) -> bool {
        let mut leg = walk.leg.take().unwrap();
        leg.turn(0);
        let counts = leg.look(said, 0) && leg.cursor().is_none();
        if counts {
            walk.arrive(leg, |_| settled);
        } else {
            walk.leg = Some(leg);
        }
        counts
    }

    fn undone(walk: &Walk) -> Vec<u16> {
        walk.done.missing().take_while(|slot| *slot < 20).collect()
    }

    #[test]
    fn slots_that_stay_at_a_node_are_done_with_it() {
        let mut walk = walk();
        assert_eq!(walk.next_node(&map()), Some(node(1)));
        assert!(walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0));
        assert!(end(&mut walk, says(1, 1, 0..10, &[]), false));
        assert_eq!(walk.next_node(&map()), Some(node(2)));
        assert!(!walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0), "there is nothing more");
        assert!(walk.set_out(node(2), says(2, 2, 10..SLOTS as u16, &[]), 0, 0));
        assert!(end(&mut walk, says(2, 2, 10..SLOTS as u16, &[]), false));
        assert_eq!(walk.next_node(&map()), None);
    }

    #[test]
    fn slots_that_left_or_came_meanwhile_are_not() {
        let mut walk = walk();
        walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
        assert!(end(&mut walk, says(1, 1, (0..8).chain(30..40), &[]), false));
        assert_eq!(undone(&walk)[..3], [8, 9, 10]);
        assert!(!walk.is_done(30));
    }

    #[test]
    fn pages_before_which_slots_came_are_had_again_and_then_looked_at_soon() {
        let mut walk = walk();
        walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
        let leg = walk.leg.as_mut().unwrap();
        (1..=PAGES).for_each(|page| leg.turn(u64::from(page)));
        assert!(leg.needs_look() && leg.look(says(1, 1, 0..10, &[]), 0) && !leg.needs_look());
        leg.turn(99);
        assert!(!end(&mut walk, says(1, 2, 0..10, &[]), false));
        let leg = walk.leg.as_mut().unwrap();
        assert_eq!(leg.cursor(), Some(u64::from(PAGES)));
        leg.turn(77);
        assert!(leg.needs_look());
        assert!(end(&mut walk, says(1, 2, 0..10, &[]), false));
        assert_eq!(undone(&walk)[..2], [10, 11]);
    }

    #[test]
    fn another_process_at_the_place_counts_for_nothing() {
        for (said, incarnation) in [(says(5, 1, 0..10, &[]), 0), (says(1, 1, 0..10, &[]), 1)] {
            let mut walk = walk();
            walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
            assert!(!walk.leg.take().unwrap().look(said, incarnation));
        }
    }

    #[test]
    fn a_slot_that_is_half_moved_is_done_when_both_nodes_were_walked_in_that_order() {
        let half = || says(1, 1, 0..9, &[(9, 2)]);
        let mut walk = walk();
        walk.set_out(node(1), says(1, 1, 0..10, &[]), 0, 0);
        assert!(end(&mut walk, half(), false));
        assert_eq!(undone(&walk)[..2], [9, 10]);
        assert_eq!(walk.next_node(&map()), Some(node(2)));
        walk.set_out(node(2), says(2, 2, 10..20, &[]), 0, 0);
        let left = walk.leg.as_ref().unwrap().arriving()[0].clone();
        assert!(left.is_settled(&half()) && !left.is_settled(&says(1, 3, 0..9, &[(9, 2)])));
        assert!(!left.is_settled(&says(1, 1, 0..9, &[])), "it went elsewhere");
        assert!(end(&mut walk, says(2, 2, 10..20, &[]), true));
        assert_eq!(undone(&walk), [0; 0]);
    }

    #[test]
    fn a_slot_that_was_half_moved_and_came_back_is_walked_again() {
        let mut walk = walk();
        walk.set_out(node(1), says(1, 1, 0..9, &[(9, 2)]), 0, 0);
        assert!(!end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
        assert!(end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
        assert!(walk.left.is_empty());
        walk.set_out(node(1), says(1, 5, 0..9, &[(9, 2)]), 0, 0);
        assert!(end(&mut walk, says(1, 5, 0..9, &[(9, 2)]), false));
        walk.set_out(node(2), says(2, 6, 9..20, &[]), 0, 0);
        assert!(end(&mut walk, says(2, 6, 10..20, &[]), true));
        assert_eq!(undone(&walk), [9], "it had arrived, and went away");
    }

    #[test]
    fn a_cursor_is_known_once_and_tells_the_place_to_others() {
        let mut walks = Walks::default();
        let mut walk = walks.begin(SlotSet::default());
        walk.set_out(node(2), says(2, 1, 10..20, &[]), 0, 0);
        walk.leg.as_mut().unwrap().turn(17);
        let handed = walk.hand(&map());
        assert!(handed > 0 && handed < u128::from(u32::MAX));
        walks.put(walk);
        let place = Place::of(handed, 2);
        assert_eq!((place.shard, place.cursor), (1, 17));
        assert!(walks.take(handed + 1).is_none() && walks.take(0).is_none());
        let walk = walks.take(handed).unwrap();
        assert!(walks.take(handed).is_none());
        walks.put(walk);
        for _ in 0..WALKS {
            let mut other = walks.begin(SlotSet::default());
            other.hand(&map());
            walks.put(other);
        }
        assert!(walks.take(handed).is_none(), "the oldest is forgotten");
    }
}
