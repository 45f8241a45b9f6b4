//! Reading from replicas: who answers, who is left out, and what a failing replica costs.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::connection::scripted::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn from(word: &str) -> (&'static str, Setting) {
    ("read_from", Setting::Text(word.to_owned()))
}

pub fn reading(word: &str) -> Bench {
    Bench::with(replicated(), &[1], &[from(word)])
}

/// How often each server was read from.
pub fn gets(bench: &Bench) -> Vec<usize> {
    (1..=3).map(|index| bench.network.server(index, |server| server.count("GET"))).collect()
}

fn heard(bench: &Bench, index: usize, word: &str) -> usize {
    bench.network.server(index, |server| server.heard.iter().filter(|line| line.starts_with(word)).count())
}

fn read(bench: &mut Bench, times: usize) {
    for _ in 0..times {
        bench.run("GET k").unwrap();
    }
}

#[test]
fn reads_stay_at_the_primary_unless_they_are_asked_away() {
    let mut bench = Bench::of(replicated());
    read(&mut bench, 4);
    assert_eq!(gets(&bench), [4, 0, 0]);
}

#[test]
fn healthy_replicas_are_read_from_in_turn() {
    let mut bench = reading("prefer-replica");
    bench.run("SET k v").unwrap();
    read(&mut bench, 10);
    assert_eq!(gets(&bench), [0, 5, 5]);
}

#[test]
fn the_first_read_of_a_process_finds_the_replicas() {
    let mut bench = reading("replica");
    read(&mut bench, 10);
    assert_eq!(gets(&bench), [0, 5, 5]);
    let mut bench = reading("prefer-replica");
    read(&mut bench, 11);
    let seen = gets(&bench);
    assert_eq!((seen[0], seen[1] + seen[2]), (1, 10), "nothing was known at first: {seen:?}");
}

#[test]
fn writes_and_what_is_between_multi_and_exec_go_to_the_primary() {
    let mut bench = reading("replica");
    for line in ["SET k v", "MULTI", "GET k", "DISCARD", "WATCH k", "GET k", "UNWATCH", "INCR n"] {
        bench.run(line).unwrap();
    }
    assert_eq!(gets(&bench)[1..], [0, 0]);
    assert_eq!(bench.network.server(1, |server| server.count("INCR")), 1);
}

#[test]
fn a_thousand_reads_are_a_thousand_commands_and_a_few_questions() {
    let mut bench = reading("prefer-replica");
    bench.run("SET k v").unwrap();
    for _ in 0..1000 {
        bench.run("GET k").unwrap();
        bench.network.clock.advance(Duration::from_millis(9));
    }
    assert_eq!(gets(&bench).iter().sum::<usize>(), 1000);
    // Nine seconds: each replica is asked every two, the primary every five.
    let questions: Vec<usize> = (1..=3).map(|index| heard(&bench, index, "INFO")).collect();
    assert!(questions.iter().sum::<usize>() <= 3 + 2 * 5 + 2, "{questions:?}");
    assert_eq!((1..=3).map(|index| bench.network.dialed(index)).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn a_replica_that_dies_costs_its_reads_nothing_but_the_way_to_another() {
    let mut bench = reading("replica");
    read(&mut bench, 4);
    bench.network.change(|state| state.kill(2));
    let before = bench.elapsed();
    read(&mut bench, 20);
    assert!(bench.elapsed() - before < 0.03, "{} s for 20 reads", bench.elapsed() - before);
    assert!(bench.network.dialed(2) <= 2, "{} connections", bench.network.dialed(2));
    assert_eq!(bench.events(), ["replica.left"], "no primary was looked for");
    bench.network.change(|state| state.restart(2));
    bench.network.clock.advance(SECOND);
    let before = gets(&bench)[1];
    read(&mut bench, 10);
    assert_eq!(gets(&bench)[1] - before, 5, "it is back");
}

#[test]
fn a_replica_that_hangs_costs_one_read_the_time_of_suspicion() {
    for cut_off in [false, true] {
        let mut bench = reading("replica");
        read(&mut bench, 4);
        bench.network.change(|state| if cut_off { state.cut_off(2) } else { state.freeze(2, true) });
        let before = bench.elapsed();
        read(&mut bench, 20);
        let took = bench.elapsed() - before;
        assert!((0.25..0.28).contains(&took), "{took} s, cut off: {cut_off}");
    }
}

#[test]
fn a_slow_read_is_waited_for_where_nobody_else_can_answer() {
    let servers = vec![Server::primary(&[node(2)]), Server::replica(&node(1))];
    let mut bench = Bench::with(servers, &[1], &[from("replica")]);
    bench.run("GET k").unwrap();
    bench.network.change(|state| state.freeze(2, true));
    bench.network.after(SECOND, |state| state.freeze(2, false));
    let before = bench.elapsed();
    assert_eq!(bench.run("GET k"), Ok(Value::Nil));
    assert!((1.0..1.01).contains(&(bench.elapsed() - before)));
}

#[test]
fn a_replica_that_refuses_because_of_its_state_is_passed_over_at_once() {
    for text in ["LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down"] {
        let mut bench = reading("prefer-replica");
        bench.run("SET k v").unwrap();
        read(&mut bench, 4);
        let fault = Fault::Say(format!("-{text}\r\n").into_bytes());
        bench.network.server(2, |server| server.faults.push_back(("GET".into(), fault)));
        let before = bench.elapsed();
        read(&mut bench, 10);
        assert!(bench.elapsed() - before < 0.01, "{text}: {} s", bench.elapsed() - before);
        let seen = gets(&bench);
        assert_eq!((seen[0], seen[1] + seen[2]), (0, 14), "{text}: {seen:?}");
    }
}

#[test]
fn the_primary_answers_while_no_replica_can() {
    let mut bench = reading("prefer-replica");
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(2);
        state.kill(3);
    });
    let before = bench.elapsed();
    read(&mut bench, 3);
    assert_eq!(gets(&bench), [3, 0, 0]);
    assert!(bench.elapsed() - before < 0.01);
}

#[test]
fn replicas_alone_are_waited_for_until_the_deadline_and_then_named() {
    let mut bench = Bench::with(replicated(), &[1], &[from("replica"), ("command_timeout", Setting::Int(2))]);
    read(&mut bench, 2);
    bench.network.change(|state| {
        state.kill(2);
        state.kill(3);
    });
    bench.network.after(SECOND, |state| state.restart(3));
    assert_eq!(bench.run("GET k"), Ok(Value::Nil));
    let waited = bench.elapsed();
    assert!((1.0..1.4).contains(&waited), "{waited}");
    bench.network.change(|state| state.kill(3));
    let failure = bench.run("GET k").unwrap_err();
    assert!((1.999..2.3).contains(&(bench.elapsed() - waited)), "{}", bench.elapsed() - waited);
    assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure:?}");
    assert!(
        failure.message.contains("no replica can be read from") && failure.message.contains("10.0.0.1:2"),
        "{failure}"
    );
    assert_eq!(gets(&bench)[0], 0);
}

#[test]
fn a_replica_that_is_cut_off_from_its_primary_or_lags_is_not_read_from() {
    for (link, ago) in [("down", 0), ("up", 11)] {
        let mut bench = reading("prefer-replica");
        bench.run("SET k v").unwrap();
        bench.network.server(2, |server| server.link = (link.to_owned(), ago));
        read(&mut bench, 10);
        assert_eq!(gets(&bench), [0, 0, 10], "link {link}, heard {ago} s ago");
        bench.network.server(2, |server| server.link = ("up".to_owned(), 1));
        bench.network.clock.advance(2 * SECOND);
        read(&mut bench, 10);
        assert_eq!(gets(&bench), [0, 5, 15], "it has caught up");
    }
}

#[test]
fn who_waits_for_a_replica_is_not_content_with_one_that_is_unfit() {
    let options = [from("replica"), ("command_timeout", Setting::Int(1))];
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &options);
    for index in [2, 3] {
        bench.network.server(index, |server| server.link = ("down".to_owned(), 0));
    }
    let failure = bench.run("GET k").unwrap_err();
    assert!(failure.message.contains("disconnected from its primary"), "{failure}");
    assert_eq!(gets(&bench), [0, 0, 0]);
}

#[test]
fn a_link_that_breaks_under_reads_is_seen_within_two_seconds() {
    let mut bench = reading("prefer-replica");
    bench.run("SET k v").unwrap();
    read(&mut bench, 10);
    bench.network.server(2, |server| server.link = ("down".to_owned(), 0));
    bench.network.clock.advance(2 * SECOND);
    read(&mut bench, 10);
    assert_eq!(gets(&bench), [0, 5, 15]);
}

#[test]
fn max_replica_lag_is_each_clients_own() {
    let mut bench = Bench::with(replicated(), &[1], &[from("prefer-replica"), ("max_replica_lag", Setting::Int(3))]);
    bench.run("SET k v").unwrap();
    bench.network.server(2, |server| server.link = ("up".to_owned(), 5));
    read(&mut bench, 4);
    assert_eq!(gets(&bench), [0, 0, 4]);
    let patient = Setting::Map(vec![("max_replica_lag".into(), Setting::Int(60))]);
    let mut patient = bench.client.with_options(&patient).unwrap();
    for _ in 0..4 {
        run_on(&mut patient, &mut bench.desk, "GET k").unwrap();
    }
    assert_eq!(gets(&bench), [0, 2, 6]);
}

#[test]
fn users_who_may_not_call_info_read_from_the_replicas_they_listed() {
    let mut servers = replicated();
    servers.iter_mut().for_each(|server| server.hides_info = true);
    let mut bench = Bench::with(servers, &[1, 2, 3], &[from("replica")]);
    read(&mut bench, 10);
    let [primary, one, other] = gets(&bench)[..] else { panic!("three nodes") };
    assert_eq!((primary, one + other), (0, 10));
    assert!(one.abs_diff(other) <= 2, "{one} and {other}");
}

#[test]
fn the_reader_endpoint_is_followed_wherever_it_leads() {
    let servers = vec![Server::primary(&[]), Server::replica(&node(1)), Server::replica(&node(1))];
    let network = ScriptedNetwork::of(servers);
    network.change(|state| {
        state.put_before(&crate::config::NodeAddress::tcp("10.0.0.9", 9), &[2]);
        state.put_before(&crate::config::NodeAddress::tcp("10.0.0.10", 9), &[3]);
        state.name("reader.example", &["10.0.0.9"]);
    });
    let options = [from("replica"), ("reader", Setting::Text("tcp://reader.example:9".into()))];
    let parameters = Setting::Text(format!("tcp://{}", node(1)));
    let mut bench = Bench::on(&network, &Arc::new(Board::alone()), &parameters, &options);
    read(&mut bench, 4);
    assert_eq!(gets(&bench), [0, 4, 0]);
    // Every address is another one now.
    bench.network.change(|state| state.name("reader.example", &["10.0.0.10"]));
    bench.network.clock.advance(6 * SECOND);
    read(&mut bench, 10);
    let seen = gets(&bench);
    assert!(seen[2] >= 9, "{seen:?}");
}

#[test]
fn replicas_that_were_added_are_heard_of_by_who_only_reads() {
    let servers = vec![Server::primary(&[node(2)]), Server::replica(&node(1)), Server::replica(&node(1))];
    let mut bench = Bench::with(servers, &[1], &[from("replica")]);
    read(&mut bench, 4);
    assert_eq!(gets(&bench), [0, 4, 0]);
    bench.network.server(1, |server| server.replicas = vec![node(2), node(3)]);
    bench.network.clock.advance(6 * SECOND);
    read(&mut bench, 10);
    assert_eq!(gets(&bench)[2], 5, "{:?}", gets(&bench));
}

#[test]
fn a_replica_that_was_promoted_is_no_replica_any_more() {
    let mut bench = reading("replica");
    read(&mut bench, 4);
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(3).follows = Some(node(2));
        state.server(1).follows = Some(node(2));
        state.server(2).replicas = vec![node(1), node(3)];
    });
    bench.run("SET k w").unwrap();
    let before = gets(&bench);
    read(&mut bench, 10);
    bench.network.clock.advance(6 * SECOND);
    read(&mut bench, 10);
    let seen = gets(&bench);
    assert_eq!(seen[1], before[1], "{seen:?}");
}

#[test]
fn nearest_takes_those_that_answer_about_as_fast() {
    let mut bench = reading("nearest");
    bench.run("SET k v").unwrap();
    read(&mut bench, 30);
    let seen = gets(&bench);
    assert!(seen.iter().all(|count| *count >= 8), "equal nodes share the load: {seen:?}");
    let readers = bench.client.deployment().readers().nodes();
    let far = readers.iter().find(|reader| reader.node() == &node(3)).unwrap();
    for _ in 0..20 {
        far.took(Duration::from_millis(5));
    }
    read(&mut bench, 30);
    assert_eq!(gets(&bench)[2], seen[2], "{:?}", gets(&bench));
    bench.network.clock.advance(10 * SECOND);
    read(&mut bench, 30);
    assert!(gets(&bench)[2] > seen[2] + 5, "it was slow once, not far: {:?}", gets(&bench));
}

#[test]
fn a_selected_database_is_read_from_the_replicas_too() {
    let mut bench = reading("replica");
    read(&mut bench, 2);
    bench.run("SELECT 3").unwrap();
    read(&mut bench, 4);
    let selected = bench.network.server(2, |server| server.selected.clone());
    assert_eq!(selected, ["3"], "a connection of its own");
}

#[test]
fn who_wants_no_retries_gets_one_try() {
    let mut bench = Bench::with(replicated(), &[1], &[from("replica"), ("retry", Setting::Bool(false))]);
    read(&mut bench, 4);
    bench.network.change(|state| {
        state.kill(2);
        state.kill(3);
    });
    let before = bench.elapsed();
    assert!(bench.run("GET k").is_err());
    assert!(bench.elapsed() - before < 0.01);
}
