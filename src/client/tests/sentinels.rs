//! Sentinel: all are asked side by side, what they say is only where to look, and nobody's silence costs a wait.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::NodeAddress;
use crate::connection::scripted::State;

const SECOND: Duration = Duration::from_secs(1);
const SENTINELS: [usize; 3] = [4, 5, 6];

/// A primary (1) with replicas (2, 3), watched by three sentinels (4, 5, 6) that know each other.
fn watched() -> Vec<Server> {
    let mut servers = replicated();
    for own in SENTINELS {
        let others: Vec<_> = SENTINELS.iter().filter(|other| **other != own).map(|other| node(*other)).collect();
        servers.push(Server::sentinel(&node(1), &[node(2), node(3)], &others));
    }
    servers
}

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn by_sentinel(more: &[(&'static str, Setting)]) -> Vec<(&'static str, Setting)> {
    let own = [("replication", text("sentinel")), ("service", text("mymaster"))];
    [&own[..], more].concat()
}

fn bench(servers: Vec<Server>) -> Bench {
    Bench::with(servers, &SENTINELS, &by_sentinel(&[]))
}

fn promote_2(state: &mut State) {
    state.server(2).promote();
    state.server(3).follows = Some(node(2));
}

/// The sentinels agree that 2 is primary now.
fn agree(state: &mut State) {
    for sentinel in SENTINELS {
        name(state, sentinel, 2, 2);
    }
}

fn name(state: &mut State, sentinel: usize, primary: usize, epoch: u64) {
    let service = &mut state.server(sentinel).services[0];
    (service.primary, service.epoch) = (node(primary), epoch);
}

#[test]
fn the_primary_is_found_through_any_sentinel() {
    for given in [&SENTINELS[..], &[5]] {
        let mut bench = Bench::with(watched(), given, &by_sentinel(&[]));
        assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
        assert_eq!(bench.network.server(1, |server| server.count("SET")), 1);
        assert!(bench.elapsed() < 0.005, "{}", bench.elapsed());
        let knowledge = bench.client.deployment().knowledge();
        let watched = knowledge.watched().expect("it was found through sentinels");
        assert_eq!(watched.service, "mymaster");
        assert!(given.iter().all(|sentinel| watched.sentinels.contains(&node(*sentinel))), "{watched:?}");
        assert_eq!(bench.events(), [""; 0]);
    }
}

#[test]
fn a_command_costs_no_question_to_a_sentinel() {
    let mut bench = bench(watched());
    bench.run("SET k v").unwrap();
    let asked = |bench: &Bench| -> usize {
        SENTINELS.iter().map(|index| bench.network.server(*index, |server| server.count("SENTINEL"))).sum()
    };
    let before = asked(&bench);
    for _ in 0..20 {
        bench.run("GET k").unwrap();
    }
    assert_eq!(asked(&bench), before);
}

#[test]
fn the_promotion_is_seen_before_the_sentinels_agree() {
    let mut bench = bench(watched());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    bench.network.after(2 * SECOND, agree);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!((1.0..1.03).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.events(), ["failover.started", "failover.completed"]);
}

#[test]
fn a_promoted_node_that_nobody_knew_is_found_when_the_sentinels_name_it() {
    let mut servers = watched();
    servers.push(Server::replica(&node(1)));
    let mut bench = bench(servers);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        state.kill(1);
        state.kill(2);
        state.kill(3);
    });
    bench.network.after(SECOND, |state| {
        state.server(7).promote();
        SENTINELS.iter().for_each(|sentinel| name(state, *sentinel, 7, 2));
    });
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!((1.0..1.05).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn the_failover_goes_on_though_the_sentinel_of_the_lost_machine_is_lost_with_it() {
    for cut in [false, true] {
        let mut bench = bench(watched());
        bench.run("SET k v").unwrap();
        bench.network.change(|state| {
            for index in [1, 4] {
                if cut { state.cut_off(index) } else { state.kill(index) }
            }
        });
        bench.network.after(SECOND, promote_2);
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
        assert!((1.0..1.05).contains(&bench.elapsed()), "cut {cut}: {}", bench.elapsed());
    }
}

#[test]
fn a_fresh_client_waits_for_no_silent_sentinel() {
    let mut bench = bench(watched());
    bench.network.change(|state| {
        state.cut_off(4);
        state.kill(5);
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.15, "{}", bench.elapsed());
    let mut quick = self::bench(watched());
    quick.network.change(|state| state.cut_off(4));
    assert_eq!(quick.run("SET k v"), Ok(Value::Okay));
    assert!(quick.elapsed() < 0.005, "with two of three: {}", quick.elapsed());
}

#[test]
fn a_stale_sentinel_does_not_lead_to_the_demoted_node_in_whatever_order_they_answer() {
    for stale in SENTINELS {
        for hides_info in [false, true] {
            let mut bench = bench(watched());
            bench.network.change(|state| {
                promote_2(state);
                agree(state);
                name(state, stale, 1, 1);
                (1..=3).for_each(|index| state.server(index).hides_info = hides_info);
                // The old primary is alone with that sentinel, and believes that it is primary.
                state.server(1).replicas = Vec::new();
            });
            assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
            let wrong = bench.network.server(1, |server| server.count("SET"));
            assert_eq!(wrong, 0, "stale {stale}, INFO hidden: {hides_info}");
        }
    }
}

#[test]
fn a_stale_sentinel_alone_is_not_believed_while_others_are_about_to_answer() {
    let mut bench = bench(watched());
    bench.network.change(|state| {
        promote_2(state);
        agree(state);
        name(state, 4, 1, 1);
        (1..=3).for_each(|index| state.server(index).hides_info = true);
        state.freeze(5, true);
        state.freeze(6, true);
    });
    bench.network.after(Duration::from_millis(50), |state| {
        state.freeze(5, false);
        state.freeze(6, false);
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.network.server(2, |server| server.count("SET")), 1);
}

#[test]
fn a_lying_sentinel_leads_nowhere() {
    let mut servers = watched();
    servers.push(Server::replica(&node(9)));
    let mut bench = bench(servers);
    bench.network.change(|state| {
        // It names a replica of somebody else, a closed port, and itself as its own replica.
        name(state, 4, 7, 9);
        state.server(4).services[0].replicas = vec![node(8), node(4)];
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert_eq!(bench.network.server(1, |server| server.count("SET")), 1);
    assert!(bench.elapsed() < 0.05, "{}", bench.elapsed());
}

#[test]
fn sentinels_that_were_learned_are_asked_when_the_configured_one_is_gone() {
    let mut bench = Bench::with(watched(), &[4], &by_sentinel(&[]));
    bench.run("SET k v").unwrap();
    bench.network.change(|state| {
        [1, 2, 3, 4].into_iter().for_each(|index| state.kill(index));
        state.server(2).promote();
    });
    bench.network.after(SECOND, |state| {
        agree(state);
        state.restart(2);
    });
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!(bench.network.dialed(5) > 0 && bench.network.dialed(6) > 0);
}

#[test]
fn other_sentinels_are_left_alone_if_the_user_says_so() {
    let options = by_sentinel(&[("update_sentinels", Setting::Bool(false))]);
    let mut bench = Bench::with(watched(), &[4], &options);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    bench.run("SET k w").unwrap();
    assert_eq!((bench.network.dialed(5), bench.network.dialed(6)), (0, 0));
}

#[test]
fn each_side_gets_its_own_password_and_never_the_other_ones() {
    let mut servers = watched();
    servers[..3].iter_mut().for_each(|server| server.password = Some("data".into()));
    servers[3..].iter_mut().for_each(|server| server.password = Some("eye".into()));
    let shared = Setting::Map(vec![("password".into(), text("data")), ("database".into(), Setting::Int(2))]);
    let uris = SENTINELS.map(|index| text(&format!("redis://:eye@{}", node(index))));
    let options = by_sentinel(&[("parameters", shared)]);
    let mut bench = Bench::at(servers, &Setting::List(uris.to_vec()), &options);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    for sentinel in SENTINELS {
        let heard = bench.network.server(sentinel, |server| server.heard.clone());
        assert!(!heard.iter().any(|words| words.contains("data") || words.starts_with("SELECT")), "{heard:?}");
    }
    let heard = bench.network.server(1, |server| server.heard.clone());
    assert!(!heard.iter().any(|words| words.contains("eye")), "{heard:?}");
    assert!(heard.iter().any(|words| words == "SELECT 2"), "{heard:?}");
}

#[test]
fn a_wrong_password_for_the_sentinels_is_told_at_once() {
    let mut servers = watched();
    servers[3..].iter_mut().for_each(|server| server.password = Some("eye".into()));
    let failure = bench(servers).run("GET k").unwrap_err();
    assert!(failure.kind == Kind::Connection && failure.elapsed < SECOND, "{failure:?}");
    assert!(failure.message.contains("a Sentinel would not let us in"), "{failure}");
}

#[test]
fn a_service_that_nobody_watches_is_told_at_once() {
    let options = [("replication", text("sentinel")), ("service", text("other"))];
    let mut bench = Bench::with(watched(), &SENTINELS, &options);
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::NotSupported, "{failure:?}");
    assert!(failure.message.contains("knows no service 'other'"), "{failure}");
    assert!(bench.elapsed() < 0.1, "{}", bench.elapsed());
}

#[test]
fn sentinels_out_of_reach_are_told_of_when_the_deadline_has_passed() {
    let options = by_sentinel(&[("command_timeout", Setting::Float(0.5))]);
    let mut bench = Bench::with(watched(), &SENTINELS, &options);
    bench.network.change(|state| SENTINELS.iter().for_each(|sentinel| state.kill(*sentinel)));
    let failure = bench.run("GET k").unwrap_err();
    assert!(failure.message.contains("no Sentinel tells where the primary is"), "{failure}");
    assert!((0.5..0.6).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn an_endpoint_that_turns_out_to_be_a_sentinel_is_asked_for_its_only_service() {
    let mut bench = Bench::with(watched(), &[4], &[("database", Setting::Int(2))]);
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.01, "{}", bench.elapsed());
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((1.0..1.05).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn of_several_services_one_must_be_named() {
    let mut servers = watched();
    for server in &mut servers[3..] {
        let mut second = server.services[0].clone();
        second.name = "sessions".into();
        server.services.push(second);
    }
    let mut bench = Bench::with(servers, &[4], &[]);
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::NotSupported, "{failure:?}");
    assert!(failure.message.contains("mymaster, sessions") && failure.message.contains("`service`"), "{failure}");
    assert!(bench.elapsed() < 0.1, "{}", bench.elapsed());
}

#[test]
fn an_endpoint_that_was_called_a_sentinel_and_is_a_node_serves_as_one() {
    let mut bench = Bench::with(replicated(), &[1], &by_sentinel(&[]));
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    assert!(bench.elapsed() < 0.2, "{}", bench.elapsed());
}

#[test]
fn sentinels_may_announce_names() {
    let mut servers = watched();
    for server in &mut servers[3..] {
        server.services[0].primary = NodeAddress::tcp("primary.example", 1);
        server.services[0].replicas = vec![NodeAddress::tcp("replica.example", 2)];
    }
    servers[0].replicas = Vec::new();
    let mut bench = bench(servers);
    bench.network.change(|state| {
        state.name("primary.example", &["10.0.0.1"]);
        state.name("replica.example", &["10.0.0.1"]);
    });
    assert_eq!(bench.run("SET k v"), Ok(Value::Okay));
    bench.network.change(|state| state.kill(1));
    bench.network.after(SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((1.0..1.06).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_planned_failover_costs_ten_connections_at_the_most() {
    let mut bench = bench(watched());
    bench.run("SET k v").unwrap();
    let dialed = |bench: &Bench| -> usize { (1..=6).map(|index| bench.network.dialed(index)).sum() };
    let before = dialed(&bench);
    bench.network.change(|state| {
        promote_2(state);
        state.server(1).follows = Some(node(2));
        agree(state);
    });
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert!(dialed(&bench) - before <= 10, "{} connections", dialed(&bench) - before);
    assert!(bench.elapsed() < 0.02, "{}", bench.elapsed());
}

#[test]
fn the_promotion_is_seen_at_once_by_users_without_info_though_machines_hang() {
    let mut servers = watched();
    servers[..3].iter_mut().for_each(|server| server.hides_info = true);
    let mut bench = bench(servers);
    bench.run("SET k v").unwrap();
    assert_eq!(bench.client.deployment().knowledge().replicas(), [node(2), node(3)], "the sentinels tell of them");
    bench.network.change(|state| {
        state.close_all(1);
        [1, 4, 5].into_iter().for_each(|index| state.cut_off(index));
    });
    bench.network.after(2 * SECOND, promote_2);
    assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    assert!((2.0..2.05).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_replica_that_stays_away_costs_the_sentinels_nothing() {
    let mut bench = bench(watched());
    bench.run("SET k v").unwrap();
    let dialed = |bench: &Bench| SENTINELS.map(|index| bench.network.dialed(index));
    let before = dialed(&bench);
    bench.network.change(|state| {
        state.kill(3);
        state.server(1).replicas = vec![node(2)];
    });
    for _ in 0..50 {
        bench.network.clock.advance(Duration::from_millis(60));
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
    }
    assert!(bench.network.dialed(3) > 1, "one looks around for it");
    assert_eq!(dialed(&bench), before);
}
