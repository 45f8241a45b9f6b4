//! P10: one worker learns, all know. Workers here are worlds of their own before one board, one network and one clock.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::board::{LEAST_SIZE, Publication, ROOM};
use crate::client::Kind;
use crate::connection::scripted::State;
use crate::telemetry::COUNTERS;
use crate::time::Clock;
use crate::topology::{Evidence, Lineage, Mode, Notice, Report, Role};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn promote_2(state: &mut State) {
    state.server(2).promote();
    state.server(3).follows = Some(node(2));
}

/// A board that several worlds share.
pub(super) fn shared_board() -> Arc<Board> {
    let board = Board::shared(usize::try_from(LEAST_SIZE).unwrap()).unwrap();
    board.claim(|| 33, 0);
    Arc::new(board)
}

/// Workers of one host: each with its own connections and knowledge.
pub(super) fn workers<const N: usize>(
    servers: Vec<Server>,
    endpoints: &[usize],
    options: &[(&str, Setting)],
) -> [Bench; N] {
    let network = ScriptedNetwork::of(servers);
    let board = shared_board();
    std::array::from_fn(|_| worker(&network, &board, endpoints, options))
}

pub(super) fn worker(
    network: &ScriptedNetwork,
    board: &Arc<Board>,
    endpoints: &[usize],
    options: &[(&str, Setting)],
) -> Bench {
    let uris: Vec<Setting> = endpoints.iter().map(|index| Setting::Text(format!("tcp://{}", node(*index)))).collect();
    let parameters = if let [only] = &uris[..] { only.clone() } else { Setting::List(uris) };
    Bench::on(network, board, &parameters, options)
}

#[test]
fn the_workers_of_a_host_ask_the_primary_no_more_often_than_one_would() {
    let mut workers: [Bench; 10] = workers(replicated(), &[1], &[]);
    let network = workers[0].network.clone();
    workers.iter_mut().for_each(|worker| drop(worker.run("SET k v").unwrap()));
    let before = network.server(1, |server| server.roles);
    let writes = |workers: &mut [Bench], time: Duration| {
        let end = network.clock.now() + time;
        while network.clock.now() < end {
            workers.iter_mut().for_each(|worker| drop(worker.run("SET k v").unwrap()));
            network.clock.advance(MILLI * 2);
        }
    };
    writes(&mut workers, 2 * SECOND);
    let asked = network.server(1, |server| server.roles) - before;
    assert!((30..=41).contains(&asked), "{asked} questions in 2 s");

    // And when one of them finds that a replica was promoted, all go there.
    let sets = network.server(1, |server| server.count("SET"));
    network.change(|state| {
        promote_2(state);
        state.server(1).replicas.clear();
    });
    writes(&mut workers, SECOND / 2);
    let lost = network.server(1, |server| server.count("SET")) - sets;
    let rate = 10.0 / 0.003;
    assert!(lost as f64 <= 0.06 * rate, "{lost} writes went to the old primary: more than those of 60 ms");
    let looks: usize = network.dialed(3);
    assert!(looks <= 2, "{looks} looks");
}

#[test]
fn of_many_workers_that_write_seldom_the_next_one_looks_when_one_has_seen_the_replicas_gone() {
    let mut workers: [Bench; 50] = workers(replicated(), &[1], &[]);
    let network = workers[0].network.clone();
    let writes = |workers: &mut [Bench], rounds: usize| {
        for _ in 0..rounds {
            for worker in workers.iter_mut() {
                worker.run("SET k v").unwrap();
                network.clock.advance(MILLI * 3);
            }
        }
    };
    writes(&mut workers, 3);
    let sets = network.server(1, |server| server.count("SET"));
    network.change(|state| {
        promote_2(state);
        state.server(1).replicas.clear();
    });
    writes(&mut workers, 3);
    let lost = network.server(1, |server| server.count("SET")) - sets;
    assert!(lost <= 20, "{lost} of 150 writes went to the old primary");
}

#[test]
fn the_workers_of_a_host_look_around_for_dead_replicas_no_more_often_than_one_would() {
    let mut workers: [Bench; 10] = workers(replicated(), &[1], &[]);
    let network = workers[0].network.clone();
    workers.iter_mut().for_each(|worker| drop(worker.run("SET k v").unwrap()));
    network.clock.advance(SECOND);
    network.change(|state| {
        state.server(1).replicas.clear();
        state.kill(2);
        state.kill(3);
    });
    let end = network.clock.now() + SECOND * 10;
    while network.clock.now() < end {
        workers.iter_mut().for_each(|worker| drop(worker.run("SET k v").unwrap()));
        network.clock.advance(MILLI * 10);
    }
    let looks = network.dialed(2);
    assert!((8..=45).contains(&looks), "{looks} looks in 10 s");
}

/// What a worker would tell that found node 2 promoted out of the history of node 1.
fn promotion_of_2() -> Notice {
    let lineage = Some(Lineage { id: "b".repeat(40), previous_id: "a".repeat(40), ..Lineage::default() });
    let report = Report { lineage, ..Report::silent(Role::Primary) };
    Notice {
        watched: None,
        primary: node(2),
        mode: Mode::Standalone,
        histories: vec!["a".repeat(40), "b".repeat(40)],
        former: Some(node(1)),
        replicas: vec![node(3), node(1)],
        evidence: Evidence::of(&report, vec![], Some(node(1))),
    }
}

/// Has another worker publish at a later time what it found.
fn publish_after(bench: &Bench, delay: Duration, notice: Notice) {
    let place = bench.client.deployment().place().clone();
    let now = bench.network.clock.now() + delay;
    bench.network.after(delay, move |_| {
        let published = place.publish(place.stamp(), true, &notice.encode(ROOM), now.as_nanos());
        assert!(matches!(published, Publication::Done(_)), "{published:?}");
    });
}

fn dialed(bench: &Bench) -> [usize; 3] {
    [1, 2, 3].map(|index| bench.network.dialed(index))
}

#[test]
fn what_one_worker_finds_the_others_know_without_a_search() {
    let [mut one, mut other] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    other.run("SET k v").unwrap();
    one.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    one.run("SET k w").unwrap();
    let before = dialed(&one);
    let elapsed = one.elapsed();
    assert_eq!(other.run("INCR n"), Ok(Value::Int(1)));
    let after = dialed(&one);
    assert_eq!(
        [after[1] - before[1], after[2] - before[2]],
        [1, 0],
        "connections to the promoted node and the replica"
    );
    assert!(other.elapsed() - elapsed < 0.005, "{}", other.elapsed() - elapsed);
    assert_eq!(other.client.deployment().knowledge().replicas(), one.client.deployment().knowledge().replicas());
}

#[test]
fn after_a_planned_failover_no_command_of_another_worker_meets_the_demoted_node() {
    let [mut one, mut other] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    other.run("SET k v").unwrap();
    one.network.change(|state| {
        promote_2(state);
        state.server(1).follows = Some(node(2));
    });
    one.run("SET k w").unwrap();
    let retries = COUNTERS.retries.get();
    other.run("INCR n").unwrap();
    assert_eq!(other.network.server(2, |server| server.count("INCR")), 1);
    assert_eq!(COUNTERS.retries.get() - retries, 0, "the demoted node was not asked");
}

#[test]
fn a_worker_that_starts_while_its_only_address_is_dead_finds_the_promoted_primary() {
    let [mut one, mut fresh] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    one.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    one.run("SET k w").unwrap();
    assert_eq!(fresh.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(fresh.network.server(2, |server| server.count("INCR")), 1);
}

#[test]
fn a_worker_with_another_password_hears_nothing() {
    let network = ScriptedNetwork::of(replicated());
    let board = shared_board();
    let mut one = worker(&network, &board, &[1], &[]);
    let other = worker(&network, &board, &[1], &[("password", Setting::Text("another".into()))]);
    one.run("SET k v").unwrap();
    assert!(!other.client.deployment().has_news());
    assert_eq!(board.status().records, 2);
}

#[test]
fn a_hint_that_is_wrong_does_not_stick() {
    let [mut one, mut other] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    other.run("SET k v").unwrap();
    // Somebody says that node 2 is primary. It says itself that it is not.
    publish_after(&one, Duration::ZERO, promotion_of_2());
    one.network.change(|_| ());
    one.network.clock.advance(MILLI);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    assert_eq!(other.run("SET k x"), Ok(Value::Okay));
    assert_eq!(one.network.server(1, |server| server.count("SET")), 4);
    for bench in [&one, &other] {
        assert_eq!(bench.client.deployment().knowledge().primary(), Some(&node(1)));
    }
    assert!(one.elapsed() < 0.1, "{}", one.elapsed());
}

/// Another worker that searches from now on. It breathes for so long, and then does `end` and stops.
fn searches_elsewhere(bench: &Bench, breathing: Duration, end: impl FnOnce(&mut State) + Send + 'static) {
    let started = bench.network.clock.now();
    let turn = bench.client.deployment().place().take_turn(started.as_nanos());
    let turn = Arc::new(parking_lot::Mutex::new(turn));
    assert!(turn.lock().is_some(), "somebody searches already");
    let mut after = Duration::ZERO;
    while after < breathing {
        after += 50 * MILLI;
        let turn = turn.clone();
        let now = (started + after).as_nanos();
        bench.network.after(after, move |_| {
            turn.lock().as_mut().map(|turn| turn.breathe(now));
        });
    }
    bench.network.after(breathing, move |state| {
        end(state);
        turn.lock().take();
    });
}

fn kill_1(bench: &Bench) -> [usize; 3] {
    bench.network.change(|state| state.kill(1));
    dialed(bench)
}

#[test]
fn while_one_worker_searches_another_waits_and_asks_nobody() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    searches_elsewhere(&one, 2 * SECOND, |_| ());
    one.network.after(SECOND, promote_2);
    publish_after(&one, SECOND, promotion_of_2());
    let before = kill_1(&one);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    let after = dialed(&one);
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [0, 1, 0]);
    assert!((1.0..1.02).contains(&one.elapsed()), "{}", one.elapsed());
    assert_eq!(one.events(), ["failover.started", "failover.completed"]);
}

#[test]
fn a_searcher_that_gives_up_hands_over_to_one_who_waits() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    searches_elsewhere(&one, SECOND, promote_2);
    kill_1(&one);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    assert!((1.0..1.03).contains(&one.elapsed()), "{}", one.elapsed());
}

#[test]
fn a_searcher_that_was_killed_holds_up_the_others_for_a_moment_only() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    one.network.change(promote_2);
    std::mem::forget(one.client.deployment().place().take_turn(one.network.clock.now().as_nanos()));
    kill_1(&one);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    assert!((0.1..0.2).contains(&one.elapsed()), "{}", one.elapsed());
}

#[test]
fn who_waits_for_others_does_not_wait_beyond_its_own_deadline() {
    let [mut one] = workers(replicated(), &[1], &[("command_timeout", Setting::Float(0.3))]);
    one.run("SET k v").unwrap();
    searches_elsewhere(&one, 2 * SECOND, |_| ());
    kill_1(&one);
    let failure = one.run("SET k w").unwrap_err();
    assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure:?}");
    assert!((0.3..0.32).contains(&one.elapsed()), "{}", one.elapsed());
}

#[test]
fn a_silent_node_is_left_when_another_worker_proves_that_one_was_promoted() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    searches_elsewhere(&one, 2 * SECOND, |_| ());
    one.network.change(|state| state.freeze(1, true));
    one.network.after(SECOND, promote_2);
    publish_after(&one, SECOND, promotion_of_2());
    let before = dialed(&one);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    assert_eq!(dialed(&one)[2], before[2], "the replica was not asked");
    assert!((1.0..1.03).contains(&one.elapsed()), "{}", one.elapsed());
}

#[test]
fn a_silent_node_is_not_left_because_another_worker_claims_something() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    searches_elsewhere(&one, 2 * SECOND, |_| ());
    one.network.change(|state| state.freeze(1, true));
    let stranger = Notice {
        histories: vec!["5".repeat(40)],
        evidence: Evidence { lineage: Some(("5".repeat(40), String::new())), ..Evidence::default() },
        ..promotion_of_2()
    };
    publish_after(&one, SECOND, stranger);
    one.network.after(2 * SECOND, |state| state.freeze(1, false));
    assert_eq!(one.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(one.network.server(1, |server| server.count("INCR")), 1);
    assert!((2.0..2.02).contains(&one.elapsed()), "{}", one.elapsed());
}

#[test]
fn of_two_searches_the_one_that_ends_later_takes_what_the_other_has_found() {
    let [mut one] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    kill_1(&one);
    // Both find it at the same moment; the other one is the first to say so.
    one.network.after(100 * MILLI, promote_2);
    publish_after(&one, 100 * MILLI, promotion_of_2());
    assert_eq!(one.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(one.client.deployment().knowledge().primary(), Some(&node(2)));
    assert!(one.elapsed() < 0.13, "{}", one.elapsed());
}

fn allowed(nodes: &[&str]) -> (&'static str, Setting) {
    let nodes = nodes.iter().map(|node| Setting::Text((*node).to_owned())).collect();
    ("allowed_nodes", Setting::List(nodes))
}

#[test]
fn a_hint_that_leads_where_it_may_not_is_ignored_and_gets_no_password() {
    let [mut one] = workers(replicated(), &[1], &[allowed(&["192.0.2.0/24"])]);
    one.run("SET k v").unwrap();
    one.network.change(promote_2);
    publish_after(&one, MILLI, promotion_of_2());
    one.network.clock.advance(2 * MILLI);
    one.network.change(|state| state.kill(1));
    one.network.after(SECOND, |state| state.restart(1));
    let before = dialed(&one);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    let after = dialed(&one);
    assert_eq!([after[1] - before[1], after[2] - before[2]], [0, 0], "nobody else was asked");
    assert_eq!(one.network.server(1, |server| server.count("SET")), 2);
    assert!(one.client.deployment().knowledge().replicas().is_empty(), "replicas are not used either");
}

#[test]
fn nodes_that_are_allowed_are_discovered_as_ever() {
    let [mut one] = workers(replicated(), &[1], &[allowed(&["10.0.0.0/8"])]);
    one.run("SET k v").unwrap();
    kill_1(&one);
    one.network.after(100 * MILLI, promote_2);
    assert_eq!(one.run("SET k w"), Ok(Value::Okay));
    assert_eq!(one.network.server(2, |server| server.count("SET")), 1);
}
