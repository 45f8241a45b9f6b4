//! What a server says about its own state, and what becomes of the command that hears it.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::{Fault, State};
use crate::failover::{Limit, Phase};

const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const LOADING: &str = "LOADING Redis is loading the dataset in memory";
const MASTERDOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

fn say(text: &str) -> Fault {
    Fault::Say(format!("-{text}\r\n").into_bytes())
}

fn in_state(text: &str) -> Bench {
    let bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| server.state = Some(text.to_owned()));
    bench
}

#[test]
fn states_of_the_server_are_waited_out_whatever_the_command_is() {
    for state in [
        LOADING,
        MASTERDOWN,
        BUSY,
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOREPLICAS Not enough good replicas to write.",
        "ERR max number of clients reached",
    ] {
        let mut bench = in_state(state);
        bench.network.after(Duration::from_millis(700), |state| state.server(1).state = None);
        assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)), "{state}");
        let elapsed = bench.elapsed();
        assert!((0.7..1.0).contains(&elapsed), "{state}: went on after {elapsed} s");
        let told: &[&str] = if state == MASTERDOWN { &[] } else { &["server.unready"] };
        assert_eq!(bench.events(), told, "{state}: nobody failed over");
    }
}

#[test]
fn a_state_that_lasts_ends_with_the_deadline_and_the_servers_own_words() {
    for state in [LOADING, BUSY] {
        let mut bench = in_state(state);
        let failure = bench.run("INCR k").unwrap_err();
        assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
        assert!(failure.message.contains(state) && failure.message.contains("not applied"), "{failure}");
        assert!((10.0..10.3).contains(&bench.elapsed()), "{}", bench.elapsed());
    }
}

#[test]
fn waiting_for_a_server_opens_few_connections() {
    for (state, most) in [(LOADING, 45), (BUSY, 12)] {
        let mut bench = in_state(state);
        assert!(bench.run("INCR k").is_err());
        let dialed = bench.network.dialed(1);
        assert!(dialed <= most, "{state}: {dialed} connections in 10 s");
    }
}

#[test]
fn a_server_that_is_full_is_not_called_all_the_time() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.network.server(1, |server| {
        let full = "ERR max number of clients reached";
        server.faults.extend((0..1000).map(|_| ("HELLO".to_owned(), say(full))));
    });
    bench.network.after(Duration::from_secs(2), |state| state.server(1).faults.clear());
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
    assert!((2.0..2.2).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert!(bench.network.dialed(1) <= 25, "{} connections in 2 s", bench.network.dialed(1));
}

#[test]
fn a_promotion_is_seen_while_the_former_primary_loads() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.state = Some(LOADING.to_owned()));
    bench.network.after(Duration::from_secs(1), |state: &mut State| state.server(2).promote());
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
    assert!((1.0..1.6).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.events(), ["server.unready", "failover.started", "failover.completed"]);
}

#[test]
fn what_waiting_does_not_mend_is_said_at_once() {
    for text in [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOPERM this user has no permissions to run the 'incr' command",
    ] {
        let mut bench = in_state(text);
        let failure = bench.run("INCR k").unwrap_err();
        assert_eq!((failure.attempts, bench.elapsed() < 0.01), (1, true), "{failure:?}");
        assert!(matches!(failure.kind, Kind::Server(_)), "{failure:?}");
    }
}

#[test]
fn a_script_that_was_turned_away_is_sent_again_if_the_node_turns_everything_away() {
    for state in [LOADING, BUSY] {
        let mut bench = in_state(state);
        bench.network.after(Duration::from_millis(700), |state| state.server(1).state = None);
        assert_eq!(bench.run("EVAL script 0"), Ok(Value::Okay), "{state}");
        assert_eq!(bench.network.server(1, |server| server.count("EVAL")), 1);
    }
}

#[test]
fn a_script_that_was_turned_away_goes_out_again_only_to_a_node_that_has_said_that_it_is_ready() {
    // Had the script met the last of the words, the question about them would have found a node that is ready.
    for line in ["EVAL script 0", "INCR n; EVAL script 0"] {
        let mut bench = in_state(LOADING);
        bench.network.after(Duration::from_millis(700), |state| state.server(1).state = None);
        let (seen, failure) = bench.run_batch(line);
        assert_eq!((seen.last().map(String::as_str), failure), (Some("OK"), None), "{line}");
        let scripts = bench.network.server(1, |server| {
            let heard = server.heard.iter().filter(|heard| heard.starts_with("EVAL") || *heard == "PING");
            heard.cloned().collect::<Vec<_>>()
        });
        let (last, before) = scripts.split_last().unwrap();
        let sent = before.iter().filter(|heard| heard.starts_with("EVAL")).count();
        assert_eq!((last.as_str(), sent), ("EVAL script 0", 1), "{line}: {scripts:?}");
        assert!(before.len() > 4, "{line}: it was asked again and again: {scripts:?}");
    }
    // A node that falls silent instead of saying that it is ready has not got the script.
    let mut bench = in_state(LOADING);
    bench.network.after(Duration::from_millis(700), |state| {
        let server = state.server(1);
        server.state = None;
        server.faults.push_back(("PING".into(), Fault::CloseAfter));
    });
    assert_eq!(bench.run("EVAL script 0"), Ok(Value::Okay));
    assert_eq!(bench.network.server(1, |server| server.count("EVAL")), 1);
}

#[test]
fn a_script_that_only_speaks_like_a_server_is_not_sent_again() {
    for state in [LOADING, BUSY, MASTERDOWN] {
        let mut bench = Bench::of(vec![Server::primary(&[])]);
        bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), say(state))));
        let failure = bench.run("EVAL script 0").unwrap_err();
        assert_eq!((failure.attempts, failure.message.as_str()), (1, state), "{failure:?}");
        assert_eq!(bench.network.server(1, |server| server.count("EVAL")), 0);
        assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
        assert_eq!(bench.network.dialed(1), 1, "the connection is clean");
    }
}

#[test]
fn a_script_whose_node_falls_silent_after_such_words_is_in_doubt() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| {
        server.faults.push_back(("EVAL".into(), say(LOADING)));
        server.faults.push_back(("PING".into(), Fault::CloseAfter));
    });
    let failure = bench.run("EVAL script 0").unwrap_err();
    assert!(failure.is_outcome_unknown() && failure.message.contains("LOADING"), "{failure:?}");
    assert_eq!(bench.run("INCR k"), Ok(Value::Int(1)));
}

#[test]
fn a_connection_that_is_not_let_in_any_more_is_replaced_once() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    let noauth = || ("INCR".to_owned(), say("NOAUTH Authentication required."));
    bench.network.server(1, |server| server.faults.push_back(noauth()));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.network.dialed(1), 2);
    bench.network.server(1, |server| server.faults.extend([noauth(), noauth()]));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (Kind::Server("NOAUTH".into()), 2));
}

#[test]
fn a_changed_password_leaves_open_connections_alone_and_is_said_at_once_by_a_new_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.password = Some("changed".into()));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)), "who is in stays in");
    bench.network.change(|state| state.close_all(1));
    let failure = bench.run("GET n").unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Connection, Some(Phase::Auth)), "{failure:?}");
    assert!(failure.message.contains("WRONGPASS"), "{failure}");
    assert_eq!(failure.node.as_deref(), Some("10.0.0.1:1"));
    assert!(bench.elapsed() < 0.1, "replicas that let us in follow the one that does not: {}", bench.elapsed());
}

#[test]
fn a_node_that_lets_nobody_in_does_not_hide_a_promotion() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[("command_timeout", Setting::Float(4.0))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.server(1).password = Some("changed".into());
        state.close_all(1);
        state.server(2).promote();
        state.server(3).follows = Some(node(2));
    });
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.network.server(2, |server| server.count("INCR")), 1);
}

#[test]
fn a_script_in_a_batch_is_sent_again_only_if_the_node_turns_everything_away() {
    let mut bench = in_state(LOADING);
    bench.network.after(Duration::from_millis(300), |state| state.server(1).state = None);
    let (seen, failure) = bench.run_batch("INCR n; EVAL script 0; INCR n");
    assert_eq!((seen, failure), (["1", "OK", "2"].map(String::from).to_vec(), None));

    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.network.server(1, |server| server.faults.push_back(("EVAL".into(), say(LOADING))));
    let (seen, failure) = bench.run_batch("INCR n; EVAL script 0; GET n");
    assert_eq!((seen, failure), (["1", "LOADING", "'1'"].map(String::from).to_vec(), None), "the script's own words");
    assert_eq!(bench.network.server(1, |server| server.count("EVAL")), 0);

    bench.network.server(1, |server| {
        server.faults.push_back(("EVAL".into(), say(LOADING)));
        server.faults.push_back(("PING".into(), Fault::CloseAfter));
    });
    let (_, failure) = bench.run_batch("INCR n; EVAL script 0");
    let failure = failure.expect("nobody can tell any more");
    assert!(failure.is_outcome_unknown() && failure.index == Some(1), "{failure:?}");
}

#[test]
fn a_batch_on_a_connection_that_is_not_let_in_any_more_goes_over_a_new_one() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    let noauth = || ("GET".to_owned(), say("NOAUTH Authentication required."));
    bench.network.server(1, |server| server.faults.push_back(noauth()));
    let (seen, failure) = bench.run_batch("GET k; GET k");
    assert_eq!((seen, failure), (["'v'", "'v'"].map(String::from).to_vec(), None));
    assert_eq!(bench.network.dialed(1), 2);
    bench.network.server(1, |server| server.faults.extend([noauth(), noauth()]));
    let (seen, failure) = bench.run_batch("GET k");
    assert_eq!((seen, failure), (vec!["NOAUTH".to_owned()], None));
}

#[test]
fn a_script_that_only_reads_is_in_no_doubt() {
    let readonly = say("READONLY You can't write against a read only replica. script: f, on @user_script:1.");
    let mut bench = Bench::with(replicated(), &[1], &[("command_timeout", Setting::Float(2.0))]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("EVAL_RO".into(), readonly)));
    bench.network.after(Duration::from_micros(50), |state| {
        // Its last words are on their way when it dies.
        state.refuse(1);
        state.server(2).promote();
    });
    assert_eq!(bench.run("EVAL_RO script 0"), Ok(Value::Okay));
    assert_eq!(bench.network.server(2, |server| server.count("EVAL_RO")), 1);
}
