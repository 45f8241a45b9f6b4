//! Names under resolution during a search: asked again and again, but never flooding the name server.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{NodeAddress, Tls};
use crate::connection::{Lookup, Network, announce_name};
use crate::failover::{Cause, Lost, Phase};
use crate::time::Instant;

/// How often a configured name is asked for while a failover is fresh, and for how long it counts as fresh.
const EAGER: Duration = Duration::from_millis(40);
const EAGER_FOR: Duration = Duration::from_secs(2);
/// How often after that, and how often a name that a server announced: many may be, and only the configured ones are
/// meant to lead to the primary.
const PATIENT: Duration = Duration::from_millis(250);

/// A name and where it leads. Never more than one lookup of it is open, and an open one sends little by itself: so a name
/// costs a name server that answers two questions every 40 ms at most, and one that does not about two in a second.
pub struct Name {
    host: String,
    port: u16,
    is_configured: bool,
    lookup: Option<Box<dyn Lookup>>,
    asked_at: Option<Instant>,
    failure: Option<Lost>,
    current: Vec<NodeAddress>,
}

impl Name {
    /// The configured name in `address`; `None` if it is no name but says itself where the node is.
    pub fn of(address: &NodeAddress) -> Option<Name> {
        match address {
            NodeAddress::Tcp { host, port } if host.parse::<IpAddr>().is_err() => Some(Name {
                host: host.to_string(),
                port: *port,
                is_configured: true,
                lookup: None,
                asked_at: None,
                failure: None,
                current: Vec::new(),
            }),
            _ => None,
        }
    }

    /// The address that says this name.
    pub fn address(&self) -> NodeAddress {
        NodeAddress::tcp(&self.host, self.port)
    }

    /// The name itself.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A name that a server announced.
    pub fn announced(address: &NodeAddress) -> Option<Name> {
        Name::of(address).map(|name| Name { is_configured: false, ..name })
    }

    /// Whether the user gave it, and no server.
    pub fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// Whether `address` is this name.
    pub fn is(&self, address: &NodeAddress) -> bool {
        matches!(address, NodeAddress::Tcp { host, port } if **host == *self.host && *port == self.port)
    }

    /// Asks, if it is time to.
    pub fn ask(&mut self, network: &dyn Network, started: Instant, now: Instant) {
        if self.lookup.is_some() || self.next_at(started).is_some_and(|at| at > now) {
            return;
        }
        self.asked_at = Some(now);
        match network.lookup(&self.host) {
            Ok(lookup) => self.lookup = Some(lookup),
            Err(error) => self.fail(&error),
        }
    }

    /// When to ask next; `None` while it was never asked.
    pub fn next_at(&self, started: Instant) -> Option<Instant> {
        let pace = |at: Instant| if self.is_configured && at.since(started) < EAGER_FOR { EAGER } else { PATIENT };
        self.asked_at.map(|at| at + pace(at))
    }

    /// The nodes that it leads to, once the answer is there. Under TLS their certificates may be for a name that was
    /// announced: whoever announced it was verified.
    pub fn answer(&mut self, now: Instant, tls: Option<&Tls>) -> Option<Vec<NodeAddress>> {
        let answer = self.lookup.as_mut()?.step(now)?;
        self.lookup = None;
        match answer {
            Ok(addresses) => {
                self.failure = None;
                if let Some(tls) = tls.filter(|_| !self.is_configured) {
                    announce_name(tls, &self.host, &addresses);
                }
                self.current = addresses.iter().map(|ip| NodeAddress::tcp(&ip.to_string(), self.port)).collect();
                Some(self.current.clone())
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Whether it has led somewhere, or failed to.
    pub fn has_answered(&self) -> bool {
        !self.current.is_empty() || self.failure.is_some()
    }

    /// Whether its last answer leads to `node`.
    pub fn leads_to(&self, node: &NodeAddress) -> bool {
        self.current.contains(node)
    }

    /// The lookup that is awaited.
    pub fn awaited(&self) -> Option<&dyn Lookup> {
        self.lookup.as_deref()
    }

    /// Whether its first answer is still awaited. A later one that is under way is not worth a wait.
    pub fn is_unheard(&self) -> bool {
        self.lookup.is_some() && !self.has_answered()
    }

    /// Why the last answer was none.
    pub fn failure(&self) -> Option<&Lost> {
        self.failure.as_ref()
    }

    fn fail(&mut self, error: &std::io::Error) {
        let text = format!("cannot resolve {}: {error}", self.host);
        self.failure = Some(Lost::before(Phase::Resolve, Cause::Io(text)));
    }
}
