//! The opening of a connection as a state machine: it never waits, so that many can be opened side by side.

use std::time::Duration;

use crate::config::NodeAddress;
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::{Limits, ProtocolError, ValueSink};
use crate::telemetry::COUNTERS;

use super::exchange::cause_of;
use super::greeting::{Answer, Errand, Opening, Verdict, is_hello};
use super::tls::{TlsTransport, words};
use super::{Connection, Greeting, Interest, Network, Patience, Pollable, Received, SocketOptions, Transport};

/// A connection on its way to being usable.
pub struct Dialing {
    state: State,
    node: NodeAddress,
    errand: Errand,
    limits: Limits,
    brief: Duration,
}

enum State {
    Connecting(Box<dyn Transport>),
    Securing(Box<TlsTransport>),
    Asking(Box<Asking>),
    /// Only between two states, and after the end.
    Over,
}

/// How far the opening got.
pub enum Progress {
    /// It goes on when this is ready.
    Wait(Interest),
    /// The connection can be used.
    Ready(Box<Connection>),
    /// There will be none.
    Failed(Lost),
}

impl Dialing {
    /// Begins to open a connection to `node`.
    ///
    /// # Errors
    /// It failed at once.
    pub fn begin(
        network: &dyn Network,
        node: &NodeAddress,
        errand: &Errand,
        limits: Limits,
        options: SocketOptions,
    ) -> Result<Dialing, Lost> {
        COUNTERS.dialed.increment();
        let transport = network.dial(node, options).map_err(|error| undialled(&error))?;
        Ok(Dialing {
            state: State::Connecting(transport),
            node: node.clone(),
            errand: errand.clone(),
            limits,
            brief: options.brief,
        })
    }

    /// What one waits for to go on; `None` once the opening is over.
    pub fn pollable(&self) -> Option<&dyn Pollable> {
        match &self.state {
            State::Connecting(transport) => Some(&**transport),
            State::Securing(transport) => Some(&**transport),
            State::Asking(asking) => Some(asking.connection.pollable()),
            State::Over => None,
        }
    }

    /// Where the opening stands, for messages.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Connecting(_) | State::Over => Phase::Dial,
            State::Securing(_) => Phase::Tls,
            State::Asking(_) => Phase::Auth,
        }
    }

    /// What the opening failed with if no time is left for it.
    pub fn late(&self) -> Lost {
        match &self.state {
            State::Securing(transport) if !transport.is_heard() => {
                Lost::before(Phase::Tls, Cause::Io(words::SILENT.to_owned()))
            }
            _ => Lost::before(self.phase(), Cause::TimedOut(Limit::Timeout)),
        }
    }

    /// Goes on as far as it goes without waiting.
    pub fn step(&mut self) -> Progress {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Connecting(mut transport) => match transport.finish_connect() {
                    Ok(()) => match self.errand.tls() {
                        Some(tls) => match TlsTransport::begin(tls, &self.node, transport) {
                            Ok(transport) => self.state = State::Securing(Box::new(transport)),
                            Err(error) => return Progress::Failed(unsecured(&error)),
                        },
                        None => self.greet(transport),
                    },
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        self.state = State::Connecting(transport);
                        return Progress::Wait(Interest::Write);
                    }
                    Err(error) => return Progress::Failed(undialled(&error)),
                },
                State::Securing(mut transport) => match transport.step() {
                    Ok(None) => self.greet(transport),
                    Ok(Some(interest)) => {
                        self.state = State::Securing(transport);
                        return Progress::Wait(interest);
                    }
                    Err(error) => return Progress::Failed(unsecured(&error)),
                },
                State::Asking(mut asking) => match asking.step() {
                    Asked::Wait(interest) => {
                        self.state = State::Asking(asking);
                        return Progress::Wait(interest);
                    }
                    Asked::Told(greeting) => {
                        let mut connection = asking.connection;
                        connection.set_greeting(greeting);
                        return Progress::Ready(connection);
                    }
                    Asked::Failed(lost) => return Progress::Failed(lost),
                },
                State::Over => {
                    let text = "the opening of this connection has ended before".to_owned();
                    return Progress::Failed(Lost::before(Phase::Dial, Cause::Io(text)));
                }
            }
        }
    }
}

impl Dialing {
    fn greet(&mut self, transport: Box<dyn Transport>) {
        COUNTERS.opened.increment();
        let limits = Limits { max_reply_size: self.limits.max_reply_size.min(LARGEST_ANSWER), ..self.limits };
        let connection = Connection::new(transport, self.node.clone(), limits, self.brief);
        let asking = Asking::new(Box::new(connection), Opening::new(&self.errand));
        self.state = State::Asking(Box::new(asking));
    }
}

/// What TLS failed with.
fn unsecured(error: &std::io::Error) -> Lost {
    Lost::before(Phase::Tls, cause_of(error)).with_errno(error)
}

/// What a dial failed with.
fn undialled(error: &std::io::Error) -> Lost {
    Lost::before(Phase::Dial, cause_of(error)).with_errno(error)
}

/// How often one step receives, and the most that an answer at the opening may take.
const MOST_RECEIVES: usize = 64;
const LARGEST_ANSWER: u64 = 1024 * 1024;

/// A connection with the questions that it is to answer: at its opening, or again in a search.
pub struct Asking {
    /// The connection; it can be used when the questions are answered.
    pub connection: Box<Connection>,
    opening: Opening,
    written: usize,
    sink: ValueSink,
}

/// How far the questions got.
pub enum Asked {
    /// They go on when this is ready.
    Wait(Interest),
    /// They are answered.
    Told(Greeting),
    /// They will not be.
    Failed(Lost),
}

impl Asking {
    fn new(connection: Box<Connection>, opening: Opening) -> Asking {
        Asking { connection, opening, written: 0, sink: ValueSink::default() }
    }

    /// Asks a node that was greeted before who it is now.
    pub fn again(connection: Box<Connection>, errand: &Errand) -> Asking {
        Asking::new(connection, Opening::again(errand))
    }

    /// Goes on as far as it goes without waiting.
    pub fn step(&mut self) -> Asked {
        // A peer that talks without end must not keep us from the clock.
        for _ in 0..MOST_RECEIVES {
            if self.written < self.opening.bytes().len() {
                match self.connection.send(&self.opening.bytes()[self.written..], self.opening.replies()) {
                    Ok(0) => return Asked::Wait(Interest::Write),
                    Ok(sent) => {
                        self.written += sent;
                        if self.written == self.opening.bytes().len() {
                            self.connection.sent_rest();
                        }
                        continue;
                    }
                    // A server that is full says so and closes: its word is worth more than the broken pipe.
                    Err(lost) => return self.last_word(lost),
                }
            }
            let answer = match self.connection.receive(&mut self.sink, Patience::None) {
                Ok(Received::Value) => self.sink.take().ok_or_else(String::new),
                Ok(Received::Error) => Err(String::from_utf8_lossy(self.connection.error_text()).into_owned()),
                Ok(Received::More) => continue,
                Ok(Received::Nothing) => return Asked::Wait(Interest::Read),
                Err(lost) => return Asked::Failed(self.unanswered(lost)),
            };
            if let Some(end) = self.take(answer) {
                return end;
            }
        }
        // Under TLS there may be more here than a poll sees. A socket that takes something wakes us at once.
        Asked::Wait(Interest::Either)
    }

    fn take(&mut self, answer: Answer) -> Option<Asked> {
        if let Ok(value) = &answer
            && self.opening.expects_hello()
            && !is_hello(value)
        {
            let error = ProtocolError::Unexpected("the answer to HELLO is not one of a Redis server".to_owned());
            return Some(Asked::Failed(Lost::before(Phase::Auth, Cause::Protocol(error))));
        }
        match self.opening.answer(answer)? {
            Verdict::Welcome(greeting) => Some(Asked::Told(greeting)),
            Verdict::Again(opening) => {
                self.opening = opening;
                self.written = 0;
                None
            }
            Verdict::Turned(cause) => Some(Asked::Failed(Lost::before(Phase::Auth, cause))),
        }
    }

    /// What ends the questions where an answer was to come.
    fn unanswered(&self, lost: Lost) -> Lost {
        let lost = Lost { phase: Phase::Auth, sent: false, ..lost };
        match lost.cause {
            // A server finds fault with our certificate when we have found none with its own: with TLS 1.3, now.
            Cause::Denied(_) => Lost { phase: Phase::Tls, ..lost },
            Cause::Protocol(_) if self.connection.is_answered_with_tls() => {
                Lost { cause: Cause::Denied(words::SECURED.to_owned()), ..lost }
            }
            // A Redis server that speaks TLS closes without a word when it is greeted in the clear.
            Cause::Closed | Cause::Io(_) if self.opening.expects_hello() && !self.opening.is_secured() => {
                Lost { cause: Cause::Io(format!("{} {}", lost.cause, words::UNHEARD)), ..lost }
            }
            _ => lost,
        }
    }

    fn last_word(&mut self, lost: Lost) -> Asked {
        match self.connection.receive(&mut self.sink, Patience::None) {
            Err(said) if matches!(said.cause, Cause::Denied(_)) => Asked::Failed(self.unanswered(said)),
            // Nothing was asked, so the reply breaks the count; but its text is there.
            Err(_) if !self.connection.error_text().is_empty() => {
                let text = String::from_utf8_lossy(self.connection.error_text()).into_owned();
                Asked::Failed(Lost::before(Phase::Auth, Cause::Refused(text)))
            }
            _ => Asked::Failed(self.unanswered(lost)),
        }
    }
}
