//! Sessions before a scripted server. It knows no scripts: what those reply is told to it, what they do is tested
//! against a real server.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::client::{Client, Desk, World};
use crate::config::{Defaults, SessionSettings, Setting, configure};
use crate::connection::scripted::{Fault, ScriptedNetwork, Server, node};
use crate::pool::Registry;
use crate::time::{Clock, Instant};

use super::{Store, Trouble};

thread_local! {
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

struct Bench {
    network: ScriptedNetwork,
    store: Store,
    desk: Desk,
}

fn bench(options: &[(&str, Setting)]) -> Bench {
    let network = ScriptedNetwork::of(vec![Server::primary(&[])]);
    let world = Arc::new(World {
        network: Box::new(network.clone()),
        clock: Box::new(network.clock.clone()),
        registry: Registry::new(Arc::new(Board::alone())),
        is_ending: || false,
        is_over: || false,
        is_interrupted: || false,
    });
    let parameters = Setting::Text(format!("tcp://{}", node(1)));
    let configuration = configure(&parameters, &Setting::Null, &Defaults::default()).unwrap();
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let settings = SessionSettings::read(&Setting::Map(options)).unwrap();
    Bench { store: Store::new(Client::new(world, configuration), settings), network, desk: Desk::default() }
}

fn locking(wait: f64) -> Bench {
    bench(&[("locking", Setting::Bool(true)), ("lock_wait", Setting::Float(wait))])
}

impl Bench {
    /// The next scripts reply so.
    fn scripts_say(&self, replies: &[&str]) {
        self.network.server(1, |server| {
            let faults =
                replies.iter().map(|reply| ("EVAL".to_owned(), Fault::Say(format!("{reply}\r\n").into_bytes())));
            server.faults.extend(faults);
        });
    }

    fn read(&mut self, id: &str) -> Result<String, Trouble> {
        self.store.read(&mut self.desk, id.as_bytes(), || STOPS.get())?;
        Ok(String::from_utf8(self.store.data().to_vec()).unwrap())
    }

    fn write(&mut self, id: &str, data: &str) -> Result<(), Trouble> {
        self.store.write(&mut self.desk, id.as_bytes(), data.as_bytes(), 1440)
    }

    fn heard(&self) -> Vec<String> {
        self.network.server(1, |server| server.heard.clone())
    }

    /// How often a script was sent.
    fn scripts(&self) -> usize {
        self.heard().iter().filter(|line| line.starts_with("EVAL")).count()
    }

    fn seconds(&self) -> f64 {
        self.network.clock.now().since(Instant::default()).as_secs_f64()
    }
}

#[test]
fn an_unlocked_session_is_one_get_and_one_set_with_its_lifetime() {
    let mut bench = bench(&[("prefix", Setting::Text("app:".into()))]);
    assert_eq!(bench.read("abc").unwrap(), "");
    bench.write("abc", "data").unwrap();
    assert_eq!(bench.read("abc").unwrap(), "data");
    let heard = bench.heard();
    assert!(heard.contains(&"SET app:abc data EX 1440".to_owned()), "{heard:?}");
    assert_eq!(heard.iter().filter(|line| line.starts_with("GET app:abc")).count(), 2, "{heard:?}");
}

#[test]
fn a_lifetime_of_the_handlers_own_beats_that_of_php() {
    let mut bench = bench(&[("gc_maxlifetime", Setting::Int(60))]);
    bench.write("abc", "data").unwrap();
    assert!(bench.heard().contains(&"SET abc data EX 60".to_owned()), "{:?}", bench.heard());
}

#[test]
fn a_session_that_another_request_has_is_waited_for_and_then_given_up() {
    let mut bench = locking(0.1);
    bench.scripts_say(&[":0"; 20]);
    match bench.read("abc") {
        Err(Trouble::Locked(waited)) => assert_eq!(waited, Duration::from_millis(100)),
        other => panic!("{other:?}"),
    }
    assert!((0.1..0.12).contains(&bench.seconds()), "{}", bench.seconds());
    assert!((4..10).contains(&bench.scripts()), "{:?}", bench.heard());
    assert!(!bench.heard().iter().any(|line| line.starts_with("GET")), "{:?}", bench.heard());
}

#[test]
fn the_wait_for_a_lock_ends_when_it_is_had_or_when_it_is_told_to() {
    let mut bench = locking(30.0);
    bench.scripts_say(&[":0", ":0", ":1"]);
    assert_eq!(bench.read("abc").unwrap(), "");
    assert_eq!(bench.scripts(), 3);
    let mut bench = locking(30.0);
    bench.scripts_say(&[":0"]);
    STOPS.set(true);
    assert!(matches!(bench.read("abc"), Err(Trouble::Interrupted)));
    STOPS.set(false);
    assert_eq!(bench.scripts(), 1);
}

#[test]
fn a_lock_whose_reply_is_lost_is_asked_for_again_with_the_same_token() {
    let mut bench = locking(1.0);
    bench.network.server(1, |server| server.faults.push_back(("EVAL".to_owned(), Fault::CloseBefore)));
    bench.scripts_say(&[":1"]);
    bench.read("abc").unwrap();
    let tokens: Vec<String> = bench
        .heard()
        .iter()
        .filter(|line| line.starts_with("EVAL"))
        .filter_map(|line| line.rsplit(' ').nth(1))
        .map(str::to_owned)
        .collect();
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(tokens[0].len(), 32, "{tokens:?}");
}

#[test]
fn a_session_under_lock_is_written_by_the_script_that_looks_at_the_lock() {
    let mut bench = locking(1.0);
    bench.scripts_say(&[":1", ":1", ":1"]);
    bench.read("abc").unwrap();
    bench.write("abc", "data").unwrap();
    bench.store.close(&mut bench.desk).unwrap();
    let heard = bench.heard();
    assert_eq!(bench.scripts(), 3, "{heard:?}");
    assert!(heard.iter().any(|line| line.contains(" 2 {abc}:lock abc ")), "{heard:?}");
    assert!(!heard.iter().any(|line| line.starts_with("SET")), "{heard:?}");
}

#[test]
fn a_lock_that_another_request_has_taken_over_forbids_the_write() {
    let mut bench = locking(1.0);
    bench.scripts_say(&[":1", ":0"]);
    bench.read("abc").unwrap();
    assert!(matches!(bench.write("abc", "data"), Err(Trouble::LockLost)));
}

#[test]
fn a_lock_that_is_gone_allows_the_write_only_where_nothing_has_changed() {
    for (reply, written) in [(":1", true), (":0", false)] {
        let mut bench = locking(1.0);
        bench.network.server(1, |server| server.data.insert("abc".into(), "before".into()));
        bench.scripts_say(&[":1", ":-1", reply]);
        assert_eq!(bench.read("abc").unwrap(), "before");
        assert_eq!(bench.write("abc", "data").is_ok(), written, "{reply}");
        let last = bench.heard().pop().unwrap();
        assert!(last.ends_with(" data 1440 before"), "{last}");
    }
}

#[test]
fn a_session_that_has_not_changed_is_kept_alive_and_written_if_it_is_gone() {
    let mut bench = bench(&[]);
    bench.network.server(1, |server| server.faults.push_back(("EXPIRE".to_owned(), Fault::Say(b":1\r\n".to_vec()))));
    bench.store.touch(&mut bench.desk, b"abc", b"data", 1440).unwrap();
    assert!(!bench.heard().iter().any(|line| line.starts_with("SET")), "{:?}", bench.heard());
    bench.network.server(1, |server| server.faults.push_back(("EXPIRE".to_owned(), Fault::Say(b":0\r\n".to_vec()))));
    bench.store.touch(&mut bench.desk, b"abc", b"data", 1440).unwrap();
    assert!(bench.heard().contains(&"SET abc data EX 1440".to_owned()), "{:?}", bench.heard());
}

#[test]
fn the_lock_of_a_session_stands_in_the_slot_of_the_session() {
    assert_eq!(super::lock::key_of(b"abc"), b"{abc}:lock");
    assert_eq!(super::lock::key_of(b"{tenant}abc"), b"{tenant}abc:lock");
    // Braces around nothing are no tag.
    assert_eq!(super::lock::key_of(b"a{}c"), b"{a{}c}:lock");
}
