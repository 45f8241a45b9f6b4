//! Sentinel: which endpoints are sentinels, what they watch, and who the client says it is to them.
//!
//! As in Predis, the first argument is about the sentinels and option `parameters` about the nodes that they name: a
//! password in the one is never sent to the others.

use std::time::Duration;

use super::address::{DeclaredRole, Endpoint};
use super::deployment::agree;
use super::error::ConfigurationError;
use super::node::NodeParameters;
use super::options::Options;
use super::policy::Protocol;
use super::predis::Replication;
use super::secret::Credentials;
use super::tls::Tls;

/// How sentinels are asked: those that the user names, or those that endpoints turn out to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SentinelSettings {
    /// Whether the user says that the endpoints are sentinels. Otherwise what stands behind them is found out.
    pub declared: bool,
    /// The name under which they watch the primary; without one they must watch a single primary.
    pub service: Option<String>,
    /// Who the client says it is to them: what the first argument says, and nothing else.
    pub credentials: Credentials,
    /// How connections to them are secured.
    pub tls: Option<Tls>,
    /// Whether the sentinels that they know of are asked, too.
    pub learn: bool,
    /// How long one of them may take to answer; none: as long as a node may.
    pub timeout: Option<Duration>,
}

/// Whether the endpoints are sentinels by the user's word: by `replication`, by the role that they are given, or by a
/// `service`, which means nothing elsewhere.
pub(super) fn is_declared(nodes: &[(String, NodeParameters)], options: &Options) -> Result<bool, ConfigurationError> {
    let wanted = "the name of the service that the sentinels watch, such as 'mymaster'";
    if options.replication == Replication::Sentinel && options.service.is_none() {
        return Err(ConfigurationError::new("service", "nothing, with replication by sentinels", wanted));
    }
    let is_sentinel = |node: &NodeParameters| node.role == Some(DeclaredRole::Sentinel);
    let unsaid = options.replication == Replication::Unsaid;
    let by_option = options.replication == Replication::Sentinel || (unsaid && options.service.is_some());
    let declared = by_option || (unsaid && nodes.iter().any(|(_, node)| is_sentinel(node)));
    let odd_one_out = nodes.iter().find(|(_, node)| match node.role {
        None => declared && !by_option,
        Some(_) => is_sentinel(node) != declared,
    });
    match odd_one_out {
        None => Ok(declared),
        Some((place, _)) => Err(ConfigurationError::new(
            &format!("{place}.role"),
            "another role than on the other nodes, or than `replication` says",
            "sentinels only, or none: the nodes are found through the sentinels",
        )),
    }
}

impl SentinelSettings {
    /// What the first argument says of its endpoints, should they be sentinels.
    pub(super) fn of(
        first: Option<&NodeParameters>,
        declared: bool,
        tls: Option<Tls>,
        options: &Options,
    ) -> SentinelSettings {
        let own = first.cloned().unwrap_or_default();
        SentinelSettings {
            declared,
            service: options.service.clone(),
            credentials: Credentials { username: own.username, password: own.password.unwrap_or_default() },
            tls,
            learn: options.update_sentinels,
            timeout: own.timeout.into_iter().chain(own.read_write_timeout.flatten()).min().filter(|_| declared),
        }
    }
}

/// The endpoint of a node that is declared a sentinel.
pub(super) fn endpoint(place: &str, own: &NodeParameters, options: &Options) -> Result<Endpoint, ConfigurationError> {
    let elsewhere = |name: &str| {
        let path = format!("{place}.{name}");
        let accepted = format!("`{name}` in option `parameters`: the first argument is about the sentinels");
        ConfigurationError::new(&path, "a value", accepted)
    };
    if own.database.is_some_and(|database| database != 0) {
        return Err(elsewhere("database"));
    }
    if own.protocol == Some(Protocol::Resp3) {
        return Err(elsewhere("protocol"));
    }
    if own.retry.is_some() {
        return Err(elsewhere("retry"));
    }
    let (_, scheme) = options.complete(own);
    own.endpoint(place, scheme)
}

/// Sentinels of one service are asked by the same client in the same way.
pub(super) fn agree_among(nodes: &[(String, NodeParameters)]) -> Result<(), ConfigurationError> {
    let Some((_, first)) = nodes.first() else { return Ok(()) };
    nodes.iter().try_for_each(|(place, node)| agree(place, first, node))
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Defaults, NodeAddress, Secret, Setting, configure};
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    fn map(entries: &[(&str, Setting)]) -> Setting {
        Setting::Map(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn list(items: &[&str]) -> Setting {
        Setting::List(items.iter().map(|item| text(item)).collect())
    }

    fn by_sentinel(more: &[(&str, Setting)]) -> Setting {
        let own = [("replication", text("sentinel")), ("service", text("mymaster"))];
        map(&[&own[..], more].concat())
    }

    fn configured(parameters: &Setting, options: &Setting) -> Configuration {
        configure(parameters, options, &Defaults::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(parameters: &Setting, options: &Setting) -> ConfigurationError {
        match configure(parameters, options, &Defaults::default()) {
            Err(error) => error,
            Ok(configuration) => panic!("accepted: {configuration:?}"),
        }
    }

    #[test]
    fn the_first_argument_is_about_the_sentinels_and_the_parameters_about_the_nodes() {
        let shared = map(&[("password", text("data")), ("database", Setting::Int(3))]);
        let options = by_sentinel(&[("parameters", shared)]);
        let sentinels = list(&["redis://watcher:eye@10.0.0.1:26379", "redis://watcher:eye@10.0.0.2:26379"]);
        let configuration = configured(&sentinels, &options);
        assert!(configuration.sentinel.declared && configuration.sentinel.learn);
        assert_eq!(configuration.sentinel.service.as_deref(), Some("mymaster"));
        let watcher = Credentials::of(Some("watcher".into()), Secret::new("eye"));
        assert_eq!(configuration.sentinel.credentials, watcher);
        assert_eq!(configuration.credentials, Credentials::of(None, Secret::new("data")));
        assert_eq!(configuration.database, 3);
        let addresses: Vec<_> = configuration.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect();
        assert_eq!(addresses, [NodeAddress::tcp("10.0.0.1", 26379), NodeAddress::tcp("10.0.0.2", 26379)]);
    }

    #[test]
    fn a_password_of_the_nodes_is_none_of_the_sentinels() {
        let shared = map(&[("username", text("app")), ("password", text("data"))]);
        let configuration = configured(&text("h:26379"), &by_sentinel(&[("parameters", shared)]));
        assert_eq!(configuration.sentinel.credentials, Credentials::default());
        assert_eq!(configuration.credentials.username.as_deref(), Some("app"));
        let top = configured(&text("h:26379"), &by_sentinel(&[("password", text("data"))]));
        assert_eq!(top.sentinel.credentials, Credentials::default());
        assert_ne!(top.credentials, Credentials::default());
    }

    #[test]
    fn sentinels_are_declared_by_replication_by_service_or_by_their_role() {
        for options in [
            map(&[("replication", text("redis-sentinel")), ("service", text("m"))]),
            map(&[("replication", Setting::Bool(true)), ("service", text("m"))]),
            map(&[("service", text("m"))]),
        ] {
            assert!(configured(&text("h:26379"), &options).sentinel.declared);
        }
        let by_role = configured(&list(&["h:1?role=sentinel", "h:2?role=sentinel"]), &Setting::Null);
        assert!(by_role.sentinel.declared && by_role.sentinel.service.is_none());
        let plain = map(&[("replication", text("predis")), ("service", text("m"))]);
        assert!(!configured(&text("h:6379"), &plain).sentinel.declared);
        assert!(!configured(&text("h:6379"), &Setting::Null).sentinel.declared);
    }

    #[test]
    fn replication_by_sentinels_needs_the_name_of_a_service() {
        let error = refused(&text("h:26379"), &map(&[("replication", text("sentinel"))]));
        assert_eq!(error.option(), "service");
        assert!(error.accepted().contains("mymaster"), "{error}");
    }

    #[test]
    fn sentinels_and_nodes_do_not_stand_in_one_list() {
        let mixed = list(&["h:1?role=sentinel", "h:2"]);
        assert_eq!(refused(&mixed, &Setting::Null).option(), "parameters[1].role");
        let master = list(&["h:1", "h:2?role=master"]);
        assert_eq!(refused(&master, &by_sentinel(&[])).option(), "parameters[1].role");
        let plain = map(&[("replication", text("predis"))]);
        assert_eq!(refused(&text("h:1?role=sentinel"), &plain).option(), "parameters.role");
    }

    #[test]
    fn what_belongs_to_the_nodes_is_refused_in_the_first_argument() {
        for (uri, option) in [("h:1?database=2", "parameters.database"), ("h:1?protocol=3", "parameters.protocol")] {
            let error = refused(&text(uri), &by_sentinel(&[]));
            assert_eq!(error.option(), option);
            assert!(error.accepted().contains("in option `parameters`"), "{error}");
        }
        assert!(configured(&text("h:1?database=0&protocol=2"), &by_sentinel(&[])).sentinel.declared);
    }

    #[test]
    fn the_timeouts_of_the_first_argument_bound_the_questions_to_sentinels_alone() {
        let configuration = configured(&text("h:1?timeout=0.1&read_write_timeout=0.2"), &by_sentinel(&[]));
        assert_eq!(configuration.sentinel.timeout, Some(Duration::from_millis(100)));
        assert_eq!(configuration.policy.timeout, Defaults::default().timeout);
    }

    #[test]
    fn sentinels_that_disagree_are_an_error() {
        let error = refused(&list(&["a:1?password=x", "b:1?password=y"]), &by_sentinel(&[]));
        assert_eq!(error.option(), "parameters[1].password");
    }

    #[test]
    fn other_sentinels_are_not_asked_if_the_user_says_so() {
        let options = by_sentinel(&[("update_sentinels", Setting::Bool(false))]);
        assert!(!configured(&text("h:26379"), &options).sentinel.learn);
    }
}
