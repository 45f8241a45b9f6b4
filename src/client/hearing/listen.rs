//! Waiting for pushes, for as long as it takes.

use std::time::Duration;

use crate::connection::{Interest, Patience, Received};
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::{Frame, ProtocolError, ValueSink, frame_of};
use crate::time::{Deadline, Instant};

use super::super::await_reply::no_lease;
use super::super::call::Call;
use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::super::subscription::{Heard, LONG_SILENCE, SHORT_LIFE};
use super::{Stop, not_in_cluster};

impl Client {
    /// Waits for a push: see [`Client::push`].
    ///
    /// # Errors
    /// No primary was found in time, or a server refused what was said again. What was asked for is remembered.
    pub fn await_push(&mut self, desk: &mut Desk) -> Result<Heard, Box<Failure>> {
        desk.sweep();
        self.within_budget(desk, Client::listen_until).map_err(|failure| match failure.kind {
            Kind::Cluster => not_in_cluster(),
            _ => failure,
        })
    }

    /// Makes sure that the connection is there.
    pub(in super::super) fn connect_hearing(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        self.within_budget(desk, |client, desk, until| match desk.lease {
            Some(_) => Ok(()),
            None => client.reconnect(desk, None, until),
        })
    }

    /// Has `work` done with the connection on the desk, until what the request may spend is used up.
    fn within_budget<R>(
        &mut self,
        desk: &mut Desk,
        work: impl FnOnce(&mut Self, &mut Desk, Deadline) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Failure>> {
        let started = self.world.clock.coarse();
        let budget = self.configuration.policy.request_budget;
        let until = budget.map_or(Deadline::NEVER, |limit| self.budget_deadline(desk, started, limit));
        self.take_up(desk);
        let result = work(self, desk, until);
        self.drain(desk);
        self.pinned = desk.lease.take();
        if budget.is_some() {
            self.charge(desk, started, result.is_err());
        }
        result
    }

    fn listen_until(&mut self, desk: &mut Desk, until: Deadline) -> Result<Heard, Box<Failure>> {
        loop {
            if self.has_events() {
                return Ok(Heard::Told);
            }
            if self.push().is_some() {
                return Ok(Heard::Message);
            }
            if desk.lease.is_none() {
                self.reconnect(desk, None, until)?;
                continue;
            }
            match self.receive_push(desk, until) {
                Ok(true) => {}
                Ok(false) => return Ok(Heard::Interrupted),
                Err(lost) => {
                    self.part(desk, &lost.cause);
                    self.reconnect(desk, Some(lost), until)?;
                }
            }
        }
    }

    /// Takes what has come, or waits for it. False if PHP wants to do something else.
    fn receive_push(&mut self, desk: &mut Desk, until: Deadline) -> Result<bool, Lost> {
        let lease = desk.lease.as_mut().ok_or_else(no_lease)?;
        match lease.connection.receive(&mut ValueSink::default(), Patience::None)? {
            Received::Value | Received::Error => {
                let text = "a reply came that no command was waiting for".to_owned();
                return Err(Lost::awaiting(Cause::Protocol(ProtocolError::Unexpected(text))));
            }
            Received::More => {}
            Received::Nothing => {
                self.drain(desk);
                if self.push().is_some() {
                    return Ok(true);
                }
                if (self.world.is_interrupted)() {
                    return Ok(false);
                }
                self.wait_for_push(desk, until)?;
            }
        }
        self.drain(desk);
        Ok(true)
    }

    /// There is no hurry; another primary is noticed all the same, and after a long silence the server is asked for a
    /// sign of life.
    fn wait_for_push(&mut self, desk: &mut Desk, until: Deadline) -> Result<(), Lost> {
        let now = self.world.clock.now();
        let mut call = Call::begun(None, None, &self.configuration.policy, now);
        call.interruptible = true;
        let heard = self.hearing.as_ref().map_or(now, |hearing| hearing.heard);
        let due = Deadline::after(heard, Some(LONG_SILENCE));
        let waited = self.bide(desk, &call, Interest::Read, heard, (due.min(until), Limit::RequestBudget));
        match waited {
            Err(Lost { cause: Cause::TimedOut(_), .. }) if !until.passed(self.world.clock.now()) => {}
            waited => return waited,
        }
        let call = self.call_until(until);
        desk.frame = frame_of(&["PING"]);
        let begun = self.world.clock.now();
        self.send(desk, &call, 1)?;
        let answered = self.await_reply(desk, &call, begun, &mut ValueSink::default());
        desk.frame = Frame::default();
        answered?;
        if let Some(hearing) = &mut self.hearing {
            hearing.heard = self.world.clock.now();
        }
        Ok(())
    }

    /// Looks for the primary until there is a connection that is as it should be.
    fn reconnect(&mut self, desk: &mut Desk, lost: Option<Lost>, until: Deadline) -> Result<(), Box<Failure>> {
        desk.frame.begin();
        desk.frame.end();
        let mut call = self.call_until(until);
        let now = call.started;
        if until.passed(now) {
            let lost = Lost::before(Phase::Lease, Cause::TimedOut(Limit::RequestBudget));
            return Err(call.fail(&desk.frame, &lost, false, now));
        }
        if self.was_brief(now, SHORT_LIFE) {
            call.recoveries = 1;
        }
        let mut lost = lost;
        loop {
            if let Some(lost) = lost.take() {
                // Nothing was asked that could be in doubt.
                self.after_loss(desk, &mut call, &Lost { sent: false, ..lost })?;
            }
            call.retry.begin();
            match self.make_ready(desk, &mut call) {
                Ok(()) => return Ok(()),
                Err(Stop::Lost(again)) => {
                    call.note_node(desk.lease.as_ref());
                    self.part(desk, &again.cause);
                    lost = Some(again);
                }
                Err(Stop::Refused(failure)) => {
                    desk.lease = None;
                    return Err(failure);
                }
            }
        }
    }

    fn call_until(&self, until: Deadline) -> Call {
        let now: Instant = self.world.clock.now();
        let mut call = Call::begun(None, Some(Duration::ZERO), &self.configuration.policy, now);
        call.bound_by_budget(until);
        call
    }
}
