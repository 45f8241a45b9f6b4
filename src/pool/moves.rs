//! What has changed among the nodes that are read from, kept until a client can tell its listener.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::NodeAddress;

/// What has changed since somebody was last told, for events.
#[derive(Debug, Default)]
pub struct Moves {
    any: AtomicBool,
    all: Mutex<Vec<Move>>,
}

/// One change of the nodes that are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// This node is not read from for the time being, for this reason.
    Left(NodeAddress, String),
    /// This node is read from again, so long after it was left.
    Restored(NodeAddress, Duration),
    /// These nodes came, and those went.
    Changed(Vec<NodeAddress>, Vec<NodeAddress>),
}

/// More changes than this since anybody listened are not kept.
const MOST_MOVES: usize = 64;

impl Moves {
    /// Notes a change.
    pub fn note(&self, one: Move) {
        let mut all = self.all.lock();
        if all.len() < MOST_MOVES {
            all.push(one);
        }
        self.any.store(true, Ordering::Release);
    }

    /// Whether something has changed that nobody was told of.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Takes what has changed.
    pub fn take(&self) -> Vec<Move> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.all.lock())
    }
}
