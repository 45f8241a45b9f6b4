//! The question whether its replicas are still there that rides in the same write as a user's command (P12).
//!
//! It is owed a reply of its own, which comes behind the command's and as a rule in the same segment: so it costs no
//! system call, and it never changes what becomes of the command.

use redis::{FromRedisValue, Value};

use crate::command::{self, Effect};
use crate::config::NodeAddress;
use crate::connection::Received;
use crate::failover::Remedy;
use crate::pool::{Allowed, Answer, Plan, Question};
use crate::resp::ValueSink;
use crate::time::Deadline;
use crate::topology::{Report, Role};

use super::await_reply;
use super::call::{Call, Recovery};
use super::desk::Desk;
use super::state::Client;

/// What rides behind a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Riders {
    question: Option<Question>,
}

impl Riders {
    /// How many replies they are owed.
    #[inline]
    pub fn count(self) -> u32 {
        u32::from(self.question.is_some())
    }

    /// Whether anything rides.
    #[inline]
    pub fn any(self) -> bool {
        self.question.is_some()
    }
}

impl Client {
    /// Does what is due before a write, and has ride with it what is due: where it is, the write costs a little more.
    #[cold]
    pub(super) fn saddle(&mut self, desk: &mut Desk, call: &mut Call, effect: Effect) {
        let opens = matches!(effect, Effect::Multi | Effect::Watch);
        if !opens && !command::is_write(call.command, &desk.frame.words()[1..]) {
            return;
        }
        // Findings under another user's rights are none of this deployment's.
        let ours = self.identity.credentials == self.configuration.credentials;
        let pinned = self.pins.any();
        // Behind EXEC the transaction is over. Everywhere else a pinned connection is its owner's alone, and what blocks
        // would hold up the answer.
        let rides = (effect == Effect::Exec && self.pins.multi) || (effect == Effect::None && !pinned);
        let allowed = Allowed { look: ours && !pinned, ask: ours && rides && !call.blocking };
        let question = match self.deployment.watch().plan(call.started, allowed) {
            Plan::Nothing => None,
            Plan::Ask(question) => Some(question),
            Plan::Look(look) => (!self.look_around(call, &look)).then_some(look.question),
            Plan::Search => {
                let cause = "the node says that it is a replica now".to_owned();
                call.recover = Some(Recovery { cause, remedy: Some(Remedy::Search), only_if_replica: None });
                None
            }
        };
        if let Some(question) = question.filter(|_| allowed.ask) {
            call.riders.question = Some(question);
            match question {
                Question::Role => desk.frame.rider(&[b"ROLE"]),
                Question::Info => desk.frame.rider(&[b"INFO", b"replication"]),
            }
        }
    }

    /// Takes the riders off before the command is sent again: to another node, as a rule, which is asked anew.
    #[cold]
    pub(super) fn unsaddle(&mut self, desk: &mut Desk, call: &mut Call) {
        call.riders = Riders::default();
        desk.frame.dismount();
    }

    /// Hears what the riders are answered, now that the command has its reply. If they get none, the connection is
    /// closed and the command's reply stands.
    #[cold]
    pub(super) fn hear(&mut self, desk: &mut Desk, call: &mut Call) {
        let (Some(question), Some(lease)) = (call.riders.question.take(), desk.lease.as_mut()) else { return };
        let now = self.world.clock.coarse();
        let until = Deadline::after(now, Some(self.configuration.policy.suspect_after)).min(call.deadline);
        let mut sink = ValueSink::default();
        let (network, clock) = (&*self.world.network, &*self.world.clock);
        let answer = match await_reply::within(network, clock, &mut lease.connection, &mut sink, until) {
            Ok(Received::Value) => sink.take().and_then(|value| read(question, &value)),
            Ok(_) => is_denial(lease.connection.error_text()).then_some(Answer::Denied),
            Err(_) => {
                desk.lease = None;
                return;
            }
        };
        let Some((epoch, pool)) = &self.primary else { return };
        let Some(answer) = answer.filter(|_| std::sync::Arc::ptr_eq(pool, lease.home())) else { return };
        let replicas = match &answer {
            Answer::Primary(replicas) => replicas.clone(),
            _ => Vec::new(),
        };
        if self.deployment.watch().heed(*epoch, answer, now) {
            self.deployment.learn_replicas(*epoch, replicas);
        }
    }
}

/// What an answer says; `None` if it is none.
fn read(question: Question, value: &Value) -> Option<Answer> {
    match question {
        Question::Role => read_role(value),
        Question::Info => Report::read(None, Some(value)).map(|report| match report.role {
            Role::Primary => Answer::Primary(report.replicas),
            Role::Replica => Answer::Replica,
        }),
    }
}

/// `master`, an offset and `[[ip, port, offset], ...]`, or `slave`, ...
fn read_role(value: &Value) -> Option<Answer> {
    let fields = value.as_sequence()?;
    match String::from_redis_value_ref(fields.first()?).ok()?.as_str() {
        "slave" | "replica" => Some(Answer::Replica),
        "master" => {
            let replicas = fields.get(2)?.as_sequence()?.iter().filter_map(|replica| {
                let fields = replica.as_sequence()?;
                let host = String::from_redis_value_ref(fields.first()?).ok()?;
                let port = u16::from_redis_value_ref(fields.get(1)?).ok()?;
                Some(NodeAddress::tcp(&host, port))
            });
            Some(Answer::Primary(replicas.collect()))
        }
        _ => None,
    }
}

/// Whether the server will not be asked this, by this user or at all. Other errors pass: LOADING, BUSY.
fn is_denial(text: &[u8]) -> bool {
    text.starts_with(b"NOPERM") || text.to_ascii_lowercase().starts_with(b"err unknown command")
}
