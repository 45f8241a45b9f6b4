//! The loop for batches (P3): what was answered stands, and from the first item that was not, everything goes out again
//! in order, where that is safe.

use crate::command::{Effect, Hazard, Telltale};
use crate::failover::{Cause, Lost, Phase, Remedy, Verdict};
use crate::telemetry::COUNTERS;

use super::batch::{Batch, Replies};
use super::batch_loss::worst_unknown;
use super::call::{Call, Recovery};
use super::course::Help;
use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::run::{is_final, overdue};
use super::state::Client;

impl Client {
    /// Runs a batch. When this returns well the replies have one for each item; an item that the server refused has its
    /// error. Otherwise the replies hold what is known.
    ///
    /// An item that the server refuses because of its own state is sent again with everything behind it, in order; unless
    /// something behind it that writes was applied meanwhile: then the refusal is its reply.
    ///
    /// # Errors
    /// What became of the first item without a reply. `Failure::index` says which one it is.
    pub fn run_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        if self.cluster.is_none() {
            match self.run_batch_alone(desk, batch, replies) {
                // Nothing of it was done yet.
                Err(failure) if failure.kind == Kind::Cluster && failure.index.is_none_or(|first| first == 0) => {
                    self.found_cluster(&failure);
                }
                result => return result,
            }
        }
        self.run_batch_in_cluster(desk, batch, replies)
    }

    /// Runs a batch at the primary.
    pub(super) fn run_batch_alone<R: Replies>(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        if desk.is_littered() {
            desk.sweep();
        }
        // A batch that was left goes on where it was.
        if desk.carried.is_none() {
            desk.course.begin();
        }
        self.go_on_with_batch(desk, batch, replies)
    }

    /// Runs a batch at the primary, that the connection on the desk may have been sent already.
    pub(super) fn go_on_with_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        COUNTERS.commands.add(batch.len() as u64);
        self.admit_batch(batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut call = Call::of_batch(batch, &self.configuration.policy, self.world.clock.coarse());
        call.deadline = call.deadline.min(self.bound);
        if desk.carried.is_some() {
            self.take_up_call(desk, &mut call);
        }
        let Some(budget) = self.configuration.policy.request_budget else {
            return self.run_batch_call(desk, &mut call, batch, replies);
        };
        match self.admit(desk, &mut call, budget) {
            // What was sent already may have been applied.
            Err(lost) if desk.course.ahead.is_none() => {
                return Err(self.fail_batch(desk, &mut call, batch, &lost, None, replies));
            }
            _ => {}
        }
        let result = self.run_batch_call(desk, &mut call, batch, replies);
        self.charge(desk, call.started, result.is_err());
        result
    }

    fn run_batch_call<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        self.saddle_batch(call, batch);
        if self.pins.any() {
            self.run_pinned_batch(desk, call, batch, replies)?;
        } else {
            call.reading.allowed = self.may_read_batch_elsewhere(batch);
            call.reading.at = desk.course.reader.take();
            self.repeat_until_settled(desk, call, batch, replies)?;
        }
        if !desk.course.doubted.is_empty() {
            call.note_node(desk.lease.as_ref());
        }
        if desk.course.unclean {
            desk.lease = None;
        }
        self.settle(desk);
        match desk.course.doubted.first() {
            None => match call.shortfall.take() {
                None => Ok(()),
                Some(shortfall) => Err(self.short_of_replicas_for_batch(desk, call, batch, &shortfall)),
            },
            Some(first) => {
                let text = "the reply to the second attempt may be due to the first, whose own reply was lost";
                Err(self.fail_batch(
                    desk,
                    call,
                    batch,
                    &Lost::awaiting(Cause::Io(text.to_owned())),
                    Some(*first),
                    replies,
                ))
            }
        }
    }

    fn admit_batch(&self, batch: &Batch) -> Result<(), Box<Failure>> {
        if self.hearing.is_some() {
            let text = "commands cannot be sent together on the connection of a push consumer: use the client itself";
            return Err(Box::new(Failure::misuse("", text)));
        }
        if batch.is_open() {
            return Err(Box::new(Failure::misuse("MULTI", "a batch must not end between MULTI and EXEC")));
        }
        if self.pins.multi && batch.has_effects() {
            let late = (0..batch.len())
                .find(|index| matches!(batch.effect(*index), Effect::Multi | Effect::Select | Effect::Auth));
            if let Some(index) = late {
                let name = batch.name(index);
                let text = format!("{name} is not possible between MULTI and EXEC");
                return Err(Box::new(Failure::misuse(&name, text)));
            }
        }
        Ok(())
    }

    fn repeat_until_settled<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        let waits = call.riders.waits();
        loop {
            call.retry.begin();
            if desk.course.ahead.is_none()
                && let Err(lost) = self.acquire_for_batch(desk, call)
            {
                if self.without_connection(desk, call, batch, &lost, replies)? {
                    return Ok(());
                }
                self.count_retry();
                continue;
            }
            if call.retry.attempts() > 1 {
                replies.rewind(desk.course.done);
                self.saddle_batch_again(desk, call, batch, waits);
                self.bring_scripts(desk, call, batch);
            }
            desk.course.set_out(batch);
            let begun = self.world.clock.coarse();
            let result = self.exchange_batch_and_hear(desk, call, batch, replies);
            if call.blocking {
                call.blocked(self.world.clock.now().since(begun));
                call.blocks_for = batch.blocks_for();
            }
            match result {
                Ok(()) if desk.course.is_straight() => return Ok(()),
                Ok(()) => {
                    if self.after_refusals(desk, call, batch, replies)? {
                        return Ok(());
                    }
                }
                Err(lost) => {
                    let at_reader = call.reading.at.is_some();
                    self.leave_reader(call, &lost);
                    self.after_batch_loss(desk, call, batch, &lost, replies)?;
                    if at_reader {
                        // The primary is not to blame.
                        call.recover = None;
                    }
                }
            }
            self.count_retry();
        }
    }

    /// All replies have come, and some say that the server cannot at the moment. True if that is how it stays.
    #[cold]
    fn after_refusals<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<bool, Box<Failure>> {
        call.note_node(desk.lease.as_ref());
        if call.reading.at.is_some() {
            return self.batch_refused_by_reader(desk, call, batch, replies);
        }
        let remedy = desk.course.remedy();
        let elsewhere = remedy == Remedy::Search;
        // A new connection was not let in either, or a script spoke for itself: then the words are the replies.
        let stands = (remedy == Remedy::Reconnect && std::mem::replace(&mut call.renewed, true))
            || (!desk.course.overtaken && !self.is_borne_out(desk, call, batch, replies)?);
        // Order is kept: what stands behind the refused item and was applied cannot be applied again after it.
        if stands || desk.course.overtaken || call.retry.not_applied() == Verdict::GiveUp {
            for index in std::mem::take(&mut desk.course.moves) {
                self.follow_item(desk, batch, index);
            }
            desk.course.hand_out_refusals(batch, replies);
            if elsewhere {
                // Clean, but it leads to a replica.
                desk.lease = None;
            }
            return Ok(true);
        }
        let said = String::from_utf8_lossy(&desk.course.refused[0].text).into_owned();
        let moved = !desk.course.moves.is_empty();
        self.part_with(desk, call, remedy, &said, moved);
        if call.deadline.passed(self.world.clock.now()) {
            let lost = Lost::before(Phase::Read, Cause::Overdue(call.limit(), said));
            return Err(self.end_batch(desk, call, batch, &lost, replies));
        }
        let script = desk.course.refused.iter().find(|refused| refused.help == Help::IfReplica);
        let of_script = desk.course.refused.iter().any(|refused| matches!(refused.help, Help::IfRepeated(_)));
        call.recover = Some(Recovery {
            cause: said,
            of_script,
            remedy: Some(remedy),
            only_if_replica: script.map(|refused| String::from_utf8_lossy(&refused.text).into_owned()),
        });
        Ok(false)
    }

    /// Whether the node says again what a script of the batch said in its words.
    fn is_borne_out<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<bool, Box<Failure>> {
        let script = desk.course.refused.iter().find(|refused| matches!(refused.help, Help::IfRepeated(_)));
        let Some((index, text)) = script.map(|script| (script.index, script.text.clone())) else { return Ok(true) };
        if let Some(again) = self.says_again(desk, call, &text) {
            return Ok(again);
        }
        desk.lease = None;
        desk.course.refused.clear();
        let lost = Lost::awaiting(Cause::Refused(String::from_utf8_lossy(&text).into_owned()));
        let unknown = Some(index).filter(|index| desk.course.is_write(batch, *index));
        Err(self.fail_batch(desk, call, batch, &lost, unknown, replies))
    }

    /// There is no connection to go on with. True if the batch has come to its end nevertheless.
    #[cold]
    fn without_connection<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        lost: &Lost,
        replies: &mut R,
    ) -> Result<bool, Box<Failure>> {
        if lost.cause == Cause::Credentials {
            replies.rewind(desk.course.done);
            desk.frame.load(batch.encoded(desk.course.done.min(batch.len() - 1)));
            return Err(self.leave_to_ask(desk, call));
        }
        if lost.sent {
            // It was about the error of a script, and either that was the script's own, or nobody can tell.
            if matches!(lost.cause, Cause::Refused(_)) {
                desk.course.hand_out_refusals(batch, replies);
                return Ok(true);
            }
            let script = desk.course.refused.iter().find(|refused| refused.help == Help::IfReplica);
            let index = script.map_or(desk.course.done, |refused| refused.index);
            desk.course.refused.clear();
            return Err(self.fail_batch(desk, call, batch, lost, Some(index), replies));
        }
        let over = is_final(call, lost) || call.retry.not_applied() == Verdict::GiveUp;
        self.go_on_or_end(desk, call, batch, lost, over, replies)?;
        Ok(false)
    }

    /// What follows from a connection that was lost on the way: another attempt, or the end.
    #[cold]
    fn after_batch_loss<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        lost: &Lost,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        let lease = desk.lease.take();
        call.note_node(lease.as_ref());
        if matches!(lost.cause, Cause::Superseded(_)) {
            self.count_wait(call, self.world.clock.now());
        }
        if lost.cause == Cause::NoMemory {
            return Err(self.fail_batch(desk, call, batch, lost, None, replies));
        }
        let arrived = desk.course.sent - lease.map_or(0, |lease| lease.connection.undelivered());
        let (worst, reached) = worst_unknown(batch, &desk.course, arrived, false);
        let verdict = match worst {
            Some((_, rank)) => call.retry.unknown(Hazard { rank, telltale: Telltale::None }),
            None => call.retry.not_applied(),
        };
        if let Some((index, _)) = worst {
            if verdict == Verdict::Unknown || desk.course.overtaken {
                return Err(self.fail_batch(desk, call, batch, lost, Some(index), replies));
            }
            desk.course.tainted = desk.course.tainted.max(reached);
        }
        let over = is_final(call, lost) || verdict == Verdict::GiveUp || desk.course.overtaken;
        self.go_on_or_end(desk, call, batch, lost, over, replies)
    }

    /// Prepares the next attempt, unless there is none.
    fn go_on_or_end<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        lost: &Lost,
        over: bool,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        if over {
            return Err(self.end_batch(desk, call, batch, lost, replies));
        }
        if call.deadline.passed(self.world.clock.now()) {
            return Err(self.end_batch(desk, call, batch, &overdue(call, lost), replies));
        }
        if !matches!(lost.cause, Cause::Superseded(_)) {
            call.recover =
                Some(Recovery { cause: lost.cause.to_string(), remedy: None, only_if_replica: None, of_script: false });
        }
        Ok(())
    }

    /// The end before all was answered. An earlier attempt may have been applied even if the last one was not.
    pub(super) fn end_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        lost: &Lost,
        replies: &mut R,
    ) -> Box<Failure> {
        if !desk.course.overtaken {
            // Nothing of the last attempt stands but what is settled.
            desk.course.refused.clear();
        }
        let first = desk.course.unanswered(batch);
        let tainted = desk.course.first_write(batch, first..desk.course.tainted);
        self.fail_batch(desk, call, batch, lost, tainted, replies)
    }

    /// The failure of a batch, and what is known of its replies. `unknown` is the item that may have been applied.
    pub(super) fn fail_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        lost: &Lost,
        unknown: Option<usize>,
        replies: &mut R,
    ) -> Box<Failure> {
        let answered = desk.course.unanswered(batch);
        if answered < batch.len() {
            replies.rewind(answered);
        }
        desk.course.hand_out_refusals(batch, replies);
        desk.course.doubted.iter().for_each(|index| replies.forget(*index));
        let first = desk.course.doubted.iter().copied().fold(answered, usize::min);
        let unknown = unknown.or_else(|| desk.course.doubted.first().copied());
        if unknown.is_some() {
            self.count_unknown();
        }
        let culprit = unknown.unwrap_or(first).min(batch.len() - 1);
        desk.frame.load(batch.encoded(culprit));
        call.command = batch.command(culprit);
        let mut failure = call.fail(&desk.frame, lost, unknown.is_some(), self.world.clock.coarse());
        failure.index = u32::try_from(first).ok();
        if batch.len() > 1 {
            let place = format!("; the first without a reply is command {} of a batch of {}", first + 1, batch.len());
            failure.message += &place;
        }
        failure
    }
}
