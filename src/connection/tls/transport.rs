//! A transport that seals what is sent and opens what is received.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustls::Error;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError};

use super::super::{Interest, Patience, Pollable, Quiet, Transport};
use super::ledger::Ledger;
use super::policies::{self, Secured};
use super::room::{Room, grow};
use super::{Fault, words};
use crate::config::{NodeAddress, Tls};
use crate::resp::Space;

/// The most that one record holds, and what it has around that at most.
const RECORD: usize = 16 * 1024;
const AROUND: usize = 64;
/// Room for four records; also for the longest message of a handshake. Pages that are never written cost no memory.
const INCOMING: usize = 4 * (RECORD + 2048);
/// How much is sealed before it is given to the kernel.
const AT_ONCE: usize = 4 * RECORD;
/// A peer that talks without end must not keep us from the clock.
const MOST_STEPS: usize = 64;
const MOST_PULLS: usize = 4;

/// TLS over a transport that is connected.
pub struct TlsTransport {
    wire: Box<dyn Transport>,
    session: UnbufferedClientConnection,
    names: Arc<[String]>,
    /// What came and is still sealed: from `start` to `end`.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    /// What is opened and had no room where it was wanted, from `taken` on.
    opened: Vec<u8>,
    taken: usize,
    /// What is sealed and not yet with the kernel, from `gone` on.
    outgoing: Vec<u8>,
    gone: usize,
    /// Whether the last byte of what was sealed is kept back from the count of what was sent, until all of it is with the
    /// kernel: a record that lacks a byte is none, and the caller must come back for it.
    withheld: bool,
    ledger: Ledger,
    heard: bool,
    talked: bool,
    /// The peer has said that it will say no more.
    notified: bool,
    /// The peer has closed the socket.
    ended: bool,
    /// Why the session is over. What was opened before that is handed over all the same.
    failed: Option<Fault>,
}

/// What one look at the session brought.
enum Turn {
    /// Something; there may be more.
    Moved,
    /// What was to be sealed is sealed.
    Sealed,
    /// Nothing more without bytes from the peer; the handshake is over.
    Ready,
    /// The same, within the handshake.
    Blocked,
}

impl TlsTransport {
    /// Begins TLS with `node` over `wire`.
    ///
    /// # Errors
    /// The files that the policy names are wrong, or it cannot begin.
    pub fn begin(tls: &Tls, node: &NodeAddress, wire: Box<dyn Transport>) -> io::Result<TlsTransport> {
        let Secured { config, name, names } =
            policies::secured(tls, node).map_err(|error| Fault { text: error.to_string(), lasting: true })?;
        let session =
            UnbufferedClientConnection::new(config, name).map_err(|error| words::fault(&error, &names, false))?;
        Ok(TlsTransport {
            wire,
            session,
            names,
            incoming: vec![0; INCOMING],
            start: 0,
            end: 0,
            opened: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            gone: 0,
            withheld: false,
            ledger: Ledger::default(),
            heard: false,
            talked: false,
            notified: false,
            ended: false,
            failed: None,
        })
    }

    /// Goes on with the handshake as far as it goes without waiting, and says what it waits for; `None` once it is over.
    /// The last of it goes out together with what is sent first.
    ///
    /// # Errors
    /// It failed, for a reason that may be a [`Fault`].
    pub fn step(&mut self) -> io::Result<Option<Interest>> {
        for _ in 0..MOST_STEPS {
            match self.turn(&mut Room::none(), None) {
                Err(error) => return Err(self.fail(&error).into()),
                Ok(Turn::Ready) => return Ok(None),
                Ok(Turn::Moved | Turn::Sealed) => continue,
                Ok(Turn::Blocked) => {}
            }
            if !self.flush()? {
                return Ok(Some(Interest::Write));
            }
            match self.pull(Patience::None) {
                Ok(0) => return Err(Fault { text: words::CLOSED.to_owned(), lasting: false }.into()),
                Ok(_) => {}
                Err(error) if is_pause(&error) => return Ok(Some(Interest::Read)),
                Err(error) => return Err(error),
            }
            if !std::mem::replace(&mut self.heard, true) && !begins_with_tls(&self.incoming[..self.end]) {
                return Err(words::plain_answer(&self.incoming[..self.end]).into());
            }
        }
        // What came last was not looked at, and may be all that was to come. A socket that takes something wakes us at once.
        Ok(Some(Interest::Either))
    }

    /// Whether the peer has answered anything.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// Looks once at what the session has to do. What it opens goes into `room`, and is kept where that is full; `piece`,
    /// no longer than a record, is sealed once the session is free to.
    fn turn(&mut self, room: &mut Room<'_>, piece: Option<&[u8]>) -> Result<Turn, Error> {
        let status = self.session.process_tls_records(&mut self.incoming[self.start..self.end]);
        let mut done = status.discard;
        let state = match status.state {
            Ok(state) => state,
            Err(error) => {
                self.start += done;
                return Err(error);
            }
        };
        let turn = match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    done += record.discard;
                    let fits = if self.opened.is_empty() { room.put(record.payload) } else { 0 };
                    self.opened.extend_from_slice(&record.payload[fits..]);
                }
                self.talked = true;
                Turn::Moved
            }
            ConnectionState::EncodeTlsData(mut data) => {
                seal_own(&mut data, &mut self.outgoing, &mut self.ledger)?;
                Turn::Moved
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                Turn::Moved
            }
            ConnectionState::WriteTraffic(mut traffic) => match piece {
                Some(piece) => {
                    let sealed = grow(&mut self.outgoing, piece.len() + AROUND, |room| {
                        traffic.encrypt(piece, room).map_err(|error| match error {
                            EncryptError::InsufficientSize(short) => Some(short),
                            EncryptError::EncryptExhausted => None,
                        })
                    })?;
                    self.ledger.note(piece.len(), sealed);
                    Turn::Sealed
                }
                None => Turn::Ready,
            },
            ConnectionState::PeerClosed => {
                self.notified = true;
                Turn::Moved
            }
            _ => Turn::Blocked,
        };
        self.start += done;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        Ok(turn)
    }

    /// Opens what came, as long as there is room for it.
    fn open(&mut self, room: &mut Room<'_>) {
        // Where nothing is wanted, one look tells enough.
        let blind = room.whole() == 0;
        while self.failed.is_none() && self.start < self.end && self.opened.is_empty() && (blind || !room.is_full()) {
            match self.turn(room, None) {
                Ok(Turn::Moved | Turn::Sealed) => {}
                Ok(Turn::Ready | Turn::Blocked) => break,
                Err(error) => {
                    self.fail(&error);
                }
            }
        }
        // Something to say of the session itself, such as that its keys are new; nobody waits for it. That nobody hears it
        // any more takes nothing from what came.
        let _ = self.flush();
    }

    fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(RECORD) {
            loop {
                match self.turn(&mut Room::none(), Some(piece)) {
                    Ok(Turn::Sealed) => break,
                    Ok(Turn::Moved) => {}
                    // The peer has ended the session, or not begun it.
                    Ok(Turn::Ready | Turn::Blocked) => return Err(ErrorKind::BrokenPipe.into()),
                    Err(error) => return Err(self.fail(&error).into()),
                }
            }
        }
        Ok(())
    }

    /// Gives the kernel what is sealed. False if it does not take all of it now.
    fn flush(&mut self) -> io::Result<bool> {
        while self.gone < self.outgoing.len() {
            match self.wire.send(&self.outgoing[self.gone..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.gone += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.gone = 0;
        Ok(true)
    }

    /// Receives what is there from the socket.
    fn pull(&mut self, patience: Patience) -> io::Result<usize> {
        if self.start > 0 && self.incoming.len() - self.end < RECORD + 2048 {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.incoming.len() {
            let text = "a message of TLS is longer than any may be".to_owned();
            return Err(Fault { text, lasting: false }.into());
        }
        let count = self.wire.receive(Space::Used(&mut self.incoming[self.end..]), patience)?;
        self.end += count;
        self.ended |= count == 0;
        Ok(count)
    }

    /// The session is over. The peer is told why, if the session has words for it.
    #[cold]
    fn fail(&mut self, error: &Error) -> Fault {
        let status = self.session.process_tls_records(&mut self.incoming[self.start..self.end]);
        if let Ok(ConnectionState::EncodeTlsData(mut alert)) = status.state
            && seal_own(&mut alert, &mut self.outgoing, &mut self.ledger).is_ok()
        {
            let _ = self.flush();
        }
        let fault = words::fault(error, &self.names, self.talked);
        self.failed = Some(fault.clone());
        fault
    }

    /// What ended the session, once there is nothing more to hand over.
    fn check(&self) -> io::Result<()> {
        self.failed.clone().map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn hand_over(&mut self, room: &mut Room<'_>) {
        self.taken += room.put(&self.opened[self.taken..]);
        if self.taken == self.opened.len() {
            self.opened.clear();
            self.taken = 0;
        }
    }
}

impl Pollable for TlsTransport {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.wire.descriptor()
    }

    fn token(&self) -> usize {
        self.wire.token()
    }
}

impl Transport for TlsTransport {
    fn finish_connect(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        // What the session has to say of itself goes out with the rest.
        if self.withheld && !self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut sent = usize::from(std::mem::take(&mut self.withheld)).min(bytes.len());
        while sent < bytes.len() {
            let piece = &bytes[sent..bytes.len().min(sent + AT_ONCE)];
            self.seal(piece)?;
            sent += piece.len();
            if !self.flush()? {
                self.withheld = true;
                sent -= 1;
                break;
            }
        }
        if sent == 0 && !bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(sent) }
    }

    /// `Nothing` is only said when no whole record is left here: a poll, which comes next, sees the socket alone.
    fn receive(&mut self, space: Space<'_>, patience: Patience) -> io::Result<usize> {
        let mut room = Room::in_space(space);
        self.hand_over(&mut room);
        for pulls in 0..=MOST_PULLS {
            self.open(&mut room);
            if room.filled() > 0 {
                return Ok(room.filled());
            }
            self.check()?;
            // What came last was opened, too.
            if pulls == MOST_PULLS {
                break;
            }
            if self.notified {
                // What it has closed with it, if that is here already.
                let _ = self.pull(Patience::None);
                return Ok(0);
            }
            if self.pull(patience)? == 0 {
                return Ok(0);
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Judged as without TLS, by the end of the socket and what was acknowledged before it, and for whole records. Most
    /// servers close without a word of TLS, and one that dies always does: were that word asked for, every failover would
    /// leave commands in doubt that nobody has received. Until the socket itself has ended, they may still arrive.
    fn undelivered(&self) -> usize {
        if !self.ended {
            return 0;
        }
        let missing = self.wire.undelivered() + self.outgoing.len() - self.gone;
        self.ledger.undelivered(missing).saturating_sub(usize::from(self.withheld))
    }

    /// What came is opened before it is judged: a session may have something to say of itself, such as how it can be
    /// resumed.
    fn peek(&mut self) -> Quiet {
        for _ in 0..MOST_PULLS {
            if !self.opened.is_empty() {
                return Quiet::Bytes;
            }
            if self.failed.is_some() {
                return Quiet::Closed;
            }
            match self.wire.peek() {
                Quiet::Yes => break,
                Quiet::Closed => return Quiet::Closed,
                Quiet::Bytes => {}
            }
            match self.pull(Patience::None) {
                Ok(0) => return Quiet::Closed,
                Ok(_) => {
                    self.open(&mut Room::none());
                    if self.failed.is_some() || self.notified {
                        return Quiet::Closed;
                    }
                }
                Err(error) if is_pause(&error) => break,
                _ => return Quiet::Closed,
            }
        }
        // A record that began, and has not ended: whatever it will be, nobody asked for it.
        if self.start < self.end || !self.opened.is_empty() { Quiet::Bytes } else { Quiet::Yes }
    }
}

/// Seals what the session has to say of itself.
fn seal_own(
    data: &mut EncodeTlsData<'_, ClientConnectionData>,
    outgoing: &mut Vec<u8>,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let sealed = grow(outgoing, 0, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(short)) => Err(Some(short)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
        Ok(length) => Ok(length),
    })?;
    ledger.note(0, sealed);
    Ok(())
}

/// Whether an answer begins as one of TLS: a handshake, or an alert.
fn begins_with_tls(start: &[u8]) -> bool {
    matches!(start.first(), Some(20..=23))
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
