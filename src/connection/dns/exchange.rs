//! One question to one name server: a socket of its own, connected, so that the kernel drops what comes from elsewhere.
//!
//! Each question has its own port, drawn by the kernel, and its own number, drawn here: who wants to forge an answer has
//! to guess both. Nothing here waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::rand::{GetRandomFlags, getrandom};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::connection::{Interest, Pollable};

use super::message::{self, Kind, LARGEST, Reply};

/// More than any answer that is sent without being asked for so much.
const LARGEST_DATAGRAM: usize = 4096;
/// How many datagrams one step takes: a flood must not keep us from the clock.
const MOST_DATAGRAMS: usize = 8;

/// A question on its way.
pub struct Exchange {
    /// The server's number.
    pub server: usize,
    /// What is asked for.
    pub kind: Kind,
    id: u16,
    question: Vec<u8>,
    socket: Socket,
    stream: Option<Stream>,
}

/// What TCP needs besides: messages have their length in front of them.
struct Stream {
    unsent: Vec<u8>,
    received: Vec<u8>,
}

impl Exchange {
    /// Asks over UDP.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn by_datagram(server: usize, address: SocketAddr, name: &str, kind: Kind) -> io::Result<Exchange> {
        Exchange::begin(server, address, name, kind, Type::DGRAM)
    }

    /// Asks over TCP.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn by_stream(server: usize, address: SocketAddr, name: &str, kind: Kind) -> io::Result<Exchange> {
        Exchange::begin(server, address, name, kind, Type::STREAM)
    }

    fn begin(server: usize, address: SocketAddr, name: &str, kind: Kind, socket: Type) -> io::Result<Exchange> {
        let mut id = [0; 2];
        getrandom(&mut id, GetRandomFlags::empty())?;
        let id = u16::from_ne_bytes(id);
        let question = message::question(name, kind, id)?;
        let stream = (socket == Type::STREAM).then(|| {
            let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
            Stream { unsent: [&length.to_be_bytes()[..], &question].concat(), received: Vec::new() }
        });
        let socket = Socket::new(Domain::for_address(address), socket, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&SockAddr::from(address)) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut exchange = Exchange { server, kind, id, question, socket, stream };
        if exchange.stream.is_none() {
            exchange.send_again()?;
        }
        Ok(exchange)
    }

    /// Sends the datagram once more, as it was. TCP sees to itself.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn send_again(&mut self) -> io::Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        match self.socket.send(&self.question) {
            // No room now: as if the packet were lost.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// In which direction it goes on.
    pub fn interest(&self) -> Interest {
        match &self.stream {
            Some(stream) if !stream.unsent.is_empty() => Interest::Write,
            _ => Interest::Read,
        }
    }

    /// What the server says, if it has said something that belongs to the question.
    ///
    /// # Errors
    /// It cannot be reached, or has hung up.
    pub fn receive(&mut self, name: &str) -> io::Result<Option<Reply>> {
        let (kind, id) = (self.kind, self.id);
        let reply = match &mut self.stream {
            None => {
                let mut room = [0; LARGEST_DATAGRAM];
                for _ in 0..MOST_DATAGRAMS {
                    let Some(count) = unless_blocked((&self.socket).read(&mut room))? else { return Ok(None) };
                    match message::read(&mut room[..count], name, kind, id) {
                        Reply::Foreign => {}
                        reply => return Ok(Some(reply)),
                    }
                }
                return Ok(None);
            }
            Some(stream) => match stream.message(&self.socket)? {
                None => return Ok(None),
                Some(bytes) => message::read(bytes, name, kind, id),
            },
        };
        match reply {
            Reply::Foreign => Err(io::Error::other("it answered something else over TCP")),
            Reply::Truncated => Err(io::Error::other("its answer is cut off even over TCP")),
            reply => Ok(Some(reply)),
        }
    }
}

impl Stream {
    /// The message, once it is there in whole.
    fn message(&mut self, mut socket: &Socket) -> io::Result<Option<&mut [u8]>> {
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                // While the connect goes on, too, the kernel only says that it takes nothing now.
                Err(error) => {
                    unless_blocked(Err(error))?;
                    return Ok(None);
                }
            }
        }
        loop {
            let length = self.received.first_chunk::<2>().map(|length| usize::from(u16::from_be_bytes(*length)));
            let whole = 2 + length.unwrap_or(0);
            if length.is_some() && self.received.len() >= whole {
                return Ok(Some(&mut self.received[2..whole]));
            }
            if whole > LARGEST {
                return Err(io::Error::other("its answer is too long"));
            }
            let mut room = [0; LARGEST_DATAGRAM];
            match unless_blocked(socket.read(&mut room[..(whole - self.received.len()).min(LARGEST_DATAGRAM)]))? {
                None => return Ok(None),
                Some(0) => return Err(io::Error::other("it hung up")),
                Some(count) => self.received.extend_from_slice(&room[..count]),
            }
        }
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Pollable for Exchange {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn token(&self) -> usize {
        usize::try_from(self.socket.as_raw_fd()).unwrap_or(usize::MAX)
    }
}
