//! A connection that has been let in: sends frames, receives replies, and counts the replies it is owed (P6).

use std::io::ErrorKind;
use std::time::Duration;

use redis::Value;

use crate::config::NodeAddress;
use crate::failover::{Cause, Limit, Lost, Phase};
use crate::resp::{Decoder, Limits, Progress, ProtocolError, ReadBuffer, Scalar, Sink, Space, Unfit};
use crate::telemetry::COUNTERS;

use super::tls::Fault;
use super::{Greeting, Patience, Pollable, Quiet, Transport};

/// An open connection and everything that was read from it.
pub struct Connection {
    transport: Box<dyn Transport>,
    input: ReadBuffer,
    decoder: Decoder,
    owed: u32,
    /// How many of the bytes sent last are not the command's own but a question that rides behind it.
    riding: usize,
    broken: bool,
    /// Whether what comes is asked for by nobody in particular.
    listens: bool,
    /// Bytes at the end of what was sent that the peer had closed before.
    undelivered: usize,
    node: NodeAddress,
    greeting: Greeting,
    brief: Duration,
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole reply is in the sink.
    Value,
    /// The reply is an error: see [`Connection::error_text`].
    Error,
    /// The reply is not complete, but bytes of it came.
    More,
    /// Nothing came.
    Nothing,
}

impl Connection {
    /// A connection over a transport that is connected; replies are owed as frames are sent.
    /// `brief` is how long a receive with [`Patience::Brief`] waits on it.
    pub fn new(transport: Box<dyn Transport>, node: NodeAddress, limits: Limits, brief: Duration) -> Connection {
        Connection {
            transport,
            input: ReadBuffer::default(),
            decoder: Decoder::new(limits),
            owed: 0,
            riding: 0,
            broken: false,
            listens: false,
            undelivered: 0,
            node,
            greeting: Greeting::default(),
            brief,
        }
    }

    /// The node at the other end.
    pub fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// How long a receive with [`Patience::Brief`] waits.
    #[inline]
    pub fn brief(&self) -> Duration {
        self.brief
    }

    /// What the node said when the connection was opened.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Keeps what the node said when it was asked (again) who it is.
    pub fn set_greeting(&mut self, greeting: Greeting) {
        self.greeting = greeting;
    }

    /// What one waits for to go on with this connection.
    pub fn pollable(&self) -> &dyn Pollable {
        &*self.transport
    }

    /// Bounds the replies from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.decoder.set_limits(limits);
    }

    /// Whether the connection may serve anybody: nothing is owed, nothing is half read, nothing has failed.
    pub fn is_clean(&self) -> bool {
        self.owed == 0 && !self.broken && !self.listens && self.input.is_empty() && self.decoder.is_idle()
    }

    /// From now on messages come by themselves: the connection serves nobody else any more.
    pub fn listen(&mut self) {
        self.listens = true;
    }

    /// From now on pushes are kept, for [`Connection::take_push`]: the connection serves nobody else any more.
    pub fn keep_pushes(&mut self) {
        self.listens = true;
        self.decoder.keep_pushes();
    }

    /// The oldest push that was kept.
    pub fn take_push(&mut self) -> Option<Value> {
        self.decoder.take_push()
    }

    /// Says that whole lines may be as long as a reply may be large: MONITOR shows commands in lines.
    pub fn expect_long_lines(&mut self, limits: Limits) {
        self.input.expect_lines(usize::try_from(limits.max_reply_size).unwrap_or(usize::MAX));
    }

    /// Whether nothing is half read.
    pub fn is_between(&self) -> bool {
        self.decoder.is_idle() && self.input.is_empty()
    }

    /// Whether an idle connection is still as it was left. Bytes that nobody asked for are no good sign.
    pub fn is_quiet(&mut self) -> bool {
        self.transport.peek() == Quiet::Yes
    }

    /// Whether the peer has closed and nothing more will come.
    pub fn has_ended(&mut self) -> bool {
        self.broken || self.transport.peek() == Quiet::Closed
    }

    /// Sends what the kernel takes of `frame`, which is owed `replies` replies once its last byte is sent. Gives how
    /// many bytes went; 0 if the kernel takes none at the moment.
    ///
    /// # Errors
    /// The connection is lost, before the whole frame was sent.
    #[inline(always)]
    pub fn send(&mut self, frame: &[u8], replies: u32) -> Result<usize, Lost> {
        let sent = self.send_part(frame)?;
        if sent == frame.len() {
            self.owed += replies;
        } else if sent > 0 {
            // Half a frame on the wire: whatever follows must be the rest of it.
            self.broken = true;
        }
        Ok(sent)
    }

    /// Counts the replies of a batch that is about to be sent in parts: until the last of them has come, the connection
    /// is good for nothing else.
    pub fn owe(&mut self, replies: u32) {
        self.owed += replies;
        self.riding = 0;
    }

    /// Sends what the kernel takes of a batch whose replies are counted already. Gives how many bytes went.
    ///
    /// # Errors
    /// The connection is lost.
    #[inline]
    pub fn send_part(&mut self, bytes: &[u8]) -> Result<usize, Lost> {
        loop {
            match self.transport.send(bytes) {
                Ok(sent) => return Ok(sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) => {
                    self.broken = true;
                    return Err(Lost::before(Phase::Write, cause_of(&error)).with_errno(&error));
                }
            }
        }
    }

    /// Says how many bytes of the next frame, at its end, are not the command's own: whether they arrive says nothing of
    /// the command.
    #[inline]
    pub fn set_riding(&mut self, bytes: usize) {
        self.riding = bytes;
    }

    /// Says that a frame which had to be sent in parts is complete.
    pub fn sent_rest(&mut self) {
        self.broken = false;
    }

    /// Receives once from the transport (if bytes are missing) and decodes what came.
    ///
    /// A sink may leave this call by a jump that runs no destructors (P7): nothing here would miss them.
    ///
    /// # Errors
    /// The connection is lost, or the peer does not speak RESP.
    #[inline(always)]
    pub fn receive<S: Sink>(&mut self, sink: &mut S, patience: Patience) -> Result<Received, Lost> {
        let mut asked = false;
        loop {
            let progress = self.decoder.advance(&mut self.input, sink);
            if let Some(unfit) = sink.refusal() {
                return Err(self.unfit(unfit));
            }
            let space = match progress {
                Ok(Progress::Value) => {
                    self.settle()?;
                    return Ok(Received::Value);
                }
                Ok(Progress::Error) => {
                    self.settle()?;
                    return Ok(Received::Error);
                }
                Ok(Progress::Push) => continue,
                _ if asked => {
                    if let Err(error) = progress {
                        return Err(self.fail(Cause::Protocol(error)));
                    }
                    return Ok(Received::More);
                }
                Ok(Progress::Starved) => Space::Used(self.input.space()),
                Ok(Progress::Bulk) => sink.space(),
                Err(error) => return Err(self.fail(Cause::Protocol(error))),
            };
            asked = true;
            match self.transport.receive(space, patience) {
                Ok(0) => return Err(self.closed()),
                Ok(count) if progress == Ok(Progress::Bulk) => {
                    sink.filled(count);
                    self.decoder.bulk_filled(count);
                }
                Ok(count) => self.input.filled(count),
                // A signal ends the wait like silence does, so that whoever waits looks at the clock.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Ok(Received::Nothing);
                }
                Err(error) => return Err(self.fail(cause_of(&error)).with_errno(&error)),
            }
        }
    }

    /// Whether what came is a record of TLS, where none was agreed upon: an alert, or what a handshake begins with.
    pub fn is_answered_with_tls(&self) -> bool {
        matches!(self.input.unread(), [21 | 22, 3, ..])
    }

    /// The text of the error reply that [`Received::Error`] spoke of.
    pub fn error_text(&self) -> &[u8] {
        self.decoder.error_text()
    }

    /// Whether the last reply was a nil or a zero: what tells a second application from a first.
    pub fn last_scalar(&self) -> Scalar {
        self.decoder.last_scalar()
    }

    fn settle(&mut self) -> Result<(), Lost> {
        if self.owed == 0 {
            if self.listens {
                return Ok(());
            }
            // A reply that nobody asked for: from here on no reply can be trusted.
            let text = "a reply came that no command was waiting for".to_owned();
            return Err(self.fail(Cause::Protocol(ProtocolError::Unexpected(text))));
        }
        self.owed -= 1;
        Ok(())
    }

    #[cold]
    fn unfit(&mut self, unfit: Unfit) -> Lost {
        match unfit {
            Unfit::NoMemory => self.fail(Cause::NoMemory),
            Unfit::Key => {
                let text = "a map of the reply has a key that is neither a string nor a number".to_owned();
                self.fail(Cause::Protocol(ProtocolError::Unexpected(text)))
            }
        }
    }

    /// The peer has closed. What it had closed before it could arrive was not applied.
    #[cold]
    fn closed(&mut self) -> Lost {
        self.undelivered = self.transport.undelivered();
        let sent = self.undelivered <= self.riding;
        Lost { sent, ..self.fail(Cause::Closed) }
    }

    /// How many bytes at the end of the commands that were sent are known never to have arrived, once the connection is
    /// lost.
    pub fn undelivered(&self) -> usize {
        self.undelivered.saturating_sub(self.riding)
    }

    /// Whether bytes have arrived that are not decoded yet.
    #[inline]
    pub fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }

    #[cold]
    fn fail(&mut self, cause: Cause) -> Lost {
        self.broken = true;
        Lost::awaiting(cause)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        COUNTERS.closed.increment();
    }
}

/// The words of the operating system, or that the peer has gone.
#[cold]
#[inline(never)]
pub(super) fn cause_of(error: &std::io::Error) -> Cause {
    match Fault::of(error) {
        Some(Fault { text, lasting: true }) => return Cause::Denied(text.clone()),
        Some(Fault { text, lasting: false }) => return Cause::Io(text.clone()),
        None => {}
    }
    match error.kind() {
        ErrorKind::UnexpectedEof => Cause::Closed,
        ErrorKind::TimedOut if error.raw_os_error().is_none() => Cause::TimedOut(Limit::Timeout),
        _ => Cause::Io(describe(error)),
    }
}

/// `Connection refused` rather than `Connection refused (os error 111)`.
fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
