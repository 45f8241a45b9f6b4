//! P1 and P2: what became of an attempt, and whether it is made again.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;

fn faulty(command: &str, fault: Fault) -> Bench {
    let bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| server.faults.push_back((command.to_owned(), fault)));
    bench
}

#[test]
fn done_is_done_at_the_first_attempt() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.server(1, |server| server.executed.join(" ")), "SET GET");
}

#[test]
fn a_refusal_about_the_command_is_final() {
    let mut bench = faulty("INCR", Fault::Say(b"-WRONGTYPE Operation against a key\r\n".to_vec()));
    let failure = bench.run("INCR k").unwrap_err();
    assert_eq!(failure.kind, Kind::Server("WRONGTYPE".into()));
    assert_eq!(failure.attempts, 1);
    assert_eq!(failure.node.as_deref(), Some("10.0.0.1:1"));
}

#[test]
fn an_incr_whose_reply_is_lost_is_never_sent_again() {
    for fault in [Fault::CloseAfter, Fault::Silence, Fault::Half, Fault::CloseBefore] {
        let mut bench = faulty("INCR", fault.clone());
        let failure = bench.run("INCR k").unwrap_err();
        assert!(failure.is_outcome_unknown(), "{fault:?}: {failure:?}");
        let executed = bench.network.server(1, |server| server.count("INCR"));
        assert!(executed <= 1, "{fault:?}: applied {executed} times");
        assert_eq!(bench.run("GET other"), Ok(Value::Nil), "{fault:?}: the client stays usable");
    }
}

#[test]
fn reads_and_last_wins_writes_are_sent_again_when_their_reply_is_lost() {
    for command in ["GET k", "SET k v", "DEL k"] {
        for fault in [Fault::CloseAfter, Fault::Silence, Fault::Half] {
            let name = command.split(' ').next().unwrap();
            let mut bench = faulty(name, fault.clone());
            assert!(bench.run(command).is_ok(), "{command} after {fault:?}");
            assert_eq!(bench.network.server(1, |server| server.count(name)), 2, "{command} after {fault:?}");
        }
    }
}

#[test]
fn the_ceiling_moves_both_ways() {
    let retry = |word: &str| [("retry", Setting::Map(vec![("ceiling".into(), Setting::Text(word.into()))]))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &retry("accumulating"));
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::CloseAfter)));
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(2)), "the caller allowed it");
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &retry("read"));
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    assert_eq!(bench.run("SET k v").unwrap_err().kind, Kind::LostReply);
}

#[test]
fn a_set_nx_sent_again_never_hands_out_a_wrong_not_set() {
    let mut bench = faulty("SET", Fault::CloseAfter);
    let failure = bench.run("SET lock me NX").unwrap_err();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 2);
    // Not applied the first time: the second attempt's OK is the truth.
    let mut bench = faulty("SET", Fault::CloseBefore);
    assert_eq!(bench.run("SET lock me NX"), Ok(Value::Okay));
    // A nil at the first attempt is the truth, too.
    assert_eq!(bench.run("SET lock me NX"), Ok(Value::Nil));
}

#[test]
fn a_refusal_after_a_lost_reply_does_not_claim_that_nothing_was_applied() {
    let mut bench = faulty("SET", Fault::CloseAfter);
    let oom = Fault::Say(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_vec());
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), oom)));
    let failure = bench.run("SET k v").unwrap_err();
    assert!(failure.is_outcome_unknown() && failure.message.contains("OOM"), "{failure:?}");
}

#[test]
fn readonly_on_incr_is_retried_at_the_promoted_node() {
    let mut bench = Bench::of(replicated());
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).follows = Some(node(2));
    });
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)), "the promoted node's own data");
    assert_eq!(bench.network.server(2, |server| server.count("INCR")), 1);
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);
}

#[test]
fn an_unblocked_pop_on_a_demoted_node_goes_on_at_the_promoted_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    let text = b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
    bench.network.server(1, |server| server.faults.push_back(("BLPOP".into(), Fault::Say(text.to_vec()))));
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).follows = Some(node(2));
    });
    assert!(bench.run("BLPOP list 5").is_ok());
    assert_eq!(bench.network.server(2, |server| server.count("BLPOP")), 1);
}

#[test]
fn readonly_out_of_a_script_counts_only_if_the_node_is_a_replica() {
    let readonly = b"-READONLY You can't write against a read only replica. script: f, on @user_script:1.\r\n";
    let mut bench = Bench::of(replicated());
    bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), Fault::Say(readonly.to_vec()))));
    let failure = bench.run("EVAL script 0").unwrap_err();
    assert_eq!(failure.kind, Kind::Server("READONLY".into()), "the node is primary: the script said so itself");
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).follows = Some(node(2));
        state.server(1).faults.push_back(("EVAL".into(), Fault::Say(readonly.to_vec())));
    });
    assert!(bench.run("EVAL script 0").is_ok(), "the node is a replica: nothing was applied");
    assert_eq!(bench.network.server(2, |server| server.count("EVAL")), 1);
}

#[test]
fn a_script_whose_node_cannot_be_asked_any_more_is_in_doubt_and_never_sent_again() {
    let readonly = b"-READONLY You can't write against a read only replica. script: f, on @user_script:1.\r\n";
    for promoted in [true, false] {
        let mut bench = Bench::with(replicated(), &[1], &[("command_timeout", Setting::Float(2.0))]);
        bench.run("SET k v").unwrap();
        bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), Fault::Say(readonly.to_vec()))));
        bench.network.after(Duration::from_micros(50), move |state| {
            // Its last words are on their way when it dies.
            state.refuse(1);
            if promoted {
                state.server(2).promote();
            }
        });
        let failure = bench.run("EVAL script 0").unwrap_err();
        assert!(failure.is_outcome_unknown(), "promoted {promoted}: {failure:?}");
        assert_eq!(bench.network.server(2, |server| server.count("EVAL")), 0);
    }
}

#[test]
fn a_blocked_command_sent_again_waits_only_for_what_is_left_of_its_time() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("XREAD".into(), Fault::Silence)));
    bench.network.after(Duration::from_millis(1500), |state| state.close_all(1));
    assert!(bench.run("XREAD BLOCK 4000 STREAMS s $").is_ok());
    let words = bench.network.server(1, |server| server.last.clone());
    let left: u64 = words[2].parse().unwrap();
    assert!((2400..=2500).contains(&left), "waited {left} ms more");
}

#[test]
fn a_blocked_command_that_the_server_ended_after_its_time_ends_with_nothing() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("BLPOP".into(), Fault::Silence)));
    let text = b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
    bench.network.after(Duration::from_millis(1100), |state| state.say_unasked(1, text));
    assert_eq!(bench.run("BLPOP list 1"), Ok(Value::Nil));
    assert_eq!(bench.network.server(1, |server| server.count("BLPOP")), 1);
}

#[test]
fn a_blocked_read_that_was_lost_after_its_time_is_asked_again_and_not_taken_for_empty() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("XREAD".into(), Fault::Silence)));
    bench.network.after(Duration::from_millis(1100), |state| state.close_all(1));
    assert_eq!(bench.run("XREAD BLOCK 1000 STREAMS s $"), Ok(Value::Okay), "the server's own answer");
    assert_eq!(bench.network.server(1, |server| server.last[2].clone()), "1", "asked without waiting");
}

#[test]
fn a_wait_for_acknowledgements_is_never_asked_again_on_another_connection() {
    let options = [("read_write_timeout", Setting::Float(0.5)), ("command_timeout", Setting::Float(2.0))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.network.server(1, |server| server.faults.push_back(("WAIT".into(), Fault::Silence)));
    let failure = bench.run("WAIT 1 100").unwrap_err();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert!(bench.elapsed() < 0.7, "{}", bench.elapsed());
}

#[test]
fn what_was_sent_to_a_connection_that_the_server_had_closed_was_not_applied() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    // Idle for too short to be looked at before it is used: the kernel takes the write, and only then is the end read.
    bench.network.change(|state| state.close_all(1));
    assert_eq!(bench.run("INCR k2"), Ok(Value::Int(1)));
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1);
}

#[test]
fn a_frame_that_the_kernel_takes_in_parts_arrives_whole() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.change(|state| state.send_limit = Some(7));
    assert_eq!(bench.run("SET key a-rather-long-value"), Ok(Value::Okay));
    assert_eq!(bench.run("GET key"), Ok(Value::BulkString(b"a-rather-long-value".to_vec())));
}

#[test]
fn bytes_that_are_no_resp_end_in_a_protocol_failure_for_a_read_and_in_doubt_for_a_write() {
    let garbage = Fault::Say(b"HTTP/1.1 400 Bad Request\r\n".to_vec());
    let mut bench = faulty("GET", garbage.clone());
    assert_eq!(bench.run("GET k"), Ok(Value::Nil), "once may be a broken connection");
    for _ in 0..2 {
        bench.network.server(1, |server| server.faults.push_back(("GET".into(), garbage.clone())));
    }
    assert_eq!(bench.run("GET k").unwrap_err().kind, Kind::Protocol);
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), garbage)));
    assert_eq!(bench.run("INCR k").unwrap_err().kind, Kind::LostReply);
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
}

#[test]
fn without_retries_the_first_loss_is_the_answer() {
    let mut bench = Bench::with(replicated(), &[1], &[("retry", Setting::Bool(false))]);
    bench.network.change(|state| state.kill(1));
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!((failure.kind.clone(), failure.attempts), (Kind::Connection, 1), "{failure:?}");
    assert!(bench.elapsed() < 0.1);
}

#[test]
fn a_reply_too_many_closes_the_connection_instead_of_answering_the_next_command() {
    let mut bench = faulty("GET", Fault::Say(b"$3\r\none\r\n$6\r\nsecret\r\n".to_vec()));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"one".to_vec())));
    assert_eq!(bench.run("GET k"), Ok(Value::Nil));
    assert_eq!(bench.network.dialed(1), 2);
}
