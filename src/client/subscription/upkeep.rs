//! What a connection that listens needs to live on: it is waited for, looked after, and replaced when it is lost.

use std::time::Duration;

use crate::connection::Interest;
use crate::failover::{Cause, Limit, Lost};
use crate::telemetry::Event;
use crate::time::{Deadline, Instant};

use super::super::call::Call;
use super::super::desk::Desk;
use super::super::failure::Failure;
use super::{Gap, OWN_PING, Stop, Subscription};

/// After so much silence the server is asked for a sign of life: a gateway may have forgotten the connection.
pub(in super::super) const LONG_SILENCE: Duration = Duration::from_secs(10);

impl Subscription {
    /// Nothing has come. While nothing is owed there is no hurry; whatever else happens, another primary is noticed.
    pub(super) fn wait(&mut self, desk: &mut Desk, between: bool) -> Result<(), Stop> {
        let now = self.client.world.clock.now();
        if between && self.call.is_none() {
            let mut call = self.idle_call(now);
            call.interruptible = true;
            let due = Deadline::after(self.heard, Some(LONG_SILENCE));
            let limits = (due.min(self.budget), Limit::RequestBudget);
            let waited = self.client.bide(desk, &call, Interest::Read, self.heard, limits);
            if let Err(Lost { cause: Cause::TimedOut(_), .. }) = &waited
                && !self.budget.passed(self.client.world.clock.now())
            {
                let words: &[&[u8]] = if self.wishes.monitors() { &[OWN_PING.as_bytes()] } else { &[] };
                self.wishes.ask_silently(words);
                return Ok(());
            }
            return Ok(waited?);
        }
        let begun = self.call.take();
        let mut call = begun.unwrap_or_else(|| {
            let frame = crate::resp::Frame::default();
            Box::new(Call::new(None, &frame, &self.client.configuration.policy, now))
        });
        call.interruptible = between;
        let limits = call.reply_deadline(self.stepped, &self.client.configuration.policy);
        let waited = self.client.bide(desk, &call, Interest::Read, self.stepped, limits);
        if self.wishes.is_owed() {
            self.call = Some(call);
        }
        Ok(waited?)
    }

    /// A call that waits for as long as it takes.
    pub(super) fn idle_call(&self, now: Instant) -> Call {
        let mut call = Call::new(None, &crate::resp::Frame::default(), &self.client.configuration.policy, now);
        call.blocking = true;
        call.blocks_for = None;
        call
    }

    /// Whether all was answered: then the connection is as it should be, and what was missed can be told.
    pub(super) fn settle(&mut self, desk: &Desk) {
        if self.wishes.is_owed() || self.call.is_none() {
            return;
        }
        self.call = None;
        let now = self.client.world.clock.now();
        if self.ready.is_none() || self.gap.is_some() {
            self.ready = Some(now);
        }
        let Some(gap) = self.gap.take() else { return };
        let node = desk.lease.as_ref().map_or_else(String::new, |lease| lease.connection.node().to_string());
        let (duration, missed) = (now.since(gap.lost), now.since(gap.heard));
        let subscriptions = self.wishes.count() as u64;
        self.client.events.push(Event::resubscribed(node, gap.cause, duration, missed, subscriptions));
    }

    /// The connection is lost: looks for the primary with the next step, or gives up.
    pub(super) fn recover(&mut self, desk: &mut Desk, lost: Lost) -> Result<(), Box<Failure>> {
        let lease = desk.lease.take();
        if self.ready.is_some() {
            self.note_gap(&lost.cause);
        }
        if lease.is_some() {
            self.wishes.start_over();
        }
        self.begin_call(desk)?;
        let Some(mut call) = self.call.take() else { return Ok(()) };
        call.note_node(lease.as_ref());
        drop(lease);
        // To subscribe twice does no harm.
        let result = self.client.after_loss(desk, &mut call, &Lost { sent: false, ..lost });
        self.call = Some(call);
        result
    }

    pub(super) fn note_gap(&mut self, cause: &Cause) {
        let (heard, lost) = (self.heard, self.client.world.clock.now());
        self.gap.get_or_insert_with(|| Gap { heard, lost, cause: cause.to_string() });
    }
}
