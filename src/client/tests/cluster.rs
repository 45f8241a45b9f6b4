//! A cluster of three shards: where commands go, and what happens while slots and primaries move.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::command::slot_of;
use crate::connection::scripted::{Fault, Sharding, State};
use crate::failover::Limit;

/// Three primaries (1, 2, 3) with a replica each (4, 5, 6), reached through the first.
pub fn cluster() -> Bench {
    with_options(&[])
}

pub fn with_options(options: &[(&str, Setting)]) -> Bench {
    Bench::with(servers(), &[1], options)
}

/// Their servers.
pub fn servers() -> Vec<Server> {
    let shards: Vec<[_; 2]> = (1..=3).map(|index| [node(index), node(index + 3)]).collect();
    let sharding = Sharding::of(&shards.iter().map(|shard| &shard[..]).collect::<Vec<_>>());
    let servers = (1..=6).map(|index| {
        let server = if index <= 3 { Server::primary(&[node(index + 3)]) } else { Server::replica(&node(index - 3)) };
        let letter = char::from(b'a' + u8::try_from((index - 1) % 3).unwrap());
        let history = (letter.to_string().repeat(40), "0".repeat(40));
        Server { cluster: Some((node(index), sharding.clone())), history, ..server }
    });
    servers.collect()
}

/// The server that a key belongs to, as long as nothing moves.
fn home(key: &str) -> usize {
    usize::from(slot_of(key.as_bytes()) / (16_384 / 3)).min(2) + 1
}

/// A key of that server.
pub fn key_at(server: usize) -> String {
    (0..).map(|number| format!("k{number}")).find(|key| home(key) == server).unwrap()
}

pub fn keys() -> [String; 3] {
    [1, 2, 3].map(key_at)
}

/// Changes what all nodes know.
pub fn reshape(state: &mut State, change: impl Fn(&mut Sharding)) {
    for index in 1..=6 {
        if let Some((_, sharding)) = &mut state.server(index).cluster {
            change(sharding);
        }
    }
}

/// Gives the slot of a key to another server, in everybody's eyes.
pub fn give(state: &mut State, key: &str, to: usize) {
    let slot = slot_of(key.as_bytes());
    reshape(state, |sharding| {
        let at = sharding.ranges.iter().position(|(first, last, _)| (*first..=*last).contains(&slot)).unwrap();
        let (first, last, nodes) = sharding.ranges.remove(at);
        let parts = [
            (slot > first).then(|| (first, slot - 1, nodes.clone())),
            Some((slot, slot, vec![node(to), node(to + 3)])),
            (slot < last).then(|| (slot + 1, last, nodes.clone())),
        ];
        sharding.ranges.splice(at..at, parts.into_iter().flatten());
    });
}

pub fn heard(bench: &Bench, server: usize, name: &str) -> usize {
    bench
        .network
        .server(server, |server| server.heard.iter().filter(|line| line.split(' ').next() == Some(name)).count())
}

#[test]
fn a_command_goes_to_the_server_of_its_key_without_a_detour() {
    let mut bench = cluster();
    for key in keys() {
        assert_eq!(bench.run(&format!("SET {key} v")), Ok(Value::Okay));
    }
    for (place, key) in keys().iter().enumerate() {
        assert!(bench.network.server(place + 1, |server| server.data.contains_key(key)), "{key}");
        assert_eq!(heard(&bench, place + 1, "SET"), 1, "nobody was asked in vain");
    }
    assert_eq!(heard(&bench, 1, "CLUSTER"), 1, "the map was asked for once");
    assert_eq!([4, 5, 6].map(|replica| bench.network.dialed(replica)), [0; 3]);
}

#[test]
fn another_client_of_the_process_knows_the_map() {
    let mut bench = cluster();
    let [_, second, _] = keys();
    bench.run(&format!("SET {second} v")).unwrap();
    let dialed = bench.network.dialed(1);
    let mut sibling = bench.sibling(1);
    assert_eq!(run_on(&mut sibling, &mut bench.desk, &format!("GET {second}")), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!((bench.network.dialed(1), bench.network.dialed(2)), (dialed, 1));
    assert_eq!(heard(&bench, 1, "CLUSTER"), 1);
}

#[test]
fn keys_of_several_slots_are_split_where_that_is_the_same_and_refused_before_they_are_sent_where_not() {
    let mut bench = cluster();
    let [a, b, c] = keys();
    assert_eq!(bench.run(&format!("SET {a} 1")), Ok(Value::Okay));
    assert_eq!(bench.run(&format!("SET {c} 3")), Ok(Value::Okay));
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let line = format!("MGET {c} {b} {a} {c}");
    assert_eq!(bench.run(&line), Ok(Value::Array(vec![bulk("3"), Value::Nil, bulk("1"), bulk("3")])));
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(2)));
    assert_eq!(bench.run(&format!("DEL {a} {b} {c}")), Ok(Value::Int(2)));
    let failure = bench.run(&format!("RENAME {a} {b}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Client);
    assert!(failure.message.contains(&a) && failure.message.contains(&b), "{failure}");
    assert_eq!((1..=3).map(|server| heard(&bench, server, "RENAME")).sum::<usize>(), 0);
}

#[test]
fn a_slot_that_has_moved_is_followed_and_remembered() {
    let mut bench = cluster();
    let [a, ..] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    bench.network.change(|state| {
        give(state, &a, 2);
        let data = std::mem::take(&mut state.server(1).data);
        state.server(2).data = data;
    });
    for _ in 0..3 {
        assert_eq!(bench.run(&format!("INCR {a}")).map(|_| ()), Ok(()));
    }
    assert_eq!((heard(&bench, 1, "INCR"), heard(&bench, 2, "INCR")), (1, 3));
    assert_eq!(bench.network.server(2, |server| server.data[&a].clone()), "4");
}

#[test]
fn a_key_that_is_on_its_way_is_asked_for_where_it_goes() {
    let mut bench = cluster();
    let [a, ..] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    bench.network.change(|state| {
        let slot = slot_of(a.as_bytes());
        state.server(1).cluster.as_mut().unwrap().1.migrating.insert(slot, node(2));
        state.server(2).cluster.as_mut().unwrap().1.importing.insert(slot);
        let value = state.server(1).data.remove(&a).unwrap();
        state.server(2).data.insert(a.clone(), value);
    });
    assert_eq!(bench.run(&format!("INCR {a}")), Ok(Value::Int(2)));
    let (seen, failure) = bench.run_batch(&format!("INCR {a}; PING; INCR {a}"));
    assert_eq!((seen, failure), (["3", "PONG", "4"].map(String::from).to_vec(), None));
    assert_eq!(heard(&bench, 2, "ASKING"), 3);
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {a}; INCR {a}; EXEC; INCR {a}"));
    assert_eq!((failure, seen[4].as_str()), (None, "7"), "{seen:?}");
    assert_eq!(heard(&bench, 2, "ASKING"), 5, "one for a transaction");
    bench.network.change(|state| state.server(2).faults.push_back(("INCR".into(), Fault::CloseAfter)));
    assert!(bench.run(&format!("INCR {a}")).unwrap_err().is_outcome_unknown());
}

#[test]
fn a_batch_is_divided_among_the_shards_and_its_replies_keep_their_order() {
    let mut bench = cluster();
    let [a, b, c] = keys();
    let line = format!("SET {a} 1; SET {b} 2; SET {c} 3; INCR {b}; GET {a}; PING; GET {c}; INCR {b}");
    let (seen, failure) = bench.run_batch(&line);
    assert_eq!((seen, failure), (["OK", "OK", "OK", "3", "'1'", "PONG", "'3'", "4"].map(String::from).to_vec(), None));
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {b}; GET {b}; EXEC; GET {a}"));
    assert_eq!(failure, None, "{seen:?}");
    assert_eq!(seen[4], "'1'");
    let (_, failure) = bench.run_batch(&format!("MULTI; INCR {b}; INCR {a}; EXEC"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Client));
}

#[test]
fn a_command_of_a_batch_that_is_split_has_one_reply_in_its_place() {
    let mut bench = cluster();
    let [a, b, c] = keys();
    let line = format!("SET {a} 1; MSET {b} 2 {c} 3; GET {c}; DEL {a} {b} nothing; MGET {b} {a} {c}; INCR {a}");
    let (seen, failure) = bench.run_batch(&line);
    assert_eq!(failure, None, "{seen:?}");
    assert_eq!((seen.len(), &seen[..2], seen[5].as_str()), (6, &["OK", "OK"].map(String::from)[..], "1"));
    assert!(seen[4].starts_with("array"), "{seen:?}");
    bench.network.change(|state| state.server(2).faults.push_back(("DEL".into(), Fault::Say(b"-ERR no\r\n".to_vec()))));
    let (seen, failure) = bench.run_batch(&format!("GET {a}; DEL {a} {b} {c}; GET {a}"));
    assert_eq!((seen, failure), (["'1'", "ERR", "nil"].map(String::from).to_vec(), None));
}

#[test]
fn a_script_that_a_batch_calls_at_several_shards_is_brought_to_each() {
    let mut bench = cluster();
    let [a, b, _] = keys();
    let mut batch = super::super::Batch::default();
    let mut digests = super::super::scripts::Digests::default();
    for key in [&a, &a, &b, &b, &a] {
        let words = ["EVALSHA", digests.of(b"text"), "1", key].map(str::to_owned);
        let mut frame = crate::resp::frame_of(&words);
        batch.push_script(&mut frame, b"text", crate::command::Shape::Plain).unwrap();
    }
    let mut answers = Answers::default();
    bench.client.run_batch(&mut bench.desk, &batch, &mut answers).unwrap();
    let count = |server, name| heard(&bench, server, name);
    assert_eq!([count(1, "EVAL"), count(1, "EVALSHA"), count(2, "EVAL"), count(2, "EVALSHA")], [1, 2, 1, 1]);
}

#[test]
fn what_a_batch_finds_moved_is_sent_where_it_belongs_and_nothing_twice() {
    let mut bench = cluster();
    let [a, b, c] = keys();
    bench.run_batch(&format!("SET {a} 1; SET {b} 2; SET {c} 3"));
    bench.network.change(|state| {
        give(state, &b, 3);
        let data = std::mem::take(&mut state.server(2).data);
        state.server(3).data.extend(data);
    });
    let line = format!("INCR {a}; INCR {b}; MULTI; INCR {b}; EXEC; INCR {c}; INCR {b}; INCR {a}");
    let (seen, failure) = bench.run_batch(&line);
    assert_eq!(failure, None, "{seen:?}");
    let single = [0, 1, 5, 6, 7].map(|index| seen[index].clone());
    assert_eq!(single, ["2", "3", "4", "5", "3"].map(String::from), "{seen:?}");
    assert_eq!(bench.network.server(3, |server| server.data[&b].clone()), "5");
}

#[test]
fn a_shard_whose_primary_dies_goes_on_at_its_promoted_replica_and_the_others_are_not_disturbed() {
    let mut bench = cluster();
    let [a, b, _] = keys();
    bench.run_batch(&format!("SET {a} 1; SET {b} 1"));
    bench.network.change(|state| state.kill(2));
    bench.network.after(Duration::from_millis(800), |state| {
        state.server(5).promote();
        reshape(state, |sharding| sharding.ranges[1].2 = vec![node(5)]);
        state.server(5).data.insert(key_at(2), "1".into());
    });
    assert_eq!(bench.run(&format!("INCR {a}")), Ok(Value::Int(2)));
    assert!(bench.elapsed() < 0.1, "the other shard waited {} s", bench.elapsed());
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(Value::Int(2)));
    let elapsed = bench.elapsed();
    assert!((0.8..0.9).contains(&elapsed), "went on after {elapsed} s");
    assert_eq!(bench.network.server(5, |server| server.count("INCR")), 1);
}

#[test]
fn what_may_have_been_applied_is_sent_again_at_the_elected_node_however_long_the_election_takes() {
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.events();
    bench.network.change(|state| {
        state.server(2).faults.push_back(("SET".into(), Fault::Silence));
    });
    bench.network.after(Duration::from_millis(100), |state| state.kill(2));
    // Longer than a router is patient, and soon enough for a search to look often.
    bench.network.after(Duration::from_millis(2_500), |state| {
        state.server(5).promote();
        reshape(state, |sharding| sharding.ranges[1].2 = vec![node(5)]);
    });
    assert_eq!(bench.run(&format!("SET {b} 2")), Ok(Value::Okay));
    assert!((2.5..2.6).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);

    let mut bench = cluster();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.events();
    bench.network.change(|state| state.kill(2));
    bench.network.after(Duration::from_millis(3_500), |state| {
        state.server(5).promote();
        reshape(state, |sharding| sharding.ranges[1].2 = vec![node(5)]);
    });
    assert_eq!(bench.run(&format!("SET {b} 2")), Ok(Value::Okay));
    let told: Vec<_> = std::iter::from_fn(|| bench.client.next_event()).collect();
    assert_eq!(told.iter().map(Event::name).collect::<Vec<_>>(), ["failover.started", "failover.completed"]);
    let waited = told[1].details().iter().find(|(name, _)| *name == "waited");
    assert_ne!(format!("{:?}", waited.unwrap().1), "Count(0)", "what it cost is told");
    bench.network.change(|state| {
        state.kill(5);
    });
    let failure = bench.run(&format!("SET {b} 3")).unwrap_err();
    assert!(failure.elapsed >= Duration::from_secs(5) && failure.attempts > 1, "{failure:?}");
    assert_eq!(bench.client.breaker(), "open");
}

#[test]
fn a_primary_that_became_a_replica_sends_to_the_promoted_one() {
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.network.change(|state| {
        state.server(5).promote();
        state.server(2).follows = Some(node(5));
        reshape(state, |sharding| sharding.ranges[1].2 = vec![node(5), node(2)]);
    });
    assert_eq!(bench.run(&format!("SET {b} 2")), Ok(Value::Okay));
    assert_eq!(bench.network.server(5, |server| server.count("SET")), 1);
}

#[test]
fn nodes_that_were_all_replaced_are_found_through_the_others() {
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.network.change(|state| {
        state.kill(2);
        state.kill(5);
        give(state, &b, 3);
    });
    assert_eq!(bench.run(&format!("SET {b} 2")), Ok(Value::Okay));
    let elapsed = bench.elapsed();
    assert!((0.9..2.0).contains(&elapsed), "went on after {elapsed} s");
}

#[test]
fn a_slot_that_nobody_serves_is_waited_for_and_said_in_the_end() {
    let options = [("command_timeout", Setting::Float(2.0))];
    let mut bench = with_options(&options);
    let [a, b, _] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    bench.network.change(|state| reshape(state, |sharding| drop(sharding.ranges.remove(1))));
    let failure = bench.run(&format!("INCR {b}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    bench.network.after(Duration::from_millis(500), |state| {
        reshape(state, |sharding| sharding.ranges.insert(1, (5_461, 10_921, vec![node(2), node(5)])));
    });
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(Value::Int(1)));
}

#[test]
fn watched_keys_and_their_transaction_stay_at_one_shard() {
    let mut bench = cluster();
    let [a, b, _] = keys();
    assert!(matches!(bench.run("MULTI").unwrap_err().kind, Kind::NotSupported));
    assert_eq!(bench.run(&format!("WATCH {b}")), Ok(Value::Okay));
    assert!(bench.client.watch().is_some());
    assert_eq!(bench.run(&format!("SET {a} 1")), Ok(Value::Okay), "others are not concerned");
    assert_eq!(bench.run(&format!("WATCH {a}")).unwrap_err().kind, Kind::Client);
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {b}; EXEC"));
    assert_eq!(failure, None, "{seen:?}");
    assert_eq!((bench.client.watch(), bench.network.server(2, |server| server.count("INCR"))), (None, 1));
}

#[test]
fn reads_are_answered_by_the_replicas_of_their_shard_where_that_is_wished() {
    let mut bench = with_options(&[("read_from", Setting::Text("prefer-replica".into()))]);
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} v")).unwrap();
    bench.network.change(|state| {
        state.server(5).data.insert(key_at(2), "v".into());
    });
    for _ in 0..3 {
        assert_eq!(bench.run(&format!("GET {b}")), Ok(Value::BulkString(b"v".to_vec())));
    }
    assert_eq!((heard(&bench, 2, "GET"), heard(&bench, 5, "GET")), (0, 3));
    assert_eq!((heard(&bench, 5, "READONLY"), heard(&bench, 2, "READONLY")), (1, 0));
}

#[test]
fn what_rides_with_a_write_does_not_follow_it_to_another_shard() {
    let minimum =
        Setting::Map(vec![("count".to_owned(), Setting::Int(1)), ("timeout".to_owned(), Setting::Float(0.1))]);
    let mut bench = with_options(&[("min_replicas", minimum)]);
    let [a, b, _] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    bench.network.change(|state| {
        give(state, &a, 2);
        let slot = slot_of(b.as_bytes());
        state.server(2).cluster.as_mut().unwrap().1.migrating.insert(slot, node(3));
        state.server(3).cluster.as_mut().unwrap().1.importing.insert(slot);
    });
    assert_eq!(bench.run(&format!("INCR {a}")), Ok(Value::Int(1)));
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(Value::Int(1)));
    assert_eq!(bench.run("FLUSHALL"), Ok(Value::Okay));
    for key in keys() {
        assert_eq!(bench.run(&format!("SET {key} v")), Ok(Value::Okay));
        assert_eq!(bench.run(&format!("GET {key}")), Ok(Value::BulkString(b"v".to_vec())));
    }
}

/// Moves the slot of a key and its data from server 2 to server 3.
fn move_from_second_to_third(bench: &Bench, key: &str) {
    bench.network.change(|state| {
        give(state, key, 3);
        let data = std::mem::take(&mut state.server(2).data);
        state.server(3).data.extend(data);
    });
}

#[test]
fn what_is_queued_or_watched_at_one_node_is_never_run_at_another() {
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.run(&format!("WATCH {b}")).unwrap();
    bench.run("MULTI").unwrap();
    move_from_second_to_third(&bench, &b);
    let failure = bench.run(&format!("INCR {b}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Server("MOVED".into()), "{failure}");
    assert!(bench.run("EXEC").is_err());
    assert_eq!(bench.network.server(3, |server| server.data[&b].clone()), "1");

    let mut bench = cluster();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.run(&format!("WATCH {b}")).unwrap();
    move_from_second_to_third(&bench, &b);
    let (_, failure) = bench.run_batch(&format!("MULTI; INCR {b}; EXEC"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::AbortedTransaction));
    assert_eq!(bench.network.server(3, |server| server.data[&b].clone()), "1");
    assert_eq!(bench.client.watch(), None);
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {b}; EXEC"));
    assert_eq!(failure, None, "{seen:?}");
}

#[test]
fn a_transaction_whose_node_has_left_the_cluster_is_told_of() {
    let mut bench = cluster();
    let [a, b, _] = keys();
    bench.run(&format!("WATCH {b}")).unwrap();
    bench.run("MULTI").unwrap();
    bench.network.change(|state| {
        reshape(state, |sharding| {
            sharding.ranges = vec![(0, 16_383, vec![node(1), node(4)])];
        });
        state.kill(3);
        state.kill(6);
    });
    // Which looks at the map anew, since nobody is there.
    let mut sibling = bench.sibling(1);
    run_on(&mut sibling, &mut bench.desk, &format!("GET {}", key_at(3))).unwrap();
    assert_eq!(bench.run(&format!("SET {b} 1")).unwrap_err().kind, Kind::AbortedTransaction);
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 0);
    assert_eq!(bench.run(&format!("SET {a} 1")), Ok(Value::Okay));
}

#[test]
fn a_script_that_speaks_like_a_node_is_not_followed() {
    for text in ["MOVED 1 10.0.0.1:3", "ASK 1 10.0.0.1:3", "MOVED 1 10.0.0.1:5"] {
        let mut bench = cluster();
        let [_, b, _] = keys();
        let says = || ("EVAL".to_owned(), Fault::Say(format!("-{text}\r\n").into_bytes()));
        bench.run(&format!("SET {b} 1")).unwrap();
        bench.network.server(2, |server| server.faults.extend([says(), says()]));
        let failure = bench.run(&format!("EVAL code 1 {b}")).unwrap_err();
        assert_eq!(failure.message, text);
        let (seen, failure) = bench.run_batch(&format!("SET {b} 2; EVAL code 1 {b}; GET {b}"));
        let word = text.split(' ').next().unwrap();
        assert_eq!((seen, failure), (vec!["OK".into(), word.into(), "'2'".into()], None), "{text}");
        assert_eq!([heard(&bench, 2, "EVAL"), heard(&bench, 3, "EVAL"), heard(&bench, 5, "EVAL")], [2, 0, 0], "{text}");
    }
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    move_from_second_to_third(&bench, &b);
    assert_eq!(bench.run(&format!("EVAL code 1 {b}")), Ok(Value::Okay), "the node's own word");
    assert_eq!(bench.network.server(3, |server| server.count("EVAL")), 1);
}

#[test]
fn a_batch_says_that_a_part_is_in_doubt_whatever_became_of_the_others() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(2.0))]);
    let [a, b, c] = keys();
    bench.run_batch(&format!("SET {a} 1; SET {b} 1; SET {c} 1"));
    bench.network.change(|state| {
        state.kill(2);
        state.kill(5);
        state.server(3).faults.push_back(("INCR".into(), Fault::CloseAfter));
    });
    let (seen, failure) = bench.run_batch(&format!("SET {b} 2; GET {a}; INCR {c}"));
    let failure = failure.unwrap();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert_eq!(seen[1], "'1'");
    assert!(failure.message.ends_with("; the first without a reply is command 1 of a batch of 3"), "{failure}");

    let failure = bench.run("FLUSHALL").unwrap_err();
    assert!(failure.is_outcome_unknown(), "the first has done it: {failure:?}");
    let nodes = format!("; of the cluster's nodes it is done at {}, {}, not done at {}", node(1), node(3), node(2));
    assert!(failure.message.ends_with(&nodes), "{failure}");
}

#[test]
fn a_batch_finds_nodes_that_were_all_replaced_and_waits_for_slots_that_nobody_serves() {
    let mut bench = cluster();
    let [a, b, _] = keys();
    bench.run_batch(&format!("SET {a} 1; SET {b} 1"));
    bench.network.change(|state| {
        state.kill(2);
        state.kill(5);
        give(state, &b, 3);
    });
    let (seen, failure) = bench.run_batch(&format!("INCR {a}; SET {b} 2; GET {b}"));
    assert_eq!((seen, failure), (["2", "OK", "'2'"].map(String::from).to_vec(), None));

    let mut bench = cluster();
    bench.run_batch(&format!("SET {a} 1"));
    bench.network.change(|state| reshape(state, |sharding| drop(sharding.ranges.remove(1))));
    let failure = bench.run(&format!("GET {}", key_at(1))).map(|_| ());
    assert_eq!(failure, Ok(()));
    bench.network.after(Duration::from_millis(700), |state| {
        reshape(state, |sharding| sharding.ranges.insert(1, (5_461, 10_921, vec![node(2), node(5)])));
    });
    let (seen, failure) = bench.run_batch(&format!("INCR {a}; SET {b} 2; GET {b}"));
    assert_eq!((seen, failure), (["2", "OK", "'2'"].map(String::from).to_vec(), None));
}

#[test]
fn what_concerns_all_nodes_does_so_while_a_key_is_watched_and_not_within_a_transaction() {
    let mut bench = cluster();
    for key in keys() {
        bench.run(&format!("SET {key} 1")).unwrap();
    }
    bench.run(&format!("WATCH {}", key_at(2))).unwrap();
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(3)));
    bench.run("MULTI").unwrap();
    assert_eq!(bench.run("DBSIZE").unwrap_err().kind, Kind::NotSupported);
    assert_eq!(bench.run("SCAN 0").unwrap_err().kind, Kind::NotSupported);
    assert_eq!(bench.run("DISCARD"), Ok(Value::Okay));
}

#[test]
fn slow_commands_have_their_time_at_a_node_that_answers() {
    let options = [("read_write_timeout", Setting::Float(5.0)), ("command_timeout", Setting::Float(8.0))];
    let mut bench = with_options(&options);
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.network.change(|state| state.freeze(2, true));
    bench.network.after(Duration::from_millis(2_500), |state| state.freeze(2, false));
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(Value::Int(2)));
    assert!((2.5..2.8).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_search_for_all_shards_is_not_bounded_by_what_an_earlier_command_was_told() {
    let mut bench = cluster();
    for key in keys() {
        bench.run(&format!("SET {key} 1")).unwrap();
    }
    bench.client.rest(Duration::from_secs(3));
    bench.network.change(|state| state.kill(2));
    bench.network.after(Duration::from_millis(300), |state| {
        state.server(5).promote();
        reshape(state, |sharding| sharding.ranges[1].2 = vec![node(5)]);
    });
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(2)), "the promoted one has nothing here");
}

#[test]
fn the_time_that_it_takes_to_find_out_that_it_is_a_cluster_is_the_commands() {
    for is_batch in [false, true] {
        let mut bench = with_options(&[("command_timeout", Setting::Float(2.0))]);
        bench.network.change(|state| {
            state.cut_off(2);
            state.cut_off(5);
            state.freeze(1, true);
        });
        bench.network.after(Duration::from_millis(1_500), |state| state.freeze(1, false));
        let line = format!("GET {}", key_at(2));
        let failure = if is_batch { bench.run_batch(&line).1.unwrap() } else { *bench.run(&line).unwrap_err() };
        assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure}");
        assert!((1.9..2.1).contains(&bench.elapsed()), "{} s: {failure}", bench.elapsed());
    }
}

#[test]
fn a_node_that_gives_another_number_of_values_than_keys_moves_no_value_to_another_key() {
    let mut bench = cluster();
    let [one, two, three] = keys();
    for key in [&one, &two, &three] {
        bench.run(&format!("SET {key} {key}")).unwrap();
    }
    let whole = format!("MGET {one} {two} {three}");
    for said in ["*0\r\n", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n", "+OK\r\n"] {
        for in_batch in [false, true] {
            bench.network.server(1, |server| server.faults.push_back(("MGET".into(), Fault::Say(said.into()))));
            if in_batch {
                let (answers, failure) = bench.run_batch(&format!("{whole}; GET {two}"));
                assert_eq!(failure, None);
                assert_eq!(answers[0], "ERR");
                assert_eq!(answers[1], format!("'{two}'"));
            } else {
                let failure = bench.run(&whole).unwrap_err();
                assert_eq!((&failure.kind, failure.node), (&Kind::Protocol, Some(node(1).to_string())));
            }
        }
    }
}

#[test]
fn counts_that_nodes_only_claim_come_to_no_more_than_the_largest() {
    let mut bench = cluster();
    bench.run("PING").unwrap();
    for server in 1..=3 {
        let most = format!(":{}\r\n", i64::MAX);
        bench.network.server(server, |server| server.faults.push_back(("DBSIZE".into(), Fault::Say(most.into()))));
    }
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(i64::MAX)));
}

#[test]
fn a_malformed_command_within_a_transaction_goes_to_the_server_that_has_to_refuse_it() {
    let mut bench = cluster();
    let [one, two, _] = keys();
    bench.run(&format!("WATCH {two}")).unwrap();
    bench.run("MULTI").unwrap();
    let _ = bench.run(&format!("MSET {one} v {two}"));
    assert_eq!((heard(&bench, 1, "MSET"), heard(&bench, 2, "MSET")), (0, 1));
}
