//! A connection that listens: messages come by themselves, for as long as somebody wants them.
//!
//! It has a connection of its own, which never serves anybody else, and remembers what was asked for. When that
//! connection is lost, another one to whoever is primary then is put into the same state. What was published in
//! between is lost, since Redis keeps no messages: so that is told of.

mod upkeep;
mod wishes;

use std::time::Duration;

use crate::config::Protocol;
use crate::connection::{Patience, Received};
use crate::failover::{Cause, Limit, Lost, Phase, Refusal, judge};
use crate::pool::Lease;
use crate::resp::Sink;
use crate::time::{Deadline, Instant};

use super::await_reply::no_lease;
use super::call::Call;
use super::desk::Desk;
use super::failure::Failure;
use super::state::Client;

pub(super) use upkeep::LONG_SILENCE;
use wishes::{Addressee, Wishes};
pub use wishes::{Sort, Verb};

/// A connection that was lost sooner than this after the last one makes us wait before the next.
pub(super) const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The question by which a connection that sees all commands knows its own sign of life.
const OWN_PING: &str = "resilient-redis: is anybody there?";

/// A sink that can be asked what came, before anybody else is.
pub trait Wording: Sink {
    /// The text at this place of the list that came.
    fn text(&self, place: usize) -> Option<&[u8]>;
    /// What came, if it is no list but a text.
    fn line(&self) -> Option<&[u8]>;
}

/// How a wait for a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message, or an answer to the program, is in the sink.
    Message,
    /// PHP wants to do something else: to be called again.
    Interrupted,
    /// There is something to be told, without waiting for a message: to be called again.
    Told,
    /// There is nothing to wait for any more.
    Over,
}

/// What was missed: from when something was heard last, and why.
pub(super) struct Gap {
    pub(super) heard: Instant,
    pub(super) lost: Instant,
    pub(super) cause: String,
}

/// A connection that listens.
pub struct Subscription {
    /// A client of our own: what the program does to its own one, such as SELECT, is none of our business.
    client: Client,
    lease: Option<Lease>,
    wishes: Wishes,
    /// While answers are owed or a connection has to be found: by when, and what was tried.
    call: Option<Box<Call>>,
    /// When something was heard last.
    heard: Instant,
    /// When the last step was made: something heard or asked.
    stepped: Instant,
    /// When the present connection was ready; `None` before the first was.
    ready: Option<Instant>,
    gap: Option<Gap>,
    /// When what the request may spend is used up.
    budget: Deadline,
}

impl Subscription {
    /// A subscription to nothing yet, for the deployment and the user of a client. Nothing is opened.
    pub fn of(client: &Client) -> Subscription {
        // In RESP2 all that comes has one form, whatever the server's version; the program does not see it.
        let client = client.companion(Protocol::Resp2);
        let now = client.world.clock.coarse();
        Subscription {
            client,
            lease: None,
            wishes: Wishes::default(),
            call: None,
            heard: now,
            stepped: now,
            ready: None,
            gap: None,
            budget: Deadline::NEVER,
        }
    }

    /// Asks something of the server, without waiting for the answer: it comes among the messages.
    ///
    /// # Errors
    /// No primary could be reached.
    pub fn ask(&mut self, desk: &mut Desk, verb: Verb, words: Vec<Vec<u8>>) -> Result<(), Box<Failure>> {
        self.wish(verb, words);
        self.send(desk)
    }

    /// Remembers what is to be asked of the server.
    pub fn wish(&mut self, verb: Verb, words: Vec<Vec<u8>>) {
        self.wishes.ask(verb, words);
    }

    /// Asks for what was wished and is not asked for yet.
    ///
    /// # Errors
    /// No primary could be reached.
    pub fn send(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        self.on_desk(desk, |this, desk| {
            while !this.send_wishes(desk)? {}
            Ok(())
        })
    }

    /// Wishes to be unsubscribed from everything. The answers come among the messages, and after the last of them nothing.
    pub fn wish_nothing(&mut self) {
        for sort in Sort::ALL {
            if self.wishes.has(sort) {
                self.wish(Verb::Unsubscribe(sort), Vec::new());
            }
        }
    }

    /// The client that it reaches Redis by.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Closes the connection and forgets everything, without a word to the server.
    pub fn close(&mut self) {
        self.wishes.clear();
        self.lease = None;
        self.call = None;
        self.gap = None;
        self.ready = None;
    }

    /// Whether anything can come.
    pub fn is_any(&self) -> bool {
        self.wishes.is_any()
    }

    /// Hands the events that wait to a client that has a listener.
    pub fn hand_events_to(&mut self, client: &mut Client) {
        client.adopt_events(&mut self.client);
    }

    /// Waits for a message, for as long as it takes.
    ///
    /// A sink may leave this call by a jump that runs no destructors (P7): the connection then stands on the desk.
    ///
    /// # Errors
    /// No primary was found in time, or the server refused what was asked of it. What was subscribed to is remembered.
    pub fn listen<S: Wording>(&mut self, desk: &mut Desk, sink: &mut S) -> Result<Heard, Box<Failure>> {
        self.on_desk(desk, |this, desk| {
            loop {
                let is_between = desk.lease.as_ref().is_none_or(|lease| lease.connection.is_between());
                if is_between && this.client.has_events() {
                    return Ok(Heard::Told);
                }
                if !this.wishes.is_any() {
                    return Ok(Heard::Over);
                }
                if !this.send_wishes(desk)? {
                    continue;
                }
                match this.receive(desk, sink) {
                    Ok(Some(heard)) => return Ok(heard),
                    Ok(None) => {}
                    Err(Stop::Lost(lost)) => {
                        sink.reset();
                        this.recover(desk, lost)?;
                    }
                    Err(Stop::Refused(failure)) => return Err(failure),
                }
            }
        })
    }

    /// Has `work` done with the connection on the desk, where it is safe whatever happens.
    fn on_desk<R>(
        &mut self,
        desk: &mut Desk,
        work: impl FnOnce(&mut Self, &mut Desk) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Failure>> {
        let carried = desk.carried.take();
        desk.sweep();
        let started = self.client.world.clock.coarse();
        if let Some(carried) = carried {
            desk.carried = Some(carried);
            let mut call = Box::new(self.idle_call(started));
            self.client.take_up_call(desk, &mut call);
            self.call = Some(call);
        }
        self.budget = Deadline::NEVER;
        if let Some(budget) = self.client.configuration.policy.request_budget {
            self.budget = self.client.budget_deadline(desk, started, budget);
        }
        match Lease::still_ours(self.lease.take()) {
            Ok(lease) => desk.lease = Some(lease),
            Err(reason) => {
                desk.lease = None;
                if self.ready.is_some() {
                    self.note_gap(&Cause::Io(reason.to_owned()));
                    self.wishes.start_over();
                }
            }
        }
        let result = work(self, desk);
        self.lease = desk.lease.take();
        if self.client.configuration.policy.request_budget.is_some() {
            self.client.charge(desk, started, result.is_err());
        }
        if result.is_err() {
            self.call = None;
        }
        result
    }

    /// Sends what was asked and is not sent yet, on a new connection if there is none. False if that has to be tried
    /// again.
    fn send_wishes(&mut self, desk: &mut Desk) -> Result<bool, Box<Failure>> {
        if desk.lease.is_some() && !self.wishes.is_owed() {
            return Ok(true);
        }
        self.begin_call(desk)?;
        let Some(mut call) = self.call.take() else { return Ok(true) };
        let sent = self.try_to_send(desk, &mut call);
        self.call = Some(call);
        match sent {
            Ok(()) => Ok(true),
            Err(lost) if lost.cause == Cause::Cluster => self.enter_cluster(desk).map(|()| false),
            Err(lost) => self.recover(desk, lost).map(|()| false),
        }
    }

    /// The deployment is a cluster: listens at the shard of what is subscribed to, or at any one.
    fn enter_cluster(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        let until = self.call.as_ref().map_or(Deadline::NEVER, |call| call.deadline);
        self.client = self.client.listener(desk, self.wishes.sharded().as_deref(), until)?;
        Ok(())
    }

    fn try_to_send(&mut self, desk: &mut Desk, call: &mut Call) -> Result<(), Lost> {
        if desk.lease.is_none() {
            call.retry.begin();
            desk.frame.begin();
            desk.frame.word(b"SUBSCRIBE");
            desk.frame.end();
            self.client.acquire(desk, call)?;
            let limits = self.client.limits();
            let lease = desk.lease.as_mut().ok_or_else(no_lease)?;
            lease.connection.listen();
            lease.connection.set_limits(limits);
            if self.wishes.monitors() {
                lease.connection.expect_long_lines(limits);
            }
            self.stepped = self.client.world.clock.now();
        }
        while let Some(request) = self.wishes.next_to_send() {
            desk.frame.begin();
            desk.frame.word(request.verb.command().as_bytes());
            request.words.iter().for_each(|word| desk.frame.word(word));
            desk.frame.end();
            self.client.send(desk, call, 0)?;
            self.stepped = self.client.world.clock.now();
        }
        Ok(())
    }

    fn begin_call(&mut self, desk: &Desk) -> Result<(), Box<Failure>> {
        if self.call.is_some() {
            return Ok(());
        }
        let now = self.client.world.clock.now();
        let mut call = Call::new(None, &crate::resp::Frame::default(), &self.client.configuration.policy, now);
        call.bound_by_budget(self.budget);
        if self.ready.is_some_and(|ready| now.since(ready) < SHORT_LIFE) {
            call.recoveries = 1;
        }
        if self.budget.passed(now) {
            let lost = Lost::before(Phase::Lease, Cause::TimedOut(Limit::RequestBudget));
            return Err(call.fail(&desk.frame, &lost, false, now));
        }
        self.call = Some(Box::new(call));
        Ok(())
    }

    /// Takes what has come, or waits for it.
    fn receive<S: Wording>(&mut self, desk: &mut Desk, sink: &mut S) -> Result<Option<Heard>, Stop> {
        let Some(lease) = desk.lease.as_mut() else { return Err(no_lease().into()) };
        let received = lease.connection.receive(sink, Patience::None)?;
        if received != Received::Nothing {
            self.heard = self.client.world.clock.coarse();
            self.stepped = self.heard;
        }
        match received {
            Received::Value => {
                let addressee = self.hear(sink);
                self.settle(desk);
                if addressee == Addressee::Program {
                    return Ok(Some(Heard::Message));
                }
                sink.reset();
            }
            Received::Error => self.take_refusal(desk)?,
            Received::More => {}
            Received::Nothing => {
                let between = lease.connection.is_between();
                if between && (self.client.world.is_interrupted)() {
                    return Ok(Some(Heard::Interrupted));
                }
                self.wait(desk, between)?;
            }
        }
        Ok(None)
    }

    fn hear<S: Wording>(&mut self, sink: &S) -> Addressee {
        match sink.line() {
            // A line of MONITOR begins with the time.
            Some(line) if self.wishes.monitors() && line.first().is_some_and(u8::is_ascii_digit) => {
                let own = line.ends_with(format!("\"PING\" \"{OWN_PING}\"").as_bytes());
                if own { Addressee::House } else { Addressee::Program }
            }
            Some(_) => self.wishes.hear(None, None),
            None => self.wishes.hear(sink.text(0), sink.text(1)),
        }
    }

    /// The server refused something: for good, or because of its state.
    fn take_refusal(&mut self, desk: &mut Desk) -> Result<(), Stop> {
        let text = desk.lease.as_ref().map_or_else(Vec::new, |lease| lease.connection.error_text().to_vec());
        let said = String::from_utf8_lossy(&text).into_owned();
        if matches!(judge("SUBSCRIBE", &text), Refusal::NotApplied(_)) {
            return Err(Lost::before(Phase::Read, Cause::Refused(said)).into());
        }
        let now = self.client.world.clock.now();
        let mut call = self.call.take().unwrap_or_else(|| Box::new(self.idle_call(now)));
        call.note_node(desk.lease.as_ref());
        let (verb, silent) = self.wishes.refused().unwrap_or((Verb::Ping, true));
        if silent {
            // What was subscribed to before is remembered, and not there.
            desk.lease = None;
        }
        desk.frame.begin();
        desk.frame.word(verb.command().as_bytes());
        desk.frame.end();
        Err(Stop::Refused(call.refused(&desk.frame, &said, now)))
    }
}

/// Why a connection that listens is of no use any more.
pub(super) enum Stop {
    /// It is lost.
    Lost(Lost),
    /// The server refused for good what was asked of it.
    Refused(Box<Failure>),
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Stop {
        Stop::Lost(lost)
    }
}
