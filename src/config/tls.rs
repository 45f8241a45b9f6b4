//! How connections are secured: the `ssl` options, under the names of PHP's stream contexts.

use std::sync::Arc;

use super::address::{Endpoint, NodeAddress};
use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::secret::Secret;
use super::setting::Setting;

/// What mean something here.
const OPTIONS: &[&str] = &[
    "cafile",
    "capath",
    "local_cert",
    "local_pk",
    "passphrase",
    "verify_peer",
    "verify_peer_name",
    "peer_name",
    "allow_self_signed",
    "SNI_enabled",
    "crypto_method",
    "crypto_type",
    "min_proto_version",
    "max_proto_version",
];

/// Names from before PHP 5.6, and what they are called since.
const FORMER: &[(&str, &str)] = &[("CN_match", "peer_name"), ("SNI_server_name", "peer_name")];

/// What PHP's streams would show or forbid, and here has nobody to see it or is never done.
const IGNORED: &[&str] = &["capture_peer_cert", "capture_peer_cert_chain", "disable_compression", "single_dh_use"];

/// What tightens PHP's own checks and cannot here: dropping it silently would loosen them.
const REFUSED: &[(&str, &str)] = &[
    ("ciphers", "null; the suites are AES-GCM and ChaCha20-Poly1305 with ECDHE, and no others"),
    ("ciphersuites", "null; the suites are AES-GCM and ChaCha20-Poly1305 with ECDHE, and no others"),
    ("peer_fingerprint", "null; name the certificate itself in `cafile` instead"),
    ("verify_depth", "null; a chain may have six authorities between the certificate and the one in `cafile`"),
    ("security_level", "null; what TLS 1.2 and 1.3 have left is all of a level that counts as secure"),
];

/// Bits of PHP's STREAM_CRYPTO_METHOD_* and STREAM_CRYPTO_PROTO_* constants.
const TLS_1_2: i64 = 32;
const TLS_1_3: i64 = 64;
/// All that such a constant may hold: the bit of clients, and those of the versions from SSL 2 on.
const ALL_BITS: i64 = 127;

/// A version of TLS. Older ones are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// What the `ssl` options say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// The file with the authorities that are trusted; neither this nor `capath`: those of the system.
    pub cafile: Option<String>,
    /// A folder with such files.
    pub capath: Option<String>,
    /// The file with the client's certificate.
    pub local_cert: Option<String>,
    /// The file with its key; none: the same.
    pub local_pk: Option<String>,
    /// What the key is encrypted with.
    pub passphrase: Option<Secret>,
    /// Whether the server's certificate must be one of a trusted authority.
    pub verify_peer: bool,
    /// Whether it must be one for a name by which the server is known.
    pub verify_peer_name: bool,
    /// That name, whatever the configured hosts are.
    pub peer_name: Option<String>,
    /// Whether a certificate may have signed itself.
    pub allow_self_signed: bool,
    /// Whether the server is told which name is wanted.
    pub sni: bool,
    /// The oldest version.
    pub oldest: TlsVersion,
    /// The newest version.
    pub newest: TlsVersion,
}

impl Default for TlsOptions {
    fn default() -> TlsOptions {
        TlsOptions {
            cafile: None,
            capath: None,
            local_cert: None,
            local_pk: None,
            passphrase: None,
            verify_peer: true,
            verify_peer_name: true,
            peer_name: None,
            allow_self_signed: false,
            sni: true,
            oldest: TlsVersion::V12,
            newest: TlsVersion::V13,
        }
    }
}

/// How all connections of a deployment are secured, and whom they must lead to. Part of a connection's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tls(Arc<Terms>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Terms {
    options: TlsOptions,
    names: Vec<String>,
}

impl Tls {
    /// TLS with these options. `hosts` are those that the user configured: a node is reached by an address that one of
    /// them led to, or another node told, and its certificate is one for such a name.
    pub fn new(options: TlsOptions, hosts: impl IntoIterator<Item = String>) -> Tls {
        let mut names: Vec<String> = Vec::new();
        let wanted: Vec<String> =
            options.peer_name.clone().map_or_else(|| hosts.into_iter().collect(), |name| vec![name]);
        for name in wanted {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Tls(Arc::new(Terms { options, names }))
    }

    /// What the options say.
    pub fn options(&self) -> &TlsOptions {
        &self.0.options
    }

    /// The names, of which a certificate must have one. The first is the one that servers are told.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }
}

/// What all nodes of a deployment say, or what makes the difference a mistake: nobody is to be asked in the clear for what
/// others are asked for under TLS.
pub(super) fn agree(
    place: &str,
    first: &Option<TlsOptions>,
    node: &Option<TlsOptions>,
) -> Result<(), ConfigurationError> {
    let (name, given) = match (first, node) {
        (Some(first), Some(node)) if first == node => return Ok(()),
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => ("ssl", "other TLS options than on the first node"),
        (Some(_), None) => ("scheme", "a scheme without TLS, and TLS on the first node"),
        (None, Some(_)) => ("scheme", "a scheme with TLS, and none on the first node"),
    };
    Err(ConfigurationError::new(&format!("{place}.{name}"), given, "the same on all nodes of a deployment"))
}

/// The hosts of endpoints, as [`Tls::new`] takes them.
pub(super) fn hosts<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>) -> Vec<String> {
    let hosts = endpoints.into_iter().filter_map(|endpoint| match &endpoint.address {
        NodeAddress::Tcp { host, .. } => Some(host.to_string()),
        NodeAddress::Unix { .. } => None,
    });
    hosts.collect()
}

/// Option `ssl`. `None` if it asks for nothing.
pub(super) fn read(place: &str, value: &Setting) -> Result<Option<TlsOptions>, ConfigurationError> {
    if *value == Setting::Bool(false) {
        return Ok(None);
    }
    let accepted = "an array of TLS options such as ['cafile' => '/etc/redis/ca.crt']";
    let entries = value.entries().ok_or_else(|| ConfigurationError::about(place, value, accepted))?;
    let mut options = TlsOptions::default();
    let mut methods = TLS_1_2 | TLS_1_3;
    for (name, value) in entries.iter().filter(|(_, value)| !value.is_absent()) {
        let path = format!("{place}.{name}");
        let name = FORMER.iter().find(|(former, _)| former == name).map_or(name.as_str(), |(_, today)| today);
        match name {
            "cafile" => options.cafile = Some(file(&path, value)?),
            "capath" => options.capath = Some(file(&path, value)?),
            "local_cert" => options.local_cert = Some(file(&path, value)?),
            "local_pk" => options.local_pk = Some(file(&path, value)?),
            "passphrase" => options.passphrase = Some(passphrase(&path, value)?),
            "verify_peer" => options.verify_peer = truth(&path, value)?,
            "verify_peer_name" => options.verify_peer_name = truth(&path, value)?,
            "peer_name" => options.peer_name = Some(peer_name(&path, value)?),
            "allow_self_signed" => options.allow_self_signed = truth(&path, value)?,
            "SNI_enabled" => options.sni = truth(&path, value)?,
            "crypto_method" | "crypto_type" => methods &= versions(&path, value)?,
            "min_proto_version" => methods &= !(version(&path, value)?.max(TLS_1_2) - 1),
            "max_proto_version" => methods &= version(&path, value)? * 2 - 1,
            _ if IGNORED.contains(&name) => {}
            _ => return Err(unknown(&path, name, value)),
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    if options.local_pk.is_some() && options.local_cert.is_none() {
        let accepted = "the file with the client's certificate, beside its key in `local_pk`";
        return Err(ConfigurationError::new(&format!("{place}.local_cert"), "nothing", accepted));
    }
    (options.oldest, options.newest) = match (methods & TLS_1_2 != 0, methods & TLS_1_3 != 0) {
        (true, true) => (TlsVersion::V12, TlsVersion::V13),
        (true, false) => (TlsVersion::V12, TlsVersion::V12),
        (false, true) => (TlsVersion::V13, TlsVersion::V13),
        (false, false) => {
            let given = "a lowest version above the highest";
            return Err(ConfigurationError::new(&format!("{place}.min_proto_version"), given, VERSIONS));
        }
    };
    Ok(Some(options))
}

fn unknown(path: &str, name: &str, value: &Setting) -> ConfigurationError {
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, accepted)) => ConfigurationError::new(path, value.kind(), *accepted),
        None => names::unknown(path, name, value, &[OPTIONS]),
    }
}

fn file(path: &str, value: &Setting) -> Result<String, ConfigurationError> {
    match value {
        // A file that is pasted in where its name belongs may be a key.
        Setting::Text(text) if text.contains("-----BEGIN") => {
            Err(ConfigurationError::new(path, "the contents of a file", "the name of a file in PEM format"))
        }
        Setting::Text(text) if !text.contains('\0') => Ok(text.clone()),
        _ => Err(ConfigurationError::about(path, value, "the name of a file in PEM format (a folder for `capath`)")),
    }
}

fn passphrase(path: &str, value: &Setting) -> Result<Secret, ConfigurationError> {
    match value {
        Setting::Text(text) => Ok(Secret::new(text.as_str())),
        Setting::Int(number) => Ok(Secret::new(number.to_string())),
        _ => Err(ConfigurationError::about_secret(path, "a string")),
    }
}

fn truth(path: &str, value: &Setting) -> Result<bool, ConfigurationError> {
    numbers::truth(value).ok_or_else(|| ConfigurationError::about(path, value, "true or false"))
}

fn peer_name(path: &str, value: &Setting) -> Result<String, ConfigurationError> {
    let fits =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    match value {
        Setting::Text(text) if fits(text.trim()) => Ok(text.trim().to_ascii_lowercase()),
        _ => Err(ConfigurationError::about(path, value, "a host name or IP address that the certificate has")),
    }
}

const VERSIONS: &str = "STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT, STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT, both combined, or \
                        STREAM_CRYPTO_METHOD_TLS_CLIENT (older versions than TLS 1.2 are not spoken)";

/// The versions in a combination of STREAM_CRYPTO_METHOD_* constants. Those that are too old are left out of it; of
/// nothing else there must be something left.
fn versions(path: &str, value: &Setting) -> Result<i64, ConfigurationError> {
    let bits = numbers::whole(value).filter(|bits| (1..=ALL_BITS).contains(bits) && bits & (TLS_1_2 | TLS_1_3) != 0);
    bits.ok_or_else(|| ConfigurationError::about(path, value, VERSIONS))
}

/// One STREAM_CRYPTO_PROTO_* constant.
fn version(path: &str, value: &Setting) -> Result<i64, ConfigurationError> {
    let accepted = "STREAM_CRYPTO_PROTO_TLSv1_2 or STREAM_CRYPTO_PROTO_TLSv1_3";
    let is_max = path.ends_with("max_proto_version");
    let bit = numbers::whole(value).filter(|bit| match *bit {
        TLS_1_2 | TLS_1_3 => true,
        // SSL 3, TLS 1.0 and 1.1 as the oldest: what is spoken is newer.
        4 | 8 | 16 => !is_max,
        _ => false,
    });
    bit.ok_or_else(|| ConfigurationError::about(path, value, accepted))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
