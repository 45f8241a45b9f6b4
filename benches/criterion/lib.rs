//! What the benches share: a network on which everything is answered at once, without a socket or a system call.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use redis::Value;
use resilient_redis::board::Board;
use resilient_redis::client::{Client, World};
use resilient_redis::command::SLOTS;
use resilient_redis::config::{Defaults, NodeAddress, Setting, configure};
use resilient_redis::connection::{
    Interest, Lookup, Network, Patience, Pollable, Quiet, SocketOptions, Transport, Waiter,
};
use resilient_redis::pool::Registry;
use resilient_redis::resp::Space;
use resilient_redis::time::SystemClock;

/// A network whose only server is a primary that answers every command alike, once it is greeted.
pub struct Answering {
    reply: Arc<[u8]>,
}

impl Answering {
    /// Answers all commands with these bytes.
    pub fn with(reply: &[u8]) -> Answering {
        Answering { reply: reply.into() }
    }

    /// A client before this network.
    pub fn client(self) -> Client {
        let world = World {
            network: Box::new(self),
            clock: Box::new(SystemClock),
            registry: Registry::new(Arc::new(Board::alone())),
            is_ending: || false,
            is_interrupted: || false,
        };
        let parameters = Setting::Text("tcp://10.0.0.1:6379".to_owned());
        let options = Setting::Map(Vec::new());
        let configuration = configure(&parameters, &options, &Defaults::default()).expect("options that are right");
        Client::new(Arc::new(world), configuration)
    }
}

impl Network for Answering {
    fn dial(&self, _: &NodeAddress, _: SocketOptions) -> io::Result<Box<dyn Transport>> {
        Ok(Box::new(Stream { reply: self.reply.clone(), arrived: Vec::new(), taken: 0 }))
    }

    fn lookup(&self, _: &str) -> io::Result<Box<dyn Lookup>> {
        Err(io::Error::from(ErrorKind::Unsupported))
    }

    fn wait(&self, waiters: &mut [Waiter<'_>], _: Option<Duration>) -> io::Result<()> {
        for waiter in waiters {
            waiter.ready = waiter.interest != Interest::Read;
        }
        Ok(())
    }

    fn wait_word(&self, _: &AtomicU32, _: u32, _: Duration) {}
}

/// A connection to the server.
struct Stream {
    reply: Arc<[u8]>,
    arrived: Vec<u8>,
    taken: usize,
}

impl Stream {
    fn greet(&mut self, bytes: &[u8]) {
        let info = b"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
        let commands = bytes.split(|byte| *byte == b'*').skip(1);
        for command in commands {
            let command = String::from_utf8_lossy(command);
            let answer = match command.split("\r\n").nth(2) {
                Some("HELLO") => b"*4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n".to_vec(),
                Some("INFO") => [format!("${}\r\n", info.len()).as_bytes(), info, b"\r\n"].concat(),
                _ => b"+OK\r\n".to_vec(),
            };
            self.arrived.extend_from_slice(&answer);
        }
    }
}

impl Pollable for Stream {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn token(&self) -> usize {
        0
    }
}

impl Transport for Stream {
    fn finish_connect(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken == self.arrived.len() {
            self.arrived.clear();
            self.taken = 0;
        }
        if bytes.windows(5).any(|word| word == b"HELLO") {
            self.greet(bytes);
        } else {
            self.arrived.extend_from_slice(&self.reply);
        }
        Ok(bytes.len())
    }

    fn receive(&mut self, space: Space<'_>, _: Patience) -> io::Result<usize> {
        let count = space.len().min(self.arrived.len() - self.taken);
        if count == 0 {
            return Err(io::Error::from(ErrorKind::WouldBlock));
        }
        let bytes = &self.arrived[self.taken..self.taken + count];
        match space {
            Space::Used(room) => room[..count].copy_from_slice(bytes),
            Space::Fresh(room) => {
                for (place, byte) in room.iter_mut().zip(bytes) {
                    place.write(*byte);
                }
            }
        }
        self.taken += count;
        Ok(count)
    }

    fn undelivered(&self) -> usize {
        0
    }

    fn peek(&mut self) -> Quiet {
        Quiet::Yes
    }
}

/// The reply to `CLUSTER SLOTS` of a cluster with so many primaries, each with one range of slots.
pub fn cluster_slots(nodes: usize) -> Value {
    let range = |index: usize| {
        let bounds = [index * SLOTS / nodes, (index + 1) * SLOTS / nodes - 1];
        let [first, last] = bounds.map(|slot| Value::Int(i64::try_from(slot).expect("a slot")));
        let host = format!("10.0.{}.{}", index / 250, index % 250 + 1);
        let node = Value::Array(vec![Value::BulkString(host.into_bytes()), Value::Int(6379)]);
        Value::Array(vec![first, last, node])
    };
    Value::Array((0..nodes).map(range).collect())
}
