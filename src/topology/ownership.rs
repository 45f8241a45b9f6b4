//! Which slots a node of a cluster has by its own word, and which of them are on their way.

use std::collections::HashMap;

use crate::command::SLOTS;
use crate::config::NodeAddress;

use super::Speaker;
use super::slots::SlotMap;

/// A set of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSet(Box<[u64; SLOTS / 64]>);

impl Default for SlotSet {
    fn default() -> Self {
        SlotSet(Box::new([0; SLOTS / 64]))
    }
}

impl SlotSet {
    /// Whether a slot is in it.
    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot) / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Adds a slot.
    pub fn insert(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot) / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot) / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: &SlotSet) {
        self.0.iter_mut().zip(&*other.0).for_each(|(word, other)| *word |= other);
    }

    /// Keeps those that are in another set, too.
    pub fn keep(&mut self, other: &SlotSet) {
        self.0.iter_mut().zip(&*other.0).for_each(|(word, other)| *word &= other);
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether all of it is in another set.
    pub fn is_within(&self, other: &SlotSet) -> bool {
        self.0.iter().zip(&*other.0).all(|(word, other)| word & !other == 0)
    }

    /// The slots that are not in it, in order.
    pub fn missing(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SLOTS as u16).filter(|slot| !self.contains(*slot))
    }
}

impl FromIterator<u16> for SlotSet {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> Self {
        let mut set = SlotSet::default();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

/// What a node says of its own slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// What the node calls itself.
    pub id: String,
    /// Grows when the node takes over a slot, unless it is the largest of all already. Who took a slot from it has the
    /// largest, so it grows when that comes back: while it stays, none has left and come back.
    pub epoch: u64,
    /// The slots that are the node's, with all their keys.
    pub whole: SlotSet,
    /// The slots that are the node's while their keys move to another one, and which.
    pub leaving: HashMap<u16, NodeAddress>,
}

impl Ownership {
    /// Reads the reply to `CLUSTER NODES` that the node `asked` gave; `None` if it says nothing of itself.
    pub fn read(reply: &str, asked: &Speaker) -> Option<Ownership> {
        let lines = || reply.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|words| words.len() >= 8);
        let own = lines().find(|words| words[2].split(',').any(|flag| flag == "myself"))?;
        let place_of = |words: &[&str]| {
            let (ip, port) = words[1].split(['@', ',']).next()?.rsplit_once(':')?;
            Some((ip.to_owned(), port.parse::<u16>().ok()?))
        };
        // A node that is known by its name names the others by theirs.
        let by_name = host_name(&own).zip(place_of(&own)).is_some_and(|(host, (_, port))| {
            let (named, known) = (asked.names(host, port), &asked.node);
            matches!((&named, known), (Some(NodeAddress::Tcp { host, .. }), NodeAddress::Tcp { host: known, .. }) if host == known)
        });
        let address_of = |id: &str| {
            let words = lines().find(|words| words[0] == id)?;
            let (ip, port) = place_of(&words)?;
            asked.names(host_name(&words).filter(|_| by_name).unwrap_or(&ip), port)
        };
        let (mut whole, mut leaving) = (SlotSet::default(), HashMap::new());
        for word in &own[8..] {
            let Some(mark) = word.strip_prefix('[') else {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
                (first..=last.min(SLOTS as u16 - 1)).for_each(|slot| whole.insert(slot));
                continue;
            };
            // [93->-id] is leaving, [93-<-id] is coming.
            if let Some((slot, id)) = mark.trim_end_matches(']').split_once("->-") {
                let slot = slot.parse::<u16>().ok()?;
                whole.remove(slot);
                leaving.extend(address_of(id).map(|to| (slot, to)));
            }
        }
        Some(Ownership { id: own[0].to_owned(), epoch: own[6].parse().ok()?, whole, leaving })
    }

    /// What the map says of a shard: all that there is where a node may not be asked.
    pub fn by_map(map: &SlotMap, shard: usize) -> Ownership {
        let slots = (0..SLOTS as u16).filter(|slot| map.shard_of(*slot) == Some(shard));
        Ownership { whole: slots.collect(), ..Ownership::default() }
    }
}

/// The host name in `ip:port@bus,name`, if the node has one.
fn host_name<'a>(words: &[&'a str]) -> Option<&'a str> {
    words[1].split(',').nth(1).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Speaker {
        Speaker::plain(NodeAddress::tcp("10.0.0.1", 7000))
    }

    const NODES: &str = "\
aaa 10.0.0.1:7000@17000,one.example myself,master - 0 0 12 connected 0-2 7 16380-16383 [1->-bbb] [93-<-bbb]
bbb 10.0.0.2:7001@17001,two.example master - 0 1 13 connected 93 100-200
ccc :7002@17002 slave aaa 0 1 12 connected
";

    #[test]
    fn a_node_tells_its_slots_and_which_of_them_are_on_their_way() {
        let said = Ownership::read(NODES, &asked()).unwrap();
        assert_eq!((&*said.id, said.epoch), ("aaa", 12));
        let whole = [0, 2, 7, 16_380, 16_381, 16_382, 16_383];
        assert_eq!(said.whole, whole.into_iter().collect());
        assert_eq!(said.leaving, HashMap::from([(1, NodeAddress::tcp("10.0.0.2", 7001))]));
    }

    #[test]
    fn nodes_that_are_known_by_name_are_told_by_name() {
        let said = Ownership::read(NODES, &Speaker::plain(NodeAddress::tcp("one.example", 7000))).unwrap();
        assert_eq!(said.leaving, HashMap::from([(1, NodeAddress::tcp("two.example", 7001))]));
        let marked = NODES.replace("[1->-bbb]", "[1->-ccc]");
        let said = Ownership::read(&marked, &asked()).unwrap();
        assert_eq!(said.leaving[&1], NodeAddress::tcp("10.0.0.1", 7002), "no host is that of the one that was asked");
    }

    #[test]
    fn nonsense_says_nothing() {
        let own = "a h:1@2 myself,master - 0 0 x connected 0-1";
        for text in ["", "a b", "a h:1@2 master - 0 0 1 connected 0-1", own, "a h:1@2 myself - 0 0 1 connected x-y"] {
            assert_eq!(Ownership::read(text, &asked()), None, "{text}");
        }
        let huge = Ownership::read("a h:1@2 myself - 0 0 1 connected 0-65535 [70000->-a] [1->-zz]", &asked());
        assert_eq!(huge, None);
    }

    #[test]
    fn sets_of_slots() {
        let mut set: SlotSet = [0, 63, 64, 16_383].into_iter().collect();
        assert!(
            [0, 63, 64, 16_383].iter().all(|slot| set.contains(*slot)) && !set.contains(1) && !set.contains(u16::MAX)
        );
        set.insert(u16::MAX);
        set.remove(63);
        assert_eq!(set.missing().take(2).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(set.missing().count(), SLOTS - 3);
        let other: SlotSet = [0, 5].into_iter().collect();
        let mut both = set.clone();
        both.keep(&other);
        assert_eq!(both, [0].into_iter().collect());
        set.add(&other);
        assert!(other.is_within(&set) && !set.is_within(&other) && !set.is_empty() && SlotSet::default().is_empty());
    }
}
