//! The network between the client and the small servers, and the script of what befalls them.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::super::{Interest, Lookup, Network, Patience, Pollable, Quiet, SocketOptions, Transport, Waiter};
use super::publishing;
use super::server::{Reaction, Server, Session};
use crate::config::NodeAddress;
use crate::resp::{Limits, Space, decode_all};
use crate::time::{Clock, FakeClock, Instant};

type Happening = Box<dyn FnOnce(&mut State) + Send>;

/// The network. Clones are handles to the same one.
#[derive(Clone)]
pub struct ScriptedNetwork {
    state: Arc<Mutex<State>>,
    /// The clock that waits turn.
    pub clock: Arc<FakeClock>,
}

/// Everything that there is.
#[derive(Default)]
pub struct State {
    nodes: HashMap<NodeAddress, Node>,
    names: HashMap<String, Vec<IpAddr>>,
    /// Addresses at which every new connection leads to the next of some nodes.
    virtual_addresses: HashMap<NodeAddress, VecDeque<NodeAddress>>,
    lookups: HashMap<String, usize>,
    /// How long a lookup takes; without end if nobody answers.
    pub names_take: Option<Duration>,
    pipes: Vec<Pipe>,
    /// Those of the pipes in which something may still happen: a long test leaves many behind.
    open: Vec<usize>,
    script: Vec<(Instant, Happening)>,
    now: Instant,
    /// How long a reply takes.
    pub latency: Duration,
    /// The most that one send takes, to cut frames in parts.
    pub send_limit: Option<usize>,
    /// The most bytes of replies that may wait to be received before a connection takes nothing more.
    pub buffer: Option<usize>,
}

#[derive(Default)]
struct Node {
    server: Server,
    refuses: bool,
    unreachable: bool,
    frozen: bool,
    dialed: usize,
}

/// One connection.
struct Pipe {
    node: NodeAddress,
    connected: Result<bool, ErrorKind>,
    arrived: Vec<u8>,
    session: Session,
    leaving: Vec<(Instant, Vec<u8>)>,
    /// Closed, whatever was still on its way.
    closed: bool,
    /// When the end arrives of what the server sent before it closed.
    end_at: Option<Instant>,
    undelivered: usize,
    /// Whether the kernel takes nothing more, since the peer does not either.
    stuffed: bool,
    /// The client has let go of it; what had arrived is executed all the same.
    abandoned: bool,
}

impl Pipe {
    fn is_closed_by_server(&self) -> bool {
        self.closed || self.end_at.is_some()
    }

    /// Whether everything has arrived that ever will.
    fn is_at_end(&self, now: Instant) -> bool {
        let empty = self.leaving.iter().all(|(_, bytes)| bytes.is_empty());
        self.closed || (empty && self.end_at.is_some_and(|at| at <= now))
    }
}

impl ScriptedNetwork {
    /// A network of the given servers on 10.0.0.1 ports 1, 2 and so on.
    pub fn of(servers: Vec<Server>) -> ScriptedNetwork {
        let mut state =
            State { latency: Duration::from_micros(100), names_take: Some(Duration::ZERO), ..State::default() };
        for (index, server) in servers.into_iter().enumerate() {
            state.nodes.insert(node(index + 1), Node { server, ..Node::default() });
        }
        ScriptedNetwork { state: Arc::new(Mutex::new(state)), clock: Arc::new(FakeClock::default()) }
    }

    /// Does something to the network now.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        state.now = self.clock.now();
        change(&mut state)
    }

    /// Has something done to the network when the clock is at `delay` from now.
    pub fn after(&self, delay: Duration, change: impl FnOnce(&mut State) + Send + 'static) {
        let at = self.clock.now() + delay;
        self.state.lock().script.push((at, Box::new(change)));
    }

    /// Looks at the server of node number `index`.
    pub fn server<R>(&self, index: usize, look: impl FnOnce(&mut Server) -> R) -> R {
        self.change(|state| look(state.server(index)))
    }

    /// How many connections to node number `index` were begun.
    pub fn dialed(&self, index: usize) -> usize {
        self.change(|state| state.nodes[&node(index)].dialed)
    }

    /// Every address that was dialled and is none of this network's servers, and every name that was asked for.
    pub fn led_astray(&self) -> Vec<String> {
        self.change(|state| {
            let is_ours = |node: &NodeAddress| matches!(node, NodeAddress::Tcp { host, .. } if **host == *"10.0.0.1");
            let dialled = state.nodes.iter().filter(|(address, node)| node.dialed > 0 && !is_ours(address));
            let mut astray: Vec<String> = dialled.map(|(address, _)| address.to_string()).collect();
            astray.extend(state.lookups.keys().cloned());
            astray
        })
    }

    /// How many lookups of a name were begun.
    pub fn lookups(&self, name: &str) -> usize {
        self.change(|state| state.lookups.get(name).copied().unwrap_or(0))
    }

    fn turn_to(&self, instant: Instant) {
        self.clock.advance_to(instant);
        self.settle();
    }

    /// Lets everything happen that is due.
    fn settle(&self) {
        let mut state = self.state.lock();
        let now = self.clock.now();
        while let Some(index) = (0..state.script.len())
            .filter(|index| state.script[*index].0 <= now)
            .min_by_key(|index| state.script[*index].0)
        {
            let (at, happening) = state.script.remove(index);
            state.now = at;
            happening(&mut state);
        }
        state.now = now;
        state.serve();
    }

    /// The next instant at which something happens by itself.
    fn next_happening(&self) -> Option<Instant> {
        let state = self.state.lock();
        let now = self.clock.now();
        let open = || state.open.iter().map(|token| &state.pipes[*token]);
        let replies = open().flat_map(|pipe| pipe.leaving.iter().map(|(at, _)| *at)).filter(|at| *at > now);
        let ends = open().filter_map(|pipe| pipe.end_at).filter(|at| *at > now);
        state.script.iter().map(|(at, _)| *at).chain(replies).chain(ends).min()
    }
}

/// The address of node number `index`.
pub fn node(index: usize) -> NodeAddress {
    NodeAddress::tcp("10.0.0.1", u16::try_from(index).unwrap())
}

impl State {
    /// The server of node number `index`.
    pub fn server(&mut self, index: usize) -> &mut Server {
        &mut self.nodes.get_mut(&node(index)).expect("a node of this network").server
    }

    /// The process ends: connections are closed, new ones refused.
    pub fn kill(&mut self, index: usize) {
        self.nodes.get_mut(&node(index)).unwrap().refuses = true;
        self.close_all(index);
    }

    /// New connections are refused; what is on its way still arrives.
    pub fn refuse(&mut self, index: usize) {
        self.nodes.get_mut(&node(index)).unwrap().refuses = true;
    }

    /// The process is back.
    pub fn restart(&mut self, index: usize) {
        self.nodes.get_mut(&node(index)).unwrap().refuses = false;
    }

    /// The process stops (or goes on): the kernel still accepts connections, nobody answers.
    pub fn freeze(&mut self, index: usize, frozen: bool) {
        self.nodes.get_mut(&node(index)).unwrap().frozen = frozen;
    }

    /// Packets to the node vanish: connects never end.
    pub fn cut_off(&mut self, index: usize) {
        let node = self.nodes.get_mut(&node(index)).unwrap();
        node.unreachable = true;
        node.frozen = true;
    }

    /// The server has stopped to receive, and the kernel's room for it is used up: on all connections that are open.
    pub fn stuff(&mut self, index: usize) {
        self.freeze(index, true);
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index)) {
            pipe.stuffed = true;
        }
    }

    /// The server closes all its connections.
    pub fn close_all(&mut self, index: usize) {
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index)) {
            pipe.closed = true;
        }
    }

    /// Replies that are on their way never arrive.
    pub fn drop_replies(&mut self, index: usize) {
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index)) {
            pipe.leaving.clear();
        }
    }

    /// The server pushes bytes into all its connections.
    pub fn say_unasked(&mut self, index: usize, bytes: &[u8]) {
        let now = self.now;
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index)) {
            pipe.leaving.push((now, bytes.to_vec()));
        }
    }

    /// The server publishes a message to whoever is subscribed.
    pub fn publish(&mut self, index: usize, channel: &str, payload: &str) {
        let now = self.now;
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index) && !pipe.closed) {
            let message = publishing::message(&pipe.session, channel, payload);
            pipe.leaving.extend(message.map(|bytes| (now, bytes)));
        }
    }

    /// The server shows a command to whoever sees all of them.
    pub fn show(&mut self, index: usize, line: &str) {
        let now = self.now;
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.node == node(index) && pipe.session.monitors) {
            pipe.leaving.push((now, format!("+{line}\r\n").into_bytes()));
        }
    }

    /// The addresses that a name resolves to; none means that it does not resolve.
    pub fn name(&mut self, name: &str, addresses: &[&str]) {
        self.names.insert(name.to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect());
    }

    /// Puts an address before nodes: every new connection leads to the next of them.
    pub fn put_before(&mut self, address: &NodeAddress, nodes: &[usize]) {
        self.virtual_addresses.insert(address.clone(), nodes.iter().map(|index| node(*index)).collect());
    }

    fn forget_abandoned(&mut self) {
        let pipes = &self.pipes;
        self.open.retain(|token| !pipes[*token].abandoned || !pipes[*token].arrived.is_empty());
    }

    fn is_full(&self, pipe: &Pipe) -> bool {
        pipe.stuffed
            || self.buffer.is_some_and(|most| pipe.leaving.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() >= most)
    }

    fn serve(&mut self) {
        for token in &self.open {
            let pipe = &mut self.pipes[*token];
            let node = self.nodes.get_mut(&pipe.node).expect("pipes lead to nodes");
            while !node.frozen && !pipe.is_closed_by_server() {
                let Some(length) = command_length(&pipe.arrived) else { break };
                let frame: Vec<u8> = pipe.arrived.drain(..length).collect();
                let at = self.now + self.latency;
                match node.server.react(&words(&frame), &mut pipe.session) {
                    Reaction::Reply(bytes) => pipe.leaving.push((at, bytes)),
                    Reaction::ReplyAndClose(bytes) => {
                        pipe.leaving.push((at, bytes));
                        pipe.end_at = Some(at);
                    }
                    Reaction::ReplyLater(later, bytes) => pipe.leaving.push((at + later, bytes)),
                    Reaction::Nothing => {}
                }
            }
        }
    }
}

fn words(frame: &[u8]) -> Vec<Vec<u8>> {
    match decode_all(frame, Limits::default()).as_deref() {
        Ok([redis::Value::Array(words)]) => words
            .iter()
            .map(|word| match word {
                redis::Value::BulkString(bytes) => bytes.clone(),
                other => panic!("a command has no {other:?}"),
            })
            .collect(),
        other => panic!("no command: {other:?}"),
    }
}

/// How many bytes the first whole command takes.
fn command_length(bytes: &[u8]) -> Option<usize> {
    (1..=bytes.len()).find(|length| {
        bytes[..*length].ends_with(b"\r\n")
            && decode_all(&bytes[..*length], Limits::default()).is_ok_and(|all| all.len() == 1)
    })
}

impl Network for ScriptedNetwork {
    fn dial(&self, address: &NodeAddress, options: SocketOptions) -> io::Result<Box<dyn Transport>> {
        self.settle();
        let mut state = self.state.lock();
        let behind = state.virtual_addresses.get_mut(address).map(|nodes| {
            nodes.rotate_left(1);
            nodes[nodes.len() - 1].clone()
        });
        let address = behind.as_ref().unwrap_or(address);
        let node = state.nodes.entry(address.clone()).or_insert_with(|| Node { refuses: true, ..Node::default() });
        node.dialed += 1;
        let connected = match (node.unreachable, node.refuses) {
            (true, _) => Ok(false),
            (_, true) => Err(ErrorKind::ConnectionRefused),
            _ => Ok(true),
        };
        let pipe = Pipe {
            node: address.clone(),
            connected,
            arrived: Vec::new(),
            session: Session::default(),
            leaving: Vec::new(),
            closed: false,
            end_at: None,
            undelivered: 0,
            stuffed: false,
            abandoned: false,
        };
        state.pipes.push(pipe);
        let token = state.pipes.len() - 1;
        state.open.push(token);
        Ok(Box::new(ScriptedTransport { network: self.clone(), token, brief: options.brief }))
    }

    fn lookup(&self, host: &str) -> io::Result<Box<dyn Lookup>> {
        self.settle();
        *self.state.lock().lookups.entry(host.to_owned()).or_default() += 1;
        Ok(Box::new(ScriptedLookup { network: self.clone(), host: host.to_owned(), asked_at: None, due: None }))
    }

    fn wait(&self, waiters: &mut [Waiter<'_>], timeout: Option<Duration>) -> io::Result<()> {
        let end = timeout.map(|timeout| self.clock.now() + timeout);
        loop {
            self.settle();
            for waiter in waiters.iter_mut() {
                waiter.ready = self.is_ready(waiter.what.token(), waiter.interest);
            }
            if waiters.iter().any(|waiter| waiter.ready) || end.is_some_and(|end| self.clock.now() >= end) {
                return Ok(());
            }
            match (self.next_happening(), end) {
                (Some(next), Some(end)) => self.turn_to(next.min(end)),
                (Some(only), None) | (None, Some(only)) => self.turn_to(only),
                (None, None) => panic!("this wait would never end"),
            }
        }
    }

    fn wait_word(&self, word: &AtomicU32, seen: u32, limit: Duration) {
        let end = self.clock.now() + limit;
        self.settle();
        while word.load(Ordering::Acquire) == seen && self.clock.now() < end {
            self.turn_to(self.next_happening().map_or(end, |next| next.min(end)));
        }
    }
}

impl ScriptedNetwork {
    fn is_ready(&self, token: usize, interest: Interest) -> bool {
        let state = self.state.lock();
        let pipe = &state.pipes[token];
        let now = self.clock.now();
        let readable = pipe.is_at_end(now) || pipe.leaving.iter().any(|(at, bytes)| *at <= now && !bytes.is_empty());
        let writable = pipe.connected != Ok(false) && !state.is_full(pipe);
        match interest {
            Interest::Write => writable,
            Interest::Read => readable,
            Interest::Either => readable || writable,
        }
    }
}

struct ScriptedTransport {
    network: ScriptedNetwork,
    token: usize,
    brief: Duration,
}

impl Pollable for ScriptedTransport {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn token(&self) -> usize {
        self.token
    }
}

impl Transport for ScriptedTransport {
    fn finish_connect(&mut self) -> io::Result<()> {
        match self.network.state.lock().pipes[self.token].connected {
            Ok(true) => Ok(()),
            Ok(false) => Err(ErrorKind::WouldBlock.into()),
            Err(kind) => Err(kind.into()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = {
            let mut state = self.network.state.lock();
            if state.is_full(&state.pipes[self.token]) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let count = state.send_limit.map_or(bytes.len(), |limit| limit.min(bytes.len()));
            let pipe = &mut state.pipes[self.token];
            if pipe.is_closed_by_server() {
                // The kernel takes the first write after the peer's FIN; the peer answers it with a reset.
                if pipe.undelivered > 0 {
                    return Err(ErrorKind::BrokenPipe.into());
                }
                pipe.undelivered = count;
                return Ok(count);
            }
            pipe.arrived.extend_from_slice(&bytes[..count]);
            count
        };
        self.network.settle();
        Ok(count)
    }

    fn receive(&mut self, mut space: Space<'_>, patience: Patience) -> io::Result<usize> {
        if patience == Patience::Brief {
            let mut waiters = [Waiter { what: &*self, interest: Interest::Read, ready: false }];
            self.network.wait(&mut waiters, Some(self.brief))?;
        }
        self.network.settle();
        let mut state = self.network.state.lock();
        let pipe = &mut state.pipes[self.token];
        let now = self.network.clock.now();
        let Some(index) = pipe.leaving.iter().position(|(at, bytes)| *at <= now && !bytes.is_empty()) else {
            return if pipe.is_at_end(now) { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        };
        let bytes = &mut pipe.leaving[index].1;
        let count = bytes.len().min(space.len());
        for (slot, byte) in bytes.drain(..count).enumerate() {
            match &mut space {
                Space::Used(room) => room[slot] = byte,
                Space::Fresh(room) => {
                    room[slot].write(byte);
                }
            }
        }
        pipe.leaving.retain(|(_, bytes)| !bytes.is_empty());
        Ok(count)
    }

    fn undelivered(&self) -> usize {
        // What was sent into a pipe that had been closed was dropped before the server saw it.
        self.network.state.lock().pipes[self.token].undelivered
    }

    fn peek(&mut self) -> Quiet {
        self.network.settle();
        let state = self.network.state.lock();
        let pipe = &state.pipes[self.token];
        let now = self.network.clock.now();
        match (pipe.is_at_end(now), pipe.leaving.iter().any(|(at, bytes)| *at <= now && !bytes.is_empty())) {
            (_, true) => Quiet::Bytes,
            (true, false) => Quiet::Closed,
            (false, false) => Quiet::Yes,
        }
    }
}

impl Drop for ScriptedTransport {
    fn drop(&mut self) {
        let mut state = self.network.state.lock();
        state.pipes[self.token].abandoned = true;
        state.forget_abandoned();
    }
}

struct ScriptedLookup {
    network: ScriptedNetwork,
    host: String,
    asked_at: Option<Instant>,
    due: Option<Instant>,
}

impl Lookup for ScriptedLookup {
    fn step(&mut self, now: Instant) -> Option<io::Result<Vec<IpAddr>>> {
        let state = self.network.state.lock();
        let asked_at = *self.asked_at.get_or_insert(now);
        // Without an answer it would like to ask again at some time, as the real one does.
        let answer_at = state.names_take.map(|time| asked_at + time);
        self.due = Some(answer_at.unwrap_or(now + Duration::from_secs(1)));
        if answer_at.is_none_or(|at| now < at) {
            return None;
        }
        let addresses = state.names.get(&self.host).cloned().unwrap_or_default();
        let missing = || io::Error::other("the name does not exist");
        Some(if addresses.is_empty() { Err(missing()) } else { Ok(addresses) })
    }

    fn awaited(&self) -> Vec<(&dyn Pollable, Interest)> {
        Vec::new()
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}
