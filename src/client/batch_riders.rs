//! What rides behind a batch (P12): as behind a single command, once for all of it.

use crate::command::{self, Effect};
use crate::failover::Lost;
use crate::resp::words_of;

use super::batch::{Batch, Replies};
use super::call::Call;
use super::desk::Desk;
use super::failure::Failure;
use super::rider::{Riders, Shortfall};
use super::state::Client;

impl Client {
    /// Does what is due before a batch that writes, and finds what has to ride behind it.
    #[inline]
    pub(super) fn saddle_batch(&mut self, call: &mut Call, batch: &Batch) {
        let waits = self.configuration.policy.min_replicas.is_some();
        if (waits || self.deployment.watch().is_due(call.started)) && batch.changes_data() {
            self.saddle_writing_batch(call, batch);
        }
    }

    #[cold]
    fn saddle_writing_batch(&mut self, call: &mut Call, batch: &Batch) {
        self.prepare(call, !call.blocking && !self.pins.any());
        // What is only queued is not applied yet.
        if !self.pins.multi || batch.ends_transaction() {
            call.riders.quorum = self.quorum(call, call.started);
        }
    }

    /// As `saddle_batch`, for another attempt. It waits for what it does itself, perhaps at another node: what is settled
    /// must have been acknowledged before.
    #[cold]
    pub(super) fn saddle_batch_again(&mut self, desk: &Desk, call: &mut Call, batch: &Batch, waits: bool) {
        let never_heard = call.riders.waits();
        let quorum = if waits { self.quorum(call, self.world.clock.now()) } else { None };
        call.riders = Riders { question: None, quorum };
        if !waits || desk.course.first_write(batch, 0..desk.course.done).is_none() {
            call.shortfall = None;
        } else if let Some(quorum) = quorum.filter(|_| never_heard) {
            let why = format!("the connection was lost after the first {} of its commands", desk.course.done);
            call.shortfall.get_or_insert_with(|| Box::new(Shortfall::unknown(quorum, why)));
        }
    }

    /// As `exchange_batch`, and hears what the riders are answered.
    pub(super) fn exchange_batch_and_hear<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Lost> {
        self.exchange_batch(desk, call, batch, replies)?;
        if call.riders.any() {
            self.hear(desk, call);
        }
        Ok(())
    }

    /// Sends the riders behind the last byte of the batch.
    #[cold]
    pub(super) fn send_riders(&mut self, desk: &mut Desk, call: &Call) -> Result<(), Lost> {
        desk.frame.begin();
        call.riders.mount(&mut desk.frame);
        self.send(desk, call, call.riders.count())
    }

    /// The end of a batch that was applied and not acknowledged by as many replicas as it had to be. All its replies are
    /// known.
    #[cold]
    pub(super) fn short_of_replicas_for_batch(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        shortfall: &Shortfall,
    ) -> Box<Failure> {
        let last = desk.course.last_write(batch).unwrap_or(batch.len() - 1);
        desk.frame.load(batch.encoded(last));
        call.command = batch.command(last);
        self.short_of_replicas(desk, call, shortfall)
    }
}

impl Batch {
    /// Whether any of its commands may change data.
    fn changes_data(&self) -> bool {
        (0..self.len()).any(|index| {
            let command = self.command(index);
            command::always_writes(command)
                || (command::may_write(command) && command::is_write(command, &words_of(self.encoded(index))[1..]))
        })
    }

    /// Whether it brings to an end a transaction that was open before it.
    fn ends_transaction(&self) -> bool {
        (0..self.len()).any(|index| matches!(self.effect(index), Effect::Exec | Effect::Discard))
    }
}
