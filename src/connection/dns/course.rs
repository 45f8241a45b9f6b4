//! One name asked of the name servers: whom to ask when, and what the answers come to. Knows no sockets and no bytes.
//!
//! The server of first choice is asked alone. After [`HEDGE`] without an answer all are asked, it too, since a packet may
//! have been lost; after that all again every [`AGAIN`], and nobody any more after `patience`. So one dead name server
//! costs 0.3 s where the C library waits for 5 s, and a server that never answers gets one packet per question at 0 s (if
//! it is the first choice), 0.3 s, 1.3 s, 2.3 s and so on. Whoever says that it cannot answer is passed over at once.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

use super::message::{Kind, Reply};

/// How long the first server is waited for alone. An answer out of a cache takes a few milliseconds.
pub const HEDGE: Duration = Duration::from_millis(300);
/// How often everybody is asked after that.
pub const AGAIN: Duration = Duration::from_secs(1);
/// How long the other question is waited for when one is answered (RFC 8305 has the same for the same reason: there are
/// servers and firewalls that drop questions for IPv6 addresses).
const STRAGGLER: Duration = Duration::from_millis(50);

/// What is to be sent: a question, to the server of this number.
pub type Packet = (usize, Kind);

/// What the answers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The addresses: those of IPv4 first, each family in its server's order.
    Found(Vec<IpAddr>),
    /// The name does not exist.
    NoName,
    /// It exists and has no address.
    NoAddress,
    /// All servers said that they cannot answer; what the last one said.
    Trouble(String),
    /// Nobody answered in time.
    Silence,
}

/// A name on its way through the servers.
pub struct Course {
    questions: Vec<Question>,
    next_round: Instant,
    gives_up: Instant,
    /// When an answer to one question is enough.
    settles: Instant,
    /// When each server was asked for the first time.
    asked: Vec<Instant>,
}

struct Question {
    kind: Kind,
    servers: Vec<Standing>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unasked,
    Awaited,
    Answered,
    Failed,
}

impl Course {
    /// Begins to ask `servers` servers, and says whom first.
    pub fn begin(kinds: &[Kind], servers: usize, patience: Duration, now: Instant) -> (Course, Vec<Packet>) {
        let question = |kind: &Kind| Question { kind: *kind, servers: vec![Standing::Unasked; servers], end: None };
        let mut course = Course {
            questions: kinds.iter().map(question).collect(),
            next_round: now + HEDGE,
            gives_up: now + patience,
            settles: Instant::FAR_FUTURE,
            asked: vec![Instant::FAR_FUTURE; servers],
        };
        let first: Vec<Packet> = course.questions.iter_mut().filter_map(Question::ask_next).collect();
        course.note(&first, now);
        (course, first)
    }

    /// When to call [`Course::turn`] though nothing was heard.
    pub fn due(&self) -> Instant {
        self.next_round.min(self.gives_up).min(self.settles)
    }

    /// Whom to ask because time has passed.
    pub fn turn(&mut self, now: Instant) -> Vec<Packet> {
        if now < self.next_round || now >= self.gives_up {
            return Vec::new();
        }
        self.next_round = now + AGAIN;
        let open = self.questions.iter_mut().filter(|question| question.end.is_none());
        let all: Vec<Packet> = open
            .flat_map(|question| {
                question.servers.fill(Standing::Awaited);
                (0..question.servers.len()).map(|server| (server, question.kind))
            })
            .collect();
        self.note(&all, now);
        all
    }

    /// Takes what a server said, and says whom to ask next because of it.
    pub fn hear(&mut self, server: usize, kind: Kind, reply: Reply, now: Instant) -> Option<Packet> {
        let question = self.questions.iter_mut().find(|question| question.kind == kind)?;
        question.servers[server] = Standing::Answered;
        if question.end.is_some() {
            return None;
        }
        question.end = Some(match reply {
            Reply::Addresses(addresses) => End::Found(addresses),
            Reply::NoAddress => End::NoAddress,
            Reply::NoName => End::NoName,
            Reply::Trouble(text) => {
                question.servers[server] = Standing::Failed;
                let next = question.ask_next();
                if next.is_none() && question.servers.iter().all(|standing| *standing == Standing::Failed) {
                    question.end = Some(End::Trouble(text));
                }
                self.note(next.as_slice(), now);
                return next;
            }
            Reply::Foreign | Reply::Truncated => return None,
        });
        // A name that does not exist has no addresses of the other kind either.
        if matches!(question.end, Some(End::Found(_) | End::NoName)) {
            self.settles = self.settles.min(now + STRAGGLER);
        }
        None
    }

    /// Whether this is still asked.
    pub fn is_open(&self, kind: Kind) -> bool {
        self.questions.iter().any(|question| question.kind == kind && question.end.is_none())
    }

    /// Whether this server was given time and has said nothing at all.
    pub fn is_silent(&self, server: usize, now: Instant) -> bool {
        now.since(self.asked[server]) >= HEDGE
            && self.questions.iter().all(|question| question.servers[server] == Standing::Awaited)
    }

    fn note(&mut self, sent: &[Packet], now: Instant) {
        for (server, _) in sent {
            self.asked[*server] = self.asked[*server].min(now);
        }
    }

    /// What it has come to, if anything.
    pub fn end(&self, now: Instant) -> Option<End> {
        let open = self.questions.iter().any(|question| question.end.is_none());
        if open && now < self.settles && now < self.gives_up {
            return None;
        }
        let ends = || self.questions.iter().filter_map(|question| question.end.as_ref());
        let found: Vec<IpAddr> = ends()
            .filter_map(|end| match end {
                End::Found(addresses) => Some(addresses.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        if !found.is_empty() {
            return Some(End::Found(found));
        }
        let trouble = ends().find(|end| matches!(end, End::Trouble(_))).cloned();
        let no_name = ends().find(|end| **end == End::NoName).cloned();
        Some(if let Some(end) = no_name.or(trouble) {
            end
        } else if open {
            End::Silence
        } else {
            End::NoAddress
        })
    }
}

impl Question {
    /// The next server that was not asked yet.
    fn ask_next(&mut self) -> Option<Packet> {
        let server = self.servers.iter().position(|standing| *standing == Standing::Unasked)?;
        self.servers[server] = Standing::Awaited;
        Some((server, self.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Kind; 2] = [Kind::A, Kind::Aaaa];

    fn ms(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    fn begun(servers: usize) -> (Course, Vec<Packet>) {
        Course::begin(&BOTH, servers, Duration::from_secs(10), ms(0))
    }

    fn addresses(list: &[&str]) -> Reply {
        Reply::Addresses(list.iter().map(|address| address.parse().unwrap()).collect())
    }

    fn trouble() -> Reply {
        Reply::Trouble("SERVFAIL".to_owned())
    }

    #[test]
    fn both_kinds_are_asked_at_once_and_the_first_server_alone() {
        let (mut course, first) = begun(3);
        assert_eq!(first, [(0, Kind::A), (0, Kind::Aaaa)]);
        assert_eq!(course.turn(ms(299)), []);
        course.hear(0, Kind::Aaaa, addresses(&["fd00::1"]), ms(1));
        course.hear(0, Kind::A, addresses(&["10.0.0.2", "10.0.0.1"]), ms(2));
        let Some(End::Found(found)) = course.end(ms(2)) else { panic!("both are answered") };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.2", "10.0.0.1", "fd00::1"], "IPv4 first, whoever came first");
    }

    #[test]
    fn everybody_is_asked_after_a_third_of_a_second_of_silence() {
        let (mut course, _) = begun(2);
        assert_eq!(course.due(), ms(300));
        assert_eq!(course.turn(ms(300)), [(0, Kind::A), (1, Kind::A), (0, Kind::Aaaa), (1, Kind::Aaaa)]);
        course.hear(1, Kind::A, addresses(&["10.0.0.1"]), ms(301));
        course.hear(1, Kind::Aaaa, Reply::NoAddress, ms(302));
        assert!(matches!(course.end(ms(302)), Some(End::Found(_))));
        assert_eq!([course.is_silent(0, ms(302)), course.is_silent(1, ms(302))], [true, false]);
    }

    #[test]
    fn silent_servers_get_a_bounded_number_of_packets() {
        let (mut course, first) = begun(3);
        let mut sent = first;
        let mut now = ms(0);
        while course.end(now).is_none() {
            now = course.due();
            sent.extend(course.turn(now));
        }
        assert_eq!((course.end(now), now), (Some(End::Silence), ms(10_000)));
        let to = |server| sent.iter().filter(|(to, _)| *to == server).count();
        // 0, 0.3, 1.3 ... 9.3 s, two questions each time.
        assert_eq!([to(0), to(1), to(2)], [22, 20, 20]);
    }

    #[test]
    fn a_server_that_cannot_answer_is_passed_over_at_once() {
        let (mut course, _) = begun(2);
        assert_eq!(course.hear(0, Kind::A, trouble(), ms(1)), Some((1, Kind::A)));
        assert_eq!(course.hear(0, Kind::Aaaa, trouble(), ms(1)), Some((1, Kind::Aaaa)));
        assert_eq!(course.end(ms(2)), None);
        course.hear(1, Kind::A, trouble(), ms(2));
        course.hear(1, Kind::Aaaa, trouble(), ms(2));
        assert_eq!(course.end(ms(2)), Some(End::Trouble("SERVFAIL".to_owned())));
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_while_another_one_is_silent() {
        let (mut course, _) = begun(2);
        course.hear(0, Kind::A, trouble(), ms(1));
        assert!(course.turn(ms(300)).contains(&(0, Kind::A)));
        course.hear(0, Kind::A, addresses(&["10.0.0.1"]), ms(310));
        assert!(matches!(course.end(ms(360)), Some(End::Found(_))));
    }

    #[test]
    fn the_other_kind_is_not_waited_for_long() {
        let (mut course, _) = begun(1);
        course.hear(0, Kind::A, addresses(&["10.0.0.1"]), ms(5));
        assert_eq!((course.end(ms(5)), course.due()), (None, ms(55)));
        assert!(matches!(course.end(ms(55)), Some(End::Found(_))));
        let (mut course, _) = begun(1);
        course.hear(0, Kind::A, Reply::NoName, ms(5));
        assert_eq!(course.end(ms(55)), Some(End::NoName));
        let (mut course, _) = begun(1);
        course.hear(0, Kind::A, Reply::NoAddress, ms(5));
        assert_eq!(course.end(ms(100)), None, "it may have the other kind");
        course.hear(0, Kind::Aaaa, addresses(&["fd00::1"]), ms(400));
        assert!(matches!(course.end(ms(400)), Some(End::Found(_))));
    }

    #[test]
    fn the_first_answer_counts_and_later_ones_change_nothing() {
        let (mut course, _) = begun(2);
        course.turn(ms(300));
        course.hear(1, Kind::A, addresses(&["10.0.0.1"]), ms(310));
        course.hear(0, Kind::A, addresses(&["10.0.0.9"]), ms(311));
        course.hear(0, Kind::A, trouble(), ms(311));
        course.hear(1, Kind::Aaaa, Reply::NoAddress, ms(312));
        assert_eq!(course.end(ms(312)), Some(End::Found(vec!["10.0.0.1".parse().unwrap()])));
    }

    #[test]
    fn a_name_without_any_address_is_told_from_one_that_is_not_there() {
        let (mut course, _) = begun(1);
        course.hear(0, Kind::A, Reply::NoAddress, ms(1));
        course.hear(0, Kind::Aaaa, Reply::NoAddress, ms(1));
        assert_eq!(course.end(ms(1)), Some(End::NoAddress));
        let (mut course, _) = begun(1);
        course.hear(0, Kind::A, trouble(), ms(1));
        course.hear(0, Kind::Aaaa, Reply::NoAddress, ms(1));
        assert_eq!(course.end(ms(1)), Some(End::Trouble("SERVFAIL".to_owned())), "it may have the first kind");
    }
}
