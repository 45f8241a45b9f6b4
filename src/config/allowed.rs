//! Option `allowed_nodes`: where discovery may lead. Credentials go to nobody else.

use std::net::IpAddr;

use super::address::{NodeAddress, ends_in_a_number};
use super::error::ConfigurationError;
use super::host::fault_of_host_name;
use super::setting::Setting;

const ACCEPTED: &str = "a list of host names, IP addresses and networks, such as ['10.0.0.0/16', 'redis-2.example']";

/// The nodes that a client may use besides the configured endpoints and what their names resolve to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedNodes(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    /// A host as it is named, in lower case; an address that is not written as one is none.
    Host(String),
    /// The first `bits` bits of an address.
    Network { address: IpAddr, bits: u8 },
}

impl AllowedNodes {
    /// Reads the option.
    pub(super) fn read(option: &str, value: &Setting) -> Result<AllowedNodes, ConfigurationError> {
        let refused = || ConfigurationError::about(option, value, ACCEPTED);
        let items = value.items().filter(|items| !items.is_empty()).ok_or_else(refused)?;
        let mut patterns = Vec::new();
        for (position, item) in items.into_iter().enumerate() {
            let pattern = match item {
                Setting::Text(text) => pattern(text.trim()),
                _ => None,
            };
            let place = format!("{option}[{position}]");
            let wrong =
                || ConfigurationError::about(&place, item, "a host name, an IP address or a network (10.0.0.0/16)");
            patterns.push(pattern.ok_or_else(wrong)?);
        }
        Ok(AllowedNodes(patterns))
    }

    /// Whether a node is one of them, whatever its port. A Unix socket is none that another node could name.
    pub fn admit(&self, node: &NodeAddress) -> bool {
        let NodeAddress::Tcp { host, .. } = node else { return false };
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().any(|pattern| match (pattern, address) {
            (Pattern::Host(name), None) => **host == **name,
            (Pattern::Network { address: network, bits }, Some(address)) => agree(*network, address, *bits),
            _ => false,
        })
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    if let Some((address, bits)) = text.split_once('/') {
        let address = address.parse::<IpAddr>().ok()?;
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= width(address))?;
        return Some(Pattern::Network { address, bits });
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Pattern::Network { address, bits: width(address) });
    }
    // What no node can be called would admit nobody, and is an address that was meant otherwise.
    let is_name = fault_of_host_name(text).is_none() && !ends_in_a_number(text);
    is_name.then(|| Pattern::Host(text.to_ascii_lowercase()))
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses of one family begin with the same bits.
fn agree(network: IpAddr, address: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    };
    let ((one, one_is_v4), (other, other_is_v4)) = (number(network), number(address));
    let differing = one ^ other;
    one_is_v4 == other_is_v4 && differing.leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Setting {
        Setting::List(items.iter().map(|item| Setting::Text((*item).to_owned())).collect())
    }

    fn admits(items: &[&str], host: &str) -> bool {
        AllowedNodes::read("allowed_nodes", &list(items)).unwrap().admit(&NodeAddress::tcp(host, 6379))
    }

    #[test]
    fn networks_addresses_and_names_admit_what_they_say_and_nothing_else() {
        assert!(admits(&["10.0.0.0/16"], "10.0.255.1") && !admits(&["10.0.0.0/16"], "10.1.0.1"));
        assert!(admits(&["10.0.0.7"], "10.0.0.7") && !admits(&["10.0.0.7"], "10.0.0.8"));
        assert!(admits(&["0.0.0.0/0"], "192.0.2.1") && !admits(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(admits(&["2001:db8::/32"], "2001:db8:1::1") && !admits(&["2001:db8::/32"], "2001:db9::1"));
        assert!(admits(&["[::1]"], "::1") && admits(&["10.0.0.0/8"], "::ffff:10.0.0.1"));
        assert!(admits(&["a", "Redis-2.Example"], "redis-2.example") && !admits(&["redis-2.example"], "redis-2"));
        let allowed = AllowedNodes::read("allowed_nodes", &list(&["0.0.0.0/0"])).unwrap();
        assert!(!allowed.admit(&NodeAddress::unix("/run/redis.sock")));
    }

    #[test]
    fn what_is_no_node_is_refused_by_its_place() {
        for wrong in ["10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0", "300.1.1.1", "1", "tcp://h", "h:6379", "a..b", ""]
        {
            let error = AllowedNodes::read("allowed_nodes", &list(&["h", wrong])).unwrap_err();
            assert_eq!(error.option(), "allowed_nodes[1]", "{wrong}");
        }
        for wrong in [list(&[]), Setting::Text("10.0.0.0/8".into()), Setting::Int(1)] {
            let error = AllowedNodes::read("allowed_nodes", &wrong).unwrap_err();
            assert_eq!(error.option(), "allowed_nodes", "{}", wrong.describe());
        }
    }
}
