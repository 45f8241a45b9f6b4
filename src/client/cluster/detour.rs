//! How long a command is sought a node for, when it was not where it belongs at once.

use std::time::Duration;

use crate::time::{Backoff, Deadline, Instant};

use super::super::failure::{Failure, Kind};

/// The way of a command that was not where it belongs at once.
#[derive(Default)]
pub struct Detour {
    /// How often it was sent elsewhere.
    pub count: u32,
    /// Whether the map was looked at anew because nobody could be reached.
    pub renewed: bool,
    /// For how long it has been waiting for the map to change.
    pub spent: Duration,
    pub backoff: Option<Backoff>,
}

impl Detour {
    /// For how long the shard that is known is tried before the map is looked at anew: all of its nodes may have been
    /// replaced by others.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// For how long nodes may send it to each other, or nobody serve its slot, where `command_timeout` sets no limit.
    pub const LONGEST: Duration = Duration::from_secs(30);

    /// That of a command which is for the nodes that are known: they are tried until its end.
    pub fn renewed() -> Detour {
        Detour { renewed: true, ..Detour::default() }
    }

    pub fn patience(&self, now: Instant) -> Deadline {
        if self.renewed { Deadline::NEVER } else { Deadline::after(now, Some(Self::PATIENCE)) }
    }

    /// Whether the command was surely not applied, because nobody could be reached where the map says.
    pub fn may_have_moved(&mut self, failure: &Failure) -> bool {
        let out_of_reach = matches!(failure.kind, Kind::Connection | Kind::Timeout(_));
        out_of_reach && !std::mem::replace(&mut self.renewed, true)
    }
}
