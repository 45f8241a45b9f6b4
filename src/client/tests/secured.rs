//! What is said where one side speaks TLS and the other does not.

use super::*;
use crate::client::Kind;
use crate::connection::scripted::Fault;
use crate::failover::{Limit, Phase};

fn of_uri(uri: &str) -> Bench {
    let text = Setting::Text(uri.to_owned());
    Bench::at(vec![Server::primary(&[])], &text, &[("command_timeout", Setting::Float(2.0))])
}

fn secured() -> Bench {
    of_uri(&format!("tls://{}?ssl[verify_peer]=0", node(1)))
}

#[test]
fn a_port_that_does_not_answer_a_handshake_costs_the_deadline_and_is_said_to_speak_no_tls_perhaps() {
    let mut bench = secured();
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!((failure.kind.clone(), failure.phase), (Kind::Timeout(Limit::CommandTimeout), Some(Phase::Tls)));
    assert!(failure.message.contains("speaks no TLS on this port"), "{failure}");
    assert!(failure.message.contains(" [tls://"), "{failure}");
    assert!((2.0..2.01).contains(&bench.elapsed()), "{}", bench.elapsed());
}

#[test]
fn an_answer_without_tls_is_said_at_once() {
    let mut bench = secured();
    for millisecond in 1..100 {
        let moment = std::time::Duration::from_millis(millisecond);
        bench.network.after(moment, |state| state.say_unasked(1, b"-ERR Protocol error\r\n"));
    }
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!((failure.kind.clone(), failure.phase), (Kind::Connection, Some(Phase::Tls)));
    assert!(failure.message.contains("answers without TLS ('-ERR Protocol error')"), "{failure}");
    assert!(bench.elapsed() < 0.1, "{}", bench.elapsed());
}

#[test]
fn an_answer_of_tls_to_a_greeting_in_the_clear_is_said_at_once() {
    let mut bench = of_uri(&format!("tcp://{}", node(1)));
    bench
        .network
        .server(1, |server| server.faults.push_back(("HELLO".into(), Fault::Say(vec![21, 3, 1, 0, 2, 2, 70]))));
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!((failure.kind.clone(), failure.phase), (Kind::Connection, Some(Phase::Auth)));
    assert!(failure.message.contains("answers with TLS: use scheme tls"), "{failure}");
}

#[test]
fn a_server_that_closes_before_any_answer_may_speak_tls() {
    let mut bench = of_uri(&format!("tcp://{}", node(1)));
    for _ in 0..1000 {
        bench.network.server(1, |server| server.faults.push_back(("HELLO".into(), Fault::CloseAfter)));
    }
    let failure = bench.run("GET k").unwrap_err();
    assert!(failure.message.contains("before any answer (if the server speaks TLS"), "{failure}");
}
