//! `SCAN` over all shards as one iteration: page by page, node by node, looking at what each has.

use redis::Value;

use crate::command::{Command, find, slot_of};
use crate::config::NodeAddress;
use crate::resp::{Sink, ValueSink};
use crate::time::Deadline;
use crate::topology::{Ownership, SlotSet};

use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::super::telling::adopt_events;
use super::Detour;
use super::fan::elements;
use super::map::unserved;
use super::walk::{Leg, Place, Walk};

/// What one call has in hand.
struct Step<'a> {
    /// The words of the command; the second is the cursor.
    words: &'a mut [Vec<u8>],
    walk: &'a mut Walk,
    detour: Detour,
    until: Deadline,
}

impl Client {
    /// Gives a page of the iteration that the command in the desk's frame goes on with, or begins.
    pub(super) fn run_scan(
        &mut self,
        desk: &mut Desk,
        sink: &mut dyn Sink,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let mut words: Vec<Vec<u8>> = desk.frame.words().into_iter().map(<[u8]>::to_vec).collect();
        let given = words.get(1).and_then(|cursor| std::str::from_utf8(cursor).ok()?.parse::<u128>().ok());
        let Some(given) = given else {
            return Err(Box::new(Failure::misuse("SCAN", "SCAN takes a cursor: 0, or the one of the reply before")));
        };
        // Whatever lies at a node of a ring is given: nothing ever moves from one to another.
        let apart = if self.is_ring() { SlotSet::default() } else { apart_from_tag(&words) };
        let walks = &mut self.cluster.get_or_insert_default().walks;
        let known = walks.take(given);
        let is_new = given != 0 && known.is_none();
        let mut walk = known.unwrap_or_else(|| walks.begin(apart));
        let mut step = Step { words: &mut words, walk: &mut walk, detour: self.detour(), until };
        let joined = if is_new { self.join(desk, &mut step, given) } else { Ok(()) };
        let page = joined.and_then(|()| self.next_page(desk, &mut step));
        let walks = &mut self.cluster.get_or_insert_default().walks;
        let page = match page {
            Ok((0, page)) => (0, page),
            Ok(page) => {
                walks.put(walk);
                page
            }
            Err(failure) => {
                // As it was: the cursor of before stays good.
                if !is_new && given != 0 {
                    walks.put(walk);
                }
                return Err(failure);
            }
        };
        let cursor = Value::BulkString(page.0.to_string().into_bytes());
        self.hand_out(Value::Array(vec![cursor, Value::Array(page.1)]), sink);
        Ok(())
    }

    /// Goes on with a cursor that this object does not know: as if what stands before its place in the map were done.
    fn join(&mut self, desk: &mut Desk, step: &mut Step<'_>, given: u128) -> Result<(), Box<Failure>> {
        let Some(map) = self.map().cloned() else { return Ok(()) };
        let place = Place::of(given, map.shards().len());
        (0..place.shard).for_each(|shard| step.walk.suppose_done(&Ownership::by_map(&map, shard)));
        let Some(node) = map.shards().get(place.shard).map(|shard| shard.primary.clone()) else { return Ok(()) };
        let said = self.look_at(desk, &node, step)?;
        step.walk.set_out(node.clone(), said, self.incarnation_of(&node), place.cursor);
        Ok(())
    }

    /// The next page, and the cursor to hand out with it.
    fn next_page(&mut self, desk: &mut Desk, step: &mut Step<'_>) -> Result<(u128, Vec<Value>), Box<Failure>> {
        loop {
            let result = self.turn_page(desk, step);
            let failure = match result {
                Ok(Some(page)) => return Ok(page),
                Ok(None) => continue,
                Err(failure) => failure,
            };
            // All nodes of a shard may have been replaced by others.
            if !step.detour.may_have_moved(&failure) {
                return Err(failure);
            }
            self.wait_for_change(desk, &mut step.detour, step.until, None, failure)?;
        }
    }

    /// One step towards the next page.
    fn turn_page(&mut self, desk: &mut Desk, step: &mut Step<'_>) -> Result<Option<(u128, Vec<Value>)>, Box<Failure>> {
        self.follow_map();
        let Some(map) = self.map().cloned() else { return Err(unserved(None, "")) };
        let Some(leg) = &step.walk.leg else {
            let Some(node) = step.walk.next_node(&map) else { return Ok(Some((0, Vec::new()))) };
            return self.set_out(desk, step, &node).map(|()| None);
        };
        let node = leg.node.clone();
        let Some(cursor) = leg.cursor().filter(|_| !leg.needs_look()) else {
            return self.look_back(desk, step).map(|()| None);
        };
        step.words[1] = cursor.to_string().into_bytes();
        let (reply, _) = self.ask_node(desk, &node, step.words, &step.detour, step.until)?;
        let [next, keys] = &mut reply_parts(reply)[..] else { return Err(no_page(&node)) };
        let incarnation = self.incarnation_of(&node);
        let Some(leg) = step.walk.leg.as_mut().filter(|leg| leg.is_at(incarnation)) else {
            // Another process, to which the cursor meant nothing.
            step.walk.leg = None;
            return Ok(None);
        };
        let Some(next) = text_of(next).and_then(|next| next.parse().ok()) else { return Err(no_page(&node)) };
        leg.turn(next);
        let mut keys = elements(std::mem::replace(keys, Value::Nil));
        if step.walk.has_done() && !map.is_ring() {
            keys.retain(|key| !matches!(key, Value::BulkString(key) if step.walk.is_done(slot_of(key))));
        }
        // So that the last page comes with the cursor of the end. If the node cannot be looked at now, it is the next time.
        if next == 0 && self.look_back(desk, step).is_ok() && step.walk.leg.is_none() {
            self.follow_map();
            if self.map().is_some_and(|map| step.walk.next_node(map).is_none()) {
                return Ok(Some((0, keys)));
            }
        }
        Ok(Some((step.walk.hand(&map), keys)))
    }

    /// Begins the walk over a node, if it still has what it is said to have.
    fn set_out(&mut self, desk: &mut Desk, step: &mut Step<'_>, node: &NodeAddress) -> Result<(), Box<Failure>> {
        let said = self.look_at(desk, node, step)?;
        if step.walk.set_out(node.clone(), said, self.incarnation_of(node), 0) {
            return Ok(());
        }
        let failure = unserved(None, &format!("{node} does not have the slots that it is said to have"));
        self.wait_for_change(desk, &mut step.detour, step.until, Some(node), failure)
    }

    /// Looks at the node that is walked, and counts what of it is done, if it was the last page.
    fn look_back(&mut self, desk: &mut Desk, step: &mut Step<'_>) -> Result<(), Box<Failure>> {
        let Some(node) = step.walk.leg.as_ref().map(|leg| leg.node.clone()) else { return Ok(()) };
        let said = self.look_at(desk, &node, step)?;
        let incarnation = self.incarnation_of(&node);
        let Some(leg) = step.walk.leg.as_mut() else { return Ok(()) };
        let is_same = leg.look(said, incarnation);
        if is_same && leg.cursor().is_some() {
            return Ok(());
        }
        let leg = step.walk.leg.take();
        if let Some(leg) = leg.filter(|_| is_same) {
            let sources = self.look_at_sources(desk, step, &leg);
            step.walk
                .arrive(leg, |left| sources.iter().any(|(node, said)| *node == left.from && left.is_settled(said)));
        }
        Ok(())
    }

    /// Looks at the nodes that slots on their way to this one have left. Those that cannot be asked prove nothing.
    fn look_at_sources(&mut self, desk: &mut Desk, step: &Step<'_>, leg: &Leg) -> Vec<(NodeAddress, Ownership)> {
        let mut sources: Vec<(NodeAddress, Ownership)> = Vec::new();
        for left in leg.arriving() {
            if sources.iter().all(|(node, _)| *node != left.from)
                && let Ok(said) = self.look_at(desk, &left.from, step)
            {
                sources.push((left.from.clone(), said));
            }
        }
        sources
    }

    /// What a node says of its slots; what the map says of it, if it may not be asked.
    fn look_at(&mut self, desk: &mut Desk, node: &NodeAddress, step: &Step<'_>) -> Result<Ownership, Box<Failure>> {
        // A node of a ring has nothing to say of slots; but asked it shows whether it is the process that it was.
        let words = if self.is_ring() { vec![b"PING".to_vec()] } else { vec![b"CLUSTER".to_vec(), b"NODES".to_vec()] };
        let said = match self.ask_node(desk, node, &words, &step.detour, step.until) {
            Ok(_) if self.is_ring() => None,
            Ok((reply, at)) => {
                let asked = self.deployment.key().speaker(at);
                text_of(&reply).and_then(|text| Ownership::read(text, &asked))
            }
            Err(failure) if matches!(failure.kind, Kind::Server(_)) => None,
            Err(failure) => return Err(failure),
        };
        let by_map = || {
            let map = self.map()?;
            Some(Ownership::by_map(map, map.shard_with(node)?))
        };
        Ok(said.or_else(by_map).unwrap_or_default())
    }

    /// Has a node answer, or whoever is primary of its shard. Gives who that was, as far as is known.
    fn ask_node(
        &mut self,
        desk: &mut Desk,
        node: &NodeAddress,
        words: &[Vec<u8>],
        detour: &Detour,
        until: Deadline,
    ) -> Result<(Value, NodeAddress), Box<Failure>> {
        let row: Option<&'static Command> = find(&words[0]);
        let mut sink = ValueSink::default();
        let at = match self.map().and_then(|map| map.shard_with(node)) {
            Some(place) => {
                let patience = detour.patience(self.now());
                desk.asking(words, |desk| self.run_on(place, desk, row, &mut sink, until, patience))?;
                self.address_of(place)
            }
            // It has keys, but no slot yet.
            None => {
                self.invite(node, until)?;
                let guest = self.cluster.as_deref_mut().and_then(|cluster| cluster.guest.as_deref_mut());
                let Some(guest) = guest else { return Err(unserved(None, "")) };
                let result = desk.asking(words, |desk| guest.run_alone(desk, row, &mut sink));
                adopt_events(&mut self.events, guest);
                result?;
                node.clone()
            }
        };
        Ok((sink.take().unwrap_or(Value::Nil), at))
    }

    /// Counts the processes that were seen as primary of a node's shard.
    fn incarnation_of(&mut self, node: &NodeAddress) -> u64 {
        match self.map().and_then(|map| map.shard_with(node)) {
            Some(place) => self.shard(place).deployment.incarnation(),
            None => self
                .cluster
                .as_ref()
                .and_then(|cluster| cluster.guest.as_ref())
                .map_or(0, |guest| guest.deployment.incarnation()),
        }
    }
}

/// The slots that a walk has nothing to look for in: where the pattern's hash tag allows one only, all others.
fn apart_from_tag(words: &[Vec<u8>]) -> SlotSet {
    let mut options = words.get(2..).unwrap_or_default().chunks_exact(2);
    let pattern = options.rfind(|option| option[0].eq_ignore_ascii_case(b"MATCH")).map(|option| &option[1]);
    let Some(slot) = pattern.and_then(|pattern| slot_of_pattern(pattern)) else { return SlotSet::default() };
    let mut others: SlotSet = SlotSet::default().missing().collect();
    others.remove(slot);
    others
}

/// The slot of all keys that a pattern fits, if its hash tag says that.
fn slot_of_pattern(pattern: &[u8]) -> Option<u16> {
    let open = pattern.iter().position(|byte| *byte == b'{')?;
    let close = open + pattern[open..].iter().position(|byte| *byte == b'}')?;
    let is_plain = !pattern[..close].iter().any(|byte| b"*?[\\".contains(byte));
    (is_plain && close > open + 1).then(|| slot_of(&pattern[..=close]))
}

fn reply_parts(reply: Value) -> Vec<Value> {
    if let Value::Array(parts) = reply { parts } else { Vec::new() }
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn no_page(node: &NodeAddress) -> Box<Failure> {
    Box::new(Failure {
        node: Some(node.to_string()),
        ..Failure::misuse("SCAN", format!("{node} gave no page to SCAN"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_a_plain_hash_tag_is_about_one_slot() {
        for (pattern, slot) in [
            ("{a}*", Some("a")),
            ("x{a}:?", Some("a")),
            ("{a}", Some("a")),
            ("*{a}", None),
            ("{a*}", None),
            ("{}a", None),
            ("{a", None),
            ("[{a}]*", None),
            ("a*", None),
        ] {
            assert_eq!(slot_of_pattern(pattern.as_bytes()), slot.map(|key| slot_of(key.as_bytes())), "{pattern}");
        }
        let words: Vec<Vec<u8>> =
            ["SCAN", "0", "COUNT", "5", "match", "{a}*"].map(|word| word.as_bytes().to_vec()).to_vec();
        assert_eq!(apart_from_tag(&words).missing().collect::<Vec<_>>(), [slot_of(b"a")]);
        assert!(apart_from_tag(&words[..4]).is_empty());
    }
}
