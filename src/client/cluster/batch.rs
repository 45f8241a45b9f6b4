//! Batches: each shard gets its part in one write, the replies stand in the order of the whole.

use crate::command::key_positions;
use crate::config::NodeAddress;
use crate::failover::is_script;
use crate::resp::words_of;
use crate::time::{Deadline, Instant};

use super::super::batch::{Batch, Replies};
use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::super::telling::adopt_events;
use super::parts::{Left, Placed};
use super::{Detour, torn, unserved};

impl Client {
    /// Runs a batch, each command of it where its keys are.
    #[cold]
    pub(in super::super) fn run_batch_in_cluster(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
    ) -> Result<(), Box<Failure>> {
        self.see_not_asked()?;
        self.charged(desk, |client, desk| {
            client.cluster.get_or_insert_default();
            let until = client.end_of_command(desk);
            client.make_sure_of_map(desk, until)?;
            client.run_routed_batch(desk, batch, replies, until)
        })
    }

    /// As `run_batch_in_cluster`, for what is charged already.
    pub(super) fn run_routed_batch(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
        mut until: Deadline,
    ) -> Result<(), Box<Failure>> {
        self.cluster.get_or_insert_default();
        if batch.is_open() {
            return Err(Box::new(Failure::misuse("MULTI", "a batch must not end between MULTI and EXEC")));
        }
        self.tell_torn()?;
        let was_pinned = self.is_pinned();
        let was_left = self.cluster.as_deref_mut().is_some_and(|cluster| std::mem::take(&mut cluster.work.left.batch));
        let mut resumes = was_left && self.is_divided_still(desk)?;
        if was_left && !resumes {
            self.make_missing_pending();
        } else if !was_left {
            self.place_batch(batch)?;
            if let Some(cluster) = self.cluster.as_deref_mut() {
                cluster.work.pending = None;
            }
            replies.prepare(batch.len());
        }
        let mut detour = self.detour();
        let result = loop {
            if !resumes && let Err(failure) = self.divide(batch) {
                // Nobody serves a slot at the moment.
                match self.wait_for_change(desk, &mut detour, until, None, failure) {
                    Ok(()) => continue,
                    Err(failure) => break Err(failure),
                }
            }
            let failure = self.run_parts(desk, batch, replies, &detour, until, resumes);
            if batch.waits() {
                // What commands waited by their own will is not time that they were kept from their nodes.
                until = self.end_of_command(desk);
            }
            if let Some(failure) = failure {
                if failure.kind == Kind::Credentials || was_pinned || !detour.may_have_moved(&failure) {
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
            if std::mem::take(&mut resumes) {
                // What was not left then, and has no reply, was not applied.
                self.make_missing_pending();
                let pending = self.cluster.as_ref().and_then(|cluster| cluster.work.pending.as_ref());
                if pending.is_some_and(|pending| !pending.is_empty()) {
                    continue;
                }
            }
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
        if matches!(&result, Err(failure) if failure.kind == Kind::Credentials) {
            let cluster = self.cluster.get_or_insert_default();
            (cluster.work.left.batch, cluster.work.left.edition) = (true, cluster.edition);
            return result;
        }
        if result.is_ok() {
            self.look_again(desk, 0, self.world.clock.coarse(), until);
        }
        let Some(cluster) = self.cluster.as_deref_mut() else { return result };
        let (work, failed) = (&mut cluster.work, result.is_err());
        let (given, spread) = (&work.progress.given, &mut work.progress.spread);
        if failed {
            let missing = (0..given.len()).filter(|step| !given[*step] && !spread.is_shared(*step));
            missing.for_each(|step| replies.forget(spread.item_of(step)));
        }
        spread.finish(&mut work.sink, &mut work.merged, replies);
        result.map_err(|mut failure| {
            let first = given.iter().position(|given| !given).map(|step| spread.item_of(step));
            failure.index = first.and_then(|first| u32::try_from(first).ok());
            // A part counts by itself.
            if let Some(end) = failure.message.find("; the first without a reply is command") {
                failure.message.truncate(end);
            }
            if let Some(told) = spread.told_of_halves(batch) {
                if !failure.is_outcome_unknown() {
                    failure.kind = Kind::LostReply;
                }
                failure.message += &told;
            }
            if let Some(first) = first.filter(|_| batch.len() > 1) {
                let place =
                    format!("; the first without a reply is command {} of a batch of {}", first + 1, batch.len());
                failure.message += &place;
            }
            failure
        })
    }

    /// Runs all parts, or those that were left, whatever becomes of one of them. Gives the failure of the earliest step, but
    /// one that leaves in doubt what was applied before one that does not, and what was left to be gone on with before
    /// others.
    fn run_parts(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
        detour: &Detour,
        until: Deadline,
        resumes: bool,
    ) -> Option<Box<Failure>> {
        let mut failed: Option<(usize, Box<Failure>)> = None;
        let parts = self.cluster.as_ref().map(|cluster| &cluster.work.parts[..]).unwrap_or_default();
        let mut left: Vec<usize> = (0..parts.len()).filter(|part| !resumes || parts[*part].left.is_some()).collect();
        if !resumes {
            self.send_ahead(desk);
        }
        while let Some(number) = self.next_part(desk, &mut left, until) {
            let result = self.run_part(desk, number, batch, replies, detour, until);
            if let Err(failure) = result {
                let part = self.cluster.as_ref().map(|cluster| &cluster.work.parts[number]);
                let index = failure.index.unwrap_or(0) as usize;
                let item = part.and_then(|part| part.items.get(index).copied().flatten()).unwrap_or(usize::MAX);
                let weight = |item: usize, failure: &Failure| {
                    (!failure.is_outcome_unknown(), failure.kind != Kind::Credentials, item)
                };
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
        let asked = (!self.is_ring()).then(|| self.deployment.key().speaker(asked));
        let Some(cluster) = self.cluster.as_deref_mut() else { return Ok(()) };
        let left = cluster.work.parts[number].left.take();
        let part = &cluster.work.parts[number];
        let client = if guest.is_some() { cluster.guest.as_deref_mut() } else { cluster.shards[place].as_deref_mut() };
        let Some(client) = client else { return Ok(()) };
        let (progress, sink) = (&mut cluster.work.progress, &mut cluster.work.sink);
        let mut placed = Placed::new(replies, batch, &part.items, asked.as_ref(), progress, sink);
        if desk.is_littered() {
            // Not by a sweep: others have been sent ahead.
            desk.lease = None;
        }
        // Another part may have been left.
        (desk.left, desk.carried) = (None, None);
        desk.course.begin();
        if let Some((carried, course)) = left {
            (desk.carried, desk.course) = (Some(carried), course);
        } else if guest.is_none() {
            Client::take_ahead(desk, place);
        }
        let result = client.go_on_with_batch(desk, &part.batch, &mut placed);
        adopt_events(&mut self.events, client);
        self.attached = true;
        let left = desk.left.take().map(|carried| (carried, std::mem::take(&mut desk.course)));
        cluster.work.parts[number].left = left;
        let answered = guest.unwrap_or_else(|| self.address_of(place));
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.work.progress.refused_by(&answered);
        }
        result.map_err(|failure| self.as_of_whole(place, failure))
    }

    /// Whether what was left can go on in the same parts: the map may have become another one meanwhile.
    ///
    /// # Errors
    /// It has, and what one of them had sent may have been applied.
    pub(super) fn is_divided_still(&self, desk: &Desk) -> Result<bool, Box<Failure>> {
        let Some(cluster) = self.cluster.as_deref() else { return Ok(false) };
        if cluster.edition == cluster.work.left.edition {
            return Ok(true);
        }
        cluster.work.in_doubt(&desk.frame, self.now()).map_or(Ok(false), Err)
    }

    /// Nobody goes on with what was left at the shards. The failure that this is, if any of it may have been applied.
    pub(in super::super) fn leave_parts_in_doubt(&mut self, desk: &Desk, now: Instant) -> Option<Box<Failure>> {
        let in_doubt = self.cluster.as_deref()?.work.in_doubt(&desk.frame, now);
        self.forget_parts();
        in_doubt
    }

    /// Forgets what was left at the shards.
    pub(in super::super) fn forget_parts(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.work.left = Left::default();
        cluster.work.parts.iter_mut().for_each(|part| part.left = None);
    }

    /// Makes everything that has no reply pending again.
    fn make_missing_pending(&mut self) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            let given = &cluster.work.progress.given;
            let missing = (0..given.len()).filter(|step| !given[*step]).map(|step| (step, None));
            cluster.work.pending = Some(missing.collect());
            cluster.work.progress.moved.clear();
        }
    }

    /// Of what scripts have said as a server does, only that counts which their node says itself. The rest is their reply.
    fn hear_scripts_out(&mut self, desk: &mut Desk, batch: &Batch, replies: &mut dyn Replies, until: Deadline) {
        let moved = self.cluster.as_ref().map(|cluster| cluster.work.progress.moved.clone()).unwrap_or_default();
        for (step, redirect) in moved {
            let item = self.cluster.as_ref().map_or(step, |cluster| cluster.work.progress.spread.item_of(step));
            let Some(row) = batch.command(item).filter(|row| is_script(row.name)) else { continue };
            let words = words_of(batch.encoded(item));
            let key = key_positions(row, &words).first().map(|place| words[*place].to_vec());
            let slot = self.map().and_then(|map| map.slots_of(Some(row), batch.encoded(item)).one());
            let place = self.place_of(slot);
            let meant = key.zip(place).is_some_and(|(key, place)| {
                let epoch = self.shard(place).deployment.epoch();
                self.sends_away(desk, &key, place, epoch, until)
            });
            if meant {
                continue;
            }
            if let Some(cluster) = self.cluster.as_deref_mut() {
                cluster.work.progress.moved.retain(|(moved, _)| *moved != step);
                cluster.work.progress.given[step] = true;
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
            text: format!(
                "{} belongs elsewhere: {}",
                batch.name(cluster.work.progress.spread.item_of(*first)),
                redirect.to
            ),
            of_transaction: false,
        };
        let mut pending: Vec<(usize, Option<NodeAddress>)> = Vec::new();
        let mut moved = cluster.work.progress.moved.clone();
        moved.sort_by_key(|(step, _)| *step);
        for (step, redirect) in &moved {
            let (first, last) = cluster.work.progress.unit(batch, *step);
            if pending.last().is_some_and(|(known, _)| *known >= first) {
                continue;
            }
            // What is watched, or open, is so at one connection.
            said.of_transaction |= first != last || queues;
            cluster.work.progress.take_back((first, last));
            let guest = (!redirect.moved).then(|| redirect.to.clone());
            pending.extend((first..=last).map(|step| (step, guest.clone())));
        }
        cluster.work.pending = Some(pending);
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

/// What nodes said of items that belong elsewhere.
struct Said {
    moved: bool,
    node: Option<NodeAddress>,
    text: String,
    /// Whether something of a transaction is among it.
    of_transaction: bool,
}
