//! Which of a name's addresses are of use on this machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Brings addresses into order: IPv4 first, and of two families only the one that there is a route to. A dial to the other
/// would fail at once and look like a node that is down.
pub fn usable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    choose(addresses, has_route)
}

fn choose(mut addresses: Vec<IpAddr>, has_route: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    addresses.sort_by_key(IpAddr::is_ipv6);
    let first_of = |ipv6| addresses.iter().find(|address| address.is_ipv6() == ipv6);
    if let (Some(ipv4), Some(ipv6)) = (first_of(false), first_of(true)) {
        match (has_route(*ipv4), has_route(*ipv6)) {
            (true, false) => addresses.retain(IpAddr::is_ipv4),
            (false, true) => addresses.retain(IpAddr::is_ipv6),
            _ => {}
        }
    }
    addresses
}

/// Whether this machine has a way to the address. Connecting a datagram socket sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect((address, 9))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_comes_first_and_a_family_without_a_route_is_left_out() {
        let both = || ["fd00::1", "10.0.0.2", "fd00::2", "10.0.0.1"].map(|text| text.parse().unwrap()).to_vec();
        let chosen = |has_route: fn(IpAddr) -> bool| {
            choose(both(), has_route).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(chosen(|_| true), ["10.0.0.2", "10.0.0.1", "fd00::1", "fd00::2"]);
        assert_eq!(chosen(|address| address.is_ipv4()), ["10.0.0.2", "10.0.0.1"]);
        assert_eq!(chosen(|address| address.is_ipv6()), ["fd00::1", "fd00::2"]);
        assert_eq!(chosen(|_| false).len(), 4, "who knows");
        let only = vec!["fd00::1".parse().unwrap()];
        assert_eq!(choose(only.clone(), |_| false), only);
    }

    #[test]
    fn there_is_a_way_to_this_machine() {
        assert!(has_route("127.0.0.1".parse().unwrap()));
    }
}
