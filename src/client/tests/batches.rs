//! P3 and P4: what becomes of a batch when something happens in the middle of it.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::{Batch, Kind};
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::Limit;
use crate::resp::frame_of;

pub fn faulty(faults: &[(&str, Fault)]) -> Bench {
    let bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| {
        server.faults.extend(faults.iter().map(|(name, fault)| ((*name).to_owned(), fault.clone())));
    });
    bench
}

pub fn executed(bench: &Bench, index: usize) -> String {
    bench.network.server(index, |server| server.executed.join(" "))
}

pub fn promote(bench: &Bench) {
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).follows = Some(node(2));
    });
}

pub fn says(text: &str) -> Fault {
    Fault::Say(format!("-{text}\r\n").into_bytes())
}

#[test]
fn the_replies_of_a_batch_come_in_its_order_over_one_connection() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let (seen, failure) = bench.run_batch("SET k v; GET k; INCR n; GET nothing; INCR n");
    assert_eq!(seen, ["OK", "'v'", "1", "nil", "2"], "{failure:?}");
    assert_eq!(bench.network.dialed(1), 1);
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.dialed(1), 1, "the connection went back clean");
}

#[test]
fn an_empty_batch_does_nothing() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let mut answers = Answers::default();
    assert!(bench.client.run_batch(&mut bench.desk, &Batch::default(), &mut answers).is_ok());
    assert_eq!(bench.network.dialed(1), 0);
}

#[test]
fn an_error_about_one_command_is_its_reply_and_the_batch_goes_on() {
    let mut bench = faulty(&[("INCR", says("WRONGTYPE Operation against a key"))]);
    let (seen, failure) = bench.run_batch("SET k v; INCR k; GET k");
    assert_eq!((seen, failure), (vec!["OK".into(), "WRONGTYPE".into(), "'v'".into()], None));
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn the_answered_prefix_stands_and_the_rest_is_sent_again_in_order() {
    let mut bench = faulty(&[("SET", Fault::CloseAfter)]);
    let (seen, failure) = bench.run_batch("INCR n; SET a 1; GET a; SET b 2; DEL c");
    assert_eq!(seen, ["1", "OK", "'1'", "OK", "0"], "{failure:?}");
    assert_eq!(executed(&bench, 1), "INCR SET SET GET SET DEL", "INCR was answered, and is not sent again");
}

#[test]
fn what_may_have_been_applied_and_adds_up_is_reported_with_the_known_replies() {
    for fault in [Fault::CloseAfter, Fault::Half, Fault::Silence] {
        let mut bench = faulty(&[("INCR", fault.clone())]);
        // A server that has fallen silent says nothing about what stands behind.
        let behind = if fault == Fault::CloseAfter { "; SET b 2" } else { "" };
        let (seen, failure) = bench.run_batch(&format!("SET a 1; GET a; INCR n{behind}"));
        let failure = failure.expect("an unknown outcome");
        assert_eq!(seen, ["OK", "'1'"], "{fault:?}");
        assert!(failure.is_outcome_unknown(), "{fault:?}: {failure:?}");
        assert_eq!((failure.index, failure.command.as_str()), (Some(2), "INCR"), "{failure:?}");
        assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1, "{fault:?}");
        assert!(bench.run("GET a").is_ok(), "{fault:?}: the client stays usable");
    }
}

#[test]
fn an_unanswered_read_before_a_write_in_doubt_is_the_first_without_a_reply() {
    let mut bench = faulty(&[("GET", Fault::CloseAfter)]);
    let (seen, failure) = bench.run_batch("SET a 1; GET a; INCR n");
    let failure = failure.expect("INCR may have arrived");
    assert_eq!((seen, failure.index, failure.command.as_str()), (vec!["OK".to_owned()], Some(1), "INCR"));
}

#[test]
fn what_had_not_left_when_the_connection_was_lost_is_sent_again_whatever_it_is() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    // Idle for too short to be looked at before use: the kernel takes the write, and only then is the end read.
    bench.network.change(|state| state.close_all(1));
    let (seen, failure) = bench.run_batch("INCR n; INCR n; INCR n");
    assert_eq!(seen, ["1", "2", "3"], "{failure:?}");
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 3);
}

#[test]
fn of_a_batch_that_was_sent_in_part_only_what_left_is_in_doubt() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    let set = frame_of(&["SET", "a", "1"]).bytes().len();
    // The kernel takes the SET and half of the INCR; then the connection ends without a reply.
    bench.network.change(|state| {
        state.send_limit = Some(set + 5);
        state.buffer = Some(1);
        state.latency = Duration::from_millis(50);
    });
    bench.network.after(Duration::from_millis(10), |state| {
        state.send_limit = None;
        state.buffer = None;
        state.drop_replies(1);
        state.close_all(1);
    });
    let (seen, failure) = bench.run_batch("SET a 1; INCR n");
    assert_eq!(seen, ["OK", "1"], "{failure:?}");
    assert_eq!(executed(&bench, 1), "SET SET SET INCR", "INCR had not left whole");
}

#[test]
fn replies_are_taken_while_the_kernel_takes_no_more() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.send_limit = Some(100);
        state.buffer = Some(64);
    });
    let commands: Vec<String> = (0..500).map(|number| format!("SET key{number} {number}")).collect();
    let (seen, failure) = bench.run_batch(&commands.join(";"));
    assert_eq!((seen.len(), failure), (500, None));
    assert!(seen.iter().all(|reply| reply == "OK"));
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn readonly_in_the_middle_sends_the_rest_to_the_promoted_node() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.demote_after = Some((1, node(2))));
    bench.network.server(2, |server| server.promote());
    let (seen, failure) = bench.run_batch("INCR n; INCR n; GET k; INCR n");
    assert_eq!(seen, ["1", "1", "nil", "2"], "the promoted node's own data: {failure:?}");
    assert_eq!(bench.network.server(2, |server| server.executed.join(" ")), "INCR GET INCR");
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1);
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);
}

#[test]
fn loading_that_lasts_is_waited_out_in_order() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| server.state = Some("LOADING Redis is loading the dataset in memory".into()));
    bench.network.after(Duration::from_millis(300), |state| state.server(1).state = None);
    let (seen, failure) = bench.run_batch("INCR n; GET n; INCR n");
    assert_eq!(seen, ["1", "'1'", "2"], "{failure:?}");
    assert!((0.3..0.6).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_refusal_that_a_later_write_has_overtaken_is_reported_and_order_is_kept() {
    let loading = || says("LOADING Redis is loading the dataset in memory");
    let mut bench = faulty(&[("INCR", loading())]);
    let (seen, failure) = bench.run_batch("SET a 1; INCR a; SET a 5; GET a");
    assert_eq!((seen, failure), (["OK", "LOADING", "OK", "'5'"].map(String::from).to_vec(), None));
    assert_eq!(bench.network.server(1, |server| server.data["a"].clone()), "5");
    // A read overtakes nothing: it is read again in its place.
    let mut bench = faulty(&[("INCR", loading())]);
    let (seen, failure) = bench.run_batch("SET a 1; INCR a; GET a");
    assert_eq!((seen, failure), (["OK", "2", "'2'"].map(String::from).to_vec(), None));
    // Nor does a write that the server would not have at all.
    let mut bench = faulty(&[("INCR", loading()), ("LPUSH", says("WRONGTYPE Operation against a key"))]);
    let (seen, failure) = bench.run_batch("INCR a; LPUSH a x; GET a");
    assert_eq!((seen, failure), (["1", "OK", "'1'"].map(String::from).to_vec(), None));
}

#[test]
fn a_script_that_failed_behind_a_refusal_may_have_written() {
    let mut bench = faulty(&[("INCR", says("LOADING Redis is loading")), ("EVAL", says("ERR from the script"))]);
    let (seen, failure) = bench.run_batch("INCR a; EVAL script 0");
    assert_eq!((seen, failure), (["LOADING", "ERR"].map(String::from).to_vec(), None));
}

#[test]
fn the_error_of_a_script_in_a_batch_counts_only_if_the_node_is_a_replica() {
    let readonly = says("READONLY You can't write against a read only replica. script: f, on @user_script:1.");
    let mut bench = Bench::of(replicated());
    bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), readonly.clone())));
    let (seen, failure) = bench.run_batch("GET a; EVAL script 0; GET b");
    assert_eq!(
        (seen, failure),
        (["nil", "READONLY", "nil"].map(String::from).to_vec(), None),
        "the script's own words"
    );
    promote(&bench);
    bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), readonly)));
    let (seen, failure) = bench.run_batch("GET a; EVAL script 0; GET b");
    assert_eq!((seen, failure), (["nil", "OK", "nil"].map(String::from).to_vec(), None));
    assert_eq!(bench.network.server(2, |server| server.count("EVAL")), 1);
}

#[test]
fn a_set_nx_sent_again_within_a_batch_never_hands_out_a_wrong_not_set() {
    let mut bench = faulty(&[("SET", Fault::CloseAfter)]);
    let (seen, failure) = bench.run_batch("SET lock me NX; GET lock; SET other 1");
    let failure = failure.expect("the nil may be our own doing");
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert_eq!(
        (seen, failure.index),
        (["?", "'me'", "OK"].map(String::from).to_vec(), Some(0)),
        "the others are known"
    );
    assert_eq!(bench.network.server(1, |server| server.executed.join(" ")), "SET SET GET SET");
}

#[test]
fn a_refusal_after_a_lost_reply_within_a_batch_does_not_claim_that_nothing_was_applied() {
    let mut bench = faulty(&[("SET", Fault::CloseAfter), ("SET", says("OOM command not allowed"))]);
    let (seen, failure) = bench.run_batch("SET k v; GET k");
    let failure = failure.expect("the first one was applied");
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert_eq!((seen, failure.index), (["?", "'v'"].map(String::from).to_vec(), Some(0)));
}

#[test]
fn one_deadline_bounds_the_whole_batch_and_not_each_reply() {
    let options = [("command_timeout", Setting::Float(2.0)), ("read_write_timeout", Setting::Float(0.5))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    // A reply every 0.45 s: never silent for long enough, and never done.
    for step in 1..20 {
        bench.network.after(Duration::from_millis(450 * step), |state| state.say_unasked(1, b"$-1\r\n"));
    }
    let (seen, failure) = bench.run_batch(&"GET k;".repeat(30));
    let failure = failure.expect("the deadline");
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert!((2.0..2.1).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!((seen.len(), failure.index), (4, Some(4)));
}

#[test]
fn silence_in_the_middle_is_bounded_by_read_write_timeout() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &[("read_write_timeout", Setting::Float(0.5))]);
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Silence)));
    let (seen, failure) = bench.run_batch("SET a 1; INCR n");
    let failure = failure.expect("INCR is in doubt");
    assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::ReadWriteTimeout), "{failure:?}");
    assert_eq!((seen, failure.index), (vec!["OK".to_owned()], Some(1)));
    assert!((0.5..0.6).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_node_that_falls_silent_in_the_middle_is_left_for_the_promoted_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_millis(1), |state| state.say_unasked(1, b"$1\r\nv\r\n"));
    bench.network.after(Duration::from_millis(600), |state| state.server(2).promote());
    let (seen, failure) = bench.run_batch("GET k; SET a 1; SET b 2; GET b");
    assert_eq!(seen, ["'v'", "OK", "OK", "'2'"], "{failure:?}");
    assert!((0.6..1.2).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(executed(&bench, 2), "SET SET GET");
}

#[test]
fn a_server_that_neither_takes_nor_gives_is_suspected_while_the_batch_is_being_sent() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.freeze(1, true);
        state.send_limit = Some(40);
        state.buffer = Some(0);
    });
    bench.network.after(Duration::from_millis(500), |state| {
        state.buffer = None;
        state.cut_off(1);
        state.server(2).promote();
    });
    bench.network.after(Duration::from_millis(10), |state| state.send_limit = None);
    let (seen, failure) = bench.run_batch("SET a 1; SET b 2; SET c 3");
    assert_eq!(seen, ["OK", "OK", "OK"], "{failure:?}");
    assert!(bench.elapsed() < 1.5, "{}", bench.elapsed());
}

#[test]
fn a_deadline_in_the_middle_says_what_was_answered_and_that_the_rest_was_not_applied() {
    let options = [("command_timeout", Setting::Float(1.0))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseBefore)));
    bench.network.after(Duration::from_micros(250), |state| state.kill(1));
    let (seen, failure) = bench.run_batch("INCR n; GET k");
    let failure = failure.expect("nobody is there any more");
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert_eq!((seen, failure.index), (vec!["1".to_owned()], Some(1)));
}

#[test]
fn without_retries_a_refusal_is_the_reply() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &[("retry", Setting::Bool(false))]);
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), says("LOADING Redis is loading"))));
    let (seen, failure) = bench.run_batch("GET a; GET b");
    assert_eq!((seen, failure), (["LOADING", "nil"].map(String::from).to_vec(), None));
}

#[test]
fn garbage_in_the_middle_is_tried_once_more_and_then_reported() {
    let garbage = Fault::Say(b"HTTP/1.1 400 Bad Request\r\n".to_vec());
    let mut bench = faulty(&[("GET", garbage.clone())]);
    assert_eq!(bench.run_batch("GET a; GET b"), (["nil", "nil"].map(String::from).to_vec(), None));
    let mut bench = faulty(&[("GET", garbage.clone()), ("GET", garbage)]);
    let (_, failure) = bench.run_batch("SET a 1; GET a");
    assert_eq!(failure.expect("twice is no accident").kind, Kind::Protocol);
}
