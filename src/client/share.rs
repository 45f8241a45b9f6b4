//! One worker searches, the others wait for what it finds (P10).

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::discovery::Search;
use crate::pool::Heard;
use crate::telemetry::COUNTERS;
use crate::time::{Deadline, Instant};
use crate::topology::Notice;

use super::desk::Desk;
use super::state::Client;

/// Nobody waits on a socket for longer than this without a look at what others have found.
const LOOK: Duration = Duration::from_millis(10);
/// Who searches says as often that it is alive.
const BREATH: Duration = Duration::from_millis(50);

impl Client {
    /// Takes over what another worker has told, if it is new.
    #[cold]
    pub fn heed(&self) -> Option<Heard> {
        let heard = self.deployment.hear()?;
        if let Some(former) = &heard.former {
            COUNTERS.failovers.increment();
            // What is idle there leads to a node that is dead or a replica now, whatever the identity.
            self.world.registry.forget_node(former);
        }
        Some(heard)
    }

    /// Heeds what was told since the publication `looked`, and returns it, whoever of this process heard it first.
    pub(super) fn told_since(&self, looked: &mut Option<u64>) -> Option<Notice> {
        let stamp = self.deployment.place().stamp();
        if *looked == Some(stamp) {
            return None;
        }
        *looked = Some(stamp);
        self.heed();
        self.deployment.told()
    }

    /// The bell as it is now: what is looked at after this is not missed by a wait that begins with it.
    pub(super) fn bell(&self) -> u32 {
        self.deployment.place().bell().load(Ordering::Acquire)
    }

    /// Lets a search that wants to look everywhere do so, if nobody else on this host is at it; says that it is alive.
    /// `looked` is the publication that was heard last.
    pub(super) fn take_turns(&self, desk: &mut Desk, search: &mut Search, looked: Option<u64>, now: Instant) {
        if desk.turn.as_mut().is_some_and(|turn| !turn.breathe(now.as_nanos())) {
            // We were stopped for so long that somebody took over. What we find counts if it is first.
            desk.turn = None;
        }
        if search.is_held_back(now) {
            if desk.turn.is_none() {
                desk.turn = self.deployment.place().take_turn(now.as_nanos());
            }
            // Whoever had the turn before may have found the primary in the meantime: that is heard first.
            if desk.turn.is_some() && looked == Some(self.deployment.place().stamp()) {
                COUNTERS.searches.increment();
                search.go_wide();
            }
        }
    }

    /// Waits until the search gets further or somebody tells something, for a moment or until `deadline`. `searching` says
    /// that we search on behalf of all.
    pub(super) fn wait_together(&self, search: &Search, searching: bool, bell: u32, deadline: Deadline) {
        let (network, clock, place) = (&*self.world.network, &*self.world.clock, self.deployment.place());
        let now = clock.now();
        if !search.is_held_back(now) || search.is_awaiting() {
            search.wait(network, clock, None, self.soon(searching, now, deadline));
            return;
        }
        // A searcher that is heard of no more is taken over from.
        let Some(left) = place.lease_left(now.as_nanos()) else { return };
        let left = deadline.remaining(now).map_or(left, |until| until.min(left));
        network.wait_word(place.bell(), bell, left);
    }

    /// The end of a wait on sockets. Where nobody else is there is nobody to listen to.
    pub(super) fn soon(&self, searching: bool, now: Instant, deadline: Deadline) -> Deadline {
        if !self.deployment.place().is_shared() {
            return deadline;
        }
        deadline.min(Deadline::after(now, Some(if searching { BREATH } else { LOOK })))
    }
}
