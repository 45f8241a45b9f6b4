//! P9: the promoted primary is found, not waited for.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::Setting;

const SECOND: Duration = Duration::from_secs(1);

fn promote_2(state: &mut crate::connection::scripted::State) {
    state.server(2).promote();
    state.server(3).follows = Some(node(2));
}

#[test]
fn a_killed_primary_is_a_pause_that_ends_with_the_promotion() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    let elapsed = bench.elapsed();
    assert!((1.0..1.05).contains(&elapsed), "the first write came {elapsed} s after the kill");
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 1);
    let dialed: usize = (1..=3).map(|index| bench.network.dialed(index)).sum();
    assert!(dialed <= 250, "{dialed} connection attempts");
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);
}

#[test]
fn a_silent_primary_is_left_when_another_is_promoted_and_not_before() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    let elapsed = bench.elapsed();
    assert!((1.0..1.1).contains(&elapsed), "{elapsed}");
}

#[test]
fn an_incr_in_flight_at_a_node_that_hangs_is_reported_when_the_promotion_is_seen() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(SECOND, promote_2);
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, Kind::LostReply, "{failure:?}");
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)), "the next goes to the promoted node at once");
    assert!(bench.elapsed() < 1.1);
}

#[test]
fn a_slow_answer_is_waited_for_although_others_are_asked_meanwhile() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(2 * SECOND, |state| state.freeze(1, false));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!((2.0..2.01).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1);
}

#[test]
fn a_primary_that_vanishes_without_a_word_does_not_hold_up_the_search() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.cut_off(1));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 1.1, "{}", bench.elapsed());
    // New connections go straight to the promoted node, though the configured endpoint is still dead.
    let before = bench.elapsed();
    bench.network.change(|state| state.close_all(2));
    assert_eq!(bench.run("SET k x"), Ok(Value::Okay));
    assert!(bench.elapsed() - before < 0.05, "{}", bench.elapsed() - before);
}

#[test]
fn users_who_may_not_call_info_fail_over_between_the_nodes_they_listed() {
    let mut servers = replicated();
    servers.iter_mut().for_each(|server| server.hides_info = true);
    let mut bench = Bench::with(servers, &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("INCR k2"), Ok(Value::Int(1)));
    assert!(bench.elapsed() < 1.05);
}

#[test]
fn in_a_list_the_primary_is_found_wherever_it_stands() {
    let servers = vec![Server::replica(&node(3)), Server::replica(&node(3)), Server::primary(&[node(1), node(2)])];
    let mut bench = Bench::with(servers, &[1, 2, 3], &[]);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.client.deployment().knowledge().primary(), Some(&node(3)));
}

#[test]
fn an_endpoint_that_leads_to_a_replica_leads_on_to_its_primary() {
    let mut bench = Bench::with(replicated(), &[2], &[]);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 1);
}

#[test]
fn of_two_primaries_the_promoted_one_is_taken_though_the_endpoint_names_the_other() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.network.change(promote_2);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 1);
}

#[test]
fn a_promoted_node_that_is_still_read_only_for_a_moment_is_asked_again() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        promote_2(state);
        let text = "READONLY You can't write against a read only replica.".to_owned();
        state.server(2).state = Some(text);
    });
    bench.network.after(Duration::from_millis(300), |state| state.server(2).state = None);
    assert_eq!(bench.run("INCR k2"), Ok(Value::Int(1)));
    assert!(bench.elapsed() < 0.6, "{}", bench.elapsed());
    assert!(bench.network.dialed(2) < 60, "{} connections", bench.network.dialed(2));
}

#[test]
fn a_wrong_password_is_told_at_once() {
    let mut bench = Bench::of(vec![Server { password: Some("right".into()), ..Server::primary(&[]) }]);
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::Connection);
    assert_eq!(failure.phase.map(|phase| phase.as_str()), Some("auth"));
    assert!(failure.message.contains("WRONGPASS"), "{failure}");
    assert!(bench.elapsed() < 0.1);
}

#[test]
fn a_slow_primary_is_not_left_for_a_node_that_nothing_proves_to_be_promoted() {
    let mut bench = Bench::with(vec![Server::primary(&[]), Server::stranger()], &[1, 2], &[]);
    bench.network.change(|state| state.freeze(2, true));
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.freeze(2, false);
        state.freeze(1, true);
    });
    bench.network.after(SECOND, |state| state.freeze(1, false));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 2);
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 0);
    assert_eq!(bench.events(), [""; 0]);
}

#[test]
fn two_addresses_of_one_server_do_not_promote_each_other() {
    // Equal histories: to the client these are one server, as a name with two addresses would show it.
    let mut bench = Bench::with(vec![Server::primary(&[]), Server::primary(&[])], &[1, 2], &[]);
    bench.run("SET k v").unwrap();
    let used = bench.client.deployment().knowledge().primary().cloned().unwrap();
    let index = if used == node(1) { 1 } else { 2 };
    bench
        .network
        .server(index, |server| server.faults.push_back(("BLPOP".into(), crate::connection::scripted::Fault::Silence)));
    bench.network.after(SECOND * 12, move |state| state.say_unasked(index, b"$1\r\nx\r\n"));
    assert!(bench.run("BLPOP list 20").is_ok());
    assert_eq!(bench.events(), [""; 0]);
}

#[test]
fn a_former_primary_that_was_started_again_is_not_taken_while_the_present_one_is_away_for_a_moment() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    bench.run("SET k w").unwrap();
    bench.network.change(|state| {
        // It comes back as it was started first: a primary, with a history that nobody follows.
        *state.server(1) = Server::stranger();
        state.restart(1);
        state.kill(2);
    });
    bench.network.after(Duration::from_millis(300), |state| state.restart(2));
    assert_eq!(bench.run("SET k x"), Ok(Value::Okay));
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 0);
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 2);
}

#[test]
fn a_sentinel_is_not_mistaken_for_a_primary() {
    let mut bench = Bench::of(vec![Server { sentinel: true, ..Server::primary(&[]) }]);
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::NotSupported, "{failure:?}");
    assert!(bench.elapsed() < 0.1);
}

#[test]
fn every_search_that_is_told_of_has_an_end() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.server(1).password = Some("changed".into());
        state.close_all(1);
    });
    assert!(bench.run("GET k").is_err());
    assert_eq!(bench.events(), ["failover.started", "failover.failed"]);
}

#[test]
fn after_several_promotions_a_known_replica_is_believed_at_once() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        state.server(3).follows = None;
        // Promoted out of the history of a node that was primary in between, which nobody told us of.
        state.server(3).history = ("d".repeat(40), "c".repeat(40));
        state.server(2).follows = Some(node(3));
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.1, "{}", bench.elapsed());
    assert_eq!(bench.network.server(3, |server| server.count("SET")), 1);
}

#[test]
fn a_new_node_that_a_known_replica_follows_is_believed_at_once() {
    let mut servers = replicated();
    servers.push(Server::stranger());
    let mut bench = Bench::of(servers);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        state.server(2).follows = Some(node(4));
        state.server(2).history = state.server(4).history.clone();
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.1, "{}", bench.elapsed());
    assert_eq!(bench.network.server(4, |server| server.count("SET")), 1);
}

/// A primary (1) and a replica (2) whose promotion shows no history that we have heard of: the primary began a new one
/// when its first replica attached, after we had asked it.
fn promoted_out_of_an_unheard_history(state: &mut crate::connection::scripted::State) {
    state.server(2).follows = None;
    state.server(2).history = ("d".repeat(40), "c".repeat(40));
}

#[test]
fn a_stale_history_costs_a_failover_some_patience_and_never_the_command() {
    let cases: [&[(&str, Setting)]; 3] =
        [&[], &[("command_timeout", Setting::Float(0.6))], &[("retry", Setting::Bool(false))]];
    for options in cases {
        let servers = vec![Server::primary(&[]), Server::replica(&node(1))];
        let mut bench = Bench::with(servers, &[1, 2], options);
        bench.run("GET k").unwrap();
        bench.network.change(|state| {
            state.kill(1);
            promoted_out_of_an_unheard_history(state);
        });
        bench.network.clock.advance(SECOND * 2);
        let before = bench.elapsed();
        assert_eq!(bench.run("GET k"), Ok(Value::Nil), "{options:?}");
        assert!(bench.elapsed() - before < 1.05, "{options:?}: {}", bench.elapsed() - before);
    }
}

#[test]
fn a_hanging_primary_is_left_though_nobody_may_be_asked_for_histories() {
    for cut in [false, true] {
        let mut servers = replicated();
        servers.iter_mut().for_each(|server| server.hides_info = true);
        let mut bench = Bench::with(servers, &[1, 2, 3], &[]);
        bench.run("SET k v").unwrap();
        bench.network.change(|state| {
            if cut {
                state.cut_off(1);
            } else {
                state.freeze(1, true);
            }
            promote_2(state);
        });
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
        // Its own probe has to run into `timeout` first: that is the proof.
        assert!(bench.elapsed() < 1.4, "cut {cut}: {}", bench.elapsed());
    }
}

#[test]
fn a_blocked_command_is_not_given_up_because_nobody_else_is_let_in() {
    let full = "ERR max number of clients reached";
    for denial in [Some("changed"), None] {
        let mut bench = Bench::of(vec![Server::primary(&[])]);
        bench.run("SET k v").unwrap();
        bench.network.server(1, |server| {
            server.faults.push_back(("BLPOP".into(), crate::connection::scripted::Fault::Silence));
            server.password = denial.map(ToOwned::to_owned);
            for _ in 0..if denial.is_none() { 1000 } else { 0 } {
                let text = format!("-{full}\r\n").into_bytes();
                server.faults.push_back(("HELLO".into(), crate::connection::scripted::Fault::Say(text)));
            }
        });
        bench.network.after(SECOND * 14, |state| state.say_unasked(1, b"*2\r\n+list\r\n+x\r\n"));
        assert!(bench.run("BLPOP list 30").is_ok(), "{denial:?}");
        assert!(bench.network.dialed(1) < 12, "{denial:?}: {} connections", bench.network.dialed(1));
    }
}

#[test]
fn a_pinned_connection_to_the_demoted_node_is_left_though_somebody_else_found_the_promoted_one_first() {
    let mut bench = Bench::of(replicated());
    bench.run("WATCH k").unwrap();
    let mut other = bench.sibling(1);
    bench.network.change(|state| {
        state.freeze(1, true);
        promote_2(state);
    });
    run_on(&mut other, &mut bench.desk, "GET k").unwrap();
    let before = bench.elapsed();
    assert_eq!(bench.run("GET k").unwrap_err().kind, Kind::AbortedTransaction);
    assert!(bench.elapsed() - before < 0.4, "{}", bench.elapsed() - before);
}

#[test]
fn a_primary_that_hangs_is_what_an_exception_names_not_the_replicas_that_answer() {
    let mut bench = Bench::with(replicated(), &[1], &[("command_timeout", Setting::Float(0.7))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.close_all(1);
        state.freeze(1, true);
    });
    let failure = bench.run("SET k w").unwrap_err();
    assert_eq!(failure.node.as_deref(), Some("10.0.0.1:1"), "{failure}");
    assert!(!failure.message.contains("is a replica"), "{failure}");
}
