//! The part of a scripted server that is a Sentinel.

use super::server::{Server, array, bulk, error};
use crate::config::NodeAddress;

/// What a Sentinel says of one service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where the Sentinel believes the primary to be.
    pub primary: NodeAddress,
    /// `config-epoch`.
    pub epoch: u64,
    /// The replicas that it lists.
    pub replicas: Vec<NodeAddress>,
    /// The sentinels that it lists.
    pub sentinels: Vec<NodeAddress>,
}

impl Server {
    /// A Sentinel that watches `mymaster` at `primary`.
    pub fn sentinel(primary: &NodeAddress, replicas: &[NodeAddress], sentinels: &[NodeAddress]) -> Server {
        let service = Service {
            name: "mymaster".into(),
            primary: primary.clone(),
            epoch: 1,
            replicas: replicas.to_vec(),
            sentinels: sentinels.to_vec(),
        };
        Server { sentinel: true, services: vec![service], ..Server::default() }
    }

    /// Answers `SENTINEL`.
    pub(super) fn watch(&self, arguments: &[String]) -> Vec<u8> {
        let entry = |node: &NodeAddress, more: &[(&str, String)]| {
            let NodeAddress::Tcp { host, port } = node else { panic!("{node} is not watched") };
            let own = [("ip", host.to_string()), ("port", port.to_string())];
            array(&own.iter().chain(more).flat_map(|(field, value)| [bulk(field), bulk(value)]).collect::<Vec<_>>())
        };
        let master = |service: &Service| {
            let more = [("name", service.name.clone()), ("config-epoch", service.epoch.to_string())];
            entry(&service.primary, &more)
        };
        let all = |nodes: &[NodeAddress]| array(&nodes.iter().map(|node| entry(node, &[])).collect::<Vec<_>>());
        let question = arguments[0].to_ascii_uppercase();
        if question == "MASTERS" {
            return array(&self.services.iter().map(master).collect::<Vec<_>>());
        }
        let service = self.services.iter().find(|service| service.name == arguments[1]);
        match (question.as_str(), service) {
            ("GET-MASTER-ADDR-BY-NAME", None) => b"*-1\r\n".to_vec(),
            (_, None) => error("ERR No such master with that name"),
            ("GET-MASTER-ADDR-BY-NAME", Some(Service { primary: NodeAddress::Tcp { host, port }, .. })) => {
                array(&[bulk(host), bulk(&port.to_string())])
            }
            ("MASTER", Some(service)) => master(service),
            ("REPLICAS", Some(service)) => all(&service.replicas),
            ("SENTINELS", Some(service)) => all(&service.sentinels),
            (other, _) => panic!("a Sentinel is not asked for {other}"),
        }
    }
}
