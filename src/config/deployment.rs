//! From both arguments of the constructor to one configuration: the nodes, and what they have in common.

use super::address::{DeclaredRole, Endpoint};
use super::allowed::AllowedNodes;
use super::command_set::CommandSet;
use super::defaults::Defaults;
use super::error::ConfigurationError;
use super::node::NodeParameters;
use super::node_addresses::NodeAddresses;
use super::options::Options;
use super::policy::{Policy, PoolLimits, Protocol, ReplyLimits};
use super::predis;
use super::ring::{self, RingMember};
use super::secret::{Credentials, Password, Signing};
use super::sentinel::{self, SentinelSettings};
use super::setting::Setting;
use super::tls::{self, Tls, TlsOptions};
use super::uri;

/// Everything a client needs to know, with nothing left to interpret.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Where the deployment can be reached, in the user's order without duplicates; at least one.
    pub endpoints: Vec<Endpoint>,
    /// The endpoint behind which replicas stand.
    pub reader: Option<Endpoint>,
    /// Where discovery may lead; none means wherever it leads.
    pub allowed_nodes: Option<AllowedNodes>,
    /// Where nodes are that announce other addresses.
    pub node_addresses: NodeAddresses,
    /// How sentinels are asked, if the endpoints are such.
    pub sentinel: SentinelSettings,
    /// Who the client says it is, on every node that holds data.
    pub credentials: Credentials,
    /// How connections to nodes that hold data are secured; none: not at all.
    pub tls: Option<Tls>,
    /// The database to select.
    pub database: u32,
    /// The protocol to ask for.
    pub protocol: Protocol,
    /// What goes in front of every key; may be empty.
    pub prefix: String,
    /// Whether the endpoint is the only node to talk to, whatever its role.
    pub fixed: bool,
    /// If the endpoints are several that Predis would share keys among, unless they say that they are a cluster: how.
    pub ring: Vec<RingMember>,
    /// What is said of each endpoint of a ring, in their order.
    pub apart: Vec<Configuration>,
    /// Where the nodes of a ring differ in what those of a cluster have in common.
    pub disagreement: Option<ConfigurationError>,
    /// Whether the endpoints are the nodes of one shard of a cluster.
    pub shard: bool,
    /// How long to wait for what, and what to try again.
    pub policy: Policy,
    /// How many connections are kept, and for how long.
    pub pool: PoolLimits,
    /// What a reply may cost.
    pub limits: ReplyLimits,
    /// What the user says about the names of commands.
    pub commands: CommandSet,
    /// What the policy and the limits were made of.
    pub(super) tuned: Defaults,
}

impl Configuration {
    /// Whether error replies are thrown; otherwise they are returned as values.
    pub fn throws(&self) -> bool {
        self.tuned.exceptions
    }
}

/// Checks both arguments of the constructor and says what they mean. `defaults` holds where they say nothing.
pub fn configure(
    parameters: &Setting,
    given_options: &Setting,
    defaults: &Defaults,
) -> Result<Configuration, ConfigurationError> {
    let options = Options::read(given_options, defaults)?;
    let nodes = nodes(parameters)?;
    let sentinels = sentinel::is_declared(&nodes, &options)?;
    let (Common { endpoints, node: common, secured }, disagreement) =
        if sentinels { (behind_sentinels(&nodes, &options)?, None) } else { plain(&nodes, &options)? };
    let ring = if sentinels { Vec::new() } else { ring::members(&nodes, &options, &endpoints)? };
    let apart = if ring.is_empty() { Vec::new() } else { ring::apart(parameters, given_options, defaults)? };
    options.commands.allow(&options.prefix)?;
    let reader = options.reader.as_ref().map(|value| reader(value, &options, &common, &secured)).transpose()?;
    let hosts = tls::hosts(endpoints.iter().chain(&reader));
    // What sentinels are called says nothing of the nodes behind them.
    let of_nodes = if sentinels { tls::hosts(&reader) } else { hosts.clone() };
    let tls = secured.nodes.map(|tls| Tls::new(tls, of_nodes));
    let of_sentinels = secured.sentinels.map(|tls| Tls::new(tls, hosts));
    let sentinel = SentinelSettings::of(nodes.first().map(|(_, node)| node), sentinels, of_sentinels, &options);

    let mut tuned = options.tuned;
    tuned.secured = tls.is_some();
    tuned.timeout = common.timeout.unwrap_or(tuned.timeout);
    tuned.read_write_timeout = common.read_write_timeout.unwrap_or(tuned.read_write_timeout);
    if let Some(retry) = &common.retry {
        retry.apply(&mut tuned, options.has_command_timeout)?;
    }
    let credentials = match &options.iam {
        Some(signing) => by_token(signing, &common, tls.is_some())?,
        None => Credentials { username: common.username, password: common.password.unwrap_or_default() },
    };
    Ok(Configuration {
        endpoints,
        reader,
        allowed_nodes: options.allowed_nodes.clone(),
        node_addresses: options.node_addresses.clone(),
        sentinel,
        credentials,
        tls,
        database: common.database.unwrap_or(0),
        protocol: common.protocol.unwrap_or_default(),
        prefix: options.prefix,
        fixed: false,
        ring,
        apart,
        disagreement,
        shard: false,
        policy: tuned.policy(),
        pool: tuned.pool(),
        limits: tuned.limits(),
        commands: options.commands.clone(),
        tuned,
    })
}

/// Who signs in by a token. It is never said in the clear, and nothing else says who that is.
fn by_token(signing: &Signing, common: &NodeParameters, secured: bool) -> Result<Credentials, ConfigurationError> {
    if !secured {
        let accepted = "tls:// (or scheme tls, or option ssl with it): a token is never sent in the clear";
        return Err(ConfigurationError::new("iam", "nodes without TLS", accepted));
    }
    if common.password.is_some() {
        return Err(ConfigurationError::new("password", "a secret beside option iam", "one of the two"));
    }
    if common.username.as_ref().is_some_and(|name| *name != signing.iam.user) {
        let accepted = "nothing, or what iam.user says";
        return Err(ConfigurationError::new("username", "another user than that of option iam", accepted));
    }
    let password = Password::Token(Box::new(signing.clone()));
    Ok(Credentials { username: Some(signing.iam.user.clone()), password })
}

/// The TLS options that hold for all nodes with data, and for sentinels.
struct Secured {
    nodes: Option<TlsOptions>,
    sentinels: Option<TlsOptions>,
}

/// The endpoints without duplicates, and what they have in common.
struct Common {
    endpoints: Vec<Endpoint>,
    node: NodeParameters,
    secured: Secured,
}

/// The endpoints. Those of a ring may differ; where they do is said beside them.
fn plain(
    nodes: &[(String, NodeParameters)],
    options: &Options,
) -> Result<(Common, Option<ConfigurationError>), ConfigurationError> {
    let may_differ = options.cluster.as_ref().is_some_and(predis::is_ring);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut common: Option<(NodeParameters, Option<TlsOptions>)> = None;
    let mut disagreement = None;
    for (place, own) in nodes {
        let (node, scheme) = options.complete(own);
        let endpoint = node.endpoint(place, scheme)?;
        let secured = node.secured(place, scheme)?;
        match &common {
            Some((first, first_secured)) => {
                let agreed = agree(place, first, &node).and_then(|()| tls::agree(place, first_secured, &secured));
                let is_new = endpoints.iter().all(|known| known.address != endpoint.address);
                let speaks_alike = first.protocol.unwrap_or_default() == node.protocol.unwrap_or_default();
                // The program is asked for one password at a time.
                let same_user = (&first.username, &first.password) == (&node.username, &node.password);
                let is_asked = |node: &NodeParameters| node.password.as_ref().is_some_and(|it| it.asker().is_some());
                let may_differ = may_differ && (same_user || !(is_asked(first) || is_asked(&node)));
                match agreed {
                    Err(error) if may_differ && is_new && speaks_alike => {
                        disagreement.get_or_insert(error);
                    }
                    agreed => agreed?,
                }
            }
            None => common = Some((node, secured)),
        }
        add(&mut endpoints, endpoint);
    }
    let (node, secured) = common.unwrap_or_default();
    // They may turn out to be sentinels.
    let secured = Secured { nodes: secured.clone(), sentinels: secured };
    Ok((Common { endpoints, node, secured }, disagreement))
}

/// The endpoints of sentinels, and what the nodes behind them have in common: nothing that is said of sentinels, but that
/// whoever speaks TLS with them and names no scheme for the nodes means TLS.
fn behind_sentinels(nodes: &[(String, NodeParameters)], options: &Options) -> Result<Common, ConfigurationError> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut sentinels: Option<Option<TlsOptions>> = None;
    for (place, own) in nodes {
        let (node, scheme) = options.complete(own);
        let secured = node.secured(place, scheme)?;
        tls::agree(place, sentinels.get_or_insert_with(|| secured.clone()), &secured)?;
        add(&mut endpoints, sentinel::endpoint(place, own, options)?);
    }
    sentinel::agree_among(nodes)?;
    let sentinels = sentinels.flatten();
    let (node, scheme) = options.complete(&NodeParameters::default());
    let nodes = match &sentinels {
        Some(sentinels) if node.scheme.is_none() => Some(node.ssl.clone().unwrap_or_else(|| sentinels.clone())),
        _ => node.secured("parameters", scheme)?,
    };
    Ok(Common { endpoints, node, secured: Secured { nodes, sentinels } })
}

fn add(endpoints: &mut Vec<Endpoint>, endpoint: Endpoint) {
    if !endpoints.iter().any(|known| known.address == endpoint.address) {
        endpoints.push(endpoint);
    }
}

/// The nodes of the first argument with the name of each in errors. Nothing is one node that says nothing itself.
fn nodes(parameters: &Setting) -> Result<Vec<(String, NodeParameters)>, ConfigurationError> {
    let Some(items) = parameters.items() else {
        return Ok(vec![("parameters".to_owned(), one_node("parameters", parameters)?)]);
    };
    let nodes = items.into_iter().enumerate().map(|(position, item)| {
        let place = format!("parameters[{position}]");
        let node = if *item == Setting::Null { Err(not_a_node(&place, item)) } else { one_node(&place, item) }?;
        Ok((place, node))
    });
    nodes.collect()
}

fn one_node(place: &str, value: &Setting) -> Result<NodeParameters, ConfigurationError> {
    match value {
        Setting::Null => Ok(NodeParameters::default()),
        Setting::Text(text) => NodeParameters::read(place, &uri::parse(place, text)?),
        _ => NodeParameters::read(place, value.entries().ok_or_else(|| not_a_node(place, value))?),
    }
}

fn not_a_node(place: &str, value: &Setting) -> ConfigurationError {
    let accepted = "a URI such as 'tcp://127.0.0.1:6379', 'host:port', an array of parameters, or a list of these";
    ConfigurationError::about(place, value, accepted)
}

/// The endpoint of option `reader`. It belongs to the deployment, so what it does not say is as on the other nodes,
/// but for the place, which it has to say itself.
fn reader(
    value: &Setting,
    options: &Options,
    common: &NodeParameters,
    secured: &Secured,
) -> Result<Endpoint, ConfigurationError> {
    if *value == Setting::Bool(false) || value.items().is_some() {
        return Err(ConfigurationError::about("reader", value, "one endpoint, as a URI or an array of parameters"));
    }
    let own = one_node("reader", value)?;
    if own.host.is_none() && own.path.is_none() {
        return Err(ConfigurationError::new("reader.host", "nothing", "the host (or path) of the reader endpoint"));
    }
    if own.role.is_some_and(|role| role != DeclaredRole::Replica) {
        return Err(ConfigurationError::new("reader.role", "another role", "'replica' or nothing"));
    }
    let (placed, scheme) = options.complete(&own);
    let endpoint = placed.endpoint("reader", scheme)?;
    agree("reader", common, &own.clone().or(common))?;
    if own.scheme.is_some() || own.ssl.is_some() {
        tls::agree("reader", &secured.nodes, &own.clone().or(common).secured("reader", scheme)?)?;
    }
    Ok(Endpoint { role: Some(DeclaredRole::Replica), alias: own.alias, ..endpoint })
}

/// Nodes of one deployment are asked by the same client in the same way: a difference is a mistake.
pub(super) fn agree(place: &str, first: &NodeParameters, node: &NodeParameters) -> Result<(), ConfigurationError> {
    let same = [
        ("username", first.username == node.username),
        ("password", first.password == node.password),
        // Who says nothing gets database 0 and RESP2, as does who says so.
        ("database", first.database.unwrap_or(0) == node.database.unwrap_or(0)),
        ("protocol", first.protocol.unwrap_or_default() == node.protocol.unwrap_or_default()),
        ("timeout", first.timeout == node.timeout),
        ("read_write_timeout", first.read_write_timeout == node.read_write_timeout),
        ("retry", first.retry == node.retry),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((name, _)) => {
            let given = if name == "password" { "a secret that differs from the first node's" } else { DIFFERENT };
            Err(ConfigurationError::new(
                &format!("{place}.{name}"),
                given,
                "the same value on all nodes of a deployment",
            ))
        }
    }
}

const DIFFERENT: &str = "another value than on the first node";

#[cfg(test)]
#[path = "deployment_tests.rs"]
#[allow(clippy::needless_pass_by_value, reason = "the tests read better without borrows")]
mod tests;
