//! The way of a batch over one connection: sent in as few writes as the kernel allows, its replies taken as they come.
//!
//! When the kernel takes no more, the server may be waiting for somebody to receive its replies: so they are received
//! meanwhile, and neither side ever waits for the other.

use std::time::Duration;

use crate::connection::{Interest, Patience, Received};
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::ProtocolError;
use crate::time::{Deadline, Instant};

use super::await_reply::{no_lease, wait_for};
use super::batch::{Batch, Replies};
use super::call::Call;
use super::desk::Desk;
use super::state::Client;

impl Client {
    /// Sends what is not settled of the batch on the connection that is on the desk, and takes the replies.
    ///
    /// # Errors
    /// The connection is lost. The course tells how far the batch had come.
    pub(super) fn exchange_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Lost> {
        let mut heard = if call.is_prompt() { call.started } else { self.world.clock.now() };
        let is_ahead = desk.course.ahead.take().is_some();
        if !is_ahead && call.deadline.passed(heard) {
            // What is sent now would only be in doubt.
            return Err(Lost::before(Phase::Write, Cause::TimedOut(call.limit())));
        }
        let limits = self.limits();
        let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
        let owed = u32::try_from(batch.len() - desk.course.done).unwrap_or(u32::MAX);
        lease.connection.set_limits(limits);
        if !is_ahead {
            lease.connection.owe(owed);
        }
        replies.expect(desk.course.next);
        loop {
            let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
            let sent = match lease.connection.send_part(&batch.bytes()[desk.course.sent..]) {
                Ok(sent) => sent,
                Err(lost) => {
                    // What had been answered before it was lost has been answered.
                    while !matches!(self.take(desk, batch, replies, Patience::None), Ok(Received::Nothing) | Err(_)) {}
                    return Err(lost);
                }
            };
            desk.course.sent += sent;
            if desk.course.sent == batch.bytes().len() {
                break;
            }
            let mut moved = sent > 0;
            while self.take(desk, batch, replies, Patience::None)? != Received::Nothing {
                moved = true;
            }
            if moved {
                heard = self.world.clock.now();
            }
            self.wait_to_send(desk, call, heard)?;
        }
        if call.riders.any() {
            // A connection that breaks here shows it when the replies are taken.
            let _ = self.send_riders(desk, call);
        }
        self.take_the_rest(desk, call, batch, replies, heard)
    }

    /// Waits until the kernel takes more, or brings something. A node that does neither is suspect like one that is
    /// silent.
    #[cold]
    fn wait_to_send(&mut self, desk: &mut Desk, call: &Call, heard: Instant) -> Result<(), Lost> {
        let now = self.world.clock.now();
        let (deadline, limit) = call.reply_deadline(heard, &self.configuration.policy);
        if deadline.passed(now) {
            return Err(timed_out(limit));
        }
        let Some(lease) = desk.lease.as_ref() else { return Err(no_lease()) };
        let calm = self.configuration.policy.suspect_after;
        let soon = deadline.min(Deadline::after(now, Some(calm))).remaining(now);
        if wait_for(&*self.world.network, &lease.connection, Interest::Either, soon) {
            return Ok(());
        }
        self.bide(desk, call, Interest::Either, heard, (deadline, limit))
    }

    /// Takes replies until the last one has come. `read_write_timeout` bounds the silence between them, the deadline
    /// all of it.
    fn take_the_rest<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        batch: &Batch,
        replies: &mut R,
        mut heard: Instant,
    ) -> Result<(), Lost> {
        // As for one reply: where the socket's own patience is no longer than ours, a receive waits by itself.
        let brief = desk.lease.as_ref().map_or(Duration::MAX, |lease| lease.connection.brief());
        let mut limits = call.reply_deadline(heard, &self.configuration.policy);
        let mut patience = self.patience(brief, limits.0, heard);
        while desk.course.next < batch.len() {
            if self.take(desk, batch, replies, patience)? == Received::Nothing {
                self.bide(desk, call, Interest::Read, heard, limits)?;
                patience = Patience::None;
                continue;
            }
            if desk.lease.as_ref().is_some_and(|lease| lease.connection.has_unread()) {
                continue;
            }
            heard = self.world.clock.coarse();
            // One deadline for all of them: a server that trickles does not put it off.
            if limits.0.passed(heard) {
                return Err(timed_out(limits.1));
            }
            limits = call.reply_deadline(heard, &self.configuration.policy);
            patience = self.patience(brief, limits.0, heard);
        }
        Ok(())
    }

    #[inline]
    fn patience(&self, brief: Duration, deadline: Deadline, now: Instant) -> Patience {
        let fits = deadline.remaining(now).is_none_or(|left| left >= brief);
        if fits && brief <= self.configuration.policy.suspect_after { Patience::Brief } else { Patience::None }
    }

    /// Receives once at most. A reply that is complete is judged.
    #[inline]
    fn take<R: Replies>(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut R,
        patience: Patience,
    ) -> Result<Received, Lost> {
        let Some(lease) = desk.lease.as_mut() else { return Err(no_lease()) };
        let received = lease.connection.receive(replies, patience)?;
        if !matches!(received, Received::Value | Received::Error) {
            return Ok(received);
        }
        let index = desk.course.next;
        if batch.end_of(index) > desk.course.sent {
            let text = "a reply came before its command was sent".to_owned();
            return Err(Lost::awaiting(Cause::Protocol(ProtocolError::Unexpected(text))));
        }
        if received == Received::Value {
            self.answered(desk, batch, index);
        } else {
            self.refused(desk, batch, index, replies);
        }
        desk.course.next = index + 1;
        if desk.course.next < batch.len() {
            replies.expect(desk.course.next);
        }
        Ok(received)
    }
}

fn timed_out(limit: Limit) -> Lost {
    Lost::awaiting(Cause::TimedOut(limit))
}
