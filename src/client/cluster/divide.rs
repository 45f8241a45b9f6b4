//! Which command of a batch goes to which shard, and the part of the batch that each shard gets.

use crate::command::{Effect, Slots, key_positions};
use crate::config::NodeAddress;
use crate::resp::{second_word, words_of};
use crate::topology::SlotMap;

use super::super::batch::Batch;
use super::super::failure::Failure;
use super::super::state::Client;
use super::fan::Merge;
use super::parts::{Part, Progress};
use super::route::{crossing, shown};
use super::unserved;

/// In place of a slot: the command has no key, and goes where its neighbours go.
const ANYWHERE: u16 = u16::MAX;

impl Client {
    /// Finds the slot of each item.
    ///
    /// # Errors
    /// An item that cannot be sent, before anything is.
    pub(super) fn place_batch(&mut self, batch: &Batch) -> Result<(), Box<Failure>> {
        let Some(map) = self.map().cloned() else { return Err(unserved(None, "")) };
        let mut slots =
            self.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.work.slots)).unwrap_or_default();
        slots.clear();
        slots.reserve(batch.len());
        let is_pinned = self.pins.any();
        while slots.len() < batch.len() {
            let (first, last) = batch.unit(slots.len());
            let slot = match first == last {
                true => self.slot_of_item(&map, batch, first)?,
                false => self.slot_of_block(&map, batch, first, last)?,
            };
            if is_pinned && slot != ANYWHERE && self.place_of(Some(slot)) != self.place_of(None) {
                let text = format!("its key is {}, where another node serves than the watched keys", map.shown(slot));
                return Err(Box::new(Failure::misuse(&batch.name(first), text)));
            }
            slots.resize(last + 1, slot);
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.slots = slots;
        }
        Ok(())
    }

    #[inline]
    fn slot_of_item(&self, map: &SlotMap, batch: &Batch, item: usize) -> Result<u16, Box<Failure>> {
        match map.slots_of(batch.command(item), batch.encoded(item)) {
            Slots::One(slot) => Ok(slot),
            Slots::None => self.may_go_anywhere(batch, item).map(|()| ANYWHERE),
            Slots::Several(one, other) => Err(crossing(map, &batch.name(item), batch.encoded(item), one, other)),
        }
    }

    /// The slot of a transaction: all of it is at one node.
    fn slot_of_block(&self, map: &SlotMap, batch: &Batch, first: usize, last: usize) -> Result<u16, Box<Failure>> {
        let mut found: Option<(u16, usize)> = None;
        for item in first..=last {
            let slot = self.slot_of_item(map, batch, item)?;
            match found {
                _ if slot == ANYWHERE => {}
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
        Ok(found.map_or(ANYWHERE, |(slot, _)| slot))
    }

    #[cold]
    fn may_go_anywhere(&self, batch: &Batch, item: usize) -> Result<(), Box<Failure>> {
        let name = &*batch.name(item);
        if matches!(batch.effect(item), Effect::Select | Effect::Auth) {
            return Err(Box::new(Failure::misuse(name, self.of_the_options(batch.effect(item), name))));
        }
        if name == "SCAN" || Merge::of(name, || second_word(batch.encoded(item))).is_some() {
            let text = format!("{name} concerns all nodes of the cluster, so it cannot be sent in a batch");
            return Err(Box::new(Failure::misuse(name, text)));
        }
        Ok(())
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
            slots: &work.slots,
            progress: &work.progress,
            parts: Vec::new(),
            known: vec![None; map.shards().len()],
            last: cluster.pinned.unwrap_or(0),
        };
        match &work.pending {
            None => (0..batch.len()).try_for_each(|item| division.add(item, None))?,
            Some(pending) => pending.iter().try_for_each(|(item, guest)| division.add(*item, guest.as_ref()))?,
        }
        work.parts = division.parts;
        Ok(())
    }
}

/// A batch that is being divided.
struct Division<'a> {
    batch: &'a Batch,
    map: &'a SlotMap,
    slots: &'a [u16],
    progress: &'a Progress,
    parts: Vec<Part>,
    /// The parts by their shards; those for guests are few and looked for.
    known: Vec<Option<usize>>,
    /// The shard that the last item went to.
    last: usize,
}

impl Division<'_> {
    #[inline]
    fn add(&mut self, item: usize, guest: Option<&NodeAddress>) -> Result<(), Box<Failure>> {
        let slot = self.slots[item];
        if slot != ANYWHERE {
            self.last = self.map.shard_of(slot).ok_or_else(|| unserved(Some(slot), ""))?;
        }
        let number = match guest {
            None => self.known[self.last],
            Some(_) => self.parts.iter().position(|part| part.place == self.last && part.guest.as_ref() == guest),
        };
        let number = number.unwrap_or_else(|| self.begin_part(guest));
        let part = &mut self.parts[number];
        // Who was let in with MULTI stays so until EXEC.
        if guest.is_some() && self.progress.unit(self.batch, item).0 == item {
            part.batch.push_asking();
            part.items.push(None);
        }
        part.batch.take_over(self.batch, item);
        part.items.push(Some(item));
        Ok(())
    }

    #[cold]
    fn begin_part(&mut self, guest: Option<&NodeAddress>) -> usize {
        let mut part = Part { place: self.last, guest: guest.cloned(), ..Part::default() };
        let number = self.parts.len();
        if guest.is_none() {
            self.known[self.last] = Some(number);
            // As if all shards got equal parts, and a little more.
            let share = |whole: usize| whole / self.known.len() + whole / 16;
            part.batch.reserve(share(self.batch.size()), share(self.batch.len()));
            part.items.reserve(share(self.batch.len()));
        }
        self.parts.push(part);
        number
    }
}

/// The first key of an item, for a message.
fn first_key(batch: &Batch, item: usize) -> String {
    let words = words_of(batch.encoded(item));
    let place = batch.command(item).and_then(|row| key_positions(row, &words).first().copied()).unwrap_or(1);
    words.get(place).map_or_else(String::new, |key| shown(key))
}
