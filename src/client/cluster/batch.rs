//! Batches: each shard gets its part in one write, the replies stand in the order of the whole.

use crate::command::{Effect, Slots, key_positions, slots_of};
use crate::config::NodeAddress;
use crate::failover::is_script;
use crate::resp::{second_word, words_of};
use crate::time::Deadline;

use super::super::batch::{Batch, Replies};
use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::state::Client;
use super::fan::Merge;
use super::parts::{Part, Placed};
use super::route::{crossing, of_the_options, shown};
use super::{Detour, torn, unserved};

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
        let mut until = self.end_of_command(desk);
        self.make_sure_of_map(desk, until)?;
        self.tell_torn()?;
        let was_pinned = self.is_pinned();
        let slots = self.slots_of_batch(batch)?;
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.progress.begin(batch.len());
            cluster.work.pending = (0..batch.len()).map(|item| (item, None)).collect();
        }
        replies.prepare(batch.len());
        let mut detour = Detour::default();
        let result = loop {
            if let Err(failure) = self.divide(batch, &slots) {
                // Nobody serves a slot at the moment.
                match self.wait_for_change(desk, &mut detour, until, None, failure) {
                    Ok(()) => continue,
                    Err(failure) => break Err(failure),
                }
            }
            let failure = self.run_parts(desk, batch, replies, &detour, until);
            if batch.waits() {
                // What commands waited by their own will is not time that they were kept from their nodes.
                until = self.end_of_command(desk);
            }
            if let Some(failure) = failure {
                if was_pinned || !detour.may_have_moved(&failure, until) {
                    break Err(failure);
                }
                // Nobody could be reached where the map says, and nothing of that was applied.
                self.make_missing_pending();
                if let Err(failure) = self.wait_for_change(desk, &mut detour, until, None, failure) {
                    break Err(failure);
                }
                continue;
            }
            self.hear_scripts_out(desk, batch, replies, until);
            match self.gather_moved(batch) {
                None => break Ok(()),
                Some(said) if was_pinned && said.of_transaction => break Err(torn()),
                Some(said) => {
                    let known = self.learn_moves();
                    let asked = said.node.as_ref().filter(|_| said.moved).cloned();
                    if !known || detour.count > 0 {
                        let failure = unserved(None, &said.text);
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
            // A part counts by itself.
            if let Some(end) = failure.message.find("; the first without a reply is command") {
                failure.message.truncate(end);
            }
            if let Some(first) = first.filter(|_| batch.len() > 1) {
                let place =
                    format!("; the first without a reply is command {} of a batch of {}", first + 1, batch.len());
                failure.message += &place;
            }
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
            return Err(Box::new(Failure::misuse(name, of_the_options(batch.effect(item), name))));
        }
        if name == "SCAN" || Merge::of(name, || second_word(batch.encoded(item))).is_some() {
            let text = format!("{name} concerns all nodes of the cluster, so it cannot be sent in a batch");
            return Err(Box::new(Failure::misuse(name, text)));
        }
        Ok(())
    }

    /// Makes the parts of what has no reply yet.
    fn divide(&mut self, batch: &Batch, slots: &[Option<u16>]) -> Result<(), Box<Failure>> {
        let waiting = self.cluster.as_ref().map(|cluster| &cluster.work.pending[..]).unwrap_or_default();
        let slots_of_waiting = waiting.iter().filter_map(|(item, _)| slots[*item]);
        if let Some(slot) = slots_of_waiting.into_iter().find(|slot| self.place_of(Some(*slot)).is_none()) {
            return Err(unserved(Some(slot), ""));
        }
        let pending =
            self.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.work.pending)).unwrap_or_default();
        let mut parts: Vec<Part> = Vec::new();
        // The parts by their shards; those for guests are few and looked for.
        let mut known: Vec<Option<usize>> = vec![None; self.map().map_or(0, |map| map.shards().len())];
        let mut last = self.place_of(None).unwrap_or(0);
        for (item, guest) in pending {
            if let Some(slot) = slots[item] {
                last = self.place_of(Some(slot)).unwrap_or(last);
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

    /// Runs all parts, whatever becomes of one of them. Gives the failure of the earliest item, but one that leaves in doubt
    /// what was applied before one that does not.
    fn run_parts(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
        detour: &Detour,
        until: Deadline,
    ) -> Option<Box<Failure>> {
        let mut failed: Option<(usize, Box<Failure>)> = None;
        let count = self.cluster.as_ref().map_or(0, |cluster| cluster.work.parts.len());
        self.send_ahead(desk);
        let mut left: Vec<usize> = (0..count).collect();
        while let Some(number) = self.next_part(desk, &mut left, until) {
            let result = self.run_part(desk, number, batch, replies, detour, until);
            if let Err(failure) = result {
                let part = self.cluster.as_ref().map(|cluster| &cluster.work.parts[number]);
                let index = failure.index.unwrap_or(0) as usize;
                let item = part.and_then(|part| part.items.get(index).copied().flatten()).unwrap_or(usize::MAX);
                let weight = |item: usize, failure: &Failure| (!failure.is_outcome_unknown(), item);
                if failed.as_ref().is_none_or(|(other, known)| weight(item, &failure) < weight(*other, known)) {
                    failed = Some((item, failure));
                }
            }
        }
        failed.map(|(_, failure)| failure)
    }

    pub(super) fn run_part(
        &mut self,
        desk: &mut Desk,
        number: usize,
        batch: &Batch,
        replies: &mut dyn Replies,
        detour: &Detour,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let Some(part) = self.cluster.as_ref().map(|cluster| &cluster.work.parts[number]) else { return Ok(()) };
        let (place, guest) = (part.place, part.guest.clone());
        let asked = match &guest {
            Some(node) => {
                self.invite(node, until)?;
                node.clone()
            }
            None => {
                let (bound, patience) =
                    (if batch.waits() { Deadline::NEVER } else { until }, detour.patience(self.now()));
                self.shard(place).bound_by(bound, patience);
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
        let answered = guest.unwrap_or_else(|| self.address_of(place));
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.progress.refused_by(&answered);
        }
        result
    }

    /// Makes everything that has no reply pending again.
    fn make_missing_pending(&mut self) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            let given = &cluster.work.progress.given;
            cluster.work.pending = (0..given.len()).filter(|item| !given[*item]).map(|item| (item, None)).collect();
            cluster.work.progress.moved.clear();
        }
    }

    /// Of what scripts have said as a server does, only that counts which their node says itself. The rest is their reply.
    fn hear_scripts_out(&mut self, desk: &mut Desk, batch: &Batch, replies: &mut dyn Replies, until: Deadline) {
        let moved = self.cluster.as_ref().map(|cluster| cluster.work.progress.moved.clone()).unwrap_or_default();
        for (item, redirect) in moved {
            let Some(row) = batch.command(item).filter(|row| is_script(row.name)) else { continue };
            let words = words_of(batch.encoded(item));
            let key = key_positions(row, &words).first().map(|place| words[*place].to_vec());
            let place = self.place_of(slots_of(Some(row), batch.encoded(item)).one());
            let meant = key.zip(place).is_some_and(|(key, place)| {
                let epoch = self.shard(place).deployment.epoch();
                self.sends_away(desk, &key, place, epoch, until)
            });
            if meant {
                continue;
            }
            if let Some(cluster) = self.cluster.as_deref_mut() {
                cluster.work.progress.moved.retain(|(moved, _)| *moved != item);
                cluster.work.progress.given[item] = true;
            }
            let said = format!("{} {} {}", if redirect.moved { "MOVED" } else { "ASK" }, redirect.slot, redirect.to);
            replies.refuse(item, said.as_bytes());
        }
    }

    /// Makes what was turned away pending again, unit by unit and in order. `None` if there is nothing.
    fn gather_moved(&mut self, batch: &Batch) -> Option<Said> {
        let queues = self.pins.multi;
        let cluster = self.cluster.as_deref_mut()?;
        let (first, redirect) = cluster.work.progress.moved.first()?;
        let mut said = Said {
            moved: redirect.moved,
            node: Some(redirect.to.clone()),
            text: format!("{} belongs elsewhere: {}", batch.name(*first), redirect.to),
            of_transaction: false,
        };
        let mut pending: Vec<(usize, Option<NodeAddress>)> = Vec::new();
        let mut moved = cluster.work.progress.moved.clone();
        moved.sort_by_key(|(item, _)| *item);
        for (item, redirect) in &moved {
            let (first, last) = batch.unit(*item);
            if pending.last().is_some_and(|(known, _)| *known >= first) {
                continue;
            }
            // What is watched, or open, is so at one connection.
            said.of_transaction |= first != last || queues;
            let guest = (!redirect.moved).then(|| redirect.to.clone());
            pending.extend((first..=last).map(|item| (item, guest.clone())));
        }
        cluster.work.pending = pending;
        Some(said)
    }

    /// Learns where the slots are that have moved. False if a node is in no shard that is known.
    fn learn_moves(&mut self) -> bool {
        let Some(cluster) = self.cluster.as_deref_mut() else { return true };
        let moved = std::mem::take(&mut cluster.work.progress.moved);
        let (now, slots) = (self.world.clock.now(), self.deployment.slots());
        moved.iter().filter(|(_, to)| to.moved).all(|(_, to)| slots.assign(to.slot, &to.to, now))
    }
}

/// The first key of an item, for a message.
fn first_key(batch: &Batch, item: usize) -> String {
    let words = words_of(batch.encoded(item));
    let place = batch.command(item).and_then(|row| key_positions(row, &words).first().copied()).unwrap_or(1);
    words.get(place).map_or_else(String::new, |key| shown(key))
}

/// What nodes said of items that belong elsewhere.
struct Said {
    moved: bool,
    node: Option<NodeAddress>,
    text: String,
    /// Whether something of a transaction is among it.
    of_transaction: bool,
}
