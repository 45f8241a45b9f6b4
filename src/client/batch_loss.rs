//! What a lost connection leaves of a batch: what may have been applied, and what that means on a connection that cannot
//! be replaced.

use crate::command::{Effect, Rank};
use crate::failover::{Cause, Lost, Phase};
use crate::pool::Lease;

use super::batch::{Batch, Replies};
use super::call::Call;
use super::course::Course;
use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::state::Client;

impl Client {
    /// One try on the pinned connection.
    pub(super) fn run_pinned_batch<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<(), Box<Failure>> {
        call.retry.begin();
        desk.course.pinned = true;
        desk.course.set_out(batch);
        let queueing = self.pins.multi;
        let result = match Lease::still_ours(self.pinned.take()) {
            // A look that costs little beside a transaction: what is not sent is not in doubt.
            Ok(mut lease) => match lease.connection.is_quiet() {
                true => {
                    desk.lease = Some(lease);
                    self.exchange_batch_and_hear(desk, call, batch, replies)
                }
                false => Err(Lost::before(Phase::Lease, Cause::Closed)),
            },
            Err(reason) => Err(Lost::before(Phase::Lease, Cause::Io(reason.to_owned()))),
        };
        let Err(lost) = result else { return Ok(()) };
        let lease = desk.lease.take();
        call.note_node(lease.as_ref());
        let pins = std::mem::take(&mut self.pins);
        let arrived = desk.course.sent - lease.map_or(0, |lease| lease.connection.undelivered());
        let (worst, _) = worst_unknown(batch, &desk.course, arrived, queueing && pins.multi);
        let mut failure = self.fail_batch(desk, call, batch, &lost, worst.map(|(index, _)| index), replies);
        if pins.watch && !failure.is_outcome_unknown() && failure.kind != Kind::NoMemory {
            failure.kind = Kind::AbortedTransaction;
            failure.message = format!("the connection that watched the keys was lost: {}", failure.message);
        }
        Err(failure)
    }
}

/// Of the items that arrived (their bytes end before `arrived`) and were not answered: the one that is
/// most dangerous to repeat, if any writes; and where those items end. `queueing` says that a transaction was open
/// before: until its EXEC nothing is applied.
pub(super) fn worst_unknown(
    batch: &Batch,
    course: &Course,
    arrived: usize,
    mut queueing: bool,
) -> (Option<(usize, Rank)>, usize) {
    let mut worst: Option<(usize, Rank)> = None;
    let mut index = course.next;
    while index < batch.len() && batch.end_of(index) <= arrived {
        let (first, last) = course.unit(batch, index);
        let rank = match batch.effect(last) {
            Effect::Exec if queueing => {
                queueing = false;
                Rank::Never
            }
            Effect::Discard if queueing => {
                queueing = false;
                Rank::Read
            }
            _ if queueing => Rank::Read,
            // Queued and not executed: the server forgets it with the connection.
            _ if batch.end_of(last) > arrived => Rank::Read,
            _ => course.hazard(batch, (first, last)).rank,
        };
        if rank != Rank::Read && worst.is_none_or(|(_, highest)| rank > highest) {
            worst = Some((last, rank));
        }
        index = last + 1;
    }
    let reached = (course.next..batch.len()).find(|index| batch.end_of(*index) > arrived).unwrap_or(batch.len());
    (worst, reached)
}
