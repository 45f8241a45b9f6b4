//! The parameters of one connection, from whichever place they were written in.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::address::{DeclaredRole, Endpoint, NodeAddress};
use super::error::ConfigurationError;
use super::host::fault_of_host_name;
use super::names::{self, IGNORED_PARAMETERS};
use super::numbers;
use super::policy::Protocol;
use super::retry::RetryOption;
use super::secret::{Password, Secret};
use super::setting::Setting;
use super::tls::{self, TlsOptions};

const SCHEMES: &str = "tcp, redis, tls, rediss, unix";
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 6379;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Tcp,
    Redis,
    Tls,
    Rediss,
    Unix,
}

impl Scheme {
    pub(super) fn is_secure(self) -> bool {
        matches!(self, Scheme::Tls | Scheme::Rediss)
    }

    /// Another word for the same: what is said for one holds for the other where that says nothing.
    pub(super) fn synonym(self) -> Option<Scheme> {
        match self {
            Scheme::Tcp => Some(Scheme::Redis),
            Scheme::Redis => Some(Scheme::Tcp),
            Scheme::Tls => Some(Scheme::Rediss),
            Scheme::Rediss => Some(Scheme::Tls),
            Scheme::Unix => None,
        }
    }
}

/// What one place says about a connection. Each place is checked by itself, also where another overrules it.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeParameters {
    pub scheme: Option<Scheme>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    pub database: Option<u32>,
    pub username: Option<String>,
    pub password: Option<Password>,
    pub timeout: Option<Duration>,
    pub read_write_timeout: Option<Option<Duration>>,
    pub alias: Option<String>,
    pub role: Option<DeclaredRole>,
    pub protocol: Option<Protocol>,
    pub retry: Option<RetryOption>,
    pub weight: Option<u32>,
    /// Used where the scheme says TLS.
    pub ssl: Option<TlsOptions>,
}

impl NodeParameters {
    /// Reads an array of parameters. `place` comes before the names in errors; none at top level.
    pub(super) fn read(place: &str, entries: &[(String, Setting)]) -> Result<NodeParameters, ConfigurationError> {
        let mut node = NodeParameters::default();
        let mut old_timeout = None;
        for (name, value) in entries.iter().filter(|(_, value)| !value.is_absent()) {
            let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            match name.as_str() {
                "scheme" => node.scheme = Some(scheme(&path, value)?),
                "host" => node.host = Some(host(&path, value)?),
                "port" => node.port = Some(port(&path, value)?),
                "path" => node.path = Some(socket_path(&path, value)?),
                "database" => node.database = Some(numbers::whole_between(&path, value, 0, i32::MAX as u32)?),
                "username" => node.username = Some(text(&path, value, "a user name")?),
                "password" => node.password = Some(password(&path, value)?),
                "timeout" => node.timeout = Some(numbers::positive_seconds(&path, value)?),
                "connection_timeout" => old_timeout = Some(numbers::positive_seconds(&path, value)?),
                "read_write_timeout" => node.read_write_timeout = Some(numbers::seconds_or_unlimited(&path, value)?),
                "alias" => node.alias = Some(text(&path, value, "a name")?),
                "role" => node.role = Some(role(&path, value)?),
                "protocol" => node.protocol = Some(protocol(&path, value)?),
                "retry" => node.retry = Some(RetryOption::read(&path, value)?),
                "ssl" => node.ssl = tls::read(&path, value)?,
                "weight" => node.weight = Some(numbers::whole_between(&path, value, 1, u32::MAX)?),
                "slots" => check_slots(&path, value)?,
                name if IGNORED_PARAMETERS.contains(&name) => {}
                name => return Err(names::unknown_parameter(&path, name, value)),
            }
        }
        // `connection_timeout` is the name that Predis gave up in 0.8; today's name wins beside it.
        node.timeout = node.timeout.or(old_timeout);
        // Predis 1 marked the master by its alias.
        if node.role.is_none() && node.alias.as_deref() == Some("master") {
            node.role = Some(DeclaredRole::Primary);
        }
        Ok(node)
    }

    /// These parameters, with `fallback` for what they leave out.
    pub(super) fn or(self, fallback: &NodeParameters) -> NodeParameters {
        NodeParameters {
            scheme: self.scheme.or(fallback.scheme),
            host: self.host.or_else(|| fallback.host.clone()),
            port: self.port.or(fallback.port),
            path: self.path.or_else(|| fallback.path.clone()),
            database: self.database.or(fallback.database),
            username: self.username.or_else(|| fallback.username.clone()),
            password: self.password.or_else(|| fallback.password.clone()),
            timeout: self.timeout.or(fallback.timeout),
            read_write_timeout: self.read_write_timeout.or(fallback.read_write_timeout),
            alias: self.alias.or_else(|| fallback.alias.clone()),
            role: self.role.or(fallback.role),
            protocol: self.protocol.or(fallback.protocol),
            retry: self.retry.or_else(|| fallback.retry.clone()),
            weight: self.weight.or(fallback.weight),
            ssl: self.ssl.or_else(|| fallback.ssl.clone()),
        }
    }

    /// The scheme of a node that says this itself where `shared` holds for all nodes. Who names a host means TCP and
    /// who names only a path means a socket file, whatever the shared parameters are.
    pub(super) fn scheme_over(&self, shared: &NodeParameters) -> Scheme {
        let implied = |node: &NodeParameters| match (node.scheme, &node.host, &node.path) {
            (None, None, Some(_)) if node.port.is_none() => Some(Scheme::Unix),
            (scheme, _, _) => scheme,
        };
        if let Some(scheme) = implied(self) {
            return scheme;
        }
        let names_tcp = self.host.is_some() || self.port.is_some();
        implied(shared).filter(|scheme| !(names_tcp && *scheme == Scheme::Unix)).unwrap_or(Scheme::Tcp)
    }

    /// The TLS options that complete parameters mean under this scheme; none means that it is not TLS. Under another
    /// scheme they mean nothing, as in Predis; but who gives some and no scheme at all has not meant that.
    pub(super) fn secured(&self, place: &str, scheme: Scheme) -> Result<Option<TlsOptions>, ConfigurationError> {
        if scheme == Scheme::Tcp && self.scheme.is_none() && self.ssl.is_some() {
            let accepted = "scheme tls beside them (or scheme tcp, to say that they are not meant)";
            return Err(ConfigurationError::new(&format!("{place}.ssl"), "TLS options and no scheme", accepted));
        }
        Ok(scheme.is_secure().then(|| self.ssl.clone().unwrap_or_default()))
    }

    /// The endpoint that complete parameters say.
    pub(super) fn endpoint(&self, place: &str, scheme: Scheme) -> Result<Endpoint, ConfigurationError> {
        let address = match (scheme, &self.path) {
            (Scheme::Unix, Some(path)) => NodeAddress::unix(path),
            (Scheme::Unix, None) => {
                return Err(ConfigurationError::new(
                    &format!("{place}.path"),
                    "scheme unix and no path",
                    "the path of the socket file",
                ));
            }
            _ => NodeAddress::tcp(self.host(), self.port()),
        };
        Ok(Endpoint { address, role: self.role, alias: self.alias.clone() })
    }

    /// What Predis calls the connection that complete parameters say.
    pub(super) fn name(&self, scheme: Scheme) -> String {
        match (scheme, &self.path) {
            (Scheme::Unix, Some(path)) => path.clone(),
            _ => format!("{}:{}", self.host(), self.port()),
        }
    }

    fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(DEFAULT_HOST)
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }
}

pub(super) fn scheme(option: &str, value: &Setting) -> Result<Scheme, ConfigurationError> {
    let word = match value {
        Setting::Text(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "tcp" => Ok(Scheme::Tcp),
        "redis" => Ok(Scheme::Redis),
        "unix" => Ok(Scheme::Unix),
        "tls" => Ok(Scheme::Tls),
        "rediss" => Ok(Scheme::Rediss),
        _ => Err(ConfigurationError::about(option, value, SCHEMES)),
    }
}

fn host(option: &str, value: &Setting) -> Result<String, ConfigurationError> {
    let accepted = "a host name or IP address, without scheme and port";
    let refused = || ConfigurationError::about(option, value, accepted);
    let Setting::Text(text) = value else { return Err(refused()) };
    let host = text.trim();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let address = host.split_once('%').map_or(host, |(address, _zone)| address);
    let foreign =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#' | '[' | ']' | '\\');
    if host.is_empty() || host.contains(foreign) || (host.contains(':') && address.parse::<Ipv6Addr>().is_err()) {
        return Err(refused());
    }
    match fault_of_host_name(host).filter(|_| !host.contains(':')) {
        Some(fault) => Err(ConfigurationError::about(option, value, format!("{accepted} ({fault})"))),
        // As it is written, for the name by which Predis knows it.
        None => Ok(text.trim().to_owned()),
    }
}

fn port(option: &str, value: &Setting) -> Result<u16, ConfigurationError> {
    let number = numbers::whole_between(option, value, 1, u32::from(u16::MAX))?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

fn socket_path(option: &str, value: &Setting) -> Result<String, ConfigurationError> {
    // The system's address structure holds 108 bytes, the closing zero included.
    match value {
        Setting::Text(path) if path.len() < 108 && !path.contains('\0') => Ok(path.clone()),
        _ => Err(ConfigurationError::about(option, value, "the path of a socket file, at most 107 bytes")),
    }
}

fn text(option: &str, value: &Setting, accepted: &str) -> Result<String, ConfigurationError> {
    match value {
        Setting::Text(text) => Ok(text.clone()),
        Setting::Int(number) => Ok(number.to_string()),
        _ => Err(ConfigurationError::about(option, value, accepted)),
    }
}

fn password(option: &str, value: &Setting) -> Result<Password, ConfigurationError> {
    let secret = |value: &Setting| match value {
        Setting::Text(text) if !text.is_empty() => Some(Secret::new(text.as_str())),
        Setting::Int(number) => Some(Secret::new(number.to_string())),
        _ => None,
    };
    let read = match value {
        Setting::Asked(asker) => Some(Password::Asked(asker.clone())),
        value => match value.items().as_deref() {
            None => secret(value).map(Password::known),
            Some([only]) => secret(only).map(Password::known),
            Some([first, second]) => {
                secret(first).and_then(|first| Some(Password::Known(first, Some(secret(second)?))))
            }
            Some(_) => None,
        },
    };
    let accepted = "a string, a list of two while it is being changed, or a callable (not a string) that gives it";
    read.ok_or_else(|| ConfigurationError::about_secret(option, accepted))
}

fn role(option: &str, value: &Setting) -> Result<DeclaredRole, ConfigurationError> {
    match value {
        Setting::Text(word) => match word.trim().to_ascii_lowercase().as_str() {
            "master" | "primary" => Some(DeclaredRole::Primary),
            "slave" | "replica" => Some(DeclaredRole::Replica),
            "sentinel" => Some(DeclaredRole::Sentinel),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| {
        let accepted = "'master', 'primary', 'slave', 'replica', 'sentinel'";
        ConfigurationError::about(option, value, accepted)
    })
}

fn protocol(option: &str, value: &Setting) -> Result<Protocol, ConfigurationError> {
    match numbers::whole(value) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        _ => Err(ConfigurationError::about(option, value, "2 or 3")),
    }
}

fn check_slots(option: &str, value: &Setting) -> Result<(), ConfigurationError> {
    let slot = |text: &str| text.trim().parse::<u16>().ok().filter(|slot| *slot < 16384);
    let range = |text: &str| match text.split_once('-') {
        Some((first, last)) => matches!((slot(first), slot(last)), (Some(first), Some(last)) if first <= last),
        None => slot(text).is_some(),
    };
    let fine = match value {
        Setting::Text(text) => text.split(',').all(range),
        Setting::Int(number) => (0..16384).contains(number),
        _ => false,
    };
    if fine { Ok(()) } else { Err(ConfigurationError::about(option, value, "slots such as '0-5460,5462'")) }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
