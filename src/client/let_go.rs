//! A command that blocks by its own will, while the program has something else to do: the handler of a signal, or the
//! end of a request whose time is over. Neither may run inside an exchange (P7), so the exchange is ended, and without
//! a loss: the server itself is asked to let the command go, as it would at its timeout. An element that came at the
//! same moment is its reply then.

use std::time::Duration;

use crate::config::{NodeAddress, Policy};
use crate::time::{Deadline, Instant};

use super::call::Call;
use super::desk::Desk;
use super::state::Client;

/// A wait that PHP may end looks as often whether PHP wants to: a signal may come just before the wait begins.
const SLICE: Duration = Duration::from_millis(250);
/// How long a second connection and its answer may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// A batch may hold several commands that block: as long as no whole reply comes, the server is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

impl Client {
    /// Asks the node on the desk, by another connection, to let the blocked command go. A node that gave no number
    /// to the connection (before Redis 6) cannot be asked, and one that cannot be reached is not: then the command goes
    /// on waiting as it would have.
    #[cold]
    pub(super) fn let_go(&mut self, desk: &mut Desk, call: &Call, now: Instant) {
        if call.let_go_at.get().is_some_and(|at| now.since(at) < AGAIN_AFTER) {
            return;
        }
        call.let_go_at.set(Some(now));
        let Some(blocked) = desk.lease.take() else { return };
        if let Some(id) = blocked.connection.greeting().id {
            // A search into the node's silence is over: the node is about to say something.
            desk.search = None;
            desk.turn = None;
            self.ask_to_let_go(desk, id, blocked.connection.node(), now);
        }
        desk.lease = Some(blocked);
    }

    fn ask_to_let_go(&mut self, desk: &mut Desk, id: i64, node: &NodeAddress, now: Instant) {
        let until = Deadline::after(now, Some(PATIENCE));
        let mut question = Call::asking(&self.configuration.policy, now, until);
        question.retry.begin();
        if self.acquire(desk, &mut question).is_err() {
            return;
        }
        let Some(lease) = desk.lease.as_mut() else { return };
        // Another node would let somebody else go. Whatever this one says: what counts is the reply to the blocked command.
        if lease.connection.node() == node {
            self.ask_aside(&mut lease.connection, &["CLIENT", "UNBLOCK", &id.to_string()], until);
        }
        self.put_back(desk);
    }
}

impl Call {
    /// A small question of the house that has to be over by then.
    fn asking(policy: &Policy, now: Instant, until: Deadline) -> Call {
        let mut call = Call::begun(None, Some(Duration::ZERO), policy, now);
        call.deadline = call.deadline.min(until);
        call
    }

    /// How long to wait at a time before a look at what PHP wants: `None` if that changes nothing.
    pub(super) fn attention(&self) -> Option<Duration> {
        match self.let_go_at.get() {
            Some(_) => Some(AGAIN_AFTER),
            None => (self.interruptible || self.blocking).then_some(SLICE),
        }
    }
}
