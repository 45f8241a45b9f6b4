//! What one thread has in hand while a command runs.

use crate::board::Turn;
use crate::discovery::Search;
use crate::pool::Lease;
use crate::resp::{Frame, frame_of};

use super::breaker::Probe;
use super::budget::Budget;
use super::course::Course;
use super::pass::Carried;
use super::scripts::Digests;

/// The working place of one thread. The next command, and the end of the request, clear away what a command that was
/// left by a jump has left behind.
#[derive(Default)]
pub struct Desk {
    /// The command being sent. The caller fills it before it runs the command.
    pub frame: Frame,
    /// The connection in use. Standing here means *in exchange*: found at another time, it is half used, and closed.
    pub(super) lease: Option<Lease>,
    /// The search that goes on beside an awaited reply.
    pub(super) search: Option<Box<Search>>,
    /// Probes of deployments that are down. They outlive commands and requests.
    pub(super) probes: Vec<Probe>,
    /// The right to search on behalf of all workers of the host.
    pub(super) turn: Option<Turn>,
    /// The right to ask for the map of a cluster. No litter: the questions are commands, which would clear it away.
    pub(super) asking: Option<Turn>,
    /// How far the batch on its way has come.
    pub(super) course: Course,
    /// What is unusual about the command that is run.
    pub(super) manner: Manner,
    /// The digests of scripts.
    pub digests: Digests,
    /// Parts of a batch that other shards of a cluster have been sent already.
    pub(super) ahead: Vec<Ahead>,
    /// The call that was left so that the program can be asked for its credentials.
    pub(super) left: Option<Box<Carried>>,
    /// The same once that is done: what runs next takes it up.
    pub(super) carried: Option<Box<Carried>>,
    /// What stands aside meanwhile: the program may do anything.
    aside: Vec<Aside>,
    /// What the request has spent of its budget.
    pub budget: Budget,
}

/// Where PHP code runs while something stands aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The stack that it has, by any number that tells it from those of fibers.
    pub stack: usize,
    /// Whether the request is over but for what runs at its end. What began before, and was not taken back, never is.
    pub at_end: bool,
}

/// What belongs to a command that was left.
struct Aside {
    ticket: u64,
    stage: Stage,
    frame: Frame,
    course: Course,
    manner: Manner,
    left: Option<Box<Carried>>,
}

/// What is unusual about a command.
#[derive(Debug, Default)]
pub(super) enum Manner {
    /// Nothing.
    #[default]
    Usual,
    /// It calls a script by its digest, and this is its text.
    Script(Box<[u8]>),
    /// An error of the server is its reply.
    Raw,
}

/// A connection that has been sent a batch, whose replies nobody waits for yet.
pub struct Ahead {
    /// The place of the shard.
    pub(super) place: usize,
    /// The connection.
    pub(super) lease: Lease,
    /// How many bytes the kernel has taken.
    pub(super) sent: usize,
    /// If it leads to a node that is read from: its place in the list.
    pub(super) reader: Option<u32>,
}

impl Desk {
    /// Has `work` done with a question of the house in the frame; the command that stands there waits meanwhile. Not for
    /// what PHP may leave by a jump.
    pub(super) fn asking<W: AsRef<[u8]>, R>(&mut self, words: &[W], work: impl FnOnce(&mut Desk) -> R) -> R {
        let (asked, carried) = (std::mem::replace(&mut self.frame, frame_of(words)), self.carried.take());
        let done = work(self);
        // A question is asked from its start again.
        (self.frame, self.carried, self.left) = (asked, carried, None);
        done
    }

    /// Puts what belongs to the command aside that was left, if one was, so that PHP code can run. Gives what it is taken
    /// back for: the program may ask in several fibers at a time.
    #[must_use]
    pub fn put_aside(&mut self, stage: Stage, was_left: bool) -> u64 {
        let left = self.left.take().filter(|_| was_left);
        let ticket = 1 + self.aside.last().map_or(0, |aside| aside.ticket);
        self.aside.push(Aside {
            ticket,
            stage,
            frame: std::mem::take(&mut self.frame),
            course: std::mem::take(&mut self.course),
            manner: std::mem::take(&mut self.manner),
            left,
        });
        ticket
    }

    /// Takes that back, now that no PHP code runs any more.
    pub fn take_back(&mut self, ticket: u64) {
        self.sweep();
        let Some(place) = self.aside.iter().position(|aside| aside.ticket == ticket) else { return };
        let aside = self.aside.remove(place);
        (self.frame, self.course, self.manner, self.carried) = (aside.frame, aside.course, aside.manner, aside.left);
    }

    /// How often something was put aside on this stage that still stands there.
    pub fn depth(&self, stage: Stage) -> usize {
        self.aside.iter().filter(|aside| aside.stage == stage).count()
    }

    /// Forgets what was put aside: the request is over.
    pub fn forget_aside(&mut self) {
        self.aside.clear();
    }

    /// Has an error of the server be the reply to the command that is run next. What is run after that has to be
    /// another's: [`Desk::end_manner`].
    pub fn take_raw(&mut self) {
        if self.is_littered() {
            self.sweep();
        }
        self.manner = Manner::Raw;
    }

    /// Whether something is unusual about the command that has run.
    #[inline]
    pub fn has_manner(&self) -> bool {
        !matches!(self.manner, Manner::Usual)
    }

    /// The next command is a usual one again. True if an error of the server is the reply to this one.
    #[cold]
    pub fn end_manner(&mut self) -> bool {
        matches!(std::mem::take(&mut self.manner), Manner::Raw)
    }

    /// Closes what was left behind. Touches no memory of PHP's.
    pub fn sweep(&mut self) {
        self.lease = None;
        self.search = None;
        self.manner = Manner::Usual;
        self.turn = None;
        self.asking = None;
        self.ahead.clear();
        self.left = None;
        self.carried = None;
    }

    /// Whether something was left behind.
    pub fn is_littered(&self) -> bool {
        self.lease.is_some() || self.search.is_some() || self.turn.is_some()
    }
}
