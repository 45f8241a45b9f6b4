//! Whole clients before peers that answer anything: whatever comes, a command ends in time, in a value or in a failure that
//! says what it is, never in a panic, with memory for what came; and what an orderly answer says reaches only who asked.

use std::time::Duration;

use super::*;
use crate::client::Kind;
use crate::client::subscription::{Sort, Subscription, Verb};
use crate::connection::scripted::{Fault, State};
use crate::dice::{Dice, cases};
use crate::resp::hostile;

/// How long a command may take, and what comes on top where an attempt was begun in time.
const COMMAND_TIMEOUT: f64 = 2.0;
const SLACK: f64 = 0.3;
/// How long a listener may take to find out that it hears nothing, and to find another node.
const MOST_OF_LISTENING: f64 = COMMAND_TIMEOUT + 10.0;
/// How many keys there are with a value that names its key.
const TOKENS: usize = 30;
/// Of memory a process may reserve this much more than when the test began.
const MOST_MEMORY: u64 = 2 << 30;

/// What servers are asked, by clients and by their users.
const NAMES: [&str; 22] = [
    "HELLO",
    "INFO",
    "GET",
    "GET",
    "GET",
    "SET",
    "INCR",
    "MGET",
    "MULTI",
    "EXEC",
    "CLUSTER",
    "SENTINEL",
    "ROLE",
    "SELECT",
    "PING",
    "SUBSCRIBE",
    "ASKING",
    "READONLY",
    "CLIENT",
    "EVAL",
    "WATCH",
    "AUTH",
];

const ERRORS: [&str; 14] = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions",
    "ERR max number of clients reached",
    "ERR unknown command",
    "NOSCRIPT No matching script.",
    "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
    "",
];

const PLACES: [&str; 14] = [
    "10.0.0.1:1",
    "10.0.0.1:2",
    "10.0.0.1:3",
    "10.0.0.1:4",
    "10.0.0.1:99",
    ":2",
    "10.0.0.1:0",
    "10.0.0.1:70000",
    "255.255.255.255:1",
    "fe80::1%eth0:1",
    "a\0b:1",
    "nobody.example:6379",
    "::1:6379",
    "?:6379",
];

/// Bytes after which nothing more is read: no number of replies is shifted by them.
const DEADLY: [&str; 9] = [
    "$4611686018427387904\r\n",
    "*4611686018427387904\r\n",
    "%9223372036854775807\r\n",
    "=-2\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    ":12a\r\n",
    "*1\r\n>1\r\n+x\r\n+y\r\n",
    "$3\r\nabcdef\r\n",
    "\u{15}\u{3}\u{3}\0\u{2}\u{2}F",
];

fn error(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => {
            let word = dice.pick(&["MOVED", "ASK"]);
            let slot = dice.pick(&["0", "1", "9000", "16383", "16384", "-1", "x"]);
            format!("-{word} {slot} {}\r\n", dice.pick(&PLACES))
        }
        _ => format!("-{}\r\n", dice.pick(&ERRORS)),
    }
}

/// What may go wrong where one reply is one reply still, or the last.
fn orderly(dice: &mut Dice) -> Fault {
    match dice.below(12) {
        0 => Fault::CloseAfter,
        1 | 2 => Fault::CloseBefore,
        3 => Fault::Half,
        4..=6 => Fault::Say(error(dice).into_bytes()),
        7 => Fault::Say(dice.pick(&["*1\r\n", "%1\r\n+k\r\n"]).repeat(100_000).into_bytes()),
        8 => Fault::Say([b"+", vec![b'x'; 70_000].as_slice()].concat()),
        9 => Fault::Say(
            dice.pick(&["*0\r\n", "%1\r\n*0\r\n:1\r\n", "_\r\n", ",nan\r\n", ":-1\r\n", "+OK\r\n", "#t\r\n"]).into(),
        ),
        10 => {
            let mut push = Vec::new();
            hostile::push(dice, &mut push);
            Fault::After(push)
        }
        _ => Fault::Say(dice.pick(&DEADLY).into()),
    }
}

/// What may go wrong at all.
fn wild(dice: &mut Dice) -> Fault {
    match dice.below(7) {
        0 => orderly(dice),
        // The next reply is taken for this one.
        1 => Fault::Silence,
        2 => Fault::Spoil(dice.below(1 << 30) as u64),
        3 => {
            let mut bytes = hostile::reply(dice);
            hostile::spoil(dice, &mut bytes);
            Fault::After(bytes)
        }
        _ => {
            let mut bytes = hostile::reply(dice);
            if dice.once_in(2) {
                hostile::spoil(dice, &mut bytes);
            }
            Fault::Say(bytes)
        }
    }
}

/// The servers of one kind of deployment, the numbers of the endpoints, and the options that say so.
fn deployment(dice: &mut Dice) -> (Vec<Server>, Vec<usize>, Vec<(&'static str, Setting)>) {
    let text = |value: &str| Setting::Text(value.to_owned());
    match dice.below(5) {
        0 => (vec![Server::primary(&[])], vec![1], Vec::new()),
        1 => {
            let mut servers = replicated();
            for server in &mut servers {
                (server.is_old, server.hides_info) = (dice.once_in(6), dice.once_in(6));
            }
            (servers, dice.pick(&[&[1][..], &[1, 2, 3]]).to_vec(), vec![("read_from", text("prefer-replica"))])
        }
        2 => {
            let mut servers = replicated();
            servers
                .extend((4..=6).map(|_| Server::sentinel(&node(1), &[node(2), node(3)], &[node(4), node(5), node(6)])));
            let options = vec![("replication", text("sentinel")), ("service", text("mymaster"))];
            (servers, vec![4, 5], options)
        }
        3 => (cluster::servers(), vec![1], vec![("read_from", text("replica"))]),
        _ => (cluster::servers(), vec![1, 2], Vec::new()),
    }
}

/// Something that befalls the network, some time later. What is said unasked shifts replies, and so does what is lost.
fn befall(dice: &mut Dice, bench: &Bench, servers: usize, is_orderly: bool) -> String {
    let (delay, server) = (Duration::from_micros(dice.below(900_000) as u64), 1 + dice.below(servers));
    let what = dice.below(if is_orderly { 4 } else { 7 });
    let bytes = hostile::reply(dice);
    bench.network.after(delay, move |state: &mut State| match what {
        0 => state.close_all(server),
        1 => state.kill(server),
        2 => state.freeze(server, true),
        // Who else is promoted has to be known to the others.
        3 if servers == 3 => state.server(2).promote(),
        3 => state.close_all(server),
        4 => state.drop_replies(server),
        5 => state.say_unasked(server, &bytes),
        _ => state.say_unasked(server, b">2\r\n+message\r\n+x\r\n"),
    });
    format!("\nafter {delay:?} number {what} befalls {server}")
}

/// Asserts that no reply holds what another command has asked for.
fn is_own(line: &str, value: &Value, story: &str) {
    let wanted: Vec<Vec<u8>> = line.split([' ', ';']).map(|key| format!("token:{key}").into_bytes()).collect();
    match value {
        Value::BulkString(bytes) if bytes.starts_with(b"token:") => {
            assert!(wanted.contains(bytes), "{story}: {line} got {value:?}");
        }
        Value::Array(items) | Value::Set(items) => items.iter().for_each(|item| is_own(line, item, story)),
        _ => {}
    }
}

/// A command, or a batch with semicolons.
fn lines(dice: &mut Dice) -> String {
    let key = |dice: &mut Dice| format!("t{}", dice.below(TOKENS));
    match dice.below(16) {
        0..=4 => format!("GET {}", key(dice)),
        5 => format!("SET k{} v", dice.below(9)),
        6 => format!("INCR n{}", dice.below(9)),
        7 => format!("MGET {} {} {}", key(dice), key(dice), key(dice)),
        8 => "PING".to_owned(),
        9 => dice.pick(&["SELECT 1", "WATCH t1", "MULTI", "EXEC", "DISCARD", "UNWATCH", "DBSIZE"]).to_owned(),
        10 => format!("EVAL text 1 {}", key(dice)),
        11 => {
            let key = key(dice);
            format!("MULTI; GET {key}; INCR {{{key}}}; GET {key}; EXEC")
        }
        _ => {
            let count = 2 + dice.below(6);
            (0..count).map(|_| format!("GET {}; ", key(dice))).collect::<String>() + "PING"
        }
    }
}

/// Subscribes, and listens for a while: a listener has no limit of its own, but ends when PHP wants to do something else.
fn listen(bench: &mut Bench, times: usize, story: &str) {
    let mut subscription = Subscription::of(&bench.client);
    let words = ["news", "more"].map(|channel| channel.as_bytes().to_vec()).to_vec();
    if subscription.ask(&mut bench.desk, Verb::Subscribe(Sort::Channels), words).is_err() {
        return;
    }
    for _ in 0..times {
        bench.network.after(Duration::from_secs(1), |_| INTERRUPTED.set(true));
        let begun = bench.elapsed();
        let mut sink = ValueSink::default();
        let heard = subscription.listen(&mut bench.desk, &mut sink);
        let took = bench.elapsed() - begun;
        bench.network.clock.advance(Duration::from_secs(1));
        bench.network.change(|_| INTERRUPTED.set(false));
        assert!(took <= 1.0 + MOST_OF_LISTENING + SLACK, "{story}\nlistening took {took} s: {heard:?}");
        if heard.is_err() {
            break;
        }
        subscription.hand_events_to(&mut bench.client);
    }
    subscription.close();
}

/// Runs it, and looks at whose replies came.
fn run(bench: &mut Bench, lines: &str, is_orderly: bool, story: &str) -> Result<(), Box<Failure>> {
    let check = |line: &str, value: &Value| {
        // What a lone EXEC brings was asked for by the commands before it.
        if is_orderly && line != "EXEC" {
            is_own(line, value, story);
        }
    };
    if !lines.contains(';') {
        return bench.run(lines).map(|value| check(lines, &value));
    }
    let batch = batch_of(lines);
    let mut answers = Answers::default();
    let result = bench.client.run_batch(&mut bench.desk, &batch, &mut answers);
    answers.settle();
    for (line, answer) in lines.split("; ").zip(&answers.all) {
        if let Some(Ok(value)) = answer {
            // What EXEC brings is about all of the transaction.
            check(if line == "EXEC" { lines } else { line }, value);
        }
    }
    result
}

/// The address space that the process has had at the most.
fn reserved() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[test]
fn no_hostile_peer_makes_a_client_panic_hang_reserve_memory_or_mix_up_replies() {
    let before = reserved();
    cases(1_200, |dice| {
        let is_orderly = dice.once_in(2);
        let (servers, endpoints, mut options) = deployment(dice);
        let (count, has_old) = (servers.len(), servers.iter().any(|server| server.is_old));
        options.extend([
            ("command_timeout", Setting::Float(COMMAND_TIMEOUT)),
            ("read_write_timeout", Setting::Float(0.5)),
        ]);
        options.push(("when_open", Setting::Text("wait".to_owned())));
        // Old servers know no RESP3.
        if !has_old && dice.once_in(2) {
            options.push(("parameters", Setting::Map(vec![("protocol".to_owned(), Setting::Int(3))])));
        }
        let mut bench = Bench::with(servers, &endpoints, &options);
        bench.network.change(|state| {
            for index in 1..=count {
                let tokens = (0..TOKENS).map(|number| (format!("t{number}"), format!("token:t{number}")));
                state.server(index).data.extend(tokens);
            }
            state.send_limit = dice.once_in(5).then(|| 1 + dice.below(80));
            state.buffer = dice.once_in(8).then(|| 1 + dice.below(80));
        });
        if dice.once_in(3) {
            let _ = bench.run("GET t0");
        }
        let mut story = format!("{} servers, {options:?}", count);
        for _ in 0..1 + dice.below(5) {
            let (server, name) = (1 + dice.below(count), dice.pick(&NAMES));
            let times = dice.pick(&[1, 1, 3, 60]);
            let fault = if is_orderly { orderly(dice) } else { wild(dice) };
            story += &format!("\n{times} times {name} at {server}: {}", shown(&fault));
            let faults = std::iter::repeat_n((name.to_owned(), fault), times);
            bench.network.server(server, |server| server.faults.extend(faults));
        }
        for _ in 0..dice.below(3) {
            story += &befall(dice, &bench, count, is_orderly);
        }
        for _ in 0..2 + dice.below(6) {
            if dice.once_in(10) {
                listen(&mut bench, 1 + dice.below(5), &story);
                continue;
            }
            let (begun, lines) = (bench.elapsed(), lines(dice));
            let result = run(&mut bench, &lines, is_orderly, &story);
            let took = bench.elapsed() - begun;
            assert!(took <= COMMAND_TIMEOUT + SLACK, "{story}\n{lines} took {took} s: {result:?}");
            if let Err(failure) = result {
                // What a server says is handed on, and may be nothing.
                let says = !failure.message.is_empty() || matches!(failure.kind, Kind::Server(_));
                assert!(says, "{story}\n{lines}: a failure says nothing: {failure:?}");
            }
            if dice.once_in(3) {
                bench.network.clock.advance(Duration::from_millis(dice.below(3_000) as u64));
            }
        }
        // All that was to befall them has, and the servers come to their senses.
        bench.network.clock.advance(Duration::from_secs(1));
        bench.network.after(Duration::ZERO, move |state| {
            (state.send_limit, state.buffer) = (None, None);
            for index in 1..=count {
                state.server(index).faults.clear();
                state.freeze(index, false);
                state.restart(index);
                state.close_all(index);
            }
        });
        bench.client.disconnect(&mut bench.desk);
        let last = run(&mut bench, "SET after v", true, &story);
        assert!(last.is_ok(), "{story}\nthe client stays usable: {last:?}");
        let rose = reserved().saturating_sub(before);
        assert!(rose < MOST_MEMORY, "{story}: {rose} bytes are reserved");
    });
}

fn shown(fault: &Fault) -> String {
    let text = |bytes: &[u8]| bytes[..bytes.len().min(120)].escape_ascii().to_string();
    match fault {
        Fault::Say(bytes) => format!("say {}", text(bytes)),
        Fault::After(bytes) => format!("after {}", text(bytes)),
        other => format!("{other:?}"),
    }
}
