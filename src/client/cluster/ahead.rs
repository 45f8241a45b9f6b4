//! Parts of a batch are sent to all shards before the replies of the first are waited for, and taken as they come: shards
//! that answer are not kept waiting by one that does not.

use crate::connection::{Interest, Waiter};
use crate::pool::{Lease, Leased};
use crate::time::Deadline;

use super::super::batch::Batch;
use super::super::desk::{Ahead, Desk};
use super::super::state::Client;

impl Client {
    /// Sends each part where a connection is idle, as far as the kernel takes it. What is sent later goes the usual way.
    pub(super) fn send_ahead(&mut self, desk: &mut Desk) {
        desk.ahead.clear();
        let count = self.cluster.as_ref().map_or(0, |cluster| cluster.work.parts.len());
        if count < 2 {
            return;
        }
        for number in 0..count {
            let Some(cluster) = self.cluster.as_deref() else { return };
            let part = &cluster.work.parts[number];
            if part.guest.is_some() {
                continue;
            }
            let place = part.place;
            self.shard(place);
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let Some(shard) = cluster.shards[place].as_deref_mut() else { continue };
            desk.ahead.extend(shard.begin_batch(place, &cluster.work.parts[number].batch));
        }
    }

    /// Sends a batch on a connection that is idle and needs no second look; `None` if there is none, or something else
    /// has to come first.
    fn begin_batch(&mut self, place: usize, batch: &Batch) -> Option<Ahead> {
        if self.deployment.has_news() {
            // Mostly what this client has found itself. Trouble stays news.
            self.heed();
        }
        if self.pins.any() || self.deployment.has_news() {
            return None;
        }
        let (reader, mut lease) = if self.may_read_batch_elsewhere(batch) {
            let (reader, lease) = self.idle_reader(batch)?;
            (Some(reader), lease)
        } else {
            (None, self.idle_primary()?)
        };
        lease.connection.owe(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        // One that is broken says so again when its turn comes.
        let sent = lease.connection.send_part(batch.bytes()).unwrap_or(0);
        Some(Ahead { place, lease, sent, reader })
    }

    fn idle_primary(&self) -> Option<Lease> {
        let epoch = self.deployment.epoch();
        let (_, pool) = self.primary.as_ref().filter(|(known, _)| *known == epoch)?;
        match pool.lease(self.world.clock.coarse(), &self.configuration.pool, &*self.world.clock) {
            Leased::Ready(lease) => Some(lease),
            _ => None,
        }
    }

    /// Which of the parts that are left is next: one whose replies are there. Those whose connection has ended come last,
    /// since finding another primary takes time; before them those that were not sent ahead.
    pub(super) fn next_part(&mut self, desk: &mut Desk, left: &mut Vec<usize>, until: Deadline) -> Option<usize> {
        let place_of =
            |client: &Client, number: usize| client.cluster.as_ref().map(|cluster| cluster.work.parts[number].place);
        let mut gone = Vec::new();
        let chosen = loop {
            let waiting: Vec<usize> = (0..left.len())
                .filter(|at| !gone.contains(at))
                .filter(|at| desk.ahead.iter().any(|ahead| place_of(self, left[*at]) == Some(ahead.place)))
                .collect();
            if waiting.is_empty() {
                break (0..left.len()).find(|at| !gone.contains(at)).unwrap_or(0);
            }
            let connections: Vec<&Ahead> = waiting
                .iter()
                .filter_map(|at| desk.ahead.iter().find(|ahead| place_of(self, left[*at]) == Some(ahead.place)))
                .collect();
            let whole = |ahead: &Ahead| {
                let parts = self.cluster.as_ref().map(|cluster| &cluster.work.parts[..]).unwrap_or_default();
                parts
                    .iter()
                    .any(|part| part.guest.is_none() && part.place == ahead.place && part.batch.size() == ahead.sent)
            };
            // One that takes more may have nothing to say before.
            let interest = |ahead: &Ahead| if whole(ahead) { Interest::Read } else { Interest::Either };
            let mut waiters: Vec<Waiter<'_>> = connections
                .iter()
                .map(|ahead| Waiter {
                    what: ahead.lease.connection.pollable(),
                    interest: interest(ahead),
                    ready: false,
                })
                .collect();
            let now = self.world.clock.coarse();
            let patience = self.configuration.policy.suspect_after;
            let timeout = until.min(Deadline::after(now, Some(patience))).remaining(now);
            // A poll that fails is a short wait.
            let _ = self.world.network.wait(&mut waiters, timeout);
            let Some(ready) = waiters.iter().position(|waiter| waiter.ready) else { break waiting[0] };
            let at = waiting[ready];
            let place = place_of(self, left[at]);
            let ended = desk
                .ahead
                .iter_mut()
                .find(|ahead| Some(ahead.place) == place)
                .is_some_and(|ahead| ahead.lease.connection.has_ended());
            if !ended {
                break at;
            }
            gone.push(at);
        };
        (chosen < left.len()).then(|| left.remove(chosen))
    }

    /// Takes the connection that was sent the part of a shard.
    pub(super) fn take_ahead(desk: &mut Desk, place: usize) {
        if let Some(at) = desk.ahead.iter().position(|ahead| ahead.place == place) {
            let ahead = desk.ahead.remove(at);
            desk.lease = Some(ahead.lease);
            desk.course.ahead = Some(ahead.sent);
            desk.course.reader = ahead.reader;
        }
    }
}
