//! Reading from replicas: which node answers a read, and what happens when it does not (option `read_from`).
//!
//! A read may go anywhere: sent twice it does no harm. So a node that fails one is put aside, and the read goes on at the
//! next one at once; the primary comes last, where it may come at all.

use std::sync::Arc;
use std::time::Duration;

use crate::command::may_use_replica;
use crate::config::ReadFrom;
use crate::connection::{Identity, Interest};
use crate::discovery::Name;
use crate::failover::{Cause, Limit, Lost, Phase, Verdict};
use crate::pool::{Lease, Leased, NodePool, Reader};
use crate::time::{Deadline, Instant};

use super::await_reply::{no_lease, wait_for};
use super::call::Call;
use super::desk::Desk;
use super::failure::Failure;
use super::state::Client;

/// What one call remembers of the nodes that it asked. Plain numbers: it stands on the stack while PHP is entered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Whether a replica may answer it.
    pub allowed: bool,
    /// The one that is asked now, by its place in the list.
    pub at: Option<u32>,
    /// Those that were asked, by place.
    tried: u64,
    /// How often all were asked in vain.
    rounds: u32,
}

impl Call {
    /// Whether all nodes were asked for this call, and none could be read from.
    pub(super) fn reading_in_vain(&self) -> bool {
        self.reading.rounds > 0
    }
}

/// The list as one client object keeps it, with the pools at hand.
#[derive(Default)]
pub struct ReadList {
    /// The version of the nodes and the epoch of the primary that it was made from.
    pub(super) made_from: (u64, u64),
    pub(super) places: Vec<Place>,
    /// Names on their way to an answer.
    pub(super) names: Vec<Name>,
}

/// One node of the list.
pub struct Place {
    pub(super) reader: Arc<Reader>,
    pub(super) pool: Arc<NodePool>,
    /// Whether it is the primary, whose own way of being found and lost holds.
    pub(super) is_primary: bool,
}

/// As many nodes as a read keeps apart; no deployment has more.
const MOST_PLACES: usize = 64;
/// Nodes that answer within this of the fastest one count as equally near: half as much again, and what scheduling alone
/// makes of equal distances.
const NEAR_FACTOR: u32 = 2;
const NEAR_SLACK: Duration = Duration::from_micros(200);

impl Client {
    /// Whether a replica may answer the call. A look at its row, but for commands with subcommands.
    #[inline]
    pub(super) fn may_read_elsewhere(&self, desk: &Desk, call: &Call) -> bool {
        if self.configuration.policy.read_from == ReadFrom::Primary || call.blocking {
            return false;
        }
        match call.command {
            Some(row) if row.subcommands.is_empty() => may_use_replica(Some(row), &[]),
            Some(row) => may_use_replica(Some(row), &desk.frame.words()[1..]),
            None => false,
        }
    }

    /// Puts a connection to a node that may be read from on the desk. False if the primary has to answer.
    pub(super) fn acquire_reader(&mut self, desk: &mut Desk, call: &mut Call) -> Result<bool, Lost> {
        if self.identity.credentials.are_unknown() {
            self.see_pass()?;
        }
        let acquired = self.find_reader(desk, call);
        if self.deployment.readers().has_moves() {
            self.tell_moves();
        }
        acquired
    }

    fn find_reader(&mut self, desk: &mut Desk, call: &mut Call) -> Result<bool, Lost> {
        let now = if call.retry.attempts() == 1 { call.started } else { self.world.clock.now() };
        if self.deployment.has_news() {
            self.heed();
        }
        self.renew_list(desk, call, now);
        loop {
            while let Some(place) = self.choose(call, now) {
                if self.list.places[place].is_primary {
                    call.reading.tried |= 1 << place;
                    break;
                }
                desk.lease = self.lease_reader(place, call, now)?;
                call.reading.tried |= 1 << place;
                if desk.lease.is_some() {
                    call.reading.at = u32::try_from(place).ok();
                    self.attached = true;
                    return Ok(true);
                }
            }
            if self.configuration.policy.read_from != ReadFrom::Replica {
                call.reading.allowed = false;
                return Ok(false);
            }
            self.wait_for_replica(desk, call)?;
        }
    }

    #[inline]
    fn lease_reader(&self, place: usize, call: &Call, now: Instant) -> Result<Option<Lease>, Lost> {
        let Place { reader, pool, .. } = &self.list.places[place];
        let max_lag = self.configuration.policy.max_replica_lag;
        Ok(match pool.lease(now, &self.configuration.pool, &*self.world.clock) {
            Leased::Ready(lease) if !reader.is_due(now) && reader.is_fit(max_lag) => Some(lease),
            // The question for its standing shows as well whether it is alive.
            Leased::Ready(lease) | Leased::Doubtful(lease) => self.ask_reader(lease, reader, call.deadline),
            Leased::Empty => {
                self.see_pass()?;
                self.dial_reader(reader, pool, call.deadline, &self.search_settings()?)
            }
            Leased::Exhausted => None,
        })
    }

    /// The place whose turn it is among those that can be read from and were not tried.
    #[inline]
    pub(super) fn choose(&self, call: &Call, now: Instant) -> Option<usize> {
        let policy = &self.configuration.policy;
        let places = &self.list.places[..];
        let nearest = policy.read_from == ReadFrom::Nearest;
        // Who waits for a replica to come back asks all of them again.
        let all = call.reading.rounds > 0;
        let can = |index: usize, place: &Place| {
            call.reading.tried & (1 << index) == 0
                && (nearest || !place.is_primary)
                && (all || place.is_primary || place.reader.is_likely(now, policy.max_replica_lag))
        };
        let limit = if nearest {
            let able = places.iter().enumerate().filter(|(index, place)| can(*index, place));
            let best = able.map(|(_, place)| place.reader.latency()).filter(|latency| !latency.is_zero()).min();
            best.map_or(Duration::MAX, |best| best * NEAR_FACTOR + NEAR_SLACK)
        } else {
            Duration::MAX
        };
        let near = |place: &Place| !nearest || place.reader.latency() <= limit || place.reader.is_unmeasured(now);
        let able = |&(index, place): &(usize, &Place)| can(index, place) && near(place);
        let count = places.iter().enumerate().filter(able).count();
        let turn = self.deployment.readers().turn().checked_rem(count)?;
        places.iter().enumerate().filter(able).nth(turn).map(|(index, _)| index)
    }

    /// Brings the list up to date: who the nodes are, and their pools for this object.
    #[inline]
    fn renew_list(&mut self, desk: &mut Desk, call: &mut Call, now: Instant) {
        let readers = self.deployment.readers();
        if readers.is_due(now) || !self.list.names.is_empty() {
            self.renew_readers(desk, call, now);
        }
        let made_from = (self.deployment.readers().version(), self.deployment.epoch());
        if self.list.made_from != made_from {
            self.make_list(call, made_from);
        }
    }

    #[cold]
    fn make_list(&mut self, call: &mut Call, made_from: (u64, u64)) {
        let primary = self.deployment.knowledge().primary().cloned();
        let nodes = self.deployment.readers().nodes();
        let of_replica = Identity { reads_replica: self.configuration.shard, ..self.identity.clone() };
        let place = |reader: Arc<Reader>| {
            let is_primary = primary.as_ref() == Some(reader.node());
            let identity = if is_primary { &self.identity } else { &of_replica };
            Place { pool: self.world.registry.pool(reader.node(), identity), is_primary, reader }
        };
        self.list.places = nodes.into_iter().take(MOST_PLACES).map(place).collect();
        self.list.made_from = made_from;
        call.reading.tried = 0;
    }

    /// Forgets the list: the pools are those of another identity.
    pub(super) fn forget_list(&mut self) {
        self.list = ReadList::default();
    }

    /// No replica can be read from, and nobody else may answer: waits a moment and looks again who there is.
    #[cold]
    fn wait_for_replica(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        let once = self.configuration.policy.retry.max_attempts == Some(1);
        let now = self.world.clock.now();
        if call.deadline.passed(now) || (once && call.reading.rounds > 0) {
            let status = self.deployment.readers().status(now);
            let told = status.iter().filter_map(|one| Some(format!("{}: {}", one.node, one.why_not.as_ref()?)));
            let told = told.collect::<Vec<_>>().join("; ");
            let told = if told.is_empty() { "none is known".to_owned() } else { told };
            let text = format!("no replica can be read from (option read_from = 'replica'): {told}");
            let cause = if once { Cause::Io(text) } else { Cause::Overdue(call.limit(), text) };
            return Err(Lost::before(Phase::Lease, cause));
        }
        if call.reading.rounds > 0 {
            self.pause(call);
        }
        call.reading.rounds += 1;
        call.reading.tried = 0;
        let is_known = self.list.places.iter().any(|place| !place.is_primary);
        if !is_known {
            match self.acquire(desk, call) {
                // The primary knows its replicas.
                Ok(()) => self.put_back(desk),
                Err(asks @ Lost { cause: Cause::Credentials, .. }) => return Err(asks),
                Err(_) => {}
            }
        }
        let now = self.world.clock.now();
        self.renew_readers(desk, call, now);
        let made_from = (self.deployment.readers().version(), self.deployment.epoch());
        self.make_list(call, made_from);
        Ok(())
    }

    /// The node that was read from did not answer: it is put aside, and the read goes on elsewhere.
    #[cold]
    pub(super) fn leave_reader(&mut self, call: &mut Call, lost: &Lost) {
        if let Some(place) = self.take_reader(call)
            && !matches!(lost.cause, Cause::NoMemory)
        {
            place.reader.put_aside(lost.cause.to_string(), self.world.clock.now());
            // What waits there would fail as well.
            place.pool.clear();
        }
    }

    /// The node that the call reads from, which it reads from no more.
    fn take_reader(&self, call: &mut Call) -> Option<&Place> {
        call.reading.at.take().and_then(|place| self.list.places.get(place as usize))
    }

    /// A node that was read from refused because of its own state: it is put aside. Whether the read goes on elsewhere.
    pub(super) fn put_reader_aside(&mut self, desk: &mut Desk, call: &mut Call, said: &str, now: Instant) -> bool {
        self.put_back(desk);
        if let Some(place) = self.take_reader(call) {
            place.reader.put_aside(said.to_owned(), now);
        }
        call.retry.not_applied() != Verdict::GiveUp
    }

    /// The node that was read from refused because of its own state.
    #[cold]
    pub(super) fn refused_by_reader(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        said: String,
        now: Instant,
    ) -> Result<(), Box<Failure>> {
        if !self.put_reader_aside(desk, call, &said, now) {
            return Err(call.refused(&desk.frame, &said, now));
        }
        if call.deadline.passed(now) {
            let lost = Lost::before(Phase::Read, Cause::Overdue(call.limit(), said));
            return Err(call.fail(&desk.frame, &lost, false, now));
        }
        Ok(())
    }

    /// A node that is read from is silent. Another one is asked as soon as that is suspicious, if there is one: the read
    /// can be slow, but then it is slow once.
    #[cold]
    pub(super) fn bide_at_reader(
        &mut self,
        desk: &mut Desk,
        call: &Call,
        interest: Interest,
        heard: Instant,
        (deadline, limit): (Deadline, Limit),
    ) -> Result<(), Lost> {
        let suspect_after = self.configuration.policy.suspect_after;
        let suspect = Deadline::after(heard, Some(suspect_after));
        let Some(lease) = desk.lease.as_ref() else { return Err(no_lease()) };
        loop {
            let now = self.world.clock.now();
            if deadline.passed(now) {
                return Err(Lost::awaiting(Cause::TimedOut(limit)));
            }
            let elsewhere =
                self.configuration.policy.read_from != ReadFrom::Replica || self.choose(call, now).is_some();
            if elsewhere && suspect.passed(now) {
                let text = format!("no reply within suspect_after ({:.3} s)", suspect_after.as_secs_f64());
                return Err(Lost::awaiting(Cause::Io(text)));
            }
            let until = if elsewhere { deadline.min(suspect) } else { deadline };
            if wait_for(&*self.world.network, &lease.connection, interest, until.remaining(now)) {
                return Ok(());
            }
        }
    }
}
