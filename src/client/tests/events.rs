//! What listeners hear of a disturbance, and what it is said to have cost.

use std::time::Duration;

use super::*;
use crate::config::Setting;
use crate::connection::scripted::{Fault, State};
use crate::telemetry::Detail;

fn promote_2(state: &mut State) {
    state.server(2).promote();
    state.server(3).follows = Some(node(2));
}

/// The details of the next event of that name.
fn next(bench: &mut Bench, name: &str) -> Event {
    let mut all = std::iter::from_fn(|| bench.client.next_event());
    all.find(|event| event.name() == name).unwrap_or_else(|| panic!("no event {name}"))
}

fn counts(event: &Event) -> [&Detail; 3] {
    ["waited", "retried", "unknown"].map(|name| event.detail(name).expect(name))
}

#[test]
fn a_failover_tells_how_many_commands_waited_were_sent_again_and_are_in_doubt() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::CloseAfter)));
    assert!(bench.run("INCR n").unwrap_err().is_outcome_unknown());
    bench.network.change(|state| state.kill(1));
    bench.network.after(Duration::from_secs(1), promote_2);
    bench.run("SET k w").unwrap();
    let event = next(&mut bench, "failover.completed");
    assert_eq!(counts(&event), [&Detail::Count(1), &Detail::Count(0), &Detail::Count(1)], "{event:?}");
    let Some(Detail::Time(outage)) = event.detail("outage") else { panic!("{event:?}") };
    assert!((1.0..1.1).contains(&outage.as_secs_f64()), "{outage:?}");
}

#[test]
fn commands_that_ran_out_of_time_count_until_a_primary_is_found() {
    let mut bench = Bench::with(replicated(), &[1], &[("command_timeout", Setting::Float(0.5))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(Duration::from_millis(1200), promote_2);
    for expected in 1..=2 {
        assert!(bench.run("SET k w").is_err());
        let event = next(&mut bench, "failover.failed");
        assert_eq!(event.detail("waited"), Some(&Detail::Count(expected)), "{event:?}");
    }
    bench.run("SET k w").unwrap();
    let event = next(&mut bench, "failover.completed");
    assert_eq!(event.detail("waited"), Some(&Detail::Count(3)), "{event:?}");
    let Some(Detail::Time(outage)) = event.detail("outage") else { panic!("{event:?}") };
    assert!((1.2..1.3).contains(&outage.as_secs_f64()), "{outage:?}");

    bench.network.change(|state| {
        state.kill(2);
        state.server(3).promote();
    });
    bench.run("SET k w").unwrap();
    let event = next(&mut bench, "failover.completed");
    assert_eq!(event.detail("waited"), Some(&Detail::Count(1)), "the next one counts anew: {event:?}");
}

#[test]
fn what_became_of_the_command_that_found_its_node_silent_counts_too() {
    for (command, expected) in [("SET k w", [1, 1, 0]), ("INCR n", [1, 0, 1])] {
        let mut bench = Bench::of(replicated());
        bench.run("SET k v").unwrap();
        bench.network.change(|state| state.freeze(1, true));
        bench.network.after(Duration::from_secs(1), promote_2);
        let _ = bench.run(command);
        let event = next(&mut bench, "failover.completed");
        assert_eq!(counts(&event), expected.map(Detail::Count).each_ref(), "{command}: {event:?}");
    }
}

#[test]
fn a_connection_that_was_lost_under_a_command_is_told_of_and_one_that_was_idle_is_not() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    bench.run("GET k").unwrap();
    let event = next(&mut bench, "connection.replaced");
    assert_eq!(event.detail("node"), Some(&Detail::Text("10.0.0.1:1".into())), "{event:?}");
    assert_eq!(counts(&event), [&Detail::Count(1), &Detail::Count(1), &Detail::Count(0)], "{event:?}");
    assert_eq!(bench.events(), [""; 0]);

    bench.network.change(|state| state.close_all(1));
    crate::connection::Network::wait(&bench.network, &mut [], Some(Duration::from_secs(5))).unwrap();
    bench.run("GET k").unwrap();
    assert_eq!(bench.events(), [""; 0], "it was looked at before it was used");
}

#[test]
fn a_replica_that_is_left_or_comes_back_or_is_new_is_told_of() {
    let mut servers = replicated();
    servers[0].replicas.truncate(1);
    let mut bench = Bench::with(servers, &[1], &[("read_from", Setting::Text("prefer-replica".into()))]);
    let read_for = |bench: &mut Bench, seconds: u64| {
        for _ in 0..seconds * 10 {
            bench.run("GET k").unwrap();
            bench.network.clock.advance(Duration::from_millis(100));
        }
    };
    read_for(&mut bench, 1);
    assert!(bench.events().is_empty());
    bench.network.change(|state| state.kill(2));
    read_for(&mut bench, 1);
    let event = next(&mut bench, "replica.left");
    assert_eq!(event.detail("node"), Some(&Detail::Text("10.0.0.1:2".into())), "{event:?}");
    assert!(bench.events().is_empty(), "once");
    bench.network.change(|state| state.restart(2));
    read_for(&mut bench, 3);
    let event = next(&mut bench, "replica.restored");
    let Some(Detail::Time(duration)) = event.detail("duration") else { panic!("{event:?}") };
    assert!((1.0..4.0).contains(&duration.as_secs_f64()), "{duration:?}");
    bench.network.server(1, |server| server.replicas.push(node(3)));
    read_for(&mut bench, 12);
    let event = next(&mut bench, "replicas.changed");
    assert_eq!(event.detail("added"), Some(&Detail::Texts(vec!["10.0.0.1:3".into()])), "{event:?}");
}
