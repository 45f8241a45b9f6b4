//! Batches in a cluster while slots move: transactions, and what has to be acknowledged.

use std::time::Duration;

use super::batches::says;
use super::cluster::{cluster, give, heard, key_at, with_options};
use super::*;
use crate::client::Kind;
use crate::command::slot_of;
use crate::config::Setting;

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
