//! What the workers of one FPM master know together: fixed records in an anonymous shared mapping (P10).
//!
//! The mapping is made before the master forks. It has several arenas; a worker claims the one of its user at its first
//! request and unmaps the others, so that pools of different users can neither read nor poison each other. Everything
//! in it is an atomic number, and no step of a writer needs another one to follow: a worker that is killed at any
//! instruction holds up nobody. Where there is no mapping (one process alone, more users than arenas, a full arena) a
//! record is the process's own and has the same interface.
//!
//! The room knows bytes and instants in nanoseconds, no sockets and no Redis. May use `telemetry`, and needs nothing.

mod arenas;
mod lease;
mod pace;
mod record;
mod seal;
mod trouble;
mod volume;

use std::hash::Hash;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

use arenas::{Arena, Arenas};
pub use lease::Turn;
pub use record::{Publication, Published, ROOM, Record};
use seal::{Keys, Seal};
pub use trouble::Trouble;
pub use volume::Volume;

/// How many users one master can serve from shared memory; those beyond keep to their processes.
pub const ARENAS: usize = 16;
/// The smallest mapping that gives every arena a record, whatever the size of the system's pages.
pub const LEAST_SIZE: u64 = 1 << 20;
/// More than anybody needs.
pub const GREATEST_SIZE: u64 = 1 << 30;

/// The board as one process sees it.
#[derive(Debug)]
pub struct Board {
    keys: Keys,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Every record is the process's own.
    Alone,
    /// Mapped, and nothing claimed yet: the master stays so for ever.
    Unclaimed(Arenas),
    /// One arena is this user's; `generation` says as of which side of a fork that was checked.
    Claimed { arena: Arena, uid: u32, generation: u64 },
}

/// Numbers for `stats()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether this process shares what it knows with others.
    pub shared: bool,
    /// The records in use in the arena.
    pub records: usize,
    /// The records that it has room for.
    pub room: usize,
}

/// A record, shared or not.
#[derive(Clone, Debug)]
pub struct Place {
    record: Holding,
    seal: Seal,
}

#[derive(Clone, Debug)]
enum Holding {
    Shared(&'static Record),
    Own(Arc<Record>),
}

impl Board {
    /// A board of one process.
    pub fn alone() -> Board {
        Board { keys: Keys::random(), state: Mutex::new(State::Alone) }
    }

    /// A board for the children of this process: `size` bytes of anonymous shared memory. To be made before it forks.
    ///
    /// # Errors
    /// The system gives no such memory.
    pub fn shared(size: usize) -> io::Result<Board> {
        Ok(Board { keys: Keys::random(), state: Mutex::new(State::Unclaimed(Arenas::map(size, ARENAS)?)) })
    }

    /// Claims the arena of user `uid` and unmaps the others: to be called before code of that user runs. `generation`
    /// changes with every fork; a child that runs as another user than its parent loses sight of the parent's arena.
    pub fn claim(&self, uid: impl Fn() -> u32, generation: u64) {
        let mut state = self.state.lock();
        match &mut *state {
            State::Alone => {}
            State::Claimed { generation: checked, .. } if *checked == generation => {}
            State::Claimed { arena, uid: owner, generation: checked } => {
                if uid() != *owner {
                    arena.hide();
                }
                *checked = generation;
            }
            State::Unclaimed(_) => {
                let State::Unclaimed(arenas) = std::mem::replace(&mut *state, State::Alone) else { return };
                let uid = uid();
                if let Some(arena) = arenas.claim(uid) {
                    *state = State::Claimed { arena, uid, generation };
                }
            }
        }
    }

    /// The record for `key`, which is never written down: only its keyed hash is. What is not claimed or full gives a
    /// record of the process's own.
    pub fn place<K: Hash>(&self, key: &K) -> Place {
        self.place_of(self.keys.seal(key))
    }

    /// The records for a text about `key` that may be too long for one.
    pub fn volume<K: Hash>(self: &Arc<Board>, key: &K) -> Volume {
        Volume::new(self.clone(), self.keys.seal(key).part(0))
    }

    fn place_of(&self, seal: Seal) -> Place {
        let shared = match &*self.state.lock() {
            State::Claimed { arena, .. } => arena.record(seal.name()),
            _ => None,
        };
        let record = shared.map_or_else(|| Holding::Own(Arc::default()), Holding::Shared);
        Place { record, seal }
    }

    /// The record under a seal, if somebody has taken one.
    fn known_place(&self, seal: &Seal) -> Option<Place> {
        let State::Claimed { arena, .. } = &*self.state.lock() else { return None };
        let record = arena.known_record(seal.name())?;
        Some(Place { record: Holding::Shared(record), seal: seal.clone() })
    }

    /// A record of the process's own, for what is not worth sharing.
    pub fn own_place<K: Hash>(&self, key: &K) -> Place {
        Place { record: Holding::Own(Arc::default()), seal: self.keys.seal(key) }
    }

    /// The numbers of this moment.
    pub fn status(&self) -> Status {
        match &*self.state.lock() {
            State::Claimed { arena, .. } => {
                Status { shared: arena.is_shared(), records: arena.used(), room: arena.room() }
            }
            _ => Status { shared: false, records: 0, room: 0 },
        }
    }
}

impl Place {
    /// What was published last; `None` if nothing was, or if what stands there cannot be trusted.
    pub fn read(&self) -> Option<Published> {
        self.record().read(&self.seal)
    }

    /// Publishes what was found, if the record still says what it said when the search began.
    pub fn publish(&self, based_on: u64, renewed: bool, bytes: &[u8], now: u64) -> Publication {
        self.record().publish(&self.seal, based_on, renewed, bytes, now)
    }

    /// Takes the searcher's lease, if nobody has it who still breathes.
    pub fn take_turn(&self, now: u64) -> Option<Turn> {
        Turn::take(self, now)
    }

    /// Whether other processes see the record, too.
    pub fn is_shared(&self) -> bool {
        matches!(self.record, Holding::Shared(_))
    }

    #[inline]
    fn record(&self) -> &Record {
        match &self.record {
            Holding::Shared(record) => record,
            Holding::Own(record) => record,
        }
    }
}

impl Deref for Place {
    type Target = Record;

    #[inline]
    fn deref(&self) -> &Record {
        self.record()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
