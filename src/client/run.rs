//! The loop: lease, exchange, judge, and again where that is safe (P1, P2).

use crate::command::{Command, Effect, Rank, Telltale, effect, may_write};
use crate::connection::Received;
use crate::failover::{Cause, Lost, Phase, Refusal, Remedy, Verdict, is_script, judge};
use crate::resp::{Scalar, Sink};
use crate::telemetry::COUNTERS;
use crate::time::Instant;
use crate::topology::Redirect;

use super::call::{Call, Recovery};
use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::state::Client;

impl Client {
    /// Runs the command in the desk's frame. Its reply is in the sink when this returns well.
    ///
    /// # Errors
    /// What became of the command, with everything that an exception needs.
    // A part of what calls it: each sort of sink is filled at one place.
    #[inline(always)]
    pub fn run<S: Sink>(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        if self.cluster.is_none() {
            match self.run_alone(desk, command, sink) {
                Err(failure) if failure.kind == Kind::Cluster => self.found_cluster(&failure),
                result => return result,
            }
        }
        self.run_in_cluster(desk, command, sink)
    }

    /// Runs the command at the primary.
    #[inline(always)]
    pub(super) fn run_alone<S: Sink>(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        COUNTERS.commands.increment();
        if desk.is_littered() {
            desk.sweep();
        }
        let now = self.world.clock.coarse();
        let mut call = Call::new(command, &desk.frame, &self.configuration.policy, now);
        call.deadline = call.deadline.min(self.bound);
        if desk.carried.is_some() {
            self.take_up_call(desk, &mut call);
        }
        let effect = effect(command, || desk.frame.words());
        let Some(budget) = self.configuration.policy.request_budget else {
            return self.run_call(desk, &mut call, effect, sink);
        };
        if let Err(lost) = self.admit(desk, &mut call, budget) {
            return Err(call.fail(&desk.frame, &lost, false, now));
        }
        let result = self.run_call(desk, &mut call, effect, sink);
        self.charge(desk, now, result.is_err());
        result
    }

    #[inline(always)]
    fn run_call<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        effect: Effect,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let now = call.started;
        if (may_write(call.command) || matches!(effect, Effect::Multi | Effect::Watch))
            && (self.configuration.policy.min_replicas.is_some() || self.deployment.watch().is_due(now))
        {
            self.saddle(desk, call, effect);
        }
        if self.pins.any() || effect != Effect::None {
            self.run_with_state(desk, call, effect, sink)?;
        } else {
            call.reading.allowed = self.may_read_elsewhere(desk, call);
            self.attempt_until_done(desk, call, sink)?;
            // A command that blocked took long: its connection was in use until now.
            let used = if call.blocking { self.world.clock.coarse() } else { now };
            self.put_back_at(desk, used);
        }
        match call.shortfall.take() {
            None => Ok(()),
            Some(shortfall) => {
                sink.reset();
                Err(self.short_of_replicas(desk, call, &shortfall))
            }
        }
    }

    /// Makes sure that a connection can be had.
    ///
    /// # Errors
    /// None can.
    pub fn connect(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        if self.cluster.is_none() {
            match self.connect_alone(desk) {
                Err(failure) if failure.kind == Kind::Cluster => self.found_cluster(&failure),
                result => return result,
            }
        }
        self.connect_in_cluster(desk)
    }

    pub(super) fn connect_alone(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        desk.sweep();
        desk.frame.begin();
        desk.frame.end();
        let now = self.world.clock.coarse();
        let mut call = Call::new(None, &desk.frame, &self.configuration.policy, now);
        call.deadline = call.deadline.min(self.bound);
        if self.pinned.is_some() {
            return Ok(());
        }
        if self.hearing.is_some() {
            return self.connect_hearing(desk);
        }
        let Some(budget) = self.configuration.policy.request_budget else { return self.connect_call(desk, &mut call) };
        if let Err(lost) = self.admit(desk, &mut call, budget) {
            return Err(call.fail(&desk.frame, &lost, false, now));
        }
        let result = self.connect_call(desk, &mut call);
        self.charge(desk, now, result.is_err());
        result
    }

    fn connect_call(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Box<Failure>> {
        loop {
            call.retry.begin();
            match self.acquire(desk, call) {
                Ok(()) => break,
                Err(lost) => self.after_loss(desk, call, &lost)?,
            }
        }
        self.attached = true;
        self.put_back(desk);
        Ok(())
    }

    /// Tries the command until there is a reply, or a reason to stop. The connection stays on the desk.
    #[inline]
    pub(super) fn attempt_until_done<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let waits = call.riders.waits();
        loop {
            call.retry.begin();
            match self.attempt(desk, call, sink) {
                Ok(Received::Value) => {
                    if call.retry.tainted() {
                        self.check_telltale(desk, call, sink)?;
                    }
                    if call.riders.any() {
                        self.hear(desk, call);
                    }
                    return Ok(());
                }
                Ok(_) if desk.has_manner() && self.spells_out(desk, call) => {
                    self.put_back(desk);
                    sink.reset();
                    continue;
                }
                Ok(_) => {
                    self.after_error(desk, call)?;
                    // The server ended the wait without having done anything, and its time is over: as it would have
                    // ended by itself. A wait that was lost says nothing of the kind.
                    if call.blocking && call.shorten(&mut desk.frame) {
                        sink.reset();
                        sink.nil();
                        return Ok(());
                    }
                }
                Err(lost) => {
                    call.note_node(desk.lease.take().as_ref());
                    let at_reader = call.reading.at.is_some();
                    self.leave_reader(call, &lost);
                    self.after_loss(desk, call, &lost)?;
                    if at_reader {
                        // The primary is not to blame.
                        call.recover = None;
                    }
                    if call.blocking {
                        call.shorten(&mut desk.frame);
                    }
                }
            }
            if waits || desk.frame.riding() > 0 {
                self.saddle_again(desk, call, waits);
            }
            sink.reset();
            self.count_retry();
        }
    }

    #[inline]
    fn attempt<S: Sink>(&mut self, desk: &mut Desk, call: &mut Call, sink: &mut S) -> Result<Received, Lost> {
        if !(call.reading.allowed && self.acquire_reader(desk, call)?) {
            self.acquire(desk, call)?;
        }
        self.exchange(desk, call, sink)
    }

    /// Sends the frame and receives the reply on the connection that is on the desk.
    #[inline]
    pub(super) fn exchange<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        sink: &mut S,
    ) -> Result<Received, Lost> {
        let limits = self.limits();
        if let Some(lease) = desk.lease.as_mut() {
            lease.connection.set_limits(limits);
        }
        let begun = if call.is_prompt() { call.started } else { self.world.clock.now() };
        if call.deadline.passed(begun) {
            // What is sent now would only be in doubt.
            return Err(Lost::before(Phase::Write, Cause::TimedOut(call.limit())));
        }
        self.send(desk, call, 1 + call.riders.count())?;
        if call.blocking {
            return self.await_blocked(desk, call, begun, sink);
        }
        self.await_reply(desk, call, begun, sink)
    }

    /// As `await_reply`, and counts the time of an attempt that brought nothing.
    #[cold]
    fn await_blocked<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        begun: Instant,
        sink: &mut S,
    ) -> Result<Received, Lost> {
        let result = self.await_reply(desk, call, begun, sink);
        if !matches!(result, Ok(Received::Value)) {
            call.blocked(self.world.clock.now().since(begun));
        }
        result
    }

    /// A reply came after an attempt that may have been applied: it counts only if that attempt cannot have caused it.
    #[cold]
    pub(super) fn check_telltale<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let reply = match desk.lease.as_ref().map(|lease| lease.connection.last_scalar()) {
            Some(Scalar::Nil) => Telltale::Nil,
            Some(Scalar::Zero) => Telltale::Zero,
            _ => Telltale::None,
        };
        if !call.retry.is_telltale(call.hazard(&desk.frame), reply) {
            return Ok(());
        }
        call.note_node(desk.lease.as_ref());
        self.put_back(desk);
        sink.reset();
        let text = "the reply to the second attempt may be due to the first, whose own reply was lost";
        Err(self.unknown(desk, call, &Lost::awaiting(Cause::Io(text.to_owned()))))
    }

    /// What an error reply says. Who talks to one node and no other takes it at its word.
    pub(super) fn judge(&self, name: &str, text: &[u8]) -> Refusal {
        let refusal = judge(name, text);
        match (self.configuration.fixed, self.configuration.shard) {
            (true, _) => refusal.of_the_only_node(),
            // A script's word is looked into by who routes it.
            (_, true) if refusal == Refusal::Final && !is_script(name) => {
                self.within_shard(text).unwrap_or(Refusal::Final)
            }
            _ => refusal,
        }
    }

    /// What a node means that points to another one of its shard: it is no primary any more; or to itself: another
    /// connection leads to the right one.
    #[cold]
    fn within_shard(&self, text: &[u8]) -> Option<Refusal> {
        let knowledge = self.deployment.knowledge();
        let primary = knowledge.primary()?;
        let asked = self.deployment.key().speaker(primary.clone());
        let redirect = Redirect::read(std::str::from_utf8(text).ok()?, &asked).filter(|redirect| redirect.moved)?;
        let is_ours = knowledge.replicas().contains(&redirect.to)
            || self.configuration.endpoints.iter().any(|endpoint| endpoint.address == redirect.to);
        match redirect.to == *primary {
            true => Some(Refusal::NotApplied(Remedy::Reconnect)),
            false => is_ours.then_some(Refusal::NotApplied(Remedy::Search)),
        }
    }

    /// What follows from an error reply: another attempt, or the end.
    #[cold]
    pub(super) fn after_error(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Box<Failure>> {
        let text = desk.lease.as_ref().map_or_else(Vec::new, |lease| lease.connection.error_text().to_vec());
        call.note_node(desk.lease.as_ref());
        if call.riders.any() {
            self.hear(desk, call);
        }
        let name = call.name(&desk.frame);
        let said = String::from_utf8_lossy(&text).into_owned();
        let now = self.world.clock.now();
        if call.reading.at.is_some() && !matches!(self.judge(&name, &text), Refusal::Final) {
            return self.refused_by_reader(desk, call, said, now);
        }
        let judged = self.judge(&name, &text);
        let of_script = matches!(judged, Refusal::IfRepeated(_));
        let refusal = match judged {
            Refusal::IfRepeated(remedy) => match self.says_again(desk, call, &text) {
                Some(true) => Refusal::NotApplied(remedy),
                Some(false) => Refusal::Final,
                None if call.hazard(&desk.frame).rank == Rank::Read => Refusal::NotApplied(Remedy::Search),
                None => {
                    desk.lease = None;
                    return Err(self.unknown(desk, call, &Lost::awaiting(Cause::Refused(said))));
                }
            },
            // A new connection was not let in either.
            Refusal::NotApplied(Remedy::Reconnect) if std::mem::replace(&mut call.renewed, true) => Refusal::Final,
            other => other,
        };
        let mut only_if_replica = None;
        let remedy = match refusal {
            Refusal::Final | Refusal::IfRepeated(_) => {
                self.put_back(desk);
                if call.retry.tainted() {
                    // The first attempt may have been applied, and that may be why this one was refused.
                    return Err(self.unknown(desk, call, &Lost::awaiting(Cause::Refused(said))));
                }
                return Err(call.refused(&desk.frame, &said, now));
            }
            Refusal::IfReplica => {
                only_if_replica = Some(said.clone());
                desk.lease = None;
                Remedy::Search
            }
            Refusal::NotApplied(remedy) => {
                self.part_with(desk, call, remedy, &said, false);
                remedy
            }
        };
        let recovery = Recovery { cause: said.clone(), remedy: Some(remedy), only_if_replica, of_script };
        if call.retry.not_applied() == Verdict::GiveUp {
            return Err(self.give_up(desk, call, said, now));
        }
        if call.deadline.passed(self.world.clock.now()) {
            let lost = Lost::before(Phase::Read, Cause::Overdue(call.limit(), said));
            return Err(self.end(desk, call, &lost));
        }
        call.recover = Some(recovery);
        Ok(())
    }

    /// What follows from an attempt without a reply: another attempt, or the end.
    #[cold]
    pub(super) fn after_loss(&mut self, desk: &mut Desk, call: &mut Call, lost: &Lost) -> Result<(), Box<Failure>> {
        if lost.cause == Cause::Credentials {
            return Err(self.leave_to_ask(desk, call));
        }
        if matches!(lost.cause, Cause::Superseded(_)) {
            self.count_wait(call, self.world.clock.now());
        }
        let final_cause = match &lost.cause {
            // A script's error that was the script's own after all.
            Cause::Refused(text) if lost.sent => {
                return Err(call.refused(&desk.frame, text, self.world.clock.coarse()));
            }
            Cause::NoMemory => return Err(call.fail(&desk.frame, lost, false, self.world.clock.coarse())),
            _ => is_final(call, lost),
        };
        let verdict = match lost.sent {
            true => call.retry.unknown(call.hazard(&desk.frame)),
            false => call.retry.not_applied(),
        };
        if verdict == Verdict::Unknown {
            return Err(self.unknown(desk, call, lost));
        }
        if final_cause || verdict == Verdict::GiveUp {
            return Err(self.end(desk, call, lost));
        }
        if call.deadline.passed(self.world.clock.now()) {
            return Err(self.end(desk, call, &overdue(call, lost)));
        }
        // Where another node is known to be primary already there is nothing to search for.
        if !matches!(lost.cause, Cause::Superseded(_)) {
            call.recover =
                Some(Recovery { cause: lost.cause.to_string(), remedy: None, only_if_replica: None, of_script: false });
        }
        Ok(())
    }

    /// The end without a reply. An earlier attempt may have been applied even if the last one was not.
    fn end(&mut self, desk: &Desk, call: &Call, lost: &Lost) -> Box<Failure> {
        if call.retry.tainted() {
            return self.unknown(desk, call, lost);
        }
        call.fail(&desk.frame, lost, false, self.world.clock.coarse())
    }

    fn unknown(&self, desk: &Desk, call: &Call, lost: &Lost) -> Box<Failure> {
        self.count_unknown();
        debug_assert_ne!(call.hazard(&desk.frame).rank, Rank::Read);
        call.fail(&desk.frame, lost, true, self.world.clock.coarse())
    }

    /// No attempt is left: the server's own words are the most that can be said.
    fn give_up(&self, desk: &Desk, call: &Call, said: String, now: Instant) -> Box<Failure> {
        if call.retry.tainted() {
            return self.unknown(desk, call, &Lost::awaiting(Cause::Refused(said)));
        }
        call.refused(&desk.frame, &said, now)
    }

    /// Checks in what is on the desk, as of the time that the command began: good enough, and free.
    #[inline(always)]
    pub(super) fn put_back_at(&mut self, desk: &mut Desk, now: Instant) {
        if let Some(lease) = desk.lease.take() {
            if self.vouches && self.is_of_primary(&lease) {
                self.vouch();
            }
            match &self.primary {
                Some((_, pool)) if std::sync::Arc::ptr_eq(pool, lease.home()) => pool.check_in(lease, now),
                _ => lease.give_back(now),
            }
        }
    }
}

/// Whether trying again cannot help.
pub(super) fn is_final(call: &mut Call, lost: &Lost) -> bool {
    match lost.cause {
        Cause::Denied(_)
        | Cause::NotSupported(_)
        | Cause::Cluster
        | Cause::PoolExhausted(_)
        | Cause::Overdue(..)
        | Cause::CircuitOpen { .. } => true,
        Cause::Protocol(_) => {
            call.garbled += 1;
            // Once may be a broken connection; twice is a peer that speaks something else.
            call.garbled > 1 || !lost.sent
        }
        _ => false,
    }
}

/// A loss after which no time is left for another attempt.
pub(super) fn overdue(call: &Call, lost: &Lost) -> Lost {
    match &lost.cause {
        Cause::TimedOut(_) => lost.clone(),
        cause => Lost { cause: Cause::Overdue(call.limit(), cause.to_string()), ..lost.clone() },
    }
}
