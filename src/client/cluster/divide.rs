//! Which command of a batch goes to which shard, and the part of the batch that each shard gets.

use crate::command::{Effect, Slots, key_positions};
use crate::config::NodeAddress;
use crate::resp::{second_word, words_of};
use crate::topology::SlotMap;

use super::super::batch::Batch;
use super::super::failure::Failure;
use super::super::state::Client;
use super::fan::{Merge, Split};
use super::parts::{Home, Part, Progress};
use super::route::{crossing, open_at_one, shown};
use super::spread::Spread;
use super::unserved;

impl Client {
    /// Finds where each command of a batch belongs, and spreads those that several nodes have a part in.
    ///
    /// # Errors
    /// A command that cannot be sent, before any is.
    pub(super) fn place_batch(&mut self, batch: &Batch) -> Result<(), Box<Failure>> {
        let Some(map) = self.map().cloned() else { return Err(unserved(None, "")) };
        let mut homes =
            self.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.work.homes)).unwrap_or_default();
        homes.clear();
        homes.reserve(batch.len());
        let mut spread = Spread::default();
        let (is_pinned, mut item) = (self.pins.any(), 0);
        while item < batch.len() {
            let (first, last) = batch.unit(item);
            if first == last
                && !is_pinned
                && let Some(key) = batch.first_word_key(item)
            {
                homes.push(Home::Slot(map.slot_of(key)));
                spread.keep(item);
                item += 1;
                continue;
            }
            let home = if first == last {
                match self.home_of_item(&map, batch, first)? {
                    Aim::One(home) => home,
                    aim => {
                        self.spread_item(&map, batch, first, aim, &mut homes, &mut spread)?;
                        item += 1;
                        continue;
                    }
                }
            } else {
                self.home_of_block(&map, batch, first, last)?
            };
            self.keeps_to_watched(&map, batch, first, home)?;
            (first..=last).for_each(|item| spread.keep(item));
            homes.resize(homes.len() + last + 1 - first, home);
            item = last + 1;
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.counted = Some(map).filter(|_| !spread.is_none());
            cluster.work.homes = homes;
            cluster.work.progress.begin(spread.count(batch));
            cluster.work.progress.spread = spread;
        }
        Ok(())
    }

    /// Adds the steps of a command that several nodes have a part in.
    fn spread_item(
        &self,
        map: &SlotMap,
        batch: &Batch,
        item: usize,
        aim: Aim,
        homes: &mut Vec<Home>,
        spread: &mut Spread,
    ) -> Result<(), Box<Failure>> {
        match aim {
            Aim::One(_) => {}
            Aim::Split(split) => {
                for piece in 0..spread.split(map, batch, item, split)? {
                    let slot = map.slots_of(batch.command(item), spread.piece(piece)).one();
                    let home = slot.map_or(Home::Anywhere, Home::Slot);
                    self.keeps_to_watched(map, batch, item, home)?;
                    homes.push(home);
                }
            }
            Aim::All(merge) => {
                self.see_all(map, merge)?;
                let count = map.shards().len();
                spread.send_to_all(item, count, merge);
                homes.extend((0..count).filter_map(|shard| u16::try_from(shard).ok()).map(Home::Shard));
            }
        }
        Ok(())
    }

    /// While keys are watched, those of a batch have to be at their node.
    fn keeps_to_watched(&self, map: &SlotMap, batch: &Batch, item: usize, home: Home) -> Result<(), Box<Failure>> {
        match home {
            Home::Slot(slot) if self.pins.any() && self.place_of(Some(slot)) != self.place_of(None) => {
                let text = format!("its key is {}, where another node serves than the watched keys", map.shown(slot));
                Err(Box::new(Failure::misuse(&batch.name(item), text)))
            }
            _ => Ok(()),
        }
    }

    /// Where a command belongs that stands in no transaction of the batch.
    fn home_of_item(&self, map: &SlotMap, batch: &Batch, item: usize) -> Result<Aim, Box<Failure>> {
        let encoded = batch.encoded(item);
        Ok(Aim::One(match map.slots_of(batch.command(item), encoded) {
            Slots::One(slot) => Home::Slot(slot),
            Slots::None => match self.merge_of(batch, item)? {
                Some(merge) if !self.pins.multi => return Ok(Aim::All(merge)),
                Some(_) => return Err(open_at_one(&batch.name(item))),
                None => Home::Anywhere,
            },
            Slots::Several(one, other) => {
                let split = batch.command(item).and_then(|row| Split::of(row.name)).filter(|_| !self.pins.multi);
                match split {
                    // What the server refuses is not to be applied in part.
                    Some(Split::Pairs) if words_of(encoded).len().is_multiple_of(2) => {
                        Home::Slot(map.slot_of(words_of(encoded)[one]))
                    }
                    Some(split) => return Ok(Aim::Split(split)),
                    None => return Err(crossing(map, &batch.name(item), encoded, one, other)),
                }
            }
        }))
    }

    /// Where a transaction belongs: all of it is at one node.
    fn home_of_block(&self, map: &SlotMap, batch: &Batch, first: usize, last: usize) -> Result<Home, Box<Failure>> {
        let mut found: Option<(u16, usize)> = None;
        for item in first..=last {
            let slot = match map.slots_of(batch.command(item), batch.encoded(item)) {
                Slots::One(slot) => slot,
                Slots::None => match self.merge_of(batch, item)? {
                    Some(_) => return Err(open_at_one(&batch.name(item))),
                    None => continue,
                },
                Slots::Several(one, other) => {
                    return Err(crossing(map, &batch.name(item), batch.encoded(item), one, other));
                }
            };
            match found {
                Some((known, earlier)) if known != slot => {
                    let (other, key) = (first_key(batch, earlier), first_key(batch, item));
                    let text = format!(
                        "a transaction is at one node, and its keys `{other}` ({}) and `{key}` ({}) may be at two (CROSSSLOT); the same {{tag}} in all keys keeps them together",
                        map.shown(known),
                        map.shown(slot)
                    );
                    return Err(Box::new(Failure::misuse(&batch.name(item), text)));
                }
                _ => found = Some((slot, item)),
            }
        }
        Ok(found.map_or(Home::Anywhere, |(slot, _)| Home::Slot(slot)))
    }

    /// How a command without keys is sent to all nodes; `None` if any one can answer it.
    fn merge_of(&self, batch: &Batch, item: usize) -> Result<Option<Merge>, Box<Failure>> {
        let name = &*batch.name(item);
        if matches!(batch.effect(item), Effect::Select | Effect::Auth) {
            return Err(Failure::not_supported(name, self.of_the_options(batch.effect(item), name)));
        }
        if name == "SCAN" {
            let text = "SCAN goes from node to node of the cluster, so it cannot be sent in a batch";
            return Err(Box::new(Failure::misuse(name, text)));
        }
        Ok(Merge::of(name, || second_word(batch.encoded(item))))
    }

    /// Makes the parts of what has no reply yet.
    ///
    /// # Errors
    /// Nobody serves a slot at the moment.
    pub(super) fn divide(&mut self, batch: &Batch) -> Result<(), Box<Failure>> {
        let Some(cluster) = self.cluster.as_deref_mut() else { return Ok(()) };
        let Some(map) = cluster.map.as_deref() else { return Ok(()) };
        let work = &mut cluster.work;
        let mut division = Division {
            batch,
            map,
            homes: &work.homes,
            counted: work.counted.as_deref(),
            progress: &work.progress,
            parts: Vec::new(),
            known: vec![None; map.shards().len()],
            last: cluster.pinned.unwrap_or(0),
        };
        match &work.pending {
            None => (0..work.homes.len()).try_for_each(|step| division.add(step, None))?,
            Some(pending) => pending.iter().try_for_each(|(step, guest)| division.add(*step, guest.as_ref()))?,
        }
        work.parts = division.parts;
        Ok(())
    }
}

/// A batch that is being divided.
struct Division<'a> {
    batch: &'a Batch,
    map: &'a SlotMap,
    homes: &'a [Home],
    /// The map by which shards are counted there.
    counted: Option<&'a SlotMap>,
    progress: &'a Progress,
    parts: Vec<Part>,
    /// The parts by their shards; those for guests are few and looked for.
    known: Vec<Option<usize>>,
    /// The shard that the last command with a key went to.
    last: usize,
}

impl Division<'_> {
    #[inline]
    fn add(&mut self, step: usize, guest: Option<&NodeAddress>) -> Result<(), Box<Failure>> {
        let place = match self.homes[step] {
            Home::Slot(slot) => {
                self.last = self.map.shard_of(slot).ok_or_else(|| unserved(Some(slot), ""))?;
                self.last
            }
            Home::Anywhere => self.last,
            Home::Shard(shard) => self.present(usize::from(shard), step)?,
        };
        let number = match guest {
            None => self.known[place],
            Some(_) => self.parts.iter().position(|part| part.place == place && part.guest.as_ref() == guest),
        };
        let number = number.unwrap_or_else(|| self.begin_part(place, guest));
        let part = &mut self.parts[number];
        // Who was let in with MULTI stays so until EXEC.
        if guest.is_some() && self.progress.unit(self.batch, step).0 == step {
            part.batch.push_asking();
            part.items.push(None);
        }
        let (batch, index) = self.progress.spread.command(self.batch, step);
        part.batch.take_over(batch, index);
        part.items.push(Some(step));
        Ok(())
    }

    /// Where a shard is in the present map that had this place when the batch began.
    fn present(&self, shard: usize, step: usize) -> Result<usize, Box<Failure>> {
        let Some(counted) = self.counted.filter(|counted| !std::ptr::eq(*counted, self.map)) else { return Ok(shard) };
        let node = &counted.shards()[shard].primary;
        self.map.shard_with(node).ok_or_else(|| {
            let name = self.batch.name(self.progress.spread.item_of(step));
            Failure::not_supported(&name, format!("{node} has left the cluster before it answered"))
        })
    }

    #[cold]
    fn begin_part(&mut self, place: usize, guest: Option<&NodeAddress>) -> usize {
        let mut part = Part { place, guest: guest.cloned(), ..Part::default() };
        let number = self.parts.len();
        if guest.is_none() {
            self.known[place] = Some(number);
            // As if all shards got equal parts, and a little more.
            let share = |whole: usize| whole / self.known.len() + whole / 16;
            part.batch.reserve(share(self.batch.size()), share(self.batch.len()));
            part.items.reserve(share(self.batch.len()));
        }
        self.parts.push(part);
        number
    }
}

/// What becomes of a command that stands by itself.
#[derive(Clone, Copy)]
enum Aim {
    One(Home),
    Split(Split),
    All(Merge),
}

/// The first key of an item, for a message.
fn first_key(batch: &Batch, item: usize) -> String {
    let words = words_of(batch.encoded(item));
    let place = batch.command(item).and_then(|row| key_positions(row, &words).first().copied()).unwrap_or(1);
    words.get(place).map_or_else(String::new, |key| shown(key))
}
