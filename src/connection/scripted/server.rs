//! A server that knows just enough of Redis, and can be told to misbehave.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::publishing;
use super::sharding::Sharding;
use super::watching::Service;
use crate::command::slot_of;
use crate::config::NodeAddress;
use crate::dice::Dice;
use crate::resp::hostile::spoil;

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
    /// Applied, and the reply comes behind these bytes.
    After(Vec<u8>),
    /// Applied, but the reply comes changed, in a way that depends on this seed.
    Spoil(u64),
}

/// What a server does about a command.
pub enum Reaction {
    /// It replies.
    Reply(Vec<u8>),
    /// It replies and closes.
    ReplyAndClose(Vec<u8>),
    /// It replies after some time.
    ReplyLater(Duration, Vec<u8>),
    /// It says nothing.
    Nothing,
}

/// What a server knows of one connection: the commands queued since MULTI, and whether one was refused.
#[derive(Debug, Default)]
pub struct Session {
    queue: Option<Vec<Vec<String>>>,
    spoilt: bool,
    /// Whether it speaks RESP3, in which what nobody asked for is a push.
    pub(super) pushes: bool,
    /// What it is subscribed to.
    pub(super) channels: BTreeSet<String>,
    /// Whether it sees all commands.
    pub(super) monitors: bool,
    /// Whether the command before was ASKING.
    asking: bool,
    /// Whether READONLY was said.
    reads: bool,
}

/// One small server.
#[derive(Debug, Default)]
pub struct Server {
    /// The primary that it follows; `None` for a primary.
    pub follows: Option<NodeAddress>,
    /// Its replicas as INFO lists them.
    pub replicas: Vec<NodeAddress>,
    /// `master_link_status` and `master_last_io_seconds_ago` of a replica; "" is up.
    pub link: (String, u64),
    /// `master_replid` and `master_replid2`.
    pub history: (String, String),
    /// `second_repl_offset` and `repl_backlog_first_byte_offset`; servers before Redis 7 and the idle leave them out here.
    pub fork: Option<(u64, u64)>,
    /// Whether it is older than Redis 6 and knows no HELLO.
    pub is_old: bool,
    /// Whether INFO is refused to the user.
    pub hides_info: bool,
    /// Whether ROLE is refused to the user.
    pub hides_role: bool,
    /// Replicas that get their copy: INFO lists them, ROLE does not.
    pub syncing: Vec<NodeAddress>,
    /// How often ROLE was answered or refused.
    pub roles: usize,
    /// How many replicas acknowledge what is written, and after how long; all that are attached, at once, if not given.
    pub acknowledging: Option<(usize, Duration)>,
    /// The words of every WAIT.
    pub waits: Vec<Vec<String>>,
    /// Whether it is a Sentinel, which gives no role.
    pub sentinel: bool,
    /// What it watches.
    pub services: Vec<Service>,
    /// Its address and what it knows of the others, if it is a node of a cluster.
    pub cluster: Option<(NodeAddress, Sharding)>,
    /// The password that AUTH must give, if any.
    pub password: Option<String>,
    /// An error that every command but the opening gets, such as LOADING.
    pub state: Option<String>,
    /// What goes wrong, command by command: the next command of that name takes the first entry for it.
    pub faults: VecDeque<(String, Fault)>,
    /// The data.
    pub data: HashMap<String, String>,
    /// After this many more commands it becomes a replica of that node.
    pub demote_after: Option<(usize, NodeAddress)>,
    /// Every database that a connection selected.
    pub selected: Vec<String>,
    /// Every command that was executed, the opening not counted.
    pub executed: Vec<String>,
    /// The words of the last of them.
    pub last: Vec<String>,
    /// Every command that arrived, its words separated by spaces.
    pub heard: Vec<String>,
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
    pub fn react(&mut self, words: &[Vec<u8>], session: &mut Session) -> Reaction {
        let words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        self.heard.push(words.join(" "));
        let name = words[0].to_ascii_uppercase();
        let fault = self.faults.iter().position(|(on, _)| *on == name).and_then(|index| self.faults.remove(index));
        match fault.map(|(_, fault)| fault) {
            None if name == "WAIT" && session.queue.is_none() => self.wait(&words[1..]),
            None => Reaction::Reply(self.serve(session, &name, &words[1..])),
            Some(Fault::CloseBefore) => Reaction::ReplyAndClose(Vec::new()),
            Some(Fault::Say(bytes)) => {
                session.spoilt |= session.queue.is_some();
                if name == "EXEC" {
                    session.queue = None;
                }
                Reaction::Reply(bytes)
            }
            Some(Fault::CloseAfter) => {
                self.serve(session, &name, &words[1..]);
                Reaction::ReplyAndClose(Vec::new())
            }
            Some(Fault::After(mut bytes)) => {
                bytes.extend(self.serve(session, &name, &words[1..]));
                Reaction::Reply(bytes)
            }
            Some(Fault::Spoil(seed)) => {
                let mut bytes = self.serve(session, &name, &words[1..]);
                spoil(&mut Dice::of(seed), &mut bytes);
                Reaction::Reply(bytes)
            }
            Some(Fault::Silence) => {
                self.serve(session, &name, &words[1..]);
                Reaction::Nothing
            }
            Some(Fault::Half) => {
                let reply = self.serve(session, &name, &words[1..]);
                Reaction::Reply(reply[..reply.len() / 2].to_vec())
            }
        }
    }

    /// One command of a connection, which may have opened a transaction.
    fn serve(&mut self, session: &mut Session, name: &str, arguments: &[String]) -> Vec<u8> {
        match (name, &mut session.queue) {
            ("MULTI", queue) => {
                *queue = Some(Vec::new());
                session.spoilt = false;
                b"+OK\r\n".to_vec()
            }
            ("DISCARD", queue @ Some(_)) => {
                *queue = None;
                b"+OK\r\n".to_vec()
            }
            ("EXEC", queue @ Some(_)) => {
                let queued = queue.take().unwrap_or_default();
                session.asking = false;
                if session.spoilt {
                    return error("EXECABORT Transaction discarded because of previous errors.");
                }
                let replies: Vec<u8> = queued.iter().flat_map(|words| self.execute(&words[0], &words[1..])).collect();
                [format!("*{}\r\n", queued.len()).into_bytes(), replies].concat()
            }
            (_, Some(queue)) => {
                if let Some(text) = self.refusal_of_slot(name, arguments, session.asking) {
                    session.spoilt = true;
                    return text;
                }
                if let Some(text) = self.refusal(name) {
                    session.spoilt = true;
                    return error(&text);
                }
                queue.push(std::iter::once(name.to_owned()).chain(arguments.iter().cloned()).collect());
                b"+QUEUED\r\n".to_vec()
            }
            _ => {
                let asking = std::mem::replace(&mut session.asking, name == "ASKING");
                session.reads |= name == "READONLY";
                if session.reads && self.follows.is_some() && ["GET", "READONLY"].contains(&name) {
                    return self.execute(name, arguments);
                }
                if let Some(text) = self.refusal_of_slot(name, arguments, asking) {
                    return text;
                }
                publishing::serve(session, name, arguments).unwrap_or_else(|| self.execute(name, arguments))
            }
        }
    }

    fn refusal_of_slot(&self, name: &str, arguments: &[String], asking: bool) -> Option<Vec<u8>> {
        let (me, sharding) = self.cluster.as_ref()?;
        sharding.refusal(me, name, arguments, asking, |key| self.data.contains_key(key))
    }

    fn wait(&mut self, arguments: &[String]) -> Reaction {
        self.waits.push(arguments.to_vec());
        if self.follows.is_some() {
            return Reaction::Reply(error("ERR WAIT cannot be used with replica instances."));
        }
        let (count, after) = self.acknowledging.unwrap_or((self.replicas.len(), Duration::ZERO));
        let (wanted, limit) = (arguments[0].parse::<usize>().unwrap(), arguments[1].parse().unwrap());
        let limit = Duration::from_millis(limit);
        if count >= wanted && after <= limit {
            return Reaction::ReplyLater(after, format!(":{count}\r\n").into_bytes());
        }
        let count = if after <= limit { count } else { 0 };
        Reaction::ReplyLater(limit, format!(":{count}\r\n").into_bytes())
    }

    /// Why a command is not even looked at, if it is not.
    fn refusal(&self, name: &str) -> Option<String> {
        if self.state.is_some() {
            return self.state.clone();
        }
        let refused = self.follows.is_some() && !["GET", "PING", "EVAL_SAYS"].contains(&name);
        refused.then(|| "READONLY You can't write against a read only replica.".to_owned())
    }

    fn execute(&mut self, name: &str, arguments: &[String]) -> Vec<u8> {
        match name {
            "HELLO" if self.is_old => return error("ERR unknown command `HELLO`, with args beginning with: "),
            "HELLO" => return self.hello(arguments),
            "CLIENT" if arguments[0] == "SETINFO" => return error("ERR unknown subcommand 'SETINFO'"),
            "SENTINEL" if self.sentinel => {
                self.executed.push(name.to_owned());
                return self.watch(arguments);
            }
            "SENTINEL" => return error("ERR unknown command 'SENTINEL', with args beginning with: "),
            "INFO" => return self.info(),
            _ if self.sentinel => return error(&format!("ERR unknown command '{name}', with args beginning with: ")),
            "SELECT" if self.cluster.is_some() && arguments[0] != "0" => {
                return error("ERR SELECT is not allowed in cluster mode");
            }
            "SELECT" => {
                self.selected.extend(arguments.first().cloned());
                return b"+OK\r\n".to_vec();
            }
            "ROLE" => return self.role(),
            "READONLY" => return b"+OK\r\n".to_vec(),
            "CLUSTER" => {
                self.executed.push(name.to_owned());
                let none = || error("ERR This instance has cluster support disabled");
                return self.cluster.as_ref().map_or_else(none, |(me, sharding)| match arguments[0].as_str() {
                    "NODES" => sharding.nodes(me),
                    _ => sharding.slots(),
                });
            }
            _ => {}
        }
        if let Some(text) = self.refusal(name) {
            return error(&text);
        }
        self.executed.push(name.to_owned());
        if let Some((left, primary)) = self.demote_after.take() {
            match left - 1 {
                0 => self.follows = Some(primary),
                left => self.demote_after = Some((left, primary)),
            }
        }
        self.last = std::iter::once(name.to_owned()).chain(arguments.iter().cloned()).collect();
        let key = arguments.first().cloned().unwrap_or_default();
        match name {
            "PING" => b"+PONG\r\n".to_vec(),
            "MGET" => {
                let value = |key| self.data.get(key).map_or_else(|| b"$-1\r\n".to_vec(), |value| bulk(value));
                array(&arguments.iter().map(value).collect::<Vec<_>>())
            }
            "DEL" => {
                let gone = arguments.iter().filter(|key| self.data.remove(*key).is_some()).count();
                format!(":{gone}\r\n").into_bytes()
            }
            "SCAN" => self.scan(&key),
            "DBSIZE" => format!(":{}\r\n", self.data.len()).into_bytes(),
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

    /// The keys of one slot, from the slot that the cursor says: others that come and go do not change the order.
    fn scan(&self, cursor: &str) -> Vec<u8> {
        let from = cursor.parse().unwrap();
        let mut keys: Vec<(u16, &String)> = self.data.keys().map(|key| (slot_of(key.as_bytes()), key)).collect();
        keys.retain(|(slot, _)| *slot >= from);
        keys.sort();
        let slot = keys.first().map_or(0, |(slot, _)| *slot);
        let next = keys.iter().find(|(other, _)| *other > slot).map_or(0, |(other, _)| *other);
        let page = keys.iter().take_while(|(other, _)| *other == slot).map(|(_, key)| bulk(key));
        array(&[bulk(&next.to_string()), array(&page.collect::<Vec<_>>())])
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
        let mode = if self.cluster.is_some() { "cluster" } else { "standalone" };
        let fields = ["server", "redis", "version", "7.0.15", "mode", mode, "role", role];
        let items: Vec<u8> = fields.iter().flat_map(|field| bulk(field)).collect();
        [format!("*{}\r\n", fields.len()).into_bytes(), items].concat()
    }

    fn role(&mut self) -> Vec<u8> {
        self.roles += 1;
        if self.hides_role {
            return error("NOPERM this user has no permissions to run the 'role' command");
        }
        if let Some(NodeAddress::Tcp { host, port }) = &self.follows {
            return [
                b"*5\r\n".to_vec(),
                bulk("slave"),
                bulk(host),
                format!(":{port}\r\n").into(),
                bulk("connected"),
                b":1\r\n".to_vec(),
            ]
            .concat();
        }
        let mut reply =
            [b"*3\r\n".to_vec(), bulk("master"), format!(":1\r\n*{}\r\n", self.replicas.len()).into()].concat();
        for replica in &self.replicas {
            if let NodeAddress::Tcp { host, port } = replica {
                reply.extend([b"*3\r\n".to_vec(), bulk(host), bulk(&port.to_string()), bulk("1")].concat());
            }
        }
        reply
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
            let (link, ago) = (if self.link.0.is_empty() { "up" } else { &self.link.0 }, self.link.1);
            text += &format!("role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{link}\r\n");
            text += &format!("master_last_io_seconds_ago:{ago}\r\nmaster_sync_in_progress:0\r\n");
        } else {
            text += &format!("role:master\r\nconnected_slaves:{}\r\n", self.replicas.len() + self.syncing.len());
            let online = self.replicas.iter().map(|replica| (replica, "online"));
            let syncing = self.syncing.iter().map(|replica| (replica, "wait_bgsave"));
            for (number, (replica, state)) in online.chain(syncing).enumerate() {
                if let NodeAddress::Tcp { host, port } = replica {
                    text += &format!("slave{number}:ip={host},port={port},state={state},offset=1,lag=0\r\n");
                }
            }
        }
        text += &format!("master_replid:{}\r\nmaster_replid2:{}\r\n", self.history.0, self.history.1);
        text += "master_repl_offset:1\r\n";
        if let Some((forked, kept)) = self.fork {
            text += &format!(
                "second_repl_offset:{forked}\r\nrepl_backlog_active:1\r\nrepl_backlog_first_byte_offset:{kept}\r\n"
            );
        }
        bulk(&text)
    }
}

pub(super) fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat()
}

pub(super) fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}
