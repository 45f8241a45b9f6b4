//! What made a connection what it is: commands that leave state on it, and subscriptions. Said again, they make another
//! connection the same.

use std::collections::BTreeSet;

use redis::Value;

use crate::command::Effect;

/// The commands of subscriptions; those with an odd place end what the one before begins.
const SUBSCRIPTIONS: [&str; 6] =
    ["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"];

/// The place of a command, or of the kind of its confirmations, among those of subscriptions.
fn place_of(word: &[u8]) -> Option<usize> {
    SUBSCRIPTIONS.iter().position(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a command is answered by pushes instead of a reply.
pub fn is_subscription(name: &[u8]) -> bool {
    place_of(name).is_some()
}

/// The text at a place of a push.
pub fn text(push: &Value, place: usize) -> Option<&[u8]> {
    match push.as_sequence()?.get(place)? {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Whether a push confirms a subscription, or its end.
pub fn is_confirmation(push: &Value) -> bool {
    text(push, 0).is_some_and(|kind| kind.first().is_some_and(u8::is_ascii_lowercase) && is_subscription(kind))
}

type Words = Vec<Vec<u8>>;

/// What is to be said again.
#[derive(Debug, Default)]
pub struct Said {
    /// Commands, in the order in which they were said first.
    states: Vec<Words>,
    /// Channels, patterns, and sharded channels.
    subscribed: [BTreeSet<Vec<u8>>; 3],
}

impl Said {
    /// Remembers a command that was answered well.
    pub fn note(&mut self, words: &[&[u8]], effect: Effect) {
        if effect != Effect::Pin {
            return;
        }
        let is = |place: usize, word: &str| {
            words.get(place).is_some_and(|given: &&[u8]| given.eq_ignore_ascii_case(word.as_bytes()))
        };
        if is(0, "CLIENT") && is(1, "CACHING") || is(0, "ASKING") {
            // Of the next command alone.
            return;
        }
        let tracks = is_tracking(words);
        if tracks && is(2, "OFF") {
            self.states.retain(|said| !is_tracking(said));
            return;
        }
        // Each CLIENT TRACKING may add prefixes; any other command takes the place of what was said before by its name.
        let names = if is(1, "SETINFO") { 3 } else { 2 }.min(words.len());
        let same = |said: &Words| {
            let count = if tracks { words.len() } else { names };
            (!tracks || said.len() == words.len())
                && said.len() >= count
                && said.iter().zip(words).take(count).all(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        self.states.retain(|said| !same(said));
        self.states.push(words.iter().map(|word| word.to_vec()).collect());
    }

    /// Takes note of a push: what is subscribed to changes when the server says so, and not before.
    pub fn hear(&mut self, push: &Value) {
        let Some(place) = text(push, 0).filter(|_| is_confirmation(push)).and_then(place_of) else { return };
        let Some(subject) = text(push, 1) else { return };
        let set = &mut self.subscribed[place / 2];
        if place % 2 == 0 {
            set.insert(subject.to_vec());
        } else {
            set.remove(subject);
        }
    }

    /// The commands that make another connection the same.
    pub fn commands(&self) -> Vec<Words> {
        let subscriptions = self.subscribed.iter().enumerate().filter(|(_, names)| !names.is_empty());
        let subscriptions = subscriptions.map(|(sort, names)| {
            let command = SUBSCRIPTIONS[sort * 2].to_ascii_uppercase().into_bytes();
            std::iter::once(command).chain(names.iter().cloned()).collect()
        });
        self.states.iter().cloned().chain(subscriptions).collect()
    }

    /// Whether the server tells which keys change.
    pub fn tracks(&self) -> bool {
        self.states.iter().any(|said| is_tracking(said))
    }

    /// How many subscriptions there are, what is tracked among them.
    pub fn count(&self) -> u64 {
        let tracking = self.states.iter().filter(|said| is_tracking(said)).count();
        (self.subscribed.iter().map(BTreeSet::len).sum::<usize>() + tracking) as u64
    }
}

fn is_tracking<W: AsRef<[u8]>>(words: &[W]) -> bool {
    matches!(words, [first, second, ..] if first.as_ref().eq_ignore_ascii_case(b"CLIENT")
        && second.as_ref().eq_ignore_ascii_case(b"TRACKING"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Said {
        let mut said = Said::default();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            said.note(&words, Effect::Pin);
        }
        said
    }

    fn commands(said: &Said) -> Vec<String> {
        let line = |words: &Words| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        said.commands().iter().map(line).collect()
    }

    fn push(kind: &str, subject: &str) -> Value {
        Value::Array(vec![Value::BulkString(kind.into()), Value::BulkString(subject.into()), Value::Int(1)])
    }

    #[test]
    fn what_was_said_last_by_a_name_is_said_again_and_every_tracking_is() {
        let said = said(&[
            "client tracking on bcast prefix a:",
            "client setname one",
            "CLIENT TRACKING ON BCAST PREFIX b:",
            "CLIENT CACHING YES",
            "CLIENT SETNAME two",
            "CLIENT TRACKING ON BCAST PREFIX a:",
            "CLIENT SETINFO LIB-NAME x",
            "CLIENT SETINFO LIB-VER 1",
            "READONLY",
        ]);
        assert_eq!(
            commands(&said),
            [
                "CLIENT TRACKING ON BCAST PREFIX b:",
                "CLIENT SETNAME two",
                "CLIENT TRACKING ON BCAST PREFIX a:",
                "CLIENT SETINFO LIB-NAME x",
                "CLIENT SETINFO LIB-VER 1",
                "READONLY"
            ]
        );
        assert!(said.tracks() && said.count() == 2, "{said:?}");
    }

    #[test]
    fn tracking_that_was_ended_is_not_said_again_nor_a_command_that_leaves_nothing_behind() {
        let mut said = said(&["CLIENT TRACKING ON", "CLIENT NO-EVICT on", "client tracking off"]);
        said.note(&[b"GET", b"k"], Effect::None);
        said.note(&[b"SELECT", b"1"], Effect::Select);
        assert_eq!(commands(&said), ["CLIENT NO-EVICT on"]);
        assert!(!said.tracks() && said.count() == 0, "{said:?}");
    }

    #[test]
    fn subscriptions_are_what_the_server_has_confirmed() {
        let mut said = said(&["CLIENT TRACKING ON"]);
        for (kind, subject) in [
            ("subscribe", "b"),
            ("subscribe", "a"),
            ("psubscribe", "p*"),
            ("ssubscribe", "s"),
            ("message", "a"),
            ("invalidate", "a"),
            ("unsubscribe", "b"),
            ("sunsubscribe", "s"),
        ] {
            said.hear(&push(kind, subject));
        }
        said.hear(&Value::Array(vec![Value::BulkString("unsubscribe".into()), Value::Nil, Value::Int(0)]));
        assert_eq!(commands(&said), ["CLIENT TRACKING ON", "SUBSCRIBE a", "PSUBSCRIBE p*"]);
        assert_eq!(said.count(), 3);
        assert!(is_subscription(b"SUnsubscribe") && !is_subscription(b"PUBLISH"));
    }
}
