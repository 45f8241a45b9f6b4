use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::connection::{Network, SystemNetwork, Waiter};
use crate::time::{Clock, SystemClock};

/// What a server answers to a question that came so often before; nothing, if it is to stay silent.
type Answers = dyn Fn(&[u8], usize) -> Option<Vec<u8>> + Send + Sync;

/// A small name server on loopback.
struct NameServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    fn new(udp: impl Fn(&[u8], usize) -> Option<Vec<u8>> + Send + Sync + 'static) -> NameServer {
        NameServer::with_tcp(udp, |_, _| None)
    }

    fn with_tcp(
        udp: impl Fn(&[u8], usize) -> Option<Vec<u8>> + Send + Sync + 'static,
        tcp: impl Fn(&[u8], usize) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> NameServer {
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
                break (listener, socket);
            }
        };
        let address = socket.local_addr().unwrap();
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let udp: Box<Answers> = Box::new(udp);
        let tcp: Box<Answers> = Box::new(tcp);
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let threads = vec![
            spawn(&stop, &heard, move |heard| {
                let mut room = [0; 600];
                let Ok((count, peer)) = socket.recv_from(&mut room) else { return };
                if let Some(answer) = udp(&room[..count], note(heard, &room[..count])) {
                    socket.send_to(&answer, peer).unwrap();
                }
            }),
            spawn(&stop, &heard, move |heard| {
                let Ok((mut peer, _)) = listener.accept() else { return std::thread::sleep(Duration::from_millis(1)) };
                peer.set_nonblocking(false).unwrap();
                let mut length = [0; 2];
                peer.read_exact(&mut length).unwrap();
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                peer.read_exact(&mut question).unwrap();
                if let Some(answer) = tcp(&question, note(heard, &question)) {
                    // In two parts, so that whoever reads has to put it together.
                    let bytes = [&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat();
                    peer.write_all(&bytes[..bytes.len() / 2]).unwrap();
                    peer.flush().unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                    let _ = peer.write_all(&bytes[bytes.len() / 2..]);
                }
            }),
        ];
        NameServer { address, stop, heard, threads }
    }

    fn heard(&self) -> usize {
        self.heard.lock().len()
    }
}

fn note(heard: &Mutex<Vec<Vec<u8>>>, question: &[u8]) -> usize {
    let mut heard = heard.lock();
    heard.push(question.to_vec());
    heard.len() - 1
}

fn spawn(
    stop: &Arc<AtomicBool>,
    heard: &Arc<Mutex<Vec<Vec<u8>>>>,
    turn: impl Fn(&Mutex<Vec<Vec<u8>>>) + Send + 'static,
) -> JoinHandle<()> {
    let (stop, heard) = (stop.clone(), heard.clone());
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            turn(&heard);
        }
    })
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the name server of the test failed");
        }
    }
}

/// The answer to a question for A records with the address 10.0.0.`last`; no address of other kinds.
fn answer(question: &[u8], last: u8) -> Vec<u8> {
    let mut bytes = coded(question, 0);
    let is_a = question[question.len() - 3] == 1;
    if is_a {
        bytes[7] = 1;
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, last]);
    }
    bytes
}

/// An answer without records.
fn coded(question: &[u8], code: u8) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2] |= 0x80;
    bytes[3] = 0x80 | code;
    bytes
}

fn truncated(question: &[u8]) -> Vec<u8> {
    let mut bytes = coded(question, 0);
    bytes[2] |= 0x02;
    bytes
}

fn settings(servers: &[SocketAddr]) -> Settings {
    let environment = super::super::settings::Environment::default();
    Settings { servers: servers.to_vec(), ..Settings::parse("", "", &environment) }
}

fn lookup(settings: &Settings, names: &[&str]) -> StubLookup {
    lookup_knowing(settings, &Arc::default(), names)
}

fn lookup_knowing(settings: &Settings, shunned: &Arc<Shunned>, names: &[&str]) -> StubLookup {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    StubLookup::new(Arc::new(settings.clone()), shunned.clone(), 0, names)
}

/// Drives a lookup as a search does.
fn finish(mut lookup: StubLookup) -> Result<Vec<String>, String> {
    let started = SystemClock.now();
    loop {
        if let Some(answer) = lookup.step(SystemClock.now()) {
            let texts = |addresses: Vec<IpAddr>| addresses.iter().map(ToString::to_string).collect();
            return answer.map(texts).map_err(|error| error.to_string());
        }
        assert!(SystemClock.now().since(started) < Duration::from_secs(20), "the lookup does not end");
        let timeout = lookup.due().unwrap().since(SystemClock.now());
        let mut waiters: Vec<Waiter<'_>> =
            lookup.awaited().into_iter().map(|(what, interest)| Waiter { what, interest, ready: false }).collect();
        SystemNetwork::default().wait(&mut waiters, Some(timeout)).unwrap();
    }
}

#[test]
fn a_name_costs_two_questions_and_two_answers() {
    let server = NameServer::new(|question, _| Some(answer(question, 1)));
    assert_eq!(finish(lookup(&settings(&[server.address]), &["redis.example"])), Ok(vec!["10.0.0.1".to_owned()]));
    assert_eq!(server.heard(), 2);
    assert!(finish(lookup(&settings(&[server.address]), &["redis.example"])).is_ok());
    let numbers: Vec<Vec<u8>> = server.heard.lock().iter().map(|question| question[..2].to_vec()).collect();
    assert!(numbers.iter().any(|number| *number != numbers[0]), "not drawn: {numbers:?}");
}

#[test]
fn where_ipv6_is_not_wanted_only_half_is_asked() {
    let server = NameServer::new(|question, _| Some(answer(question, 1)));
    let settings = Settings { no_aaaa: true, ..settings(&[server.address]) };
    assert!(finish(lookup(&settings, &["redis.example"])).is_ok());
    assert_eq!(server.heard(), 1);
}

#[test]
fn a_name_that_does_not_exist_is_looked_for_in_the_next_domain() {
    let server = NameServer::new(|question, _| {
        let wanted = question[12..].starts_with(b"\x05redis\x01b");
        Some(if wanted { answer(question, 2) } else { coded(question, 3) })
    });
    let settings = settings(&[server.address]);
    assert_eq!(finish(lookup(&settings, &["redis.a", "redis.b", "redis"])), Ok(vec!["10.0.0.2".to_owned()]));
    assert_eq!(finish(lookup(&settings, &["redis.a", "redis"])), Err("the name does not exist".to_owned()));
    let empty = NameServer::new(|question, _| Some(coded(question, 0)));
    let settings = Settings { servers: vec![empty.address], ..settings };
    assert_eq!(finish(lookup(&settings, &["redis.a", "redis"])), Err("the name has no address".to_owned()));
}

#[test]
fn a_server_in_trouble_costs_no_wait() {
    let broken = NameServer::new(|question, _| Some(coded(question, 2)));
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = NameServer::new(|question, _| Some(answer(question, 3)));
    let started = SystemClock.now();
    let found = finish(lookup(&settings(&[broken.address, closed, good.address]), &["redis.example"]));
    assert_eq!(found, Ok(vec!["10.0.0.3".to_owned()]));
    let took = SystemClock.now().since(started);
    assert!(took < super::super::course::HEDGE, "{took:?}");
    let error = finish(lookup(&settings(&[closed, broken.address]), &["redis.example"])).unwrap_err();
    assert!(error.contains("SERVFAIL"), "{error}");
    let error = finish(lookup(&settings(&[closed]), &["redis.example"])).unwrap_err();
    assert!(error.contains("refused") && error.contains(&closed.to_string()), "{error}");
}

#[test]
fn a_silent_server_costs_a_third_of_a_second_once() {
    let silent = NameServer::new(|_, _| None);
    let good = NameServer::new(|question, _| Some(answer(question, 3)));
    let (settings, shunned) = (settings(&[silent.address, good.address]), Arc::new(Shunned::default()));
    for expected in [4, 4, 4] {
        let found = finish(lookup_knowing(&settings, &shunned, &["redis.example"]));
        assert_eq!(found, Ok(vec!["10.0.0.3".to_owned()]));
        // Nobody waited for it to read what had been sent to it.
        let until = SystemClock.now() + Duration::from_secs(5);
        while silent.heard() < expected && SystemClock.now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(silent.heard(), expected, "two questions, each once again; none in later lookups");
    }
}

#[test]
fn silent_servers_get_a_bounded_number_of_packets() {
    let sockets = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()];
    let servers: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let mut lookup = lookup(&settings(&servers), &["redis.example", "redis.example.lan"]);
    // Nothing waits: the clock is turned to where the lookup wants it, as fast as it goes.
    let mut now = Instant::default();
    let error = loop {
        if let Some(answer) = lookup.step(now) {
            break answer.unwrap_err();
        }
        assert_eq!(lookup.awaited().len(), if now == Instant::default() { 2 } else { 4 }, "sockets in use");
        now = lookup.due().unwrap();
    };
    assert_eq!(now.since(Instant::default()), Duration::from_secs(10));
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let counts = sockets.map(|socket| {
        socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| socket.recv(&mut [0; 600]).ok()).count()
    });
    assert_eq!(counts, [22, 20], "in ten seconds");
}

#[test]
fn a_lost_packet_is_sent_again() {
    let server = NameServer::new(|question, before| (before >= 2).then(|| answer(question, 4)));
    assert_eq!(finish(lookup(&settings(&[server.address]), &["redis.example"])), Ok(vec!["10.0.0.4".to_owned()]));
    assert_eq!(server.heard(), 4);
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let server = NameServer::with_tcp(|question, _| Some(truncated(question)), |question, _| Some(answer(question, 5)));
    assert_eq!(finish(lookup(&settings(&[server.address]), &["redis.example"])), Ok(vec!["10.0.0.5".to_owned()]));
    assert_eq!(server.heard(), 4);
    let settings = Settings { use_tcp: true, ..settings(&[server.address]) };
    assert_eq!(finish(lookup(&settings, &["redis.example"])), Ok(vec!["10.0.0.5".to_owned()]));
    assert_eq!(server.heard(), 6, "over TCP from the start");
}

#[test]
fn a_server_that_misbehaves_over_tcp_is_passed_over() {
    type Tcp = fn(&[u8], usize) -> Option<Vec<u8>>;
    let evil: [Tcp; 4] = [
        |_, _| None,
        |question, _| Some(truncated(question)),
        |question, _| Some([answer(question, 9), vec![0; 20_000]].concat()),
        |question, _| Some(answer(&[&[question[0] ^ 1], &question[1..]].concat(), 9)),
    ];
    let good = NameServer::new(|question, _| Some(answer(question, 6)));
    for tcp in evil {
        let bad = NameServer::with_tcp(|question, _| Some(truncated(question)), tcp);
        let found = finish(lookup(&settings(&[bad.address, good.address]), &["redis.example"]));
        assert_eq!(found, Ok(vec!["10.0.0.6".to_owned()]));
    }
}

#[test]
fn forged_answers_are_passed_over() {
    let forger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut lookup = lookup(&settings(&[socket.local_addr().unwrap()]), &["redis.example"]);
    let now = SystemClock.now();
    assert!(lookup.step(now).is_none());
    let mut room = [0; 600];
    for _ in 0..2 {
        let (count, peer) = socket.recv_from(&mut room).unwrap();
        let question = &room[..count];
        // From elsewhere; with another number; for another name; and no message at all.
        forger.send_to(&answer(question, 66), peer).unwrap();
        socket.send_to(&answer(&[&[question[0] ^ 1], &question[1..]].concat(), 66), peer).unwrap();
        socket.send_to(&answer(&[&question[..13], b"x", &question[14..]].concat(), 66), peer).unwrap();
        socket.send_to(b"nonsense", peer).unwrap();
        assert!(lookup.step(now).is_none());
        socket.send_to(&answer(question, 7), peer).unwrap();
    }
    assert_eq!(finish(lookup), Ok(vec!["10.0.0.7".to_owned()]));
}

#[test]
fn each_question_has_a_port_of_its_own() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = settings(&[socket.local_addr().unwrap()]);
    let ports = |mut lookup: StubLookup| {
        lookup.step(SystemClock.now());
        let port = || socket.recv_from(&mut [0; 600]).unwrap().1.port();
        [port(), port()]
    };
    let (one, two) = (lookup(&settings, &["redis.example"]), lookup(&settings, &["redis.example"]));
    let mut all = [ports(one), ports(two)].concat();
    all.dedup();
    assert!(all.len() >= 3, "{all:?}");
}
