//! Batches: each shard gets its part in one write, the replies stand in the order of the whole.

use crate::command::{Effect, Slots, key_positions, slots_of};
use crate::config::NodeAddress;
use crate::resp::words_of;
use crate::time::Deadline;

use super::super::batch::{Batch, Replies};
use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::state::Client;
use super::Detour;
use super::fan::Merge;
use super::parts::{Part, Placed};
use super::route::crossing;

impl Client {
    /// Runs a batch of commands that are at one node each.
    pub(super) fn run_routed_batch(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
    ) -> Result<(), Box<Failure>> {
        self.cluster.get_or_insert_default();
        if batch.is_open() {
            return Err(Box::new(Failure::misuse("MULTI", "a batch must not end between MULTI and EXEC")));
        }
        let until = self.end_of_command();
        self.make_sure_of_map(desk, until)?;
        let slots = self.slots_of_batch(batch)?;
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.progress.begin(batch.len());
            cluster.work.pending = (0..batch.len()).map(|item| (item, None)).collect();
        }
        replies.prepare(batch.len());
        let mut detour = Detour::default();
        let result = loop {
            self.divide(batch, &slots)?;
            let failure = self.run_parts(desk, batch, replies, until);
            if let Some(failure) = failure {
                break Err(failure);
            }
            match self.gather_moved(batch) {
                None => break Ok(()),
                Some(said) => {
                    let known = self.learn_moves();
                    let asked = said.node.as_ref().filter(|_| said.moved).cloned();
                    if !known || detour.count > 0 || said.waits {
                        detour.count = detour.count.max(u32::from(said.waits));
                        let failure = Box::new(Failure::unserved(None, &said.text));
                        if let Err(failure) = self.wait_for_change(desk, &mut detour, until, asked.as_ref(), failure) {
                            break Err(failure);
                        }
                    }
                    detour.count += 1;
                    self.follow_map();
                }
            }
        };
        self.note_pin();
        if result.is_err()
            && let Some(cluster) = self.cluster.as_deref_mut()
        {
            let missing = cluster.work.progress.given.iter().enumerate().filter(|(_, given)| !**given);
            missing.for_each(|(item, _)| replies.forget(item));
        }
        result.map_err(|mut failure| {
            let given = self.cluster.as_ref().map(|cluster| &cluster.work.progress.given);
            let first = given.and_then(|given| given.iter().position(|given| !given));
            failure.index = first.and_then(|first| u32::try_from(first).ok());
            failure
        })
    }

    /// The slot of each item; those without keys go where their neighbours go.
    fn slots_of_batch(&self, batch: &Batch) -> Result<Vec<Option<u16>>, Box<Failure>> {
        let mut slots = vec![None; batch.len()];
        let mut at = 0;
        while at < batch.len() {
            let (first, last) = batch.unit(at);
            let mut of_unit: Option<(u16, usize)> = None;
            for item in first..=last {
                match slots_of(batch.command(item), batch.encoded(item)) {
                    Slots::None => self.may_go_anywhere(batch, item)?,
                    Slots::Several(one, other) => {
                        return Err(crossing(&batch.name(item), batch.encoded(item), one, other));
                    }
                    Slots::One(slot) => match of_unit {
                        Some((known, earlier)) if known != slot => {
                            let (other, key) = (first_key(batch, earlier), first_key(batch, item));
                            let text = format!(
                                "a transaction is at one node, and its keys `{other}` (slot {known}) and `{key}` (slot {slot}) may be at two (CROSSSLOT); the same {{tag}} in all keys keeps them together"
                            );
                            return Err(Box::new(Failure::misuse(&batch.name(item), text)));
                        }
                        _ => of_unit = Some((slot, item)),
                    },
                }
            }
            if let Some((slot, _)) = of_unit {
                if self.pins.any() && self.place_of(Some(slot)) != self.place_of(None) {
                    let text = format!("slot {slot} is served by another node than the keys that are watched");
                    return Err(Box::new(Failure::misuse(&batch.name(first), text)));
                }
                slots[first..=last].fill(Some(slot));
            }
            at = last + 1;
        }
        Ok(slots)
    }

    fn may_go_anywhere(&self, batch: &Batch, item: usize) -> Result<(), Box<Failure>> {
        let name = &*batch.name(item);
        if matches!(batch.effect(item), Effect::Select | Effect::Auth) {
            let text = format!("{name} is not possible on a cluster: give the option to the constructor");
            return Err(Box::new(Failure::misuse(name, text)));
        }
        let word = || crate::resp::word_in(batch.encoded(item), 1).unwrap_or_default().to_ascii_uppercase();
        if name == "SCAN" || Merge::of(name, word).is_some() {
            let text = format!("{name} concerns all nodes of the cluster, so it cannot be sent in a batch");
            return Err(Box::new(Failure::misuse(name, text)));
        }
        Ok(())
    }

    /// Makes the parts of what has no reply yet.
    fn divide(&mut self, batch: &Batch, slots: &[Option<u16>]) -> Result<(), Box<Failure>> {
        let pending =
            self.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.work.pending)).unwrap_or_default();
        let mut parts: Vec<Part> = Vec::new();
        // The parts by their shards; those for guests are few and looked for.
        let mut known: Vec<Option<usize>> = vec![None; self.map().map_or(0, |map| map.shards().len())];
        let mut last = self.place_of(None).unwrap_or(0);
        for (item, guest) in pending {
            if let Some(slot) = slots[item] {
                last = self.place_of(Some(slot)).ok_or_else(|| Box::new(Failure::unserved(Some(slot), "")))?;
            }
            let found = match &guest {
                None => known[last],
                Some(_) => parts.iter().position(|part| part.place == last && part.guest == guest),
            };
            let number = found.unwrap_or_else(|| {
                parts.push(Part { place: last, guest: guest.clone(), ..Part::default() });
                parts.len() - 1
            });
            if guest.is_none() {
                known[last] = Some(number);
            }
            let part = &mut parts[number];
            // Who was let in with MULTI stays so until EXEC.
            if guest.is_some() && batch.unit(item).0 == item {
                part.batch.push_asking();
                part.items.push(None);
            }
            part.batch.take_over(batch, item);
            part.items.push(Some(item));
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.parts = parts;
        }
        Ok(())
    }

    /// Runs all parts, whatever becomes of one of them. Gives the failure of the earliest item.
    fn run_parts(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
        until: Deadline,
    ) -> Option<Box<Failure>> {
        let mut failed: Option<(usize, Box<Failure>)> = None;
        let count = self.cluster.as_ref().map_or(0, |cluster| cluster.work.parts.len());
        self.send_ahead(desk);
        let mut left: Vec<usize> = (0..count).collect();
        while let Some(number) = self.next_part(desk, &mut left, until) {
            let result = self.run_part(desk, number, batch, replies, until);
            if let Err(failure) = result {
                let part = self.cluster.as_ref().map(|cluster| &cluster.work.parts[number]);
                let index = failure.index.unwrap_or(0) as usize;
                let item = part.and_then(|part| part.items.get(index).copied().flatten()).unwrap_or(usize::MAX);
                if failed.as_ref().is_none_or(|(earlier, _)| item < *earlier) {
                    failed = Some((item, failure));
                }
            }
        }
        failed.map(|(_, failure)| failure)
    }

    fn run_part(
        &mut self,
        desk: &mut Desk,
        number: usize,
        batch: &Batch,
        replies: &mut dyn Replies,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let part = self
            .cluster
            .as_ref()
            .map(|cluster| (cluster.work.parts[number].place, cluster.work.parts[number].guest.clone()));
        let (place, guest) = part.unwrap_or_default();
        let asked = match &guest {
            Some(node) => {
                self.invite(node, until)?;
                node.clone()
            }
            None => {
                self.shard(place).bound = until;
                self.address_of(place)
            }
        };
        let Some(cluster) = self.cluster.as_deref_mut() else { return Ok(()) };
        let part = &cluster.work.parts[number];
        let client = if guest.is_some() { cluster.guest.as_deref_mut() } else { cluster.shards[place].as_deref_mut() };
        let Some(client) = client else { return Ok(()) };
        let mut placed = Placed::new(replies, batch, &part.items, &asked, &mut cluster.work.progress);
        if desk.is_littered() {
            // Not by a sweep: others have been sent ahead.
            desk.lease = None;
        }
        desk.course.begin();
        if guest.is_none() {
            Client::take_ahead(desk, place);
        }
        let result = client.go_on_with_batch(desk, &part.batch, &mut placed);
        if guest.is_none() {
            self.adopt_from(place);
        }
        result
    }

    /// Makes what was turned away pending again, unit by unit and in order. `None` if there is nothing.
    fn gather_moved(&mut self, batch: &Batch) -> Option<Said> {
        let watched = self.pins.any();
        let cluster = self.cluster.as_deref_mut()?;
        let (first, redirect) = cluster.work.progress.moved.first()?;
        let mut said = Said {
            moved: redirect.moved,
            node: Some(redirect.to.clone()),
            text: format!("{} belongs elsewhere: {}", batch.name(*first), redirect.to),
            waits: false,
        };
        let mut pending: Vec<(usize, Option<NodeAddress>)> = Vec::new();
        let mut moved = cluster.work.progress.moved.clone();
        moved.sort_by_key(|(item, _)| *item);
        for (item, redirect) in &moved {
            let (first, last) = batch.unit(*item);
            if pending.last().is_some_and(|(known, _)| *known >= first) {
                continue;
            }
            // What is watched is watched at one connection: that transaction waits until the slot has moved.
            let stays = watched && first != last;
            said.waits |= stays && !redirect.moved;
            let guest = (!stays && !redirect.moved).then(|| redirect.to.clone());
            pending.extend((first..=last).map(|item| (item, guest.clone())));
        }
        cluster.work.pending = pending;
        Some(said)
    }

    /// Learns where the slots are that have moved. False if a node is in no shard that is known.
    fn learn_moves(&mut self) -> bool {
        let Some(cluster) = self.cluster.as_deref_mut() else { return true };
        let moved = std::mem::take(&mut cluster.work.progress.moved);
        moved.iter().filter(|(_, to)| to.moved).all(|(_, to)| self.deployment.slots().assign(to.slot, &to.to))
    }
}

/// The first key of an item, for a message.
fn first_key(batch: &Batch, item: usize) -> String {
    let words = words_of(batch.encoded(item));
    let place = batch.command(item).and_then(|row| key_positions(row, &words).first().copied()).unwrap_or(1);
    words.get(place).map_or_else(String::new, |key| String::from_utf8_lossy(key).chars().take(100).collect())
}

/// What nodes said of items that belong elsewhere.
struct Said {
    moved: bool,
    node: Option<NodeAddress>,
    text: String,
    /// Whether only time helps.
    waits: bool,
}
