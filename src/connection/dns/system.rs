//! Names by the system's own resolver (`getaddrinfo`), which can only wait: in a thread, so that a source that does not
//! answer cannot hold up a deadline.
//!
//! There is at most one thread per name, however often the name is asked for while the system is stuck. Nothing is shared
//! with the thread but the place for its answer, so a fork needs no care: the child forgets it (P8).

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};
use parking_lot::Mutex;

use crate::connection::{Interest, Lookup, Pollable, current_generation};
use crate::time::{Clock, Instant, SystemClock};

use super::route::usable;

/// How long an answer that nobody was there to take may be used.
const FRESH: Duration = Duration::from_secs(5);
/// A server can name many replicas by names.
const MOST_THREADS: usize = 16;
/// How often the thread is looked at: at first, later, and in between a quarter of the time that it has taken so far.
const SOON: Duration = Duration::from_micros(500);
const LATE: Duration = Duration::from_millis(20);

/// What the thread runs.
type Resolve = fn(&str) -> io::Result<Vec<IpAddr>>;

/// The threads of this process that resolve names.
#[derive(Debug)]
pub struct SystemLookups {
    resolve: Resolve,
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    name: String,
    generation: u64,
    outcome: Arc<Outcome>,
}

/// What the system said; its error in parts that can be copied.
type Said = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

#[derive(Debug, Default)]
struct Outcome {
    answer: OnceLock<(Instant, Said)>,
    taken: AtomicBool,
}

/// A name that a thread resolves.
pub struct SystemLookup {
    outcome: Arc<Outcome>,
    since: Option<Instant>,
    due: Option<Instant>,
}

impl Default for SystemLookups {
    fn default() -> SystemLookups {
        SystemLookups { resolve: by_getaddrinfo, running: Mutex::default() }
    }
}

impl SystemLookups {
    /// Begins to resolve a name, or joins the thread that is at it already.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn begin(&self, name: &str) -> io::Result<SystemLookup> {
        let mut running = self.running.lock();
        let (now, generation) = (SystemClock.now(), current_generation());
        running.retain(|thread| thread.generation == generation && thread.outcome.is_of_use(now));
        if let Some(thread) = running.iter().find(|thread| thread.name == name) {
            return Ok(SystemLookup::of(thread.outcome.clone()));
        }
        if running.len() >= MOST_THREADS {
            return Err(io::Error::other("the system's resolver is busy with too many names"));
        }
        let outcome = Arc::new(Outcome::default());
        self.spawn(name.to_owned(), outcome.clone())?;
        running.push(Running { name: name.to_owned(), generation, outcome: outcome.clone() });
        Ok(SystemLookup::of(outcome))
    }

    fn spawn(&self, name: String, outcome: Arc<Outcome>) -> io::Result<()> {
        let resolve = self.resolve;
        // Signals belong to PHP's thread: the helper is born with all of them blocked.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let spawned =
            std::thread::Builder::new().name("resilient-dns".to_owned()).stack_size(256 * 1024).spawn(move || {
                let found = resolve(&name).map_err(|error| (error.kind(), error.to_string()));
                // Nobody else fills it.
                let _ = outcome.answer.set((SystemClock.now(), found));
            });
        let restored = before.thread_set_mask();
        spawned?;
        Ok(restored?)
    }
}

impl Outcome {
    /// Whether it is awaited, or has just come and was not taken by anybody.
    fn is_of_use(&self, now: Instant) -> bool {
        match self.answer.get() {
            None => true,
            Some((at, _)) => !self.taken.load(Ordering::Acquire) && now.since(*at) < FRESH,
        }
    }
}

impl SystemLookup {
    fn of(outcome: Arc<Outcome>) -> SystemLookup {
        SystemLookup { outcome, since: None, due: None }
    }
}

impl Lookup for SystemLookup {
    fn step(&mut self, now: Instant) -> Option<io::Result<Vec<IpAddr>>> {
        if let Some((_, found)) = self.outcome.answer.get() {
            self.outcome.taken.store(true, Ordering::Release);
            let found = found.clone().map(usable);
            return Some(found.map_err(|(kind, text)| io::Error::new(kind, text)));
        }
        let since = *self.since.get_or_insert(now);
        self.due = Some(now + (now.since(since) / 4).clamp(SOON, LATE));
        None
    }

    fn awaited(&self) -> Vec<(&dyn Pollable, Interest)> {
        Vec::new()
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}

fn by_getaddrinfo(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (name, 0_u16).to_socket_addrs()? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// The source of names that the threads of the tests ask: it answers when it is told to.
    static GATE: OnceLock<(SyncSender<()>, Mutex<Receiver<()>>)> = OnceLock::new();

    fn gate() -> &'static (SyncSender<()>, Mutex<Receiver<()>>) {
        GATE.get_or_init(|| {
            let (open, opened) = sync_channel(100);
            (open, Mutex::new(opened))
        })
    }

    fn gated(name: &str) -> io::Result<Vec<IpAddr>> {
        gate().1.lock().recv().map_err(io::Error::other)?;
        if name == "bad" { Err(io::Error::other("no such thing")) } else { Ok(vec!["10.0.0.1".parse().unwrap()]) }
    }

    fn lookups() -> SystemLookups {
        SystemLookups { resolve: gated, running: Mutex::default() }
    }

    fn finish(lookup: &mut SystemLookup) -> io::Result<Vec<IpAddr>> {
        loop {
            if let Some(answer) = lookup.step(SystemClock.now()) {
                return answer;
            }
            std::thread::sleep(lookup.due().unwrap().since(SystemClock.now()));
        }
    }

    #[test]
    fn a_stuck_name_has_one_thread_however_often_it_is_asked_for_and_its_answer_is_used() {
        let lookups = lookups();
        for _ in 0..50 {
            let mut dropped = lookups.begin("stuck").unwrap();
            assert!(dropped.step(SystemClock.now()).is_none());
        }
        assert_eq!(lookups.running.lock().len(), 1);
        let mut joined = lookups.begin("stuck").unwrap();
        gate().0.send(()).unwrap();
        assert_eq!(finish(&mut joined).unwrap().len(), 1);
        // What was taken is used up: the next one asks anew.
        let mut next = lookups.begin("stuck").unwrap();
        assert!(next.step(SystemClock.now()).is_none());
        gate().0.send(()).unwrap();
        finish(&mut next).unwrap();
    }

    #[test]
    fn other_names_have_threads_of_their_own_within_a_bound() {
        let lookups = lookups();
        for index in 0..MOST_THREADS {
            lookups.begin(&format!("name{index}")).unwrap();
        }
        assert!(lookups.begin("one more").is_err());
        for _ in 0..MOST_THREADS {
            gate().0.send(()).unwrap();
        }
    }

    #[test]
    fn the_systems_own_words_are_kept() {
        let lookups = lookups();
        let mut lookup = lookups.begin("bad").unwrap();
        gate().0.send(()).unwrap();
        assert_eq!(finish(&mut lookup).unwrap_err().to_string(), "no such thing");
    }

    #[test]
    fn an_answer_that_nobody_took_is_used_only_while_it_is_fresh() {
        let outcome = Outcome::default();
        let now = SystemClock.now();
        assert!(outcome.is_of_use(now), "awaited");
        outcome.answer.set((now, Ok(Vec::new()))).unwrap();
        assert!(outcome.is_of_use(now + Duration::from_secs(4)));
        assert!(!outcome.is_of_use(now + Duration::from_secs(6)));
        outcome.taken.store(true, Ordering::Release);
        assert!(!outcome.is_of_use(now));
    }

    #[test]
    fn a_forked_child_forgets_the_threads_of_its_parent() {
        let lookups = lookups();
        lookups.begin("forked").unwrap();
        crate::connection::forked();
        lookups.begin("forked").unwrap();
        let generations: Vec<u64> = lookups.running.lock().iter().map(|thread| thread.generation).collect();
        assert_eq!(generations, [current_generation()]);
        gate().0.send(()).unwrap();
        gate().0.send(()).unwrap();
    }

    #[test]
    fn localhost_resolves_by_the_system() {
        let mut lookup = SystemLookups::default().begin("localhost").unwrap();
        let found = finish(&mut lookup).unwrap();
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }
}
