//! The sessions of one request: read, written, kept alive and destroyed, under their lock if there is to be one.

use std::time::Duration;

use redis::Value;

use crate::client::{Client, Desk, Failure};
use crate::command::{self, Command};
use crate::config::{SessionLocking, SessionSettings};
use crate::resp::ValueSink;
use crate::time::Deadline;

use super::lock;

/// How long to wait before a lock is tried for again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Why a session could not be read or written.
#[derive(Debug)]
pub enum Trouble {
    /// A command failed.
    Failed(Box<Failure>),
    /// Another request kept the lock for all of this time.
    Locked(Duration),
    /// The lock was lost, and another request may have written since.
    LockLost,
    /// The waiting was ended from outside.
    Interrupted,
    /// The system gave no random bytes for a token.
    NoToken,
}

impl From<Box<Failure>> for Trouble {
    fn from(failure: Box<Failure>) -> Trouble {
        Trouble::Failed(failure)
    }
}

/// Sessions in a Redis that a client reaches.
pub struct Store {
    client: Client,
    settings: SessionSettings,
    held: Option<Held>,
    read: Vec<u8>,
}

/// A lock that this request holds.
struct Held {
    session: Vec<u8>,
    key: Vec<u8>,
    token: Vec<u8>,
    /// Whether that is certain. It is not while it is tried for, and not if the outcome of a try is unknown.
    sure: bool,
}

impl Store {
    /// A store that reaches Redis by a client of its own.
    pub fn new(client: Client, settings: SessionSettings) -> Store {
        Store { client, settings, held: None, read: Vec::new() }
    }

    /// The client that it reaches Redis by.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What was read last. It stays here, so that whoever copies it may be interrupted.
    pub fn data(&self) -> &[u8] {
        &self.read
    }

    /// Reads a session, after locking it if that is asked for; [`Store::data`] has it then, empty if there is none.
    /// `stop` is asked now and then while another request holds the lock.
    ///
    /// # Errors
    /// The lock was not had, or a command failed.
    pub fn read(&mut self, desk: &mut Desk, id: &[u8], stop: fn() -> bool) -> Result<(), Trouble> {
        self.read.clear();
        let session = self.key_of(id);
        if let Some(locking) = self.settings.locking {
            self.lock(desk, &session, locking, stop)?;
        }
        if let Value::BulkString(data) = self.ask(desk, row(b"GET"), &[b"GET", &session])? {
            self.read = data;
        }
        Ok(())
    }

    /// Whether there is such a session.
    ///
    /// # Errors
    /// A command failed.
    pub fn exists(&mut self, desk: &mut Desk, id: &[u8]) -> Result<bool, Trouble> {
        let session = self.key_of(id);
        Ok(self.ask(desk, row(b"EXISTS"), &[b"EXISTS", &session])? == Value::Int(1))
    }

    /// Writes a session. `lifetime` is PHP's, in seconds, and holds where the settings say nothing.
    ///
    /// # Errors
    /// Its lock was lost, or a command failed.
    pub fn write(&mut self, desk: &mut Desk, id: &[u8], data: &[u8], lifetime: i64) -> Result<(), Trouble> {
        let session = self.key_of(id);
        let seconds = self.seconds(lifetime);
        let Some(held) = self.held.as_ref().filter(|held| held.sure && held.session == session) else {
            self.ask(desk, row(b"SET"), &[b"SET", &session, data, b"EX", &seconds])?;
            return Ok(());
        };
        let (key, token) = (held.key.clone(), held.token.clone());
        let keys_and_more: [&[u8]; 6] = [b"2", &key, &session, &token, data, &seconds];
        match self.evaluate(desk, lock::WRITE, &keys_and_more)? {
            Value::Int(1) => Ok(()),
            Value::Int(-1) => {
                let was = std::mem::take(&mut self.read);
                let words: Vec<&[u8]> = keys_and_more.into_iter().chain([&was[..]]).collect();
                let written = self.evaluate(desk, lock::WRITE_UNLESS_CHANGED, &words);
                self.read = was;
                if written? == Value::Int(1) { Ok(()) } else { Err(Trouble::LockLost) }
            }
            _ => Err(Trouble::LockLost),
        }
    }

    /// Keeps a session alive whose data has not changed; it is written if it is gone.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub fn touch(&mut self, desk: &mut Desk, id: &[u8], data: &[u8], lifetime: i64) -> Result<(), Trouble> {
        let (session, seconds) = (self.key_of(id), self.seconds(lifetime));
        match self.ask(desk, row(b"EXPIRE"), &[b"EXPIRE", &session, &seconds])? {
            Value::Int(1) => Ok(()),
            _ => self.write(desk, id, data, lifetime),
        }
    }

    /// Destroys a session.
    ///
    /// # Errors
    /// A command failed.
    pub fn destroy(&mut self, desk: &mut Desk, id: &[u8]) -> Result<(), Trouble> {
        let session = self.key_of(id);
        self.ask(desk, row(b"DEL"), &[b"DEL", &session])?;
        Ok(())
    }

    /// Lets go of the lock.
    ///
    /// # Errors
    /// A command failed; the lock then ends by itself.
    pub fn close(&mut self, desk: &mut Desk) -> Result<(), Trouble> {
        self.read = Vec::new();
        let Some(held) = self.held.take() else { return Ok(()) };
        self.evaluate(desk, lock::RELEASE, &[b"1", &held.key, &held.token])?;
        Ok(())
    }

    fn lock(
        &mut self,
        desk: &mut Desk,
        session: &[u8],
        locking: SessionLocking,
        stop: fn() -> bool,
    ) -> Result<(), Trouble> {
        if self.held.as_ref().is_some_and(|held| held.sure && held.session == session) {
            return Ok(());
        }
        self.close(desk)?;
        let (key, token) = (lock::key_of(session), lock::token().ok_or(Trouble::NoToken)?);
        let milliseconds = locking.ttl.as_millis().to_string();
        let give_up = Deadline::after(self.client.now(), Some(locking.wait));
        let mut wait = FIRST_WAIT;
        // Known before the first try: should its outcome stay unknown, `close` still lets go of it.
        let held = Held { session: session.to_vec(), key: key.clone(), token: token.clone(), sure: false };
        self.held = Some(held);
        loop {
            let words: [&[u8]; 4] = [b"1", &key, &token, milliseconds.as_bytes()];
            if self.evaluate(desk, lock::ACQUIRE, &words)? == Value::Int(1) {
                if let Some(held) = &mut self.held {
                    held.sure = true;
                }
                return Ok(());
            }
            let left = give_up.remaining(self.client.now()).unwrap_or(LONGEST_WAIT);
            if left.is_zero() || stop() {
                self.held = None;
                return Err(if left.is_zero() { Trouble::Locked(locking.wait) } else { Trouble::Interrupted });
            }
            self.client.rest(wait.min(left));
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn key_of(&self, id: &[u8]) -> Vec<u8> {
        [self.client.configuration().prefix.as_bytes(), self.settings.prefix.as_bytes(), id].concat()
    }

    fn seconds(&self, lifetime: i64) -> Vec<u8> {
        let own = self.settings.lifetime.map(|lifetime| lifetime.as_secs().to_string());
        own.unwrap_or_else(|| lifetime.max(1).to_string()).into_bytes()
    }

    fn evaluate(&mut self, desk: &mut Desk, script: &str, keys_and_more: &[&[u8]]) -> Result<Value, Box<Failure>> {
        let words: Vec<&[u8]> = [b"EVAL", script.as_bytes()].into_iter().chain(keys_and_more.iter().copied()).collect();
        self.ask(desk, &lock::REPEATABLE, &words)
    }

    fn ask(&mut self, desk: &mut Desk, row: &'static Command, words: &[&[u8]]) -> Result<Value, Box<Failure>> {
        desk.frame.begin();
        words.iter().for_each(|word| desk.frame.word(word));
        desk.frame.end();
        let mut sink = ValueSink::default();
        self.client.run(desk, Some(row), &mut sink)?;
        Ok(sink.take().unwrap_or(Value::Nil))
    }
}

fn row(name: &[u8]) -> &'static Command {
    command::find(name).expect("a row of the table")
}
