//! Small questions of our own on a connection that a command is about to use, or has just used.

use crate::connection::{Connection, Received};
use crate::failover::Remedy;
use crate::pool::Lease;
use crate::resp::{ValueSink, frame_of};
use crate::time::Deadline;

use super::await_reply;
use super::call::Call;
use super::desk::Desk;
use super::state::Client;

impl Client {
    /// A connection that was idle for long is asked whether it is alive, for no longer than silence is normal.
    pub(super) fn ask_doubtful(&self, mut lease: Lease, call: &Call) -> Option<Lease> {
        let policy = &self.configuration.policy;
        let until = Deadline::after(self.world.clock.now(), Some(policy.suspect_after.min(policy.timeout)));
        if self.ping(&mut lease.connection, until.min(call.deadline)).is_none() {
            // Those that wait beside it were used before it, and are no better.
            lease.home().clear();
            return None;
        }
        Some(lease)
    }

    /// Whether the node on the desk turns the most harmless command away with the words `text`, too; `None` if it does
    /// not answer.
    pub(super) fn says_again(&self, desk: &mut Desk, call: &Call, text: &[u8]) -> Option<bool> {
        let (answer, said) = self.ask_whether_ready(desk, call)?;
        Some(answer == Received::Error && said.as_bytes() == text)
    }

    /// What the node on the desk says to the most harmless command, and the text if that is an error; `None` if it does
    /// not answer.
    pub(super) fn ask_whether_ready(&self, desk: &mut Desk, call: &Call) -> Option<(Received, String)> {
        let lease = desk.lease.as_mut()?;
        let until = Deadline::after(self.world.clock.now(), Some(self.configuration.policy.timeout));
        let answer = self.ping(&mut lease.connection, until.min(call.deadline))?;
        Some((answer, String::from_utf8_lossy(lease.connection.error_text()).into_owned()))
    }

    /// Parts with the connection on the desk, whose server refused because of its state. `moved` says that the
    /// connection speaks for another identity than its pool.
    pub(super) fn part_with(&mut self, desk: &mut Desk, call: &mut Call, remedy: Remedy, said: &str, moved: bool) {
        match remedy {
            // Clean, but it leads to a replica.
            Remedy::Search => desk.lease = None,
            Remedy::Wait | Remedy::Yield => {
                self.tell_unready(call, said);
                if moved {
                    desk.lease = None;
                }
                self.put_back(desk);
            }
            Remedy::Reconnect => {
                // Those that wait beside it are no better.
                if let Some(lease) = desk.lease.take() {
                    lease.home().clear();
                }
            }
        }
    }

    fn ping(&self, connection: &mut Connection, until: Deadline) -> Option<Received> {
        self.ask_aside(connection, &["PING"], until)
    }

    /// Asks a small question. `None` if no answer came in time.
    pub(super) fn ask_aside<W: AsRef<[u8]>>(
        &self,
        connection: &mut Connection,
        words: &[W],
        until: Deadline,
    ) -> Option<Received> {
        let frame = frame_of(words);
        if connection.send(frame.bytes(), 1) != Ok(frame.bytes().len()) {
            return None;
        }
        let mut sink = ValueSink::default();
        await_reply::within(&*self.world.network, &*self.world.clock, connection, &mut sink, until).ok()
    }
}
