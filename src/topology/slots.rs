//! Which shard of a cluster serves which slot, as one node told it.

use redis::Value;

use crate::command::SLOTS;
use crate::config::NodeAddress;

/// More than these a hostile node may claim, but no cluster has: one is made for up to a thousand nodes.
const MOST_SHARDS: usize = 1_000;
const MOST_REPLICAS: usize = 64;

/// One shard: a primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The primary, as of the time when the node that was asked said so.
    pub primary: NodeAddress,
    /// The others, in order.
    pub replicas: Vec<NodeAddress>,
}

impl Shard {
    /// Whether a node belongs to it.
    pub fn includes(&self, node: &NodeAddress) -> bool {
        self.primary == *node || self.replicas.contains(node)
    }

    /// All its nodes, in an order that does not depend on who is primary.
    pub fn nodes(&self) -> Vec<NodeAddress> {
        let mut nodes = self.replicas.clone();
        nodes.push(self.primary.clone());
        nodes.sort();
        nodes
    }
}

/// The shards, and the slots that each of them serves.
#[derive(Clone, Debug)]
pub struct SlotMap {
    shards: Vec<Shard>,
    /// For each slot the number of its shard, counted from one; zero where nobody serves it.
    owners: Box<[u16]>,
}

impl SlotMap {
    /// Shards, and for each slot the place of the one that serves it.
    #[cfg(test)]
    pub fn of(shards: Vec<Shard>, owner: impl Fn(u16) -> usize) -> SlotMap {
        let owners = (0..SLOTS as u16).map(|slot| owner(slot) as u16 + 1).collect();
        SlotMap { shards, owners }
    }

    /// Reads the reply to `CLUSTER SLOTS` that the node `asked` gave. Where that names no host, the host that was asked is
    /// meant. Only nodes that `admits` is true of are taken; `None` if the reply is none, or leaves no shard.
    pub fn read(reply: &Value, asked: &NodeAddress, admits: impl Fn(&NodeAddress) -> bool) -> Option<SlotMap> {
        let Value::Array(ranges) = reply else { return None };
        if ranges.len() > SLOTS {
            return None;
        }
        let mut map = SlotMap { shards: Vec::new(), owners: vec![0; SLOTS].into_boxed_slice() };
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = &parts[..] else { return None };
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let [primary, replicas @ ..] = nodes else { continue };
            let Some(primary) = address_in(primary, asked).filter(&admits) else { continue };
            let replicas = replicas.iter().take(MOST_REPLICAS).filter_map(|node| address_in(node, asked));
            let mut replicas: Vec<NodeAddress> = replicas.filter(&admits).collect();
            replicas.sort();
            let number = map.number_of(Shard { primary, replicas })?;
            map.owners.get_mut(first..=last)?.fill(number);
        }
        (!map.shards.is_empty()).then_some(map)
    }

    /// The number of a shard, which is new or has had slots before.
    fn number_of(&mut self, shard: Shard) -> Option<u16> {
        let place = match self.shards.iter().position(|known| known.primary == shard.primary) {
            Some(place) => place,
            None if self.shards.len() == MOST_SHARDS => return None,
            None => {
                self.shards.push(shard);
                self.shards.len() - 1
            }
        };
        u16::try_from(place + 1).ok()
    }

    /// The shards, in the order of their first slots.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The place of the shard that serves a slot.
    #[inline]
    pub fn shard_of(&self, slot: u16) -> Option<usize> {
        usize::from(*self.owners.get(usize::from(slot))?).checked_sub(1)
    }

    /// How many slots a shard serves.
    pub fn slots_of(&self, shard: usize) -> usize {
        self.owners.iter().filter(|owner| usize::from(**owner) == shard + 1).count()
    }

    /// The place of the shard that a node belongs to.
    pub fn shard_with(&self, node: &NodeAddress) -> Option<usize> {
        let primary = self.shards.iter().position(|shard| shard.primary == *node);
        primary.or_else(|| self.shards.iter().position(|shard| shard.includes(node)))
    }

    /// Gives a slot to a shard: its owner said so.
    pub fn assign(&mut self, slot: u16, shard: usize) {
        if let (Some(owner), Ok(number)) = (self.owners.get_mut(usize::from(slot)), u16::try_from(shard + 1)) {
            *owner = number;
        }
    }
}

/// The address in `[host, port, id, ...]`.
fn address_in(node: &Value, asked: &NodeAddress) -> Option<NodeAddress> {
    let Value::Array(parts) = node else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        _ => "",
    };
    named(host, u16::try_from(*port).ok()?, asked)
}

/// A node that another one named. No host means the one that was asked; `?` one that nobody knows yet.
fn named(host: &str, port: u16, asked: &NodeAddress) -> Option<NodeAddress> {
    match (host, asked) {
        _ if port == 0 => None,
        ("?", _) => None,
        ("", NodeAddress::Tcp { host, .. }) => Some(NodeAddress::tcp(host, port)),
        ("", NodeAddress::Unix { .. }) => None,
        (host, _) => Some(NodeAddress::tcp(host, port)),
    }
}

/// Where a node says that a slot is: `MOVED` for good, `ASK` for this command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Whether it is for good.
    pub moved: bool,
    /// The slot.
    pub slot: u16,
    /// The node.
    pub to: NodeAddress,
}

impl Redirect {
    /// Reads the error `MOVED slot host:port` or `ASK slot host:port` of the node `asked`; `None` if it is another one, or
    /// leads nowhere.
    pub fn read(text: &str, asked: &NodeAddress) -> Option<Redirect> {
        let mut words = text.split(' ');
        let moved = match words.next()? {
            "MOVED" => true,
            "ASK" => false,
            _ => return None,
        };
        let slot = words.next()?.parse().ok().filter(|slot| usize::from(*slot) < SLOTS)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirect { moved, slot, to: named(host, port.parse().ok()?, asked)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: &str, port: i64) -> Value {
        Value::Array(vec![bulk(host), Value::Int(port), bulk("id"), Value::Array(vec![])])
    }

    fn range(first: i64, last: i64, nodes: &[Value]) -> Value {
        Value::Array([&[Value::Int(first), Value::Int(last)], nodes].concat())
    }

    fn at(port: u16) -> NodeAddress {
        NodeAddress::tcp("10.0.0.1", port)
    }

    fn read(ranges: Vec<Value>) -> Option<SlotMap> {
        SlotMap::read(&Value::Array(ranges), &at(9), |_| true)
    }

    #[test]
    fn slots_belong_to_shards_and_a_shard_may_have_several_ranges() {
        let map = read(vec![
            range(0, 99, &[node("10.0.0.1", 1), node("10.0.0.1", 4)]),
            range(100, 16_000, &[node("10.0.0.1", 2)]),
            range(16_001, 16_383, &[node("10.0.0.1", 1), node("10.0.0.1", 4)]),
        ]);
        let map = map.unwrap();
        assert_eq!(map.shards().len(), 2);
        assert_eq!([0, 99, 100, 16_000, 16_001, 16_383].map(|slot| map.shard_of(slot)), [0, 0, 1, 1, 0, 0].map(Some));
        assert_eq!([1, 2, 4, 5].map(|port| map.shard_with(&at(port))), [Some(0), Some(1), Some(0), None]);
        assert_eq!(map.shards()[0].nodes(), [at(1), at(4)]);
        assert_eq!([0, 1].map(|shard| map.slots_of(shard)), [483, 15_901]);
    }

    #[test]
    fn a_node_without_a_host_is_where_was_asked_and_an_unknown_one_is_none() {
        let map = read(vec![range(0, 5, &[node("", 7), node("?", 8)]), range(6, 7, &[node("?", 3)])]).unwrap();
        assert_eq!(map.shards(), [Shard { primary: at(7), replicas: vec![] }]);
        assert_eq!([5, 6].map(|slot| map.shard_of(slot)), [Some(0), None]);
    }

    #[test]
    fn what_may_not_be_reached_is_left_out() {
        let reply = Value::Array(vec![range(0, 5, &[node("10.0.0.1", 1), node("10.0.0.2", 2)])]);
        let map = SlotMap::read(&reply, &at(9), |node| *node == at(1)).unwrap();
        assert_eq!(map.shards(), [Shard { primary: at(1), replicas: vec![] }]);
        assert!(SlotMap::read(&reply, &at(9), |_| false).is_none());
    }

    #[test]
    fn nonsense_is_no_map() {
        let nonsense = [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16_384, &[node("h", 1)])]),
            Value::Array(vec![range(7, 3, &[node("h", 1)])]),
            Value::Array(vec![range(-1, 3, &[node("h", 1)])]),
            Value::Array(vec![range(0, 3, &[node("h", 70_000)])]),
            Value::Array(vec![range(0, 3, &[])]),
        ];
        for reply in nonsense {
            assert!(SlotMap::read(&reply, &at(9), |_| true).is_none(), "{reply:?}");
        }
    }

    #[test]
    fn redirects_are_read_and_errors_of_another_kind_are_none() {
        let asked = at(9);
        let read = |text: &str| Redirect::read(text, &asked);
        let to = |moved, slot, to| Some(Redirect { moved, slot, to });
        assert_eq!(read("MOVED 3999 127.0.0.1:6381"), to(true, 3999, NodeAddress::tcp("127.0.0.1", 6381)));
        assert_eq!(read("ASK 1 :6381"), to(false, 1, at(6381)));
        assert_eq!(read("MOVED 1 ::1:6381"), to(true, 1, NodeAddress::tcp("::1", 6381)));
        for text in
            ["ERR no", "MOVED", "MOVED 1", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1 h", "MOVED 1 ?:1", "ASK 1 h:0"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
