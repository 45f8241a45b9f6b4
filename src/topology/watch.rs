//! What Sentinels say: which primary they watch, by which configuration, and who else is there.

use std::collections::HashMap;

use redis::{FromRedisValue, Value};

use crate::config::{NodeAddress, NodeAddresses};

/// No service has more replicas or sentinels; a hostile server may claim so.
const MOST_NAMED: usize = 64;

/// A service as the sentinels that were asked know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub service: String,
    /// The sentinels, by the addresses at which they were asked.
    pub sentinels: Vec<NodeAddress>,
}

/// What one Sentinel says of a service. All of it is hearsay: who is primary is asked of the node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The primary; none while the Sentinel knows no such service.
    pub primary: Option<NodeAddress>,
    /// `config-epoch`: grows with every failover. A Sentinel that was away speaks of an older one.
    pub epoch: u64,
    /// The replicas.
    pub replicas: Vec<NodeAddress>,
    /// The other sentinels.
    pub sentinels: Vec<NodeAddress>,
}

impl Watch {
    /// Takes the replies to `SENTINEL GET-MASTER-ADDR-BY-NAME`, `MASTER`, `REPLICAS` and `SENTINELS`, in this order.
    /// Any may be missing: not asked, or not allowed. What is missing stays as it was. Nodes are where `known` says.
    pub fn learn(&mut self, answers: &[Option<&Value>], known: &NodeAddresses) {
        let answer = |index: usize| answers.get(index).copied().flatten();
        let master = answer(1).and_then(fields);
        let named = answer(0).map(|pair| Vec::<String>::from_redis_value_ref(pair).unwrap_or_default());
        self.primary = match (named.as_deref(), &master) {
            (Some([host, port]), _) => address(host, port),
            (Some(_), _) | (None, None) => None,
            (None, Some(master)) => address_in(master),
        }
        .map(|node| known.of(node));
        self.epoch = master.and_then(|master| master.get("config-epoch")?.parse().ok()).unwrap_or(0);
        if let Some(replicas) = answer(2).and_then(|list| addresses(list, known)) {
            self.replicas = replicas;
        }
        if let Some(sentinels) = answer(3).and_then(|list| addresses(list, known)) {
            self.sentinels = sentinels;
        }
    }

    /// The names of the services in the reply to `SENTINEL MASTERS`.
    pub fn services(reply: &Value) -> Vec<String> {
        let Some(masters) = reply.as_sequence() else { return Vec::new() };
        masters.iter().take(MOST_NAMED).filter_map(|master| fields(master)?.remove("name")).collect()
    }

    /// The primary that the newest configuration names; of several as new, the one that most name.
    pub fn newest<'a>(watches: impl Iterator<Item = &'a Watch> + Clone) -> Option<&'a NodeAddress> {
        let naming = watches.filter_map(|watch| Some((watch.epoch, watch.primary.as_ref()?)));
        let votes = |wanted: &NodeAddress| naming.clone().filter(|(_, primary)| *primary == wanted).count();
        let ranked = naming.clone().map(|(epoch, primary)| (epoch, votes(primary), primary));
        ranked.max().map(|(_, _, primary)| primary)
    }
}

fn fields(map: &Value) -> Option<HashMap<String, String>> {
    HashMap::from_redis_value_ref(map).ok()
}

fn addresses(list: &Value, known: &NodeAddresses) -> Option<Vec<NodeAddress>> {
    let items = list.as_sequence()?;
    Some(items.iter().take(MOST_NAMED).filter_map(|item| Some(known.of(address_in(&fields(item)?)?))).collect())
}

fn address_in(fields: &HashMap<String, String>) -> Option<NodeAddress> {
    address(fields.get("ip")?, fields.get("port")?)
}

/// A Sentinel that does not know an address says `?`, an empty text or port 0.
fn address(host: &str, port: &str) -> Option<NodeAddress> {
    NodeAddress::announced(host, port.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| Value::BulkString(word.as_bytes().to_vec())).collect())
    }

    fn watch(epoch: u64, port: u16) -> Watch {
        Watch { primary: Some(NodeAddress::tcp("h", port)), epoch, ..Watch::default() }
    }

    #[test]
    fn the_answers_tell_primary_epoch_replicas_and_sentinels() {
        let named = words(&["10.0.0.1", "6379"]);
        let master = words(&["name", "m", "ip", "10.0.0.9", "port", "6379", "config-epoch", "7"]);
        let replicas = Value::Array(vec![
            words(&["ip", "10.0.0.2", "port", "6379", "flags", "slave"]),
            words(&["ip", "?", "port", "0"]),
        ]);
        let sentinels = Value::Array(vec![words(&["ip", "sentinel-2.example", "port", "26379"])]);
        let mut watch = Watch::default();
        watch.learn(&[Some(&named), Some(&master), Some(&replicas), Some(&sentinels)], &NodeAddresses::default());
        assert_eq!(watch.primary, Some(NodeAddress::tcp("10.0.0.1", 6379)), "it is the first to know of a promotion");
        assert_eq!(watch.epoch, 7);
        assert_eq!(watch.replicas, [NodeAddress::tcp("10.0.0.2", 6379)]);
        assert_eq!(watch.sentinels, [NodeAddress::tcp("sentinel-2.example", 26379)]);
        watch.learn(&[None, Some(&master)], &NodeAddresses::default());
        assert_eq!(watch.primary, Some(NodeAddress::tcp("10.0.0.9", 6379)));
        assert_eq!(watch.replicas.len(), 1, "what was not asked stays as it was");
        watch.learn(&[Some(&Value::Nil), None], &NodeAddresses::default());
        assert_eq!((watch.primary, watch.epoch), (None, 0));
    }

    #[test]
    fn the_newest_configuration_counts_and_votes_only_among_equals() {
        let stale = [watch(1, 1), watch(1, 1), watch(2, 2)];
        assert_eq!(Watch::newest(stale.iter()), Some(&NodeAddress::tcp("h", 2)));
        let split = [watch(2, 1), watch(2, 2), watch(2, 1)];
        assert_eq!(Watch::newest(split.iter()), Some(&NodeAddress::tcp("h", 1)));
        assert_eq!(Watch::newest([Watch::default()].iter()), None);
    }

    #[test]
    fn services_are_listed_by_name() {
        let masters = Value::Array(vec![words(&["name", "a", "ip", "h"]), words(&["name", "b"])]);
        assert_eq!(Watch::services(&masters), ["a", "b"]);
        assert_eq!(Watch::services(&Value::Nil), [""; 0]);
    }
}
