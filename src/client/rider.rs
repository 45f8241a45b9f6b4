//! What rides behind a user's command in the same write (P12): the question whether the primary's replicas are still
//! there, and the wait for their acknowledgement.
//!
//! Each is owed a reply of its own, which comes behind the command's. That of the question comes in the same segment as
//! a rule: it costs no system call, and it never changes what becomes of the command.

use std::time::Duration;

use crate::command::{self, Effect, Telltale};
use crate::config::Quorum;
use crate::connection::{Patience, Received};
use crate::failover::{Lost, Remedy};
use crate::pool::{Allowed, Answer, Plan, Question};
use crate::resp::{Frame, Scalar, ValueSink};
use crate::time::{Deadline, Instant};

use super::answers;
use super::await_reply;
use super::call::{Call, Recovery};
use super::desk::Desk;
use super::failure::Failure;
use super::state::Client;

/// What rides behind a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Riders {
    pub(super) question: Option<Question>,
    pub(super) quorum: Option<Quorum>,
}

/// Too few replicas acknowledged a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// How many did.
    pub reached: u32,
    /// How many had to.
    pub wanted: u32,
    /// In this time.
    pub within: Duration,
    /// Why that is not known.
    pub why: Option<String>,
}

impl Shortfall {
    /// Nobody knows how many replicas acknowledged it.
    pub fn unknown(quorum: Quorum, why: String) -> Shortfall {
        Shortfall { reached: 0, wanted: quorum.count, within: quorum.timeout, why: Some(why) }
    }
}

impl Riders {
    /// How many replies they are owed.
    #[inline]
    pub fn count(self) -> u32 {
        u32::from(self.question.is_some()) + u32::from(self.quorum.is_some())
    }

    /// Whether anything rides.
    #[inline]
    pub fn any(self) -> bool {
        self.count() > 0
    }

    /// Whether replicas have to acknowledge the command.
    #[inline]
    pub fn waits(self) -> bool {
        self.quorum.is_some()
    }

    /// Puts them behind the command in the frame.
    pub fn mount(self, frame: &mut Frame) {
        match self.question {
            Some(Question::Role) => frame.rider(&[b"ROLE"]),
            Some(Question::Info) => frame.rider(&[b"INFO", b"replication"]),
            None => {}
        }
        if let Some(quorum) = self.quorum {
            let (mut count, mut time) = (itoa::Buffer::new(), itoa::Buffer::new());
            // 0 would mean for ever.
            let time = time.format(quorum.timeout.as_millis().max(1));
            frame.rider(&[b"WAIT", count.format(quorum.count).as_bytes(), time.as_bytes()]);
        }
    }
}

impl Client {
    /// Does what is due before a write, and has ride with it what has to.
    #[cold]
    pub(super) fn saddle(&mut self, desk: &mut Desk, call: &mut Call, effect: Effect) {
        let opens = matches!(effect, Effect::Multi | Effect::Watch);
        let writes =
            || command::always_writes(call.command) || command::is_write(call.command, &desk.frame.words()[1..]);
        if !opens && !writes() {
            return;
        }
        // Behind EXEC the transaction is over. Everywhere else a pinned connection is its owner's alone, and what blocks
        // would hold up the answer.
        let ends = effect == Effect::Exec && self.pins.multi;
        let asks = !call.blocking && (ends || (effect == Effect::None && !self.pins.any()));
        let waits = ends || (effect == Effect::None && !self.pins.multi);
        self.prepare(call, asks);
        if waits {
            call.riders.quorum = self.quorum(call, call.started);
        }
        call.riders.mount(&mut desk.frame);
    }

    /// Does what is due before a write. Where a question is due that may ride, it is among the riders.
    pub(super) fn prepare(&mut self, call: &mut Call, asks: bool) {
        if !self.deployment.watch().is_due(call.started) {
            return;
        }
        // Findings under another user's rights are none of this deployment's.
        let ours = self.identity.credentials == *self.own_credentials();
        let allowed = Allowed { look: ours && !self.pins.any(), ask: ours && asks };
        let question = match self.deployment.plan(call.started, allowed) {
            Plan::Nothing => None,
            Plan::Ask(question) => Some(question),
            Plan::Look(look) => (!self.look_around(call, &look)).then_some(look.question),
            Plan::Search => {
                let cause = "the node says that it is a replica now".to_owned();
                call.recover =
                    Some(Recovery { cause, remedy: Some(Remedy::Search), only_if_replica: None, of_script: false });
                None
            }
        };
        call.riders.question = question.filter(|_| allowed.ask);
    }

    /// How many replicas have to acknowledge a write that is sent `now`, within what is left of its time.
    pub(super) fn quorum(&self, call: &Call, now: Instant) -> Option<Quorum> {
        let quorum = self.configuration.policy.min_replicas?;
        let left = call.deadline.remaining(now).unwrap_or(quorum.timeout);
        Some(Quorum { timeout: quorum.timeout.min(left), ..quorum })
    }

    /// Prepares the riders for another attempt: who is primary was found out before it, but the replicas have to
    /// acknowledge what it does.
    #[cold]
    pub(super) fn saddle_again(&mut self, desk: &mut Desk, call: &mut Call, waits: bool) {
        desk.frame.dismount();
        let quorum = if waits { self.quorum(call, self.world.clock.now()) } else { None };
        call.riders = Riders { question: None, quorum };
        call.shortfall = None;
        call.riders.mount(&mut desk.frame);
    }

    /// Hears what the riders are answered, now that the command has its reply. If the question gets no answer, the
    /// connection is closed and the command's reply stands.
    #[cold]
    pub(super) fn hear(&mut self, desk: &mut Desk, call: &mut Call) {
        let riders = std::mem::take(&mut call.riders);
        let reply = desk.lease.as_ref().map(|lease| lease.connection.last_scalar());
        if let Some(question) = riders.question {
            self.hear_answer(desk, call, question);
        }
        if let Some(quorum) = riders.quorum {
            let shortfall = self.hear_count(desk, call, quorum).filter(|_| !changed_nothing(desk, call, reply));
            call.shortfall = call.shortfall.take().or(shortfall);
        }
    }

    fn hear_answer(&mut self, desk: &mut Desk, call: &Call, question: Question) {
        let Some((received, value)) = self.listen(desk, call, Duration::ZERO).ok() else {
            desk.lease = None;
            return;
        };
        let Some(lease) = desk.lease.as_ref() else { return };
        let answer = match received {
            Received::Value => value.and_then(|value| answers::read(question, &value)),
            _ => answers::is_denial(lease.connection.error_text()).then_some(Answer::Denied),
        };
        let Some((epoch, pool)) = &self.primary else { return };
        let Some(answer) = answer.filter(|_| std::sync::Arc::ptr_eq(pool, lease.home())) else { return };
        self.deployment.heed(*epoch, answer, call.started);
    }

    /// Hears how many replicas have acknowledged the command. Too few are a reason to suspect the primary.
    fn hear_count(&mut self, desk: &mut Desk, call: &mut Call, quorum: Quorum) -> Option<Box<Shortfall>> {
        let heard = self.listen(desk, call, quorum.timeout);
        let (reached, why) = match heard {
            Ok((Received::Value, Some(redis::Value::Int(count)))) => (u32::try_from(count).unwrap_or(0), None),
            Ok((Received::Error, _)) => {
                let text = desk.lease.as_ref().map_or(&b""[..], |lease| lease.connection.error_text());
                (0, Some(format!("WAIT was answered: {}", String::from_utf8_lossy(text))))
            }
            Ok(_) => (0, Some("WAIT was answered with something else than a number".to_owned())),
            Err(lost) => {
                call.note_node(desk.lease.take().as_ref());
                (0, Some(lost.to_string()))
            }
        };
        if reached >= quorum.count && why.is_none() {
            return None;
        }
        call.note_node(desk.lease.as_ref());
        if let Some((epoch, _)) = &self.primary {
            self.deployment.suspect(*epoch, call.started);
        }
        Some(Box::new(Shortfall { reached, wanted: quorum.count, within: quorum.timeout, why }))
    }

    /// Receives the next reply into a sink of our own. It may take `grant` and as long as silence is normal.
    fn listen(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        grant: Duration,
    ) -> Result<(Received, Option<redis::Value>), Lost> {
        let Some(lease) = desk.lease.as_mut() else { return Err(await_reply::no_lease()) };
        let now = self.world.clock.coarse();
        let limit = self.configuration.policy.suspect_after.saturating_add(grant);
        let until = Deadline::after(now, Some(limit)).min(call.deadline);
        let (network, clock) = (&*self.world.network, &*self.world.clock);
        let mut sink = ValueSink::default();
        // What is known to take a while is waited for in one call, where the socket's own patience allows it.
        let brief = lease.connection.brief();
        if !grant.is_zero() && until.remaining(now).is_none_or(|left| left >= brief) {
            let received = lease.connection.receive(&mut sink, Patience::Brief)?;
            if matches!(received, Received::Value | Received::Error) {
                return Ok((received, sink.take()));
            }
        }
        let received = await_reply::within(network, clock, &mut lease.connection, &mut sink, until)?;
        Ok((received, sink.take()))
    }

    /// The end of a command that was applied and not acknowledged by as many replicas as it had to be. It is never sent
    /// again: what was applied once would be applied twice.
    #[cold]
    pub(super) fn short_of_replicas(&mut self, desk: &Desk, call: &Call, shortfall: &Shortfall) -> Box<Failure> {
        self.count_unknown();
        call.short_of_replicas(&desk.frame, shortfall, self.world.clock.coarse())
    }
}

/// Whether the reply shows that the command changed nothing, so that there is nothing for replicas to acknowledge: EXEC
/// of a transaction whose keys had changed, SET NX of a key that was there.
fn changed_nothing(desk: &Desk, call: &Call, reply: Option<Scalar>) -> bool {
    let tells = match reply {
        Some(Scalar::Nil) => Telltale::Nil,
        Some(Scalar::Zero) => Telltale::Zero,
        _ => return false,
    };
    let is_exec = call.command.is_some_and(|command| command.effect == Effect::Exec);
    (is_exec && tells == Telltale::Nil) || (!desk.frame.is_empty() && call.hazard(&desk.frame).telltale == tells)
}
