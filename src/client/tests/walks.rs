//! `SCAN` over a cluster whose slots move: what is there from beginning to end is met.

use std::collections::BTreeSet;

use redis::Value;

use super::cluster::{cluster, give, heard, key_at, reshape};
use super::*;
use crate::client::Kind;
use crate::command::slot_of;
use crate::connection::scripted::{Fault, State};
use crate::time::Backoff;

/// A cluster with so many keys, and what they are called.
fn filled(count: usize) -> (Bench, BTreeSet<String>) {
    let mut bench = cluster();
    let keys: BTreeSet<String> = (0..count).map(|number| format!("key{number}")).collect();
    for key in &keys {
        bench.run(&format!("SET {key} v")).unwrap();
    }
    (bench, keys)
}

/// A page: the next cursor, and the keys.
fn page(bench: &mut Bench, cursor: &str, options: &str) -> (String, Vec<String>) {
    let text = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    };
    match bench.run(format!("SCAN {cursor} {options}").trim()) {
        Ok(Value::Array(parts)) => match &parts[..] {
            [next, Value::Array(keys)] => (text(next), keys.iter().map(text).collect()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// All keys that an iteration gives, each as often as it came; `meanwhile` is done after each page.
pub fn walk(bench: &mut Bench, mut meanwhile: impl FnMut(&mut Bench, usize)) -> Vec<String> {
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    for number in 1..5_000 {
        let (next, keys) = page(bench, &cursor, "");
        seen.extend(keys);
        if next == "0" {
            return seen;
        }
        cursor = next;
        meanwhile(bench, number);
    }
    panic!("it does not end")
}

fn missed(keys: &BTreeSet<String>, seen: &[String]) -> Vec<String> {
    let seen: BTreeSet<&String> = seen.iter().collect();
    keys.iter().filter(|key| !seen.contains(key)).cloned().collect()
}

/// Moves a slot with its keys from one server to another, in everybody's eyes.
fn carry(state: &mut State, slot: u16, from: usize, to: usize) {
    carry_keys(state, slot, from, to);
    let key = (0..).map(|number| number.to_string()).find(|key| slot_of(key.as_bytes()) == slot).unwrap();
    give(state, &key, to);
    reshape(state, |sharding| {
        let epoch = 1 + sharding.epochs.values().max().copied().unwrap_or(0);
        sharding.epochs.insert(node(to), epoch);
        sharding.migrating.remove(&slot);
    });
}

fn carry_keys(state: &mut State, slot: u16, from: usize, to: usize) {
    let data = std::mem::take(&mut state.server(from).data);
    let (gone, stays) = data.into_iter().partition(|(key, _)| slot_of(key.as_bytes()) == slot);
    state.server(from).data = stays;
    state.server(to).data.extend::<std::collections::HashMap<_, _>>(gone);
}

fn slots_of(keys: &BTreeSet<String>) -> Vec<u16> {
    keys.iter().map(|key| slot_of(key.as_bytes())).collect()
}

#[test]
fn each_key_comes_once_while_nothing_moves_and_a_node_is_looked_at_now_and_then() {
    let (mut bench, keys) = filled(60);
    let mut seen = walk(&mut bench, |_, _| {});
    seen.sort();
    assert_eq!(seen, keys.iter().cloned().collect::<Vec<_>>());
    let looks: Vec<usize> = (1..=3)
        .map(|index| {
            bench.network.server(index, |server| server.heard.iter().filter(|line| *line == "CLUSTER NODES").count())
        })
        .collect();
    assert!(looks.iter().all(|looks| (2..=3).contains(looks)), "{looks:?}");
}

#[test]
fn no_key_is_missed_though_slots_move_to_and_fro_after_every_page() {
    for seed in 1..=6 {
        let (mut bench, keys) = filled(40);
        let slots = slots_of(&keys);
        let mut random = Backoff::seeded(std::time::Duration::from_secs(1), std::time::Duration::from_secs(1), seed);
        let mut draw = move |below: usize| (random.next_wait().as_nanos() as usize) % below;
        let seen = walk(&mut bench, |bench, number| {
            // In the end it becomes quiet, as with every resharding.
            if number > 150 {
                return;
            }
            let slot = slots[draw(slots.len())];
            bench.network.change(|state| {
                let key = |(first, last, _): &&(u16, u16, Vec<_>)| (*first..=*last).contains(&slot);
                let sharding = &state.server(1).cluster.as_ref().unwrap().1;
                let owner = sharding.ranges.iter().find(key).unwrap().2[0].clone();
                let from = (1..=3).find(|index| node(*index) == owner).unwrap();
                carry(state, slot, from, 1 + draw(3));
            });
        });
        assert_eq!(missed(&keys, &seen), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_slot_that_stays_half_moved_ends_the_iteration_no_later_and_its_keys_come_from_both_nodes() {
    for to_newcomer in [false, true] {
        let (bench, mut keys) = filled(30);
        let half = key_at(1);
        let slot = slot_of(half.as_bytes());
        let arrived = format!("{{{half}}}x");
        keys.extend([half.clone(), arrived.clone()]);
        // Of the newcomer no map tells: it serves no slot.
        let to = if to_newcomer { 6 } else { 2 };
        bench.network.change(|state| {
            if to_newcomer {
                state.server(6).follows = None;
                reshape(state, |sharding| {
                    sharding.ranges.iter_mut().for_each(|(_, _, nodes)| nodes.retain(|one| *one != node(6)));
                });
            }
            state.server(1).data.insert(half.clone(), "v".into());
            state.server(to).data.insert(arrived.clone(), "v".into());
            state.server(1).cluster.as_mut().unwrap().1.migrating.insert(slot, node(to));
        });
        let parameters = Setting::Text(format!("tcp://{}", node(1)));
        let mut bench = Bench::on(&bench.network, &Arc::new(Board::alone()), &parameters, &[]);
        let seen = walk(&mut bench, |_, _| {});
        assert_eq!(missed(&keys, &seen), Vec::<String>::new(), "{to_newcomer}");
        assert!(seen.len() <= keys.len() + 2, "only what is not done comes again: {seen:?}");
    }
}

#[test]
fn keys_that_move_one_by_one_are_met() {
    for at in 1..30 {
        let (mut bench, mut keys) = filled(30);
        let first = key_at(3);
        let slot = slot_of(first.as_bytes());
        let tagged: Vec<String> = (0..4).map(|number| format!("{{{first}}}{number}")).collect();
        for key in &tagged {
            bench.run(&format!("SET {key} v")).unwrap();
        }
        keys.extend(tagged);
        let seen = walk(&mut bench, |bench, number| {
            bench.network.change(|state| match number.checked_sub(at) {
                Some(0) => {
                    state.server(3).cluster.as_mut().unwrap().1.migrating.insert(slot, node(1));
                }
                Some(1) => carry_keys(state, slot, 3, 1),
                Some(9) => carry(state, slot, 3, 1),
                _ => {}
            });
        });
        assert_eq!(missed(&keys, &seen), Vec::<String>::new(), "from page {at} on");
    }
}

#[test]
fn a_page_that_failed_can_be_asked_for_again_and_a_cursor_of_another_object_leads_on_from_its_place() {
    let (mut bench, keys) = filled(40);
    let (cursor, first) = page(&mut bench, "0", "");
    bench.network.change(|state| {
        state.server(1).faults.push_back(("SCAN".into(), Fault::Say(b"-ERR no\r\n".to_vec())));
    });
    assert!(matches!(bench.run(&format!("SCAN {cursor}")).unwrap_err().kind, Kind::Server(_)));
    let (cursor, second) = page(&mut bench, &cursor, "");
    let mut seen = [first, second].concat();
    bench.client = bench.sibling(1);
    let mut cursor = cursor;
    while cursor != "0" {
        let (next, keys) = page(&mut bench, &cursor, "");
        seen.extend(keys);
        cursor = next;
    }
    seen.sort();
    assert_eq!(seen, keys.iter().cloned().collect::<Vec<_>>(), "each once");
    assert_eq!(bench.run("SCAN x").unwrap_err().kind, Kind::Client);
}

#[test]
fn a_pattern_with_a_hash_tag_leads_to_one_node() {
    let (mut bench, _) = filled(20);
    let key = key_at(2);
    let (mut cursor, mut found) = ("0".to_owned(), BTreeSet::new());
    bench.run(&format!("SET {{{key}}}x v")).unwrap();
    loop {
        let (next, keys) = page(&mut bench, &cursor, &format!("MATCH {{{key}}}*"));
        found.extend(keys);
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found, BTreeSet::from([format!("{{{key}}}x")]));
    assert_eq!([1, 2, 3].map(|index| heard(&bench, index, "SCAN") > 0), [false, true, false]);
}

#[test]
fn a_node_that_was_started_again_is_walked_from_its_beginning() {
    let (mut bench, keys) = filled(60);
    let seen = walk(&mut bench, |bench, number| {
        if number == 5 {
            bench.network.change(|state| {
                state.server(1).history.0 = "e".repeat(40);
                state.close_all(1);
            });
        }
    });
    assert_eq!(missed(&keys, &seen), Vec::<String>::new());
    assert!(seen.len() > keys.len(), "{} of {}", seen.len(), keys.len());
}

#[test]
fn a_node_that_may_not_be_asked_is_walked_by_the_map() {
    let (mut bench, keys) = filled(40);
    let refuse = |bench: &mut Bench| {
        bench.network.change(|state| {
            for index in 1..=3 {
                let faults = &mut state.server(index).faults;
                faults.clear();
                let refusal = ("CLUSTER".to_owned(), Fault::Say(b"-NOPERM no\r\n".to_vec()));
                faults.extend(vec![refusal; 9]);
            }
        });
    };
    refuse(&mut bench);
    let seen = walk(&mut bench, |bench, _| refuse(bench));
    assert_eq!(seen.len(), keys.len());
    assert_eq!(missed(&keys, &seen), Vec::<String>::new());
}

#[test]
fn pages_that_are_asked_for_by_a_new_object_each_come_to_the_end_also_where_shards_have_slots_here_and_there() {
    for scattered in [false, true] {
        let (mut bench, keys) = filled(120);
        if scattered {
            // The third shard has the first slot of all, and the first one the last.
            let sharding = |sharding: &mut crate::connection::scripted::Sharding| {
                let nodes = |server| vec![node(server), node(server + 3)];
                sharding.ranges = vec![
                    (0, 99, nodes(3)),
                    (100, 8_000, nodes(2)),
                    (8_001, 12_000, nodes(1)),
                    (12_001, 16_383, nodes(3)),
                ];
            };
            bench.network.change(|state| {
                let mut all: Vec<String> = Vec::new();
                (1..=3).for_each(|server| all.extend(state.server(server).data.drain().map(|(key, _)| key)));
                for key in all {
                    let server = match slot_of(key.as_bytes()) {
                        100..=8_000 => 2,
                        8_001..=12_000 => 1,
                        _ => 3,
                    };
                    state.server(server).data.insert(key, "v".into());
                }
                reshape(state, sharding);
            });
        }
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        for number in 0.. {
            assert!(number < 200, "it does not end: {cursor}");
            let parameters = Setting::Text(format!("tcp://{}", node(1)));
            bench = Bench::on(&bench.network, &Arc::new(Board::alone()), &parameters, &[]);
            let (next, keys) = page(&mut bench, &cursor, "COUNT 10");
            seen.extend(keys);
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(missed(&keys, &seen), Vec::<String>::new(), "{scattered}");
        assert_eq!(seen.len(), keys.len(), "each once, as nothing moves: {scattered}");
    }
}
