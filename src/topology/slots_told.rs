//! The map of the slots as workers tell it each other: lines of text.

use std::collections::HashMap;
use std::fmt::Write;

use crate::command::SLOTS;
use crate::config::NodeAddress;
use crate::time::Instant;

use super::notice::{read, spell};
use super::slots::MOST_REPLICAS;
use super::{Shard, SlotMap};

/// The first line. Another version of the library must not read this one's maps.
const VERSION: &str = concat!("slots ", env!("CARGO_PKG_VERSION"), "\n");

impl SlotMap {
    /// The map as text: each shard's nodes, and behind them its slots. `None` if a node's name would break the form, or
    /// everybody was told by his configuration.
    pub fn encode(&self) -> Option<String> {
        if self.is_ring() {
            return None;
        }
        let mut text = VERSION.to_owned();
        let mut slots = vec![String::new(); self.shards.len()];
        let mut first = 0;
        while first < SLOTS {
            let owner = self.owners[first];
            let last = (first..SLOTS).take_while(|slot| self.owners[*slot] == owner).last()?;
            if let Some(shard) = usize::from(owner).checked_sub(1) {
                let _ = write!(slots[shard], " {first}-{last}");
            }
            first = last + 1;
        }
        let _ = writeln!(text, "asked {}", self.asked.as_nanos());
        for (shard, slots) in self.shards.iter().zip(slots) {
            let nodes =
                std::iter::once(("shard", &shard.primary)).chain(shard.replicas.iter().map(|node| ("replica", node)));
            for (word, node) in nodes {
                let node = spell(node);
                if node.contains('\n') {
                    return None;
                }
                let _ = writeln!(text, "{word} {node}");
            }
            let _ = writeln!(text, "slots{slots}");
        }
        for (slot, at) in &self.moved {
            let _ = writeln!(text, "moved {slot} {}", at.as_nanos());
        }
        Some(text)
    }

    /// Reads a map that was told. What it says is looked at as what a node says: only nodes that `admits` is true of are
    /// taken. `None` if it is none of this version's, or leaves no shard.
    pub fn decode(bytes: &[u8], admits: impl Fn(&NodeAddress) -> bool) -> Option<SlotMap> {
        let lines = std::str::from_utf8(bytes).ok()?.strip_prefix(VERSION)?;
        let (mut map, mut numbers) = (SlotMap::empty(Instant::default()), HashMap::new());
        // The number of the shard that lines are about, if it may be used.
        let mut number = None;
        for (word, rest) in lines.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))) {
            match word {
                "asked" => map.asked = Instant::of_nanos(rest.parse().ok()?),
                "shard" => {
                    let primary = read(rest)?;
                    let shard = Shard { replicas: Vec::new(), primary };
                    number = if admits(&shard.primary) { Some(map.number_of(shard, &mut numbers)?) } else { None };
                }
                "replica" => {
                    let shard = number.and_then(|number| map.shards.get_mut(usize::from(number) - 1));
                    let node = read(rest).filter(&admits);
                    if let (Some(shard), Some(node)) = (shard, node)
                        && shard.replicas.len() < MOST_REPLICAS
                    {
                        shard.replicas.push(node);
                    }
                }
                "slots" => {
                    let Some(number) = number else { continue };
                    for range in rest.split(' ').filter(|range| !range.is_empty()) {
                        let (first, last) = range.split_once('-')?;
                        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
                        map.owners.get_mut(first..=last)?.fill(number);
                    }
                }
                "moved" => {
                    let (slot, at) = rest.split_once(' ')?;
                    let slot = slot.parse().ok().filter(|slot| usize::from(*slot) < SLOTS)?;
                    map.moved.insert(slot, Instant::of_nanos(at.parse().ok()?));
                }
                _ => return None,
            }
        }
        (!map.shards.is_empty()).then_some(map)
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;
    use crate::topology::Speaker;

    fn node(index: usize) -> NodeAddress {
        NodeAddress::tcp(&format!("10.0.{}.{}", index / 250, index % 250), 6379)
    }

    /// A map of so many shards, each with a replica; slots go round in pieces of this size.
    fn map(shards: usize, piece: usize) -> SlotMap {
        let spelt = |index| {
            let NodeAddress::Tcp { host, port } = node(index) else { panic!("{index}") };
            Value::Array(vec![Value::BulkString(host.as_bytes().to_vec()), Value::Int(port.into())])
        };
        let ranges = (0..SLOTS.div_ceil(piece)).map(|number| {
            let (first, shard) = (number * piece, number % shards);
            let bounds = [first, (first + piece).min(SLOTS) - 1].map(|slot| Value::Int(i64::try_from(slot).unwrap()));
            Value::Array([&bounds[..], &[spelt(shard), spelt(shards + shard)]].concat())
        });
        SlotMap::read(&Value::Array(ranges.collect()), &Speaker::plain(node(0)), Instant::of_nanos(7), |_| true)
            .unwrap()
    }

    #[test]
    fn what_is_told_is_what_was_known() {
        for (shards, piece) in [(1, SLOTS), (3, 5_462), (12, 100), (1_000, 17), (2, 1)] {
            let mut map = map(shards, piece);
            map.assign(3, 0, Instant::of_nanos(9));
            let text = map.encode().unwrap();
            assert_eq!(SlotMap::decode(text.as_bytes(), |_| true), Some(map), "{shards} shards");
        }
    }

    #[test]
    fn a_large_cluster_whose_slots_lie_together_takes_less_than_100_kb() {
        let length = map(1_000, 17).encode().unwrap().len();
        assert!(length < 100_000, "{length} bytes");
    }

    #[test]
    fn what_may_not_be_reached_is_left_out_with_its_slots() {
        let text = map(3, 5_462).encode().unwrap();
        let told = SlotMap::decode(text.as_bytes(), |known| *known != node(0) && *known != node(4)).unwrap();
        let shard = |primary, replicas: &[NodeAddress]| Shard { primary: node(primary), replicas: replicas.to_vec() };
        assert_eq!(told.shards(), [shard(1, &[]), shard(2, &[node(5)])]);
        assert_eq!([0, 5_462, 16_000].map(|slot| told.shard_of(slot)), [None, Some(0), Some(1)]);
        assert_eq!(SlotMap::decode(text.as_bytes(), |_| false), None);
    }

    #[test]
    fn what_is_no_map_of_this_version_is_none() {
        let text = map(3, 5_462).encode().unwrap();
        let changed = [
            text.replace("slots ", "slotz "),
            text.replace("16383", "16384"),
            text.replace("asked 7", "asked x"),
            text.replace("tcp 6379 10.0.0.0", "tcp 70000 10.0.0.0"),
            text.clone() + "other\n",
            text.clone() + "moved 16384 1\n",
            VERSION.to_owned(),
            String::new(),
        ];
        for wrong in changed {
            assert_eq!(SlotMap::decode(wrong.as_bytes(), |_| true), None, "{wrong}");
        }
    }

    #[test]
    fn a_node_whose_name_would_break_the_form_is_not_told() {
        let mut map = map(1, SLOTS);
        map.shards[0].primary = NodeAddress::tcp("a\nshard tcp 1 b", 1);
        assert_eq!(map.encode(), None);
    }
}
