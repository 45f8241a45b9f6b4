//! Where other nodes lead to: nobody is dialled, and so nobody is told a password, who may not be used or cannot be a node.

use super::cluster::{key_at, with_options};
use super::*;
use crate::client::Kind;
use crate::config::NodeAddress;
use crate::connection::scripted::Fault;

/// What no node can have.
const NOWHERE: [&str; 16] = [
    "10.0.0.9:0",
    "10.0.0.9:70000",
    "10.0.0.9:-1",
    "10.0.0.9",
    ":0",
    "255.255.255.255:6379",
    "0.0.0.0:6379",
    "239.1.2.3:6379",
    "ff02::1:6379",
    "fe80::1%eth0:6379",
    "2130706433:6379",
    "a\0b:6379",
    "a\tb:6379",
    "a/../b:6379",
    "user@host:6379",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:6379",
];

/// A node that is not among those that are allowed, and one by name.
fn strangers() -> [NodeAddress; 2] {
    [NodeAddress::tcp("192.0.2.66", 6379), NodeAddress::tcp("stranger.example", 6379)]
}

fn allowing<'a>(more: &[(&'a str, Setting)]) -> Vec<(&'a str, Setting)> {
    let allowed = Setting::List(vec![Setting::Text("10.0.0.0/8".to_owned())]);
    let own = [("allowed_nodes", allowed), ("command_timeout", Setting::Float(2.0))];
    [&own[..], more].concat()
}

fn says(bench: &Bench, server: usize, name: &str, bytes: &str, times: usize) {
    for _ in 0..times {
        let fault = Fault::Say(bytes.as_bytes().to_vec());
        bench.network.server(server, |server| server.faults.push_back((name.to_owned(), fault)));
    }
}

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

#[test]
fn a_redirect_to_a_node_that_is_not_allowed_is_refused_at_once_and_not_followed() {
    for stranger in strangers() {
        for word in ["MOVED", "ASK"] {
            let key = key_at(1);
            let slot = crate::command::slot_of(key.as_bytes());
            let mut bench = with_options(&allowing(&[]));
            bench.run(&format!("SET {key} v")).unwrap();
            says(&bench, 1, "INCR", &format!("-{word} {slot} {stranger}\r\n"), 9);
            says(&bench, 1, "EVAL", &format!("-{word} {slot} {stranger}\r\n"), 9);
            says(&bench, 1, "EXISTS", &format!("-{word} {slot} {stranger}\r\n"), 9);
            let single = bench.run(&format!("INCR {key}")).unwrap_err();
            let script = bench.run(&format!("EVAL text 1 {key}")).unwrap_err();
            let (_, batch) = bench.run_batch(&format!("GET {key}; INCR {key}; GET {key}"));
            let (_, transaction) = bench.run_batch(&format!("MULTI; INCR {key}; EXEC"));
            for failure in [*single, *script, batch.unwrap(), transaction.unwrap()] {
                assert_eq!(failure.kind, Kind::Client, "{word} {stranger}: {failure}");
                assert!(failure.message.contains(&stranger.to_string()), "{word} {stranger}: {failure}");
            }
            assert_eq!(bench.network.led_astray(), [""; 0], "{word} {stranger}");
            assert!(bench.elapsed() < 0.5, "{word} {stranger}: {}", bench.elapsed());
            assert_eq!(bench.run(&format!("GET {key}")), Ok(Value::BulkString(b"v".to_vec())), "{word} {stranger}");
        }
    }
}

#[test]
fn a_redirect_to_where_no_node_can_be_is_the_servers_error_and_leads_nowhere() {
    for place in NOWHERE {
        for word in ["MOVED", "ASK"] {
            let key = key_at(1);
            let slot = crate::command::slot_of(key.as_bytes());
            let mut bench = with_options(&[]);
            bench.run(&format!("SET {key} v")).unwrap();
            says(&bench, 1, "INCR", &format!("-{word} {slot} {place}\r\n"), 2);
            let failure = bench.run(&format!("INCR {key}")).unwrap_err();
            assert_eq!(failure.kind, Kind::Server(word.to_owned()), "{word} {place:?}: {failure}");
            let (seen, failure) = bench.run_batch(&format!("GET {key}; INCR {key}; GET {key}"));
            assert_eq!((seen, failure), (["'v'", word, "'v'"].map(String::from).to_vec(), None), "{word} {place:?}");
            assert_eq!(bench.network.led_astray(), [""; 0], "{word} {place:?}");
        }
    }
}

#[test]
fn a_map_leads_only_to_nodes_that_are_allowed_and_can_be() {
    for stranger in strangers() {
        let mut bench = with_options(&allowing(&[("read_from", text("replica"))]));
        bench.network.change(|state| {
            super::cluster::reshape(state, |sharding| {
                // One shard has the stranger as a replica, another as its primary.
                sharding.ranges[0].2.push(stranger.clone());
                sharding.ranges[2].2[0] = stranger.clone();
            });
        });
        let keys = [1, 2, 3].map(key_at);
        assert_eq!(bench.run(&format!("SET {} v", keys[0])), Ok(Value::Okay));
        for _ in 0..9 {
            bench.run(&format!("GET {}", keys[0])).unwrap();
        }
        let failure = bench.run(&format!("GET {}", keys[2])).unwrap_err();
        assert!(failure.message.contains("no node serves slot"), "{failure}");
        assert_eq!(bench.network.led_astray(), [""; 0], "{stranger}");
    }
    let mut bench = with_options(&[]);
    let nodes: Vec<String> = ["255.255.255.255", "fe80::1%eth0", "", "?", "a b"]
        .iter()
        .map(|host| format!("*3\r\n${}\r\n{host}\r\n:0\r\n$2\r\nid\r\n", host.len()))
        .collect();
    let map = format!("*1\r\n*7\r\n:0\r\n:16383\r\n{}", nodes.concat());
    says(&bench, 1, "CLUSTER", &map, 1);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay), "the next map is a better one");
    assert_eq!(bench.network.led_astray(), [""; 0]);
}

#[test]
fn what_nodes_say_of_replicas_and_primaries_leads_only_to_nodes_that_are_allowed() {
    for stranger in strangers() {
        for reads_all in [false, true] {
            let options = if reads_all { vec![("read_from", text("replica"))] } else { Vec::new() };
            let servers = vec![Server::primary(&[node(2), stranger.clone()]), Server::replica(&node(1))];
            let mut bench = Bench::with(servers, &[1, 2], &allowing(&options));
            bench.run("SET k v").unwrap();
            for _ in 0..9 {
                let _ = bench.run("GET k");
                bench.network.clock.advance(std::time::Duration::from_secs(3));
            }
            bench.network.change(|state| {
                state.kill(1);
                state.server(2).follows = Some(stranger.clone());
            });
            let failure = bench.run("SET k w").unwrap_err();
            assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure}");
            assert_eq!(bench.network.led_astray(), [""; 0], "{stranger}");
        }
    }
}

#[test]
fn what_an_old_server_says_by_role_leads_only_to_nodes_that_are_allowed() {
    for stranger in strangers() {
        let old = |server: Server| Server { is_old: true, hides_info: true, ..server };
        let servers = vec![old(Server::primary(std::slice::from_ref(&stranger))), old(Server::replica(&stranger))];
        let min = ("min_replicas", Setting::Int(1));
        let mut bench = Bench::with(servers, &[1, 2], &allowing(&[min]));
        bench.network.server(1, |server| server.acknowledging = Some((1, std::time::Duration::ZERO)));
        bench.run("SET k v").unwrap();
        bench.network.change(|state| state.kill(1));
        bench.run("SET k w").unwrap_err();
        assert_eq!(bench.network.led_astray(), [""; 0], "{stranger}");
    }
}

#[test]
fn what_sentinels_say_leads_only_to_nodes_that_are_allowed() {
    for stranger in strangers() {
        let sentinel = |primary: &NodeAddress| {
            Server::sentinel(primary, &[stranger.clone(), node(2)], &[stranger.clone(), node(4)])
        };
        let servers = vec![Server::primary(&[]), Server::replica(&node(1)), sentinel(&node(1)), sentinel(&stranger)];
        let options = [("replication", text("sentinel")), ("service", text("mymaster"))];
        let mut bench = Bench::with(servers, &[3], &allowing(&options));
        bench.run("SET k v").unwrap();
        bench.network.change(|state| state.kill(1));
        bench.network.server(3, |server| server.services[0].primary = stranger.clone());
        bench.run("SET k w").unwrap_err();
        assert_eq!(bench.network.led_astray(), [""; 0], "{stranger}");
        let knowledge = bench.client.deployment().knowledge();
        let watched = knowledge.watched().unwrap();
        assert!(!watched.sentinels.contains(&stranger), "nor is it a sentinel to talk to: {watched:?}");
    }
}

#[test]
fn what_can_be_no_node_is_not_looked_for_whoever_names_it() {
    let hosts = ["255.255.255.255", "224.0.0.1", "fe80::1%eth0", "a/b", "0x7f.1", "x y"];
    let lines: Vec<String> =
        hosts.iter().enumerate().map(|(n, host)| format!("slave{n}:ip={host},port=6379,state=online")).collect();
    let info = format!("role:master\r\nconnected_slaves:6\r\n{}\r\nmaster_replid:aa\r\n", lines.join("\r\n"));
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &[("read_from", text("prefer-replica"))]);
    says(&bench, 1, "INFO", &format!("${}\r\n{info}\r\n", info.len()), 9);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.led_astray(), [""; 0]);
    for host in hosts {
        let nowhere = NodeAddress::tcp(host, 6379);
        let servers = vec![Server::sentinel(&nowhere, std::slice::from_ref(&nowhere), std::slice::from_ref(&nowhere))];
        let options = [("replication", text("sentinel")), ("command_timeout", Setting::Float(1.0))];
        let mut bench = Bench::with(servers, &[1], &[&options[..], &[("service", text("mymaster"))]].concat());
        let failure = bench.run("GET k").unwrap_err();
        assert!(!failure.is_outcome_unknown(), "{failure}");
        assert_eq!(bench.network.led_astray(), [""; 0], "{host}");
    }
}
