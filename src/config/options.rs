//! The constructor's second argument: every option is honoured, known to mean nothing here, or refused.

use super::allowed::AllowedNodes;
use super::command_set::CommandSet;
use super::defaults::Defaults;
use super::error::ConfigurationError;
use super::names::{self, IGNORED_OPTIONS, IGNORED_PARAMETERS, LATER, PARAMETERS, PROMOTED};
use super::node::{self, NodeParameters, Scheme};
use super::node_addresses::NodeAddresses;
use super::predis::{self, Replication};
use super::secret::Signing;
use super::setting::{Setting, is_integer_key};

/// What the options say, sorted by what it is about.
pub(super) struct Options {
    /// Option `parameters`: for every node.
    shared: NodeParameters,
    /// Option `connections`: for nodes of a scheme, as far as `parameters` says nothing.
    by_scheme: Vec<(Scheme, NodeParameters)>,
    /// Parameters at top level: as far as nothing else is said.
    promoted: NodeParameters,
    /// The defaults with the options of our own.
    pub tuned: Defaults,
    /// Whether `command_timeout` was among them.
    pub has_command_timeout: bool,
    /// Option `reader`, not yet read: it needs what the nodes have in common.
    pub reader: Option<Setting>,
    /// Option `allowed_nodes`.
    pub allowed_nodes: Option<AllowedNodes>,
    /// Option `node_address_map`.
    pub node_addresses: NodeAddresses,
    /// Option `commands` or `profile`.
    pub commands: CommandSet,
    /// Option `cluster`, if it asks for one.
    pub cluster: Option<Setting>,
    /// Of no meaning but where it would place keys.
    pub distributor: Option<Setting>,
    /// Option `replication`.
    pub replication: Replication,
    /// Option `prefix`.
    pub prefix: String,
    /// Option `service`.
    pub service: Option<String>,
    /// Option `update_sentinels`. Predis has this off; here it costs nobody a wait.
    pub update_sentinels: bool,
    /// Option `iam`.
    pub iam: Option<Signing>,
}

impl Options {
    pub(super) fn read(options: &Setting, defaults: &Defaults) -> Result<Options, ConfigurationError> {
        let mut read = Options {
            shared: NodeParameters::default(),
            by_scheme: Vec::new(),
            promoted: NodeParameters::default(),
            tuned: *defaults,
            has_command_timeout: false,
            reader: None,
            commands: CommandSet::default(),
            allowed_nodes: None,
            node_addresses: NodeAddresses::default(),
            cluster: None,
            distributor: None,
            replication: Replication::Unsaid,
            prefix: String::new(),
            service: None,
            update_sentinels: true,
            iam: None,
        };
        if *options == Setting::Null {
            return Ok(read);
        }
        let accepted = "an array of option names and values, or null";
        let entries = options.entries().ok_or_else(|| ConfigurationError::about("options", options, accepted))?;
        let mut promoted = Vec::new();
        for (name, value) in entries.iter().filter(|(name, value)| is_said(name, value)) {
            if PROMOTED.contains(&name.as_str()) {
                promoted.push((name.clone(), value.clone()));
            } else {
                read.option(name, value)?;
            }
        }
        read.promoted = NodeParameters::read("", &promoted)?;
        Ok(read)
    }

    /// The complete parameters of a node that says `own`, and the scheme by which they were found. Nearer wins: the
    /// node's own, `parameters`, `connections[scheme]`, top level.
    pub(super) fn complete(&self, own: &NodeParameters) -> (NodeParameters, Scheme) {
        let scheme = own.scheme_over(&self.shared);
        let mut complete = own.clone().or(&self.shared);
        for wanted in [Some(scheme), scheme.synonym()].into_iter().flatten() {
            for (_, layer) in self.by_scheme.iter().filter(|(known, _)| *known == wanted) {
                complete = complete.or(layer);
            }
        }
        (complete.or(&self.promoted), scheme)
    }

    fn option(&mut self, name: &str, value: &Setting) -> Result<(), ConfigurationError> {
        match name {
            "parameters" => self.shared = parameters(value)?,
            "connections" => self.by_scheme = connections(value)?,
            "cluster" => self.cluster = predis::cluster(value)?.then(|| value.clone()),
            "distributor" => self.distributor = Some(value.clone()),
            "replication" => self.replication = predis::replication(value)?,
            "service" => self.service = Some(predis::service(value)?),
            "update_sentinels" => self.update_sentinels = predis::update_sentinels(value)?,
            "autodiscovery" => predis::autodiscovery(value)?,
            "commands" | "profile" => self.commands = CommandSet::read(name, value)?,
            "prefix" => self.prefix = predis::prefix(value)?,
            "aggregate" => return Err(predis::not_available(name, value)),
            "reader" => self.reader = Some(value.clone()),
            "node_address_map" => self.node_addresses = NodeAddresses::read(name, value)?,
            "iam" => self.iam = Some(Signing::read(name, value)?),
            "allowed_nodes" => self.allowed_nodes = Some(AllowedNodes::read(name, value)?),
            _ if self.tuned.tune(name, name, value)? => self.has_command_timeout |= name == "command_timeout",
            _ if IGNORED_OPTIONS.contains(&name) || IGNORED_PARAMETERS.contains(&name) => {}
            _ if LATER.contains(&name) => return Err(predis::not_available(name, value)),
            _ => return Err(names::unknown_option(name, name, value)),
        }
        Ok(())
    }
}

/// Option `parameters`. Bare names, as in `['scheme', 'host', 'port']`, are a list of fields and say nothing.
fn parameters(value: &Setting) -> Result<NodeParameters, ConfigurationError> {
    let is_field_name = |item: &Setting| matches!(item, Setting::Text(name) if PARAMETERS.contains(&name.as_str()));
    if value.items().is_some_and(|items| items.iter().all(|item| is_field_name(item))) {
        return Ok(NodeParameters::default());
    }
    let accepted = "an array of parameter names and values";
    let entries = value.entries().ok_or_else(|| ConfigurationError::about("parameters", value, accepted))?;
    let named: Vec<_> =
        entries.iter().filter(|(key, item)| !(is_integer_key(key) && is_field_name(item))).cloned().collect();
    NodeParameters::read("parameters", &named)
}

/// Whether an entry says anything. An empty text says nothing, except where it stands for how much a server may send: a
/// limit that was meant must not turn into the default unseen.
fn is_said(name: &str, value: &Setting) -> bool {
    !value.is_absent() || *value != Setting::Null && matches!(name, "max_reply_size" | "max_depth")
}

/// Option `connections`: parameters per scheme. Predis has classes there.
fn connections(value: &Setting) -> Result<Vec<(Scheme, NodeParameters)>, ConfigurationError> {
    const CLASSES: &str = "an array of parameters per scheme, such as ['tcp' => ['timeout' => 2.5]] \
                           (custom connection classes are not supported)";
    if matches!(value, Setting::Text(word) if word == "default") {
        return Ok(Vec::new());
    }
    let schemes = value.entries().ok_or_else(|| ConfigurationError::about("connections", value, CLASSES))?;
    let mut layers = Vec::new();
    for (scheme, layer) in schemes.iter().filter(|(_, layer)| !layer.is_absent()) {
        let path = format!("connections.{scheme}");
        let entries = layer.entries().ok_or_else(|| ConfigurationError::about(&path, layer, CLASSES))?;
        let parameters = NodeParameters::read(&path, entries)?;
        layers.push((node::scheme(&path, &Setting::Text(scheme.clone()))?, parameters));
    }
    Ok(layers)
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
