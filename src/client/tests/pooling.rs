//! P6 and the pool: connections outlive objects, and a doubtful one serves nobody.

use std::time::Duration;

use redis::Value;

use super::*;
use crate::client::Kind;
use crate::config::Setting;
use crate::connection::scripted::Fault;

#[test]
fn a_second_object_with_the_same_configuration_costs_no_round_trip() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    let mut second = bench.sibling(1);
    assert_eq!(run_on(&mut second, &mut bench.desk, "GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.dialed(1), 1);
    assert_eq!(bench.network.server(1, |server| server.executed.join(" ")), "SET GET");
}

#[test]
fn a_connection_that_was_in_use_at_a_reset_is_counted_and_serves_nobody_after_its_holder() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("MULTI").unwrap();
    let world = bench.client.world.clone();
    world.registry.reset();
    let leased = || world.registry.status().iter().map(|pool| (pool.idle, pool.leased)).collect::<Vec<_>>();
    assert_eq!(leased(), [(0, 1)]);
    bench.run("SET k v").unwrap();
    bench.run("EXEC").unwrap();
    assert_eq!(leased(), [(0, 0)]);
    bench.run("GET k").unwrap();
    assert_eq!((bench.network.dialed(1), leased()), (2, vec![(1, 0)]));
}

#[test]
fn a_connection_closed_while_idle_is_noticed_before_it_is_used() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.close_all(1));
    bench.network.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)));
    assert_eq!(bench.events(), [""; 0], "nobody failed over");
}

#[test]
fn bytes_found_on_an_idle_connection_close_it() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.change(|state| state.say_unasked(1, b"+surprise\r\n"));
    bench.network.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.dialed(1), 2);
}

#[test]
fn a_connection_that_was_idle_for_long_is_asked_before_it_is_trusted() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.clock.advance(Duration::from_millis(4_900));
    bench.run("INCR n").unwrap();
    bench.network.clock.advance(Duration::from_secs(5));
    bench.run("INCR n").unwrap();
    assert_eq!(bench.network.server(1, |server| server.executed.join(" ")), "SET INCR PING INCR");
    // Forgotten by a gateway on the way: nothing answers, but an INCR is not lost to it.
    bench.network.server(1, |server| server.faults.push_back(("PING".into(), Fault::Silence)));
    bench.network.clock.advance(Duration::from_secs(60));
    let before = bench.elapsed();
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(3)));
    assert!(bench.elapsed() - before < 0.3, "{}", bench.elapsed() - before);
}

#[test]
fn a_connection_that_was_idle_too_long_is_replaced() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.clock.advance(Duration::from_secs(241));
    bench.run("GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 2);
    assert_eq!(bench.network.server(1, |server| server.count("PING")), 0);
}

#[test]
fn a_connection_of_the_parent_process_is_not_used_by_the_child() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    crate::connection::forked();
    assert_eq!(bench.run("GET k"), Ok(Value::BulkString(b"v".to_vec())));
    assert_eq!(bench.network.dialed(1), 2);
}

#[test]
fn what_a_jump_left_on_the_desk_is_closed_before_the_next_command() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    // As after a memory limit in the middle of a reply: the command never came back to put its lease away.
    let mut call_frame = std::mem::take(&mut bench.desk.frame);
    call_frame.begin();
    call_frame.word(b"GET");
    call_frame.word(b"k");
    call_frame.end();
    let pool = bench.world.registry.pool(&node(1), &bench.client.identity);
    let crate::pool::Leased::Ready(mut lease) =
        pool.lease(crate::time::Instant::default(), &bench.client.configuration.pool, &*bench.world.clock)
    else {
        panic!("one connection is idle")
    };
    lease.connection.send(call_frame.bytes(), 1).unwrap();
    bench.desk.lease = Some(lease);
    assert_eq!(bench.run("INCR n"), Ok(Value::Int(1)), "not the reply to GET");
    assert_eq!(bench.network.dialed(1), 2);
    assert_eq!(pool.status().leased, 0);
}

#[test]
fn more_leases_than_max_connections_are_refused_with_a_word_about_the_option() {
    let options = [("max_connections", Setting::Int(1))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    bench.run("MULTI").unwrap();
    let mut second = client_in(&bench.world, &Setting::Text("tcp://10.0.0.1:1".into()), &options);
    let failure = run_on(&mut second, &mut bench.desk, "GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::Connection);
    assert_eq!(failure.phase.map(|phase| phase.as_str()), Some("lease"));
    assert!(failure.message.contains("max_connections"), "{failure}");
    bench.run("DISCARD").unwrap();
    assert!(run_on(&mut second, &mut bench.desk, "GET k").is_ok());
}

#[test]
fn a_reply_beyond_the_limit_is_a_protocol_failure_and_the_connection_is_gone() {
    let options = [("max_reply_size", Setting::Int(65_536))];
    let mut bench = Bench::with(vec![Server::primary(&[])], &[1], &options);
    let value = "x".repeat(70_000);
    bench.run(&format!("SET k {value}")).unwrap();
    let failure = bench.run("GET k").unwrap_err();
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(failure.message.contains("max_reply_size"), "{failure}");
    assert_eq!(bench.run("GET other"), Ok(Value::Nil));
}

#[test]
fn connections_that_nobody_comes_for_are_closed_in_time() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    for database in 0..5 {
        bench.run(&format!("SELECT {database}")).unwrap();
        let mut other = bench.sibling(1);
        run_on(&mut other, &mut bench.desk, "GET k").unwrap();
    }
    let idle = |bench: &Bench| bench.world.registry.status().iter().map(|pool| pool.idle).sum::<usize>();
    assert!(idle(&bench) > 1);
    bench.network.clock.advance(Duration::from_secs(241));
    bench.run("GET k").unwrap();
    assert_eq!(idle(&bench), 1, "only the one that was opened now");
}

#[test]
fn a_failover_closes_what_led_to_the_former_primary_in_every_database() {
    let mut bench = Bench::of(replicated());
    bench.run("SET k v").unwrap();
    let mut other = bench.sibling(1);
    run_on(&mut other, &mut bench.desk, "SELECT 3").unwrap();
    bench.network.change(|state| {
        state.server(2).promote();
        state.server(1).follows = Some(node(2));
    });
    bench.run("SET k w").unwrap();
    let left = bench.world.registry.status().into_iter().filter(|pool| pool.node == node(1) && pool.idle > 0);
    assert_eq!(left.count(), 0);
}

#[test]
fn a_connection_that_was_just_opened_is_not_tidied_away() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    bench.run("SET k v").unwrap();
    bench.network.clock.advance(Duration::from_millis(10));
    bench.world.registry.tidy(crate::time::Clock::now(&bench.network.clock));
    bench.run("GET k").unwrap();
    assert_eq!(bench.network.dialed(1), 1);
}

#[test]
fn objects_that_select_the_same_database_or_become_the_same_user_one_after_the_other_need_no_new_connections() {
    for change in ["SELECT 7", "AUTH user secret"] {
        let mut bench = Bench::of(vec![Server::primary(&[])]);
        for request in 0..20 {
            let mut client = bench.sibling(1);
            run_on(&mut client, &mut bench.desk, "GET k").unwrap();
            run_on(&mut client, &mut bench.desk, change).unwrap();
            run_on(&mut client, &mut bench.desk, &format!("SET k {request}")).unwrap();
        }
        assert_eq!(bench.network.dialed(1), 2, "{change}: one connection for each identity");
    }
}

#[test]
fn a_change_of_identity_that_is_refused_leaves_the_object_who_it_was() {
    let mut bench = Bench::of(vec![Server::primary(&[])]);
    let mut other = bench.sibling(1);
    run_on(&mut other, &mut bench.desk, "SELECT 7").unwrap();
    bench.network.server(1, |server| {
        server.faults.push_back(("SELECT".to_owned(), Fault::Say(b"-NOPERM no\r\n".to_vec())));
    });
    bench.run("SELECT 7").unwrap_err();
    bench.run("SET k v").unwrap();
    let idle = bench.world.registry.status().into_iter().map(|pool| (pool.database, pool.idle)).collect::<Vec<_>>();
    assert!(idle.contains(&(0, 1)) && idle.contains(&(7, 1)), "{idle:?}");
}
