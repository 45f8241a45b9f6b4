//! A node that names others.

use crate::config::{NodeAddress, NodeAddresses};

/// A node that names others, and where those are that announce addresses of another network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The node that was asked.
    pub node: NodeAddress,
    /// Where to find the nodes that it names.
    pub addresses: NodeAddresses,
}

impl Speaker {
    /// One whose words are taken as they are.
    #[cfg(test)]
    pub fn plain(node: NodeAddress) -> Speaker {
        Speaker { node, addresses: NodeAddresses::default() }
    }

    /// The node that it means. No host is the one that was asked; `?` is one that nobody knows yet.
    pub fn names(&self, host: &str, port: u16) -> Option<NodeAddress> {
        let named = match (host, &self.node) {
            _ if port == 0 => return None,
            ("", NodeAddress::Tcp { host, .. }) => NodeAddress::tcp(host, port),
            (host, _) => NodeAddress::announced(host, port)?,
        };
        Some(self.addresses.of(named))
    }
}
