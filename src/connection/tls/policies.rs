//! The TLS policies of the process: their files are read once, and each node has sessions of its own to resume.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::material::{self, Stamps, Trusted};
use super::verifier::Verifier;
use crate::config::{ConfigurationError, NodeAddress, Tls, TlsVersion};

/// More policies, nodes or announced names than this are a program that makes them up: the oldest go.
const MOST_POLICIES: usize = 32;
const MOST_NODES: usize = 256;
/// For how many names of one node sessions are kept: it has one, or two while its name changes.
const NAMES_PER_NODE: usize = 2;

static POLICIES: Mutex<Vec<Policy>> = parking_lot::const_mutex(Vec::new());

/// One policy with what its files held.
struct Policy {
    tls: Tls,
    stamps: Stamps,
    provider: Arc<CryptoProvider>,
    trusted: Arc<Trusted>,
    identity: Option<Arc<dyn ResolvesClientCert>>,
    nodes: Vec<(NodeAddress, Secured)>,
    announced: Vec<(IpAddr, String)>,
}

/// How one node is spoken to under one policy.
#[derive(Clone)]
pub struct Secured {
    /// What rustls needs, with the sessions that can be resumed.
    pub config: Arc<ClientConfig>,
    /// The name that the server is told.
    pub name: ServerName<'static>,
    /// All names of which its certificate must have one.
    pub names: Arc<[String]>,
}

/// Reads the files of a policy, if that has not been done or they have changed since.
///
/// # Errors
/// What is wrong with them, unless they were right before: then what they held goes on.
pub fn check(tls: &Tls) -> Result<(), ConfigurationError> {
    with_policy(tls, |_| ())
}

/// How `node` is spoken to.
///
/// # Errors
/// The files of the policy are wrong.
pub fn secured(tls: &Tls, node: &NodeAddress) -> Result<Secured, ConfigurationError> {
    with_policy(tls, |policy| policy.secured(node))
}

/// Says that a server whose certificate was verified has announced another one by this name, which led to these
/// addresses: there its certificate may be one for that name.
pub fn announce(tls: &Tls, name: &str, addresses: &[IpAddr]) {
    let _ = with_policy(tls, |policy| {
        for address in addresses {
            let known = policy.announced.iter().any(|(ip, known)| ip == address && known == name);
            if !known {
                forget_oldest(&mut policy.announced, MOST_NODES);
                policy.announced.push((*address, name.to_owned()));
                policy.nodes.retain(|(node, _)| ip_of(node) != Some(*address));
            }
        }
    });
}

fn with_policy<R>(tls: &Tls, then: impl FnOnce(&mut Policy) -> R) -> Result<R, ConfigurationError> {
    let mut policies = POLICIES.lock();
    let stamps = material::stamps(tls.options());
    let known = policies.iter().position(|policy| policy.tls == *tls);
    if let Some(known) = known.filter(|known| policies[*known].stamps == stamps) {
        return Ok(then(&mut policies[known]));
    }
    match (Policy::read(tls, stamps), known) {
        (Ok(fresh), Some(known)) => {
            let announced = std::mem::take(&mut policies[known].announced);
            policies[known] = Policy { announced, ..fresh };
            Ok(then(&mut policies[known]))
        }
        (Ok(fresh), None) => {
            forget_oldest(&mut policies, MOST_POLICIES);
            policies.push(fresh);
            let last = policies.len() - 1;
            Ok(then(&mut policies[last]))
        }
        // Somebody is just writing them anew.
        (Err(_), Some(known)) => Ok(then(&mut policies[known])),
        (Err(error), None) => Err(error),
    }
}

fn forget_oldest<T>(list: &mut Vec<T>, most: usize) {
    if list.len() >= most {
        list.remove(0);
    }
}

fn ip_of(node: &NodeAddress) -> Option<IpAddr> {
    match node {
        NodeAddress::Tcp { host, .. } => host.parse().ok(),
        NodeAddress::Unix { .. } => None,
    }
}

impl Policy {
    fn read(tls: &Tls, stamps: Stamps) -> Result<Policy, ConfigurationError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let options = tls.options();
        let identity = material::identity(options, &provider)?;
        Ok(Policy {
            tls: tls.clone(),
            stamps,
            trusted: material::trusted(options)?,
            identity: identity.map(|key| Arc::new(SingleCertAndKey::from(key)) as Arc<dyn ResolvesClientCert>),
            provider,
            nodes: Vec::new(),
            announced: Vec::new(),
        })
    }

    fn secured(&mut self, node: &NodeAddress) -> Secured {
        if let Some((_, secured)) = self.nodes.iter().find(|(known, _)| known == node) {
            return secured.clone();
        }
        let names = self.names_of(node);
        let secured = Secured { config: self.config(&names), name: told_name(&names), names: names.into() };
        forget_oldest(&mut self.nodes, MOST_NODES);
        self.nodes.push((node.clone(), secured.clone()));
        secured
    }

    /// The names of which the certificate of `node` must have one: those that the user configured, and those by which it
    /// was announced. Its address counts only if the user configured nothing but addresses: that a name leads to it
    /// is a name server's word, which nobody has verified.
    fn names_of(&self, node: &NodeAddress) -> Vec<String> {
        let mut names = self.tls.names().to_vec();
        if self.tls.options().peer_name.is_some() {
            return names;
        }
        let ip = ip_of(node);
        for (_, name) in self.announced.iter().filter(|(address, _)| Some(*address) == ip) {
            names.push(name.clone());
        }
        let by_address = self.tls.names().iter().all(|name| name.parse::<IpAddr>().is_ok());
        if by_address && let Some(ip) = ip.map(|ip| ip.to_string()).filter(|ip| !names.contains(ip)) {
            names.push(ip);
        }
        names
    }

    fn config(&self, names: &[String]) -> Arc<ClientConfig> {
        let options = self.tls.options();
        let verifier =
            Verifier::new(options, self.trusted.clone(), names, self.provider.signature_verification_algorithms);
        let versions: &[&SupportedProtocolVersion] = match (options.oldest, options.newest) {
            (TlsVersion::V12, TlsVersion::V12) => &[&TLS12],
            (TlsVersion::V13, _) => &[&TLS13],
            (TlsVersion::V12, TlsVersion::V13) => &[&TLS13, &TLS12],
        };
        let builder = ClientConfig::builder_with_provider(self.provider.clone());
        let builder = builder.with_protocol_versions(versions).expect("ring has suites for both versions");
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.clone()),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(NAMES_PER_NODE);
        config.enable_sni = options.sni;
        Arc::new(config)
    }
}

/// The name that the server is told: the first that is one. An address is not told.
fn told_name(names: &[String]) -> ServerName<'static> {
    let parsed = || names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok());
    let named = parsed().find(|name| matches!(name, ServerName::DnsName(_)));
    named.or_else(|| parsed().next()).unwrap_or_else(|| ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into()))
}
