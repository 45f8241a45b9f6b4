//! What is told of what happened: events for the object's listener, and counts of what a disturbance cost.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::discovery::Search;
use crate::pool::{Disturbance, Move};
use crate::telemetry::{COUNTERS, Event, EventQueue};
use crate::time::Instant;

use super::call::{Call, Recovery};
use super::state::Client;

impl Client {
    /// Whether events wait for delivery.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Takes over the events that wait at another client, which has no listener of its own. They are finished there, where
    /// the disturbance is known that they end.
    pub fn adopt_events(&mut self, other: &mut Client) {
        adopt_events(&mut self.events, other);
    }

    /// Takes the oldest event that was not delivered. Called when the command is over, so that its own fate counts
    /// among what the search cost.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop()?;
        let Some(found) = event.ends_disturbance() else { return Some(event) };
        let now = self.world.clock.now();
        let met = self.deployment.disturbance(|met| if found { std::mem::take(met) } else { *met });
        let outage = met.since.map_or(Duration::ZERO, |since| now.since(since));
        Some(event.with_toll(outage, met.toll))
    }

    /// Tells of a search: that it began, and how it ended (at which primary, and whether that is another one).
    pub(super) fn announce(
        &mut self,
        former: Option<&NodeAddress>,
        cause: Option<&str>,
        started: Instant,
        search: &Search,
        end: Option<(String, bool)>,
    ) {
        let cause = cause.map_or_else(|| search.obstacle().1.to_string(), ToOwned::to_owned);
        self.tell(former.map(ToString::to_string), cause, started, end);
    }

    /// The pair of events that every search which is told of has.
    pub(super) fn tell(&mut self, from: Option<String>, cause: String, started: Instant, end: Option<(String, bool)>) {
        self.deployment.disturbance(|met| met.since = Some(met.since.map_or(started, |since| since.min(started))));
        let duration = self.world.clock.now().since(started);
        self.events.push(Event::failover_started(from.clone(), cause.clone()));
        self.events.push(match end {
            Some((to, promoted)) => Event::failover_completed(from, to, cause, duration, promoted),
            None => Event::failover_failed(from, cause, duration),
        });
    }

    /// Tells that a search ended where it began, and that what it cost was no failover's.
    pub(super) fn tell_of_no_failover(&mut self, node: &NodeAddress, recovery: Option<&Recovery>, started: Instant) {
        if let Some(lost) = recovery.filter(|recovery| recovery.remedy.is_none()) {
            let duration = self.world.clock.now().since(started);
            self.events.push(Event::connection_replaced(node.to_string(), lost.cause.clone(), duration));
        } else {
            self.deployment.disturbance(|met| *met = Disturbance::default());
        }
    }

    /// Tells, once per command, that the server needs time.
    pub(super) fn tell_unready(&mut self, call: &mut Call, cause: &str) {
        self.count_wait(call, self.world.clock.now());
        if !std::mem::replace(&mut call.told, true) {
            let node = call.node.as_ref().map(ToString::to_string);
            self.events.push(Event::server_unready(node, cause.to_owned()));
        }
    }

    /// Tells what has changed among the nodes that are read from.
    #[cold]
    pub(super) fn tell_moves(&mut self) {
        let names = |nodes: Vec<NodeAddress>| nodes.iter().map(ToString::to_string).collect();
        for one in self.deployment.readers().take_moves() {
            self.events.push(match one {
                Move::Left(node, cause) => Event::replica_left(node.to_string(), cause),
                Move::Restored(node, duration) => Event::replica_restored(node.to_string(), duration),
                Move::Changed(added, removed) => Event::replicas_changed(names(added), names(removed)),
            });
        }
    }

    /// Counts a command that has to wait for a primary, once.
    pub(super) fn count_wait(&self, call: &mut Call, now: Instant) {
        if !std::mem::replace(&mut call.waited, true) {
            COUNTERS.waited.increment();
            self.deployment.disturbance(|met| {
                met.since.get_or_insert(now);
                met.toll.waited += 1;
            });
        }
    }

    /// Counts an attempt that is made again.
    pub(super) fn count_retry(&self) {
        COUNTERS.retries.increment();
        self.deployment.disturbance(|met| met.toll.retried += 1);
    }

    /// Counts a command whose outcome nobody knows.
    pub(super) fn count_unknown(&self) {
        COUNTERS.unknown.increment();
        let now = self.world.clock.now();
        self.deployment.disturbance(|met| {
            met.since.get_or_insert(now);
            met.toll.unknown += 1;
        });
    }
}

/// Finishes the events that wait at a client, and moves them.
pub(super) fn adopt_events(events: &mut EventQueue, other: &mut Client) {
    while let Some(event) = other.next_event() {
        events.push(event);
    }
}
