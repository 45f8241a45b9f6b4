//! P5: every wait has an end.

use std::time::Duration;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::Limit;

fn limited(command_timeout: f64, read_write_timeout: f64) -> [(&'static str, Setting); 2] {
    [("command_timeout", Setting::Float(command_timeout)), ("read_write_timeout", Setting::Float(read_write_timeout))]
}

#[test]
fn where_nobody_listens_the_deadline_is_kept_and_the_obstacle_named() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(2.0, 3.0));
    bench.network.change(|state| state.kill(1));
    let failure = bench.run("INCR k").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout));
    assert!(failure.message.contains("refused"), "{failure}");
    assert!(failure.message.contains(" [tcp://"), "the scheme stands in front of the address: {failure}");
    assert!((2.0..2.01).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_server_that_accepts_and_says_nothing_costs_no_more_than_the_deadline() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(1.5, 3.0));
    bench.network.change(|state| state.freeze(1, true));
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert!((1.5..1.51).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn the_reply_of_one_attempt_is_bounded_by_read_write_timeout() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(10.0, 0.8));
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Silence)));
    let failure = bench.run("INCR k").unwrap_err();
    assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::ReadWriteTimeout), "{failure:?}");
    assert!((0.8..0.81).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn retries_end_with_the_deadline_not_with_a_count() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(2.0, 0.5));
    for _ in 0..10 {
        bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::Silence)));
    }
    let failure = bench.run("GET k").unwrap_err();
    assert!(matches!(failure.kind, Kind::Timeout(_)), "a read that times out is not in doubt: {failure:?}");
    assert!(failure.attempts >= 3, "{failure:?}");
    assert!((2.0..2.01).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_write_in_doubt_stays_in_doubt_when_the_deadline_passes_during_the_search() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(1.0, 3.0));
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    bench.network.after(Duration::from_micros(50), |state| state.kill(1));
    let failure = bench.run("SET k w").unwrap_err();
    assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::CommandTimeout), "{failure:?}");
}

#[test]
fn a_blocking_command_may_take_its_own_time_beyond_the_limits() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(1.0, 0.5));
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_secs(4), |state| state.freeze(1, false));
    assert!(bench.run("BLPOP list 4").is_ok());
}

#[test]
fn a_blocked_pop_without_an_end_leaves_a_dead_node_for_the_promoted_one() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.cut_off(1));
    bench.network.after(Duration::from_secs(1), |state| state.server(2).promote());
    let failure = bench.run("BLPOP list 0").unwrap_err();
    assert!(failure.is_outcome_unknown(), "an element may have been taken: {failure:?}");
    assert!(bench.elapsed() < 6.5, "{}", bench.elapsed());
}

#[test]
fn a_reply_that_trickles_does_not_outlive_its_limit() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(10.0, 1.0));
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::Say(b"$100\r\n".to_vec()))));
    for tick in 1..100 {
        bench.network.after(Duration::from_millis(100 * tick), |state| state.say_unasked(1, b"x"));
    }
    // The second attempt gets a whole reply; the first was given up after a second.
    let _ = bench.run("GET k");
    assert!(bench.elapsed() < 2.5, "{}", bench.elapsed());
}

#[test]
fn a_connection_that_a_more_patient_client_opened_does_not_stretch_a_short_limit() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    let options = [("read_write_timeout", Setting::Float(0.1)), ("retry", Setting::Bool(false))];
    let mut hasty = client_in(&bench.world, &Setting::Text("tcp://10.0.0.1:1".into()), &options);
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::Silence)));
    let failure = run_on(&mut hasty, &mut bench.desk, "GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::ReadWriteTimeout), "{failure:?}");
    assert!((0.1..0.11).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn a_pop_without_an_end_still_ends_when_nobody_can_be_reached() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(1.0, 3.0));
    bench.network.change(|state| state.kill(1));
    let failure = bench.run("BLPOP list 0").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure:?}");
    assert!((1.0..1.01).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn a_pop_without_an_end_ends_when_its_node_is_gone_without_a_word() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.cut_off(1));
    let failure = bench.run("BLPOP list 0").unwrap_err();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    assert!(bench.elapsed() < 15.0, "{}", bench.elapsed());
}

#[test]
fn short_limits_and_trickles_do_not_open_connections() {
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &limited(0.2, 0.2));
    for _ in 0..50 {
        bench.run("SET k v").unwrap();
    }
    assert_eq!(bench.network.dialed(1), 1);
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::Say(b"$20\r\n".to_vec()))));
    for tick in 1..=22 {
        bench.network.after(Duration::from_millis(100 * tick), move |state| {
            state.say_unasked(
                1,
                if tick <= 20 {
                    b"x"
                } else if tick == 21 {
                    b"\r"
                } else {
                    b"\n"
                },
            );
        });
    }
    assert!(bench.run("GET k").is_ok());
    assert_eq!(bench.network.dialed(1), 1, "bytes that come are a sign of life");
}
