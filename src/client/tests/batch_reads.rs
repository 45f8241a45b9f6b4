//! Reading from replicas with batches: which go there, and what a failing replica costs them.

use std::time::Duration;

use super::cluster::{heard, key_at, with_options};
use super::reads::{gets, reading};
use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;

fn plain(answers: &[&str]) -> (Vec<String>, Option<Failure>) {
    (answers.iter().map(|answer| (*answer).to_owned()).collect(), None)
}

/// A primary with two replicas that all have a value, and are known.
fn replicas(read_from: &str) -> Bench {
    let mut bench = reading(read_from);
    bench.run("SET k v").unwrap();
    for index in 2..=3 {
        bench.network.server(index, |server| server.data.insert("k".to_owned(), "v".to_owned()));
    }
    bench.run_batch("GET k; GET k");
    bench
}

#[test]
fn a_batch_of_reads_goes_to_a_replica_and_one_with_anything_else_to_the_primary() {
    let mut bench = replicas("prefer-replica");
    let before = gets(&bench);
    assert_eq!(before[0], 0, "{before:?}");
    assert_eq!(bench.run_batch("GET k; GET k; MGET k"), plain(&["'v'", "'v'", "array([bulk-string('\"v\"')])"]));
    assert_eq!(gets(&bench).iter().sum::<usize>() - before.iter().sum::<usize>(), 2);
    assert_eq!(gets(&bench)[0], 0);
    for other in ["SET k w", "INCR n", "PING", "EVAL code 0", "HSCAN h 0"] {
        let before = gets(&bench);
        let (seen, failure) = bench.run_batch(&format!("GET k; {other}; GET k"));
        assert_eq!(failure, None, "{other}: {seen:?}");
        assert_eq!([gets(&bench)[0] - before[0], gets(&bench)[1] - before[1]], [2, 0], "{other}");
    }
    assert_eq!(bench.run_batch("MULTI; GET k; EXEC").1, None);
    assert_eq!(bench.network.server(1, |server| server.count("GET")), 11);
}

#[test]
fn a_batch_goes_on_at_another_node_where_the_replica_fails_it() {
    for fault in [Fault::CloseBefore, Fault::CloseAfter, Fault::Say(b"-LOADING not yet\r\n".to_vec())] {
        let mut bench = replicas("prefer-replica");
        for index in 2..=3 {
            bench.network.server(index, |server| server.faults.push_back(("GET".into(), fault.clone())));
        }
        assert_eq!(bench.run_batch("GET k; GET k; GET k"), plain(&["'v'"; 3]), "{fault:?}");
        assert_eq!(bench.network.dialed(1), 1, "the primary is not to blame: {fault:?}");
    }
    let mut bench = replicas("replica");
    bench.network.change(|state| {
        state.kill(2);
        state.kill(3);
    });
    let (_, failure) = bench.run_batch("GET k; GET k");
    let failure = failure.expect("nobody else may answer");
    assert!(matches!(failure.kind, Kind::Timeout(_) | Kind::Connection) && failure.index == Some(0), "{failure:?}");
    assert!(failure.message.contains("no replica can be read from"), "{failure}");
}

#[test]
fn a_replica_that_hangs_costs_a_batch_the_time_of_suspicion() {
    let mut bench = replicas("prefer-replica");
    bench.network.change(|state| state.freeze(2, true));
    let before = bench.elapsed();
    for _ in 0..3 {
        assert_eq!(bench.run_batch("GET k; GET k"), plain(&["'v'"; 2]));
    }
    assert!(bench.elapsed() - before < 1.0, "{} s", bench.elapsed() - before);
}

#[test]
fn in_a_cluster_the_part_of_each_shard_goes_to_a_replica_unless_it_writes() {
    let mut bench = with_options(&[("read_from", Setting::Text("prefer-replica".into()))]);
    let keys = [1, 2, 3].map(key_at);
    let [a, b, c] = &keys;
    for (place, key) in keys.iter().enumerate() {
        bench.run(&format!("SET {key} v")).unwrap();
        bench.network.server(place + 4, |server| server.data.insert(key.clone(), "v".to_owned()));
        bench.run(&format!("GET {key}")).unwrap();
    }
    let reads = |bench: &Bench| (1..=6).map(|index| heard(bench, index, "GET")).collect::<Vec<_>>();
    let before = reads(&bench);
    let (seen, failure) = bench.run_batch(&format!("GET {c}; GET {a}; GET {b}; SET {c} w; GET {c}; GET {a}"));
    assert_eq!((seen, failure), plain(&["'v'", "'v'", "'v'", "OK", "'w'", "'v'"]));
    let after = reads(&bench);
    let new: Vec<usize> = before.iter().zip(&after).map(|(before, after)| after - before).collect();
    assert_eq!(new, [0, 0, 2, 2, 1, 0]);
    // All are sent their parts before the first is waited for: one that hangs keeps nobody waiting.
    bench.network.change(|state| state.freeze(4, true));
    bench.network.after(Duration::from_millis(50), |state| state.freeze(4, false));
    let before = bench.elapsed();
    let (seen, failure) = bench.run_batch(&format!("GET {a}; GET {b}"));
    assert_eq!((seen, failure), plain(&["'v'", "'v'"]));
    assert!(bench.elapsed() - before < 0.1, "{} s", bench.elapsed() - before);
}
