//! The server at the other end, its certificates, and the wire between.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::super::super::{Patience, Pollable, Quiet, Transport};
use super::super::TlsTransport;
use crate::config::{NodeAddress, Tls, TlsOptions};
use crate::resp::Space;

/// An authority whose file lies in a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate with its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("resilient-redis-tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { issuer, folder };
        authority.file("ca.pem", &authority.issuer.pem());
        authority
    }

    /// Writes a file beside the authority's own, and says where it is.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn cafile(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    pub fn folder(&self) -> String {
        self.folder.to_str().unwrap().to_owned()
    }

    pub fn signs(&self, names: &[&str]) -> Identity {
        self.signs_so(names, |_| {})
    }

    pub fn signs_so(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names, change);
        params.distinguished_name.push(DnType::CommonName, "a server");
        identity(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A certificate that has signed itself.
pub fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().unwrap();
    identity(&params(names, change).self_signed(&key).unwrap(), &key)
}

fn params(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    params
}

fn identity(certificate: &rcgen::Certificate, key: &KeyPair) -> Identity {
    Identity {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

pub const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A server's side of TLS; `clients` must be signed by that authority, if there is one.
pub fn server(
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(identity.chain.clone(), identity.key.clone_key()).unwrap();
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    Arc::new(config)
}

/// What lies on the wire, and the server behind it.
pub struct Peer {
    server: Option<ServerConnection>,
    /// On its way to the client.
    pub toward: Vec<u8>,
    /// What the server has received.
    pub received: Vec<u8>,
    /// Why the server's side of TLS failed.
    pub failed: Option<rustls::Error>,
    /// All bytes that went over the wire, in both directions.
    pub carried: usize,
    /// How often the client sent, and received something.
    pub sends: usize,
    /// How many bytes the kernel takes before it takes no more; `None` for no limit.
    pub room: Option<usize>,
    /// How many bytes come at a time; `None` for all that there are.
    pub piece: Option<usize>,
    /// What the kernel has taken while the server's side was cut off.
    pub waiting: Vec<u8>,
    pub cut_off: bool,
    pub closed: bool,
    /// Nothing more can be sent.
    pub broken: bool,
}

/// One end of the wire. Clones are handles to the same one.
#[derive(Clone)]
pub struct Wire(pub Arc<Mutex<Peer>>);

impl Wire {
    pub fn to(config: &Arc<ServerConfig>) -> Wire {
        Wire::to_peer(Some(ServerConnection::new(config.clone()).unwrap()))
    }

    /// A peer that says only what a test has it say.
    pub fn to_nobody() -> Wire {
        Wire::to_peer(None)
    }

    fn to_peer(server: Option<ServerConnection>) -> Wire {
        Wire(Arc::new(Mutex::new(Peer {
            server,
            toward: Vec::new(),
            received: Vec::new(),
            failed: None,
            carried: 0,
            sends: 0,
            room: None,
            piece: None,
            waiting: Vec::new(),
            cut_off: false,
            closed: false,
            broken: false,
        })))
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut Peer) -> R) -> R {
        change(&mut self.0.lock())
    }

    /// The server sends bytes, sealed.
    pub fn say(&self, bytes: &[u8]) {
        self.change(|peer| {
            peer.server.as_mut().unwrap().writer().write_all(bytes).unwrap();
            peer.speak();
        });
    }

    /// The server says that it will say no more.
    pub fn notify(&self) {
        self.change(|peer| {
            peer.server.as_mut().unwrap().send_close_notify();
            peer.speak();
        });
    }
}

impl Peer {
    fn speak(&mut self) {
        let Some(server) = &mut self.server else { return };
        let mut sealed = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sealed).unwrap();
        }
        self.carried += sealed.len();
        self.toward.extend(sealed);
    }

    /// The server receives bytes.
    pub fn hear(&mut self, mut bytes: &[u8]) {
        let Some(server) = &mut self.server else { return };
        while !bytes.is_empty() && self.failed.is_none() {
            server.read_tls(&mut bytes).unwrap();
            if let Err(error) = server.process_new_packets() {
                self.failed = Some(error);
            }
            let mut room = [0; 4096];
            while let Ok(count @ 1..) = server.reader().read(&mut room) {
                self.received.extend(&room[..count]);
            }
        }
        self.speak();
    }
}

impl Pollable for Wire {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn token(&self) -> usize {
        0
    }
}

impl Transport for Wire {
    fn finish_connect(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.change(|peer| {
            if peer.broken {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let taken = peer.room.unwrap_or(usize::MAX).min(bytes.len());
            if taken == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            peer.room = peer.room.map(|room| room - taken);
            peer.carried += taken;
            peer.sends += 1;
            if peer.cut_off {
                peer.waiting.extend(&bytes[..taken]);
            } else {
                peer.hear(&bytes[..taken]);
            }
            Ok(taken)
        })
    }

    fn receive(&mut self, mut space: Space<'_>, _: Patience) -> io::Result<usize> {
        self.change(|peer| match peer.toward.len().min(space.len()).min(peer.piece.unwrap_or(usize::MAX)) {
            0 if peer.closed => Ok(0),
            0 => Err(ErrorKind::WouldBlock.into()),
            count => {
                match &mut space {
                    Space::Used(room) => room[..count].copy_from_slice(&peer.toward[..count]),
                    Space::Fresh(_) => panic!("sealed bytes are received into a buffer of TLS"),
                }
                peer.toward.drain(..count);
                Ok(count)
            }
        })
    }

    fn undelivered(&self) -> usize {
        self.change(|peer| peer.waiting.len())
    }

    fn peek(&mut self) -> Quiet {
        self.change(|peer| match peer.toward.is_empty() {
            false => Quiet::Bytes,
            true if peer.closed => Quiet::Closed,
            true => Quiet::Yes,
        })
    }
}

/// The policy with these options and configured hosts.
pub fn policy(options: TlsOptions, hosts: &[&str]) -> Tls {
    Tls::new(options, hosts.iter().map(|host| (*host).to_owned()))
}

/// Options that trust this authority.
pub fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions { cafile: Some(authority.cafile()), ..TlsOptions::default() }
}

/// Opens TLS to the end of the handshake.
pub fn open(tls: &Tls, node: &NodeAddress, wire: &Wire) -> io::Result<TlsTransport> {
    let mut transport = TlsTransport::begin(tls, node, Box::new(wire.clone()))?;
    match transport.step()? {
        None => Ok(transport),
        Some(interest) => Err(io::Error::other(format!("waits to {interest:?}"))),
    }
}

/// The same, where it goes well.
pub fn opened(tls: &Tls, wire: &Wire) -> TlsTransport {
    open(tls, &node(), wire).unwrap_or_else(|error| panic!("{error}"))
}

pub fn node() -> NodeAddress {
    NodeAddress::tcp("10.0.0.1", 6379)
}

/// Everything that can be received now.
pub fn received(transport: &mut TlsTransport) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut room = [0; 1000];
    loop {
        match transport.receive(Space::Used(&mut room), Patience::None) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend(&room[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}
