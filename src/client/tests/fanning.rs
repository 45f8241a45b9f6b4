//! Commands for all nodes of a cluster: sent to all at once, and what their replies come to.

use redis::Value;

use super::cluster::{cluster, keys, with_options};
use super::*;
use crate::client::Kind;
use crate::connection::scripted::Fault;

#[test]
fn what_concerns_all_nodes_is_sent_to_all_before_the_first_is_waited_for() {
    let mut bench = with_options(&[("command_timeout", Setting::Float(1.0))]);
    for key in keys() {
        bench.run(&format!("SET {key} 1")).unwrap();
    }
    bench.network.change(|state| state.freeze(1, true));
    let failure = bench.run("FLUSHALL").unwrap_err();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    let nodes = format!("; of the cluster's nodes it is done at {}, {}, in doubt at {}", node(2), node(3), node(1));
    assert!(failure.message.ends_with(&nodes), "{failure}");
    assert!((0.9..1.2).contains(&bench.elapsed()), "{}", bench.elapsed());
    bench.network.change(|state| state.freeze(1, false));
    assert_eq!(bench.run("FLUSHALL"), Ok(Value::Okay));
}

#[test]
fn an_error_names_the_node_that_gave_it() {
    let mut bench = cluster();
    let [a, b, c] = keys();
    let refuse = |bench: &Bench, name: &str| {
        let fault = (name.to_owned(), Fault::Say(b"-ERR no\r\n".to_vec()));
        bench.network.change(|state| state.server(2).faults.push_back(fault));
    };
    refuse(&bench, "DEL");
    let failure = bench.run(&format!("DEL {a} {b} {c}")).unwrap_err();
    assert_eq!((failure.node.clone(), &*failure.message), (Some(node(2).to_string()), "ERR no"), "{failure:?}");
    refuse(&bench, "DBSIZE");
    let failure = bench.run("DBSIZE").unwrap_err();
    assert_eq!((failure.node.clone(), &*failure.message), (Some(node(2).to_string()), "ERR no"), "{failure:?}");
    refuse(&bench, "CONFIG");
    let failure = bench.run("CONFIG SET a b").unwrap_err();
    assert!(failure.is_outcome_unknown() && failure.node == Some(node(2).to_string()), "{failure:?}");
    let nodes =
        format!("ERR no; of the cluster's nodes it is done at {}, {}, not done at {}", node(1), node(3), node(2));
    assert_eq!(failure.message, nodes);
}

#[test]
fn one_node_that_runs_a_script_is_enough_to_end_it() {
    let say = |text: &str| ("SCRIPT".to_owned(), Fault::Say(format!("-{text}\r\n").into_bytes()));
    let mut bench = cluster();
    for key in keys() {
        bench.run(&format!("SET {key} 1")).unwrap();
    }
    bench.network.change(|state| {
        state.server(1).faults.push_back(say("NOTBUSY no"));
        state.server(3).faults.push_back(say("NOTBUSY no"));
    });
    assert_eq!(bench.run("SCRIPT KILL"), Ok(Value::Okay));
    bench.network.change(|state| {
        state.server(1).faults.push_back(say("NOTBUSY no"));
        state.server(2).faults.push_back(say("UNKILLABLE no"));
        state.server(3).faults.push_back(say("NOTBUSY no"));
    });
    let failure = bench.run("SCRIPT KILL").unwrap_err();
    assert_eq!(failure.kind, Kind::Server("UNKILLABLE".to_owned()), "{failure:?}");
}

#[test]
fn the_least_of_what_nodes_acknowledge_counts() {
    let mut bench = cluster();
    let acknowledged = [[1, 2], [0, 3], [1, 1]];
    for (server, [local, replicas]) in (1..).zip(acknowledged) {
        let reply = Fault::Say(format!("*2\r\n:{local}\r\n:{replicas}\r\n").into_bytes());
        bench.network.change(|state| state.server(server).faults.push_back(("WAITAOF".to_owned(), reply)));
    }
    assert_eq!(bench.run("WAITAOF 1 1 100"), Ok(Value::Array(vec![Value::Int(0), Value::Int(1)])));
    assert_eq!(bench.run("WAIT 1 100"), Ok(Value::Int(1)));
}
