//! Where a server is: addresses and the endpoints that the user names.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

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
    fn spellings_of_one_host_are_one_address() {
        assert_eq!(NodeAddress::tcp("Redis.Example", 1), NodeAddress::tcp("redis.example", 1));
        assert_eq!(NodeAddress::tcp("0:0::0:1", 1), NodeAddress::tcp("::1", 1));
        assert_ne!(NodeAddress::tcp("h", 1), NodeAddress::tcp("h", 2));
    }
}
