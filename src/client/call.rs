//! One command on its way: what it is, when it has to be over, and what has happened to it so far.

use std::cell::Cell;
use std::time::Duration;

use crate::command::{self, BlockingTimeout, Command, Hazard};
use crate::config::{NodeAddress, Policy};
use crate::failover::{Limit, Lost, Phase, Remedy, Retry};
use crate::pool::Lease;
use crate::resp::Frame;
use crate::time::{Backoff, Deadline, Instant};

use super::batch::Batch;
use super::failure::{Failure, Kind, kind_of};
use super::reads::Reading;
use super::rider::{Riders, Shortfall};

/// How often a command that waits for a server looks meanwhile whether another one is primary.
const LOOK_OFTEN: Duration = Duration::from_millis(250);
const LOOK_SELDOM: Duration = Duration::from_secs(1);

/// A command on its way.
pub struct Call {
    /// Its row of the table; `None` for a command that the table does not have.
    pub command: Option<&'static Command>,
    /// When it began, by the coarse clock.
    pub started: Instant,
    /// When it has to be over, not counting the time that it blocks by its own will: the end of every dial, search and
    /// pause.
    pub deadline: Deadline,
    /// When what the request may spend is used up; never, if that is not limited.
    budget: Deadline,
    /// Whether it waits on the server by its own will.
    pub blocking: bool,
    /// Whether its wait ends when PHP wants to do something else.
    pub interruptible: bool,
    /// How long its reply may take beyond the limits: `None` for ever.
    pub blocks_for: Option<Duration>,
    /// Its attempts.
    pub retry: Retry,
    /// The node of the last attempt.
    pub node: Option<NodeAddress>,
    /// Why the next attempt begins with a search.
    pub recover: Option<Recovery>,
    /// How often it had to recover.
    pub recoveries: u32,
    /// Whether a connection had to be opened for it.
    pub dialed: bool,
    /// Whether it counts already among those that a disturbance made wait.
    pub waited: bool,
    /// Whether a replica may answer it, and which were asked.
    pub reading: Reading,
    /// What rides with it.
    pub riders: Riders,
    /// Whether a server's state was told of already.
    pub told: bool,
    /// Whether a connection was replaced because it was not let in any more.
    pub renewed: bool,
    /// When it looked last who is primary.
    looked_at: Option<Instant>,
    /// What is missing of the replicas that had to acknowledge it, now that it was applied.
    pub shortfall: Option<Box<Shortfall>>,
    /// When its node was last asked to let it go.
    pub let_go_at: Cell<Option<Instant>>,
    /// How often what came was no RESP.
    pub garbled: u32,
    backoff: Option<Backoff>,
    /// Whether nodes are spoken to under TLS, for messages.
    secured: bool,
}

/// A reason to look for the primary.
pub struct Recovery {
    /// What happened, for events.
    pub cause: String,
    /// What the server's own words call for; `None` if no reply came at all.
    pub remedy: Option<Remedy>,
    /// The error text of a script that counts only if the node is then seen to be a replica.
    pub only_if_replica: Option<String>,
    /// Whether a script was turned away in words that it could have said itself.
    pub of_script: bool,
}

impl Recovery {
    /// What to do about a server that is there and needs time; `None` if it is not about time.
    pub fn patience(&self) -> Option<Remedy> {
        self.remedy.filter(|remedy| matches!(remedy, Remedy::Wait | Remedy::Yield))
    }
}

impl Call {
    /// A command that begins now.
    #[inline(always)]
    pub fn new(command: Option<&'static Command>, frame: &Frame, policy: &Policy, now: Instant) -> Call {
        let blocking = command.filter(|command| command.blocking != command::Blocking::No).and_then(|command| {
            let words = frame.words();
            command::blocking_timeout(command, &words[1..])
        });
        let blocks_for = match blocking {
            None => Some(Duration::ZERO),
            Some(BlockingTimeout::For(time)) => Some(time),
            Some(BlockingTimeout::Forever) => None,
        };
        Call::begun(command, blocks_for, policy, now)
    }

    /// A batch that begins now: one deadline for all of it.
    pub fn of_batch(batch: &Batch, policy: &Policy, now: Instant) -> Call {
        Call::begun(None, batch.blocks_for(), policy, now)
    }

    #[inline(always)]
    pub(super) fn begun(
        command: Option<&'static Command>,
        blocks_for: Option<Duration>,
        policy: &Policy,
        now: Instant,
    ) -> Call {
        Call {
            command,
            started: now,
            deadline: Deadline::after(now, policy.command_timeout),
            budget: Deadline::NEVER,
            blocking: blocks_for != Some(Duration::ZERO),
            interruptible: false,
            blocks_for,
            retry: Retry::new(policy.retry.ceiling, policy.retry.max_attempts),
            node: None,
            recover: None,
            recoveries: 0,
            dialed: false,
            waited: false,
            reading: Reading::default(),
            riders: Riders::default(),
            told: false,
            renewed: false,
            looked_at: None,
            shortfall: None,
            let_go_at: Cell::new(None),
            garbled: 0,
            backoff: None,
            secured: policy.secured,
        }
    }

    /// Goes on where this call was left, after so long. What rides, and where a read may go, is settled anew.
    pub fn take_up(&mut self, left: Call, away: Duration, bound: Deadline) {
        self.started = left.started;
        self.deadline = left.deadline.later_by(away).min(bound);
        self.budget = left.budget.later_by(away);
        self.retry = left.retry;
        self.node = left.node;
        self.recover = left.recover;
        self.recoveries = left.recoveries;
        self.dialed = true;
        self.waited = left.waited;
        self.told = left.told;
        self.renewed = left.renewed;
        self.looked_at = left.looked_at;
        self.garbled = left.garbled;
        self.backoff = left.backoff;
    }

    /// Whether the present attempt begins when the command did, so that no clock has to be read: the first one, on a
    /// connection that was there.
    #[inline]
    pub fn is_prompt(&self) -> bool {
        self.retry.attempts() == 1 && !self.dialed
    }

    /// Remembers the node of the present attempt. Only failures ask for it, so only they note it.
    pub fn note_node(&mut self, lease: Option<&Lease>) {
        if let Some(lease) = lease {
            self.node = Some(lease.connection.node().clone());
        }
    }

    /// When the reply of an attempt that begins now has to be there, and which limit says so.
    #[inline(always)]
    pub fn reply_deadline(&self, now: Instant, policy: &Policy) -> (Deadline, Limit) {
        if !self.blocking {
            let reply = Deadline::after(now, policy.read_write_timeout);
            return if reply.instant() < self.deadline.instant() {
                (reply, Limit::ReadWriteTimeout)
            } else {
                (self.deadline, self.limit())
            };
        }
        // The command's own timeout is time that the caller wanted to wait.
        let reply = policy.read_write_timeout.zip(self.blocks_for).map(|(limit, blocks)| limit.saturating_add(blocks));
        let reply = Deadline::after(now, reply);
        let whole = match (self.deadline.remaining(now), self.blocks_for) {
            (Some(left), Some(blocks)) => Deadline::after(now, Some(left.saturating_add(blocks))),
            _ => Deadline::NEVER,
        };
        let whole = whole.min(self.budget);
        if reply.instant() < whole.instant() {
            (reply, Limit::ReadWriteTimeout)
        } else {
            (whole, if whole == self.budget { self.limit() } else { Limit::CommandTimeout })
        }
    }

    /// Bounds all of the command by what the request may still spend, the time that it blocks by its own will included.
    pub fn bound_by_budget(&mut self, budget: Deadline) {
        self.budget = budget;
        self.deadline = self.deadline.min(budget);
    }

    /// Which limit sets the deadline.
    pub fn limit(&self) -> Limit {
        let by_budget = self.budget != Deadline::NEVER && self.deadline == self.budget;
        if by_budget { Limit::RequestBudget } else { Limit::CommandTimeout }
    }

    /// Counts the time that a reply was awaited in vain as the command's own, as far as it blocks: what is left of
    /// `command_timeout` is for finding a node, and what is left of the command's own timeout for waiting there.
    pub fn blocked(&mut self, waited: Duration) {
        let own = self.blocks_for.map_or(waited, |blocks| blocks.min(waited));
        self.deadline = self.deadline.later_by(own).min(self.budget);
        self.blocks_for = self.blocks_for.map(|blocks| blocks.saturating_sub(waited));
    }

    /// Makes a blocking command that is sent again wait only for what is left of its own timeout, at least a moment.
    /// True if nothing is left.
    pub fn shorten(&self, frame: &mut Frame) -> bool {
        let (Some(command), Some(left)) = (self.command, self.blocks_for) else { return false };
        let words = frame.words();
        // A timeout that nothing was waited of stays as the user wrote it.
        if command::blocking_timeout(command, &words[1..]) == Some(BlockingTimeout::For(left)) {
            return false;
        }
        let Some((position, timeout)) = command::shorter_timeout(command, &words[1..], left) else { return false };
        let mut words: Vec<Vec<u8>> = words.into_iter().map(<[u8]>::to_vec).collect();
        words[position + 1] = timeout.into_bytes();
        frame.begin();
        words.iter().for_each(|word| frame.word(word));
        frame.end();
        left.is_zero()
    }

    /// How dangerous a second application is.
    pub fn hazard(&self, frame: &Frame) -> Hazard {
        let words = frame.words();
        command::hazard(self.command, &words[1..])
    }

    /// Whether the command changes nothing, so that there is nothing to say about whether it was applied.
    pub fn is_read(&self, frame: &Frame) -> bool {
        !frame.is_empty() && command::is_read(self.command, &frame.words()[1..])
    }

    /// The command's name as it was sent.
    pub fn name(&self, frame: &Frame) -> String {
        match self.command {
            Some(command) => command.name.to_owned(),
            None => frame
                .words()
                .first()
                .map_or_else(String::new, |name| String::from_utf8_lossy(name).to_ascii_uppercase()),
        }
    }

    /// Whether it is time to look who is primary, instead of asking a server again that needs time.
    pub fn looks_around(&mut self, remedy: Remedy, now: Instant) -> bool {
        let due = match (remedy, self.looked_at) {
            // A server that works is primary until something else is seen.
            (Remedy::Yield, last) => now.since(last.unwrap_or(self.started)) >= LOOK_SELDOM,
            (_, last) => last.is_none_or(|last| now.since(last) >= LOOK_OFTEN),
        };
        if due {
            self.looked_at = Some(now);
        }
        due
    }

    /// How long to wait before the next attempt.
    pub fn next_wait(&mut self, policy: &Policy) -> Duration {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(policy.retry.base, policy.retry.cap));
        backoff.next_wait()
    }

    /// The failure that `lost` comes to, now that nothing will be tried any more.
    pub fn fail(&self, frame: &Frame, lost: &Lost, unknown: bool, now: Instant) -> Box<Failure> {
        let name = self.name(frame);
        let elapsed = now.since(self.started);
        let place = self.place();
        let outcome = match (unknown, self.is_read(frame)) {
            (true, _) => ": it may have been applied",
            (false, true) => "",
            (false, false) => ": it was not applied",
        };
        let times = if self.retry.attempts() == 1 {
            "1 attempt".to_owned()
        } else {
            format!("{} attempts", self.retry.attempts())
        };
        let subject = if name.is_empty() { "connect".to_owned() } else { format!("{name}{outcome}") };
        let message =
            format!("{lost}{place} ({subject}, phase {}, {times}, {:.3} s)", lost.phase, elapsed.as_secs_f64());
        Box::new(Failure {
            kind: kind_of(lost, unknown),
            message,
            node: self.node.as_ref().map(ToString::to_string),
            code: lost.errno,
            command: name,
            attempts: self.retry.attempts(),
            elapsed,
            phase: Some(lost.phase),
            index: None,
        })
    }

    /// Where it happened, as messages say it.
    fn place(&self) -> String {
        self.node.as_ref().map_or_else(String::new, |node| format!(" [{}]", node.uri(self.secured)))
    }

    /// The failure of a command that was applied, and not acknowledged by as many replicas as it had to be.
    pub fn short_of_replicas(&self, frame: &Frame, shortfall: &Shortfall, now: Instant) -> Box<Failure> {
        let Shortfall { reached, wanted, within, why } = shortfall;
        let name = self.name(frame);
        let elapsed = now.since(self.started);
        let place = self.place();
        let said = match why {
            Some(why) => format!("how many replicas have it is not known (option min_replicas): {why}"),
            None => format!(
                "{reached} of {wanted} replicas acknowledged it within {:.3} s (option min_replicas)",
                within.as_secs_f64()
            ),
        };
        let message = format!("{name} was applied, but {said}{place} ({:.3} s)", elapsed.as_secs_f64());
        Box::new(Failure {
            kind: Kind::NotEnoughReplicas { reached: *reached, wanted: *wanted },
            message,
            node: self.node.as_ref().map(ToString::to_string),
            code: 0,
            command: name,
            attempts: self.retry.attempts(),
            elapsed,
            phase: Some(Phase::Read),
            index: None,
        })
    }

    /// The server's refusal as a failure.
    pub fn refused(&self, frame: &Frame, text: &str, now: Instant) -> Box<Failure> {
        let error_type = text.split(' ').next().unwrap_or_default().to_owned();
        Box::new(Failure {
            kind: Kind::Server(error_type),
            message: text.to_owned(),
            node: self.node.as_ref().map(ToString::to_string),
            code: 0,
            command: self.name(frame),
            attempts: self.retry.attempts(),
            elapsed: now.since(self.started),
            phase: Some(Phase::Read),
            index: None,
        })
    }
}
