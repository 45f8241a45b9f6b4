//! Chance for tests that try very many cases: the same seed makes the same case.
//!
//! Each test has a number of cases that it runs by itself. `SEED=n` runs the case of that seed alone, and `MINUTES=n` goes
//! on with seeds that depend on the time until it is over (`make fuzz`). Whatever fails names its seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// No case works for longer: it hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// A small generator of numbers.
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub fn of(seed: u64) -> Dice {
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        usize::try_from((self.next() >> 11) % sides as u64).unwrap_or(0)
    }

    /// Whether something comes that comes once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of some things.
    pub fn pick<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }
}

/// Names the seed of a case that fails.
struct Case(u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this case again: SEED={}", self.0);
        }
    }
}

/// Runs a case for each of `count` seeds, or for those that the environment wants.
pub fn cases(count: u64, mut case: impl FnMut(&mut Dice)) {
    let wanted = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().expect("a number"));
    let begun = Instant::now();
    let (first, last, until) = match (std::env::var("SEED").ok(), wanted("MINUTES")) {
        (Some(seed), _) => {
            let seed = seed.parse().expect("SEED is a number");
            (seed, seed, None)
        }
        (None, Some(minutes)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (now.as_secs() << 20, u64::MAX, Some(Duration::from_secs_f64(minutes * 60.0)))
        }
        (None, None) => (1, count, None),
    };
    let watch = Watch::begin();
    let mut seed = first;
    while seed <= last && until.is_none_or(|until| begun.elapsed() < until) {
        let _named = Case(seed);
        watch.at(seed);
        case(&mut Dice::of(seed));
        seed += 1;
    }
    if until.is_some() {
        println!("{} cases, seeds {first} to {}", seed - first, seed - 1);
    }
}

/// Ends the process when a case hangs: nothing else would say which one.
struct Watch {
    seed: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn begin() -> Watch {
        let watch = Watch { seed: Arc::default(), over: Arc::default() };
        let (seed, over) = (watch.seed.clone(), watch.over.clone());
        std::thread::spawn(move || {
            let (mut seen, mut since) = (0, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let now = seed.load(Ordering::Relaxed);
                if now != seen {
                    (seen, since) = (now, Instant::now());
                } else if since.elapsed() > LONGEST {
                    eprintln!("this case hangs: SEED={seen}");
                    std::process::abort();
                }
            }
        });
        watch
    }

    fn at(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
