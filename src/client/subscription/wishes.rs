//! What is subscribed to, and what was asked of the server and is not answered yet.
//!
//! Answers come in the order of the requests, with messages in between. A connection can be lost at any point of that:
//! what is kept here is enough to put another one into the same state, and to go on as if nothing had happened.

use std::collections::{BTreeSet, VecDeque};

/// What a subscription names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Channels.
    Channels,
    /// Patterns of channels.
    Patterns,
    /// Sharded channels.
    Shards,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 3] = [Sort::Channels, Sort::Patterns, Sort::Shards];
}

/// What can be asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Messages from now on.
    Subscribe(Sort),
    /// No more messages.
    Unsubscribe(Sort),
    /// A sign of life.
    Ping,
    /// All commands that the server executes.
    Monitor,
}

impl Verb {
    /// The command.
    pub fn command(self) -> &'static str {
        match self {
            Verb::Subscribe(Sort::Channels) => "SUBSCRIBE",
            Verb::Subscribe(Sort::Patterns) => "PSUBSCRIBE",
            Verb::Subscribe(Sort::Shards) => "SSUBSCRIBE",
            Verb::Unsubscribe(Sort::Channels) => "UNSUBSCRIBE",
            Verb::Unsubscribe(Sort::Patterns) => "PUNSUBSCRIBE",
            Verb::Unsubscribe(Sort::Shards) => "SUNSUBSCRIBE",
            Verb::Ping => "PING",
            Verb::Monitor => "MONITOR",
        }
    }

    /// What an answer of this kind answers; `None` for a message.
    fn of_kind(kind: &[u8]) -> Option<Verb> {
        match kind {
            b"subscribe" => Some(Verb::Subscribe(Sort::Channels)),
            b"psubscribe" => Some(Verb::Subscribe(Sort::Patterns)),
            b"ssubscribe" => Some(Verb::Subscribe(Sort::Shards)),
            b"unsubscribe" => Some(Verb::Unsubscribe(Sort::Channels)),
            b"punsubscribe" => Some(Verb::Unsubscribe(Sort::Patterns)),
            b"sunsubscribe" => Some(Verb::Unsubscribe(Sort::Shards)),
            b"pong" => Some(Verb::Ping),
            _ => None,
        }
    }
}

/// One request. Each of its words, or the request itself if it has none, is answered by itself.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// What for: without those that were answered already.
    pub words: VecDeque<Vec<u8>>,
    /// Whether it is ours, so that nobody waits for its answer.
    silent: bool,
    sent: bool,
}

/// Who an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// The program.
    Program,
    /// Us alone.
    House,
}

/// What is subscribed to, and what is asked.
#[derive(Debug, Default)]
pub struct Wishes {
    kept: [BTreeSet<Vec<u8>>; 3],
    monitors: bool,
    asked: VecDeque<Request>,
}

impl Wishes {
    /// Asks something of the server on behalf of the program.
    pub fn ask(&mut self, verb: Verb, words: Vec<Vec<u8>>) {
        let words = match verb {
            // Whatever is subscribed to once this request's turn comes.
            Verb::Unsubscribe(sort) if words.is_empty() => self.foreseen(sort).into_iter().collect(),
            Verb::Monitor => {
                self.monitors = true;
                Vec::new()
            }
            _ => words,
        };
        let silent = verb == Verb::Monitor;
        self.asked.push_back(Request { verb, words: words.into(), silent, sent: false });
    }

    /// Asks for a sign of life that nobody waits for but us.
    pub fn ask_silently(&mut self, words: &[&[u8]]) {
        let words = words.iter().map(|word| word.to_vec()).collect();
        self.asked.push_back(Request { verb: Verb::Ping, words, silent: true, sent: false });
    }

    fn foreseen(&self, sort: Sort) -> BTreeSet<Vec<u8>> {
        let mut set = self.kept[sort as usize].clone();
        for request in &self.asked {
            match request.verb {
                Verb::Subscribe(of) if of == sort => set.extend(request.words.iter().cloned()),
                Verb::Unsubscribe(of) if of == sort => request.words.iter().for_each(|word| {
                    set.remove(word);
                }),
                _ => {}
            }
        }
        set
    }

    /// A channel of those that are subscribed to at a shard, if any is.
    pub fn sharded(&self) -> Option<Vec<u8>> {
        self.foreseen(Sort::Shards).first().map(|channel| channel.to_vec())
    }

    /// The next request that is not sent yet; it counts as sent from now on.
    pub fn next_to_send(&mut self) -> Option<&Request> {
        let request = self.asked.iter_mut().find(|request| !request.sent)?;
        request.sent = true;
        Some(request)
    }

    /// Takes what came: an answer, by its kind and what it is about, or a message. Of a reply that is no list the kind
    /// is not given: then it answers what was asked first.
    pub fn hear(&mut self, kind: Option<&[u8]>, subject: Option<&[u8]>) -> Addressee {
        let verb = match kind {
            Some(kind) => Verb::of_kind(kind),
            None => self.asked.front().map(|request| request.verb),
        };
        match (verb, subject) {
            (Some(Verb::Subscribe(sort)), Some(subject)) => {
                self.kept[sort as usize].insert(subject.to_vec());
            }
            (Some(Verb::Unsubscribe(sort)), Some(subject)) => {
                self.kept[sort as usize].remove(subject);
            }
            _ => {}
        }
        let Some(first) = self.asked.front_mut().filter(|first| Some(first.verb) == verb && first.sent) else {
            // A message, or a channel that the server took away by itself.
            return Addressee::Program;
        };
        let silent = first.silent;
        first.words.pop_front();
        if first.words.is_empty() {
            self.asked.pop_front();
        }
        if silent { Addressee::House } else { Addressee::Program }
    }

    /// The server refused what was asked first. Gives what it was; true if it was our own request.
    pub fn refused(&mut self) -> Option<(Verb, bool)> {
        self.asked.pop_front().map(|request| (request.verb, request.silent))
    }

    /// Everything has to be asked anew, on another connection: what was subscribed to first, and what was not answered
    /// behind it.
    pub fn start_over(&mut self) {
        self.asked.retain(|request| !request.silent);
        self.asked.iter_mut().for_each(|request| request.sent = false);
        for sort in Sort::ALL.into_iter().rev().filter(|sort| !self.kept[*sort as usize].is_empty()) {
            let words = self.kept[sort as usize].iter().cloned().collect();
            self.asked.push_front(Request { verb: Verb::Subscribe(sort), words, silent: true, sent: false });
        }
        if self.monitors {
            self.asked.push_front(Request { verb: Verb::Monitor, words: VecDeque::new(), silent: true, sent: false });
        }
    }

    /// Whether all commands of the server are wanted.
    pub fn monitors(&self) -> bool {
        self.monitors
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Wishes::default();
    }

    /// Whether answers are owed.
    pub fn is_owed(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether the program is subscribed to something of this sort, or will be.
    pub fn has(&self, sort: Sort) -> bool {
        !self.foreseen(sort).is_empty()
    }

    /// How many subscriptions there are.
    pub fn count(&self) -> usize {
        self.kept.iter().map(BTreeSet::len).sum()
    }

    /// Whether anything can come that the program waits for.
    pub fn is_any(&self) -> bool {
        self.monitors || self.count() > 0 || self.asked.iter().any(|request| !request.silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSCRIBE: Verb = Verb::Subscribe(Sort::Channels);
    const UNSUBSCRIBE: Verb = Verb::Unsubscribe(Sort::Channels);

    fn words(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    /// What would be sent now.
    fn sent(wishes: &mut Wishes) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(request) = wishes.next_to_send() {
            let words = request.words.iter().map(|word| format!(" {}", String::from_utf8_lossy(word)));
            all.push(format!("{}{}", request.verb.command(), words.collect::<String>()));
        }
        all
    }

    fn hear(wishes: &mut Wishes, kind: &str, subject: &str) -> Addressee {
        wishes.hear(Some(kind.as_bytes()), Some(subject.as_bytes()))
    }

    #[test]
    fn what_was_confirmed_is_asked_for_silently_and_what_was_not_is_asked_for_again() {
        let mut wishes = Wishes::default();
        wishes.ask(SUBSCRIBE, words(&["a", "b"]));
        wishes.ask(Verb::Subscribe(Sort::Patterns), words(&["p*"]));
        assert_eq!(sent(&mut wishes), ["SUBSCRIBE a b", "PSUBSCRIBE p*"]);
        assert_eq!(hear(&mut wishes, "subscribe", "a"), Addressee::Program);
        assert_eq!(hear(&mut wishes, "message", "a"), Addressee::Program);
        wishes.start_over();
        assert_eq!(sent(&mut wishes), ["SUBSCRIBE a", "SUBSCRIBE b", "PSUBSCRIBE p*"]);
        assert_eq!(hear(&mut wishes, "subscribe", "a"), Addressee::House);
        assert_eq!(hear(&mut wishes, "subscribe", "b"), Addressee::Program);
        assert_eq!(hear(&mut wishes, "psubscribe", "p*"), Addressee::Program);
        assert!(!wishes.is_owed() && wishes.count() == 3, "{wishes:?}");
    }

    #[test]
    fn a_farewell_that_was_not_confirmed_is_said_again_on_the_next_connection() {
        let mut wishes = Wishes::default();
        wishes.ask(SUBSCRIBE, words(&["a", "b"]));
        sent(&mut wishes);
        hear(&mut wishes, "subscribe", "a");
        hear(&mut wishes, "subscribe", "b");
        wishes.ask(UNSUBSCRIBE, Vec::new());
        assert_eq!(sent(&mut wishes), ["UNSUBSCRIBE a b"]);
        assert_eq!(hear(&mut wishes, "unsubscribe", "a"), Addressee::Program);
        wishes.start_over();
        assert_eq!(sent(&mut wishes), ["SUBSCRIBE b", "UNSUBSCRIBE b"]);
        assert_eq!(hear(&mut wishes, "subscribe", "b"), Addressee::House);
        assert!(wishes.is_any());
        assert_eq!(hear(&mut wishes, "unsubscribe", "b"), Addressee::Program);
        assert!(!wishes.is_any(), "{wishes:?}");
    }

    #[test]
    fn to_unsubscribe_from_nothing_is_answered_once() {
        let mut wishes = Wishes::default();
        wishes.ask(UNSUBSCRIBE, Vec::new());
        assert_eq!(sent(&mut wishes), ["UNSUBSCRIBE"]);
        assert_eq!(wishes.hear(Some(b"unsubscribe"), None), Addressee::Program);
        assert!(!wishes.is_owed());
    }

    #[test]
    fn a_sign_of_life_of_ours_is_told_from_one_of_the_program() {
        let mut wishes = Wishes::default();
        wishes.ask_silently(&[]);
        wishes.ask(Verb::Ping, words(&["x"]));
        assert_eq!(sent(&mut wishes), ["PING", "PING x"]);
        assert_eq!(wishes.hear(None, None), Addressee::House);
        assert_eq!(hear(&mut wishes, "pong", "x"), Addressee::Program);
    }

    #[test]
    fn a_channel_that_the_server_takes_away_is_told_of_and_not_asked_for_again() {
        let mut wishes = Wishes::default();
        wishes.ask(Verb::Subscribe(Sort::Shards), words(&["a", "b"]));
        sent(&mut wishes);
        hear(&mut wishes, "ssubscribe", "a");
        hear(&mut wishes, "ssubscribe", "b");
        assert_eq!(hear(&mut wishes, "sunsubscribe", "a"), Addressee::Program);
        wishes.start_over();
        assert_eq!(sent(&mut wishes), ["SSUBSCRIBE b"]);
    }

    #[test]
    fn a_refused_request_is_not_asked_again() {
        let mut wishes = Wishes::default();
        wishes.ask(SUBSCRIBE, words(&["secret"]));
        sent(&mut wishes);
        assert_eq!(wishes.refused(), Some((SUBSCRIBE, false)));
        assert!(!wishes.is_any());
    }
}
