//! Servers that are no cluster, among which the client shares the keys: a list under `'cluster' => 'predis'`.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::client::subscription::Subscription;
use crate::config::RingMember;
use crate::connection::scripted::{Fault, Sharding};
use crate::topology::Ring;

const SHARED: (&str, &str) = ("cluster", "predis");

fn ring() -> Bench {
    with_options(&[])
}

fn with_options(options: &[(&str, Setting)]) -> Bench {
    of((0..3).map(|_| Server::primary(&[])).collect(), options)
}

fn of(servers: Vec<Server>, options: &[(&str, Setting)]) -> Bench {
    let shared = [(SHARED.0, Setting::Text(SHARED.1.to_owned()))];
    let all: Vec<usize> = (1..=servers.len()).collect();
    Bench::with(servers, &all, &[&shared[..], options].concat())
}

/// A key of that server, and another one.
fn keys_at(server: usize) -> [String; 2] {
    let member =
        |place: u16| RingMember { name: node(usize::from(place) + 1).to_string(), weight: 100, endpoint: place };
    let ring = Ring::of(&[0, 1, 2].map(member));
    let mut keys = (0..).map(|number| format!("k{number}"));
    let mut next = || keys.find(|key| usize::from(ring.place_of(key.as_bytes())) + 1 == server).unwrap();
    [next(), next()]
}

fn keys() -> [String; 3] {
    [1, 2, 3].map(|server| keys_at(server)[0].clone())
}

fn count(bench: &Bench, server: usize, name: &str) -> usize {
    bench.network.server(server, |server| server.count(name))
}

#[test]
fn each_key_is_at_its_node_and_nothing_else_is_asked_of_any() {
    let mut bench = ring();
    for (place, key) in keys().iter().enumerate() {
        assert_eq!(bench.run(&format!("SET {key} v")), Ok(Value::Okay));
        assert!(bench.network.server(place + 1, |server| server.data.contains_key(key)), "{key}");
    }
    assert_eq!([1, 2, 3].map(|server| bench.network.dialed(server)), [1; 3], "one connection each");
    assert_eq!([1, 2, 3].map(|server| count(&bench, server, "CLUSTER")), [0; 3]);
}

#[test]
fn the_first_command_finds_out_what_the_nodes_are_at_the_node_of_its_key() {
    let mut bench = ring();
    bench.network.change(|state| {
        state.kill(1);
        state.freeze(3, true);
    });
    let [_, b, _] = keys();
    assert_eq!(bench.run(&format!("SET {b} v")), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.1, "waited {} s for nodes that it does not need", bench.elapsed());
}

#[test]
fn nodes_that_cannot_be_reached_yet_are_waited_for() {
    let mut bench = ring();
    bench.network.change(|state| [1, 2, 3].into_iter().for_each(|index| state.refuse(index)));
    bench.network.after(Duration::from_secs(2), |state| state.restart(1));
    let [a, b, _] = keys();
    assert_eq!(bench.run(&format!("SET {a} v")), Ok(Value::Okay));
    assert!((2.0..3.0).contains(&bench.elapsed()), "went on after {} s", bench.elapsed());
    // The breaker of php-fpm, which is the node's own.
    assert_eq!(bench.run(&format!("SET {b} v")).unwrap_err().kind, Kind::CircuitOpen);
    assert_eq!(bench.run(&format!("SET {a} v")), Ok(Value::Okay));
}

#[test]
fn a_node_that_restarts_is_waited_for_and_the_others_go_on() {
    let mut bench = ring();
    let [a, b, c] = keys();
    bench.run_batch(&format!("SET {a} 1; SET {b} 1; SET {c} 1"));
    bench.network.change(|state| state.kill(2));
    bench.network.after(Duration::from_secs(4), |state| state.restart(2));
    assert_eq!(bench.run(&format!("INCR {a}")), Ok(Value::Int(2)));
    assert_eq!(bench.run(&format!("INCR {c}")), Ok(Value::Int(2)));
    assert!(bench.elapsed() < 0.1, "the others waited {} s", bench.elapsed());
    assert!(bench.run(&format!("SET {b} 2")).is_ok());
    let elapsed = bench.elapsed();
    assert!((4.0..5.0).contains(&elapsed), "went on after {elapsed} s");
}

#[test]
fn keys_of_several_nodes_are_split_where_that_is_the_same_and_refused_before_they_are_sent_where_not() {
    let mut bench = ring();
    let [a, b, c] = keys();
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    assert_eq!(bench.run(&format!("SET {a} 1")), Ok(Value::Okay));
    assert_eq!(bench.run(&format!("SET {c} 3")), Ok(Value::Okay));
    let replies = Value::Array(vec![bulk("3"), Value::Nil, bulk("1"), bulk("3")]);
    assert_eq!(bench.run(&format!("MGET {c} {b} {a} {c}")), Ok(replies));
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(2)));
    assert_eq!(bench.run(&format!("DEL {a} {b} {c}")), Ok(Value::Int(2)));
    let failure = bench.run(&format!("RENAME {a} {b}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Client);
    assert!(failure.message.contains("at different nodes") && !failure.message.contains("slot"), "{failure}");
    let [one, other] = keys_at(2);
    assert_eq!(bench.run(&format!("MGET {one} {other}")), Ok(Value::Array(vec![Value::Nil, Value::Nil])));
    assert_eq!(bench.run(&format!("RENAME {one} {other}")), Ok(Value::Okay), "both are at one node");
}

#[test]
fn an_iteration_gives_once_what_lies_at_all_nodes_also_what_is_not_at_its_own() {
    let mut bench = ring();
    let mut keys: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
    for key in &keys {
        bench.run(&format!("SET {key} v")).unwrap();
    }
    let [a, ..] = keys_at(1);
    bench.network.server(3, |server| server.data.insert(a.clone(), "v".into()));
    keys.push(a);
    let mut seen = super::walks::walk(&mut bench, |_, _| {});
    seen.sort();
    keys.sort();
    assert_eq!(seen, keys);
    assert_eq!([1, 2, 3].map(|server| count(&bench, server, "CLUSTER")), [0; 3]);
}

#[test]
fn a_batch_is_divided_among_the_nodes_and_its_transactions_are_at_one() {
    let mut bench = ring();
    let [a, b, c] = keys();
    let line = format!("SET {a} 1; SET {b} 2; SET {c} 3; INCR {b}; GET {a}; PING; GET {c}; MGET {c} {a}");
    let (seen, failure) = bench.run_batch(&line);
    assert_eq!(failure, None, "{seen:?}");
    assert_eq!(seen[..7], ["OK", "OK", "OK", "3", "'1'", "PONG", "'3'"].map(String::from));
    let [one, other] = keys_at(2);
    let (seen, failure) = bench.run_batch(&format!("MULTI; INCR {one}; INCR {other}; EXEC; GET {a}"));
    assert_eq!((failure, seen[4].as_str()), (None, "'1'"), "{seen:?}");
    let (_, failure) = bench.run_batch(&format!("MULTI; INCR {b}; INCR {a}; EXEC"));
    let failure = failure.unwrap();
    assert!(failure.kind == Kind::Client && failure.message.contains(&format!("at {}", node(2))), "{failure:?}");
    assert_eq!(bench.run(&format!("WATCH {b}")), Ok(Value::Okay));
    let (_, failure) = bench.run_batch(&format!("MULTI; INCR {a}; EXEC"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Client));
}

#[test]
fn what_looks_like_the_redirect_of_a_cluster_is_an_error_of_the_server() {
    let mut bench = ring();
    let [a, ..] = keys();
    let say = || Fault::Say(format!("-MOVED 1 {}\r\n", node(2)).into_bytes());
    bench.network.change(|state| state.server(1).faults.push_back(("GET".into(), say())));
    let failure = bench.run(&format!("GET {a}")).unwrap_err();
    assert_eq!(failure.kind, Kind::Server("MOVED".into()), "{failure:?}");
    bench.network.change(|state| state.server(1).faults.push_back(("GET".into(), say())));
    assert_eq!(bench.run_batch(&format!("GET {a}; PING")), (["MOVED", "PONG"].map(String::from).to_vec(), None));
    assert_eq!(count(&bench, 2, "GET"), 0);
}

#[test]
fn what_is_published_and_heard_is_so_at_the_first_node() {
    let mut bench = ring();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.run("PUBLISH news text").unwrap();
    let (_, failure) = bench.run_batch(&format!("SET {b} 2; PUBLISH news text"));
    assert_eq!((failure, [1, 2, 3].map(|server| count(&bench, server, "PUBLISH"))), (None, [2, 0, 0]));
    let (_, failure) = bench.run_batch(&format!("MULTI; SET {b} 2; PUBLISH news text; EXEC"));
    assert_eq!(failure.map(|failure| failure.kind), Some(Kind::Client), "nobody would hear it at the second node");
    let mut subscription = Subscription::of(&bench.client);
    let verb = crate::client::subscription::Verb::Subscribe(crate::client::subscription::Sort::Channels);
    subscription.ask(&mut bench.desk, verb, vec![b"news".to_vec()]).unwrap();
    assert_eq!(
        [1, 2, 3].map(|server| bench
            .network
            .server(server, |server| server.heard.iter().any(|line| line == "SUBSCRIBE news"))),
        [true, false, false]
    );
}

/// Three servers with a password each, which is said for each.
fn with_passwords(server: impl Fn(usize) -> Server) -> Bench {
    let servers = [1, 2, 3].map(|index| Server { password: Some(format!("p{index}")), ..server(index) });
    let uri = |index: usize| Setting::Text(format!("tcp://:p{index}@{}", node(index)));
    let shared = (SHARED.0, Setting::Text(SHARED.1.to_owned()));
    Bench::at(servers.into(), &Setting::List([1, 2, 3].map(uri).into()), &[shared])
}

#[test]
fn each_node_has_its_own_password_and_those_of_a_cluster_have_one() {
    let mut bench = with_passwords(|_| Server::primary(&[]));
    for (place, key) in keys().iter().enumerate() {
        assert_eq!(bench.run(&format!("SET {key} v")), Ok(Value::Okay));
        let mut client = bench.client.at_node(&node(place + 1), false);
        let value = run_on(&mut client, &mut bench.desk, &format!("GET {key}"));
        assert_eq!(value, Ok(Value::BulkString(b"v".to_vec())));
    }
    let nodes = [1, 2, 3].map(|index| [node(index)]);
    let sharding = Sharding::of(&nodes.each_ref().map(|shard| &shard[..]));
    let in_cluster = |index| Server { cluster: Some((node(index), sharding.clone())), ..Server::primary(&[]) };
    let failure = with_passwords(in_cluster).run("GET k").unwrap_err();
    assert!(failure.kind == Kind::Client && failure.message.contains("parameters[1].password"), "{failure:?}");
}

/// Three servers, of which those with these numbers are nodes of a cluster.
fn partly(in_cluster: &[usize]) -> Bench {
    let nodes: Vec<[_; 1]> = in_cluster.iter().map(|index| [node(*index)]).collect();
    let sharding = Sharding::of(&nodes.iter().map(|shard| &shard[..]).collect::<Vec<_>>());
    let server = |index: usize| {
        let cluster = in_cluster.contains(&index).then(|| (node(index), sharding.clone()));
        Server { cluster, ..Server::primary(&[]) }
    };
    of([1, 2, 3].map(server).into(), &[])
}

#[test]
fn a_list_whose_nodes_are_a_cluster_is_one() {
    let mut bench = partly(&[1, 2, 3]);
    for key in ["a", "b", "c", "d", "e"] {
        assert_eq!(bench.run(&format!("SET {key} 1")), Ok(Value::Okay));
    }
    assert_eq!(bench.run("DBSIZE"), Ok(Value::Int(5)));
    assert_eq!([1, 2, 3].map(|server| count(&bench, server, "CLUSTER")).iter().sum::<usize>(), 1);
}

#[test]
fn nodes_of_which_some_are_a_cluster_and_some_are_not_are_refused() {
    let [a, b, _] = keys();
    let both = |failure: &Failure| {
        failure.kind == Kind::Client
            && failure.message.contains(&format!("{} says that it is a node of a cluster", node(2)))
            && failure.message.contains("says that it is none")
    };
    let mut bench = partly(&[2]);
    for _ in 0..2 {
        let failure = bench.run(&format!("SET {b} 1")).unwrap_err();
        assert!(both(&failure), "{failure:?}");
    }
    let mut bench = partly(&[2]);
    assert_eq!(
        bench.run(&format!("SET {a} 1")),
        Ok(Value::Okay),
        "the others are not looked at before they are needed"
    );
    let failure = bench.run(&format!("SET {b} 1")).unwrap_err();
    assert!(both(&failure), "{failure:?}");
    let (_, failure) = bench.run_batch(&format!("SET {b} 1; SET {b} 1"));
    assert!(failure.as_ref().is_some_and(both), "{failure:?}");
}

#[test]
fn rings_whose_names_or_weights_differ_are_known_apart() {
    let mut bench = ring();
    let [a, ..] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    let weighted = |weights: [u32; 3]| {
        let uri = |index: usize| Setting::Text(format!("tcp://{}?weight={}", node(index), weights[index - 1]));
        Setting::List([1, 2, 3].map(uri).into())
    };
    let options = [(SHARED.0, Setting::Text(SHARED.1.to_owned()))];
    let mut other = client_in(&bench.world, &weighted([1, 1_000_000, 1]), &options);
    run_on(&mut other, &mut bench.desk, &format!("SET {a} 1")).unwrap();
    assert_eq!([1, 2, 3].map(|server| count(&bench, server, "SET")), [1, 1, 0]);
}
