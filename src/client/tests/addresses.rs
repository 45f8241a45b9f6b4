//! Option `node_address_map`: nodes that announce addresses of another network are found all the same, whoever names them.

use redis::Value;

use super::cluster::{heard, keys, reshape};
use super::*;
use crate::command::slot_of;
use crate::config::NodeAddress;
use crate::connection::scripted::Sharding;

/// What node number `index` announces: nobody is there.
fn announced(index: usize) -> NodeAddress {
    NodeAddress::tcp("192.0.2.1", u16::try_from(index).unwrap() + 6_000)
}

/// The map of six nodes, and more options.
fn options(more: &[(&'static str, Setting)]) -> Vec<(&'static str, Setting)> {
    let entries = (1..=6).map(|index| (announced(index).to_string(), Setting::Text(node(index).to_string())));
    [&[("node_address_map", Setting::Map(entries.collect()))], more].concat()
}

fn replicated() -> Vec<Server> {
    let replica = || Server::replica(&announced(1));
    vec![Server::primary(&[announced(2), announced(3)]), replica(), replica()]
}

/// Three shards of a primary and a replica each.
fn cluster() -> Bench {
    let shards: Vec<[_; 2]> = (1..=3).map(|index| [announced(index), announced(index + 3)]).collect();
    let sharding = Sharding::of(&shards.iter().map(|shard| &shard[..]).collect::<Vec<_>>());
    let servers = (1..=6).map(|index| {
        let primary = index <= 3;
        let server =
            if primary { Server::primary(&[announced(index + 3)]) } else { Server::replica(&announced(index - 3)) };
        Server { cluster: Some((announced(index), sharding.clone())), ..server }
    });
    Bench::with(servers.collect(), &[1], &options(&[("allowed_nodes", dialed())]))
}

/// What is dialed, and none of what is announced.
fn dialed() -> Setting {
    Setting::List(vec![Setting::Text("10.0.0.0/24".into())])
}

#[test]
fn the_map_of_the_slots_and_what_leads_elsewhere_name_nodes_by_it() {
    let mut bench = cluster();
    for key in keys() {
        assert_eq!(bench.run(&format!("SET {key} 1")), Ok(Value::Okay));
    }
    let primaries: Vec<_> = bench.client.shards().into_iter().map(|shard| shard.primary).collect();
    assert_eq!(primaries, [1, 2, 3].map(node));
    let [a, b, _] = keys();
    bench.network.change(|state| {
        let slot = slot_of(b.as_bytes());
        reshape(state, |sharding| {
            sharding.ranges[1].1 = slot - 1;
            sharding.ranges.insert(2, (slot, slot, vec![announced(3), announced(6)]));
            sharding.ranges.insert(3, (slot + 1, 10_921, vec![announced(2), announced(5)]));
        });
        let on_its_way = slot_of(a.as_bytes());
        state.server(1).cluster.as_mut().unwrap().1.migrating.insert(on_its_way, announced(2));
        state.server(2).cluster.as_mut().unwrap().1.importing.insert(on_its_way);
        let value = state.server(1).data.remove(&a).unwrap();
        state.server(2).data.insert(a.clone(), value);
    });
    assert_eq!(bench.run(&format!("INCR {a}")), Ok(Value::Int(2)), "ASK");
    assert_eq!(bench.run(&format!("INCR {b}")), Ok(Value::Int(1)), "MOVED");
    let (seen, failure) = bench.run_batch(&format!("INCR {a}; INCR {b}; INCR {b}"));
    assert_eq!((seen, failure), (["3", "2", "3"].map(String::from).to_vec(), None));
    assert_eq!([1, 2, 3].map(|server| heard(&bench, server, "CLUSTER")), [1, 0, 0], "the map was asked for once");
}

#[test]
fn the_replica_of_a_shard_that_takes_over_is_found_by_it() {
    let mut bench = cluster();
    let [_, b, _] = keys();
    bench.run(&format!("SET {b} 1")).unwrap();
    bench.network.change(|state| {
        state.kill(2);
        state.server(5).promote();
        reshape(state, |sharding| sharding.ranges[1].2 = vec![announced(5)]);
    });
    assert_eq!(bench.run(&format!("SET {b} 2")), Ok(Value::Okay));
    assert_eq!(bench.network.server(5, |server| server.count("SET")), 1);
}

#[test]
fn replicas_that_a_primary_names_are_found_by_it() {
    let mut bench = Bench::with(replicated(), &[1], &options(&[]));
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    bench.network.change(|state| {
        state.kill(1);
        state.server(2).promote();
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.client.deployment().knowledge().primary(), Some(&node(2)));
    // A replica names its primary, too.
    let mut bench = Bench::with(replicated(), &[2], &options(&[]));
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.client.deployment().knowledge().primary(), Some(&node(1)));
}

#[test]
fn what_sentinels_name_is_found_by_it() {
    let mut servers = replicated();
    for own in 4..=6 {
        let others: Vec<_> = (4..=6).filter(|other| *other != own).map(announced).collect();
        servers.push(Server::sentinel(&announced(1), &[announced(2), announced(3)], &others));
    }
    let by_sentinel = [("replication", "sentinel"), ("service", "mymaster")];
    let by_sentinel = by_sentinel.map(|(name, value)| (name, Setting::Text(value.into())));
    let mut bench = Bench::with(servers, &[4], &options(&by_sentinel));
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    let knowledge = bench.client.deployment().knowledge();
    assert_eq!(knowledge.watched().map(|watched| watched.sentinels.clone()), Some([4, 5, 6].map(node).to_vec()));
    assert_eq!((knowledge.primary(), knowledge.replicas()), (Some(&node(1)), &[2, 3].map(node)[..]));
}
