//! P12 with `min_replicas`: a write is acknowledged by replicas, or the caller hears that it was not.

use std::time::Duration;

use redis::Value;

use super::batches::says;
use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;

const MS: Duration = Duration::from_millis(1);

fn quorum(count: i64, timeout: f64) -> (&'static str, Setting) {
    let entries = [("count", Setting::Int(count)), ("timeout", Setting::Float(timeout))];
    ("min_replicas", Setting::Map(entries.map(|(key, value)| (key.to_owned(), value)).to_vec()))
}

fn bench_with(options: &[(&str, Setting)]) -> Bench {
    Bench::with(replicated(), &[1], options)
}

fn waits(bench: &Bench) -> Vec<String> {
    bench.network.server(1, |server| server.waits.iter().map(|words| words.join(" ")).collect())
}

fn executed(bench: &Bench, index: usize, name: &str) -> usize {
    bench.network.server(index, |server| server.count(name))
}

fn acknowledge(bench: &Bench, count: usize, after: Duration) {
    bench.network.server(1, |server| server.acknowledging = Some((count, after)));
}

fn not_enough(reached: u32, wanted: u32) -> Kind {
    Kind::NotEnoughReplicas { reached, wanted }
}

#[test]
fn a_write_waits_for_its_replicas_and_a_read_does_not() {
    let mut bench = bench_with(&[quorum(2, 0.1)]);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(waits(&bench), ["2 100", "2 100"]);
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn nobody_waits_without_the_option() {
    let mut bench = bench_with(&[]);
    bench.run("SET k v").unwrap();
    assert_eq!(waits(&bench), [""; 0]);
}

#[test]
fn too_few_acknowledgements_are_told_and_the_write_is_never_sent_again() {
    let options =
        [quorum(2, 0.1), ("retry", Setting::Map(vec![("ceiling".into(), Setting::Text("accumulating".into()))]))];
    let mut bench = bench_with(&options);
    bench.run("SET k v").unwrap();
    acknowledge(&bench, 1, Duration::ZERO);
    let before = bench.elapsed();
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, not_enough(1, 2), "{failure}");
    assert!(failure.is_outcome_unknown());
    assert!(failure.message.contains("INCR was applied, but 1 of 2 replicas"), "{failure}");
    assert_eq!(failure.node.as_deref(), Some("10.0.0.1:1"));
    assert!((0.1..0.11).contains(&(bench.elapsed() - before)), "{}", bench.elapsed() - before);
    assert_eq!(executed(&bench, 1, "INCR"), 1);
    acknowledge(&bench, 2, 30 * MS);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(2)), "the next finds them there again");
    assert_eq!(bench.network.server(1, |server| server.data["n"].clone()), "2");
}

#[test]
fn the_wait_is_no_silence_that_raises_suspicion() {
    let mut bench = bench_with(&[quorum(1, 2.0), ("read_write_timeout", Setting::Float(0.5))]);
    bench.run("SET k v").unwrap();
    acknowledge(&bench, 1, 1500 * MS);
    let dialed = bench.network.dialed(2);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.network.dialed(2), dialed, "nobody was asked meanwhile");
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn the_wait_ends_with_the_deadline_of_the_command() {
    let mut bench = bench_with(&[quorum(1, 5.0), ("command_timeout", Setting::Float(0.4))]);
    bench.run("SET k v").unwrap();
    assert_eq!(waits(&bench), ["1 400"]);
    acknowledge(&bench, 0, Duration::ZERO);
    let before = bench.elapsed();
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, not_enough(0, 1), "{failure}");
    assert!(bench.elapsed() - before < 0.41, "{}", bench.elapsed() - before);
}

#[test]
fn a_node_that_falls_silent_after_the_reply_is_waited_for_no_longer_than_the_time_and_suspect_after() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("WAIT".into(), Fault::Silence)));
    let before = bench.elapsed();
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, not_enough(0, 1), "{failure}");
    assert!((0.35..0.36).contains(&(bench.elapsed() - before)), "{}", bench.elapsed() - before);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(2)));
    assert_eq!(bench.network.dialed(1), 3, "one look around, and one for the connection that owes a reply");
}

#[test]
fn a_connection_that_is_lost_before_the_count_comes_leaves_it_unknown() {
    for fault in [Fault::CloseAfter, Fault::CloseBefore, Fault::Half] {
        let mut bench = bench_with(&[quorum(1, 0.1)]);
        bench.run("SET k v").unwrap();
        bench.network.server(1, |server| server.faults.push_back(("WAIT".into(), fault.clone())));
        let failure = bench.run("SET k w").unwrap_err();
        assert_eq!(failure.kind, not_enough(0, 1), "{fault:?}: {failure}");
        assert!(failure.message.contains("not known"), "{fault:?}: {failure}");
        assert_eq!(executed(&bench, 1, "SET"), 2, "{fault:?}: it is not sent again");
        assert_eq!(bench.run("SET k x"), Ok(Value::Okay), "{fault:?}");
    }
}

#[test]
fn who_may_not_wait_hears_which_option_asks_for_it() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    let denied = says("NOPERM this user has no permissions to run the 'wait' command");
    bench.network.server(1, |server| server.faults.push_back(("WAIT".into(), denied)));
    let failure = bench.run("SET k v").unwrap_err();
    assert_eq!(failure.kind, not_enough(0, 1), "{failure}");
    assert!(failure.message.contains("min_replicas") && failure.message.contains("NOPERM"), "{failure}");
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())), "it was applied, and the connection is clean");
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn an_error_reply_is_the_commands_own_and_a_reply_that_says_that_nothing_changed_needs_no_replicas() {
    let mut bench = bench_with(&[quorum(2, 0.1)]);
    bench.run("SET k v").unwrap();
    acknowledge(&bench, 0, Duration::ZERO);
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), says("WRONGTYPE of it"))));
    assert_eq!(bench.run("INCR k").unwrap_err().message, "WRONGTYPE of it");
    assert_eq!(bench.run("SET k w NX"), Ok(Value::Nil));
    assert_eq!(bench.run("SET other w NX").unwrap_err().kind, not_enough(0, 2));
    assert_eq!(bench.network.server(1, |server| server.waits.len()), 4);
}

#[test]
fn what_is_sent_again_waits_again() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("SET k v").unwrap();
    for fault in [Fault::CloseAfter, says("LOADING a moment")] {
        let asked = waits(&bench).len();
        bench.network.server(1, |server| server.faults.push_back(("SET".into(), fault.clone())));
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay), "{fault:?}");
        assert!(waits(&bench).len() > asked, "{fault:?}");
    }
    let failure_free = bench.run("GET k");
    assert_eq!(failure_free, Ok(Value::BulkString(b"w".to_vec())));
}

#[test]
fn a_blocking_command_that_is_sent_again_keeps_its_wait() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("SET k v").unwrap();
    let asked = waits(&bench).len();
    bench.network.server(1, |server| server.faults.push_back(("BLPOP".into(), says("UNBLOCKED force unblock"))));
    assert!(bench.run("BLPOP list 5").is_ok());
    assert!(waits(&bench).len() > asked);
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
}

#[test]
fn a_transaction_waits_at_its_end() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    for command in ["MULTI", "SET k v", "INCR n"] {
        bench.run(command).unwrap();
    }
    assert_eq!(waits(&bench), [""; 0]);
    assert!(bench.run("EXEC").is_ok());
    assert_eq!(waits(&bench), ["1 100"]);
    acknowledge(&bench, 0, Duration::ZERO);
    for command in ["MULTI", "INCR n"] {
        bench.run(command).unwrap();
    }
    let failure = bench.run("EXEC").unwrap_err();
    assert_eq!((failure.kind.clone(), failure.command.as_str()), (not_enough(0, 1), "EXEC"), "{failure}");
    assert_eq!(bench.run("GET n"), Ok(Value::BulkString(b"2".to_vec())), "the transaction is over");
    assert!(!bench.client.pins.any());
}

#[test]
fn a_write_under_watch_waits_too() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("WATCH k").unwrap();
    bench.run("SET other v").unwrap();
    assert_eq!(waits(&bench), ["1 100"]);
    acknowledge(&bench, 0, Duration::ZERO);
    assert_eq!(bench.run("SET other w").unwrap_err().kind, not_enough(0, 1));
    assert!(bench.client.pins.watch, "it goes on watching");
    bench.run("UNWATCH").unwrap();
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn a_batch_waits_once() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    let (seen, failure) = bench.run_batch("SET k v; GET k; INCR n; INCR n");
    assert_eq!((seen.len(), failure), (4, None));
    assert_eq!(waits(&bench), ["1 100"]);
    let (_, failure) = bench.run_batch("GET k; GET n");
    assert_eq!((waits(&bench).len(), failure), (1, None), "reads wait for nobody");
    acknowledge(&bench, 0, Duration::ZERO);
    let (seen, failure) = bench.run_batch("INCR n; GET k");
    let failure = failure.unwrap();
    assert_eq!((failure.kind.clone(), failure.index), (not_enough(0, 1), None), "{failure}");
    assert_eq!(seen, ["3", "'v'"], "the replies are known");
    assert_eq!(bench.network.dialed(1), 1);
    bench.run("GET k").unwrap();
}

#[test]
fn the_settled_part_of_a_batch_that_lost_its_connection_was_never_acknowledged() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    let (seen, failure) = bench.run_batch("INCR n; SET k v; GET k");
    assert_eq!(seen, ["1", "OK", "'v'"]);
    let failure = failure.unwrap();
    assert_eq!(failure.kind, not_enough(0, 1), "{failure}");
    assert!(failure.message.contains("after the first 1 of its commands"), "{failure}");
}

#[test]
fn no_write_is_acknowledged_and_lost_when_all_candidates_have_to_acknowledge() {
    let mut bench = bench_with(&[quorum(2, 0.1)]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).replicas = vec![node(3)];
    });
    let sets = executed(&bench, 1, "SET");
    let failure = bench.run("SET k w").unwrap_err();
    assert_eq!(failure.kind, not_enough(1, 2), "{failure}");
    // The new primary has one replica at first and needs two.
    bench.network.server(2, |server| server.replicas = vec![node(3), node(1)]);
    assert_eq!(bench.run("SET k x"), Ok(Value::Okay));
    assert_eq!((executed(&bench, 1, "SET"), executed(&bench, 2, "SET")), (sets + 1, 1));
    assert_eq!(bench.events(), ["primary.suspected", "failover.started", "failover.completed"]);
}

#[test]
fn replicas_that_lag_without_a_promotion_are_looked_into_once_a_second_at_most() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("SET k v").unwrap();
    acknowledge(&bench, 0, Duration::ZERO);
    for _ in 0..100 {
        assert_eq!(bench.run("SET k v").unwrap_err().kind, not_enough(0, 1));
    }
    assert!(bench.network.dialed(2) <= 11, "{} looks in {} s", bench.network.dialed(2), bench.elapsed());
}

#[test]
fn a_question_and_a_wait_ride_together() {
    let mut bench = bench_with(&[quorum(1, 0.1)]);
    bench.run("SET k v").unwrap();
    for _ in 0..5 {
        bench.network.clock.advance(100 * MS);
        bench.run("INCR n").unwrap();
    }
    let (roles, waits) = bench.network.server(1, |server| (server.roles, server.waits.len()));
    assert!(roles >= 4, "{roles}");
    assert_eq!(waits, 6);
    assert_eq!(bench.network.dialed(1), 1);
}
