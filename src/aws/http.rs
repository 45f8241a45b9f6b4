//! Requests to an endpoint on this machine or beside it: HTTP/1.1, blocking, inside a deadline.
//!
//! No names are resolved, no redirects are followed, no proxy is asked, and a reply has a largest size. It takes a socket
//! of its own for each request: they are few, and keys are kept for hours.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::time::{Clock, Deadline};

use super::error::Fault;
use super::reply::{self, Reply};

/// The longest reply: keys with a session token take some kilobytes.
const LARGEST: usize = 64 * 1024;

/// Nothing that is asked here is further away than the next machine.
const TO_CONNECT: Duration = Duration::from_secs(1);

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it was written.
    pub text: String,
    /// The host.
    pub host: Host,
    port: u16,
    authority: String,
    path: String,
}

/// A host of a [`Url`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// This machine, by its name.
    Localhost,
}

impl Url {
    /// Reads `http://host:port/path`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        if text.starts_with("https://") {
            return Err("https is not supported");
        }
        let rest = text.strip_prefix("http://").ok_or("it does not begin with http://")?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains(['#', '\\']) {
            return Err("it has characters that a URL cannot have");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse().map_err(|_| "its port is no number")?),
            _ => (authority, 80),
        };
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match (bare, name.parse()) {
            (None, _) if name.eq_ignore_ascii_case("localhost") => Host::Localhost,
            (None, Ok(address @ IpAddr::V4(_))) => Host::Address(address),
            (Some(bare), _) => Host::Address(bare.parse::<Ipv6Addr>().map_err(|_| "its host is no address")?.into()),
            _ => return Err("its host is neither an IP address nor localhost"),
        };
        Ok(Url { text: text.to_owned(), host, port, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// What messages show. In a container the path is what lets one ask.
    pub fn shown(&self) -> String {
        format!("http://{}", self.authority)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = match self.host {
            Host::Address(address) => vec![address],
            Host::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        };
        addresses.into_iter().map(|address| SocketAddr::new(address, self.port)).collect()
    }
}

/// One request.
pub struct Request<'a> {
    /// The method.
    pub method: &'static str,
    /// Where to.
    pub url: &'a Url,
    /// What comes behind the path of `url`; with nothing here that path is taken as it is.
    pub path: &'a str,
    /// Headers besides those that every request has.
    pub headers: &'a [(&'static str, &'a str)],
}

impl Request<'_> {
    /// Sends it, and waits for the reply.
    ///
    /// # Errors
    /// Why there is none. Everything that goes wrong here may go well later.
    pub fn exchange(&self, clock: &dyn Clock, deadline: Deadline) -> Result<Reply, Fault> {
        let failed = |why: &str| Fault::Failed(format!("{} {why}", self.url.shown()));
        let mut stream = self.connect(clock, deadline).map_err(|error| failed(&said(&error, "is not reached")))?;
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target(), self.url.authority);
        for (name, value) in self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if self.method == "PUT" {
            head.push_str("Content-Length: 0\r\n");
        }
        head.push_str("Accept: */*\r\nConnection: close\r\nUser-Agent: resilient-redis\r\n\r\n");
        let mut received = Vec::new();
        let mut write = || {
            stream.set_write_timeout(Some(left(clock, deadline)?))?;
            stream.write_all(head.as_bytes())
        };
        write().map_err(|error| failed(&said(&error, "takes no request")))?;
        let mut room = [0_u8; 4096];
        loop {
            let mut receive = || {
                stream.set_read_timeout(Some(left(clock, deadline)?))?;
                stream.read(&mut room)
            };
            let count = match receive() {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(&said(&error, "gives no reply"))),
            };
            received.extend_from_slice(&room[..count]);
            match reply::read(&received, count == 0) {
                reply::Read::Whole(reply) => return Ok(reply),
                reply::Read::Broken => return Err(failed("gives no reply of HTTP")),
                reply::Read::Part if received.len() > LARGEST => return Err(failed("gives a reply that is too long")),
                reply::Read::Part => {}
            }
        }
    }

    fn target(&self) -> String {
        match (&*self.url.path, self.path) {
            ("", "") => "/".to_owned(),
            (whole, "") => whole.to_owned(),
            (base, path) => format!("{}{path}", base.trim_end_matches('/')),
        }
    }

    fn connect(&self, clock: &dyn Clock, deadline: Deadline) -> io::Result<TcpStream> {
        let mut last = ErrorKind::AddrNotAvailable.into();
        for address in self.url.addresses() {
            // Whatever a test got wrong, it talks to this machine only.
            #[cfg(test)]
            assert!(address.ip().is_loopback(), "a test was about to talk to {address}");
            match TcpStream::connect_timeout(&address, left(clock, deadline)?.min(TO_CONNECT)) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// What is left of the time.
fn left(clock: &dyn Clock, deadline: Deadline) -> io::Result<Duration> {
    match deadline.remaining(clock.now()) {
        Some(Duration::ZERO) => Err(ErrorKind::TimedOut.into()),
        Some(left) => Ok(left.max(Duration::from_millis(1))),
        None => Ok(Duration::from_secs(3600)),
    }
}

fn said(error: &io::Error, what: &str) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("{what}: the time is over"),
        _ => format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::aws::local_server::LocalServer;
    use crate::time::{FakeClock, SystemClock};

    use super::*;

    fn get(base: &str, clock: &dyn Clock, deadline: Deadline) -> Result<Reply, Fault> {
        let url = Url::parse(base).unwrap();
        let headers = [("Authorization", "secret")];
        Request { method: "GET", url: &url, path: "/x?y=z", headers: &headers }.exchange(clock, deadline)
    }

    fn soon(clock: &dyn Clock) -> Deadline {
        Deadline::after(clock.now(), Some(Duration::from_secs(5)))
    }

    #[test]
    fn a_request_has_what_http_wants_and_the_reply_is_read() {
        let server = LocalServer::answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody".into());
        let reply = get(&format!("{}/base/", server.url()), &SystemClock, soon(&SystemClock)).unwrap();
        assert_eq!(reply, Reply { status: 200, body: "body".to_owned() });
        let asked = server.asked();
        assert!(asked[0].starts_with("GET /base/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:"), "{asked:?}");
        assert!(asked[0].contains("\r\nAuthorization: secret\r\n") && asked[0].ends_with("\r\n\r\n"), "{asked:?}");
    }

    #[test]
    fn a_redirect_is_a_reply_like_any_other() {
        let server = LocalServer::answering(|_| "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n".into());
        assert_eq!(get(&server.url(), &SystemClock, soon(&SystemClock)).unwrap().status, 302);
    }

    #[test]
    fn replies_without_an_end_are_given_up() {
        let server = LocalServer::answering(|_| format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000)));
        let fault = get(&server.url(), &SystemClock, soon(&SystemClock)).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.ends_with("too long")), "{fault:?}");
        let server = LocalServer::answering(|_| "+PONG\r\n".into());
        let fault = get(&server.url(), &SystemClock, soon(&SystemClock)).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.ends_with("no reply of HTTP")), "{fault:?}");
    }

    #[test]
    fn a_server_that_says_nothing_is_waited_for_until_the_deadline() {
        let server = LocalServer::silent();
        let clock = Arc::new(FakeClock::default());
        let deadline = Deadline::after(clock.now(), Some(Duration::from_millis(20)));
        let fault = get(&server.url(), &clock, deadline).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.ends_with("the time is over")), "{fault:?}");
        clock.advance(Duration::from_millis(20));
        let fault = get(&server.url(), &clock, deadline).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.contains("is not reached")), "{fault:?}");
    }

    #[test]
    #[should_panic(expected = "a test was about to talk to 169.254.169.254:80")]
    fn no_test_can_reach_the_metadata_of_a_real_instance() {
        let _ = get("http://169.254.169.254", &SystemClock, soon(&SystemClock));
    }

    #[test]
    fn urls_are_plain_http_to_an_address() {
        let url = Url::parse("http://[fd00:ec2::254]:81/a/").unwrap();
        assert_eq!((url.host, url.port), (Host::Address("fd00:ec2::254".parse().unwrap()), 81));
        assert_eq!(Url::parse("http://LOCALHOST").unwrap().host, Host::Localhost);
        for wrong in [
            "",
            "https://127.0.0.1",
            "ftp://127.0.0.1",
            "http://metadata.example",
            "http://user@127.0.0.1",
            "http://127.0.0.1:x",
            "http://127.0.0.1:99999",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\r\nX: y",
            "http://[127.0.0.1]/",
            "http://::1/",
            "http:///x",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
