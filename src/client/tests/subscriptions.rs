//! Connections that listen: what comes, how long one waits, and what happens when the server goes away.

use std::time::Duration;

use super::*;
use crate::client::Kind;
use crate::client::subscription::{Heard, Sort, Subscription, Verb, Wording};
use crate::config::Setting;
use crate::connection::scripted::Fault;
use crate::failover::Limit;
use crate::telemetry::Detail;

const SUBSCRIBE: Verb = Verb::Subscribe(Sort::Channels);

impl Wording for ValueSink {
    fn text(&self, place: usize) -> Option<&[u8]> {
        match self.done()?.as_sequence()?.get(place)? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }
    fn line(&self) -> Option<&[u8]> {
        match self.done()? {
            Value::BulkString(bytes) => Some(bytes),
            Value::SimpleString(text) => Some(text.as_bytes()),
            Value::Okay => Some(b"OK"),
            _ => None,
        }
    }
}

/// A bench with a subscription.
struct Listener {
    bench: Bench,
    subscription: Subscription,
}

impl Listener {
    fn of(bench: Bench) -> Listener {
        let subscription = Subscription::of(&bench.client);
        Listener { bench, subscription }
    }

    fn subscribed(bench: Bench, channels: &[&str]) -> Listener {
        let mut listener = Listener::of(bench);
        listener.ask(SUBSCRIBE, channels).unwrap();
        for channel in channels {
            let heard = listener.next();
            assert!(heard.starts_with(&format!("subscribe {channel} ")), "{heard}");
        }
        listener
    }

    fn ask(&mut self, verb: Verb, words: &[&str]) -> Result<(), Box<Failure>> {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.subscription.ask(&mut self.bench.desk, verb, words)
    }

    /// The next message, or how the wait for it ended, when all events that came meanwhile have been handed over.
    fn listen(&mut self) -> Result<String, Box<Failure>> {
        loop {
            let mut sink = ValueSink::default();
            match (self.subscription.listen(&mut self.bench.desk, &mut sink)?, sink.take()) {
                (Heard::Message, Some(value)) => return Ok(in_words(&value)),
                (Heard::Told, None) => self.subscription.hand_events_to(&mut self.bench.client),
                (other, value) => return Ok(format!("{other:?} {value:?}")),
            }
        }
    }

    /// The next message in words, or how the wait for it ended.
    fn next(&mut self) -> String {
        self.listen().unwrap_or_else(|failure| format!("{:?}: {failure}", failure.kind))
    }

    fn publish_after(&self, delay: f64, index: usize, payload: &'static str) {
        self.bench.network.after(Duration::from_secs_f64(delay), move |state| state.publish(index, "news", payload));
    }

    fn events(&mut self) -> Vec<Event> {
        self.subscription.hand_events_to(&mut self.bench.client);
        let events: Vec<Event> = std::iter::from_fn(|| self.bench.client.next_event()).collect();
        for event in &events {
            let mut names: Vec<&str> = event.details().iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), event.details().len(), "a detail was told twice: {event:?}");
        }
        events
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.events().iter().map(Event::name).collect()
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_message_is_waited_for_however_long_it_takes() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news"]);
    listener.publish_after(3_600.0, 1, "late");
    assert_eq!(listener.next(), "message news late");
    assert_eq!(listener.names(), Vec::<&str>::new());
    let pings = listener.bench.network.server(1, |server| server.heard.iter().filter(|line| *line == "PING").count());
    assert!((180..=370).contains(&pings), "{pings} signs of life in an hour");
}

#[test]
fn nothing_of_a_subscription_comes_into_the_pool() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news"]);
    assert_eq!(listener.bench.run("INCR n"), Ok(Value::Int(1)));
    listener.subscription.close();
    assert_eq!(listener.next(), "Over None");
    listener.bench.network.change(|state| state.publish(1, "news", "nobody"));
    assert_eq!(listener.bench.run("INCR n"), Ok(Value::Int(2)));
}

#[test]
fn the_loop_ends_when_the_last_channel_is_left() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["a", "b"]);
    listener.subscription.wish_nothing();
    listener.subscription.send(&mut listener.bench.desk).unwrap();
    assert_eq!(
        [listener.next(), listener.next(), listener.next()],
        ["unsubscribe a 1", "unsubscribe b 0", "Over None"]
    );
}

#[test]
fn a_primary_that_dies_is_followed_by_the_promoted_one_and_the_gap_is_told() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news", "sports"]);
    listener.bench.network.after(Duration::from_secs(4), |state| state.kill(1));
    listener.bench.network.after(Duration::from_secs(6), |state| state.server(2).promote());
    listener.publish_after(7.0, 2, "after");
    assert_eq!(listener.next(), "message news after");
    let events = listener.events();
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["failover.started", "failover.completed", "pubsub.resubscribed"]);
    let told = &events[2];
    assert_eq!(told.detail("node"), Some(&Detail::Text("10.0.0.1:2".into())), "{told:?}");
    assert_eq!(told.detail("subscriptions"), Some(&Detail::Count(2)), "{told:?}");
    let seconds = |name| match told.detail(name) {
        Some(Detail::Time(time)) => time.as_secs_f64(),
        other => panic!("{name} is {other:?}"),
    };
    assert!((2.0..2.6).contains(&seconds("duration")), "{told:?}");
    assert!((6.0..6.6).contains(&seconds("missed")), "{told:?}");
}

#[test]
fn what_happened_is_told_when_it_happens_and_not_with_the_next_message() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news"]);
    listener.bench.network.after(Duration::from_secs(4), |state| {
        state.kill(1);
        state.server(2).promote();
    });
    listener.publish_after(600.0, 2, "late");
    let mut told = Vec::new();
    loop {
        let mut sink = ValueSink::default();
        let heard = listener.subscription.listen(&mut listener.bench.desk, &mut sink).unwrap();
        if heard != Heard::Told {
            assert_eq!(in_words(&sink.take().unwrap()), "message news late");
            break;
        }
        let elapsed = listener.bench.elapsed();
        told.extend(listener.names().into_iter().map(|name| (name, elapsed < 7.0)));
    }
    let expected = ["failover.started", "failover.completed", "pubsub.resubscribed"].map(|name| (name, true));
    assert_eq!(told, expected);
}

#[test]
fn a_primary_that_falls_silent_without_a_word_is_noticed() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news"]);
    listener.bench.network.after(Duration::from_secs(1), |state| {
        state.cut_off(1);
        state.server(2).promote();
    });
    listener.publish_after(20.0, 2, "after");
    assert_eq!(listener.next(), "message news after");
    assert!(listener.names().contains(&"pubsub.resubscribed"));
}

#[test]
fn a_connection_that_was_forgotten_on_the_way_is_replaced() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    listener.bench.network.server(1, |server| server.faults.push_back(("PING".into(), Fault::Silence)));
    listener.publish_after(60.0, 1, "after");
    assert_eq!(listener.next(), "message news after");
    assert!(listener.names().contains(&"pubsub.resubscribed"));
}

#[test]
fn the_old_half_of_a_split_brain_is_left_though_it_answers() {
    let mut listener = Listener::subscribed(Bench::of(replicated()), &["news"]);
    listener.bench.network.after(Duration::from_secs(1), |state| state.server(2).promote());
    listener.publish_after(30.0, 2, "after");
    assert_eq!(listener.next(), "message news after");
}

#[test]
fn without_a_primary_the_wait_ends_with_the_deadline_and_the_next_one_goes_on() {
    let options = [("command_timeout", Setting::Float(2.0))];
    let mut listener = Listener::subscribed(Bench::with(replicated(), &[1], &options), &["news"]);
    listener.bench.network.change(|state| (1..=3).for_each(|index| state.kill(index)));
    let failure = listener.listen().unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::CommandTimeout), "{failure}");
    assert_eq!(failure.command, "SUBSCRIBE");
    assert!((2.0..2.1).contains(&listener.bench.elapsed()), "{}", listener.bench.elapsed());
    listener.bench.network.change(|state| state.restart(1));
    listener.publish_after(5.0, 1, "after");
    assert_eq!(listener.next(), "message news after");
    assert!(listener.names().contains(&"pubsub.resubscribed"));
}

#[test]
fn a_server_that_closes_every_connection_at_once_gets_no_storm_of_them() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    for _ in 0..1000 {
        let fault = ("SUBSCRIBE".into(), Fault::CloseAfter);
        listener.bench.network.server(1, |server| server.faults.push_back(fault));
    }
    listener.bench.network.change(|state| state.close_all(1));
    let failure = listener.listen().unwrap_err();
    assert!(matches!(failure.kind, Kind::Timeout(_)), "{failure}");
    let dialed = listener.bench.network.dialed(1);
    assert!(dialed < 120, "{dialed} connections in one deadline");
}

#[test]
fn a_channel_that_the_user_may_not_hear_is_the_programs_failure() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    let refusal = Fault::Say(b"-NOPERM this user has no permissions to access the 'secret' channel\r\n".to_vec());
    listener.bench.network.server(1, |server| server.faults.push_back(("SUBSCRIBE".into(), refusal)));
    listener.ask(SUBSCRIBE, &["secret"]).unwrap();
    let failure = listener.listen().unwrap_err();
    assert_eq!(failure.kind, Kind::Server("NOPERM".into()), "{failure}");
    listener.publish_after(1.0, 1, "still");
    assert_eq!(listener.next(), "message news still");
}

#[test]
fn php_is_let_in_while_nothing_comes() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    listener.bench.network.after(Duration::from_secs(3), |_| INTERRUPTED.set(true));
    assert_eq!(listener.next(), "Interrupted None");
    assert!(listener.bench.elapsed() < 3.3, "{}", listener.bench.elapsed());
    INTERRUPTED.set(false);
    listener.publish_after(1.0, 1, "then");
    assert_eq!(listener.next(), "message news then");
}

#[test]
fn half_a_message_is_not_left_alone_for_a_signal() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    let (first, second) = (&b"*3\r\n$7\r\nmessage\r\n$4\r\nne"[..], &b"ws\r\n$1\r\nx\r\n"[..]);
    listener.bench.network.after(Duration::from_secs(1), |state| {
        state.say_unasked(1, first);
        INTERRUPTED.set(true);
    });
    listener.bench.network.after(Duration::from_millis(1500), |state| state.say_unasked(1, second));
    let heard = listener.next();
    INTERRUPTED.set(false);
    assert_eq!(heard, "message news x");
}

#[test]
fn the_budget_of_the_request_ends_the_wait() {
    let options = [("request_budget", Setting::Float(5.0))];
    let mut listener = Listener::subscribed(Bench::with(vec![Server::primary(&[])], &[1], &options), &["news"]);
    let failure = listener.listen().unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget), "{failure}");
    assert!((3.9..4.1).contains(&listener.bench.elapsed()), "{}", listener.bench.elapsed());
    let failure = listener.listen().unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout(Limit::RequestBudget), "{failure}");
}

#[test]
fn a_child_of_a_fork_subscribes_by_itself() {
    let mut listener = Listener::subscribed(Bench::of(vec![Server::primary(&[])]), &["news"]);
    let before = listener.bench.network.dialed(1);
    crate::connection::forked();
    listener.publish_after(1.0, 1, "child");
    assert_eq!(listener.next(), "message news child");
    assert_eq!(listener.bench.network.dialed(1), before + 1);
}

#[test]
fn all_commands_are_seen_but_our_own_sign_of_life() {
    let mut listener = Listener::of(Bench::of(replicated()));
    listener.ask(Verb::Monitor, &[]).unwrap();
    let own = "1700000000.5 [0 10.0.0.9:1] \"PING\" \"resilient-redis: is anybody there?\"";
    listener.bench.network.after(Duration::from_secs(12), |state| state.show(1, own));
    let line = "1700000000.6 [0 10.0.0.9:1] \"SET\" \"k\" \"v\"";
    listener.bench.network.after(Duration::from_secs(13), |state| state.show(1, line));
    assert_eq!(listener.next(), line);
    listener.bench.network.change(|state| {
        state.kill(1);
        state.server(2).promote();
    });
    let line = "1700000000.7 [0 10.0.0.9:1] \"GET\" \"k\"";
    listener.bench.network.after(Duration::from_secs(1), |state| state.show(2, line));
    assert_eq!(listener.next(), line);
    assert!(listener.names().contains(&"pubsub.resubscribed"));
}
