//! The real network: TCP and Unix sockets, and `poll`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::thread::futex;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use crate::config::NodeAddress;
use crate::resp::Space;

use super::dns::Resolver;
use super::{Interest, Lookup, Network, Patience, Pollable, Quiet, SocketOptions, Transport, Waiter};

/// Idle connections are probed by the kernel from here on: well below the 350 s after which AWS forgets a flow.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long to wait before the next look at a word where the system has no futex for us.
const WITHOUT_FUTEX: Duration = Duration::from_millis(5);

/// How long sent bytes may stay unacknowledged before the kernel gives a connection up (TCP_USER_TIMEOUT). A connection
/// serves clients with limits of their own, which they keep by themselves: so this is no client's limit, but what ends a
/// connection that somebody waits at without any.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// How many bytes a TCP socket has sent that its peer has not acknowledged; `None` if the system does not tell.
pub type Unacknowledged = fn(BorrowedFd<'_>) -> Option<usize>;

/// The operating system's sockets.
#[derive(Debug, Default)]
pub struct SystemNetwork {
    /// No safe interface asks the kernel for it, so the room that may be unsafe hands it down.
    pub unacknowledged: Option<Unacknowledged>,
    /// Where names are looked up.
    pub names: Resolver,
}

impl Network for SystemNetwork {
    fn dial(&self, node: &NodeAddress, options: SocketOptions) -> io::Result<Box<dyn Transport>> {
        let address = socket_address(node)?;
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // A zero would mean no limit, and the kernel counts in ticks.
        socket.set_read_timeout(Some(options.brief.max(Duration::from_millis(1))))?;
        if address.domain() != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL).with_retries(3);
            socket.set_tcp_keepalive(&keepalive)?;
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        }
        match socket.connect(&address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        // On a Unix socket the number means something else, and a write to a closed peer fails at once anyway.
        let unacknowledged = self.unacknowledged.filter(|_| address.domain() != Domain::UNIX);
        Ok(Box::new(SystemTransport { socket, unacknowledged }))
    }

    fn lookup(&self, host: &str) -> io::Result<Box<dyn Lookup>> {
        self.names.begin(host)
    }

    fn wait(&self, waiters: &mut [Waiter<'_>], timeout: Option<Duration>) -> io::Result<()> {
        let timeout =
            timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 }));
        let mut entries: Vec<PollFd<'_>> = waiters
            .iter()
            .filter_map(|waiter| {
                let flags = match waiter.interest {
                    Interest::Read => PollFlags::IN,
                    Interest::Write => PollFlags::OUT,
                    Interest::Either => PollFlags::IN | PollFlags::OUT,
                };
                Some(PollFd::from_borrowed_fd(waiter.what.descriptor()?, flags))
            })
            .collect();
        match poll(&mut entries, timeout.as_ref()) {
            // A signal: PHP's handlers run when the command is over, and the caller looks at its clock anyway.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = entries.iter().map(|entry| !entry.revents().is_empty()).collect();
        drop(entries);
        let pollable = waiters.iter_mut().filter(|waiter| waiter.what.descriptor().is_some());
        for (waiter, ready) in pollable.zip(ready) {
            waiter.ready = ready;
        }
        Ok(())
    }

    fn wait_word(&self, word: &AtomicU32, seen: u32, limit: Duration) {
        let timeout = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        match futex::wait(word, futex::Flags::empty(), seen, Some(&timeout)) {
            // The word had changed already, a signal came, or the time is over.
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            // Where the system allows no futex, the word is looked at now and then.
            Err(_) => {
                let _ = self.wait(&mut [], Some(limit.min(WITHOUT_FUTEX)));
            }
        }
    }
}

struct SystemTransport {
    socket: Socket,
    unacknowledged: Option<Unacknowledged>,
}

impl Pollable for SystemTransport {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn token(&self) -> usize {
        usize::try_from(self.socket.as_raw_fd()).unwrap_or(usize::MAX)
    }
}

impl Transport for SystemTransport {
    fn finish_connect(&mut self) -> io::Result<()> {
        let mut entry = [PollFd::new(&self.socket, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut entry, Some(&now))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        // From here on a receive may wait for as long as SO_RCVTIMEO says: that is the one system call per reply.
        self.socket.set_nonblocking(false)
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
    }

    #[inline]
    fn receive(&mut self, space: Space<'_>, patience: Patience) -> io::Result<usize> {
        let flags = match patience {
            Patience::None => RecvFlags::DONTWAIT,
            Patience::Brief => RecvFlags::empty(),
        };
        let count = match space {
            Space::Used(room) => recv(&self.socket, room, flags)?.1,
            Space::Fresh(room) => recv(&self.socket, room, flags)?.1,
        };
        Ok(count)
    }

    fn undelivered(&self) -> usize {
        // The segment with the peer's FIN acknowledged all that had arrived when it closed.
        self.unacknowledged.and_then(|ask| ask(self.socket.as_fd())).unwrap_or(0)
    }

    fn peek(&mut self) -> Quiet {
        let mut byte = [0_u8; 1];
        match recv(&self.socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Quiet::Closed,
            Ok(_) => Quiet::Bytes,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Quiet::Yes,
            Err(_) => Quiet::Closed,
        }
    }
}

fn socket_address(node: &NodeAddress) -> io::Result<SockAddr> {
    match node {
        NodeAddress::Unix { path } => SockAddr::unix(&**path),
        NodeAddress::Tcp { host, port } => match host.parse::<IpAddr>() {
            Ok(ip) => Ok(SockAddr::from(SocketAddr::new(ip, *port))),
            Err(_) => {
                let text = format!("{host} is a name where an IP address is needed");
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    const OPTIONS: SocketOptions = SocketOptions { brief: Duration::from_millis(20) };

    fn network() -> SystemNetwork {
        SystemNetwork::default()
    }

    fn connected(node: &NodeAddress) -> io::Result<Box<dyn Transport>> {
        let mut transport = network().dial(node, OPTIONS)?;
        let mut waiters = [Waiter { what: &*transport, interest: Interest::Write, ready: false }];
        network().wait(&mut waiters, Some(Duration::from_secs(5)))?;
        assert!(waiters[0].ready, "the connect did not end");
        transport.finish_connect()?;
        Ok(transport)
    }

    #[test]
    fn bytes_go_both_ways_over_tcp_and_the_end_is_seen_by_a_peek() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = NodeAddress::tcp("127.0.0.1", listener.local_addr().unwrap().port());
        let mut transport = connected(&node).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(transport.peek(), Quiet::Yes);
        let mut room = [0_u8; 16];
        let nothing = transport.receive(Space::Used(&mut room), Patience::Brief);
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"+OK\r\n").unwrap();
        assert_eq!(transport.receive(Space::Used(&mut room), Patience::Brief).unwrap(), 5);
        assert_eq!(transport.send(b"PING\r\n").unwrap(), 6);
        peer.write_all(b"x").unwrap();
        let mut waiters = [Waiter { what: &*transport, interest: Interest::Read, ready: false }];
        network().wait(&mut waiters, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(transport.peek(), Quiet::Bytes);
        transport.receive(Space::Used(&mut room), Patience::None).unwrap();
        drop(peer);
        let mut waiters = [Waiter { what: &*transport, interest: Interest::Read, ready: false }];
        network().wait(&mut waiters, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(transport.peek(), Quiet::Closed);
    }

    #[test]
    fn a_word_is_waited_for_until_it_changes_or_the_time_is_over() {
        let word = AtomicU32::new(1);
        let started = std::time::Instant::now();
        network().wait_word(&word, 1, Duration::from_millis(10));
        assert!(started.elapsed() >= Duration::from_millis(10), "{:?}", started.elapsed());
        network().wait_word(&word, 2, Duration::from_secs(60));
        assert!(started.elapsed() < Duration::from_secs(30), "a word that had changed is not waited for");
    }

    #[test]
    fn a_unix_socket_is_a_node_too() {
        let folder = std::env::temp_dir().join(format!("resilient-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let transport = connected(&NodeAddress::Unix { path: path.to_str().unwrap().into() });
        assert!(transport.is_ok(), "{:?}", transport.err());
        drop(listener);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_port_where_nobody_listens_refuses() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = connected(&NodeAddress::tcp("127.0.0.1", port)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
