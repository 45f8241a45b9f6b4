//! Commands that the nodes of a cluster send to each other, what bounds that, and what keeps them from being sent at all.

use std::time::Duration;

use super::cluster::{cluster, give, heard, key_at, reshape, with_options};
use super::*;
use crate::client::Kind;
use crate::connection::scripted::State;
use crate::failover::Limit;

/// The second node says that a slot is at the third, and that one that it is at the second.
fn disagree(state: &mut State, key: &str) {
    give(state, key, 3);
    let third = state.server(3).cluster.clone();
    give(state, key, 2);
    for index in [1, 2] {
        state.server(index).cluster.as_mut().unwrap().1 = third.clone().unwrap().1;
    }
}

#[test]
fn nodes_that_send_a_command_to_each_other_for_ever_end_it_also_where_nothing_else_limits_it() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(0.0))]);
    let key = key_at(2);
    bench.run(&format!("SET {key} 1")).unwrap();
    bench.network.change(|state| disagree(state, &key));
    let failure = bench.run(&format!("INCR {key}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert!(failure.message.starts_with("no node has served it for 30 s; the last obstacle: MOVED "), "{failure}");
    assert!((30.0..31.0).contains(&bench.elapsed()), "{}", bench.elapsed());
    let before = bench.elapsed();
    let (_, failure) = bench.run_batch(&format!("INCR {key}; INCR {key}"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Timeout(Limit::CommandTimeout)));
    assert!((30.0..31.0).contains(&(bench.elapsed() - before)), "{}", bench.elapsed());
}

#[test]
fn a_slot_that_nobody_serves_ends_a_command_and_a_batch_also_where_nothing_else_limits_it() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(0.0))]);
    let key = key_at(2);
    bench.run(&format!("SET {key} 1")).unwrap();
    bench.network.change(|state| {
        reshape(state, |sharding| drop(sharding.ranges.remove(1)));
        (1..=3).for_each(|index| state.server(index).heard.clear());
    });
    for attempt in 0..2 {
        let before = bench.elapsed();
        let failure = match attempt {
            0 => *bench.run(&format!("INCR {key}")).unwrap_err(),
            _ => bench.run_batch(&format!("INCR {key}; INCR {key}")).1.unwrap(),
        };
        assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
        assert!((30.0..32.0).contains(&(bench.elapsed() - before)), "{}", bench.elapsed());
    }
}

#[test]
fn a_command_that_blocks_is_not_sent_about_for_longer_than_others() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(2.0))]);
    let key = key_at(2);
    bench.run(&format!("SET {key} 1")).unwrap();
    bench.network.change(|state| disagree(state, &key));
    let failure = bench.run(&format!("BLPOP {key} 0")).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert!((2.0..2.5).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn what_a_command_waits_between_nodes_is_taken_from_the_budget_of_the_request() {
    let mut bench = with_options(&[("request_budget", Setting::Float(2.5)), ("command_timeout", Setting::Float(1.5))]);
    let key = key_at(2);
    bench.run(&format!("SET {key} 1")).unwrap();
    bench.network.change(|state| reshape(state, |sharding| drop(sharding.ranges.remove(1))));
    let failure = bench.run(&format!("INCR {key}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    let failure = bench.run(&format!("INCR {key}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget), "{failure:?}");
    assert!(failure.message.starts_with("request_budget ran out"), "{failure}");
    assert!((1.99..2.1).contains(&bench.elapsed()), "2.5 s without its reserve: {}", bench.elapsed());
    let before = bench.elapsed();
    let (_, failure) = bench.run_batch(&format!("INCR {key}; INCR {key}"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Timeout(Limit::RequestBudget)));
    assert!(bench.elapsed() - before < 0.05, "{}", bench.elapsed() - before);
}

#[test]
fn a_quick_detour_costs_what_it_takes() {
    let mut bench = cluster();
    let key = key_at(2);
    bench.run(&format!("SET {key} 1")).unwrap();
    bench.network.change(|state| {
        disagree(state, &key);
    });
    bench.network.after(Duration::from_millis(300), move |state| give(state, &key_at(2), 2));
    assert!(bench.run(&format!("SET {key} 2")).is_ok());
    assert!((0.2..0.5).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn another_database_than_a_cluster_has_is_said_before_anything_is_sent() {
    let mut bench = with_options(&[("database", Setting::Int(3))]);
    for _ in 0..2 {
        let failure = bench.run("SET k v").unwrap_err();
        assert_eq!(failure.kind, Kind::Configuration, "{failure:?}");
        let text = "option `database`: given 3, accepted: 0, since the servers are a Redis Cluster";
        assert!(failure.message.starts_with(text), "{failure}");
    }
    let (_, failure) = bench.run_batch("SET k v; GET k");
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Configuration));
    assert_eq!((1..=3).map(|server| heard(&bench, server, "SET")).sum::<usize>(), 0);
    assert!(bench.elapsed() < 0.1, "nothing is waited for: {}", bench.elapsed());
}

#[test]
fn nodes_that_are_left_out_are_named_as_the_reason() {
    let nobody = || ("allowed_nodes", Setting::List(vec![Setting::Text("192.0.2.0/24".into())]));
    let mut bench = with_options(&[nobody(), ("command_timeout", Setting::Float(0.5))]);
    assert_eq!(bench.run(&format!("SET {} v", key_at(1))).map(|_| ()), Ok(()), "the endpoint itself is admitted");
    let failure = bench.run(&format!("SET {} v", key_at(2))).unwrap_err();
    assert!(failure.message.contains("(of those that the option `allowed_nodes` admits)"), "{failure}");

    // What is for all keys is not done for some of them.
    for command in ["DBSIZE", "KEYS *", "FLUSHALL", "SCAN 0", "SCRIPT LOAD x"] {
        let failure = bench.run(command).unwrap_err();
        assert_eq!(failure.kind, Kind::NotSupported, "{command}: {failure:?}");
        assert!(failure.message.contains("the option `allowed_nodes` admits serves 10923 of the slots"), "{failure}");
        if !command.starts_with("SCAN") {
            assert_eq!(bench.run_batch(command).1.map(|failure| failure.kind), Some(Kind::NotSupported), "{command}");
        }
    }
    assert_eq!((1..=3).map(|server| heard(&bench, server, "FLUSHALL")).sum::<usize>(), 0);

    let bench = cluster();
    bench.network.change(|state| state.name("cluster.example", &["10.0.0.1"]));
    let parameters = Setting::Text("tcp://cluster.example:1".to_owned());
    let mut bench = Bench::on(&bench.network, &Arc::new(Board::alone()), &parameters, &[nobody()]);
    let failure = bench.run("SET k v").unwrap_err();
    assert_eq!(failure.kind, Kind::Configuration, "{failure:?}");
    let text = "option `allowed_nodes`: given one that leaves out every primary of the cluster";
    assert!(failure.message.starts_with(text) && failure.message.contains(&node(2).to_string()), "{failure}");
}
