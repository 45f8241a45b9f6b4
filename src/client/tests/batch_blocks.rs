//! P2 and P4 within batches: transactions, and commands that change their connection or wait.

use std::time::Duration;

use redis::Value;

use super::batches::{executed, faulty, promote, says};
use super::*;
use crate::client::{Batch, Kind};
use crate::command::Shape;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::resp::frame_of;

#[test]
fn a_transaction_within_a_batch_is_queued_and_executed() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let (seen, failure) = bench.run_batch("GET a; MULTI; INCR n; INCR n; EXEC; GET n");
    assert_eq!(failure, None);
    assert_eq!(seen[..4], ["nil", "OK", "QUEUED", "QUEUED"]);
    assert!(seen[4].contains("int(1), int(2)") || seen[4].contains("Int(1), Int(2)"), "{}", seen[4]);
    assert_eq!(seen[5], "'2'");
    assert!(!bench.client.pins.any());
}

#[test]
fn a_transaction_whose_exec_never_left_is_sent_again_whole() {
    // The connection ends after MULTI and the first command were answered.
    let mut bench = faulty(&[("SET", Fault::CloseBefore)]);
    let (_, failure) = bench.run_batch("GET a; MULTI; INCR n; SET k v; EXEC");
    let failure = failure.expect("EXEC had left with the rest, and INCR adds up");
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    let mut bench = faulty(&[("SET", Fault::CloseBefore)]);
    let (seen, failure) = bench.run_batch("GET a; MULTI; SET n 1; SET k v; EXEC; GET k");
    assert_eq!((seen.len(), seen.last().map(String::as_str), failure), (6, Some("'v'"), None));
    assert_eq!(executed(&bench, 1), "GET SET SET GET", "last-wins: sent again whole");
}

#[test]
fn the_rank_of_a_transaction_is_the_highest_in_it() {
    for (commands, again) in [("SET a 1; GET a", true), ("SET a 1; INCR n", false), ("SET lock me NX", false)] {
        let mut bench = faulty(&[("EXEC", Fault::CloseAfter)]);
        let (_, failure) = bench.run_batch(&format!("MULTI; {commands}; EXEC"));
        assert_eq!(failure.is_none(), again, "{commands}: {failure:?}");
        if let Some(failure) = failure {
            assert!(failure.is_outcome_unknown() && failure.command == "EXEC", "{failure:?}");
        }
    }
}

#[test]
fn a_transaction_that_a_demoted_node_would_not_queue_goes_to_the_promoted_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    promote(&bench);
    let (seen, failure) = bench.run_batch("MULTI; GET k; INCR n; EXEC");
    assert_eq!((seen.len(), failure), (4, None));
    assert_eq!(executed(&bench, 2), "GET INCR");
    assert_eq!(executed(&bench, 1), "SET");
}

#[test]
fn a_command_that_cannot_be_queued_discards_its_transaction_for_good() {
    let mut bench = faulty(&[("INCR", says("ERR wrong number of arguments for 'incr' command"))]);
    let (seen, failure) = bench.run_batch("MULTI; INCR n; SET a 1; EXEC; GET a");
    assert_eq!((seen, failure), (["OK", "ERR", "QUEUED", "EXECABORT", "nil"].map(String::from).to_vec(), None));
}

#[test]
fn commands_whose_multi_was_refused_ran_by_themselves_and_are_not_repeated_as_if_they_had_not() {
    let noperm = says("NOPERM this user has no permissions to run the 'multi' command");
    let mut bench = faulty(&[("MULTI", noperm.clone())]);
    let (seen, failure) = bench.run_batch("MULTI; INCR n; GET n; EXEC");
    assert_eq!((&seen[..3], failure), (&["NOPERM", "1", "'1'"].map(String::from)[..], None));
    let mut bench = faulty(&[("MULTI", noperm), ("GET", Fault::CloseAfter)]);
    let (seen, failure) = bench.run_batch("MULTI; INCR n; GET n; INCR m; EXEC");
    let failure = failure.expect("the second INCR may have arrived");
    assert_eq!((seen, failure.index), (vec!["NOPERM".to_owned(), "1".to_owned()], Some(2)), "{failure:?}");
    // Refused for a moment only, and overtaken by its own commands.
    let mut bench = faulty(&[("MULTI", says("LOADING Redis is loading"))]);
    let (seen, failure) = bench.run_batch("MULTI; INCR n; EXEC");
    assert_eq!((&seen[..2], failure), (&["LOADING", "1"].map(String::from)[..], None));
}

#[test]
fn multi_exec_and_discard_take_no_arguments_since_the_server_would_go_on_queueing() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("MULTI").unwrap();
    for line in ["EXEC now", "DISCARD it", "MULTI 2"] {
        assert_eq!(bench.run(line).unwrap_err().kind, Kind::Client, "{line}");
        let words: Vec<&str> = line.split(' ').collect();
        let pushed = Batch::default().push(&frame_of(&words), crate::command::find(words[0].as_bytes()), Shape::Plain);
        assert_eq!(pushed.unwrap_err().kind, Kind::Client, "{line}");
    }
    assert!(bench.run("EXEC").is_ok(), "the transaction goes on");
}

#[test]
fn a_connection_whose_exec_was_refused_for_another_reason_than_its_queue_is_closed() {
    let noperm = says("NOPERM this user has no permissions to run the 'exec' command");
    let mut bench = faulty(&[("EXEC", noperm.clone()), ("EXEC", noperm)]);
    let (seen, _) = bench.run_batch("MULTI; SET k v; EXEC");
    assert_eq!(seen[2], "NOPERM");
    assert_eq!(bench.run("GET k"), Ok(Value::Nil));
    assert_eq!(bench.network.dialed(1), 2);
    bench.run("MULTI").unwrap();
    bench.run("EXEC").unwrap_err();
    assert_eq!(bench.run("GET k"), Ok(Value::Nil));
    assert_eq!(bench.network.dialed(1), 3);
}

#[test]
fn select_within_a_batch_moves_the_object_also_where_the_rest_is_sent_again() {
    let mut bench = faulty(&[("GET", Fault::CloseBefore)]);
    let (seen, failure) = bench.run_batch("SELECT 5; GET a; SET b 1");
    assert_eq!(seen, ["OK", "nil", "OK"], "{failure:?}");
    assert_eq!(bench.client.identity.database, 5);
    let selected = bench.network.server(1, |server| server.selected.clone());
    assert_eq!(selected, ["5", "5"], "once by the batch and once for the new connection");
}

#[test]
fn what_would_leave_state_behind_is_refused_when_it_is_added() {
    for line in ["SUBSCRIBE c", "MONITOR", "CLIENT SETNAME me", "WATCH k", "QUIT", "HELLO 3"] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut batch = Batch::default();
        let failure =
            batch.push(&frame_of(&words), crate::command::find(words[0].as_bytes()), Shape::Plain).unwrap_err();
        assert_eq!((failure.kind, batch.len()), (Kind::Client, 0), "{line}");
    }
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let (_, failure) = bench.run_batch("MULTI; SET k v");
    assert_eq!(failure.expect("an open transaction").kind, Kind::Client);
    assert_eq!(bench.network.dialed(1), 0, "before anything is sent");
}

#[test]
fn a_batch_in_a_transaction_of_the_client_is_queued_by_it() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("MULTI").unwrap();
    let (seen, failure) = bench.run_batch("SET a 1; INCR n");
    assert_eq!((seen, failure), (["QUEUED", "QUEUED"].map(String::from).to_vec(), None));
    assert!(bench.client.pins.multi);
    assert!(bench.run("EXEC").is_ok());
    assert_eq!(executed(&bench, 1), "SET INCR");
}

#[test]
fn a_watched_transaction_that_loses_its_connection_is_aborted_unless_its_exec_had_left() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("WATCH k").unwrap();
    bench.network.change(|state| state.close_all(1));
    let (_, failure) = bench.run_batch("MULTI; INCR n; EXEC");
    assert_eq!(failure.expect("a lost watch").kind, Kind::AbortedTransaction);
    bench.run("WATCH k").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("EXEC".into(), Fault::CloseAfter)));
    let (_, failure) = bench.run_batch("MULTI; INCR n; EXEC");
    assert_eq!(failure.expect("in doubt").kind, Kind::LostReply);
    bench.run("WATCH k").unwrap();
    let (seen, failure) = bench.run_batch("MULTI; INCR n; EXEC");
    assert_eq!((seen.len(), failure, bench.client.pins.any()), (3, None, false));
}

#[test]
fn a_blocking_command_in_a_batch_may_take_its_own_time() {
    let options = [("command_timeout", Setting::Float(1.0)), ("read_write_timeout", Setting::Float(0.5))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_secs(3), |state| state.freeze(1, false));
    let (seen, failure) = bench.run_batch("GET k; BLPOP list 4; GET k");
    assert_eq!(seen, ["'v'", "OK", "'v'"], "{failure:?}");
}
