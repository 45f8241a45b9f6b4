//! `request_budget`: what all commands of a request may take together.

use std::time::Duration;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::{Limit, Phase};

/// A client whose request may spend that much.
fn allowed(seconds: f64) -> Bench {
    Bench::with(vec![Server::primary(&[])], &[1], &[("request_budget", Setting::Float(seconds))])
}

/// Lets a command wait for that long before it is answered.
fn wait(bench: &mut Bench, millis: u64) {
    bench.network.server(1, |server| server.state = Some("LOADING Redis is loading".into()));
    bench.network.after(Duration::from_millis(millis), |state| state.server(1).state = None);
    bench.run("SET k v").unwrap();
}

#[test]
fn the_waits_of_all_commands_count_together_and_the_one_that_exceeds_it_ends() {
    let mut bench = allowed(2.5);
    wait(&mut bench, 900);
    bench.network.server(1, |server| server.state = Some("LOADING Redis is loading".into()));
    let before = bench.elapsed();
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget), "{failure:?}");
    assert!(failure.message.starts_with("request_budget ran out; the last obstacle: LOADING"), "{failure}");
    assert!((1.995..2.1).contains(&bench.elapsed()), "2.5 s without its reserve: {before} {}", bench.elapsed());
}

#[test]
fn when_it_is_used_up_nothing_is_sent_any_more_and_nothing_waits() {
    let mut bench = allowed(1.0);
    bench.network.change(|state| state.freeze(1, true));
    assert_eq!(bench.run("INCR n").unwrap_err().kind, Kind::Timeout(Limit::RequestBudget));
    bench.network.change(|state| state.freeze(1, false));
    let (dialed, before) = (bench.network.dialed(1), bench.elapsed());
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!((&failure.kind, failure.phase), (&Kind::Timeout(Limit::RequestBudget), Some(Phase::Lease)));
    assert_eq!(failure.message, "request_budget ran out (INCR: it was not applied, phase lease, 0 attempts, 0.000 s)");
    let failure = bench.client.connect(&mut bench.desk).unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget));
    let (seen, failure) = bench.run_batch("SET a 1; GET a");
    assert_eq!((seen, failure.map(|failure| failure.kind)), (vec![], Some(Kind::Timeout(Limit::RequestBudget))));
    assert_eq!((bench.network.dialed(1), bench.elapsed()), (dialed, before));
    assert_eq!(bench.network.server(1, |server| server.executed.len()), 0);
    bench.desk.budget.reset();
    assert!(bench.run("INCR n").is_ok(), "the next request has a budget of its own");
}

#[test]
fn a_reply_that_is_awaited_when_it_runs_out_is_in_doubt() {
    let mut bench = allowed(1.0);
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), Fault::Silence)));
    let failure = bench.run("INCR n").unwrap_err();
    assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::RequestBudget), "{failure:?}");
    assert!((0.79..0.81).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn what_a_command_blocks_by_its_own_will_counts_too() {
    for command in ["BLPOP list 0", "BLPOP list 7"] {
        let mut bench = allowed(1.0);
        bench.run("SET k v").unwrap();
        bench.network.server(1, |server| server.faults.push_back(("BLPOP".into(), Fault::Silence)));
        let failure = bench.run(command).unwrap_err();
        assert_eq!(failure.kind, Kind::ReplyTimeout(Limit::RequestBudget), "{failure:?}");
        assert!((0.79..0.81).contains(&bench.elapsed()), "{}", bench.elapsed());
    }
}

#[test]
fn the_reserve_is_open_at_the_end_of_the_request_only() {
    let mut bench = allowed(1.0);
    bench.network.change(|state| state.freeze(1, true));
    assert!(bench.run("SET session x").is_err());
    ENDING.set(true);
    let before = bench.elapsed();
    let failure = bench.run("SET session x").unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget));
    assert!((0.19..0.21).contains(&(bench.elapsed() - before)), "{}", bench.elapsed() - before);
    assert_eq!(bench.run("SET session x").unwrap_err().attempts, 0);
    ENDING.set(false);
}

#[test]
fn clients_of_one_request_share_what_is_spent_and_each_has_its_own_limit() {
    let mut bench = allowed(1.0);
    let options = [("request_budget", Setting::Float(10.0))];
    let mut rich = client_in(&bench.world, &Setting::Text("tcp://10.0.0.1:1".into()), &options);
    bench.network.change(|state| state.freeze(1, true));
    bench.network.after(Duration::from_secs(2), |state| state.freeze(1, false));
    assert!(run_on(&mut rich, &mut bench.desk, "SET k v").is_ok());
    assert_eq!(bench.run("SET k v").unwrap_err().attempts, 0, "two seconds are more than its one");
    assert!(run_on(&mut rich, &mut bench.desk, "SET k v").is_ok());
}

#[test]
fn the_nearer_of_both_limits_ends_a_command() {
    let options = [("request_budget", Setting::Float(10.0)), ("command_timeout", Setting::Float(0.5))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.network.change(|state| state.kill(1));
    assert_eq!(bench.run("INCR n").unwrap_err().kind, Kind::Timeout(Limit::CommandTimeout));
    assert!((0.5..0.51).contains(&bench.elapsed()), "{}", bench.elapsed());
}
