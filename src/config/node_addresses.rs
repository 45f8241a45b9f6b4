//! Option `node_address_map`: where the nodes are that announce addresses which cannot be reached from here, as behind NAT
//! or in containers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::address::NodeAddress;
use super::error::ConfigurationError;
use super::setting::Setting;

const ACCEPTED: &str = "an array from announced addresses to those to dial, such as ['10.0.0.1:6379' => '127.0.0.1:7001', '10.0.0.2' => 'redis-2.example']";

/// What is dialed in the place of announced addresses. Empty for most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeAddresses(Option<Arc<BTreeMap<Place, Place>>>);

/// A host, and a port unless any port is meant.
type Place = (Arc<str>, Option<u16>);

impl NodeAddresses {
    /// Reads the option.
    pub(super) fn read(option: &str, value: &Setting) -> Result<NodeAddresses, ConfigurationError> {
        let entries = value.entries().ok_or_else(|| ConfigurationError::about(option, value, ACCEPTED))?;
        let mut places = BTreeMap::new();
        for (announced, dialed) in entries {
            let name = Setting::Text(announced.clone());
            let from = place(announced).ok_or_else(|| ConfigurationError::about(option, &name, ACCEPTED))?;
            let path = format!("{option}[{announced}]");
            let to = match dialed {
                Setting::Text(text) => place(text),
                _ => None,
            };
            let wrong = || ConfigurationError::about(&path, dialed, "the address to dial: 'host' or 'host:port'");
            if places.insert(from, to.ok_or_else(wrong)?).is_some() {
                return Err(ConfigurationError::about(option, &name, "each announced address once"));
            }
        }
        Ok(NodeAddresses((!places.is_empty()).then(|| Arc::new(places))))
    }

    /// Where the node is that a server named: an entry for host and port counts before one for the host.
    pub fn of(&self, named: NodeAddress) -> NodeAddress {
        let (Some(places), NodeAddress::Tcp { host, port }) = (&self.0, &named) else { return named };
        let found = places.get(&(host.clone(), Some(*port))).or_else(|| places.get(&(host.clone(), None)));
        match found {
            Some((host, known)) => NodeAddress::Tcp { host: host.clone(), port: known.unwrap_or(*port) },
            None => named,
        }
    }
}

/// A host with or without a port, spelt as addresses are.
fn place(text: &str) -> Option<Place> {
    let text = text.trim();
    let (host, port) = match (text.parse::<IpAddr>(), text.rsplit_once(':')) {
        (Ok(_), _) => (text, None),
        (_, None) => (text, None),
        (_, Some(_)) if text.ends_with(']') => (text, None),
        (_, Some((host, port))) => (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)),
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_host = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok() && port.is_none() || !host.is_empty() && is_name(host),
    };
    let NodeAddress::Tcp { host, .. } = NodeAddress::tcp(host, 0) else { return None };
    // Digits alone are the key of a list.
    let is_place = is_host && !host.bytes().all(|byte| byte.is_ascii_digit());
    is_place.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    fn map(entries: &[(&str, &str)]) -> Result<NodeAddresses, ConfigurationError> {
        let entries = entries.iter().map(|(from, to)| ((*from).to_owned(), text(to)));
        NodeAddresses::read("node_address_map", &Setting::Map(entries.collect()))
    }

    #[test]
    fn a_node_is_where_the_entry_for_its_host_and_port_says_or_else_the_one_for_its_host() {
        let map = map(&[
            ("10.0.0.1:6379", "127.0.0.1:7001"),
            ("10.0.0.1", "Redis-1.Example"),
            ("redis-2:6380", "192.0.2.7"),
            ("[fd00::3]:6379", "[::1]:7003"),
            ("fd00::4", "::1"),
        ])
        .unwrap();
        let of = |host, port| map.of(NodeAddress::tcp(host, port)).to_string();
        assert_eq!(of("10.0.0.1", 6379), "127.0.0.1:7001");
        assert_eq!(of("10.0.0.1", 6380), "redis-1.example:6380");
        assert_eq!((of("REDIS-2", 6380), of("redis-2", 6379)), ("192.0.2.7:6380".into(), "redis-2:6379".into()));
        assert_eq!((of("fd00:0::3", 6379), of("fd00::4", 1)), ("[::1]:7003".into(), "[::1]:1".into()));
        assert_eq!(of("127.0.0.1", 7001), "127.0.0.1:7001", "what was found is not looked up again");
        assert_eq!(NodeAddresses::default().of(NodeAddress::tcp("h", 1)), NodeAddress::tcp("h", 1));
        assert_eq!(map.of(NodeAddress::unix("/a")), NodeAddress::unix("/a"));
    }

    #[test]
    fn what_is_no_such_array_is_refused_by_its_place() {
        for wrong in [text("10.0.0.1"), Setting::Bool(true), Setting::List(vec![text("a:1")])] {
            let error = NodeAddresses::read("node_address_map", &wrong).unwrap_err();
            assert_eq!(error.option(), "node_address_map", "{}", wrong.describe());
        }
        for wrong in ["tcp://h:1", "h:0", "h:70000", "h:", ":1", "", "a b", "[h]:1", "0"] {
            assert_eq!(map(&[(wrong, "h")]).unwrap_err().option(), "node_address_map", "{wrong}");
        }
        for wrong in ["tcp://h:1", "h:0", "h:70000", "h:", ":1", ""] {
            assert_eq!(map(&[("a:1", wrong)]).unwrap_err().option(), "node_address_map[a:1]", "{wrong}");
        }
        assert_eq!(map(&[("A:1", "h"), ("a:1", "g")]).unwrap_err().accepted(), "each announced address once");
        assert_eq!(map(&[]).unwrap(), NodeAddresses::default());
    }
}
