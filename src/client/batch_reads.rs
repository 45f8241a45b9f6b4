//! Reading from replicas with a batch (option `read_from`): all of it, if nothing in it is more than a read. A read never
//! overtakes a write of its batch: with one in it, the whole goes to the primary. In a cluster that is said of the part for
//! each shard.

use crate::command::may_use_replica;
use crate::config::ReadFrom;
use crate::failover::{Cause, Lost, Phase};
use crate::pool::{Lease, Leased};
use crate::resp::words_of;

use super::batch::{Batch, Replies};
use super::call::Call;
use super::desk::Desk;
use super::failure::Failure;
use super::state::Client;

impl Client {
    /// Whether a replica may answer the batch.
    #[inline]
    pub(super) fn may_read_batch_elsewhere(&self, batch: &Batch) -> bool {
        self.configuration.policy.read_from != ReadFrom::Primary && batch.only_reads()
    }

    /// As `acquire`, for a batch that may have to go to a replica.
    pub(super) fn acquire_for_batch(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        if call.reading.allowed && self.acquire_reader(desk, call)? {
            return Ok(());
        }
        self.acquire(desk, call)
    }

    /// A connection to a node that this batch can be read from, if one is idle and needs no second look; with its place.
    pub(super) fn idle_reader(&self, batch: &Batch) -> Option<(u32, Lease)> {
        let (now, policy) = (self.world.clock.coarse(), &self.configuration.policy);
        let readers = self.deployment.readers();
        let made_from = (readers.version(), self.deployment.epoch());
        if readers.is_due(now) || !self.list.names.is_empty() || self.list.made_from != made_from {
            return None;
        }
        let at = self.choose(&Call::of_batch(batch, policy, now), now)?;
        let place = &self.list.places[at];
        if place.is_primary || place.reader.is_due(now) || !place.reader.is_fit(policy.max_replica_lag) {
            return None;
        }
        match place.pool.lease(now, &self.configuration.pool, &*self.world.clock) {
            Leased::Ready(lease) => Some((u32::try_from(at).ok()?, lease)),
            _ => None,
        }
    }

    /// The node that was read from refused something because of its own state. True if that is how it stays.
    #[cold]
    pub(super) fn batch_refused_by_reader<R: Replies>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        batch: &Batch,
        replies: &mut R,
    ) -> Result<bool, Box<Failure>> {
        let said = desk.course.refused.first().map(|refused| String::from_utf8_lossy(&refused.text).into_owned());
        let (said, now) = (said.unwrap_or_default(), self.world.clock.now());
        if !self.put_reader_aside(desk, call, &said, now) {
            desk.course.hand_out_refusals(batch, replies);
            return Ok(true);
        }
        if call.deadline.passed(now) {
            let lost = Lost::before(Phase::Read, Cause::Overdue(call.limit(), said));
            return Err(self.end_batch(desk, call, batch, &lost, replies));
        }
        Ok(false)
    }
}

impl Batch {
    /// Whether a replica serves all of its commands.
    fn only_reads(&self) -> bool {
        !self.has_effects()
            && !self.waits()
            && (0..self.len()).all(|index| {
                let row = self.command(index);
                match row.is_none_or(|row| row.subcommands.is_empty()) {
                    true => may_use_replica(row, &[]),
                    false => may_use_replica(row, &words_of(self.encoded(index))[1..]),
                }
            })
    }
}
