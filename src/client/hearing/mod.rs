//! A client whose connection brings pushes: of keys that have changed, of messages.
//!
//! The connection is its own, never a pooled one's turn: what the program asks for on it, such as CLIENT TRACKING, would
//! otherwise befall whoever comes next. What made it what it is is remembered, and said again when it has to be replaced.
//! Nobody knows what was pushed in between. Of keys that were tracked this is told in the server's own words, by an
//! invalidation of everything: whoever keeps copies of keys must not keep them without it.

mod commands;
mod listen;
mod said;

use std::collections::VecDeque;
use std::time::Duration;

use redis::Value;

use crate::config::Protocol;
use crate::failover::Cause;
use crate::pool::Lease;
use crate::resp::weight;
use crate::telemetry::Event;
use crate::time::Instant;

use super::desk::Desk;
use super::failure::Failure;
use super::state::{Client, Pins};
use super::subscription::{Gap, Stop};

use said::{Said, is_subscription};

/// What a client remembers of a connection that brings pushes.
pub struct Hearing {
    said: Said,
    waiting: VecDeque<Value>,
    /// How much memory those that wait take, about.
    weight: u64,
    /// When something was heard last.
    heard: Instant,
    /// When the present connection was ready; `None` before the first was.
    ready: Option<Instant>,
    gap: Option<Gap>,
}

/// Each node of a cluster tells of its own keys only: whoever listens at one would take copies of the others' for fresh.
pub(super) fn not_in_cluster() -> Box<Failure> {
    let text = "push() is not available in a cluster, where each node tells of its own keys only";
    Failure::not_supported("", text)
}

impl Hearing {
    fn from(now: Instant) -> Hearing {
        Hearing { said: Said::default(), waiting: VecDeque::new(), weight: 0, heard: now, ready: None, gap: None }
    }
}

impl Client {
    /// A client for the deployment and the user of this one, with a connection of its own that brings pushes. Nothing
    /// is opened yet.
    pub fn hearing(&self) -> Client {
        let mut client = self.companion(Protocol::Resp3);
        let now = client.world.clock.coarse();
        client.hearing = Some(Box::new(Hearing::from(now)));
        client.pins = client.lasting_pins();
        client
    }

    /// What pins a connection to this client whatever it does: that it brings pushes.
    pub(super) fn lasting_pins(&self) -> Pins {
        Pins { state: self.hearing.is_some(), ..Pins::default() }
    }

    /// Whether a command that would take another connection out of step is what this one is for.
    pub(super) fn hears(&self, name: &str) -> bool {
        self.hearing.is_some() && is_subscription(name.as_bytes())
    }

    /// The push that is to be handed over next.
    pub fn push(&self) -> Option<&Value> {
        self.hearing.as_ref()?.waiting.front()
    }

    /// That push was handed over.
    pub fn push_taken(&mut self) {
        if let Some(hearing) = &mut self.hearing
            && let Some(push) = hearing.waiting.pop_front()
        {
            hearing.weight = hearing.weight.saturating_sub(weight(&push));
        }
    }

    /// Closes the connection and forgets what was asked for on it.
    pub fn stop_hearing(&mut self, desk: &mut Desk) {
        self.disconnect(desk);
        let now = self.world.clock.coarse();
        if let Some(hearing) = &mut self.hearing {
            **hearing = Hearing::from(now);
        }
    }

    /// Puts the connection on the desk, where it is safe whatever happens.
    fn take_up(&mut self, desk: &mut Desk) {
        match Lease::still_ours(self.pinned.take()) {
            Ok(lease) => desk.lease = Some(lease),
            Err(reason) => {
                desk.lease = None;
                self.note_gap(&Cause::Io(reason.to_owned()));
            }
        }
    }

    /// Takes over what was pushed. A program that does not look must not make the process grow for ever: beyond the
    /// limit on replies the connection is given up, as the server itself would do.
    fn drain(&mut self, desk: &mut Desk) {
        let most = self.configuration.limits.max_reply_size;
        let now = self.world.clock.coarse();
        let (Some(hearing), Some(lease)) = (self.hearing.as_mut(), desk.lease.as_mut()) else { return };
        while let Some(push) = lease.connection.take_push() {
            hearing.heard = now;
            hearing.said.hear(&push);
            hearing.weight += weight(&push);
            hearing.waiting.push_back(push);
        }
        if hearing.weight > most {
            desk.lease = None;
            self.note_gap(&Cause::Io("more pushes wait for the program than max_reply_size allows".to_owned()));
        }
    }

    /// The connection on the desk is no good any more. What it has brought stays.
    fn part(&mut self, desk: &mut Desk, cause: &Cause) {
        self.drain(desk);
        desk.lease = None;
        self.note_gap(cause);
    }

    fn note_gap(&mut self, cause: &Cause) {
        let now = self.world.clock.now();
        if let Some(hearing) = self.hearing.as_mut().filter(|hearing| hearing.ready.is_some()) {
            let heard = hearing.heard;
            hearing.gap.get_or_insert_with(|| Gap { heard, lost: now, cause: cause.to_string() });
        }
    }

    /// The connection on the desk is as it should be. What was missed meanwhile is told.
    fn note_ready(&mut self, desk: &Desk) {
        let now = self.world.clock.now();
        let node = desk.lease.as_ref().map_or_else(String::new, |lease| lease.connection.node().to_string());
        let Some(hearing) = self.hearing.as_mut() else { return };
        hearing.ready = Some(now);
        hearing.heard = now;
        let Some(gap) = hearing.gap.take() else { return };
        let (duration, missed) = (now.since(gap.lost), now.since(gap.heard));
        if hearing.said.tracks() {
            let everything = Value::Array(vec![Value::BulkString(b"invalidate".to_vec()), Value::Nil]);
            hearing.weight += weight(&everything);
            hearing.waiting.push_back(everything);
        }
        let subscriptions = hearing.said.count();
        if subscriptions > 0 {
            self.events.push(Event::resubscribed(node, gap.cause, duration, missed, subscriptions));
        }
    }

    /// Whether the last connection lived so briefly that the next one has to wait.
    fn was_brief(&self, now: Instant, least: Duration) -> bool {
        let ready = self.hearing.as_ref().and_then(|hearing| hearing.ready);
        ready.is_some_and(|ready| now.since(ready) < least)
    }
}
