//! A name being resolved by the name servers: candidates in turn, each on its course, each question on its socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::connection::{Interest, Lookup, Pollable};
use crate::time::Instant;

use super::course::{Course, End, Packet};
use super::exchange::Exchange;
use super::message::{Kind, Reply};
use super::route::usable;
use super::settings::Settings;
use super::shunned::Shunned;

/// The sockets close when it is dropped.
pub struct StubLookup {
    settings: Arc<Settings>,
    shunned: Arc<Shunned>,
    /// Which server would be the first to be asked.
    first: usize,
    candidates: std::vec::IntoIter<String>,
    /// Why a candidate before was not answered.
    trouble: Option<String>,
    is_there: bool,
    current: Option<Current>,
}

/// The candidate that is asked for.
struct Current {
    name: String,
    servers: Vec<SocketAddr>,
    use_tcp: bool,
    course: Course,
    exchanges: Vec<Exchange>,
}

impl StubLookup {
    /// Will ask for the candidates in turn until one exists. Sends nothing before the first step.
    pub fn new(settings: Arc<Settings>, shunned: Arc<Shunned>, first: usize, candidates: Vec<String>) -> StubLookup {
        let candidates = candidates.into_iter();
        StubLookup { settings, shunned, first, candidates, trouble: None, is_there: false, current: None }
    }

    fn begin(&self, name: String, now: Instant) -> Current {
        let servers = self.shunned.order(&self.settings.servers, self.first, now);
        let kinds: &[Kind] = if self.settings.no_aaaa { &[Kind::A] } else { &[Kind::A, Kind::Aaaa] };
        let (course, first) = Course::begin(kinds, servers.len(), self.settings.patience, now);
        let mut current = Current { name, servers, use_tcp: self.settings.use_tcp, course, exchanges: Vec::new() };
        current.send(first, now);
        current
    }

    /// What a candidate has come to: the end of the lookup, or nothing if the next candidate is to be asked for.
    fn judge(&mut self, end: End) -> Option<io::Result<Vec<IpAddr>>> {
        match end {
            End::Found(addresses) => return Some(Ok(usable(addresses))),
            End::NoName => {}
            End::NoAddress => self.is_there = true,
            End::Trouble(text) => self.trouble = Some(text),
            // The servers are away: the next candidate would wait for them as long.
            End::Silence => {
                let servers: Vec<String> = self.settings.servers.iter().map(ToString::to_string).collect();
                let text = format!("no name server has answered ({})", servers.join(", "));
                return Some(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
        }
        None
    }

    fn failure(&mut self) -> io::Error {
        match self.trouble.take() {
            Some(text) => io::Error::other(format!("the name servers cannot answer: {text}")),
            None if self.is_there => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            None => io::Error::new(io::ErrorKind::NotFound, "the name does not exist"),
        }
    }
}

impl Lookup for StubLookup {
    fn step(&mut self, now: Instant) -> Option<io::Result<Vec<IpAddr>>> {
        loop {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => match self.candidates.next() {
                    Some(name) => self.begin(name, now),
                    None => return Some(Err(self.failure())),
                },
            };
            current.step(now);
            let Some(end) = current.course.end(now) else {
                self.current = Some(current);
                return None;
            };
            if end != End::Silence {
                let silent = (0..current.servers.len()).filter(|server| current.course.is_silent(*server, now));
                silent.for_each(|server| self.shunned.add(current.servers[server], now));
            }
            if let Some(end) = self.judge(end) {
                return Some(end);
            }
        }
    }

    fn awaited(&self) -> Vec<(&dyn Pollable, Interest)> {
        let exchanges = self.current.iter().flat_map(|current| &current.exchanges);
        exchanges.map(|exchange| (exchange as &dyn Pollable, exchange.interest())).collect()
    }

    fn due(&self) -> Option<Instant> {
        self.current.as_ref().map(|current| current.course.due())
    }
}

impl Current {
    fn step(&mut self, now: Instant) {
        let mut index = 0;
        while index < self.exchanges.len() {
            let exchange = &mut self.exchanges[index];
            let (server, kind) = (exchange.server, exchange.kind);
            match exchange.receive(&self.name) {
                Ok(None) => {
                    index += 1;
                    continue;
                }
                // The place is taken by the last one, which is looked at next.
                Ok(Some(reply)) => {
                    self.exchanges.swap_remove(index);
                    self.hear(server, kind, reply, now);
                }
                Err(error) => {
                    self.exchanges.swap_remove(index);
                    self.hear(server, kind, trouble(&error), now);
                }
            }
        }
        let again = self.course.turn(now);
        self.send(again, now);
        // What nobody waits for any more need not be received.
        let course = &self.course;
        self.exchanges.retain(|exchange| course.is_open(exchange.kind));
    }

    fn hear(&mut self, server: usize, kind: Kind, reply: Reply, now: Instant) {
        if reply == Reply::Truncated {
            return self.ask((server, kind), true, now);
        }
        let reply = match reply {
            Reply::Trouble(text) => Reply::Trouble(format!("{} says {text}", self.servers[server])),
            other => other,
        };
        let next = self.course.hear(server, kind, reply, now);
        self.send(next, now);
    }

    fn send(&mut self, sends: impl IntoIterator<Item = Packet>, now: Instant) {
        for send in sends {
            self.ask(send, self.use_tcp, now);
        }
    }

    fn ask(&mut self, (server, kind): Packet, by_stream: bool, now: Instant) {
        let open = self.exchanges.iter().position(|exchange| exchange.server == server && exchange.kind == kind);
        let asked = match open {
            Some(index) => {
                let again = self.exchanges[index].send_again();
                if again.is_err() {
                    self.exchanges.swap_remove(index);
                }
                again
            }
            None => {
                let address = self.servers[server];
                let begin = if by_stream { Exchange::by_stream } else { Exchange::by_datagram };
                begin(server, address, &self.name, kind).map(|exchange| self.exchanges.push(exchange))
            }
        };
        if let Err(error) = asked {
            self.hear(server, kind, trouble(&error), now);
        }
    }
}

fn trouble(error: &io::Error) -> Reply {
    Reply::Trouble(error.to_string())
}

#[cfg(test)]
#[path = "stub_tests.rs"]
mod tests;
