//! The connections to one node under one identity: kept last in, first out, checked before they are trusted.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::aws::CONNECTION_LIFETIME;
use crate::config::{NodeAddress, Password, PoolLimits};
use crate::connection::{Connection, Identity, current_generation};
use crate::time::{Clock, Instant, Lead};

/// A connection that was idle for longer is asked whether it is alive: a gateway may have forgotten it, or a sandbox that
/// was frozen missed its end, without a word to either side. The first bytes sent on it would be lost with it, and nobody
/// could tell whether they were applied. Who comes so seldom does not notice a round trip.
const LONG_IDLE: Duration = Duration::from_secs(5);
/// A wall clock that got so much further ahead shows that this process was frozen, or the clock set: nothing else moves it
/// so far at once. After a freeze a look at the socket is not enough, whatever its length: an end that was sent meanwhile
/// may still be on its way.
const FREEZE: Duration = Duration::from_secs(1);

/// How long before its end a connection that a token let in is replaced, and how long any other one may last.
const RENEWED_EARLY: Duration = Duration::from_secs(3600);
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// All connections of this process that can stand in for each other.
#[derive(Debug)]
pub struct NodePool {
    node: NodeAddress,
    identity: Identity,
    /// How long a connection may last.
    longest: Duration,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    generation: u64,
    idle: Vec<Lease>,
    leased: usize,
    /// As whoever used the pool last asked for it.
    max_idle_time: Duration,
    /// How often it was emptied for good: what was leased before is not taken back.
    era: u64,
}

/// A connection in use, or waiting on its pool's shelf for the next.
pub struct Lease {
    /// The connection.
    pub connection: Box<Connection>,
    home: Arc<NodePool>,
    idle_since: Instant,
    /// When it is not to be used any more.
    until: Instant,
    /// The wall clock's lead when somebody last looked.
    lead: Lead,
    generation: u64,
    era: u64,
    /// Whether it is on the shelf: then it does not count as leased.
    shelved: bool,
}

/// What the pool has to give.
#[derive(Debug)]
pub enum Leased {
    /// A connection that can be used.
    Ready(Lease),
    /// A connection that was idle for so long that it must be asked first.
    Doubtful(Lease),
    /// None is idle: open one, and have the pool adopt it.
    Empty,
    /// As many as are allowed are in use.
    Exhausted,
}

/// What a look at an idle connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Fit,
    Doubtful,
    Unfit,
}

/// Numbers for `stats()` and phpinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// The node.
    pub node: NodeAddress,
    /// The selected database.
    pub database: u32,
    /// Connections that wait.
    pub idle: usize,
    /// Connections in use.
    pub leased: usize,
}

impl NodePool {
    pub(super) fn new(node: NodeAddress, identity: Identity) -> NodePool {
        // The cache ends what a token let in after that, whether it is in use or not.
        let is_by_token = matches!(identity.credentials.password, Password::Token(_));
        let longest = if is_by_token { CONNECTION_LIFETIME - RENEWED_EARLY } else { FOR_EVER };
        NodePool { node, identity, longest, shelf: Mutex::default() }
    }

    /// Who all its connections speak for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The node that all its connections lead to.
    pub fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Takes the connection that was used last. Those that have been idle too long, that the peer has closed or that
    /// belong to the parent process are closed on the way.
    pub fn lease(&self, now: Instant, limits: &PoolLimits, clock: &dyn Clock) -> Leased {
        let mut shelf = self.shelf();
        shelf.max_idle_time = limits.max_idle_time;
        while let Some(mut lease) = shelf.idle.pop() {
            let idle_for = now.since(lease.idle_since);
            let look =
                if idle_for < limits.trusted_for { Look::Fit } else { lease.look(idle_for, limits, clock.lead()) };
            let look = if now < lease.until { look } else { Look::Unfit };
            if look == Look::Unfit {
                continue;
            }
            lease.shelved = false;
            shelf.leased += 1;
            return if look == Look::Fit { Leased::Ready(lease) } else { Leased::Doubtful(lease) };
        }
        if shelf.leased >= limits.max_connections { Leased::Exhausted } else { Leased::Empty }
    }

    /// Counts a connection that was opened elsewhere as a lease of this pool.
    pub fn adopt(self: &Arc<Self>, connection: Box<Connection>, limits: &PoolLimits, clock: &dyn Clock) -> Lease {
        let mut shelf = self.shelf();
        shelf.max_idle_time = limits.max_idle_time;
        shelf.leased += 1;
        let (generation, era) = (shelf.generation, shelf.era);
        let (home, lead, until) = (self.clone(), clock.lead(), clock.coarse() + self.longest);
        Lease { connection, home, idle_since: Instant::default(), until, lead, generation, era, shelved: false }
    }

    /// Takes a lease back. Only a clean connection is kept, and none from before a reset; any other is closed.
    pub fn check_in(&self, mut lease: Lease, now: Instant) {
        let clean = lease.connection.is_clean() && now < lease.until;
        let mut shelf = self.shelf();
        if lease.generation != shelf.generation {
            return;
        }
        if clean && lease.era == shelf.era {
            shelf.leased -= 1;
            lease.shelved = true;
            lease.idle_since = now;
            shelf.idle.push(lease);
        } else {
            // Its destructor takes the lock to count itself out.
            drop(shelf);
            drop(lease);
        }
    }

    /// Closes what has been idle for too long.
    pub(super) fn tidy(&self, now: Instant) {
        let mut shelf = self.shelf();
        let limit = shelf.max_idle_time;
        shelf.idle.retain(|lease| now.since(lease.idle_since) <= limit);
    }

    /// Has what waits here wait in another pool, behind what waits there.
    pub(super) fn hand_over(&self, heir: &Arc<NodePool>) {
        let mut idle = std::mem::take(&mut self.shelf().idle);
        let mut shelf = heir.shelf();
        for lease in &mut idle {
            lease.home = heir.clone();
            lease.era = shelf.era;
        }
        shelf.idle.splice(0..0, idle);
    }

    /// Closes what is idle. What is leased stays with its holder.
    pub fn clear(&self) {
        self.shelf().idle.clear();
    }

    /// Closes what is idle, and what is leased as soon as it comes back. True if nothing is leased.
    pub(super) fn retire(&self) -> bool {
        let mut shelf = self.shelf();
        shelf.idle.clear();
        shelf.era += 1;
        shelf.leased == 0
    }

    /// The numbers of this moment.
    pub fn status(&self) -> PoolStatus {
        let shelf = self.shelf();
        PoolStatus {
            node: self.node.clone(),
            database: self.identity.database,
            idle: shelf.idle.len(),
            leased: shelf.leased,
        }
    }

    /// The shelf, emptied of what belongs to another generation. Every command is here twice, and has no call to spare.
    #[inline(always)]
    fn shelf(&self) -> parking_lot::MutexGuard<'_, Shelf> {
        let mut shelf = self.shelf.lock();
        let generation = current_generation();
        if shelf.generation != generation {
            shelf.pass_on(generation);
        }
        shelf
    }
}

impl Shelf {
    /// Begins anew for a generation: a child closes its copies of the parent's sockets without a byte sent.
    #[cold]
    fn pass_on(&mut self, generation: u64) {
        self.idle.clear();
        self.leased = 0;
        self.generation = generation;
    }
}

impl Lease {
    /// Looks whether it can be trusted, idle for so long by the monotonic clock. Time that only the wall clock has seen
    /// counts as idle time.
    #[cold]
    fn look(&mut self, idle_for: Duration, limits: &PoolLimits, lead: Lead) -> Look {
        let ahead = lead.grown_since(std::mem::replace(&mut self.lead, lead));
        let frozen = ahead >= FREEZE;
        let idle_for = if frozen { idle_for.saturating_add(ahead) } else { idle_for };
        if idle_for > limits.max_idle_time {
            return Look::Unfit;
        }
        if (frozen || idle_for >= limits.check_idle_after) && !self.connection.is_quiet() {
            return Look::Unfit;
        }
        if frozen || idle_for >= LONG_IDLE { Look::Doubtful } else { Look::Fit }
    }

    /// The pool that it goes back to.
    pub fn home(&self) -> &Arc<NodePool> {
        &self.home
    }

    /// Checks the lease in at its own pool.
    pub fn give_back(self, now: Instant) {
        let home = self.home.clone();
        home.check_in(self, now);
    }

    /// Whether the connection belongs to this process, not to its parent.
    pub fn is_ours(&self) -> bool {
        self.generation == current_generation()
    }

    /// The lease, if it is there and this process's. A child leaves its parent's connection alone (P8); one that is
    /// missing was left in the middle of an exchange.
    ///
    /// # Errors
    /// Why there is none, in words for messages and events.
    pub fn still_ours(lease: Option<Lease>) -> Result<Lease, &'static str> {
        match lease {
            Some(lease) if lease.is_ours() => Ok(lease),
            Some(_) => Err("the connection belongs to the process that this one was forked from"),
            None => Err("the connection was left in the middle of an exchange"),
        }
    }

    /// Moves the lease to another pool, after the connection's identity was changed on the server.
    pub fn move_to(&mut self, home: &Arc<NodePool>) {
        if self.is_ours() {
            let (max_idle_time, age) = {
                let mut former = self.home.shelf();
                former.leased = former.leased.saturating_sub(1);
                (former.max_idle_time, former.era.wrapping_sub(self.era))
            };
            let mut shelf = home.shelf();
            shelf.leased += 1;
            // From before a reset there, from before a reset here.
            self.era = shelf.era.wrapping_sub(age);
            shelf.max_idle_time = shelf.max_idle_time.max(max_idle_time);
        }
        self.home = home.clone();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.shelved && self.is_ours() {
            let mut shelf = self.home.shelf();
            shelf.leased = shelf.leased.saturating_sub(1);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("node", self.home.node())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
