//! Part of a deployment, and nothing else of it: one node for `getClientBy()`, or one shard of a cluster.

use super::address::{Endpoint, NodeAddress};
use super::deployment::Configuration;
use super::read_from::ReadFrom;
use super::secret::Credentials;
use super::sentinel::SentinelSettings;

impl Configuration {
    /// The same for one shard of the cluster, which has these nodes. A cluster has one database, and what the user
    /// configured are endpoints of all of it.
    pub fn at_shard(&self, nodes: &[NodeAddress]) -> Configuration {
        let mut configuration = self.clone();
        let endpoints = nodes.iter().map(|node| Endpoint { address: node.clone(), role: None, alias: None });
        configuration.endpoints = endpoints.collect();
        configuration.reader = None;
        configuration.shard = true;
        (configuration.ring, configuration.apart) = (Vec::new(), Vec::new());
        configuration
    }

    /// The same for who wants to talk to this node only, whatever its role. What is about the others, such as replicas
    /// that have to acknowledge, is left out; a sentinel has no database.
    pub fn at_node(&self, node: &NodeAddress, is_sentinel: bool) -> Configuration {
        let mut configuration = self.clone();
        configuration.endpoints = vec![Endpoint { address: node.clone(), role: None, alias: None }];
        configuration.reader = None;
        configuration.allowed_nodes = None;
        configuration.fixed = true;
        (configuration.ring, configuration.apart) = (Vec::new(), Vec::new());
        configuration.tuned.read_from = ReadFrom::Primary;
        configuration.tuned.min_replicas = None;
        if is_sentinel {
            configuration.credentials = self.sentinel.credentials.clone();
            configuration.tls = self.sentinel.tls.clone();
            configuration.tuned.secured = configuration.tls.is_some();
            configuration.database = 0;
        }
        configuration.policy = configuration.tuned.policy();
        configuration.sentinel = SentinelSettings {
            declared: false,
            service: None,
            credentials: Credentials::default(),
            tls: None,
            learn: false,
            timeout: None,
        };
        configuration
    }
}
