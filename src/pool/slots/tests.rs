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

#[test]
fn whatever_workers_learn_and_in_whatever_order_they_end_with_one_map_after_a_few_tellings() {
    for seed in 0..60_u64 {
        let mut state = seed;
        let mut chance = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let [a, b, c] = workers();
        let workers = [&a, &b, &c];
        a.learn(&map(at(10).as_nanos()));
        settle(&workers);
        for _ in 0..chance(120) {
            let worker = workers[chance(3) as usize];
            // So few moments that many things are heard in the same one.
            let when = at(10 + chance(6));
            match chance(8) {
                0 => worker.learn(&map(when.as_nanos())),
                1 => worker.learn(&wide(when.as_nanos())),
                2 | 3 => stir(worker, 30),
                _ => drop(worker.assign(chance(4) as u16, &node(1 + chance(2) as u16), when)),
            }
        }
        let told = settle(&workers);
        assert!(told <= 6, "{told} publications, seed {seed}");
        let known = workers.map(|worker| worker.map().unwrap().0);
        assert!(known.iter().all(|map| *map == known[0]), "several maps, seed {seed}");
    }
}
