//! Events: state changes that a listener may want to know, kept until they can be delivered.
//!
//! An event is a name and named details. The table below is the only place that knows all of them: it makes each
//! event's constructor and the list that the documentation is checked against.

use std::collections::VecDeque;
use std::time::Duration;

/// What a detail says.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Nobody knows: null in PHP.
    Unknown,
    /// A text, such as a node or a cause.
    Text(String),
    /// A duration: seconds as a float in PHP.
    Time(Duration),
    /// A number of things.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// Several texts: a list in PHP.
    Texts(Vec<String>),
}

/// A state change.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    name: &'static str,
    details: Vec<(&'static str, Detail)>,
}

macro_rules! events {
    ($($(#[doc = $text:literal])+ $constructor:ident = $name:literal ($($detail:ident: $kind:ty),*);)*) => {
        impl Event {
            $(
                $(#[doc = $text])+
                pub fn $constructor($($detail: $kind),*) -> Event {
                    Event { name: $name, details: vec![$((stringify!($detail), Detail::from($detail))),*] }
                }
            )*
        }

        /// Every event with its details, without those of [`Event::with_toll`].
        pub const EVENTS: &[(&str, &[&str])] = &[$(($name, &[$(stringify!($detail)),*])),*];
    };
}

events! {
    /// The primary was lost or refused writes, and the search for the promoted one began.
    failover_started = "failover.started" (node: Option<String>, cause: String);
    /// A primary was found; `promoted` if it is another node than before.
    failover_completed = "failover.completed"
        (from: Option<String>, to: String, cause: String, duration: Duration, promoted: bool);
    /// A connection was lost under a command, and another one to the same primary took its place.
    connection_replaced = "connection.replaced" (node: String, cause: String, duration: Duration);
    /// A server refused a command because of its state; the command waits.
    server_unready = "server.unready" (node: Option<String>, cause: String);
    /// The deadline passed before a primary was found.
    failover_failed = "failover.failed" (node: Option<String>, cause: String, duration: Duration);
    /// Nobody could be reached for so long that commands fail at once from now on.
    breaker_opened = "breaker.opened" (node: Option<String>, cause: String, duration: Duration);
    /// A primary can be reached again: `duration` after the trouble began.
    breaker_closed = "breaker.closed" (node: Option<String>, duration: Duration);
    /// The primary may be the old half of a split brain: before the next write one looks whether another was promoted.
    primary_suspected = "primary.suspected" (node: String, missing: Vec<String>, cause: String);
    /// A node is not read from for the time being.
    replica_left = "replica.left" (node: String, cause: String);
    /// A node that was not read from is read from again, `duration` after it was left.
    replica_restored = "replica.restored" (node: String, duration: Duration);
    /// A subscription goes on on another connection, `duration` after the last one was lost. Since nobody knows when
    /// that was, what was published within the last `missed` may not have come.
    resubscribed = "pubsub.resubscribed"
        (node: String, cause: String, duration: Duration, missed: Duration, subscriptions: u64);
    /// Other nodes than before may be read from.
    replicas_changed = "replicas.changed" (added: Vec<String>, removed: Vec<String>);
}

/// What a disturbance has cost the commands of this process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// How many had to wait for a primary.
    pub waited: u64,
    /// How many attempts were made again.
    pub retried: u64,
    /// How many ended without anybody knowing whether they were applied.
    pub unknown: u64,
}

impl Event {
    /// The details that [`Event::with_toll`] adds.
    pub const TOLL: &[&str] = &["outage", "waited", "retried", "unknown"];

    /// The event's name for listeners.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The details in the order in which listeners get them.
    pub fn details(&self) -> &[(&'static str, Detail)] {
        &self.details
    }

    /// A detail by its name.
    pub fn detail(&self, name: &str) -> Option<&Detail> {
        self.details.iter().find(|(known, _)| *known == name).map(|(_, detail)| detail)
    }

    /// Whether it ends a disturbance, so that what that cost belongs to it; false if the disturbance goes on. `None` if it
    /// does not, or has been told what that cost.
    pub fn ends_disturbance(&self) -> Option<bool> {
        match self.name {
            _ if self.detail(Event::TOLL[0]).is_some() => None,
            "failover.completed" | "connection.replaced" => Some(true),
            "failover.failed" => Some(false),
            _ => None,
        }
    }

    /// The event with what its disturbance has cost: `outage` is how long ago the first command met it.
    #[must_use]
    pub fn with_toll(mut self, outage: Duration, toll: Toll) -> Event {
        let values = [
            Detail::Time(outage),
            Detail::Count(toll.waited),
            Detail::Count(toll.retried),
            Detail::Count(toll.unknown),
        ];
        self.details.extend(Event::TOLL.iter().copied().zip(values));
        self
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Detail {
        Detail::Text(text)
    }
}

impl From<Option<String>> for Detail {
    fn from(text: Option<String>) -> Detail {
        text.map_or(Detail::Unknown, Detail::Text)
    }
}

impl From<Duration> for Detail {
    fn from(time: Duration) -> Detail {
        Detail::Time(time)
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Detail {
        Detail::Count(number)
    }
}

impl From<bool> for Detail {
    fn from(flag: bool) -> Detail {
        Detail::Flag(flag)
    }
}

impl From<Vec<String>> for Detail {
    fn from(texts: Vec<String>) -> Detail {
        Detail::Texts(texts)
    }
}

/// Events that wait for delivery. When nobody takes them the oldest go.
#[derive(Debug, Default)]
pub struct EventQueue {
    waiting: VecDeque<Event>,
}

impl EventQueue {
    const CAPACITY: usize = 64;

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        if self.waiting.len() == Self::CAPACITY {
            self.waiting.pop_front();
        }
        self.waiting.push_back(event);
    }

    /// Adds an event, if there is one.
    pub fn extend(&mut self, event: Option<Event>) {
        event.into_iter().for_each(|event| self.push(event));
    }

    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_event() {
        let mut queue = EventQueue::default();
        for number in 0..=EventQueue::CAPACITY {
            queue.push(Event::failover_started(None, number.to_string()));
        }
        assert_eq!(queue.pop(), Some(Event::failover_started(None, "1".into())));
        assert_eq!(queue.waiting.len(), EventQueue::CAPACITY - 1);
    }

    #[test]
    fn an_event_tells_its_details_by_name_and_in_order() {
        let event = Event::failover_failed(None, "refused".into(), Duration::from_secs(2));
        let event = event.with_toll(Duration::from_secs(3), Toll { waited: 2, retried: 4, unknown: 1 });
        let names: Vec<&str> = event.details().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["node", "cause", "duration", "outage", "waited", "retried", "unknown"]);
        assert_eq!(event.detail("node"), Some(&Detail::Unknown));
        assert_eq!(event.detail("cause"), Some(&Detail::Text("refused".into())));
        assert_eq!(event.detail("retried"), Some(&Detail::Count(4)));
        assert_eq!(event.detail("nonsense"), None);
    }

    #[test]
    fn the_documentation_has_a_row_for_every_event_with_its_details() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/failover.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (name, details) in EVENTS {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/failover.md has no row for {name}"));
            for detail in *details {
                assert!(row.contains(&format!("`{detail}`")), "the row of {name} says nothing of `{detail}`: {row}");
            }
        }
        for detail in Event::TOLL {
            assert!(text.contains(&format!("`{detail}`")), "docs/failover.md says nothing of `{detail}`");
        }
    }
}
