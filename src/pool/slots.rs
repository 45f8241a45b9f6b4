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
mod tests {
    use redis::Value;

    use super::*;
    use crate::board::{Board, LEAST_SIZE};
    use crate::config::{Defaults, Setting, configure};
    use crate::pool::DeploymentKey;
    use crate::topology::Speaker;

    fn node(port: u16) -> NodeAddress {
        NodeAddress::tcp("h", port)
    }

    fn map(asked: u64) -> SlotMap {
        ranged(asked, [0, 99, 199])
    }

    /// All slots are served.
    fn wide(asked: u64) -> SlotMap {
        ranged(asked, [0, 16_000, 16_383])
    }

    fn ranged(asked: u64, [first, middle, last]: [i64; 3]) -> SlotMap {
        let range = |first, last, port| {
            let node = Value::Array(vec![Value::BulkString(b"h".to_vec()), Value::Int(port)]);
            Value::Array(vec![Value::Int(first), Value::Int(last), node])
        };
        let reply = Value::Array(vec![range(first, middle, 1), range(middle + 1, last, 2)]);
        SlotMap::read(&reply, &Speaker::plain(node(1)), Instant::of_nanos(asked), |_| true).unwrap()
    }

    fn workers<const N: usize>() -> [Slots; N] {
        let board = Board::shared(usize::try_from(LEAST_SIZE * 4).unwrap()).unwrap();
        board.claim(|| 33, 0);
        let board = Arc::new(board);
        std::array::from_fn(|_| Slots::new(board.volume(&"cluster")))
    }

    fn at(seconds: u64) -> Instant {
        Instant::of_nanos(seconds * 1_000_000_000)
    }

    /// What a worker does before each command.
    fn stir(slots: &Slots, seconds: u64) {
        if slots.is_stirred() {
            slots.exchange(at(seconds), |_| true);
        }
    }

    fn owner(slots: &Slots, slot: u16) -> Option<usize> {
        slots.map().and_then(|(map, _)| map.shard_of(slot))
    }

    #[test]
    fn what_one_worker_learns_the_others_know() {
        let [one, other, late] = workers();
        assert!(other.place().is_shared() && !other.is_stirred());
        one.learn(&map(10));
        stir(&one, 20);
        stir(&other, 20);
        assert_eq!(other.map().unwrap().0, one.map().unwrap().0);
        assert!(other.assign(5, &node(2), at(21)));
        stir(&other, 21);
        stir(&one, 22);
        assert_eq!((owner(&one, 5), owner(&one, 6)), (Some(1), Some(0)));
        // What one has told itself is looked at once.
        stir(&other, 22);
        assert!(!one.is_stirred() && !other.is_stirred(), "all is told and heard");
        late.look(|_| true);
        assert_eq!(owner(&late, 5), Some(1), "known before its first question");
    }

    #[test]
    fn nobody_goes_back_to_an_older_map() {
        let [one, other] = workers();
        one.learn(&map(at(10).as_nanos()));
        stir(&one, 11);
        other.place();
        stir(&other, 11);
        // A slot moves while one asks for the map, and his answer is from before.
        other.assign(5, &node(2), at(13));
        stir(&other, 13);
        one.learn(&map(at(12).as_nanos()));
        stir(&one, 14);
        assert_eq!(owner(&one, 5), Some(1));
        stir(&other, 15);
        assert_eq!(owner(&other, 5), Some(1));
        let known = |slots: &Slots| slots.map().unwrap().0.asked();
        assert_eq!((known(&one), known(&other)), (at(12), at(12)));
        other.learn(&map(at(3).as_nanos()));
        stir(&other, 16);
        stir(&one, 16);
        assert_eq!((known(&one), known(&other)), (at(12), at(12)), "an answer that came very late");
        for _ in 0..3 {
            stir(&one, 17);
            stir(&other, 17);
        }
        assert!(!one.is_stirred() && !other.is_stirred(), "they do not tell each other for ever");
    }

    /// Lets workers hear each other until nobody has anything to tell; how often one of them has told something.
    fn settle(workers: &[&Slots]) -> usize {
        let mut told = 0;
        for _ in 0..20 {
            for worker in workers {
                let before = worker.place().stamp();
                stir(worker, 1_000);
                told += usize::from(worker.place().stamp() != before);
            }
        }
        assert!(workers.iter().all(|worker| !worker.is_stirred()), "they tell each other for ever");
        told
    }

    #[test]
    fn a_worker_that_was_idle_while_many_slots_moved_knows_them_all_at_once() {
        let [one, other] = workers();
        one.learn(&wide(at(10).as_nanos()));
        settle(&[&one, &other]);
        for slot in 0..1_500 {
            assert!(one.assign(slot, &node(2), Instant::of_nanos(at(11).as_nanos() + u64::from(slot))));
        }
        let told = settle(&[&one, &other]);
        assert_eq!(told, 1, "publications");
        assert!(one.map().unwrap().0 == other.map().unwrap().0, "two maps");
        assert_eq!((owner(&other, 0), owner(&other, 1_499), owner(&other, 1_500)), (Some(1), Some(1), Some(0)));
    }

    #[test]
    fn when_too_much_has_moved_to_be_told_nobody_is_told_until_somebody_asks_anew() {
        let [one, other] = workers();
        one.learn(&wide(at(10).as_nanos()));
        settle(&[&one, &other]);
        for slot in 0..10_000 {
            one.assign(slot, &node(2), Instant::of_nanos(at(11).as_nanos() + u64::from(slot)));
        }
        other.assign(10_000, &node(2), at(12));
        let told = settle(&[&one, &other]);
        assert!(told <= 3, "{told} publications");
        one.learn(&wide(at(13).as_nanos()));
        assert_eq!(settle(&[&one, &other]), 1, "publications");
        assert!(one.map().unwrap().0 == other.map().unwrap().0, "two maps");
    }

    #[test]
    fn what_two_workers_hear_at_the_same_moment_comes_to_one_end() {
        let [one, other] = workers();
        one.learn(&map(at(10).as_nanos()));
        settle(&[&one, &other]);
        one.assign(5, &node(2), at(11));
        one.assign(5, &node(1), at(12));
        other.assign(5, &node(2), at(12));
        let told = settle(&[&one, &other]);
        assert!(told <= 3, "{told} publications");
        assert!(one.map().unwrap().0 == other.map().unwrap().0, "two maps");
        assert_eq!(owner(&one, 5), Some(1));
        // Two nodes answered questions of the same moment differently.
        one.learn(&map(at(13).as_nanos()));
        other.learn(&wide(at(13).as_nanos()));
        let told = settle(&[&one, &other]);
        assert!(told <= 3, "{told} publications");
        assert!(one.map().unwrap().0 == other.map().unwrap().0, "two maps");
    }

    #[test]
    fn what_cannot_be_told_while_another_asks_is_told_when_he_has_done() {
        let [one, other] = workers();
        one.learn(&map(at(10).as_nanos()));
        stir(&one, 11);
        other.place();
        stir(&other, 11);
        let turn = one.place().take_turn(at(12).as_nanos()).unwrap();
        other.assign(5, &node(2), at(12));
        stir(&other, 12);
        one.learn(&map(at(11).as_nanos()));
        one.tell(Some(&turn), at(12), |_| true);
        drop(turn);
        stir(&other, 13);
        stir(&one, 13);
        assert_eq!((owner(&one, 5), owner(&other, 5)), (Some(1), Some(1)));
    }

    #[test]
    fn what_was_told_while_a_worker_waited_for_its_turn_stays_told() {
        let [one, other, late] = workers();
        one.learn(&map(at(10).as_nanos()));
        settle(&[&one, &other]);
        one.assign(6, &node(2), at(11));
        // After that one has looked, and before it has the turn.
        other.assign(5, &node(2), at(11));
        stir(&other, 12);
        let turn = one.place().take_turn(at(12).as_nanos()).unwrap();
        one.tell(Some(&turn), at(12), |_| true);
        late.look(|_| true);
        assert_eq!((owner(&late, 5), owner(&late, 6)), (Some(1), Some(1)));
    }

    #[test]
    fn who_is_alone_knows_for_itself() {
        let slots = Slots::new(Arc::new(Board::alone()).volume(&"cluster"));
        slots.learn(&map(10));
        stir(&slots, 11);
        assert!(!slots.is_stirred() && owner(&slots, 5) == Some(0));
    }

    #[test]
    fn what_is_known_of_shards_goes_with_them() {
        let registry = crate::pool::Registry::new(Arc::new(Board::alone()));
        let configuration = configure(&Setting::Null, &Setting::Null, &Defaults::default()).unwrap();
        let shard = |port| registry.deployment(DeploymentKey::of(&configuration.at_shard(&[node(port)])));
        let slots = Slots::new(Arc::new(Board::alone()).volume(&"cluster"));
        slots.learn(&map(10));
        let known = Arc::downgrade(&shard(1));
        slots.keep(vec![node(1)], &known.upgrade().unwrap());
        for port in 3..1_000 {
            slots.keep(vec![node(port)], &shard(port));
            assert!(slots.shards.lock().len() <= 2, "{}", slots.shards.lock().len());
        }
        assert!(known.upgrade().is_some(), "the shard is there, though nobody uses it");
    }
}
