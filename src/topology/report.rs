//! What a node says of itself: the facts in the replies to HELLO and INFO replication.

use std::time::Duration;

use redis::{FromRedisValue, InfoDict, Value};

use crate::config::{NodeAddress, NodeAddresses};

/// A node's part in replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts writes.
    Primary,
    /// Follows a primary.
    Replica,
}

/// How a server was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Holds all keys.
    #[default]
    Standalone,
    /// Holds some slots of a cluster.
    Cluster,
    /// Watches over others and holds no keys.
    Sentinel,
}

impl Mode {
    /// The server's own word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Cluster => "cluster",
            Mode::Sentinel => "sentinel",
        }
    }

    /// The mode that the server's word names.
    pub fn from_word(word: &str) -> Option<Mode> {
        [Mode::Standalone, Mode::Cluster, Mode::Sentinel].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Where a node's data comes from. Offsets can be compared only between nodes of one `id`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lineage {
    /// `master_replid`: the history that the node writes or follows now.
    pub id: String,
    /// `master_replid2`: the history that it followed before it was promoted; empty if it never was.
    pub previous_id: String,
    /// `master_repl_offset`: how far it got.
    pub offset: u64,
    /// `second_repl_offset`: where it left the history that it followed before.
    pub forked_at: Option<u64>,
    /// `repl_backlog_first_byte_offset`: from where on it holds what went by.
    pub kept_from: Option<u64>,
}

impl Lineage {
    /// Whether it holds nothing of the history that it names as its former one. From Redis 7 on a server that is started
    /// again from its data names the history that these were copied from, as a promoted replica does; but only a replica
    /// has seen some of it go by. (One that was promoted before anything went by looks the same.)
    pub fn began_anew(&self) -> bool {
        self.forked_at.is_some() && self.forked_at == self.kept_from
    }
}

/// What one node said, as of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its role, by HELLO or INFO.
    pub role: Role,
    /// Its mode, by HELLO; standalone where the server is too old to say.
    pub mode: Mode,
    /// The server's version, empty where it is too old to say.
    pub version: String,
    /// Known only to users who may call INFO.
    pub lineage: Option<Lineage>,
    /// The replicas attached to it, by the addresses it knows them by.
    pub replicas: Vec<NodeAddress>,
    /// Those of them that have a whole copy and follow: the ones that ROLE tells of.
    pub online: Vec<NodeAddress>,
    /// The primary it follows, if it is a replica.
    pub primary: Option<NodeAddress>,
    /// Whether a replica's link to its primary is up.
    pub link_up: bool,
    /// How long ago a replica heard last from its primary, in whole seconds; `None` where it does not say.
    pub heard_ago: Option<Duration>,
    /// Whether it is still taking over its primary's data.
    pub syncing: bool,
}

impl Report {
    /// The report of a node of which nothing but its role is known.
    pub fn silent(role: Role) -> Report {
        Report {
            role,
            mode: Mode::Standalone,
            version: String::new(),
            lineage: None,
            replicas: Vec::new(),
            online: Vec::new(),
            primary: None,
            link_up: false,
            heard_ago: None,
            syncing: false,
        }
    }

    /// Reads the replies to `HELLO` and `INFO replication`. Either may be missing: HELLO on a server before Redis 6,
    /// INFO where the user may not call it. `None` if neither says the role.
    pub fn read(hello: Option<&Value>, info: Option<&Value>) -> Option<Report> {
        let mut report = Report::silent(Role::Primary);
        let from_hello = hello.and_then(|hello| report.read_hello(hello));
        let from_info = info.and_then(|info| report.read_info(info));
        // INFO is the younger of the two: it was asked in the same write, but answered after HELLO. A Sentinel gives no
        // role, and must not be taken for a primary.
        let sentinel = (report.mode == Mode::Sentinel).then_some(Role::Replica);
        report.role = sentinel.or(from_info).or(from_hello)?;
        Some(report)
    }

    /// Reads the reply to `ROLE`, for servers that say nothing else.
    pub fn read_role(role: &Value) -> Option<Report> {
        let items = role.as_sequence()?;
        let text = |index: usize| items.get(index).and_then(|item| String::from_redis_value_ref(item).ok());
        let mut report = Report::silent(parse_role(&text(0)?)?);
        if report.role == Role::Replica {
            let port = text(2).and_then(|port| port.parse().ok());
            report.primary = text(1).zip(port).and_then(|(host, port)| NodeAddress::announced(&host, port));
            report.link_up = text(3).as_deref() == Some("connected");
        }
        Some(report)
    }

    /// Finds the nodes that it names where `known` says that they are.
    pub fn find(&mut self, known: &NodeAddresses) {
        for node in self.replicas.iter_mut().chain(&mut self.online).chain(&mut self.primary) {
            *node = known.of(node.clone());
        }
    }

    fn read_hello(&mut self, hello: &Value) -> Option<Role> {
        let mut role = None;
        for (field, value) in hello.as_map_iter()? {
            let Ok(field) = String::from_redis_value_ref(field) else { continue };
            let Ok(text) = String::from_redis_value_ref(value) else { continue };
            match field.as_str() {
                "version" => self.version = text,
                "mode" => {
                    self.mode = match text.as_str() {
                        "cluster" => Mode::Cluster,
                        "sentinel" => Mode::Sentinel,
                        _ => Mode::Standalone,
                    };
                }
                "role" => role = parse_role(&text),
                _ => {}
            }
        }
        role
    }

    fn read_info(&mut self, info: &Value) -> Option<Role> {
        let info = InfoDict::from_redis_value_ref(info).ok()?;
        let text = |name: &str| info.get::<String>(name).unwrap_or_default();
        let role = parse_role(&text("role"))?;
        if let Some(id) = info.get::<String>("master_replid") {
            let previous = text("master_replid2");
            // A node that was never promoted says forty zeros.
            let previous_id = if previous.bytes().all(|byte| byte == b'0') { String::new() } else { previous };
            let keeps = info.get::<u8>("repl_backlog_active") == Some(1);
            self.lineage = Some(Lineage {
                id,
                previous_id,
                offset: info.get("master_repl_offset").unwrap_or(0),
                // A node that was never promoted says -1.
                forked_at: info.get("second_repl_offset"),
                kept_from: info.get("repl_backlog_first_byte_offset").filter(|_| keeps),
            });
        }
        for number in 0..info.get::<usize>("connected_slaves").unwrap_or(0).min(MAX_REPLICAS) {
            let line = text(&format!("slave{number}"));
            let Some(replica) = parse_replica(&line) else { continue };
            if line.split(',').any(|field| field == "state=online") {
                self.online.push(replica.clone());
            }
            self.replicas.push(replica);
        }
        if role == Role::Replica {
            let port = info.get::<u16>("master_port").unwrap_or(0);
            self.primary = NodeAddress::announced(&text("master_host"), port);
            self.link_up = text("master_link_status") == "up";
            // -1 while the link is down.
            self.heard_ago = info.get::<u64>("master_last_io_seconds_ago").map(Duration::from_secs);
            self.syncing = info.get::<u8>("master_sync_in_progress") == Some(1);
        }
        Some(role)
    }
}

/// No deployment has more; a hostile server may claim so.
pub const MAX_REPLICAS: usize = 512;

fn parse_role(word: &str) -> Option<Role> {
    match word {
        "master" => Some(Role::Primary),
        "slave" | "replica" => Some(Role::Replica),
        _ => None,
    }
}

/// `ip=10.0.0.2,port=6379,state=online,offset=42,lag=0`
fn parse_replica(line: &str) -> Option<NodeAddress> {
    let mut host = None;
    let mut port = None;
    for field in line.split(',') {
        match field.split_once('=') {
            Some(("ip", value)) => host = Some(value),
            Some(("port", value)) => port = value.parse::<u16>().ok(),
            _ => {}
        }
    }
    NodeAddress::announced(host?, port?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn hello(role: &str, mode: &str) -> Value {
        Value::Array(["server", "redis", "version", "7.0.15", "mode", mode, "role", role].map(text).to_vec())
    }

    #[test]
    fn a_primary_tells_its_replicas_and_lineage() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=5,lag=0\r\n\
                    slave1:ip=fd00::3,port=6380,state=wait_bgsave,offset=0,lag=0\r\n\
                    master_replid:aa\r\nmaster_replid2:0000\r\nmaster_repl_offset:17\r\n";
        let report = Report::read(Some(&hello("master", "standalone")), Some(&text(info))).unwrap();
        assert_eq!(report.role, Role::Primary);
        assert_eq!(report.version, "7.0.15");
        assert_eq!(report.replicas, [NodeAddress::tcp("10.0.0.2", 6379), NodeAddress::tcp("fd00::3", 6380)]);
        assert_eq!(report.online, [NodeAddress::tcp("10.0.0.2", 6379)], "the other one gets its copy still");
        let lineage = Lineage { id: "aa".into(), offset: 17, ..Lineage::default() };
        assert_eq!(report.lineage, Some(lineage));
    }

    #[test]
    fn a_server_that_was_started_again_is_told_from_a_promoted_one_by_what_it_keeps() {
        // As Redis 7.0.15 answers: the former primary after a restart from its data, and its promoted replica.
        let info = |first: u64| {
            format!(
                "role:master\r\nconnected_slaves:0\r\nmaster_replid:cc\r\nmaster_replid2:aa\r\nmaster_repl_offset:2167\r\n\
                 second_repl_offset:2124\r\nrepl_backlog_active:1\r\nrepl_backlog_first_byte_offset:{first}\r\n"
            )
        };
        let lineage = |first| Report::read(None, Some(&text(&info(first)))).unwrap().lineage.unwrap();
        assert!(lineage(2124).began_anew() && !lineage(1).began_anew());
        assert_eq!((lineage(1).forked_at, lineage(1).kept_from), (Some(2124), Some(1)));
        let never = "role:master\r\nmaster_replid:aa\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n";
        assert_eq!(Report::read(None, Some(&text(never))).unwrap().lineage.unwrap().forked_at, None);
    }

    #[test]
    fn a_replica_tells_its_primary() {
        let info = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n";
        let report = Report::read(None, Some(&text(info))).unwrap();
        assert_eq!(report.role, Role::Replica);
        assert_eq!(report.primary, Some(NodeAddress::tcp("10.0.0.1", 6379)));
        assert!(report.link_up);
    }

    #[test]
    fn a_server_that_answers_role_alone_tells_its_role_and_primary() {
        let words = [text("slave"), text("10.0.0.1"), Value::Int(6379), text("connected"), Value::Int(7)];
        let report = Report::read_role(&Value::Array(words.to_vec())).unwrap();
        assert_eq!((report.role, report.primary), (Role::Replica, Some(NodeAddress::tcp("10.0.0.1", 6379))));
        let words = [text("master"), Value::Int(7), Value::Array(Vec::new())];
        assert_eq!(Report::read_role(&Value::Array(words.to_vec())).unwrap().role, Role::Primary);
        assert_eq!(Report::read_role(&text("nonsense")), None);
    }

    #[test]
    fn hello_alone_shows_role_and_mode_to_users_who_may_not_call_info() {
        let report = Report::read(Some(&hello("replica", "cluster")), None).unwrap();
        assert_eq!((report.role, report.mode), (Role::Replica, Mode::Cluster));
        assert_eq!(report.lineage, None);
    }

    #[test]
    fn a_sentinel_is_told_by_its_mode_and_is_no_primary() {
        let words = ["server", "redis", "version", "7.0.15", "mode", "sentinel"];
        let report = Report::read(Some(&Value::Array(words.map(text).to_vec())), None).unwrap();
        assert_eq!((report.role, report.mode), (Role::Replica, Mode::Sentinel));
    }

    #[test]
    fn answers_that_say_no_role_are_no_report() {
        assert_eq!(Report::read(Some(&Value::Int(1)), Some(&text("nonsense"))), None);
        assert_eq!(Report::read(None, None), None);
    }
}
