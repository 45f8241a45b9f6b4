//! Commands on a connection that brings pushes.

use redis::Value;

use crate::command::Effect;
use crate::connection::Received;
use crate::failover::{Cause, Lost, Phase, Refusal};
use crate::resp::{Sink, ValueSink, frame_of, hand_on};

use super::super::await_reply::no_lease;
use super::super::call::Call;
use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::state::Client;
use super::Stop;
use super::said::{is_confirmation, is_subscription};

impl Client {
    /// Runs the command in the desk's frame.
    pub(in super::super) fn run_hearing<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        effect: Effect,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let name = call.name(&desk.frame);
        if matches!(effect, Effect::Multi | Effect::Exec | Effect::Discard | Effect::Watch | Effect::Unwatch) {
            let text = format!("{name} is not possible on the connection of a push consumer: use the client itself");
            return Err(Box::new(Failure::misuse(&name, text)));
        }
        self.take_up(desk);
        let already = self.hearing.as_ref().map_or(0, |hearing| hearing.waiting.len());
        let result = self.attempt_hearing(desk, call, effect, sink);
        self.drain(desk);
        if result.is_ok() {
            if is_subscription(name.as_bytes()) {
                self.confirm(already, sink);
            }
            if let Some(hearing) = &mut self.hearing {
                hearing.said.note(&desk.frame.words(), effect);
            }
            self.follow(desk, effect);
        }
        self.pinned = desk.lease.take();
        result
    }

    /// Tries until there is a reply, or a reason to stop.
    fn attempt_hearing<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        effect: Effect,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let waits = call.riders.waits();
        // To say twice what the next connection needs does no harm.
        let harmless = matches!(effect, Effect::Pin | Effect::Select | Effect::Auth | Effect::Refused);
        loop {
            call.retry.begin();
            let tried = self.make_ready(desk, call).and_then(|()| Ok(self.ask_here(desk, call, sink)?));
            match tried {
                Ok(Received::Value) => {
                    if call.retry.tainted() {
                        self.check_telltale(desk, call, sink)?;
                    }
                    if call.riders.any() {
                        self.hear(desk, call);
                    }
                    return Ok(());
                }
                Ok(_) => self.after_refusal(desk, call)?,
                Err(Stop::Lost(lost)) => {
                    call.note_node(desk.lease.as_ref());
                    self.part(desk, &lost.cause);
                    let sent = lost.sent && !harmless;
                    self.after_loss(desk, call, &Lost { sent, ..lost })?;
                    if call.blocking {
                        call.shorten(&mut desk.frame);
                    }
                }
                Err(Stop::Refused(failure)) => {
                    desk.lease = None;
                    return Err(failure);
                }
            }
            if waits || desk.frame.riding() > 0 {
                self.saddle_again(desk, call, waits);
            }
            sink.reset();
            self.count_retry();
        }
    }

    /// What follows from an error reply to the program's own command.
    fn after_refusal(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Box<Failure>> {
        let text = desk.lease.as_ref().map_or_else(Vec::new, |lease| lease.connection.error_text().to_vec());
        let said = String::from_utf8_lossy(&text).into_owned();
        let is_final = matches!(self.judge(&call.name(&desk.frame), &text), Refusal::Final);
        if is_final && !call.retry.tainted() {
            call.note_node(desk.lease.as_ref());
            if call.riders.any() {
                self.hear(desk, call);
            }
            // The connection is as good as before.
            return Err(call.refused(&desk.frame, &said, self.world.clock.now()));
        }
        self.drain(desk);
        let result = self.after_error(desk, call);
        self.part(desk, &Cause::Refused(said));
        result
    }

    /// Makes sure that the connection on the desk is there, and what the program has made of it.
    pub(super) fn make_ready(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Stop> {
        if desk.lease.is_some() {
            return Ok(());
        }
        self.acquire(desk, call)?;
        let limits = self.limits();
        let lease = desk.lease.as_mut().ok_or_else(no_lease)?;
        lease.connection.set_limits(limits);
        lease.connection.keep_pushes();
        let asked = std::mem::take(&mut desk.frame);
        let result = self.say_again(desk, call);
        desk.frame = asked;
        result?;
        self.note_ready(desk);
        Ok(())
    }

    fn say_again(&mut self, desk: &mut Desk, call: &Call) -> Result<(), Stop> {
        let commands = self.hearing.as_ref().map_or_else(Vec::new, |hearing| hearing.said.commands());
        for words in commands {
            desk.frame = frame_of(&words);
            let received = self.ask_here(desk, call, &mut ValueSink::default())?;
            let Some(lease) = desk.lease.as_mut() else { return Err(no_lease().into()) };
            if received == Received::Value {
                continue;
            }
            let text = lease.connection.error_text().to_vec();
            let said = String::from_utf8_lossy(&text).into_owned();
            if matches!(self.judge(&call.name(&desk.frame), &text), Refusal::NotApplied(_)) {
                return Err(Lost::before(Phase::Read, Cause::Refused(said)).into());
            }
            return Err(Stop::Refused(call.refused(&desk.frame, &said, self.world.clock.now())));
        }
        // The program has heard before that it is subscribed.
        if let (Some(hearing), Some(lease)) = (self.hearing.as_mut(), desk.lease.as_mut()) {
            let pushes = std::iter::from_fn(|| lease.connection.take_push());
            let others = pushes.filter(|push| !is_confirmation(push));
            hearing.waiting.extend(others.inspect(|push| hearing.weight += crate::resp::weight(push)));
        }
        Ok(())
    }

    /// Sends the frame and receives what answers it, on the connection that is on the desk.
    fn ask_here<S: Sink>(&mut self, desk: &mut Desk, call: &Call, sink: &mut S) -> Result<Received, Lost> {
        let begun = self.world.clock.now();
        if call.deadline.passed(begun) {
            return Err(Lost::before(Phase::Write, Cause::TimedOut(call.limit())));
        }
        let answered = desk.frame.words().first().is_none_or(|name| !is_subscription(name));
        if answered {
            let riders = if desk.frame.riding() > 0 { call.riders.count() } else { 0 };
            self.send(desk, call, 1 + riders)?;
            return self.await_reply(desk, call, begun, sink);
        }
        // Subscriptions are confirmed by pushes, and only their refusal is a reply. The reply to a question behind them
        // says that everything has come.
        self.send(desk, call, 0)?;
        desk.asking(&["PING"], |desk| self.await_fence(desk, call))
    }

    fn await_fence(&mut self, desk: &mut Desk, call: &Call) -> Result<Received, Lost> {
        let begun = self.world.clock.now();
        self.send(desk, call, 1)?;
        let mut sink = ValueSink::default();
        let received = self.await_reply(desk, call, begun, &mut sink)?;
        if received == Received::Error {
            self.await_reply(desk, call, begun, &mut sink)?;
        }
        Ok(received)
    }

    /// The first confirmation is the reply; the others come among the pushes.
    fn confirm<S: Sink>(&mut self, already: usize, sink: &mut S) {
        let Some(hearing) = &mut self.hearing else { return };
        let place = hearing.waiting.iter().skip(already).position(is_confirmation);
        match place.and_then(|place| hearing.waiting.remove(already + place)) {
            Some(push) => {
                hearing.weight = hearing.weight.saturating_sub(crate::resp::weight(&push));
                hand_on::<S>(&push, sink);
            }
            None => hand_on::<S>(&Value::Nil, sink),
        }
    }
}
