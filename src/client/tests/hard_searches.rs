//! P9 where it is hard: several primaries, moving addresses, users who may ask little, clients in a hurry.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::NodeAddress;
use crate::connection::scripted::State;
use crate::telemetry::COUNTERS;

const SECOND: Duration = Duration::from_secs(1);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn promote_2(state: &mut State) {
    state.server(2).promote();
    state.server(3).follows = Some(node(2));
    state.server(3).history = state.server(2).history.clone();
}

fn history(letter: char, former: char) -> (String, String) {
    (letter.to_string().repeat(40), former.to_string().repeat(40))
}

fn sets(bench: &Bench) -> [usize; 3] {
    [1, 2, 3].map(|index| bench.network.server(index, |server| server.count("SET")))
}

/// A primary (1), one that was promoted out of its history (2), and one that was promoted out of that one's (3).
fn chain() -> Vec<Server> {
    let mut servers = vec![Server::primary(&[node(4)]), Server::primary(&[node(5)]), Server::primary(&[])];
    servers[1].history = history('b', 'a');
    servers[2].history = history('c', 'b');
    servers
}

const ORDERS: [[usize; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

#[test]
fn of_three_primaries_in_a_chain_the_last_one_is_taken_in_whatever_order_they_are_listed_and_answer() {
    for order in ORDERS {
        for late in [None, Some(1), Some(2), Some(3)] {
            let mut bench = Bench::with(chain(), &order, &[]);
            if let Some(late) = late {
                bench.network.change(|state| state.freeze(late, true));
                bench.network.after(millis(5), move |state| state.freeze(late, false));
            }
            assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
            assert_eq!(sets(&bench), [0, 0, 1], "listed {order:?}, late {late:?}");
        }
    }
}

#[test]
fn of_two_primaries_the_promoted_one_is_taken_after_a_loss_whatever_was_known() {
    for known in [1, 2] {
        let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
        if known == 2 {
            bench.network.change(promote_2);
        }
        bench.run("SET k v").unwrap();
        let before = sets(&bench);
        bench.network.change(|state| {
            if known == 1 {
                promote_2(state);
            }
            state.close_all(known);
        });
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
        assert_eq!(sets(&bench)[1], before[1] + 1, "known {known}");
    }
}

/// The former primary (1), started again from the data that it had, as Redis 7 does it.
fn start_again_from_data(state: &mut State) {
    let server = state.server(1);
    server.follows = None;
    server.replicas = Vec::new();
    server.history = history('e', 'a');
    server.fork = Some((50, 50));
    state.restart(1);
}

#[test]
fn a_former_primary_that_was_started_again_from_its_data_is_not_taken_for_a_promoted_node() {
    for order in ORDERS {
        let mut servers = replicated();
        servers[1].promote();
        servers[1].fork = Some((40, 1));
        servers[2].follows = Some(node(1));
        let mut bench = Bench::with(servers, &order, &[]);
        bench.network.change(start_again_from_data);
        assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
        assert_eq!(sets(&bench), [0, 1, 0], "{order:?}");
    }
}

#[test]
fn nor_is_it_taken_while_the_promoted_one_is_away_for_a_moment() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    bench.run("SET k w").unwrap();
    bench.network.change(|state| {
        start_again_from_data(state);
        state.kill(2);
    });
    bench.network.after(millis(300), |state| state.restart(2));
    assert_eq!(bench.run("SET k x"), Ok(Value::Okay));
    assert_eq!(sets(&bench), [1, 2, 0]);
}

#[test]
fn a_primary_that_wakes_up_is_not_taken_while_the_promoted_one_is_away_for_a_moment() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    bench.run("SET k w").unwrap();
    bench.network.change(|state| {
        state.restart(1);
        state.kill(2);
    });
    bench.network.after(millis(300), |state| state.restart(2));
    assert_eq!(bench.run("SET k x"), Ok(Value::Okay));
    assert_eq!(sets(&bench), [1, 2, 0]);
}

#[test]
fn a_replica_that_forgot_whom_it_followed_does_not_draw_the_writes_away_from_the_primary() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.server(2).follows = None;
        state.server(2).history = history('e', 'a');
        state.server(2).fork = Some((50, 50));
        state.server(1).replicas = vec![node(3)];
    });
    for _ in 0..20 {
        bench.network.clock.advance(millis(60));
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    }
    // Nor does it when the primary is silent for a while.
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(millis(700), |state| state.freeze(1, false));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert_eq!(sets(&bench), [22, 0, 0]);
}

#[test]
fn a_replica_that_was_promoted_before_it_had_seen_anything_is_taken_once_the_primary_answers_nobody() {
    let mut bench = Bench::with(replicated(), &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.freeze(1, true);
        promote_2(state);
        state.server(2).fork = Some((1, 1));
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    // Its own probe has to run into `timeout` first: that is the proof.
    assert!((1.25..1.4).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(sets(&bench), [1, 1, 0]);
}

#[test]
fn when_every_known_address_is_dead_dns_leads_on() {
    let mut servers = replicated();
    servers.extend([Server::stranger(), Server::stranger()]);
    servers[3].replicas = vec![node(5)];
    let mut bench = Bench::at(servers, &Setting::Text("primary.example:1".into()), &[]);
    bench.network.change(|state| state.name("primary.example", &["10.0.0.1"]));
    bench.run("SET k v").unwrap();
    let elsewhere = NodeAddress::tcp("10.0.0.9", 1);
    bench.network.change(|state| {
        [1, 2, 3].into_iter().for_each(|index| state.kill(index));
        state.put_before(&elsewhere, &[4]);
    });
    bench.network.after(SECOND, |state| state.name("primary.example", &["10.0.0.9"]));
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((1.0..1.06).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.network.server(4, |server| server.count("SET")), 1);
}

#[test]
fn a_name_with_several_addresses_leads_to_the_primary_among_them() {
    let mut servers = vec![Server::replica(&NodeAddress::tcp("10.0.0.7", 1)), Server::primary(&[])];
    servers[0].hides_info = true;
    servers[1].hides_info = true;
    let mut bench = Bench::at(servers, &Setting::Text("all.example:1".into()), &[]);
    bench.network.change(|state| {
        state.put_before(&NodeAddress::tcp("10.0.0.2", 1), &[2]);
        // The first one hangs, the second one is a replica, the third one is closed.
        state.name("all.example", &["10.0.0.3", "10.0.0.1", "10.0.0.4", "10.0.0.2"]);
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 1);
    assert!(bench.elapsed() < 0.02, "{}", bench.elapsed());
}

#[test]
fn a_list_whose_members_are_replaced_one_by_one_is_followed_to_nodes_that_it_never_named() {
    let mut servers = replicated();
    servers.extend([Server::replica(&node(1)), Server::replica(&node(1)), Server::replica(&node(4))]);
    let mut bench = Bench::with(servers, &[1, 2, 3], &[]);
    let steps: [&dyn Fn(&mut State); 4] = [
        &|state| {
            state.kill(3);
            state.server(1).replicas = vec![node(2), node(4)];
        },
        &|state| {
            state.kill(2);
            state.server(1).replicas = vec![node(4), node(5)];
        },
        &|state| {
            state.kill(1);
            state.server(4).promote();
            state.server(4).replicas = vec![node(5), node(6)];
            [5, 6].into_iter().for_each(|index| {
                state.server(index).follows = Some(node(4));
                state.server(index).history = state.server(4).history.clone();
            });
        },
        &|state| {
            state.kill(4);
            state.server(6).follows = None;
            state.server(6).history = history('d', 'b');
            state.server(5).follows = Some(node(6));
        },
    ];
    bench.run("SET k v").unwrap();
    for (number, step) in steps.into_iter().enumerate() {
        bench.network.change(step);
        // Uses of the client, some time apart: what it hears in passing is all that it has.
        for _ in 0..20 {
            bench.network.clock.advance(millis(60));
            assert_eq!(bench.run("SET k v"), Ok(Value::Okay), "step {number}");
        }
    }
    assert_eq!(bench.network.server(6, |server| server.count("SET")), 20);
}

fn seconds(read_write: f64, timeout: f64) -> Vec<(&'static str, Setting)> {
    vec![("read_write_timeout", Setting::Float(read_write)), ("timeout", Setting::Float(timeout))]
}

#[test]
fn a_hanging_primary_is_left_at_the_promotion_whatever_the_timeouts_are() {
    for (read_write, timeout) in [(0.1, 0.05), (0.5, 0.5), (2.5, 2.5), (5.0, 2.5), (0.0, 1.0)] {
        for cut in [false, true] {
            let mut bench = Bench::with(replicated(), &[1], &seconds(read_write, timeout));
            bench.run("SET k v").unwrap();
            bench.network.change(|state| if cut { state.cut_off(1) } else { state.freeze(1, true) });
            bench.network.after(SECOND, promote_2);
            assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
            let elapsed = bench.elapsed();
            assert!((1.0..1.15).contains(&elapsed), "{read_write} s, {timeout} s, cut {cut}: {elapsed}");
            let dialed: usize = (1..=3).map(|index| bench.network.dialed(index)).sum();
            assert!(dialed <= 250, "{read_write} s, {timeout} s, cut {cut}: {dialed} connection attempts");
        }
    }
}

#[test]
fn an_increment_at_a_hanging_primary_takes_no_longer_than_the_promotion_and_its_own_timeout() {
    for (read_write, at_most) in [(0.1, 0.12), (2.5, 1.1), (5.0, 1.1)] {
        let mut bench = Bench::with(replicated(), &[1], &seconds(read_write, 0.5));
        bench.run("SET k v").unwrap();
        bench.network.change(|state| state.freeze(1, true));
        bench.network.after(SECOND, promote_2);
        assert!(bench.run("INCR n").unwrap_err().is_outcome_unknown());
        assert!(bench.elapsed() < at_most, "{read_write} s: {}", bench.elapsed());
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)), "{read_write} s");
        assert!((1.0..1.15).contains(&bench.elapsed()), "{read_write} s: {}", bench.elapsed());
    }
}

#[test]
fn servers_that_know_no_hello_fail_over_whether_they_answer_info_or_role() {
    for hides_info in [false, true] {
        let mut servers = replicated();
        for server in &mut servers {
            (server.is_old, server.hides_info) = (true, hides_info);
        }
        let mut bench = Bench::with(servers, &[3, 2, 1], &[]);
        assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
        assert_eq!(sets(&bench), [1, 0, 0], "INFO hidden: {hides_info}");
        bench.network.change(|state| state.kill(1));
        bench.network.after(SECOND, promote_2);
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
        assert!((1.0..1.05).contains(&bench.elapsed()), "INFO hidden: {hides_info}: {}", bench.elapsed());
    }
}

#[test]
fn users_who_may_call_neither_info_nor_role_fail_over_by_plan() {
    let mut servers = replicated();
    servers.iter_mut().for_each(|server| (server.hides_info, server.hides_role) = (true, true));
    let mut bench = Bench::with(servers, &[1, 2, 3], &[]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        promote_2(state);
        state.server(1).follows = Some(node(2));
    });
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!(bench.elapsed() < 0.05, "{}", bench.elapsed());
}

#[test]
fn the_demoted_node_leads_to_a_primary_that_nobody_knew_even_by_its_name() {
    for (host, resolves) in [("10.0.0.1", false), ("new.example", true)] {
        let mut bench = Bench::with(vec![Server::primary(&[]), Server::stranger()], &[1], &[]);
        bench.run("SET k v").unwrap();
        bench.network.change(|state| {
            if resolves {
                state.name("new.example", &["10.0.0.1"]);
            }
            state.server(1).follows = Some(NodeAddress::tcp(host, 2));
            state.server(1).history = state.server(2).history.clone();
        });
        assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
        assert!(bench.elapsed() < 0.1, "{host}: {}", bench.elapsed());
        assert_eq!(bench.network.server(2, |server| server.count("INCR")), 1);
    }
}

#[test]
fn behind_one_virtual_address_the_node_that_is_primary_is_reached_whoever_takes_the_connection() {
    for hides_info in [false, true] {
        let inside = |port| NodeAddress::tcp("192.168.0.1", port);
        let mut servers = vec![Server::primary(&[]), Server::replica(&inside(1)), Server::replica(&inside(1))];
        servers.iter_mut().for_each(|server| server.hides_info = hides_info);
        let address = NodeAddress::tcp("10.0.0.9", 1);
        let mut bench = Bench::at(servers, &Setting::Text("tcp://10.0.0.9:1".into()), &[]);
        bench.network.change(|state| {
            state.put_before(&address, &[2, 3, 1]);
            // What the nodes call each other leads nowhere from here.
            state.put_before(&inside(1), &[8]);
        });
        assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
        assert!(bench.elapsed() < 1.2, "{}", bench.elapsed());
        let before = bench.elapsed();
        bench.network.change(|state| {
            promote_2(state);
            state.server(1).follows = Some(inside(2));
        });
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
        assert!(bench.elapsed() - before < 1.2, "INFO hidden {hides_info}: {}", bench.elapsed() - before);
        assert_eq!(sets(&bench), [1, 1, 0], "INFO hidden: {hides_info}");
    }
}

#[test]
fn who_wants_no_retries_still_gets_one_look_everywhere() {
    let mut bench = Bench::with(replicated(), &[1], &[("retry", Setting::Bool(false))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        promote_2(state);
    });
    // The first one may notice that its connection is gone, and not more.
    let first = bench.run("SET k w");
    assert!(first.is_ok() || first.as_ref().is_err_and(|failure| failure.kind != Kind::Protocol), "{first:?}");
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.05, "{}", bench.elapsed());
    bench.network.change(|state| [2, 3].into_iter().for_each(|index| state.kill(index)));
    let before = bench.elapsed();
    bench.run("SET k x").unwrap_err();
    bench.run("SET k x").unwrap_err();
    assert!(bench.elapsed() - before < 0.05, "{}", bench.elapsed() - before);
}

#[test]
fn a_primary_that_is_read_only_for_a_moment_is_asked_again_without_a_storm() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    let dialed = |bench: &Bench| -> usize { (1..=3).map(|index| bench.network.dialed(index)).sum() };
    let before = dialed(&bench);
    bench.network.change(|state| {
        state.server(1).state = Some("READONLY You can't write against a read only replica.".to_owned());
    });
    bench.network.after(millis(300), |state| state.server(1).state = None);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!(bench.elapsed() < 0.6, "{}", bench.elapsed());
    assert!(dialed(&bench) - before < 60, "{} connections", dialed(&bench) - before);
}

#[test]
fn any_number_of_claimed_replicas_leaves_room_for_where_the_name_leads_and_is_not_flooded() {
    let claimed: Vec<NodeAddress> = (1..=250).map(|last| NodeAddress::tcp(&format!("10.66.0.{last}"), 7)).collect();
    let mut servers = replicated();
    servers[0] = Server::primary(&claimed);
    let mut bench = Bench::at(servers, &Setting::Text("tcp://redis.example:1".into()), &[]);
    bench.network.change(|state| state.name("redis.example", &["10.0.0.1"]));
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(Duration::from_secs(1), |state| {
        promote_2(state);
        state.put_before(&NodeAddress::tcp("10.0.0.77", 1), &[2]);
        state.name("redis.example", &["10.0.0.77"]);
    });
    let before = COUNTERS.dialed.get();
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((1.0..1.2).contains(&bench.elapsed()), "{}", bench.elapsed());
    let dialed = COUNTERS.dialed.get() - before;
    assert!(dialed < 3_000, "{dialed} dials in a second");
}
