//! Keys that endpoints have lent, kept for the process until shortly before they expire.
//!
//! The lock is held for no wait and is not waited for: where it is taken, an endpoint is asked once more. So a child that
//! was forked while another thread held it loses nothing but that.

use std::time::Duration;

use parking_lot::Mutex;

use crate::time::{Clock, Instant};

use super::Keys;
use super::error::Fault;

/// How long before their end keys are asked for anew. New ones are there by then: AWS promises five minutes.
const EARLY: Duration = Duration::from_secs(300);

/// How long an endpoint is left alone in that time, while the keys at hand are still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long an endpoint is left alone that has just failed, where there are no keys.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Keys that end sooner are not used: the server has yet to verify what is signed with them.
const LAST: Duration = Duration::from_secs(10);

/// How many endpoints are remembered. A process has one, or two.
const MOST: usize = 8;

/// What the endpoints gave.
#[derive(Debug)]
pub struct Cache(Mutex<Vec<Entry>>);

#[derive(Clone, Debug)]
struct Entry {
    place: String,
    asked: Instant,
    keys: Option<Keys>,
    fault: Option<Fault>,
}

/// What this process knows.
pub static OF_PROCESS: Cache = Cache::new();

impl Cache {
    /// An empty one.
    pub const fn new() -> Cache {
        Cache(Mutex::new(Vec::new()))
    }

    /// The keys that `place` has lent, or what `ask` brings from there.
    ///
    /// # Errors
    /// What `ask` failed with, now or within the last second; or the keys that it brought have expired.
    pub fn through(
        &self,
        place: &str,
        clock: &dyn Clock,
        ask: impl FnOnce() -> Result<Keys, Fault>,
    ) -> Result<Keys, Fault> {
        let known = self.0.try_lock().and_then(|entries| entries.iter().find(|entry| entry.place == place).cloned());
        let left = |keys: &Keys| keys.expires.map_or(Duration::ZERO, |end| end.since(clock.wall()));
        let since = known.as_ref().map(|entry| clock.now().since(entry.asked));
        let kept = known.as_ref().and_then(|entry| entry.keys.clone()).filter(|keys| left(keys) > LAST);
        if let Some(keys) = &kept
            && (left(keys) > EARLY || since.is_some_and(|since| since < PAUSE))
        {
            return Ok(keys.clone());
        }
        if let Some(fault) = known.and_then(|entry| entry.fault)
            && kept.is_none()
            && since.is_some_and(|since| since < AFTER_FAILURE)
        {
            return Err(fault);
        }
        let brought = ask().and_then(|keys| {
            if keys.expires.is_some() && left(&keys) <= LAST {
                return Err(Fault::Failed("the keys that are lent there have expired".to_owned()));
            }
            Ok(keys)
        });
        let (keys, fault) = match &brought {
            Ok(keys) => (Some(keys.clone()), None),
            Err(fault) => (kept.clone(), Some(fault.clone())),
        };
        self.keep(Entry { place: place.to_owned(), asked: clock.now(), keys, fault });
        brought.or_else(|fault| kept.ok_or(fault))
    }

    fn keep(&self, entry: Entry) {
        if let Some(mut entries) = self.0.try_lock() {
            entries.retain(|known| known.place != entry.place);
            if entries.len() == MOST {
                entries.remove(0);
            }
            entries.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use crate::config::Secret;
    use crate::time::{FakeClock, Wall};

    use super::*;

    const HOUR: u64 = 3600;

    struct Stage {
        cache: Cache,
        clock: Arc<FakeClock>,
        asked: Cell<u32>,
    }

    impl Stage {
        fn new() -> Stage {
            Stage { cache: Cache::new(), clock: Arc::new(FakeClock::default()), asked: Cell::new(0) }
        }

        /// Asks; the endpoint would lend keys for so many seconds, or fail.
        fn ask(&self, seconds: Option<u64>) -> Result<String, Fault> {
            let brought = || {
                self.asked.set(self.asked.get() + 1);
                let seconds = seconds.ok_or_else(|| Fault::Failed("down".to_owned()))?;
                let expires = Some(self.clock.wall().later_by(Duration::from_secs(seconds)));
                let id = format!("key {}", self.asked.get());
                Ok(Keys { id, secret: Secret::new("hidden"), session: None, expires })
            };
            self.cache.through("http://place", &self.clock, brought).map(|keys| keys.id)
        }

        fn pass(&self, seconds: u64) {
            self.clock.advance(Duration::from_secs(seconds));
        }
    }

    #[test]
    fn keys_are_asked_for_once_until_five_minutes_before_their_end() {
        let stage = Stage::new();
        for _ in 0..3 {
            assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 1"));
            stage.pass(1099);
        }
        stage.pass(3);
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 2"));
        assert_eq!(stage.asked.get(), 2);
    }

    #[test]
    fn keys_go_on_being_used_while_an_endpoint_is_down_but_not_past_their_end() {
        let stage = Stage::new();
        stage.ask(Some(HOUR)).unwrap();
        stage.pass(HOUR - 200);
        assert_eq!(stage.ask(None).as_deref(), Ok("key 1"));
        assert_eq!(stage.ask(None).as_deref(), Ok("key 1"));
        assert_eq!(stage.asked.get(), 2, "it is not asked again within half a minute");
        stage.pass(30);
        assert_eq!(stage.ask(None).as_deref(), Ok("key 1"));
        assert_eq!(stage.asked.get(), 3);
        stage.pass(160);
        assert_eq!(stage.ask(None), Err(Fault::Failed("down".to_owned())), "ten seconds before the end");
        stage.pass(HOUR);
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 5"));
    }

    #[test]
    fn time_that_passed_while_the_process_was_frozen_counts() {
        let stage = Stage::new();
        stage.ask(Some(HOUR)).unwrap();
        stage.clock.freeze(Duration::from_secs(HOUR));
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 2"));
    }

    #[test]
    fn an_endpoint_that_fails_is_not_asked_again_within_the_same_second() {
        let stage = Stage::new();
        assert!(stage.ask(None).is_err());
        assert_eq!(stage.ask(Some(HOUR)), Err(Fault::Failed("down".to_owned())));
        assert_eq!(stage.asked.get(), 1);
        stage.pass(1);
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 2"));
    }

    #[test]
    fn keys_that_have_expired_when_they_come_are_a_failure() {
        let stage = Stage::new();
        let fault = stage.ask(Some(5)).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.ends_with("have expired")), "{fault:?}");
    }

    #[test]
    fn keys_without_an_end_are_not_kept() {
        let stage = Stage::new();
        let endless = |id: &str| Keys { id: id.to_owned(), secret: Secret::new("s"), session: None, expires: None };
        for id in ["first", "second"] {
            let keys = stage.cache.through("http://place", &stage.clock, || Ok(endless(id))).unwrap();
            assert_eq!(keys.id, id);
        }
    }

    #[test]
    fn a_lock_that_somebody_holds_is_not_waited_for() {
        let stage = Stage::new();
        let held = stage.cache.0.lock();
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 1"));
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 2"));
        drop(held);
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 3"));
        assert_eq!(stage.ask(Some(HOUR)).as_deref(), Ok("key 3"));
    }

    #[test]
    fn each_place_has_keys_of_its_own_and_few_are_remembered() {
        let (cache, clock) = (Cache::new(), Arc::new(FakeClock::default()));
        let lend = |id: &str| {
            let expires = Some(Wall::of_seconds(HOUR));
            Ok(Keys { id: id.to_owned(), secret: Secret::new("s"), session: None, expires })
        };
        for round in 0..20 {
            let place = format!("http://{round}");
            assert_eq!(cache.through(&place, &clock, || lend(&place)).unwrap().id, place);
        }
        assert_eq!(cache.0.lock().len(), MOST);
        assert_eq!(cache.through("http://19", &clock, || lend("asked")).unwrap().id, "http://19");
        assert_eq!(cache.through("http://0", &clock, || lend("asked")).unwrap().id, "asked");
    }
}
