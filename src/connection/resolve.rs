//! Names by the system's resolver, in a thread, so that a name server that does not answer cannot hold up a deadline.
//!
//! The thread is started for one name and ends with the answer; a fork or a passed deadline leaves it to itself.

use std::io::{self, Read, Write};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::{SigSet, SigmaskHow};

use super::{Lookup, Pollable};

/// A name being resolved by `getaddrinfo`.
pub struct SystemLookup {
    signal: UnixStream,
    answers: Receiver<io::Result<Vec<IpAddr>>>,
}

impl SystemLookup {
    /// Begins to resolve `host`.
    ///
    /// # Errors
    /// No thread or no descriptor could be had.
    pub fn begin(host: &str) -> io::Result<SystemLookup> {
        let (signal, mut done) = UnixStream::pair()?;
        let (answer, answers) = channel();
        let host = host.to_owned();
        // Signals belong to PHP's thread: the helper is born with all of them blocked.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let spawned =
            std::thread::Builder::new().name("resilient-dns".to_owned()).stack_size(256 * 1024).spawn(move || {
                let found = (host.as_str(), 0_u16).to_socket_addrs();
                let found = found.map(|addresses| {
                    let mut ips: Vec<IpAddr> = Vec::new();
                    for address in addresses {
                        if !ips.contains(&address.ip()) {
                            ips.push(address.ip());
                        }
                    }
                    ips
                });
                // Nobody may be waiting any more; then the answer is not wanted.
                let _ = answer.send(found);
                let _ = done.write_all(&[1]);
            });
        let restored = before.thread_set_mask();
        spawned?;
        restored?;
        Ok(SystemLookup { signal, answers })
    }
}

impl Pollable for SystemLookup {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signal.as_fd())
    }

    fn token(&self) -> usize {
        usize::try_from(self.signal.as_raw_fd()).unwrap_or(usize::MAX)
    }
}

impl Lookup for SystemLookup {
    fn poll(&mut self) -> Option<io::Result<Vec<IpAddr>>> {
        match self.answers.try_recv() {
            Ok(answer) => {
                let _ = self.signal.read(&mut [0; 1]);
                Some(answer)
            }
            Err(std::sync::mpsc::TryRecvError::Empty) => None,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                Some(Err(io::Error::other("the name could not be resolved")))
            }
        }
    }
}
