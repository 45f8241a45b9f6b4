//! A server that knows just enough of Redis, and can be told to misbehave.

use std::collections::{HashMap, VecDeque};

use crate::config::NodeAddress;

/// What goes wrong with one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Applied, then the connection is closed without a reply.
    CloseAfter,
    /// Not applied: the connection is closed when the command arrives.
    CloseBefore,
    /// Applied, but no reply ever comes.
    Silence,
    /// Applied, but only the first bytes of the reply come.
    Half,
    /// These bytes come instead, and nothing is applied.
    Say(Vec<u8>),
}

/// What a server does about a command.
pub enum Reaction {
    /// It replies.
    Reply(Vec<u8>),
    /// It replies and closes.
    ReplyAndClose(Vec<u8>),
    /// It says nothing.
    Nothing,
}

/// One small server.
#[derive(Debug, Default)]
pub struct Server {
    /// The primary that it follows; `None` for a primary.
    pub follows: Option<NodeAddress>,
    /// Its replicas as INFO lists them.
    pub replicas: Vec<NodeAddress>,
    /// `master_replid` and `master_replid2`.
    pub history: (String, String),
    /// Whether INFO is refused to the user.
    pub hides_info: bool,
    /// Whether it is a Sentinel, which gives no role.
    pub sentinel: bool,
    /// The password that AUTH must give, if any.
    pub password: Option<String>,
    /// An error that every command but the opening gets, such as LOADING.
    pub state: Option<String>,
    /// What goes wrong, command by command: the next command of that name takes the first entry for it.
    pub faults: VecDeque<(String, Fault)>,
    /// The data.
    pub data: HashMap<String, String>,
    /// Every command that was executed, the opening not counted.
    pub executed: Vec<String>,
    /// The words of the last of them.
    pub last: Vec<String>,
}

impl Server {
    /// A primary without data.
    pub fn primary(replicas: &[NodeAddress]) -> Server {
        Server { replicas: replicas.to_vec(), history: ("a".repeat(40), "0".repeat(40)), ..Server::default() }
    }

    /// A replica of `primary`.
    pub fn replica(primary: &NodeAddress) -> Server {
        Server { follows: Some(primary.clone()), ..Server::primary(&[]) }
    }

    /// A primary that has nothing to do with the others.
    pub fn stranger() -> Server {
        Server { history: ("5".repeat(40), "0".repeat(40)), ..Server::primary(&[]) }
    }

    /// Makes it primary with a history of its own, as REPLICAOF NO ONE does.
    pub fn promote(&mut self) {
        self.follows = None;
        self.history = ("b".repeat(40), self.history.0.clone());
    }

    /// How often a command was executed.
    pub fn count(&self, name: &str) -> usize {
        self.executed.iter().filter(|executed| executed.as_str() == name).count()
    }

    /// Takes one command.
    pub fn react(&mut self, words: &[Vec<u8>]) -> Reaction {
        let words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let name = words[0].to_ascii_uppercase();
        let fault = self.faults.iter().position(|(on, _)| *on == name).and_then(|index| self.faults.remove(index));
        match fault.map(|(_, fault)| fault) {
            None => Reaction::Reply(self.execute(&name, &words[1..])),
            Some(Fault::CloseBefore) => Reaction::ReplyAndClose(Vec::new()),
            Some(Fault::Say(bytes)) => Reaction::Reply(bytes),
            Some(Fault::CloseAfter) => {
                self.execute(&name, &words[1..]);
                Reaction::ReplyAndClose(Vec::new())
            }
            Some(Fault::Silence) => {
                self.execute(&name, &words[1..]);
                Reaction::Nothing
            }
            Some(Fault::Half) => {
                let reply = self.execute(&name, &words[1..]);
                Reaction::Reply(reply[..reply.len() / 2].to_vec())
            }
        }
    }

    fn execute(&mut self, name: &str, arguments: &[String]) -> Vec<u8> {
        match name {
            "HELLO" => return self.hello(arguments),
            "CLIENT" if arguments[0] == "SETINFO" => return error("ERR unknown subcommand 'SETINFO'"),
            "SELECT" => return b"+OK\r\n".to_vec(),
            "INFO" => return self.info(),
            _ => {}
        }
        if let Some(state) = &self.state {
            return error(state);
        }
        if self.follows.is_some() && !["GET", "PING", "EVAL_SAYS"].contains(&name) {
            return error("READONLY You can't write against a read only replica.");
        }
        self.executed.push(name.to_owned());
        self.last = std::iter::once(name.to_owned()).chain(arguments.iter().cloned()).collect();
        let key = arguments.first().cloned().unwrap_or_default();
        match name {
            "PING" => b"+PONG\r\n".to_vec(),
            "GET" => self.data.get(&key).map_or_else(|| b"$-1\r\n".to_vec(), |value| bulk(value)),
            "SET" if arguments.iter().any(|word| word == "NX") && self.data.contains_key(&key) => b"$-1\r\n".to_vec(),
            "SET" => {
                self.data.insert(key, arguments[1].clone());
                b"+OK\r\n".to_vec()
            }
            "INCR" => {
                let value = self.data.get(&key).map_or(0, |value| value.parse::<i64>().unwrap()) + 1;
                self.data.insert(key, value.to_string());
                format!(":{value}\r\n").into_bytes()
            }
            _ => b"+OK\r\n".to_vec(),
        }
    }

    fn hello(&self, arguments: &[String]) -> Vec<u8> {
        let given = arguments.iter().position(|word| word == "AUTH").map(|at| arguments[at + 2].clone());
        if !arguments.is_empty() && given != self.password {
            return error("WRONGPASS invalid username-password pair or user is disabled.");
        }
        if self.sentinel {
            let fields = ["server", "redis", "version", "7.0.15", "mode", "sentinel"];
            let items: Vec<u8> = fields.iter().flat_map(|field| bulk(field)).collect();
            return [format!("*{}\r\n", fields.len()).into_bytes(), items].concat();
        }
        let role = if self.follows.is_some() { "replica" } else { "master" };
        let fields = ["server", "redis", "version", "7.0.15", "mode", "standalone", "role", role];
        let items: Vec<u8> = fields.iter().flat_map(|field| bulk(field)).collect();
        [format!("*{}\r\n", fields.len()).into_bytes(), items].concat()
    }

    fn info(&self) -> Vec<u8> {
        if self.sentinel {
            return bulk("# Sentinel\r\nsentinel_masters:1\r\n");
        }
        if self.hides_info {
            return error("NOPERM this user has no permissions to run the 'info' command");
        }
        let mut text = String::from("# Replication\r\n");
        if let Some(NodeAddress::Tcp { host, port }) = &self.follows {
            text += &format!("role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:up\r\n");
        } else {
            text += &format!("role:master\r\nconnected_slaves:{}\r\n", self.replicas.len());
            for (number, replica) in self.replicas.iter().enumerate() {
                if let NodeAddress::Tcp { host, port } = replica {
                    text += &format!("slave{number}:ip={host},port={port},state=online,offset=1,lag=0\r\n");
                }
            }
        }
        text += &format!("master_replid:{}\r\nmaster_replid2:{}\r\n", self.history.0, self.history.1);
        text += "master_repl_offset:1\r\n";
        bulk(&text)
    }
}

fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}
