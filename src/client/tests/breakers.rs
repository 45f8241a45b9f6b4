//! P11: down means fast.

use std::time::Duration;

use redis::Value;

use super::sharing::workers;
use super::*;
use crate::client::Kind;
use crate::connection::scripted::{Fault, State};
use crate::telemetry::Detail;

const MILLI: Duration = Duration::from_millis(1);

fn kill_all(state: &mut State) {
    [1, 2, 3].into_iter().for_each(|index| state.kill(index));
}

fn down() -> Bench {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(kill_all);
    assert_eq!(bench.run("SET k w").unwrap_err().kind, Kind::CircuitOpen);
    bench
}

/// Runs commands every 5 ms until one does not fail at once, at most for so long. How long that took, and the longest
/// time that one of the others took.
fn knock(bench: &mut Bench, most: Duration) -> (Option<f64>, f64) {
    let started = bench.elapsed();
    let mut longest = 0.0_f64;
    while bench.elapsed() - started < most.as_secs_f64() {
        let before = bench.elapsed();
        // Somebody may look at the deployment in between.
        bench.client.heed();
        match bench.run("GET k") {
            Ok(_) => return (Some(bench.elapsed() - started), longest),
            Err(failure) => assert_eq!(failure.kind, Kind::CircuitOpen, "{failure}"),
        }
        longest = longest.max(bench.elapsed() - before);
        bench.network.clock.advance(5 * MILLI);
    }
    (None, longest)
}

fn dialed(bench: &Bench) -> usize {
    [1, 2, 3].map(|index| bench.network.dialed(index)).iter().sum()
}

#[test]
fn when_nobody_has_succeeded_for_long_commands_fail_at_once() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.change(kill_all);
    let failure = bench.run("SET k w").unwrap_err();
    assert_eq!(failure.kind, Kind::CircuitOpen, "{failure}");
    // Jitter decides when the search looks at the clock again.
    assert!((5.0..5.6).contains(&bench.elapsed()), "{}", bench.elapsed());
    assert_eq!(bench.events(), ["breaker.opened", "failover.started", "failover.failed"]);
    let (opened, dials) = (bench.elapsed(), dialed(&bench));
    for _ in 0..100 {
        let failure = bench.run("INCR n").unwrap_err();
        assert_eq!(failure.kind, Kind::CircuitOpen);
        assert!(failure.message.contains("it was not applied"), "{failure}");
        assert_eq!(failure.phase.map(|phase| phase.as_str()), Some("lease"));
    }
    assert!(bench.elapsed() - opened < 0.002, "{}", bench.elapsed() - opened);
    assert_eq!(dialed(&bench), dials);
    assert_eq!(bench.events(), [""; 0]);
}

#[test]
fn while_it_is_open_one_probes_now_and_then_at_little_cost() {
    let mut bench = down();
    let dials = dialed(&bench);
    let (answered, longest) = knock(&mut bench, Duration::from_secs(10));
    assert_eq!(answered, None);
    assert!(longest < 0.002, "{longest}");
    let rounds = (dialed(&bench) - dials) / 3;
    assert!((10..40).contains(&rounds), "{rounds} probes in 10 s");
}

#[test]
fn the_first_success_closes_it_for_all() {
    let [mut one, mut other] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    other.run("SET k v").unwrap();
    one.network.change(kill_all);
    assert_eq!(one.run("SET k w").unwrap_err().kind, Kind::CircuitOpen);
    let opened = one.elapsed();
    assert_eq!(other.run("SET k w").unwrap_err().kind, Kind::CircuitOpen, "who never waited himself fails fast, too");
    assert!(other.elapsed() - opened < 0.002);
    one.events();
    one.network.change(|state| state.restart(1));
    let (answered, longest) = knock(&mut one, Duration::from_secs(2));
    assert!(answered.is_some_and(|after| after < 1.0), "{answered:?}");
    assert!(longest < 0.002, "{longest}");
    let mut closed = std::iter::from_fn(|| one.client.next_event()).filter(|event| event.name() == "breaker.closed");
    let closed = closed.next().expect("an event");
    assert_eq!(closed.detail("node"), Some(&Detail::Text(node(1).to_string())));
    assert_eq!(other.run("GET k"), Ok(Value::BulkString("v".into())));
    assert_eq!((one.client.breaker(), other.client.breaker()), ("closed", "closed"));
}

#[test]
fn a_probe_at_a_node_that_hangs_is_looked_at_by_later_commands_and_holds_up_none() {
    let mut bench = Bench::with(replicated(), &[1], &[("read_write_timeout", Setting::Float(0.5))]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| (1..=3).for_each(|index| state.freeze(index, true)));
    let mut failure = bench.run("GET k").unwrap_err();
    for _ in 0..20 {
        if failure.kind == Kind::CircuitOpen {
            break;
        }
        failure = bench.run("GET k").unwrap_err();
    }
    assert_eq!(failure.kind, Kind::CircuitOpen, "{failure}");
    // The next one may come long after a probe was due, and that looks like rare requests.
    bench.run("GET k").unwrap_err();
    let (answered, longest) = knock(&mut bench, Duration::from_secs(3));
    assert_eq!(answered, None);
    assert!(longest < 0.002, "{longest}");
    bench.network.change(|state| (1..=3).for_each(|index| state.freeze(index, false)));
    let (answered, longest) = knock(&mut bench, Duration::from_secs(2));
    assert!(answered.is_some_and(|after| after < 1.0), "{answered:?}");
    assert!(longest < 0.002, "{longest}");
}

#[test]
fn a_worker_that_begins_a_probe_and_gets_no_more_requests_does_not_keep_the_others_from_it() {
    let [mut one, mut other] = workers(replicated(), &[1], &[]);
    one.run("SET k v").unwrap();
    one.network.change(kill_all);
    one.run("SET k w").unwrap_err();
    one.network.change(|state| (1..=3).for_each(|index| state.freeze(index, true)));
    one.network.change(|state| (1..=3).for_each(|index| state.restart(index)));
    one.network.clock.advance(700 * MILLI);
    one.run("GET k").unwrap_err();
    one.network.change(|state| (1..=3).for_each(|index| state.freeze(index, false)));
    let (answered, _) = knock(&mut other, Duration::from_secs(2));
    assert!(answered.is_some_and(|after| after < 1.0), "{answered:?}");
}

#[test]
fn one_caller_with_a_short_deadline_opens_nothing() {
    let mut bench = Bench::with(replicated(), &[1], &[("command_timeout", Setting::Float(0.2))]);
    bench.run("SET k v").unwrap();
    bench.network.change(kill_all);
    for _ in 0..3 {
        let failure = bench.run("SET k w").unwrap_err();
        assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure}");
        bench.network.clock.advance(Duration::from_secs(60));
    }
    // But many of them in a row are an outage.
    let failures: Vec<Kind> = (0..30).map(|_| bench.run("SET k w").unwrap_err().kind).collect();
    assert_eq!(failures.last(), Some(&Kind::CircuitOpen));
}

#[test]
fn a_worker_that_still_succeeds_keeps_it_closed() {
    let options = [("breaker_after", Setting::Float(1.0)), ("command_timeout", Setting::Float(0.6))];
    let [mut one, mut other] = workers(replicated(), &[1], &options);
    one.run("SET k v").unwrap();
    other.run("SET k v").unwrap();
    // Nobody is let in any more, but who is in stays.
    one.network.change(|state| {
        (1..=3).for_each(|index| state.refuse(index));
    });
    one.client.disconnect(&mut one.desk);
    one.world.registry.forget_node(&node(1));
    for _ in 0..3 {
        let failure = one.run("SET k w").unwrap_err();
        assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure}");
        assert_eq!(one.client.breaker(), "troubled");
        assert_eq!(other.run("SET k x"), Ok(Value::Okay));
        assert_eq!(one.client.breaker(), "closed");
    }
    one.run("SET k w").unwrap_err();
    assert_eq!(one.run("SET k w").unwrap_err().kind, Kind::CircuitOpen, "without that success it opens");
}

#[test]
fn a_server_that_speaks_is_not_down() {
    let states: [fn(&mut Server); 2] = [
        |server| server.password = Some("changed".into()),
        |server| server.state = Some("LOADING Redis is loading the dataset in memory".into()),
    ];
    for change in states {
        let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &[("command_timeout", Setting::Float(2.0))]);
        bench.run("SET k v").unwrap();
        bench.network.change(|state| {
            change(state.server(1));
            state.close_all(1);
        });
        for _ in 0..6 {
            let failure = bench.run("SET k w").unwrap_err();
            assert_ne!(failure.kind, Kind::CircuitOpen, "{failure}");
            bench.network.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(bench.client.breaker(), "closed");
    }
}

#[test]
fn a_caller_may_wait_for_the_probe_or_do_without_a_breaker() {
    let brief = ("breaker_after", Setting::Float(1.0));
    for options in [&[brief, ("when_open", Setting::Text("wait".into()))][..], &[("breaker_after", Setting::Int(0))]] {
        let mut bench = Bench::with(replicated(), &[1], options);
        bench.run("SET k v").unwrap();
        bench.network.change(kill_all);
        bench.network.after(Duration::from_secs(3), |state| state.restart(1));
        assert_eq!(bench.run("SET k w"), Ok(Value::Okay));
        assert!((3.0..3.5).contains(&bench.elapsed()), "{}", bench.elapsed());
    }
}

#[test]
fn a_pinned_connection_that_works_is_not_stopped() {
    let [mut one, mut pinned] = workers(replicated(), &[1], &[]);
    pinned.run("WATCH k").unwrap();
    one.network.change(|state| {
        (1..=3).for_each(|index| state.refuse(index));
    });
    assert_eq!(one.run("SET k w").unwrap_err().kind, Kind::CircuitOpen);
    assert_eq!(pinned.run("GET k"), Ok(Value::Nil));
    pinned.run("MULTI").unwrap();
    assert!(pinned.run("EXEC").is_ok());
}

#[test]
fn what_may_have_been_applied_stays_unknown_when_it_opens() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    bench.network.change(|state| (1..=3).for_each(|index| state.refuse(index)));
    let failure = bench.run("SET k w").unwrap_err();
    assert!(failure.is_outcome_unknown(), "{failure}");
    assert!(bench.elapsed() < 5.5, "{}", bench.elapsed());
    assert_eq!(bench.client.breaker(), "open");
}

/// Runs one command after every `pause`, at most so many. How many it took until one succeeded.
fn visits(bench: &mut Bench, pause: Duration, most: usize) -> Option<usize> {
    (1..=most).find(|_| {
        bench.network.clock.advance(pause);
        let result = bench.run("GET k");
        if let Err(failure) = &result {
            assert_eq!(failure.kind, Kind::CircuitOpen, "{failure}");
        }
        result.is_ok()
    })
}

/// All is up again, and answers after so many milliseconds.
fn up_again(latency: u32) -> Bench {
    let bench = down();
    bench.network.change(|state| {
        state.latency = latency * MILLI;
        (1..=3).for_each(|index| state.restart(index));
    });
    bench
}

#[test]
fn requests_too_rare_to_look_at_a_probe_twice_find_the_way_back() {
    for (latency, seconds) in [(1, 1), (20, 1), (50, 1), (20, 10), (150, 10)] {
        let mut bench = up_again(latency);
        let visits = visits(&mut bench, Duration::from_secs(seconds), 20);
        assert!(visits.is_some_and(|visits| visits <= 2), "after {latency} ms, every {seconds} s: {visits:?}");
    }
}

#[test]
fn a_node_that_is_far_away_is_found_by_a_patient_probe() {
    for pause in [5, 50, 1_000, 5_000] {
        let visits = visits(&mut up_again(600), pause * MILLI, 2_000);
        assert!(visits.is_some_and(|visits| visits <= if pause < 1_000 { 1_000 } else { 5 }), "{pause} ms: {visits:?}");
    }
}

#[test]
fn rare_requests_wait_for_a_node_that_hangs_a_small_part_of_the_time_between_them() {
    let mut bench = down();
    bench.network.change(|state| (1..=3).for_each(|index| state.freeze(index, true)));
    bench.network.change(|state| (1..=3).for_each(|index| state.restart(index)));
    let started = bench.elapsed();
    assert_eq!(visits(&mut bench, Duration::from_secs(1), 40), None);
    let waited = bench.elapsed() - started - 40.0;
    assert!((1.0..20.0).contains(&waited), "{waited} s in all");
}

#[test]
fn a_replica_that_answers_reads_does_not_speak_for_the_primary() {
    let options = [("read_from", Setting::Text("replica".into())), ("command_timeout", Setting::Float(0.5))];
    let mut bench = Bench::with(replicated(), &[1], &options);
    bench.run("SET k v").unwrap();
    bench.run("GET k").unwrap();
    bench.network.change(|state| state.kill(1));
    assert!(bench.run("SET k w").is_err());
    assert_eq!(bench.client.breaker(), "troubled");
    bench.run("GET k").unwrap();
    assert_eq!(bench.client.breaker(), "troubled");
}
