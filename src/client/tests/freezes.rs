//! A process that was frozen, as AWS Lambda does between two invocations: its monotonic clock may not have seen it, and
//! its connections may have died without a word.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::connection::scripted::Fault;

/// What the server executed.
fn executed(bench: &Bench) -> String {
    bench.network.server(1, |server| server.executed.join(" "))
}

#[test]
fn a_connection_is_asked_after_a_freeze_that_only_the_wall_clock_has_seen() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[])], &[]);
    bench.run("SET k v").unwrap();
    bench.network.clock.freeze(Duration::from_secs(2));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(2)), "asked once, not before each command");
    assert_eq!(executed(&bench), "SET PING INCR INCR");
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn a_connection_that_died_in_a_freeze_without_a_word_is_replaced_and_the_command_applied_once() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[])], &[]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("PING".into(), Fault::Silence)));
    bench.network.clock.freeze(Duration::from_secs(60));
    let before = bench.elapsed();
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    let took = bench.elapsed() - before;
    assert!(took < 0.3, "a dead connection kept the command waiting for {took} s");
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1, "{}", executed(&bench));
    assert_eq!(bench.network.dialed(1), 2);
    assert_eq!(bench.events(), [""; 0], "nobody failed over");
}

#[test]
fn of_several_connections_that_died_in_a_freeze_one_is_waited_for() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[])], &[]);
    bench.run("MULTI").unwrap();
    let mut second = bench.sibling(1);
    run_on(&mut second, &mut bench.desk, "GET k").unwrap();
    bench.run("EXEC").unwrap();
    assert_eq!(bench.network.dialed(1), 2, "one was bound to the transaction");
    let silence = || ("PING".into(), Fault::Silence);
    bench.network.server(1, |server| server.faults.extend([silence(), silence()]));
    bench.network.clock.freeze(Duration::from_secs(60));
    let before = bench.elapsed();
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    let took = bench.elapsed() - before;
    assert!(took < 0.3, "dead connections kept the command waiting for {took} s");
    assert_eq!(bench.network.dialed(1), 3);
}

#[test]
fn a_primary_that_was_replaced_during_a_freeze_is_left_and_the_command_applied_once() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[node(2)]), Server::replica(&node(1))], &[]);
    bench.run("SET k v").unwrap();
    bench.network.clock.freeze(Duration::from_secs(60));
    bench.network.change(|state| {
        state.cut_off(1);
        state.server(2).promote();
    });
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 0);
    assert_eq!(bench.network.server(2, |server| server.count("INCR")), 1);
}

#[test]
fn time_in_a_freeze_counts_as_idle_time() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[])], &[]);
    bench.run("SET k v").unwrap();
    bench.network.clock.advance(Duration::from_secs(1));
    bench.network.clock.freeze(Duration::from_secs(240));
    bench.run("GET k").unwrap();
    assert_eq!(executed(&bench), "SET GET", "max_idle_time is over: nobody is asked");
    assert_eq!(bench.network.dialed(1), 2);
}

#[test]
fn a_wall_clock_that_is_set_a_little_or_back_shows_no_freeze() {
    let mut bench = Bench::in_lambda(vec![Server::primary(&[])], &[]);
    bench.run("SET k v").unwrap();
    bench.network.clock.freeze(Duration::from_millis(900));
    bench.run("GET k").unwrap();
    bench.network.clock.set_back(Duration::from_secs(3600));
    bench.run("GET k").unwrap();
    bench.network.clock.freeze(Duration::from_secs(2));
    bench.run("GET k").unwrap();
    assert_eq!(executed(&bench), "SET GET GET PING GET");
}

#[test]
fn elsewhere_the_wall_clock_is_looked_at_when_some_time_has_passed() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.clock.freeze(Duration::from_secs(2));
    bench.run("GET k").unwrap();
    assert_eq!(executed(&bench), "SET GET", "commands in quick succession pay for no second clock");
    bench.network.clock.advance(Duration::from_millis(50));
    bench.run("GET k").unwrap();
    assert_eq!(executed(&bench), "SET GET PING GET");
}
