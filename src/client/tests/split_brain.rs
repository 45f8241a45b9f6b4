//! P12: a primary whose replicas are gone is asked and looked at before it gets more writes.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::connection::scripted::{Fault, State};
use crate::failover::Limit;

const TICK: Duration = Duration::from_millis(3);

/// Runs `commands` in turn, one every 3 ms, for `time`. Gives the longest time that one took, in seconds.
fn traffic(bench: &mut Bench, commands: &[&str], time: Duration) -> f64 {
    let (begun, mut longest) = (bench.elapsed(), 0.0_f64);
    for command in commands.iter().cycle() {
        let before = bench.elapsed();
        if before - begun >= time.as_secs_f64() {
            break;
        }
        bench.run(command).unwrap();
        longest = longest.max(bench.elapsed() - before);
        bench.network.clock.advance(TICK);
    }
    longest
}

/// A client that has used the primary (1) of two replicas (2, 3), and forgot that it was asked a moment ago.
fn settled() -> Bench {
    let mut bench = Bench::of(replicated());
    traffic(&mut bench, &["SET k v"], Duration::from_millis(200));
    bench
}

fn roles(bench: &Bench) -> usize {
    bench.network.server(1, |server| server.roles)
}

fn executed(bench: &Bench, index: usize, name: &str) -> usize {
    bench.network.server(index, |server| server.count(name))
}

/// The second node is promoted, and the first goes on as if nothing had happened: without that replica, or without any.
fn promote_beside(state: &mut State, left: &[usize]) {
    state.server(2).promote();
    state.server(1).replicas = left.iter().map(|index| node(*index)).collect();
    if left.is_empty() {
        state.server(3).follows = Some(node(2));
    }
}

#[test]
fn a_write_now_and_then_asks_whether_the_replicas_are_there_and_a_read_never_does() {
    let mut bench = settled();
    let before = roles(&bench);
    traffic(&mut bench, &["GET k"], Duration::from_secs(10));
    assert_eq!(roles(&bench), before, "reads cost one command");
    traffic(&mut bench, &["SET k v", "GET k"], Duration::from_secs(10));
    let asked = roles(&bench) - before;
    assert!((150..=200).contains(&asked), "asked {asked} times in 10 s");
    assert_eq!(bench.network.dialed(1), 1);
    assert_eq!((bench.network.dialed(2), bench.network.dialed(3)), (0, 0));
}

#[test]
fn a_primary_without_replicas_is_asked_rarely_and_its_first_replica_is_learned() {
    let mut bench = Bench::of(vec![Server::primary(&[]), Server::replica(&node(1))]);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(10));
    assert!(roles(&bench) <= 10, "{} questions in 10 s", roles(&bench));
    bench.network.server(1, |server| server.replicas = vec![node(2)]);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(2));
    assert_eq!(bench.client.deployment().knowledge().replicas(), [node(2)]);
    assert!(roles(&bench) > 25, "from then on it is asked often: {}", roles(&bench));
}

#[test]
fn writes_move_to_the_promoted_node_though_the_old_one_still_takes_them() {
    for left in [&[][..], &[3]] {
        let mut bench = settled();
        let (sets, incrs) = (executed(&bench, 1, "SET"), executed(&bench, 1, "INCR"));
        bench.network.change(|state| promote_beside(state, left));
        traffic(&mut bench, &["SET k w", "INCR n", "GET k"], Duration::from_secs(1));
        let lost = (executed(&bench, 1, "SET") - sets, executed(&bench, 1, "INCR") - incrs);
        assert!(lost.0 <= 7 && lost.1 <= 7, "replicas left {left:?}: {lost:?} writes went to the old primary");
        assert!(executed(&bench, 2, "SET") > 80, "{left:?}");
        let events = ["primary.suspected", "failover.started", "failover.completed"];
        assert_eq!(bench.events(), events, "{left:?}");
        assert_eq!(bench.client.deployment().knowledge().primary(), Some(&node(2)));
    }
}

#[test]
fn a_second_split_brain_costs_no_more_than_the_first() {
    let mut bench = settled();
    bench.network.change(|state| promote_beside(state, &[]));
    traffic(&mut bench, &["SET k v"], Duration::from_millis(500));
    bench.network.server(2, |server| server.replicas = vec![node(3)]);
    traffic(&mut bench, &["SET k v"], Duration::from_millis(1500));
    let sets = executed(&bench, 2, "SET");
    bench.network.change(|state| {
        state.server(3).history = ("e".repeat(40), "b".repeat(40));
        state.server(3).follows = None;
        state.server(2).replicas.clear();
    });
    traffic(&mut bench, &["SET k v"], Duration::from_secs(1));
    let lost = executed(&bench, 2, "SET") - sets;
    assert!(lost <= 20, "{lost} writes lost");
    assert!(executed(&bench, 3, "SET") > 200);
}

#[test]
fn a_replica_that_gets_its_copy_still_is_not_missed() {
    for hides_role in [false, true] {
        let mut servers = replicated();
        (servers[0].replicas, servers[0].syncing, servers[0].hides_role) = (vec![node(2)], vec![node(3)], hides_role);
        let mut bench = Bench::of(servers);
        traffic(&mut bench, &["SET k v"], Duration::from_secs(1));
        // A new connection is told by INFO.
        bench.network.change(|state| state.close_all(1));
        traffic(&mut bench, &["SET k v"], Duration::from_secs(1));
        assert!(!bench.events().contains(&"primary.suspected"), "ROLE hidden: {hides_role}");
        let searched = bench.network.dialed(2);
        traffic(&mut bench, &["SET k v"], Duration::from_secs(1));
        assert_eq!(bench.network.dialed(2), searched, "ROLE hidden: {hides_role}");
    }
}

#[test]
fn dead_replicas_without_a_promotion_cost_little_and_less_and_less() {
    let mut bench = settled();
    let begun = bench.elapsed();
    bench.network.change(|state| {
        state.server(1).replicas.clear();
        state.kill(2);
        state.kill(3);
    });
    let longest = traffic(&mut bench, &["SET k v"], Duration::from_secs(10));
    assert!(longest < 0.005, "a write took {longest} s");
    let sets = executed(&bench, 1, "SET");
    let expected = ((bench.elapsed() - begun) / 0.0032) as usize;
    assert!(sets > expected * 9 / 10, "{sets} writes, {expected} expected");
    // At 50, 100, 200, 400, 800 ms and then every second.
    assert!((10..=16).contains(&bench.network.dialed(2)), "{} looks", bench.network.dialed(2));
    assert!(roles(&bench) < 32, "{} questions", roles(&bench));
    assert_eq!(executed(&bench, 2, "SET") + executed(&bench, 3, "SET"), 0);
}

#[test]
fn replicas_that_hang_hold_up_one_write_for_suspect_after_and_the_others_for_a_moment() {
    let mut bench = settled();
    bench.network.change(|state| {
        state.server(1).replicas.clear();
        state.cut_off(2);
        state.freeze(3, true);
    });
    let longest = traffic(&mut bench, &["SET k v"], Duration::from_secs(2));
    assert!((0.2..0.27).contains(&longest), "the longest write took {longest} s");
    for _ in 0..20 {
        let longest = traffic(&mut bench, &["SET k v"], Duration::from_secs(2));
        assert!(longest < 0.025, "a write took {longest} s");
    }
    assert_eq!(bench.events(), ["primary.suspected"], "once");
}

#[test]
fn a_promoted_node_is_found_though_another_hangs() {
    let mut bench = settled();
    bench.network.change(|state| {
        promote_beside(state, &[]);
        state.freeze(3, true);
    });
    let longest = traffic(&mut bench, &["SET k v"], Duration::from_millis(200));
    assert!(longest < 0.05, "a write took {longest} s");
    assert!(executed(&bench, 2, "SET") > 20);
}

#[test]
fn replicas_that_come_back_end_the_doubt() {
    let mut bench = settled();
    bench.network.change(|state| state.server(1).replicas.clear());
    traffic(&mut bench, &["SET k v"], Duration::from_secs(4));
    bench.network.change(|state| state.server(1).replicas = vec![node(2), node(3)]);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(2));
    let looks = bench.network.dialed(2);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(5));
    assert_eq!(bench.network.dialed(2), looks);
    // And the next loss is looked into at once.
    bench.network.change(|state| promote_beside(state, &[3]));
    traffic(&mut bench, &["SET k v"], Duration::from_millis(100));
    assert!(executed(&bench, 2, "SET") > 5);
}

#[test]
fn a_second_loss_is_looked_into_at_once_though_the_first_was_looked_into_in_vain() {
    let mut bench = settled();
    bench.network.change(|state| {
        state.server(1).replicas = vec![node(2)];
        state.kill(3);
    });
    traffic(&mut bench, &["SET k v"], Duration::from_secs(10));
    let sets = executed(&bench, 1, "SET");
    bench.network.change(|state| promote_beside(state, &[]));
    traffic(&mut bench, &["SET k w"], Duration::from_secs(3));
    let lost = executed(&bench, 1, "SET") - sets;
    assert!(lost <= 350, "{lost} writes lost: no more than the pace allows");
    assert!(executed(&bench, 2, "SET") > 500);
}

#[test]
fn a_replica_that_stays_away_while_another_is_there_was_removed() {
    let mut bench = settled();
    bench.network.change(|state| {
        state.server(1).replicas = vec![node(2)];
        state.kill(3);
    });
    for _ in 0..65 * 4 {
        bench.run("SET k v").unwrap();
        bench.network.clock.advance(Duration::from_millis(250));
    }
    let looks = bench.network.dialed(3);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(10));
    assert_eq!(bench.network.dialed(3), looks);
    assert_eq!(bench.client.deployment().knowledge().replicas(), [node(2)]);
}

#[test]
fn an_answer_that_does_not_come_changes_nothing_for_the_command() {
    let garbage = Fault::Say(b"nonsense\r\n".to_vec());
    for fault in [Fault::CloseAfter, Fault::CloseBefore, Fault::Silence, Fault::Half, garbage] {
        let mut bench = settled();
        let dialed = bench.network.dialed(1);
        bench.network.server(1, |server| server.faults.push_back(("ROLE".into(), fault.clone())));
        bench.network.clock.advance(Duration::from_millis(100));
        let before = bench.elapsed();
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)), "{fault:?}");
        assert!(bench.elapsed() - before < 0.26, "{fault:?}: {}", bench.elapsed() - before);
        assert!(bench.network.server(1, |server| server.faults.is_empty()), "{fault:?}: it was asked");
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(2)), "{fault:?}");
        assert_eq!(bench.network.dialed(1), dialed + 1, "{fault:?}: what owes an answer is closed");
        assert_eq!(executed(&bench, 1, "INCR"), 2, "{fault:?}");
    }
}

#[test]
fn an_error_reply_stays_the_commands_own_and_the_connection_is_kept() {
    let mut bench = settled();
    for text in ["WRONGTYPE Operation against a key", "LOADING a moment"] {
        bench.network.clock.advance(Duration::from_millis(100));
        let (asked, said) = (roles(&bench), format!("-{text}\r\n").into_bytes());
        bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Say(said))));
        let result = bench.run("INCR n");
        match text.starts_with("WRONG") {
            true => assert_eq!(result.unwrap_err().message, text),
            false => assert_eq!(result, Ok(Value::Int(1))),
        }
        assert_eq!(roles(&bench), asked + 1);
    }
    bench.network.clock.advance(Duration::from_millis(100));
    bench.network.server(1, |server| server.hides_role = true);
    let said = b"-ERR its own\r\n".to_vec();
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Say(said))));
    assert_eq!(bench.run("INCR n").unwrap_err().message, "ERR its own", "not the error of the question");
}

#[test]
fn who_may_not_call_role_is_served_by_info_and_who_may_call_neither_is_left_alone() {
    let mut bench = settled();
    bench.network.server(1, |server| server.hides_role = true);
    let asked = roles(&bench);
    traffic(&mut bench, &["SET k v"], Duration::from_secs(2));
    assert_eq!(roles(&bench), asked + 1, "once is enough");
    bench.network.change(|state| promote_beside(state, &[]));
    traffic(&mut bench, &["SET k v"], Duration::from_millis(200));
    assert!(executed(&bench, 2, "SET") > 20);

    let mut bench = settled();
    bench.network.server(1, |server| (server.hides_role, server.hides_info) = (true, true));
    let asked = roles(&bench);
    let longest = traffic(&mut bench, &["SET k v"], Duration::from_secs(30));
    assert_eq!(roles(&bench), asked + 1);
    assert!(longest < 0.001, "{longest}");
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn a_node_that_says_that_it_is_a_replica_gets_no_further_write() {
    let mut bench = settled();
    bench.network.clock.advance(Duration::from_millis(100));
    let sets = executed(&bench, 1, "SET");
    bench.network.server(1, |server| {
        // It is demoted between the command and the question.
        server.faults.push_back(("ROLE".into(), Fault::Say(b"*1\r\n$5\r\nslave\r\n".to_vec())));
    });
    bench.run("SET k v").unwrap();
    bench.network.change(|state| promote_beside(state, &[]));
    bench.run("SET k w").unwrap();
    assert_eq!((executed(&bench, 1, "SET"), executed(&bench, 2, "SET")), (sets + 1, 1));
}

#[test]
fn nothing_rides_with_what_blocks_or_is_pinned_but_behind_exec() {
    let mut bench = settled();
    for commands in [&["BLPOP list 1"][..], &["WATCH k", "SET k v", "UNWATCH"], &["MULTI", "SET k v", "DISCARD"]] {
        bench.network.clock.advance(Duration::from_millis(100));
        let asked = roles(&bench);
        for command in commands {
            bench.run(command).unwrap();
        }
        assert_eq!(roles(&bench), asked, "{commands:?}");
    }
    bench.network.clock.advance(Duration::from_millis(100));
    let asked = roles(&bench);
    for command in ["MULTI", "SET k v", "EXEC", "GET k"] {
        bench.run(command).unwrap();
    }
    assert_eq!(roles(&bench), asked + 1);
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn a_transaction_begins_at_the_promoted_node() {
    let mut bench = settled();
    bench.network.change(|state| promote_beside(state, &[]));
    bench.network.clock.advance(Duration::from_millis(100));
    bench.run("SET k v").unwrap();
    for command in ["MULTI", "SET k w", "EXEC"] {
        bench.run(command).unwrap();
    }
    assert_eq!(executed(&bench, 2, "SET"), 1);
}

#[test]
fn a_question_that_never_arrived_says_nothing_of_the_command_before_it() {
    let mut bench = settled();
    bench.network.clock.advance(Duration::from_millis(100));
    let incr = "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n".len();
    bench.network.change(|state| state.send_limit = Some(incr));
    // The server closes when it has the command, and before the question comes.
    bench.network.after(Duration::ZERO, |state| state.close_all(1));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, Kind::LostReply, "{failure:?}");
}

#[test]
fn looking_around_keeps_to_the_deadline() {
    let options = [("command_timeout", crate::config::Setting::Float(0.1))];
    let mut bench = Bench::with(replicated(), &[1], &options);
    traffic(&mut bench, &["SET k v"], Duration::from_millis(200));
    bench.network.change(|state| {
        state.server(1).replicas.clear();
        state.cut_off(2);
        state.cut_off(3);
    });
    bench.network.clock.advance(Duration::from_millis(100));
    bench.run("SET k v").unwrap();
    let before = bench.elapsed();
    match bench.run("SET k v") {
        Ok(_) => {}
        Err(failure) => assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}"),
    }
    assert!(bench.elapsed() - before < 0.11, "{}", bench.elapsed() - before);
}

#[test]
fn a_batch_asks_too_and_moves_as_one_command_does() {
    let mut bench = settled();
    let asked = roles(&bench);
    for _ in 0..20 {
        bench.network.clock.advance(Duration::from_millis(100));
        assert_eq!(bench.run_batch("SET k v; GET k; INCR n").1, None);
    }
    assert_eq!(roles(&bench), asked + 20);
    assert_eq!(bench.network.dialed(1), 1);
    bench.network.clock.advance(Duration::from_millis(100));
    bench.run_batch("GET k; GET n");
    assert_eq!(roles(&bench), asked + 20, "a batch of reads does not ask");
    bench.network.change(|state| promote_beside(state, &[]));
    bench.run_batch("SET k v");
    bench.run_batch("SET k w; GET k");
    assert_eq!(executed(&bench, 2, "SET"), 1);
}

#[test]
fn a_batch_whose_question_gets_no_answer_has_its_replies() {
    for fault in [Fault::CloseAfter, Fault::CloseBefore, Fault::Silence, Fault::Half] {
        let mut bench = settled();
        bench.network.clock.advance(Duration::from_millis(100));
        bench.network.server(1, |server| server.faults.push_back(("ROLE".into(), fault.clone())));
        let (seen, failure) = bench.run_batch("INCR n; INCR n");
        assert_eq!((seen, failure), (vec!["1".to_owned(), "2".to_owned()], None), "{fault:?}");
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(3)), "{fault:?}");
    }
}
