//! P9 where nodes are found by names: DNS is asked again and again, never waited for where a node proves that it is
//! primary, and never flooded.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::config::{NodeAddress, Setting};

const SECOND: Duration = Duration::from_secs(1);

/// A client that knows one name, which leads to servers 1, 2 and so on by addresses of their own.
fn named(servers: Vec<Server>, options: &[(&str, Setting)]) -> Bench {
    let count = servers.len();
    let bench = Bench::at(servers, &Setting::Text("primary.example:6379".into()), options);
    bench.network.change(|state| {
        for index in 1..=count {
            state.put_before(&NodeAddress::tcp(&address(index), 6379), &[index]);
        }
    });
    lead_to(&bench, &[1]);
    bench
}

fn address(index: usize) -> String {
    format!("10.0.1.{index}")
}

fn lead_to(bench: &Bench, nodes: &[usize]) {
    bench.network.change(|state| set_name(state, nodes));
}

fn set_name(state: &mut crate::connection::scripted::State, nodes: &[usize]) {
    let addresses: Vec<String> = nodes.iter().map(|index| address(*index)).collect();
    state.name("primary.example", &addresses.iter().map(String::as_str).collect::<Vec<_>>());
}

fn writes(bench: &Bench, index: usize) -> usize {
    bench.network.server(index, |server| server.count("SET"))
}

#[test]
fn dns_is_asked_anew_and_followed_where_no_node_is_known_besides() {
    let servers = vec![Server::primary(&[]), Server::primary(&[])];
    let mut bench = Bench::at(servers, &Setting::Text("primary.example:1".into()), &[]);
    bench.network.change(|state| state.name("primary.example", &["10.0.0.1"]));
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, |state| {
        state.restart(1);
        state.server(1).data.clear();
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 1.06, "{}", bench.elapsed());
}

#[test]
fn a_name_that_does_not_resolve_is_named_when_the_deadline_has_passed() {
    let options = [("command_timeout", Setting::Float(0.5))];
    let mut bench = Bench::at(vec![], &Setting::Text("nowhere.example:1".into()), &options);
    let failure = bench.run("GET k").unwrap_err();
    assert!(failure.message.contains("nowhere.example"), "{failure}");
    assert_eq!(failure.phase.map(|phase| phase.as_str()), Some("resolve"));
    assert!((0.5..0.6).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_silent_name_server_is_asked_once_and_named_when_the_deadline_has_passed() {
    let mut bench = named(vec![Server::primary(&[])], &[("command_timeout", Setting::Float(4.0))]);
    bench.network.change(|state| state.names_take = None);
    let failure = bench.run("GET k").unwrap_err();
    assert!(failure.message.contains("primary.example"), "{failure}");
    assert_eq!(failure.phase.map(|phase| phase.as_str()), Some("resolve"));
    assert!((4.0..4.01).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.network.lookups("primary.example"), 1, "an open lookup is not repeated");
}

#[test]
fn a_search_asks_a_name_often_at_first_and_less_often_later() {
    let mut bench = named(vec![Server::primary(&[])], &[("command_timeout", Setting::Float(4.0))]);
    lead_to(&bench, &[]);
    bench.run("GET k").unwrap_err();
    // Every 40 ms for 2 s, then every 250 ms.
    let asked = bench.network.lookups("primary.example");
    assert!((55..=60).contains(&asked), "asked {asked} times");
}

#[test]
fn names_that_servers_announce_are_asked_for_seldom_and_not_without_bound() {
    let announced: Vec<NodeAddress> = (0..100).map(|index| NodeAddress::tcp(&format!("r{index}.example"), 1)).collect();
    let mut bench = named(vec![Server::primary(&announced)], &[("command_timeout", Setting::Float(2.0))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.run("SET k w").unwrap_err();
    let asked: Vec<usize> = (0..100).map(|index| bench.network.lookups(&format!("r{index}.example"))).collect();
    assert!(asked.iter().all(|times| *times <= 9), "{asked:?}");
    assert_eq!(asked.iter().filter(|times| **times > 0).count(), 31, "32 names with the configured one");
}

#[test]
fn name_servers_that_are_away_hold_up_no_failover_between_known_nodes() {
    let mut bench = named(replicated(), &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.names_take = None;
        state.kill(1);
    });
    bench.network.after(SECOND, |state| state.server(2).promote());
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 1.05, "{}", bench.elapsed());
    assert_eq!(writes(&bench, 2), 1);
}

#[test]
fn a_slow_name_server_is_waited_for_where_nothing_else_is_known() {
    let mut bench = named(vec![Server::primary(&[])], &[]);
    bench.network.change(|state| state.names_take = Some(Duration::from_millis(300)));
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    // The lookup that is begun after it is not waited for.
    assert!((0.3..0.305).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert!(bench.network.lookups("primary.example") <= 2);
}

#[test]
fn a_name_that_is_gone_for_a_moment_ends_nothing() {
    let mut bench = named(vec![Server::primary(&[]), Server::stranger()], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        set_name(state, &[]);
    });
    bench.network.after(SECOND / 2, |state| set_name(state, &[2]));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((0.5..0.56).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_name_that_leads_to_several_nodes_leads_to_the_primary_among_them() {
    let mut bench = named(replicated(), &[]);
    bench.network.change(|state| {
        let dead = "10.0.1.9";
        state.name("primary.example", &[&address(3), dead, &address(1), &address(2)]);
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.02, "{}", bench.elapsed());
    assert_eq!(writes(&bench, 1), 1);
}

#[test]
fn a_name_that_has_flipped_to_a_node_not_yet_promoted_is_not_believed() {
    let mut bench = named(replicated(), &[]);
    bench.run("SET k v").unwrap();
    lead_to(&bench, &[2]);
    bench.network.change(|state| state.close_all(1));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert_eq!((writes(&bench, 1), writes(&bench, 2)), (2, 0), "the old one is primary still");
    assert!(bench.elapsed() < 0.05, "{}", bench.elapsed());
}

#[test]
fn a_promoted_node_is_followed_though_the_name_and_the_old_primary_both_say_otherwise() {
    let mut bench = named(replicated(), &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.close_all(1);
        state.server(2).promote();
        state.server(3).follows = Some(node(2));
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert_eq!((writes(&bench, 1), writes(&bench, 2)), (1, 1));
}

#[test]
fn a_name_alone_does_not_outweigh_a_primary_whose_replicas_are_with_it() {
    let mut servers = replicated();
    servers.push(Server::stranger());
    let mut bench = named(servers, &[]);
    bench.run("SET k v").unwrap();
    lead_to(&bench, &[4]);
    bench.network.change(|state| state.close_all(1));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert_eq!((writes(&bench, 1), writes(&bench, 4)), (2, 0));
}
