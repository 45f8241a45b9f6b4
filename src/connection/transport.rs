//! The network as the rest of the house sees it: byte streams that never wait unless told to, and one place to wait.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::config::NodeAddress;
use crate::resp::Space;
use crate::time::Instant;

/// Something that [`Network::wait`] can wait for.
pub trait Pollable {
    /// What the operating system knows it by; `None` in tests.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// What the network knows it by.
    fn token(&self) -> usize;
}

/// One byte stream to a peer. Dropping it closes the connection at once, without a word to the peer.
pub trait Transport: Pollable + Send {
    /// Whether the connect that [`Network::dial`] began has succeeded; asked once the stream is writable.
    ///
    /// # Errors
    /// Why it failed.
    fn finish_connect(&mut self) -> io::Result<()>;

    /// Sends as much as the kernel takes without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now; anything else means that the connection is lost.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Receives what is there; 0 means that the peer has closed.
    ///
    /// # Errors
    /// `WouldBlock` if nothing came (within the patience); anything else means that the connection is lost.
    fn receive(&mut self, space: Space<'_>, patience: Patience) -> io::Result<usize>;

    /// Asked when the peer has closed in order: how many bytes at the end of what was sent never arrived there. The
    /// peer had closed before they came, and cannot have acted on them. Zero where nobody can tell.
    fn undelivered(&self) -> usize;

    /// Looks at an idle connection without waiting and without taking anything from it.
    fn peek(&mut self) -> Quiet;
}

/// Whether a receive may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// Up to [`SocketOptions::brief`], without any system call to say so.
    Brief,
}

/// What a peek at an idle connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing: as it should be.
    Yes,
    /// The peer has closed, or the connection is broken.
    Closed,
    /// Bytes that nobody asked for.
    Bytes,
}

/// What one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// Room to write, or the end of a connect.
    Write,
    /// Whichever comes first.
    Either,
}

/// One entry of a wait.
pub struct Waiter<'a> {
    /// What is waited for.
    pub what: &'a dyn Pollable,
    /// In which direction.
    pub interest: Interest,
    /// Set by the wait: whether it need not be waited for any longer.
    pub ready: bool,
}

/// How sockets are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// How long a receive with [`Patience::Brief`] waits.
    pub brief: Duration,
}

/// A name being resolved. Dropping it ends it.
pub trait Lookup: Send {
    /// Goes on as far as it goes without waiting: the addresses, once they are there, or why there are none.
    fn step(&mut self, now: Instant) -> Option<io::Result<Vec<IpAddr>>>;

    /// What one waits for: when any of it is ready, a step gets further.
    fn awaited(&self) -> Vec<(&dyn Pollable, Interest)>;

    /// When it wants to be stepped though nothing is ready; `None` before the first step.
    fn due(&self) -> Option<Instant>;
}

/// Where connections come from.
pub trait Network: Send + Sync {
    /// Begins to open a connection to a node, given by IP address or socket path. It is writable when that ended.
    ///
    /// # Errors
    /// It failed at once.
    fn dial(&self, node: &NodeAddress, options: SocketOptions) -> io::Result<Box<dyn Transport>>;

    /// Begins to resolve a name. Nothing is asked before its first step.
    ///
    /// # Errors
    /// It is no name, or no lookup could be started.
    fn lookup(&self, host: &str) -> io::Result<Box<dyn Lookup>>;

    /// Waits until at least one of the entries is ready or `timeout` has passed (`None`: as long as it takes).
    /// Without entries it just waits.
    ///
    /// # Errors
    /// The operating system cannot wait. A signal is not an error: the wait goes on.
    fn wait(&self, waiters: &mut [Waiter<'_>], timeout: Option<Duration>) -> io::Result<()>;

    /// Waits until `word`, which other processes may write to and wake us for, is not `seen` any more, or `limit` has
    /// passed. May return early.
    fn wait_word(&self, word: &AtomicU32, seen: u32, limit: Duration);
}
