//! Batches in a cluster: transactions while slots move, what has to be acknowledged, and what is for all nodes.

use std::time::Duration;

use super::batches::says;
use super::cluster::{cluster, give, heard, key_at, with_options};
use super::*;
use crate::client::{Batch, Kind};
use crate::command::{Shape, find, slot_of};
use crate::config::Setting;
use crate::resp::frame_of;

/// Has the keys of a slot of server 2 be on their way to server 3.
fn migrate(bench: &Bench, key: &str) {
    bench.network.change(|state| {
        let slot = slot_of(key.as_bytes());
        state.server(2).cluster.as_mut().unwrap().1.migrating.insert(slot, node(3));
        state.server(3).cluster.as_mut().unwrap().1.importing.insert(slot);
    });
}

fn executed(bench: &Bench, index: usize, name: &str) -> usize {
    bench.network.server(index, |server| server.count(name))
}

#[test]
fn of_a_transaction_that_was_not_opened_only_what_was_turned_away_is_sent_elsewhere() {
    let mut bench = cluster();
    let b = key_at(2);
    bench.run(&format!("SET {{{b}}}n 5")).unwrap();
    migrate(&bench, &b);
    let denied = says("NOPERM this user has no permissions to run the 'multi' command");
    bench.network.server(2, |server| server.faults.push_back(("MULTI".into(), denied)));
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {{{b}}}n; INCR {{{b}}}m; EXEC"));
    assert_eq!((&seen[..3], failure), (&["NOPERM", "6", "1"].map(String::from)[..], None), "{seen:?}");
    assert_eq!([executed(&bench, 2, "INCR"), executed(&bench, 3, "INCR")], [1, 1], "each once");
}

#[test]
fn what_was_queued_where_its_slot_has_left_is_no_reply() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(2.0))]);
    let [a, b] = [1, 2].map(key_at);
    bench.run_batch(&format!("SET {a} 1; SET {b} 1"));
    bench.network.change(|state| {
        give(state, &b, 3);
        state.kill(3);
        state.kill(6);
    });
    let (seen, failure) = bench.run_batch(&format!("GET {a}; MULTI; INCR {b}; EXEC"));
    let failure = failure.expect("its node is not there");
    assert_eq!(failure.index, Some(1), "{failure}");
    assert_eq!(seen[0], "'1'");
    assert!(seen[1..].iter().all(|reply| reply == "?"), "{seen:?}");
}

#[test]
fn what_a_node_does_that_takes_over_a_slot_has_to_be_acknowledged_too() {
    let minimum =
        Setting::Map(vec![("count".to_owned(), Setting::Int(1)), ("timeout".to_owned(), Setting::Float(0.1))]);
    let mut bench = with_options(&[("min_replicas", minimum)]);
    let b = key_at(2);
    bench.run(&format!("SET {} 1", key_at(3))).unwrap();
    migrate(&bench, &b);
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(redis::Value::Int(1)));
    assert_eq!(bench.network.server(3, |server| server.waits.len()), 2, "for each of the writes there");
    bench.network.server(3, |server| server.acknowledging = Some((0, Duration::ZERO)));
    let short = Kind::NotEnoughReplicas { reached: 0, wanted: 1 };
    assert_eq!(bench.run(&format!("INCR {b}")).unwrap_err().kind, short);
    let (_, failure) = bench.run_batch(&format!("INCR {b}; GET {b}"));
    assert_eq!(failure.map(|failure| failure.kind), Some(short));
    assert_eq!([executed(&bench, 3, "INCR"), heard(&bench, 2, "INCR")], [3, 3]);
}

#[test]
fn what_is_for_all_nodes_is_sent_to_each_in_its_place_among_the_others() {
    let mut bench = cluster();
    let [a, b, c] = [1, 2, 3].map(key_at);
    let lines = format!("SET {a} 1; SET {b} 2; DBSIZE; SET {c} 3; MGET {a} {b} {c}; DBSIZE; FLUSHALL; GET {b}; DBSIZE");
    let (seen, failure) = bench.run_batch(&lines);
    assert_eq!(failure, None);
    let all = "array([bulk-string('\"1\"'), bulk-string('\"2\"'), bulk-string('\"3\"')])";
    assert_eq!(seen, ["OK", "OK", "2", "OK", all, "3", "OK", "'2'", "3"]);
    let heard = bench.network.server(2, |server| server.heard.clone());
    let names: Vec<&str> = heard.iter().filter_map(|line| line.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().skip_while(|name| *name != "SET").filter(|name| *name != "ROLE").collect();
    assert_eq!(names, ["SET", "DBSIZE", "MGET", "DBSIZE", "FLUSHALL", "GET", "DBSIZE"]);
    assert_eq!(bench.network.dialed(2), 1);
}

#[test]
fn what_one_node_refuses_that_was_for_all_is_the_reply() {
    let mut bench = cluster();
    let a = key_at(1);
    bench.network.server(3, |server| server.faults.push_back(("DBSIZE".into(), says("NOPERM not you"))));
    let (seen, failure) = bench.run_batch(&format!("SET {a} 1; DBSIZE; GET {a}"));
    assert_eq!((seen, failure), (["OK", "NOPERM", "'1'"].map(String::from).to_vec(), None));
}

#[test]
fn what_some_nodes_have_done_that_was_for_all_is_said() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(2.0))]);
    let [a, b, c] = [1, 2, 3].map(key_at);
    bench.run_batch(&format!("SET {a} 1; SET {b} 1; SET {c} 1"));
    bench.network.change(|state| {
        state.kill(2);
        state.kill(5);
    });
    let (seen, failure) = bench.run_batch(&format!("GET {a}; FLUSHALL; GET {c}"));
    let failure = failure.unwrap();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert!(failure.message.contains("2 of the 3 parts of FLUSHALL, command 2, had been done"), "{failure}");
    assert_eq!((seen, failure.index), (["'1'", "?", "'1'"].map(String::from).to_vec(), Some(1)));
    let (seen, failure) = bench.run_batch(&format!("DBSIZE; MSET {a} 1 {b} 1; GET {a}"));
    let failure = failure.unwrap();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert!(failure.message.contains("1 of the 2 parts of MSET, command 2, had been done"), "{failure}");
    assert_eq!((seen, failure.index), (["?", "?", "'1'"].map(String::from).to_vec(), Some(0)));
}

#[test]
fn nothing_is_sent_of_a_batch_with_something_for_all_nodes_in_a_transaction() {
    let mut bench = cluster();
    let a = key_at(1);
    for lines in [format!("SET {a} 1; MULTI; SET {a} 2; DBSIZE; EXEC"), format!("SET {a} 1; SCAN 0")] {
        let (_, failure) = bench.run_batch(&lines);
        assert!(failure.is_some(), "{lines}");
    }
    bench.run(&format!("WATCH {a}")).unwrap();
    bench.run("MULTI").unwrap();
    let (_, failure) = bench.run_batch(&format!("SET {a} 1; DBSIZE"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::NotSupported));
    assert_eq!(heard(&bench, 1, "SET"), 0);
}

#[test]
fn a_script_is_brought_again_to_servers_that_were_told_to_forget_it() {
    let mut bench = cluster();
    let [a, b] = [1, 2].map(key_at);
    let mut batch = Batch::default();
    for key in [&a, &b] {
        let mut frame = frame_of(&["EVALSHA", "digest", "1", key.as_str()]);
        batch.push_script(&mut frame, b"code", Shape::Plain).unwrap();
    }
    batch.push(&frame_of(&["SCRIPT", "FLUSH"]), find(b"SCRIPT"), Shape::Plain).unwrap();
    for key in [&b, &b] {
        let mut frame = frame_of(&["EVALSHA", "digest", "1", key.as_str()]);
        batch.push_script(&mut frame, b"code", Shape::Plain).unwrap();
    }
    let mut answers = Answers::default();
    let result = bench.client.run_batch(&mut bench.desk, &batch, &mut answers);
    let calls = |server| [heard(&bench, server, "EVAL"), heard(&bench, server, "EVALSHA")];
    assert_eq!((calls(1), calls(2)), ([1, 0], [2, 1]), "{result:?}");
}
