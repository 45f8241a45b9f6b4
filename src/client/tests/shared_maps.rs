//! P10 for clusters: one worker asks for the map, all know it. Workers here are as in `sharing`.

use std::time::Duration;

use redis::Value;

use super::cluster::{give, heard, key_at, keys, reshape, servers};
use super::sharing::{shared_board, worker};
use super::*;
use crate::config::NodeAddress;
use crate::connection::scripted::{Fault, Sharding, State};
use crate::time::Clock;
use crate::topology::{SlotMap, Speaker};

const MILLI: Duration = Duration::from_millis(1);

/// Workers before the cluster of three shards, and how to begin another one.
struct Host {
    network: ScriptedNetwork,
    board: Arc<Board>,
}

impl Host {
    fn new() -> Host {
        // The last one has no part in the cluster yet.
        let servers = servers().into_iter().chain([Server::primary(&[])]).collect();
        Host { network: ScriptedNetwork::of(servers), board: shared_board() }
    }

    fn worker(&self, options: &[(&str, Setting)]) -> Bench {
        worker(&self.network, &self.board, &[1], options)
    }

    fn workers<const N: usize>(&self) -> [Bench; N] {
        std::array::from_fn(|_| self.worker(&[]))
    }

    /// How often the map was asked for, of whomever.
    fn questions(&self) -> usize {
        let asked = |index| {
            self.network.server(index, |server| server.heard.iter().filter(|line| *line == "CLUSTER SLOTS").count())
        };
        (1..=7).map(asked).sum()
    }
}

fn move_to(state: &mut State, key: &str, from: usize, to: usize) {
    give(state, key, to);
    let data = std::mem::take(&mut state.server(from).data);
    state.server(to).data.extend(data);
}

#[test]
fn a_worker_that_starts_takes_the_map_that_another_has_learned_and_asks_nobody() {
    let host = Host::new();
    let [_, b, _] = keys();
    assert_eq!(host.worker(&[]).run(&format!("SET {b} 1")), Ok(Value::Okay));
    let dialed = host.network.dialed(1);
    let mut late = host.worker(&[]);
    assert_eq!(late.run(&format!("INCR {b}")), Ok(Value::Int(2)));
    assert_eq!(host.questions(), 1);
    assert_eq!(host.network.dialed(1), dialed, "the endpoint was not needed");
}

#[test]
fn workers_that_were_there_before_take_it_too() {
    let host = Host::new();
    let mut workers: [Bench; 8] = host.workers();
    for worker in &mut workers {
        keys().iter().for_each(|key| drop(worker.run(&format!("SET {key} 1")).unwrap()));
    }
    assert_eq!(host.questions(), 1);
}

#[test]
fn what_one_worker_is_told_of_a_moved_slot_the_others_know() {
    let host = Host::new();
    let [a, ..] = keys();
    let mut workers: [Bench; 4] = host.workers();
    workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {a} 0")).unwrap()));
    host.network.change(|state| move_to(state, &a, 1, 2));
    for (number, worker) in workers.iter_mut().enumerate() {
        assert_eq!(worker.run(&format!("INCR {a}")), Ok(Value::Int(number as i64 + 1)));
    }
    assert_eq!((heard(&workers[0], 1, "INCR"), heard(&workers[0], 2, "INCR")), (1, 4), "one was turned away");
    assert_eq!(host.questions(), 1, "the shard was known");
}

#[test]
fn when_a_slot_went_to_a_new_shard_one_worker_asks_for_the_map() {
    let host = Host::new();
    let [a, b, _] = keys();
    let mut workers: [Bench; 4] = host.workers();
    workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {a} 0")).unwrap()));
    host.network.change(|state| {
        give(state, &a, 2);
        reshape(state, |sharding| {
            let moved = sharding.ranges.iter_mut().find(|(first, last, _)| first == last);
            moved.expect("one slot by itself").2 = vec![node(7)];
        });
        let sharding = state.server(1).cluster.as_ref().unwrap().1.clone();
        let data = std::mem::take(&mut state.server(1).data);
        let added = state.server(7);
        (added.cluster, added.data) = (Some((node(7), sharding)), data);
    });
    let before = host.questions();
    for (number, worker) in workers.iter_mut().enumerate() {
        assert_eq!(worker.run(&format!("INCR {a}")), Ok(Value::Int(number as i64 + 1)));
        worker.run(&format!("SET {b} 1")).unwrap();
    }
    assert_eq!(host.questions() - before, 1);
    assert_eq!((heard(&workers[0], 1, "INCR"), heard(&workers[0], 7, "INCR")), (1, 4), "one was turned away");
}

#[test]
fn now_and_then_one_worker_asks_again_after_a_command_or_a_batch() {
    let host = Host::new();
    let [a, b, _] = keys();
    let mut workers: [Bench; 3] = host.workers();
    workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {a} 0")).unwrap()));
    assert_eq!(host.questions(), 1);
    for round in 2..5 {
        host.network.clock.advance(Duration::from_secs(59));
        workers.iter_mut().for_each(|worker| drop(worker.run(&format!("INCR {b}")).unwrap()));
        assert_eq!(host.questions(), round - 1, "too early");
        host.network.clock.advance(Duration::from_secs(2));
        for worker in &mut workers {
            let (seen, failure) = worker.run_batch(&format!("INCR {b}; GET {a}"));
            assert_eq!((seen.len(), failure), (2, None));
            worker.run(&format!("INCR {b}")).unwrap();
        }
        assert_eq!(host.questions(), round);
    }
    // What it hears is news to all.
    let map = |bench: &Bench| bench.client.slot_map().unwrap().asked();
    workers.iter_mut().for_each(|worker| drop(worker.run(&format!("INCR {b}")).unwrap()));
    assert!(workers.iter().all(|worker| map(worker) == map(&workers[0])));
}

#[test]
fn where_many_slots_have_moved_one_worker_asks_again_within_a_second() {
    let host = Host::new();
    let [a, b, _] = keys();
    let mut workers: [Bench; 3] = host.workers();
    workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {a} 0")).unwrap()));
    host.network.clock.advance(Duration::from_secs(2));
    let now = host.network.clock.now();
    (0..300).for_each(|slot| assert!(workers[0].client.deployment.slots().assign(slot, &node(2), now)));
    for _ in 0..3 {
        workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {b} 1")).unwrap()));
    }
    host.network.clock.advance(MILLI * 1_100);
    for _ in 0..3 {
        workers.iter_mut().for_each(|worker| drop(worker.run(&format!("SET {b} 1")).unwrap()));
    }
    assert_eq!(host.questions(), 2);
    let known = workers.iter().map(|worker| worker.client.slot_map().unwrap());
    assert_eq!(known.map(|map| (map.is_worn(), map.shard_of(5))).collect::<Vec<_>>(), [(false, Some(0)); 3]);
}

#[test]
fn a_node_that_does_not_answer_when_it_is_asked_again_costs_one_command_a_moment() {
    let host = Host::new();
    let [a, ..] = keys();
    let [mut one, mut other] = host.workers();
    one.run(&format!("SET {a} 0")).unwrap();
    host.network.clock.advance(Duration::from_secs(61));
    host.network.change(|state| state.server(1).faults.push_back(("CLUSTER".into(), Fault::Silence)));
    let begun = one.elapsed();
    assert_eq!(one.run(&format!("INCR {a}")), Ok(Value::Int(1)));
    assert!((0.1..0.15).contains(&(one.elapsed() - begun)), "{} s", one.elapsed() - begun);
    let begun = one.elapsed();
    other.run(&format!("INCR {a}")).unwrap();
    one.run(&format!("INCR {a}")).unwrap();
    assert!(one.elapsed() - begun < 0.01, "{} s", one.elapsed() - begun);
}

#[test]
fn while_one_worker_asks_for_the_map_the_others_wait_for_what_it_hears() {
    let host = Host::new();
    let [_, b, _] = keys();
    let [mut one, asker] = host.workers();
    one.run(&format!("SET {b} 1")).unwrap();
    host.network.change(|state| reshape(state, |sharding| drop(sharding.ranges.remove(1))));
    one.client.deployment.slots().learn(&told(&host));
    host.network.change(|state| {
        reshape(state, |sharding| sharding.ranges.insert(1, (5_461, 10_921, vec![node(2), node(5)])));
    });
    let before = host.questions();
    let deployment = asker.client.deployment.clone();
    let turn = deployment.slots().place().take_turn(host.network.clock.now().as_nanos()).expect("nobody asks");
    let (map, clock) = (told(&host), host.network.clock.clone());
    host.network.after(MILLI * 40, move |_| {
        deployment.learn_slots(&map, Some(&turn), clock.now());
        drop(turn);
    });
    assert_eq!(one.run(&format!("INCR {b}")), Ok(Value::Int(2)));
    assert_eq!(host.questions(), before, "it asked, too");
    assert!((0.04..0.06).contains(&one.elapsed()), "went on after {} s", one.elapsed());
}

/// The map as the nodes would tell it now.
fn told(host: &Host) -> SlotMap {
    let encoded = host.network.server(1, |server| server.cluster.as_ref().unwrap().1.slots());
    let reply = redis::parse_redis_value(&encoded).unwrap();
    host.network.clock.advance(MILLI);
    SlotMap::read(&reply, &Speaker::plain(node(1)), host.network.clock.now(), |_| true).unwrap()
}

#[test]
fn a_worker_that_is_killed_while_it_asks_holds_the_others_up_for_a_moment() {
    let host = Host::new();
    let [a, ..] = keys();
    let [mut one, other] = host.workers();
    let place = other.client.deployment.slots().place();
    // It is not heard of again.
    place.take_turn(host.network.clock.now().as_nanos()).expect("nobody asks").disown();
    assert_eq!(one.run(&format!("SET {a} 1")), Ok(Value::Okay));
    assert!((0.1..0.3).contains(&one.elapsed()), "went on after {} s", one.elapsed());
}

#[test]
fn who_waits_for_another_ones_map_does_so_until_its_command_is_over() {
    let host = Host::new();
    let mut one = host.worker(&[("command_timeout", Setting::Float(0.5))]);
    let other = host.worker(&[]);
    let clock = host.network.clock.clone();
    let place = other.client.deployment.slots().place();
    let mut turn = place.take_turn(clock.now().as_nanos()).expect("nobody asks");
    assert!(turn.breathe((clock.now() + MILLI * 600).as_nanos()), "it says that it may take so long");
    let failure = one.run(&format!("GET {}", key_at(2))).unwrap_err();
    assert!((0.5..0.52).contains(&one.elapsed()), "{} s: {failure}", one.elapsed());
    assert!(!failure.is_outcome_unknown() && failure.message.contains("command_timeout"), "{failure}");
}

#[test]
fn a_map_that_names_what_allowed_nodes_does_not_admit_is_heard_without_it() {
    let host = Host::new();
    let [_, b, _] = keys();
    let allowed = [("allowed_nodes", Setting::List(vec![Setting::Text("10.0.0.0/8".into())]))];
    let [mut one, mut other] = [(); 2].map(|()| host.worker(&allowed));
    one.run(&format!("SET {b} 1")).unwrap();
    let slots = one.client.deployment.slots();
    let stranger = "elsewhere";
    let text = slots.map().unwrap().0.encode().unwrap().replace(&node_word(2), &format!("tcp 1 {stranger}"));
    let turn = slots.place().take_turn(host.network.clock.now().as_nanos()).unwrap();
    let forged = SlotMap::decode(text.as_bytes(), |_| true).unwrap();
    one.client.deployment.learn_slots(&forged, Some(&turn), host.network.clock.now());
    drop(turn);
    drop(other.run(&format!("GET {}", key_at(1))));
    let known = other.client.slot_map().unwrap();
    assert!(known.shards().iter().all(|shard| !shard.primary.to_string().contains(stranger)), "{known:?}");
}

fn node_word(index: usize) -> String {
    let (host, port) =
        node(index).to_string().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    format!("tcp {port} {host}")
}

#[test]
fn what_the_question_for_the_map_meets_is_told_and_that_a_dead_node_is_asked_is_no_failover() {
    let host = Host::new();
    let [a, b, _] = keys();
    let mut bench = host.worker(&[]);
    bench.run(&format!("SET {a} 0")).unwrap();
    bench.events();
    // Asked again behind a command that needs another connection, over one that has ended since.
    bench.run(&format!("SET {b} 0")).unwrap();
    host.network.clock.advance(Duration::from_secs(61));
    host.network.change(|state| {
        let answer = Fault::Say(b"-LOADING Redis is loading the dataset in memory\r\n".to_vec());
        state.server(1).faults.push_back(("CLUSTER".into(), answer));
    });
    bench.run(&format!("GET {a}")).unwrap();
    assert_eq!(bench.events(), ["server.unready"]);

    host.network.change(|state| state.kill(1));
    host.network.after(Duration::from_millis(1_500), |state| {
        state.server(4).promote();
        reshape(state, |sharding| sharding.ranges[0].2 = vec![node(4)]);
    });
    bench.run(&format!("SET {a} 1")).unwrap();
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);
    assert!(host.questions() >= 2, "it was asked whether the shard has other nodes");
}

#[test]
fn a_cluster_that_was_replaced_as_a_whole_is_found_by_the_name_of_its_endpoint() {
    let of = |indices: [usize; 3]| {
        let nodes = indices.map(node);
        let sharding = Sharding::of(&nodes.iter().map(std::slice::from_ref).collect::<Vec<_>>());
        nodes.map(|at| Server { cluster: Some((at, sharding.clone())), ..Server::primary(&[]) })
    };
    let servers = of([1, 2, 3]).into_iter().chain(of([4, 5, 6])).collect();
    let mut bench = Bench::at(servers, &Setting::Text("cluster.example:6379".into()), &[]);
    bench.network.change(|state| {
        for (address, index) in [("10.0.1.1", 1), ("10.0.1.2", 4)] {
            state.put_before(&NodeAddress::tcp(address, 6379), &[index]);
        }
        state.name("cluster.example", &["10.0.1.1"]);
    });
    let [a, ..] = keys();
    bench.run(&format!("SET {a} 1")).unwrap();
    bench.network.change(|state| {
        (1..=3).for_each(|index| state.kill(index));
        state.name("cluster.example", &["10.0.1.2"]);
    });
    assert_eq!(bench.run(&format!("SET {a} 2")), Ok(Value::Okay));
    assert_eq!(bench.network.server(4, |server| server.count("SET")), 1);
    assert!(bench.elapsed() < 2.0, "{} s", bench.elapsed());
}
