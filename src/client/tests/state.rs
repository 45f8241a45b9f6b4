//! P4: what a command changes on its connection stays with the object that sent it.

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::connection::scripted::Fault;

#[test]
fn select_moves_the_object_and_nobody_else() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let mut other = bench.sibling(1);
    bench.run("SELECT 5").unwrap();
    assert_eq!(bench.client.identity.database, 5);
    assert_eq!(other.identity.database, 0);
    run_on(&mut other, &mut bench.desk, "GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 2, "a connection of database 5 serves nobody of database 0");
    bench.run("GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 2, "and goes on serving its own");
}

#[test]
fn a_transaction_keeps_its_connection_to_itself() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let mut other = bench.sibling(1);
    bench.run("MULTI").unwrap();
    run_on(&mut other, &mut bench.desk, "SET k other").unwrap();
    assert_eq!(bench.network.dialed(1), 2);
    bench.run("EXEC").unwrap();
    run_on(&mut other, &mut bench.desk, "GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 2);
}

#[test]
fn a_connection_with_state_that_cannot_be_undone_closes_with_its_object() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let mut other = bench.sibling(1);
    run_on(&mut other, &mut bench.desk, "CLIENT SETNAME mine").unwrap();
    drop(other);
    bench.run("GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 2);
}

#[test]
fn a_lost_watch_is_an_aborted_transaction() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("WATCH k").unwrap();
    bench.network.change(|state| state.close_all(1));
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::AbortedTransaction, "{failure:?}");
    assert!(bench.run("GET k").is_ok(), "the object goes on without its watch");
}

#[test]
fn queued_commands_of_a_lost_transaction_were_not_applied_but_its_exec_may_have_been() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("MULTI").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("SET".into(), Fault::CloseAfter)));
    let failure = bench.run("SET k v").unwrap_err();
    assert_eq!(failure.kind, Kind::Connection, "{failure:?}");
    bench.run("MULTI").unwrap();
    bench.network.server(1, |server| server.faults.push_back(("EXEC".into(), Fault::CloseAfter)));
    let failure = bench.run("EXEC").unwrap_err();
    assert_eq!(failure.kind, Kind::LostReply, "{failure:?}");
    assert_eq!(bench.run("GET other"), Ok(Value::Nil));
}

#[test]
fn commands_that_take_a_connection_out_of_step_are_refused_before_they_are_sent() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    for command in ["SUBSCRIBE channel", "MONITOR", "HELLO 3", "CLIENT REPLY OFF", "RESET"] {
        let failure = bench.run(command).unwrap_err();
        assert_eq!(failure.kind, Kind::Client, "{command}");
    }
    assert_eq!(bench.network.dialed(1), 0);
}

#[test]
fn quit_answers_and_lets_go() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("WATCH k").unwrap();
    assert_eq!(bench.run("QUIT"), Ok(Value::Okay));
    assert!(!bench.client.is_connected());
    assert!(bench.run("SET k v").is_ok());
}

#[test]
fn select_inside_of_multi_is_refused() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("MULTI").unwrap();
    assert_eq!(bench.run("SELECT 3").unwrap_err().kind, Kind::Client);
    assert!(bench.run("EXEC").is_ok(), "the transaction goes on");
}
