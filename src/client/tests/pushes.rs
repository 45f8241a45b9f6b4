//! Connections that bring pushes: commands run on them, and what was asked for is there again when they are replaced.

use std::time::Duration;

use super::*;
use crate::client::Kind;
use crate::client::subscription::Heard;
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::Limit;

const INVALIDATED: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

/// A bench whose client hears.
struct Ear {
    bench: Bench,
    client: Client,
    told: Vec<&'static str>,
}

impl Ear {
    fn of(bench: Bench) -> Ear {
        let client = bench.client.hearing();
        Ear { bench, client, told: Vec::new() }
    }

    /// One that tracks keys.
    fn tracking(bench: Bench) -> Ear {
        let mut ear = Ear::of(bench);
        assert_eq!(ear.run("CLIENT TRACKING ON BCAST"), "okay");
        ear
    }

    /// A reply in words, or the failure.
    fn run(&mut self, line: &str) -> String {
        match run_on(&mut self.client, &mut self.bench.desk, line) {
            Ok(value) => in_words(&value),
            Err(failure) => in_words_of(&failure),
        }
    }

    fn listen(&mut self) -> Result<String, Box<Failure>> {
        loop {
            match self.client.await_push(&mut self.bench.desk)? {
                Heard::Told => {
                    self.told.extend(std::iter::from_fn(|| self.client.next_event()).map(|event| event.name()));
                }
                Heard::Message => break,
                other => return Ok(format!("{other:?}")),
            }
        }
        let push = in_words(self.client.push().expect("a push that was heard"));
        self.client.push_taken();
        Ok(push)
    }

    /// The next push in words, or the failure.
    fn next(&mut self) -> String {
        self.listen().unwrap_or_else(|failure| in_words_of(&failure))
    }

    fn push_after(&self, delay: f64, index: usize) {
        self.bench.network.after(Duration::from_secs_f64(delay), move |state| state.say_unasked(index, INVALIDATED));
    }

    /// What a node has heard of these commands.
    fn heard(&self, index: usize, commands: &[&str]) -> Vec<String> {
        self.bench.network.server(index, |server| {
            let wanted = |line: &&String| commands.iter().any(|command| line.starts_with(command));
            server.heard.iter().filter(wanted).cloned().collect()
        })
    }

    fn fault(&self, index: usize, command: &str, fault: Fault) {
        let command = command.to_owned();
        self.bench.network.server(index, move |server| server.faults.push_back((command, fault)));
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(" "),
        Value::Okay => "okay".to_owned(),
        Value::Nil => "nil".to_owned(),
        other => format!("{other:?}"),
    }
}

fn in_words_of(failure: &Failure) -> String {
    format!("{:?}: {failure}", failure.kind)
}

#[test]
fn pushes_come_whenever_the_server_says_so_and_beside_the_replies() {
    let mut ear = Ear::tracking(Bench::of(replicated()));
    assert_eq!(ear.run("SET a 1"), "okay");
    ear.bench.network.change(|state| state.say_unasked(1, INVALIDATED));
    assert_eq!(ear.run("GET a"), "1");
    assert_eq!(ear.next(), "invalidate k");
    ear.push_after(3_600.0, 1);
    assert_eq!(ear.next(), "invalidate k");
    let pings = ear.heard(1, &["PING"]).len();
    assert!((180..=370).contains(&pings), "{pings} signs of life in an hour");
    assert_eq!(ear.told, Vec::<&str>::new());
}

#[test]
fn nothing_of_it_comes_into_the_pool() {
    let options = [("protocol", Setting::Int(3))];
    let mut ear = Ear::tracking(Bench::with(replicated(), &[1], &options));
    assert_eq!(ear.bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(ear.bench.network.dialed(1), 2, "two connections");
    ear.client.stop_hearing(&mut ear.bench.desk);
    ear.bench.network.change(|state| state.say_unasked(1, INVALIDATED));
    assert_eq!(ear.bench.run("INCR n"), Ok(Value::Int(2)));
    assert_eq!(ear.run("GET n"), "2");
    assert_eq!(ear.heard(1, &["CLIENT TRACKING"]).len(), 1, "what was stopped is not said again");
}

#[test]
fn a_subscription_is_answered_by_its_first_confirmation_and_the_others_come() {
    let mut ear = Ear::of(Bench::of(replicated()));
    assert_eq!(ear.run("SUBSCRIBE a b"), "subscribe a 1");
    ear.bench.network.change(|state| state.publish(1, "b", "x"));
    assert_eq!(ear.run("UNSUBSCRIBE a"), "unsubscribe a 1");
    assert_eq!([ear.next(), ear.next()], ["subscribe b 2", "message b x"]);
    assert_eq!(ear.run("PSUBSCRIBE"), "psubscribe nil 0");
}

#[test]
fn a_subscription_that_is_refused_leaves_the_connection_as_it_was() {
    let mut ear = Ear::of(Bench::of(replicated()));
    assert_eq!(ear.run("SUBSCRIBE news"), "subscribe news 1");
    ear.fault(1, "SUBSCRIBE", Fault::Say(b"-NOPERM no access to the channel\r\n".to_vec()));
    let refused = ear.run("SUBSCRIBE secret");
    assert!(refused.starts_with("Server(\"NOPERM\")"), "{refused}");
    ear.bench.network.change(|state| state.publish(1, "news", "still"));
    assert_eq!(ear.next(), "message news still");
    let wrong = Fault::Say(b"-WRONGTYPE Operation against a key\r\n".to_vec());
    ear.fault(1, "GET", wrong);
    assert!(ear.run("GET k").starts_with("Server(\"WRONGTYPE\")"));
    assert_eq!(ear.bench.network.dialed(1), 1);
}

#[test]
fn a_promoted_node_is_asked_for_everything_again_and_all_copies_are_void() {
    let mut ear = Ear::tracking(Bench::of(replicated()));
    ear.run("SUBSCRIBE news sports");
    assert_eq!(ear.next(), "subscribe sports 2");
    ear.bench.network.after(Duration::from_secs(4), |state| state.kill(1));
    ear.bench.network.after(Duration::from_secs(6), |state| state.server(2).promote());
    ear.bench.network.after(Duration::from_secs(9), |state| state.publish(2, "news", "after"));
    assert_eq!(ear.next(), "invalidate nil", "what was pushed meanwhile is lost: everything may have changed");
    assert!(ear.bench.elapsed() < 7.0, "{}", ear.bench.elapsed());
    assert_eq!(ear.told, ["failover.started", "failover.completed", "pubsub.resubscribed"]);
    assert_eq!(ear.next(), "message news after");
    let said = ear.heard(2, &["CLIENT TRACKING", "SUBSCRIBE"]);
    assert_eq!(said, ["CLIENT TRACKING ON BCAST", "SUBSCRIBE news sports"]);
}

#[test]
fn without_tracking_there_are_no_copies_to_be_void() {
    let mut ear = Ear::of(Bench::of(vec![Server::primary(&[])]));
    ear.run("SUBSCRIBE news");
    ear.bench.network.change(|state| state.close_all(1));
    ear.bench.network.after(Duration::from_secs(2), |state| state.publish(1, "news", "after"));
    assert_eq!(ear.next(), "message news after");
    assert!(ear.told.contains(&"pubsub.resubscribed"), "{:?}", ear.told);
}

#[test]
fn a_command_that_finds_the_connection_gone_runs_on_the_next_one_where_that_is_safe() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    ear.run("SET k v");
    ear.fault(1, "GET", Fault::CloseBefore);
    assert_eq!(ear.run("GET k"), "v");
    assert_eq!(ear.next(), "invalidate nil");
    ear.fault(1, "INCR", Fault::CloseAfter);
    let failure = ear.run("INCR n");
    assert!(failure.contains("it may have been applied"), "{failure}");
    assert_eq!(ear.bench.network.server(1, |server| server.count("INCR")), 1);
    assert_eq!(ear.next(), "invalidate nil");
    ear.fault(1, "SUBSCRIBE", Fault::CloseAfter);
    assert_eq!(ear.run("SUBSCRIBE c"), "subscribe c 1");
    assert_eq!(ear.heard(1, &["CLIENT TRACKING"]).len(), 4, "said once, and again for each of three connections");
}

#[test]
fn what_cannot_be_had_on_such_a_connection_is_refused_before_anything_is_sent() {
    let mut ear = Ear::tracking(Bench::of(replicated()));
    for line in ["MULTI", "WATCH k", "MONITOR", "HELLO 2", "RESET", "CLIENT REPLY OFF"] {
        let failure = ear.run(line);
        assert!(failure.starts_with("Client: "), "{line}: {failure}");
    }
    let failure = ear.client.run_batch(&mut ear.bench.desk, &batch_of("SET a 1;SET b 2"), &mut Answers::default());
    assert_eq!(failure.unwrap_err().kind, Kind::Client);
    assert_eq!(ear.heard(1, &["MULTI", "WATCH", "MONITOR", "SET", "RESET", "CLIENT REPLY"]), Vec::<String>::new());
    assert!(ear.bench.run("SUBSCRIBE c").is_err(), "a client that hears nothing is not changed by it");
}

#[test]
fn the_database_that_was_selected_is_selected_again() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    assert_eq!(ear.run("SELECT 3"), "okay");
    ear.bench.network.change(|state| state.close_all(1));
    assert_eq!(ear.next(), "invalidate nil");
    assert_eq!(ear.bench.network.server(1, |server| server.selected.clone()), ["3", "3"]);
    ear.client.disconnect(&mut ear.bench.desk);
    assert_eq!(ear.next(), "invalidate nil", "a connection that the program itself closed leaves a gap, too");
    assert_eq!(ear.bench.network.server(1, |server| server.selected.len()), 2);
}

#[test]
fn a_server_that_refuses_what_was_there_before_is_the_programs_failure_and_asked_again() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    ear.fault(1, "CLIENT", Fault::Say(b"-ERR never mind, this is SETINFO\r\n".to_vec()));
    ear.fault(1, "CLIENT", Fault::Say(b"-ERR never mind, this is SETINFO\r\n".to_vec()));
    ear.fault(1, "CLIENT", Fault::Say(b"-NOPERM this user may not track\r\n".to_vec()));
    ear.bench.network.change(|state| state.close_all(1));
    let failure = ear.next();
    assert!(failure.starts_with("Server(\"NOPERM\")"), "{failure}");
    assert_eq!(ear.next(), "invalidate nil");
    ear.push_after(1.0, 1);
    assert_eq!(ear.next(), "invalidate k");
}

#[test]
fn without_a_primary_the_wait_ends_with_the_deadline_and_the_next_one_goes_on() {
    let options = [("command_timeout", Setting::Float(2.0))];
    let mut ear = Ear::tracking(Bench::with(replicated(), &[1], &options));
    ear.bench.network.change(|state| (1..=3).for_each(|index| state.kill(index)));
    let failure = ear.listen().unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure}");
    ear.bench.network.change(|state| state.restart(1));
    assert_eq!(ear.next(), "invalidate nil");
}

#[test]
fn a_server_that_closes_every_connection_at_once_gets_no_storm_of_them() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    ear.run("SUBSCRIBE c");
    for _ in 0..1000 {
        ear.fault(1, "SUBSCRIBE", Fault::CloseAfter);
    }
    ear.bench.network.change(|state| state.close_all(1));
    let failure = ear.listen().unwrap_err();
    assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure}");
    let dialed = ear.bench.network.dialed(1);
    assert!(dialed < 120, "{dialed} connections in one deadline");
}

#[test]
fn a_connection_that_was_forgotten_on_the_way_is_replaced() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    ear.fault(1, "PING", Fault::Silence);
    assert_eq!(ear.next(), "invalidate nil");
    assert!((10.0..16.0).contains(&ear.bench.elapsed()), "{}", ear.bench.elapsed());
}

#[test]
fn a_program_that_never_looks_does_not_make_the_process_grow() {
    let options = [("max_reply_size", Setting::Int(100_000))];
    let mut ear = Ear::tracking(Bench::with(vec![Server::primary(&[])], &[1], &options));
    ear.run("SET k v");
    for _ in 0..100 {
        ear.bench.network.change(|state| (0..20).for_each(|_| state.say_unasked(1, INVALIDATED)));
        assert_eq!(ear.run("GET k"), "v");
    }
    let mut seen = 0;
    while ear.next() == "invalidate k" {
        seen += 1;
    }
    assert!((1000..2000).contains(&seen), "{seen} were kept, and then everything was void");
}

#[test]
fn php_is_let_in_while_nothing_comes() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    ear.bench.network.after(Duration::from_secs(3), |_| INTERRUPTED.set(true));
    assert_eq!(ear.next(), "Interrupted");
    INTERRUPTED.set(false);
    assert!(ear.bench.elapsed() < 3.3, "{}", ear.bench.elapsed());
    ear.push_after(1.0, 1);
    assert_eq!(ear.next(), "invalidate k");
}

#[test]
fn the_budget_of_the_request_ends_the_wait() {
    let options = [("request_budget", Setting::Float(5.0))];
    let mut ear = Ear::tracking(Bench::with(vec![Server::primary(&[])], &[1], &options));
    for _ in 0..2 {
        let failure = ear.listen().unwrap_err();
        assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget), "{failure}");
    }
    assert!((3.9..4.2).contains(&ear.bench.elapsed()), "{}", ear.bench.elapsed());
}

#[test]
fn a_child_of_a_fork_has_a_connection_of_its_own_and_no_copies() {
    let mut ear = Ear::tracking(Bench::of(vec![Server::primary(&[])]));
    crate::connection::forked();
    assert_eq!(ear.next(), "invalidate nil");
    assert_eq!(ear.bench.network.dialed(1), 2);
}

#[test]
fn a_server_without_pushes_is_named_as_too_old() {
    let mut ear = Ear::of(Bench::of(vec![Server { is_old: true, ..Server::primary(&[]) }]));
    let failure = ear.run("CLIENT TRACKING ON");
    assert!(failure.starts_with("NotSupported: ") && failure.contains("Redis 6"), "{failure}");
}
