//! What one thread has in hand while a command runs.

use crate::board::Turn;
use crate::discovery::Search;
use crate::pool::Lease;
use crate::resp::Frame;

use super::breaker::Probe;
use super::budget::Budget;
use super::course::Course;
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
    /// How far the batch on its way has come.
    pub(super) course: Course,
    /// The text of the script that is being called by its digest.
    pub(super) script: Option<Box<[u8]>>,
    /// The digests of scripts.
    pub digests: Digests,
    /// What the request has spent of its budget.
    pub budget: Budget,
}

impl Desk {
    /// Closes what was left behind. Touches no memory of PHP's.
    pub fn sweep(&mut self) {
        self.lease = None;
        self.search = None;
        self.script = None;
        self.turn = None;
    }

    /// Whether something was left behind.
    pub fn is_littered(&self) -> bool {
        self.lease.is_some() || self.search.is_some() || self.turn.is_some()
    }
}
