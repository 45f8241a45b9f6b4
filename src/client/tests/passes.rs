//! Credentials that the program is asked for: when, how often, and what becomes of the command meanwhile.

use std::time::Duration;

use super::*;
use crate::client::{Batch, Kind, Stage};
use crate::config::{Asker, Credentials, Password, Secret, SigningKeys};
use crate::connection::scripted::Fault;
use crate::connection::{DialProgress, Dialing, Errand, Identity, SocketOptions};
use crate::failover::Phase;
use crate::resp::Limits;

fn asked() -> Setting {
    Setting::Asked(Asker { number: 0, place: "a.php:1".into() })
}

fn told(password: &str) -> Credentials {
    Credentials::of(None, Secret::new(password))
}

/// The parameters of one server whose password has to be asked for.
fn of_callable() -> Setting {
    Setting::Map(vec![
        ("host".into(), Setting::Text("10.0.0.1".into())),
        ("port".into(), Setting::Int(1)),
        ("password".into(), asked()),
    ])
}

/// A client before one server with this password, which the program has to be asked for.
fn bench() -> Bench {
    let bench = Bench::at(vec![Server::primary(&[])], &of_callable(), &[]);
    bench.network.server(1, |server| server.password = Some("first".into()));
    bench
}

fn change_password(bench: &Bench, password: &str) {
    bench.network.server(1, |server| server.password = Some(password.into()));
}

/// Runs a command, and says each of these when asked. Gives the result and how often it was asked.
fn run(bench: &mut Bench, line: &str, says: &[&str]) -> (Result<Value, Box<Failure>>, usize) {
    let mut result = bench.run(line);
    let mut asked = 0;
    while matches!(&result, Err(failure) if failure.kind == Kind::Credentials) {
        let ticket = bench.desk.put_aside(Stage::default(), true);
        bench.client.present(Some(&told(says[asked.min(says.len() - 1)])), None);
        bench.desk.take_back(ticket);
        asked += 1;
        let words: Vec<&str> = line.split(' ').collect();
        let mut sink = ValueSink::default();
        let again = bench.client.run(&mut bench.desk, crate::command::find(words[0].as_bytes()), &mut sink);
        result = again.map(|()| sink.take().unwrap());
    }
    bench.client.end_of_pass();
    (result, asked)
}

#[test]
fn the_program_is_asked_for_each_dial_and_not_for_a_connection_that_is_there() {
    let mut bench = bench();
    assert_eq!(run(&mut bench, "SET k v", &["first"]), (Ok(Value::Okay), 1));
    assert_eq!(run(&mut bench, "SET k v", &["first"]), (Ok(Value::Okay), 0));
    change_password(&bench, "second");
    assert_eq!(run(&mut bench, "SET k v", &["second"]), (Ok(Value::Okay), 0), "the connection stays usable");
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    assert_eq!(run(&mut bench, "GET k", &["second"]), (Ok(Value::BulkString(b"v".to_vec())), 1));
}

#[test]
fn a_new_object_asks_before_it_takes_a_connection_that_somebody_else_has_left() {
    let mut first = bench();
    assert_eq!(run(&mut first, "SET k v", &["first"]), (Ok(Value::Okay), 1));
    first.client = client_in(&first.world, &of_callable(), &[]);
    let (refused, asked) = run(&mut first, "GET k", &["stolen"]);
    assert_eq!((refused.unwrap_err().kind, asked), (Kind::Connection, 2), "another password is another identity");
    assert_eq!(run(&mut first, "GET k", &["first"]).1, 1);
    assert_eq!(first.network.server(1, |server| server.count("GET")), 1);
}

#[test]
fn the_nodes_of_a_ring_are_opened_with_what_the_program_was_asked_for() {
    let server = || Server { password: Some("first".into()), ..Server::primary(&[]) };
    let options = [("cluster", Setting::Text("predis".into())), ("password", asked())];
    let mut bench = Bench::with(vec![server(), server()], &[1, 2], &options);
    let mut asked = 0;
    for number in 0..20 {
        let (result, times) = run(&mut bench, &format!("SET k{number} v"), &["first"]);
        assert_eq!(result, Ok(Value::Okay), "k{number}");
        asked += times;
    }
    assert!(asked <= 2, "asked {asked} times for two connections");
    assert!([1, 2].iter().all(|place| bench.network.server(*place, |server| !server.data.is_empty())));
}

#[test]
fn what_may_have_been_applied_stays_so_while_the_program_is_asked() {
    let mut bench = bench();
    assert!(run(&mut bench, "INCR n", &["first"]).0.is_ok());
    change_password(&bench, "second");
    for command in ["INCR", "SET"] {
        bench.network.server(1, |server| server.faults.push_back((command.into(), Fault::CloseAfter)));
    }
    let (failure, asked) = run(&mut bench, "INCR n", &["second"]);
    assert!(failure.unwrap_err().is_outcome_unknown());
    assert_eq!(asked, 0, "there is nothing to try again");
    assert!(run(&mut bench, "GET n", &["second"]).0.is_ok());
    change_password(&bench, "third");
    let (failure, asked) = run(&mut bench, "SET lock me NX", &["third"]);
    let failure = failure.unwrap_err();
    assert_eq!((failure.kind, asked), (Kind::LostReply, 1), "the nil of the second attempt is due to the first");
    assert_eq!(failure.attempts, 2);
}

#[test]
fn a_password_that_is_wrong_by_now_is_asked_for_once_more_before_it_is_an_error() {
    let mut bench = bench();
    assert_eq!(run(&mut bench, "SET k v", &["late", "first"]), (Ok(Value::Okay), 2));
    let mut bench = self::bench();
    let (failure, asked) = run(&mut bench, "SET k v", &["wrong"]);
    let failure = failure.unwrap_err();
    assert_eq!((failure.kind.clone(), failure.phase, asked), (Kind::Connection, Some(Phase::Auth), 2));
    assert!(failure.message.contains("WRONGPASS"), "{failure}");
    assert!(!failure.message.contains("wrong"), "{failure}");
}

#[test]
fn a_connection_that_is_not_let_in_any_more_is_replaced_with_a_password_that_was_asked_for() {
    let mut bench = bench();
    assert!(run(&mut bench, "SET k v", &["first"]).0.is_ok());
    change_password(&bench, "second");
    let noauth = Fault::Say(b"-NOAUTH Authentication required.\r\n".to_vec());
    bench.network.server(1, |server| server.faults.push_back(("INCR".into(), noauth)));
    assert_eq!(run(&mut bench, "INCR n", &["second"]), (Ok(Value::Int(1)), 1));
}

#[test]
fn connections_of_an_earlier_password_of_the_same_source_serve_on_once_the_new_one_is_let_in() {
    let mut bench = bench();
    assert!(run(&mut bench, "SET k v", &["first"]).0.is_ok());
    assert!(run(&mut bench, "MULTI", &["first"]).0.is_ok());
    // The one connection is pinned: another client of the same object's has to open a second one.
    let mut other = bench.client.with_options(&Setting::Map(Vec::new())).unwrap();
    std::mem::swap(&mut bench.client, &mut other);
    assert_eq!(run(&mut bench, "GET k", &["first"]).1, 1);
    std::mem::swap(&mut bench.client, &mut other);
    assert!(run(&mut bench, "DISCARD", &["first"]).0.is_ok());
    let dialed = |bench: &Bench| {
        bench.network.server(1, |server| server.heard.iter().filter(|line| line.starts_with("HELLO 2 AUTH")).count())
    };
    assert_eq!(dialed(&bench), 2);
    change_password(&bench, "second");
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    assert_eq!(run(&mut bench, "GET k", &["second"]).1, 1);
    assert_eq!(dialed(&bench), 3);
    assert!(run(&mut bench, "MULTI", &["second"]).0.is_ok());
    std::mem::swap(&mut bench.client, &mut other);
    bench.client.present(Some(&told("second")), None);
    assert_eq!(run(&mut bench, "GET k", &["second"]).1, 0, "the one that was idle under the first password");
    assert_eq!(dialed(&bench), 3);
}

/// How many connections to a server wait under a password.
fn idle(bench: &Bench, server: usize, credentials: Credentials) -> usize {
    let identity = Identity { credentials, ..bench.client.identity.clone() };
    bench.world.registry.pool(&node(server), &identity).status().idle
}

/// Has another client object, whose password is known, leave a connection to a server.
fn leave_connection(bench: &mut Bench, server: usize, password: &str) {
    let uri = Setting::Text(format!("tcp://:{password}@{}", node(server)));
    let mut other = client_in(&bench.world, &uri, &[]);
    assert_eq!(run_on(&mut other, &mut bench.desk, "SET k v"), Ok(Value::Okay));
}

#[test]
fn connections_of_an_earlier_password_are_not_handed_to_another_user_who_is_let_in_later() {
    let mut bench = bench();
    assert!(run(&mut bench, "SET k v", &["first"]).0.is_ok());
    change_password(&bench, "second");
    leave_connection(&mut bench, 1, "second");
    bench.client.present(Some(&told("second")), None);
    assert_eq!(run(&mut bench, "GET k", &["second"]).1, 0, "there is a connection");
    let okay = Fault::Say(b"+OK\r\n".to_vec());
    bench.network.server(1, |server| server.faults.push_back(("AUTH".into(), okay)));
    assert!(bench.run("AUTH guest theirs").is_ok());
    change_password(&bench, "theirs");
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    assert_eq!(run(&mut bench, "GET k", &["third"]), (Ok(Value::BulkString(b"v".to_vec())), 0));
    let guest = bench.client.identity.credentials.clone();
    assert_eq!(guest.username.as_deref(), Some("guest"));
    assert_eq!((idle(&bench, 1, guest), idle(&bench, 1, told("first"))), (1, 1));
}

#[test]
fn a_server_that_lets_a_new_password_in_says_nothing_of_connections_to_another_one() {
    let mut bench = Bench::at(vec![Server::primary(&[]), Server::primary(&[])], &of_callable(), &[]);
    for place in [1, 2] {
        bench.network.server(place, |server| server.password = Some("first".into()));
    }
    leave_connection(&mut bench, 1, "first");
    leave_connection(&mut bench, 2, "first");
    assert_eq!(run(&mut bench, "GET k", &["first"]).1, 1);
    change_password(&bench, "second");
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    assert_eq!(run(&mut bench, "GET k", &["second"]).1, 1);
    assert_eq!((idle(&bench, 1, told("first")), idle(&bench, 1, told("second"))), (0, 2));
    assert_eq!((idle(&bench, 2, told("first")), idle(&bench, 2, told("second"))), (1, 0));
}

#[test]
fn the_program_is_asked_anew_in_another_unit_and_after_a_disconnect() {
    let shards = cluster::servers().into_iter().map(|server| Server { password: Some("first".into()), ..server });
    let of_cluster = Bench::with(shards.collect(), &[1], &[("password", asked())]);
    for mut bench in [bench(), of_cluster] {
        let [key, ..] = cluster::keys();
        let read = format!("GET {key}");
        assert_eq!(run(&mut bench, &read, &["first"]), (Ok(Value::Nil), 1));
        assert_eq!(run(&mut bench, &read, &["first"]).1, 0);
        bench.client.start_over();
        assert_eq!(run(&mut bench, &read, &["first"]), (Ok(Value::Nil), 1), "a unit");
        bench.client.disconnect(&mut bench.desk);
        assert_eq!(run(&mut bench, &read, &["first"]), (Ok(Value::Nil), 1), "a disconnect");
        bench.client.start_over();
        let (refused, _) = run(&mut bench, &read, &["of another tenant"]);
        assert_eq!(refused.unwrap_err().kind, Kind::Connection);
    }
}

#[test]
fn what_cannot_be_gone_on_with_fails_by_the_words_of_the_server() {
    let mut bench = bench();
    bench.client.be_asked_ahead();
    bench.client.present(Some(&told("wrong")), None);
    let failure = bench.run("SET k v").unwrap_err();
    assert!(failure.kind == Kind::Connection && failure.message.contains("WRONGPASS"), "{failure:?}");
    bench.client.end_of_pass();
    bench.client.present(Some(&told("first")), None);
    assert!(bench.run("SET k v").is_ok());
    bench.client.end_of_pass();
    bench.network.server(1, |server| server.faults.push_back(("GET".into(), Fault::CloseAfter)));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())), "what was said last has to do");
}

/// A client of a cluster whose batch was left for the program to be asked, after one shard has applied its part and not
/// said so: with the keys, and the batch.
fn left_at_a_shard() -> (Bench, [String; 2], Batch) {
    let [one, other, _] = cluster::keys();
    let shards = cluster::servers().into_iter().map(|server| Server { password: Some("first".into()), ..server });
    let mut bench = Bench::with(shards.collect(), &[1], &[("password", asked())]);
    for key in [&one, &other] {
        assert!(run(&mut bench, &format!("SET {key} v"), &["first"]).0.is_ok());
    }
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    let batch = batch_of(&format!("SET {one} w; SET {other} w"));
    let failure = bench.client.run_batch(&mut bench.desk, &batch, &mut Answers::default()).unwrap_err();
    assert_eq!(failure.kind, Kind::Credentials);
    (bench, [one, other], batch)
}

#[test]
fn a_callable_that_was_ended_with_its_request_is_asked_no_more_at_the_end() {
    let (mut bench, [one, other], _) = left_at_a_shard();
    let _ = bench.desk.put_aside(Stage::default(), true);
    bench.client.begin_asking(Stage::default());
    let next = batch_of(&format!("GET {other}; GET {other}; GET {one}"));
    let mut run = |at_end| {
        OVER.set(at_end);
        bench.client.present(Some(&told("first")), None);
        let mut answers = Answers::default();
        let result = bench.client.run_batch(&mut bench.desk, &next, &mut answers);
        OVER.set(false);
        answers.settle();
        (result.err().map(|failure| failure.message), answers.seen())
    };
    assert_eq!(run(false).0.as_deref(), Some(crate::client::USES_ITSELF));
    assert_eq!(run(true), (None, ["'w'"; 3].map(str::to_owned).to_vec()));
}

#[test]
fn what_is_left_by_nobody_who_asks_is_not_taken_up_by_the_next_command() {
    let mut bench = bench();
    assert_eq!(bench.run("SET k v").unwrap_err().kind, Kind::Credentials);
    assert!(bench.desk.left.is_some());
    let ticket = bench.desk.put_aside(Stage::default(), false);
    assert_eq!(bench.desk.depth(Stage::default()), 1);
    assert_eq!(bench.desk.depth(Stage { stack: 1, at_end: false }), 0, "a fiber's");
    bench.desk.take_back(ticket);
    assert!(bench.desk.carried.is_none());
}

#[test]
fn nobody_dials_without_the_keys_of_the_token() {
    let bench = by_token();
    let refused = bench.client.search_settings().map(|_| "dials").unwrap_err();
    assert_eq!(refused.cause, crate::failover::Cause::Credentials);
}

#[test]
fn a_batch_goes_on_behind_the_replies_that_stand() {
    let mut bench = bench();
    assert!(run(&mut bench, "SET k v", &["first"]).0.is_ok());
    change_password(&bench, "second");
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseBefore)));
    let batch = batch_of("INCR n; INCR n; SET k w; GET n");
    let mut answers = Answers::default();
    let failure = bench.client.run_batch(&mut bench.desk, &batch, &mut answers).unwrap_err();
    assert_eq!(failure.kind, Kind::Credentials);
    let ticket = bench.desk.put_aside(Stage::default(), true);
    assert_eq!(
        run(&mut bench, "GET n", &["second"]).0,
        Ok(Value::BulkString(b"2".to_vec())),
        "the program may do that"
    );
    bench.client.present(Some(&told("second")), None);
    bench.desk.take_back(ticket);
    bench.client.run_batch(&mut bench.desk, &batch, &mut answers).unwrap();
    answers.settle();
    assert_eq!(answers.seen(), ["1", "2", "OK", "'2'"]);
}

#[test]
fn what_a_shard_may_have_applied_stays_in_doubt_if_the_program_says_nothing() {
    let (mut bench, [one, other], batch) = left_at_a_shard();
    let ticket = bench.desk.put_aside(Stage::default(), true);
    bench.client.begin_asking(Stage::default());
    let refused = bench.client.run_batch(&mut bench.desk, &batch, &mut Answers::default()).unwrap_err();
    assert_eq!(refused.message, crate::client::USES_ITSELF);
    bench.client.end_asking();
    bench.desk.take_back(ticket);
    let failure = bench.client.leave_in_doubt(&mut bench.desk).unwrap();
    assert!(failure.is_outcome_unknown(), "{failure:?}");
    bench.client.present(Some(&told("first")), None);
    let mut answers = Answers::default();
    let next = batch_of(&format!("GET {other}; GET {other}; GET {one}"));
    bench.client.run_batch(&mut bench.desk, &next, &mut answers).unwrap();
    answers.settle();
    assert_eq!(answers.seen(), ["'w'", "'w'", "'w'"]);
}

#[test]
fn time_in_which_the_program_is_asked_is_not_the_commands_own() {
    let mut bench = bench();
    assert_eq!(bench.run("SET k v").unwrap_err().kind, Kind::Credentials);
    let ticket = bench.desk.put_aside(Stage::default(), true);
    bench.network.clock.advance(Duration::from_secs(60));
    bench.desk.take_back(ticket);
    bench.client.present(Some(&told("first")), None);
    let mut sink = ValueSink::default();
    assert_eq!(bench.client.run(&mut bench.desk, crate::command::find(b"SET"), &mut sink), Ok(()));
}

/// A client of a cache that takes tokens, signed with keys that the program has to be asked for.
fn by_token() -> Bench {
    let text = |text: &str| Setting::Text(text.to_owned());
    let iam = [
        ("user", text("app")),
        ("cache", text("my-cache")),
        ("region", text("eu-central-1")),
        ("credentials", asked()),
    ];
    let iam = Setting::Map(iam.map(|(name, value)| (name.to_owned(), value)).to_vec());
    let uri = Setting::Text(format!("tls://{}?ssl[verify_peer]=0", node(1)));
    Bench::at(vec![Server::primary(&[])], &uri, &[("iam", iam)])
}

/// What the program says when it is asked for keys.
fn keys(bench: &Bench) -> Credentials {
    let mut credentials = bench.client.configuration().credentials.clone();
    if let Password::Token(signing) = &mut credentials.password {
        let (id, secret) = ("AKIDEXAMPLE".to_owned(), Secret::new("wJalrXUtnFEMI"));
        signing.keys = SigningKeys::Told { id, secret, session: None };
    }
    credentials
}

#[test]
fn a_token_is_signed_for_each_dial_and_is_no_part_of_who_shares_connections() {
    let mut bench = by_token();
    assert_eq!(bench.run("GET k").unwrap_err().kind, Kind::Credentials, "the program has the keys");
    bench.client.present(Some(&keys(&bench)), None);
    let said = |bench: &Bench| bench.client.identity_to_say().unwrap().unwrap().credentials;
    let first = said(&bench);
    let token = first.password.at_turn(0).unwrap().expose().to_owned();
    assert_eq!(first.username.as_deref(), Some("app"));
    assert!(token.starts_with("my-cache/?Action=connect&User=app&X-Amz-Algorithm="), "{token}");
    assert!(!token.contains("wJalr"), "{token}");
    bench.network.clock.advance(Duration::from_secs(60));
    assert_ne!(said(&bench), first, "another one");
    assert!(matches!(bench.client.identity.credentials.password, Password::Token(_)), "and the same pool");
}

#[test]
fn a_connection_that_a_token_let_in_is_replaced_before_the_cache_ends_it() {
    let bench = by_token();
    let limits = bench.client.configuration().pool;
    let clock = &bench.network.clock;
    let lasts = |credentials: Credentials, hours: u64| {
        let identity = Identity { credentials, ..Identity::default() };
        let pool = bench.world.registry.pool(&node(1), &identity);
        let (errand, limit) = (Errand::Commands(Identity::default()), Limits { max_reply_size: 1024, max_depth: 8 });
        let options = SocketOptions { brief: Duration::from_secs(1) };
        let mut dialing = Dialing::begin(&bench.network, &node(1), &errand, limit, options).unwrap();
        let connection = loop {
            match dialing.step() {
                DialProgress::Ready(connection) => break connection,
                DialProgress::Failed(lost) => panic!("{lost}"),
                DialProgress::Wait(_) => clock.advance(Duration::from_millis(1)),
            }
        };
        let lease = pool.adopt(connection, &limits, clock);
        clock.advance(Duration::from_secs(hours * 3600));
        pool.check_in(lease, crate::time::Clock::now(clock));
        pool.status().idle
    };
    assert_eq!(lasts(keys(&bench), 10), 1);
    assert_eq!(lasts(keys(&bench), 11), 1, "the one of before, and not this one");
    assert_eq!(lasts(Credentials::default(), 1000), 1);
}
