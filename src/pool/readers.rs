//! The nodes that reads may go to, as the whole process knows them: how far behind, how fast, and which are put aside.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::NodeAddress;
use crate::time::{AtomicInstant, Instant};
use crate::topology::Standing;

use super::moves::{Move, Moves};

/// How often a node that is read from is asked for its standing: a link that broke is seen within this.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked who the replicas are.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long a node that was slow is left out for that: then it is measured anew, since one hiccup is no distance.
const MEASURED_FOR: Duration = Duration::from_secs(10);
/// How long a node that failed a read is put aside: the first time, and at most.
const ASIDE: Duration = Duration::from_millis(250);
const ASIDE_MOST: Duration = Duration::from_secs(10);
/// The lag of a node that must not be read from, in nanoseconds.
const UNFIT: u64 = u64::MAX;

/// One node that reads may go to. All of it can be read without a lock.
#[derive(Debug)]
pub struct Reader {
    node: NodeAddress,
    /// When it was last asked; zero if it never was.
    asked_at: AtomicInstant,
    aside_until: AtomicInstant,
    failures: AtomicU32,
    /// Nanoseconds.
    lag: AtomicU64,
    /// Nanoseconds, smoothed; zero while it was not measured.
    latency: AtomicU64,
    why_unfit: Mutex<Option<String>>,
    /// Since when it is not read from; zero while it is.
    left_at: AtomicInstant,
    moves: Arc<Moves>,
}

/// What is known of a node, for `topology()`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderStatus {
    /// The node.
    pub node: NodeAddress,
    /// How far it is behind; `None` if it must not be read from, or was not asked yet.
    pub lag: Option<Duration>,
    /// How long it takes to answer, if that was measured.
    pub latency: Option<Duration>,
    /// Why it is not read from, if it is not.
    pub why_not: Option<String>,
}

impl Reader {
    fn new(node: NodeAddress, moves: Arc<Moves>) -> Reader {
        Reader {
            node,
            left_at: AtomicInstant::default(),
            moves,
            asked_at: AtomicInstant::default(),
            aside_until: AtomicInstant::default(),
            failures: AtomicU32::new(0),
            lag: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            why_unfit: Mutex::default(),
        }
    }

    /// The node.
    pub fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Whether it has to be asked for its standing before it is read from.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        let asked_at = self.asked_at.get();
        asked_at == Instant::default() || now.since(asked_at) >= ASK_EVERY
    }

    /// Whether a read may go to it, or at least ask it whether it may.
    #[inline]
    pub fn is_likely(&self, now: Instant, max_lag: Duration) -> bool {
        self.aside_until.get() <= now && (self.is_fit(max_lag) || self.is_due(now))
    }

    /// Whether it may be read from, by what it said last.
    #[inline]
    pub fn is_fit(&self, max_lag: Duration) -> bool {
        let lag = self.lag.load(Ordering::Acquire);
        lag != UNFIT && u128::from(lag) <= max_lag.as_nanos()
    }

    /// Whether it was not asked for so long that what was measured says nothing any more.
    #[inline]
    pub fn is_unmeasured(&self, now: Instant) -> bool {
        now.since(self.asked_at.get()) >= MEASURED_FOR
    }

    /// How long it takes to answer; zero while that was not measured.
    #[inline]
    pub fn latency(&self) -> Duration {
        Duration::from_nanos(self.latency.load(Ordering::Relaxed))
    }

    /// Learns its standing. It answered, so whatever it failed before is over.
    pub fn told(&self, standing: Standing, now: Instant) {
        let (lag, why) = match standing {
            Standing::Behind(lag) => (u64::try_from(lag.as_nanos()).unwrap_or(UNFIT - 1).min(UNFIT - 1), None),
            Standing::Unfit(why) => (UNFIT, Some(why.to_owned())),
        };
        match &why {
            Some(why) => self.leave(why, now),
            None => self.restore(now),
        }
        *self.why_unfit.lock() = why;
        self.lag.store(lag, Ordering::Release);
        self.asked_at.set(now);
        self.failures.store(0, Ordering::Relaxed);
        self.aside_until.set(Instant::default());
    }

    /// Learns how long an answer took.
    pub fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let before = self.latency.load(Ordering::Relaxed);
        // A quicker answer counts in full: nothing but the distance makes an answer quick.
        let smoothed = if before == 0 || time < before { time } else { before - before / 4 + time / 4 };
        self.latency.store(smoothed.max(1), Ordering::Relaxed);
    }

    /// Puts it aside for a while because it failed a read, longer from time to time. It is asked before it is read from
    /// again.
    pub fn put_aside(&self, why: String, now: Instant) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(16);
        self.leave(&why, now);
        *self.why_unfit.lock() = Some(why);
        self.asked_at.set(Instant::default());
        self.aside_until.set(now + (ASIDE * (1 << failures)).min(ASIDE_MOST));
    }

    fn leave(&self, why: &str, now: Instant) {
        if self.left_at.get() == Instant::default() {
            self.left_at.set(now);
            self.moves.note(Move::Left(self.node.clone(), why.to_owned()));
        }
    }

    fn restore(&self, now: Instant) {
        let left_at = self.left_at.get();
        if left_at != Instant::default() {
            self.left_at.set(Instant::default());
            self.moves.note(Move::Restored(self.node.clone(), now.since(left_at)));
        }
    }

    fn status(&self, now: Instant) -> ReaderStatus {
        let lag = self.lag.load(Ordering::Acquire);
        let asked = self.asked_at.get() != Instant::default();
        let latency = self.latency();
        let aside = self.aside_until.get() > now || lag == UNFIT;
        ReaderStatus {
            node: self.node.clone(),
            lag: (asked && lag != UNFIT).then(|| Duration::from_nanos(lag)),
            latency: (!latency.is_zero()).then_some(latency),
            why_not: self.why_unfit.lock().clone().filter(|_| aside),
        }
    }
}

/// All nodes that reads may go to.
#[derive(Debug, Default)]
pub struct Readers {
    /// Counts the changes of who they are; zero before they were looked for.
    version: AtomicU64,
    renewed_at: AtomicInstant,
    turn: AtomicUsize,
    nodes: Mutex<Vec<Arc<Reader>>>,
    names: Mutex<HashMap<NodeAddress, Vec<NodeAddress>>>,
    moves: Arc<Moves>,
}

impl Readers {
    /// Counts the changes of who they are; zero before they were looked for.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether it is time to look who they are.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        self.version() == 0 || now.since(self.renewed_at.get()) >= RENEW_EVERY
    }

    /// Says that somebody looks now, so that the others go on with what is known.
    pub fn looking(&self, now: Instant) {
        self.renewed_at.set(now);
    }

    /// Whose turn it is, so that reads are spread also where each is sent by another object.
    #[inline]
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether something has changed that nobody was told of.
    #[inline]
    pub fn has_moves(&self) -> bool {
        self.moves.any()
    }

    /// Takes what has changed.
    pub fn take_moves(&self) -> Vec<Move> {
        self.moves.take()
    }

    /// The nodes.
    pub fn nodes(&self) -> Vec<Arc<Reader>> {
        self.nodes.lock().clone()
    }

    /// Where a name led to when it was last resolved.
    pub fn behind(&self, name: &NodeAddress) -> Option<Vec<NodeAddress>> {
        self.names.lock().get(name).cloned()
    }

    /// Learns where a name leads to.
    pub fn resolved(&self, name: NodeAddress, nodes: Vec<NodeAddress>) {
        self.names.lock().insert(name, nodes);
    }

    /// Says who they are. What is known of those that stay is kept.
    pub fn renew(&self, mut wanted: Vec<NodeAddress>) {
        wanted.sort();
        wanted.dedup();
        let mut nodes = self.nodes.lock();
        if self.version() == 0 {
            // Not all processes of a host should begin with the same node.
            let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
            self.turn.store(usize::try_from(seed % 1024).unwrap_or(0), Ordering::Relaxed);
        } else if nodes.iter().map(|reader| &reader.node).eq(&wanted) {
            return;
        } else {
            let former: Vec<NodeAddress> = nodes.iter().map(|reader| reader.node.clone()).collect();
            let added = wanted.iter().filter(|node| !former.contains(node)).cloned().collect();
            let removed = former.iter().filter(|node| !wanted.contains(node)).cloned().collect();
            self.moves.note(Move::Changed(added, removed));
        }
        let known = std::mem::take(&mut *nodes);
        let known = |node: &NodeAddress| known.iter().find(|reader| reader.node == *node).cloned();
        *nodes = wanted
            .iter()
            .map(|node| known(node).unwrap_or_else(|| Arc::new(Reader::new(node.clone(), self.moves.clone()))))
            .collect();
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// What is known of them, for `topology()`.
    pub fn status(&self, now: Instant) -> Vec<ReaderStatus> {
        self.nodes.lock().iter().map(|reader| reader.status(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Instant {
        Instant::of_nanos(1_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn a_node_is_put_aside_for_longer_from_time_to_time_and_asked_when_it_is_back() {
        let reader = Reader::new(NodeAddress::tcp("r", 1), Arc::default());
        reader.told(Standing::Behind(Duration::ZERO), at(0));
        assert!(reader.is_likely(at(1), LAG) && !reader.is_due(at(1)));
        reader.put_aside("gone".into(), at(1));
        assert!(!reader.is_likely(at(250), LAG) && reader.is_likely(at(251), LAG) && reader.is_due(at(251)));
        reader.put_aside("gone".into(), at(300));
        assert!(!reader.is_likely(at(799), LAG) && reader.is_likely(at(800), LAG));
        reader.told(Standing::Behind(Duration::ZERO), at(900));
        reader.put_aside("gone".into(), at(1000));
        assert!(reader.is_likely(at(1250), LAG), "an answer makes up for what was");
    }

    #[test]
    fn a_node_that_was_slow_once_is_measured_anew_and_a_quick_answer_makes_up_for_it() {
        let reader = Reader::new(NodeAddress::tcp("r", 1), Arc::default());
        reader.took(Duration::from_millis(50));
        reader.told(Standing::Behind(Duration::ZERO), at(0));
        assert!(!reader.is_unmeasured(at(9_999)) && reader.is_unmeasured(at(10_000)));
        reader.took(Duration::from_millis(1));
        assert_eq!(reader.latency(), Duration::from_millis(1));
    }

    #[test]
    fn a_node_that_lags_is_left_out_until_it_is_time_to_ask_it_again() {
        let reader = Reader::new(NodeAddress::tcp("r", 1), Arc::default());
        reader.told(Standing::Behind(Duration::from_secs(11)), at(0));
        assert!(!reader.is_likely(at(1999), LAG) && reader.is_likely(at(2000), LAG));
        assert!(reader.is_likely(at(1), LAG * 2), "another client may be content with it");
        reader.told(Standing::Unfit("disconnected"), at(0));
        assert!(!reader.is_likely(at(1), Duration::MAX));
    }

    #[test]
    fn what_is_known_of_a_node_survives_that_others_come_and_go() {
        let readers = Readers::default();
        let node = |port| NodeAddress::tcp("r", port);
        readers.renew(vec![node(2), node(1), node(2)]);
        readers.nodes()[0].took(Duration::from_millis(1));
        let version = readers.version();
        readers.renew(vec![node(1), node(2)]);
        assert_eq!(readers.version(), version, "nothing has changed");
        readers.renew(vec![node(1), node(3)]);
        assert_ne!(readers.version(), version);
        let status = readers.status(at(0));
        assert_eq!(status.iter().map(|one| &one.node).collect::<Vec<_>>(), [&node(1), &node(3)]);
        assert_eq!(status[0].latency, Some(Duration::from_millis(1)));
    }
}
