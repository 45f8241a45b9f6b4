//! A server's part in a cluster: which slots it serves, and where it sends those that ask for others.

use std::collections::{HashMap, HashSet};

use super::server::{array, bulk, error};
use crate::command::{Slots, find, slot_of, slots_of};
use crate::config::NodeAddress;
use crate::resp::frame_of;

/// What a node of a cluster knows of it.
#[derive(Clone, Debug, Default)]
pub struct Sharding {
    /// The slots from one to another, and who serves them: the primary, then its replicas.
    pub ranges: Vec<(u16, u16, Vec<NodeAddress>)>,
    /// The slots whose keys are on their way to another node.
    pub migrating: HashMap<u16, NodeAddress>,
    /// The slots whose keys are on their way from another node.
    pub importing: HashSet<u16>,
    /// The configuration epochs of those that have taken slots over.
    pub epochs: HashMap<NodeAddress, u64>,
}

impl Sharding {
    /// A cluster whose primaries serve equal parts of the slots, each with replicas.
    pub fn of(shards: &[&[NodeAddress]]) -> Sharding {
        let size = 16_384 / u16::try_from(shards.len()).unwrap();
        let ranges = shards.iter().enumerate().map(|(place, nodes)| {
            let first = size * u16::try_from(place).unwrap();
            let last = if place + 1 == shards.len() { 16_383 } else { first + size - 1 };
            (first, last, nodes.to_vec())
        });
        Sharding { ranges: ranges.collect(), ..Sharding::default() }
    }

    /// The reply to `CLUSTER SLOTS`.
    pub fn slots(&self) -> Vec<u8> {
        let node = |node: &NodeAddress| match node {
            NodeAddress::Tcp { host, port } => array(&[bulk(host), format!(":{port}\r\n").into(), bulk("id")]),
            NodeAddress::Unix { .. } => array(&[]),
        };
        let range = |(first, last, nodes): &(u16, u16, Vec<NodeAddress>)| {
            let mut parts = vec![format!(":{first}\r\n").into_bytes(), format!(":{last}\r\n").into_bytes()];
            parts.extend(nodes.iter().map(node));
            array(&parts)
        };
        array(&self.ranges.iter().map(range).collect::<Vec<_>>())
    }

    /// The reply to `CLUSTER NODES` of the node `me`. Nodes call themselves by their addresses.
    pub fn nodes(&self, me: &NodeAddress) -> Vec<u8> {
        let mut primaries: Vec<&NodeAddress> = self.ranges.iter().map(|(_, _, nodes)| &nodes[0]).collect();
        primaries.extend(self.migrating.values().chain([me]));
        primaries.sort();
        primaries.dedup();
        let line = |node: &NodeAddress| {
            let flags = if node == me { "myself,master" } else { "master" };
            let epoch = self.epochs.get(node).unwrap_or(&0);
            let slots = self.ranges.iter().filter(|(_, _, nodes)| nodes[0] == *node);
            let slots: String = slots.map(|(first, last, _)| format!(" {first}-{last}")).collect();
            let marks = self.migrating.iter().filter(|_| node == me);
            let marks: String = marks.map(|(slot, to)| format!(" [{slot}->-{to}]")).collect();
            format!("{node} {node}@1 {flags} - 0 0 {epoch} connected{slots}{marks}\n")
        };
        bulk(&primaries.into_iter().map(line).collect::<String>())
    }

    /// What the node `me` says to a command instead of running it; `asking` if ASKING came before it.
    pub fn refusal(
        &self,
        me: &NodeAddress,
        name: &str,
        arguments: &[String],
        asking: bool,
        has: impl Fn(&str) -> bool,
    ) -> Option<Vec<u8>> {
        let words: Vec<&str> = std::iter::once(name).chain(arguments.iter().map(String::as_str)).collect();
        let slot = match slots_of(find(name.as_bytes()), frame_of(&words).bytes(), slot_of) {
            Slots::None => return None,
            Slots::Several(..) => return Some(error("CROSSSLOT Keys in request don't hash to the same slot")),
            Slots::One(slot) => slot,
        };
        let owner = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        let Some((_, _, nodes)) = owner else { return Some(error("CLUSTERDOWN Hash slot not served")) };
        if nodes[0] != *me {
            let let_in = asking && self.importing.contains(&slot);
            return (!let_in).then(|| error(&format!("MOVED {slot} {}", nodes[0])));
        }
        let to = self.migrating.get(&slot)?;
        (!has(&arguments[0])).then(|| error(&format!("ASK {slot} {to}")))
    }
}
