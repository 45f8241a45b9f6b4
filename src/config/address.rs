//! Where a server is: addresses and the endpoints that the user names.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::host::fault_of_host_name;

/// The address of one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeAddress {
    /// A host name or IP address (IPv6 without brackets) and a port.
    Tcp {
        /// The host, in lower case.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
    /// A Unix domain socket.
    Unix {
        /// The socket file.
        path: Arc<str>,
    },
}

impl NodeAddress {
    /// A TCP address. Spellings of one host become equal: letters in lower case, IPv6 without brackets and shortened.
    pub fn tcp(host: &str, port: u16) -> NodeAddress {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let host = match bare.parse::<Ipv6Addr>() {
            Ok(address) => address.to_string(),
            Err(_) => bare.to_ascii_lowercase(),
        };
        NodeAddress::Tcp { host: host.into(), port }
    }

    /// The address that a server announced of itself or of another one. `None` where no node can be: a port that is none, a
    /// host that is no name, and addresses of everybody or nobody. Nothing is asked of the network for that.
    pub fn announced(host: &str, port: u16) -> Option<NodeAddress> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let is_place = match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => !(address.is_unspecified() || address.is_multicast() || address.is_broadcast()),
            Ok(IpAddr::V6(address)) => !(address.is_unspecified() || address.is_multicast()),
            // Resolvers take a number for an address that is written in an old way.
            Err(_) => fault_of_host_name(bare).is_none() && !ends_in_a_number(bare),
        };
        (is_place && port != 0).then(|| NodeAddress::tcp(host, port))
    }

    /// The address with its scheme, as messages of exceptions say it. It holds no name of a user and no password.
    pub fn uri(&self, secured: bool) -> String {
        match self {
            NodeAddress::Tcp { .. } if secured => format!("tls://{self}"),
            NodeAddress::Tcp { .. } => format!("tcp://{self}"),
            NodeAddress::Unix { .. } => self.to_string(),
        }
    }

    /// The address of a Unix domain socket.
    pub fn unix(path: &str) -> NodeAddress {
        NodeAddress::Unix { path: path.into() }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            NodeAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            NodeAddress::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

/// Whether a resolver would take it for an address, or for a wrong one.
pub(super) fn ends_in_a_number(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or(name);
    let is_hexadecimal = last.len() >= 2 && last.as_bytes()[..2].eq_ignore_ascii_case(b"0x");
    is_hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The role that the user says a node has. A hint: who is primary is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeclaredRole {
    /// Takes writes; `master` and `primary`.
    Primary,
    /// Follows a primary; `slave` and `replica`.
    Replica,
    /// Watches over the others and holds no data; `sentinel`.
    Sentinel,
}

/// A place that the user configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it is.
    pub address: NodeAddress,
    /// The role that the user says it has.
    pub role: Option<DeclaredRole>,
    /// The user's name for it.
    pub alias: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_can_be_written() {
        assert_eq!(NodeAddress::tcp("10.0.0.1", 6379).to_string(), "10.0.0.1:6379");
        assert_eq!(NodeAddress::tcp("::1", 6379).to_string(), "[::1]:6379");
        assert_eq!(NodeAddress::tcp("10.0.0.1", 6379).uri(false), "tcp://10.0.0.1:6379");
        assert_eq!(NodeAddress::tcp("::1", 6379).uri(true), "tls://[::1]:6379");
        assert_eq!(NodeAddress::unix("/run/redis.sock").uri(true), "unix:/run/redis.sock");
        assert_eq!(NodeAddress::tcp("[::1]", 6379).to_string(), "[::1]:6379");
        assert_eq!(NodeAddress::unix("/run/redis.sock").to_string(), "unix:/run/redis.sock");
    }

    #[test]
    fn what_is_announced_is_taken_where_a_node_can_be() {
        for host in
            ["10.0.0.1", "127.0.0.1", "fd00::1", "[fd00::1]", "::ffff:10.0.0.1", "redis-1", "Redis.Example.", "a_b.c3"]
        {
            assert_eq!(NodeAddress::announced(host, 1), Some(NodeAddress::tcp(host, 1)), "{host}");
            assert_eq!(NodeAddress::announced(host, 0), None, "{host}");
        }
        let (long, longer) = ("x".repeat(64), ["x".repeat(60).as_str(); 5].join("."));
        let nowhere = [
            "",
            "?",
            ".",
            " ",
            "a b",
            "a\0b",
            "a\r\nb",
            "a/b",
            "a@b",
            "réd",
            "fe80::1%eth0",
            "fe80::1%2",
            "[",
            "[]",
            "a..b",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "239.1.2.3",
            "::",
            "ff02::1",
            "::ffff:255.255.255.255",
            "::ffff:0.0.0.0",
            "2130706433",
            "127.1",
            "0x7f000001",
            "0x7f.1",
            "10.0.0.0x1",
            "10.0.0.256",
            "10.0.0.1.",
            long.as_str(),
            longer.as_str(),
        ];
        for host in nowhere {
            assert_eq!(NodeAddress::announced(host, 6379), None, "{host:?}");
        }
    }

    #[test]
    fn spellings_of_one_host_are_one_address() {
        assert_eq!(NodeAddress::tcp("Redis.Example", 1), NodeAddress::tcp("redis.example", 1));
        assert_eq!(NodeAddress::tcp("0:0::0:1", 1), NodeAddress::tcp("::1", 1));
        assert_ne!(NodeAddress::tcp("h", 1), NodeAddress::tcp("h", 2));
    }
}
