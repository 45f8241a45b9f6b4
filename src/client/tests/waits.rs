//! Every wait has an end, and says which limit ended it and where (P5): the waits that one does not think of.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::{Limit, Phase};

fn alone(options: &[(&str, f64)]) -> Bench {
    let options: Vec<(&str, Setting)> = options.iter().map(|(name, value)| (*name, Setting::Float(*value))).collect();
    Bench::with(vec![Server::primary(&[])], &[1], &options)
}

fn took(bench: &Bench, since: f64, expected: f64) {
    let took = bench.elapsed() - since;
    assert!((expected - 0.001..expected + 0.02).contains(&took), "took {took} s instead of {expected}");
}

#[test]
fn a_server_that_accepts_and_does_not_answer_holds_up_the_greeting() {
    let mut bench = alone(&[("command_timeout", 0.5)]);
    bench.network.change(|state| state.freeze(1, true));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Timeout(Limit::CommandTimeout), Some(Phase::Auth)), "{failure}");
    took(&bench, 0.0, 0.5);
}

#[test]
fn a_server_that_cannot_be_reached_holds_up_the_dial() {
    let mut bench = alone(&[("command_timeout", 0.5)]);
    bench.network.change(|state| state.cut_off(1));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Timeout(Limit::CommandTimeout), Some(Phase::Dial)), "{failure}");
    assert_eq!(failure.node.as_deref(), Some("10.0.0.1:1"));
    took(&bench, 0.0, 0.5);
}

#[test]
fn one_try_without_retries_ends_with_the_limit_of_a_dial() {
    let options = [("retry", Setting::Bool(false)), ("timeout", Setting::Float(0.3))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.network.change(|state| state.freeze(1, true));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Timeout(Limit::Timeout), Some(Phase::Auth)), "{failure}");
    took(&bench, 0.0, 0.3);
}

#[test]
fn many_silent_nodes_cost_no_more_than_one() {
    for (command, dial) in [(0.3, 1.0), (2.5, 1.0)] {
        let options = [("command_timeout", Setting::Float(command)), ("timeout", Setting::Float(dial))];
        let mut bench = Bench::with(replicated(), &[1, 2, 3], &options);
        bench.network.change(|state| (1..=3).for_each(|index| state.cut_off(index)));
        assert_eq!(bench.run("INCR n").unwrap_err().kind, Kind::Timeout(Limit::CommandTimeout));
        took(&bench, 0.0, command);
        let dialed: Vec<usize> = (1..=3).map(|index| bench.network.dialed(index)).collect();
        assert!(dialed.iter().all(|count| *count <= 3), "each dial has its own limit: {dialed:?}");
    }
}

#[test]
fn without_a_deadline_a_command_waits_until_there_is_a_primary() {
    let mut bench = alone(&[("command_timeout", 0.0), ("breaker_after", 0.0)]);
    bench.network.change(|state| state.kill(1));
    bench.network.after(Duration::from_secs(600), |state| state.restart(1));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!(bench.network.dialed(1) < 10_000, "{} connections in ten minutes", bench.network.dialed(1));
    // A reply has its own limit all the same.
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Silence)));
    let (failure, since) = (bench.run("INCR n").unwrap_err(), bench.elapsed() - 3.0);
    assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::ReadWriteTimeout));
    took(&bench, since, 3.0);
}

#[test]
fn without_any_limit_a_slow_reply_is_waited_for() {
    let mut bench = alone(&[("command_timeout", 0.0), ("read_write_timeout", 0.0)]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_secs(600), |state| state.freeze(1, false));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
}

#[test]
fn a_blocking_command_under_a_short_deadline_keeps_its_own_time() {
    let mut bench = alone(&[("command_timeout", 0.2), ("read_write_timeout", 0.2)]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_secs(4), |state| state.freeze(1, false));
    assert!(bench.run("BLPOP list 5").is_ok());
    bench.network.server(1, |server| server.faults.push_back(("BLPOP".into(), Fault::Silence)));
    let since = bench.elapsed();
    let failure = bench.run("BLPOP list 5").unwrap_err();
    assert!(matches!(failure.kind, Kind::ReplyTimeout(_)), "{failure:?}");
    took(&bench, since, 5.2);
}

#[test]
fn doubtful_connections_are_asked_within_the_deadline() {
    let mut bench = alone(&[("command_timeout", 0.6)]);
    let mut others: Vec<Client> = (0..4).map(|_| bench.sibling(1)).collect();
    for client in &mut others {
        // Each pins a connection of its own, and gives it back.
        run_on(client, &mut bench.desk, "MULTI").unwrap();
    }
    for client in &mut others {
        run_on(client, &mut bench.desk, "EXEC").unwrap();
    }
    bench.network.change(|state| state.freeze(1, true));
    let nothing = &mut [];
    crate::connection::Network::wait(&bench.network, nothing, Some(Duration::from_secs(60))).unwrap();
    let since = bench.elapsed();
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    took(&bench, since, 0.6);
}

#[test]
fn a_value_that_the_node_does_not_take_any_more_was_not_applied() {
    let mut bench = alone(&[("command_timeout", 2.0), ("read_write_timeout", 0.7)]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.stuff(1));
    let since = bench.elapsed();
    let options = Setting::Map(vec![("retry".into(), Setting::Bool(false))]);
    let mut once = bench.client.with_options(&options).unwrap();
    let failure = run_on(&mut once, &mut bench.desk, "INCR a-rather-long-key").unwrap_err();
    assert_eq!(
        (&failure.kind, failure.phase),
        (&Kind::Timeout(Limit::ReadWriteTimeout), Some(Phase::Write)),
        "{failure}"
    );
    assert!(failure.message.contains("it was not applied"), "{failure}");
    took(&bench, since, 0.7);
}

#[test]
fn a_node_that_takes_no_more_of_a_value_is_left_for_the_promoted_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.stuff(1));
    bench.network.after(Duration::from_millis(500), |state| {
        state.server(2).promote();
    });
    assert_eq!(bench.run("INCR a-rather-long-key"), Ok(Value::Int(1)), "not applied: it was never sent whole");
    assert!(bench.elapsed() < 0.6, "{}", bench.elapsed());
    assert_eq!(bench.network.server(2, |server| server.count("INCR")), 1);
}

#[test]
fn exec_ends_with_the_nearer_limit() {
    for (command, reply, limit) in [(5.0, 0.4, Limit::ReadWriteTimeout), (0.4, 5.0, Limit::CommandTimeout)] {
        let mut bench = alone(&[("command_timeout", command), ("read_write_timeout", reply)]);
        bench.run("MULTI").unwrap();
        bench.run("INCR n").unwrap();
        bench.network.server(1, |server| server.faults.push_back(("EXEC".into(), Fault::Silence)));
        let since = bench.elapsed();
        let failure = bench.run("EXEC").unwrap_err();
        assert_eq!((&failure.kind, failure.phase), (&Kind::ReplyTimeout(limit), Some(Phase::Read)), "{failure}");
        took(&bench, since, 0.4);
    }
}

#[test]
fn connecting_ends_with_the_deadline_and_disconnecting_waits_for_nobody() {
    let mut bench = alone(&[("command_timeout", 0.5)]);
    bench.network.change(|state| state.freeze(1, true));
    let failure = bench.client.connect(&mut bench.desk).unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Timeout(Limit::CommandTimeout), Some(Phase::Auth)), "{failure}");
    assert!(failure.message.contains("(connect, phase auth"), "{failure}");
    took(&bench, 0.0, 0.5);
    bench.network.change(|state| state.freeze(1, false));
    bench.run("MULTI").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    let since = bench.elapsed();
    bench.client.disconnect(&mut bench.desk);
    took(&bench, since, 0.0);
}

#[test]
fn the_limit_of_a_reply_begins_when_the_command_is_sent_however_long_a_connection_took() {
    for batch in [false, true] {
        let mut bench = alone(&[("command_timeout", 10.0), ("read_write_timeout", 1.0), ("breaker_after", 0.0)]);
        bench.network.change(|state| state.kill(1));
        bench.network.after(Duration::from_secs(2), |state| {
            state.latency = Duration::from_millis(400);
            state.restart(1);
        });
        if batch {
            let (seen, failure) = bench.run_batch("INCR n; INCR n");
            assert_eq!((seen, failure), (["1", "2"].map(String::from).to_vec(), None));
        } else {
            assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
        }
    }
}
