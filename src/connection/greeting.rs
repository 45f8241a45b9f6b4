//! How a connection is opened: HELLO, AUTH, SELECT and what we want to know, in one write.

use redis::{FromRedisValue, Value};

use crate::config::{Credentials, Protocol, Secret, Tls};
use crate::failover::{Cause, Refusal, Remedy, judge};
use crate::resp::{Frame, frame_of};
use crate::topology::{Mode, Report};

/// The name that connections carry in `CLIENT LIST`.
const CLIENT_NAME: &str = "resilient_redis";

/// Who we are at a node. Two connections to one node with equal identities can stand in for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Identity {
    /// User and password.
    pub credentials: Credentials,
    /// The selected database.
    pub database: u32,
    /// The version of RESP.
    pub protocol: Protocol,
    /// How the connection is secured; none: not at all.
    pub tls: Option<Tls>,
    /// Whether a replica of a cluster is to answer reads itself (`READONLY`).
    pub reads_replica: bool,
}

/// What a node said when a connection to it was opened.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// What it said of itself; `None` if it is too old for HELLO and would not answer INFO.
    pub report: Option<Report>,
    /// The number that the node has given to the connection; `None` if it knows no HELLO.
    pub id: Option<i64>,
    /// Its answers to the errand's own questions, in their order.
    pub answers: Vec<Answer>,
}

/// What a connection is opened for, which is what is asked besides who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Commands of this identity, on a node that holds data.
    Commands(Identity),
    /// These questions, to a node that holds no data: there is no database to select.
    Questions(Credentials, Option<Tls>, Vec<Vec<String>>),
}

impl Errand {
    fn credentials(&self) -> &Credentials {
        match self {
            Errand::Commands(identity) => &identity.credentials,
            Errand::Questions(credentials, ..) => credentials,
        }
    }

    fn protocol(&self) -> Protocol {
        match self {
            Errand::Commands(identity) => identity.protocol,
            Errand::Questions(..) => Protocol::Resp2,
        }
    }

    /// How the connection is secured.
    pub fn tls(&self) -> Option<&Tls> {
        match self {
            Errand::Commands(identity) => identity.tls.as_ref(),
            Errand::Questions(_, tls, _) => tls.as_ref(),
        }
    }
}

/// A question of the opening, so that each answer is read for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Hello,
    Auth,
    Select,
    /// Servers before 7.2 do not know CLIENT SETINFO; its answer never matters.
    Courtesy,
    Info,
    /// Asked of servers that know no HELLO: INFO may be renamed there.
    Role,
    /// One of the errand's own.
    Own,
}

/// The questions of one write, and their answers so far.
pub struct Opening {
    questions: Vec<Question>,
    bytes: Vec<u8>,
    answers: Vec<(Question, Answer)>,
    errand: Errand,
    /// Whether this is asked the old way, without HELLO.
    legacy: bool,
    /// Which of the passwords it is tried with, counted from zero, and whether that is none of the server's.
    turn: usize,
    is_wrong: bool,
}

impl std::fmt::Debug for Opening {
    /// Without the bytes: the password is in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("questions", &self.questions).field("answers", &self.answers.len()).finish()
    }
}

/// A reply, or the text of an error.
pub type Answer = Result<Value, String>;

/// What the answers come to.
#[derive(Debug)]
pub enum Verdict {
    /// The connection can be used.
    Welcome(Greeting),
    /// The server does not know HELLO: ask again, the old way. Or it does not know the password: ask with the other one.
    Again(Opening),
    /// The server would not let us in, or cannot at the moment.
    Turned(Cause),
}

impl Opening {
    /// The opening for Redis 6 and later.
    pub fn new(errand: &Errand) -> Opening {
        Opening::modern(errand, 0)
    }

    fn modern(errand: &Errand, turn: usize) -> Opening {
        let mut opening = Opening::empty(errand, false, turn);
        let version = match errand.protocol() {
            Protocol::Resp2 => "2",
            Protocol::Resp3 => "3",
        };
        let mut hello = vec!["HELLO", version];
        let Credentials { username, password } = errand.credentials();
        let password = password.at_turn(turn);
        if username.is_some() || password.is_some() {
            // A user without a password is one that the server lets in with any.
            let password = password.map_or("", |password| password.expose());
            hello.extend(["AUTH", username.as_deref().unwrap_or("default"), password]);
        }
        hello.extend(["SETNAME", CLIENT_NAME]);
        opening.ask(Question::Hello, &frame_of(&hello));
        opening.ask(Question::Courtesy, &frame_of(&["CLIENT", "SETINFO", "LIB-NAME", CLIENT_NAME]));
        opening.ask(Question::Courtesy, &frame_of(&["CLIENT", "SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")]));
        opening.finish()
    }

    /// The opening for servers that know no HELLO.
    fn legacy(errand: &Errand, turn: usize) -> Opening {
        let mut opening = Opening::empty(errand, true, turn);
        let credentials = errand.credentials();
        if let Some(password) = credentials.password.at_turn(turn) {
            let mut auth = vec!["AUTH"];
            auth.extend(credentials.username.as_deref());
            auth.push(password.expose());
            opening.ask(Question::Auth, &frame_of(&auth));
        }
        if let Errand::Commands(_) = errand {
            opening.ask(Question::Role, &frame_of(&["ROLE"]));
        }
        opening.finish()
    }

    /// The questions asked again of a node that was greeted before: who are you now?
    pub fn again(errand: &Errand) -> Opening {
        let mut opening = Opening::empty(errand, false, 0);
        opening.ask(Question::Hello, &frame_of(&["HELLO"]));
        match errand {
            Errand::Commands(_) => opening.ask(Question::Info, &frame_of(&["INFO", "replication"])),
            Errand::Questions(_, _, questions) => opening.ask_all(questions),
        }
        opening
    }

    fn empty(errand: &Errand, legacy: bool, turn: usize) -> Opening {
        let (questions, bytes, answers, errand) = (Vec::new(), Vec::new(), Vec::new(), errand.clone());
        Opening { questions, bytes, answers, errand, legacy, turn, is_wrong: false }
    }

    fn finish(mut self) -> Opening {
        match self.errand.clone() {
            Errand::Commands(identity) => {
                if identity.database != 0 {
                    let database = identity.database.to_string();
                    self.ask(Question::Select, &frame_of(&["SELECT", &database]));
                }
                if identity.reads_replica {
                    // A node that does not grant it sends reads to its primary, by their own replies.
                    self.ask(Question::Courtesy, &frame_of(&["READONLY"]));
                }
                self.ask(Question::Info, &frame_of(&["INFO", "replication"]));
            }
            Errand::Questions(_, _, questions) => self.ask_all(&questions),
        }
        self
    }

    fn ask_all(&mut self, questions: &[Vec<String>]) {
        for words in questions {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.ask(Question::Own, &frame_of(&words));
        }
    }

    fn ask(&mut self, question: Question, frame: &Frame) {
        self.questions.push(question);
        self.bytes.extend_from_slice(frame.bytes());
    }

    /// What to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many replies are owed for it.
    pub fn replies(&self) -> u32 {
        u32::try_from(self.questions.len()).unwrap_or(u32::MAX)
    }

    /// Whether the next answer is the one to HELLO.
    pub fn expects_hello(&self) -> bool {
        self.questions.get(self.answers.len()) == Some(&Question::Hello)
    }

    /// Whether it is asked where nobody else hears it.
    pub fn is_secured(&self) -> bool {
        self.errand.tls().is_some()
    }

    /// Takes the next answer. Gives the verdict once it is clear: with the last answer, or with one that ends it.
    pub fn answer(&mut self, answer: Answer) -> Option<Verdict> {
        let question = self.questions[self.answers.len()];
        let answer = answer.map_err(|text| self.without_secrets(&text));
        if matches!(&answer, Err(text) if self.has_another_password(question, text)) {
            self.is_wrong = true;
        } else if let Err(text) = &answer
            && let Some(cause) = self.objection(question, text)
        {
            return Some(Verdict::Turned(cause));
        }
        self.answers.push((question, answer));
        (self.answers.len() == self.questions.len()).then(|| self.conclude())
    }

    /// What a server says, without what it repeats of our words: before Redis 6 the error about an unknown HELLO has
    /// them, cut anywhere.
    fn without_secrets(&self, text: &str) -> String {
        let said = text.split(", with args beginning with").next().unwrap_or_default();
        let password = &self.errand.credentials().password;
        let secrets = (0..).map_while(|turn| password.at_turn(turn)).map(Secret::expose);
        secrets.filter(|secret| !secret.is_empty()).fold(said.to_owned(), |said, secret| said.replace(secret, "***"))
    }

    /// Whether the server does not know the password, and there is another one that it may know.
    fn has_another_password(&self, question: Question, text: &str) -> bool {
        let is_wrong = text.starts_with("WRONGPASS") || (self.legacy && text.starts_with("ERR invalid password"));
        let credentials = self.errand.credentials();
        let is_asked = matches!(question, Question::Hello | Question::Auth);
        is_asked && is_wrong && credentials.password.at_turn(self.turn + 1).is_some()
    }

    fn conclude(&mut self) -> Verdict {
        if self.is_wrong {
            let again = if self.legacy { Opening::legacy } else { Opening::modern };
            return Verdict::Again(again(&self.errand, self.turn + 1));
        }
        if self.find(Question::Hello).is_some_and(Result::is_err) && !self.legacy {
            return Verdict::Again(Opening::legacy(&self.errand, self.turn));
        }
        let value = |question| self.find(question).and_then(|answer| answer.as_ref().ok());
        let report = Report::read(value(Question::Hello), value(Question::Info));
        let report = report.or_else(|| Report::read_role(value(Question::Role)?));
        let id = value(Question::Hello).and_then(id_in);
        let own = std::mem::take(&mut self.answers).into_iter().filter(|(question, _)| *question == Question::Own);
        Verdict::Welcome(Greeting { report, id, answers: own.map(|(_, answer)| answer).collect() })
    }

    fn has_no_databases(&self) -> bool {
        let hello = self.find(Question::Hello).and_then(|answer| answer.as_ref().ok());
        Report::read(hello, None).is_some_and(|report| matches!(report.mode, Mode::Sentinel | Mode::Cluster))
    }

    fn find(&self, wanted: Question) -> Option<&Answer> {
        self.answers.iter().find(|(question, _)| *question == wanted).map(|(_, answer)| answer)
    }

    /// Why an error answer ends the opening; `None` if it goes on regardless.
    fn objection(&self, question: Question, text: &str) -> Option<Cause> {
        // Whether they are answered or not does not matter.
        if matches!(question, Question::Courtesy | Question::Info | Question::Role | Question::Own) {
            return None;
        }
        // `max number of clients` is the answer to any question; a busy server does not even select a database.
        if let Refusal::NotApplied(Remedy::Wait | Remedy::Yield | Remedy::Search) = judge("", text.as_bytes()) {
            return Some(Cause::Refused(text.to_owned()));
        }
        let unknown = text.starts_with("ERR unknown command") || text.starts_with("ERR Unknown command");
        match question {
            Question::Hello if unknown && self.errand.protocol() == Protocol::Resp3 => {
                Some(Cause::NotSupported(format!("protocol 3 needs Redis 6 or later; the server said: {text}")))
            }
            Question::Hello if unknown => None,
            // SELECT may fail because HELLO or AUTH did: the next try will tell. A Sentinel does not know it, and a
            // cluster has one database: that is said once it is known to be one.
            Question::Select if self.is_wrong => None,
            Question::Select if self.find(Question::Hello).is_some_and(Result::is_err) || self.has_no_databases() => {
                None
            }
            Question::Hello if text.starts_with("NOAUTH") => {
                Some(Cause::Denied(format!("the server wants a password (option `password`); it said: {text}")))
            }
            _ => Some(Cause::Denied(text.to_owned())),
        }
    }
}

/// The connection's number in a reply to HELLO.
fn id_in(hello: &Value) -> Option<i64> {
    hello.as_map_iter()?.find_map(|(field, value)| {
        String::from_redis_value_ref(field).ok().filter(|field| field == "id")?;
        i64::from_redis_value_ref(value).ok()
    })
}

/// Whether a reply to HELLO is of the right form at all. A server that answers otherwise is no Redis server.
pub fn is_hello(value: &Value) -> bool {
    value.as_map_iter().is_some_and(|mut pairs| {
        pairs.any(|(field, _)| {
            String::from_redis_value_ref(field).is_ok_and(|field| field == "server" || field == "role")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    fn commands(database: u32, password: Option<&str>, protocol: Protocol) -> Errand {
        let password = password.map_or(Password::None, |password| Password::known(Secret::new(password)));
        let credentials = Credentials { username: None, password };
        Errand::Commands(Identity { credentials, database, protocol, tls: None, reads_replica: false })
    }

    fn hello() -> Answer {
        let words = ["server", "redis", "mode", "standalone", "role", "master"];
        Ok(Value::Array(words.map(|word| Value::BulkString(word.into())).to_vec()))
    }

    fn sent(opening: &Opening) -> String {
        String::from_utf8_lossy(opening.bytes()).replace("\r\n", " ")
    }

    #[test]
    fn everything_is_asked_in_one_write() {
        let opening = Opening::new(&commands(5, Some("pw"), Protocol::Resp3));
        let text = sent(&opening);
        assert!(text.starts_with("*7 $5 HELLO $1 3 $4 AUTH $7 default $2 pw $7 SETNAME"), "{text}");
        assert!(text.contains("$6 SELECT $1 5") && text.ends_with("$4 INFO $11 replication "), "{text}");
        assert_eq!(opening.replies(), 5);
        assert_eq!(Opening::new(&commands(0, None, Protocol::Resp2)).replies(), 4);
    }

    #[test]
    fn a_server_that_knows_no_hello_is_asked_again_the_old_way() {
        let mut opening = Opening::new(&commands(2, Some("pw"), Protocol::Resp2));
        let errors = ["ERR unknown command `HELLO`", "NOAUTH", "NOAUTH", "NOAUTH", "NOAUTH"];
        let verdict = errors.map(|error| opening.answer(Err(error.into()))).into_iter().flatten().next();
        let Some(Verdict::Again(mut second)) = verdict else { panic!("{verdict:?}") };
        assert_eq!(sent(&second), "*2 $4 AUTH $2 pw *1 $4 ROLE *2 $6 SELECT $1 2 *2 $4 INFO $11 replication ");
        for _ in 0..3 {
            assert!(second.answer(Ok(Value::Okay)).is_none());
        }
        let verdict = second.answer(Err("NOPERM".into()));
        assert!(matches!(verdict, Some(Verdict::Welcome(Greeting { report: None, .. }))), "{verdict:?}");
    }

    #[test]
    fn a_wrong_password_turns_us_away_at_once() {
        let mut opening = Opening::new(&commands(0, Some("pw"), Protocol::Resp2));
        let verdict = opening.answer(Err("WRONGPASS invalid username-password pair or user is disabled.".into()));
        assert!(matches!(verdict, Some(Verdict::Turned(Cause::Denied(_)))), "{verdict:?}");
    }

    #[test]
    fn a_password_that_is_not_known_any_more_is_followed_by_the_other_one() {
        let password = Password::Known(Secret::new("new"), Some(Secret::new("old")));
        let credentials = Credentials { username: Some("app".into()), password };
        let identity = Identity { credentials, database: 3, ..Identity::default() };
        let mut opening = Opening::new(&Errand::Commands(identity));
        assert!(sent(&opening).contains("AUTH $3 app $3 new "), "{}", sent(&opening));
        let wrong = || Err("WRONGPASS invalid username-password pair or user is disabled.".into());
        let noauth = || Err("NOAUTH Authentication required.".into());
        let answers = [wrong(), noauth(), noauth(), noauth(), noauth()];
        let verdict = answers.map(|answer| opening.answer(answer)).into_iter().flatten().next();
        let Some(Verdict::Again(mut second)) = verdict else { panic!("{verdict:?}") };
        assert!(sent(&second).contains("AUTH $3 app $3 old "), "{}", sent(&second));
        let verdict = second.answer(wrong());
        assert!(matches!(verdict, Some(Verdict::Turned(Cause::Denied(_)))), "there is no third: {verdict:?}");
    }

    #[test]
    fn an_old_server_is_asked_with_the_other_password_the_old_way() {
        let password = Password::Known(Secret::new("new"), Some(Secret::new("old")));
        let identity = Identity { credentials: Credentials { username: None, password }, ..Identity::default() };
        let mut opening = Opening::new(&Errand::Commands(identity));
        let unknown = ["ERR unknown command `HELLO`", "NOAUTH", "NOAUTH", "NOAUTH"];
        let verdict = unknown.map(|text| opening.answer(Err(text.into()))).into_iter().flatten().next();
        let Some(Verdict::Again(mut second)) = verdict else { panic!("{verdict:?}") };
        let wrong = ["ERR invalid password", "NOAUTH", "NOAUTH"];
        let verdict = wrong.map(|text| second.answer(Err(text.into()))).into_iter().flatten().next();
        let Some(Verdict::Again(third)) = verdict else { panic!("{verdict:?}") };
        assert!(sent(&third).starts_with("*2 $4 AUTH $3 old "), "{}", sent(&third));
    }

    #[test]
    fn what_a_server_repeats_of_the_password_is_not_told() {
        let mut opening = Opening::new(&commands(0, Some("hunter2"), Protocol::Resp3));
        let said = "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunt";
        let verdict = opening.answer(Err(said.into()));
        let Some(Verdict::Turned(Cause::NotSupported(text))) = verdict else { panic!("{verdict:?}") };
        assert!(text.contains("unknown command `HELLO`") && !text.contains("hunt"), "{text}");
        let mut opening = Opening::new(&commands(0, Some("hunter2"), Protocol::Resp2));
        let verdict = opening.answer(Err("ERR hunter2 is no password of ours".into()));
        let Some(Verdict::Turned(Cause::Denied(text))) = verdict else { panic!("{verdict:?}") };
        assert_eq!(text, "ERR *** is no password of ours");
    }

    #[test]
    fn a_full_server_turns_us_away_for_the_moment_only() {
        let mut opening = Opening::new(&commands(0, None, Protocol::Resp2));
        let verdict = opening.answer(Err("ERR max number of clients reached".into()));
        assert!(matches!(verdict, Some(Verdict::Turned(Cause::Refused(_)))), "{verdict:?}");
    }

    #[test]
    fn a_busy_server_lets_us_in_unless_a_database_is_to_be_selected() {
        let busy = || Err("BUSY Redis is busy running a script. You can only call SCRIPT KILL.".into());
        let mut opening = Opening::new(&commands(0, None, Protocol::Resp2));
        let verdict =
            [hello(), busy(), busy(), busy()].map(|answer| opening.answer(answer)).into_iter().flatten().next();
        assert!(matches!(verdict, Some(Verdict::Welcome(Greeting { report: Some(_), .. }))), "{verdict:?}");
        let mut opening = Opening::new(&commands(1, None, Protocol::Resp2));
        let verdict =
            [hello(), busy(), busy(), busy()].map(|answer| opening.answer(answer)).into_iter().flatten().next();
        assert!(matches!(verdict, Some(Verdict::Turned(Cause::Refused(_)))), "{verdict:?}");
    }

    #[test]
    fn a_database_that_does_not_exist_turns_us_away() {
        let mut opening = Opening::new(&commands(99, None, Protocol::Resp2));
        let answers = [hello(), Err("ERR unknown subcommand".into()), Err("ERR".into())];
        assert!(answers.into_iter().all(|answer| opening.answer(answer).is_none()));
        let verdict = opening.answer(Err("ERR DB index is out of range".into()));
        assert!(matches!(verdict, Some(Verdict::Turned(Cause::Denied(_)))), "{verdict:?}");
    }

    #[test]
    fn a_user_who_may_not_call_info_is_welcome() {
        let mut opening = Opening::new(&commands(0, None, Protocol::Resp2));
        assert!(
            [hello(), Err("ERR".into()), Err("ERR".into())].into_iter().all(|answer| opening.answer(answer).is_none())
        );
        let verdict = opening.answer(Err("NOPERM this user has no permissions to run the 'info' command".into()));
        assert!(matches!(verdict, Some(Verdict::Welcome(Greeting { report: Some(_), .. }))), "{verdict:?}");
    }

    #[test]
    fn an_errand_of_questions_selects_no_database_and_brings_the_answers() {
        let questions = vec![vec!["SENTINEL".to_owned(), "MASTERS".to_owned()]];
        let credentials = Credentials::of(None, Secret::new("pw"));
        let mut opening = Opening::new(&Errand::Questions(credentials, None, questions));
        let text = sent(&opening);
        assert!(text.contains("$2 pw") && text.ends_with("*2 $8 SENTINEL $7 MASTERS "), "{text}");
        for answer in [hello(), Err("ERR".into()), Err("ERR".into())] {
            assert!(opening.answer(answer).is_none());
        }
        let verdict = opening.answer(Ok(Value::Int(7)));
        let Some(Verdict::Welcome(greeting)) = verdict else { panic!("{verdict:?}") };
        assert_eq!(greeting.answers, [Ok(Value::Int(7))]);
    }
}
