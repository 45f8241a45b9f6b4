use std::time::Duration;

use super::super::address::NodeAddress;
use super::super::policy::Ceiling;
use super::super::secret::{Asker, Password, Secret};
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

fn configured(parameters: Setting, options: Setting) -> Configuration {
    configure(&parameters, &options, &Defaults::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(parameters: Setting, options: Setting) -> ConfigurationError {
    match configure(&parameters, &options, &Defaults::default()) {
        Err(error) => error,
        Ok(configuration) => panic!("accepted: {configuration:?}"),
    }
}

fn addresses(configuration: &Configuration) -> Vec<String> {
    configuration.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

#[test]
fn nothing_given_means_the_local_server_and_the_defaults() {
    for nothing in [Setting::Null, Setting::List(vec![]), text("")] {
        let configuration = configured(nothing, Setting::Null);
        assert_eq!(addresses(&configuration), ["127.0.0.1:6379"]);
        assert_eq!((configuration.database, configuration.protocol), (0, Protocol::Resp2));
        assert_eq!(configuration.credentials, Credentials::default());
        assert_eq!(configuration.policy, Defaults::default().policy());
        assert!(configuration.reader.is_none());
    }
}

#[test]
fn without_a_first_argument_the_option_parameters_is_the_connection() {
    let shared = map(&[("host", text("h")), ("port", text("6380")), ("password", text("hunter2"))]);
    let configuration = configured(Setting::Null, map(&[("parameters", shared)]));
    assert_eq!(addresses(&configuration), ["h:6380"]);
    assert_eq!(configuration.credentials.password.at_turn(0).unwrap().expose(), "hunter2");
}

#[test]
fn the_first_argument_wins_over_the_option_parameters() {
    let shared = map(&[("host", text("other")), ("port", Setting::Int(1)), ("database", Setting::Int(3))]);
    let configuration = configured(text("h?database=2"), map(&[("parameters", shared)]));
    assert_eq!((addresses(&configuration), configuration.database), (vec!["h:1".to_owned()], 2));
}

#[test]
fn an_array_is_one_connection() {
    let node = map(&[("host", text("h")), ("protocol", text("3")), ("username", text("app")), ("alias", text("a"))]);
    let configuration = configured(node, Setting::Null);
    assert_eq!(configuration.protocol, Protocol::Resp3);
    assert_eq!(configuration.endpoints[0].alias.as_deref(), Some("a"));
    assert_eq!(configuration.credentials.username.as_deref(), Some("app"));
    let socket = configured(text("/run/redis.sock"), Setting::Null);
    assert_eq!(socket.endpoints[0].address, NodeAddress::unix("/run/redis.sock"));
}

#[test]
fn a_list_is_the_nodes_of_one_deployment_without_duplicates() {
    let nodes = Setting::List(vec![
        text("tcp://A:1?role=master"),
        map(&[("host", text("b")), ("port", Setting::Int(1)), ("role", text("slave"))]),
        text("a:1"),
    ]);
    let configuration = configured(nodes, map(&[("replication", text("predis"))]));
    assert_eq!(addresses(&configuration), ["a:1", "b:1"]);
    let roles: Vec<_> = configuration.endpoints.iter().map(|endpoint| endpoint.role).collect();
    assert_eq!(roles, [Some(DeclaredRole::Primary), Some(DeclaredRole::Replica)]);
}

#[test]
fn nodes_that_disagree_are_an_error_that_names_the_parameter() {
    for (second, parameter) in [
        ("b?password=other", "password"),
        ("b", "password"),
        ("b?password=hunter2&database=1", "database"),
        ("b?password=hunter2&timeout=9", "timeout"),
        ("b?password=hunter2&protocol=3", "protocol"),
        ("b?password=hunter2&username=u", "username"),
    ] {
        let error = refused(list(&["a?password=hunter2&database=0", second]), Setting::Null);
        assert_eq!(error.option(), format!("parameters[1].{parameter}"));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn cluster_is_accepted_with_any_number_of_endpoints() {
    let cluster = |word: &str| map(&[("cluster", text(word))]);
    for word in ["redis", "redis-cluster", "predis"] {
        assert_eq!(configured(text("h"), cluster(word)).endpoints.len(), 1);
        assert_eq!(configured(list(&["h", "h:6379"]), cluster(word)).endpoints.len(), 1);
        assert_eq!(configured(list(&["a", "b"]), cluster(word)).endpoints.len(), 2);
    }
    assert_eq!(configured(list(&["a", "b"]), map(&[("cluster", Setting::Bool(true))])).endpoints.len(), 2);
    let ring = |nodes, word| configured(nodes, cluster(word)).ring.len();
    assert_eq!(
        [ring(list(&["a", "b"]), "predis"), ring(list(&["a"]), "predis"), ring(list(&["a", "b"]), "redis")],
        [2, 0, 0]
    );
}

#[test]
fn the_nodes_of_a_ring_are_called_as_predis_calls_them() {
    let options = map(&[("cluster", text("predis")), ("parameters", map(&[("port", Setting::Int(7000))]))]);
    let nodes = Setting::List(vec![
        text("tcp://Redis.Example:6379?alias=first&weight=3"),
        text("tcp://[::1]:1"),
        map(&[("host", text("[::1]")), ("port", Setting::Int(2))]),
        map(&[("host", text("10.0.0.1"))]),
        text("unix:/run/redis.sock"),
        text("redis.example:6379"),
    ]);
    let members = configured(nodes, options.clone()).ring;
    let seen: Vec<_> = members.iter().map(|member| (&*member.name, member.weight, member.endpoint)).collect();
    let expected = [
        ("Redis.Example:6379", 3, 0),
        ("::1:1", 100, 1),
        ("[::1]:2", 100, 2),
        ("10.0.0.1:7000", 100, 3),
        ("/run/redis.sock", 100, 4),
        ("redis.example:6379", 100, 0),
    ];
    assert_eq!(seen, expected);
    let placing = map(&[("cluster", text("predis")), ("distributor", text("ketama"))]);
    assert_eq!(refused(list(&["a", "b"]), placing.clone()).option(), "distributor");
    assert_eq!(configured(list(&["a"]), placing).ring.len(), 0);
}

#[test]
fn the_nodes_of_a_ring_have_parameters_of_their_own() {
    let options = map(&[("cluster", text("predis")), ("password", text("shared")), ("timeout", Setting::Int(3))]);
    let nodes = list(&["a?database=1&timeout=2&role=master", "b?password=own", "a?database=1&timeout=2", "tls://c"]);
    let configuration = configured(nodes, options.clone());
    let seen = configuration.apart.iter().map(|node| {
        let password = node.credentials.password.clone();
        (
            node.endpoints[0].address.to_string(),
            node.database,
            node.policy.timeout.as_secs(),
            password,
            node.tls.is_some(),
        )
    });
    let secret = |text: &str| Password::known(Secret::new(text));
    let expected = [
        ("a:6379".to_owned(), 1, 2, secret("shared"), false),
        ("b:6379".to_owned(), 0, 3, secret("own"), false),
        ("c:6379".to_owned(), 0, 3, secret("shared"), true),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert!(configuration.apart.iter().all(|node| node.ring.is_empty() && node.endpoints[0].role.is_none()));
    assert_eq!(configuration.disagreement.unwrap().option(), "parameters[1].password");
    assert_eq!(refused(list(&["a", "a?database=1", "b"]), options.clone()).option(), "parameters[1].database");
    assert_eq!(refused(list(&["a", "b?protocol=3"]), options.clone()).option(), "parameters[1].protocol");
    let asked = Setting::Asked(Asker { number: 0, place: "a.php:1".into() });
    let one_asks = Setting::List(vec![text("a"), map(&[("host", text("b")), ("password", asked)])]);
    assert_eq!(refused(one_asks, options.clone()).option(), "parameters[1].password");
    let changed = configured(list(&["a?database=1", "b"]), options).with_options(&map(&[("timeout", Setting::Int(9))]));
    let changed = changed.unwrap().apart;
    assert!(changed.iter().all(|node| node.policy.timeout.as_secs() == 9) && changed[0].database == 1);
}

#[test]
fn errors_name_the_node_of_a_list() {
    let error = refused(list(&["a", "b:99999"]), Setting::Null);
    assert_eq!(
        error.to_string(),
        "option `parameters[1].port`: given string 'b:99999', accepted: a whole number from 1 to 65535"
    );
    let nodes = Setting::List(vec![map(&[("port", text("x"))])]);
    assert_eq!(refused(nodes, Setting::Null).option(), "parameters[0].port");
    assert_eq!(refused(Setting::List(vec![Setting::Null]), Setting::Null).option(), "parameters[0]");
    let nested = Setting::List(vec![list(&["a"])]);
    assert_eq!(refused(nested, Setting::Null).option(), "parameters[0]");
    for wrong in [Setting::Int(6379), Setting::Bool(true), Setting::Other("closure".into())] {
        assert_eq!(refused(wrong, Setting::Null).option(), "parameters");
    }
}

#[test]
fn the_reader_is_an_endpoint_of_the_same_deployment() {
    let shared = map(&[("port", Setting::Int(6380)), ("password", text("hunter2"))]);
    let options = |reader: Setting| map(&[("parameters", shared.clone()), ("reader", reader)]);
    let reader = configured(text("h?database=1"), options(text("ro"))).reader.unwrap();
    assert_eq!((reader.address.to_string(), reader.role), ("ro:6380".to_owned(), Some(DeclaredRole::Replica)));
    let error = refused(text("h"), options(text("ro?password=other")));
    assert_eq!(error.option(), "reader.password");
    assert_eq!(refused(text("h"), options(map(&[("port", Setting::Int(1))]))).option(), "reader.host");
    assert_eq!(refused(text("h"), options(list(&["ro"]))).option(), "reader");
    assert_eq!(refused(text("h"), options(text("ro?role=master"))).option(), "reader.role");
}

#[test]
fn the_deadline_of_retry_is_another_name_of_command_timeout() {
    let deadline = map(&[("deadline", Setting::Int(7)), ("ceiling", text("read"))]);
    let policy = configured(Setting::Null, map(&[("retry", deadline.clone())])).policy;
    assert_eq!((policy.command_timeout, policy.retry.ceiling), (Some(Duration::from_secs(7)), Ceiling::Read));
    let both = |seconds| map(&[("retry", deadline.clone()), ("command_timeout", Setting::Int(seconds))]);
    assert_eq!(configured(Setting::Null, both(7)).policy.command_timeout, Some(Duration::from_secs(7)));
    assert_eq!(refused(Setting::Null, both(8)).option(), "retry.deadline");
}

#[test]
fn retry_may_stand_among_the_parameters_as_in_predis() {
    let options = map(&[("parameters", map(&[("retry", Setting::Bool(false))]))]);
    assert_eq!(configured(Setting::Null, options).policy.retry.max_attempts, Some(1));
}

#[test]
fn a_configuration_never_shows_its_password() {
    let configuration = configured(text("redis://app:hunter2@h"), Setting::Null);
    let shown = format!("{configuration:?}");
    assert!(shown.contains("app") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let defaults = Defaults { command_timeout: Some(Duration::from_secs(5)), max_depth: 7, ..Defaults::default() };
    let configuration = configure(&Setting::Null, &Setting::Null, &defaults).unwrap();
    assert_eq!(configuration.policy.command_timeout, Some(Duration::from_secs(5)));
    assert_eq!(configuration.limits.max_depth, 7);
}

fn names(tls: &Option<Tls>) -> Vec<String> {
    tls.as_ref().unwrap_or_else(|| panic!("no TLS")).names().to_vec()
}

#[test]
fn tls_holds_for_the_whole_deployment_and_knows_the_hosts_of_all_endpoints() {
    let ssl = map(&[("cafile", text("/ca.pem"))]);
    let node = map(&[("scheme", text("tls")), ("host", text("Master.Example")), ("ssl", ssl)]);
    let options = map(&[("reader", text("replica.example:6380"))]);
    let configuration = configured(node, options);
    assert_eq!(names(&configuration.tls), ["master.example", "replica.example"]);
    assert_eq!(configuration.tls.as_ref().unwrap().options().cafile.as_deref(), Some("/ca.pem"));
    assert_eq!(configuration.tls, configuration.sentinel.tls, "the endpoint may turn out to be a sentinel");
    let other = configuration.at_node(&NodeAddress::tcp("10.0.0.9", 6379), false);
    assert_eq!(other.tls, configuration.tls, "a node that was found is verified by the configured names");
    assert!(configuration.policy.secured && other.policy.secured);
    assert!(configured(text("tcp://h"), Setting::Null).tls.is_none());
}

#[test]
fn tls_options_stand_where_predis_has_them() {
    let of = |parameters: Setting, options: Setting| configured(parameters, options).tls.unwrap().options().clone();
    let ssl = |file: &str| map(&[("cafile", text(file))]);
    assert_eq!(of(text("rediss://h?ssl[cafile]=/a"), Setting::Null).cafile.as_deref(), Some("/a"));
    let shared = map(&[("parameters", map(&[("scheme", text("tls")), ("ssl", ssl("/b"))]))]);
    assert_eq!(of(text("h:6379"), shared).cafile.as_deref(), Some("/b"));
    let by_scheme = map(&[("connections", map(&[("tls", map(&[("ssl", ssl("/c"))]))]))]);
    assert_eq!(of(text("rediss://h"), by_scheme).cafile.as_deref(), Some("/c"));
    assert_eq!(of(text("tls://h"), map(&[("ssl", ssl("/d"))])).cafile.as_deref(), Some("/d"));
    assert!(configured(text("tcp://h"), map(&[("ssl", ssl("/d"))])).tls.is_none(), "scheme tcp means tcp");
}

#[test]
fn nobody_is_asked_in_the_clear_for_what_others_are_asked_for_under_tls() {
    let error = refused(list(&["tls://a", "tcp://b"]), Setting::Null);
    assert_eq!((error.option(), error.accepted()), ("parameters[1].scheme", "the same on all nodes of a deployment"));
    let error = refused(list(&["tls://a?ssl[cafile]=/x", "tls://b"]), Setting::Null);
    assert_eq!(error.option(), "parameters[1].ssl");
    for reader in ["tcp://b", "tls://b?ssl[cafile]=/y"] {
        let error = refused(text("tls://a?ssl[cafile]=/x"), map(&[("reader", text(reader))]));
        assert!(error.option().starts_with("reader.s"), "{reader}: {error}");
    }
    assert!(refused(text("tcp://a"), map(&[("reader", text("tls://b"))])).option().starts_with("reader.s"));
    configured(text("tls://a?ssl[cafile]=/x"), map(&[("reader", text("tls://b"))]));
}

#[test]
fn who_speaks_tls_with_sentinels_means_tls_for_the_nodes_unless_a_scheme_says_otherwise() {
    let by_sentinel = |parameters: Setting| {
        map(&[("replication", text("sentinel")), ("service", text("m")), ("parameters", parameters)])
    };
    let sentinels = || list(&["tls://s1:26379?ssl[cafile]=/ca", "tls://s2:26379?ssl[cafile]=/ca"]);
    let inherited = configured(sentinels(), by_sentinel(map(&[("password", text("x"))])));
    assert_eq!(names(&inherited.sentinel.tls), ["s1", "s2"]);
    assert!(names(&inherited.tls).is_empty(), "they are no names of the nodes");
    assert_eq!(inherited.tls.as_ref().unwrap().options().cafile.as_deref(), Some("/ca"));
    let plain = configured(sentinels(), by_sentinel(map(&[("scheme", text("tcp"))])));
    assert!(plain.tls.is_none() && plain.sentinel.tls.is_some());
    let nodes_only = configured(list(&["tcp://s1"]), by_sentinel(map(&[("scheme", text("tls"))])));
    assert!(nodes_only.tls.is_some() && nodes_only.sentinel.tls.is_none());
}

#[test]
fn whoever_is_named_is_spoken_to_under_the_same_tls() {
    let named = NodeAddress::tcp("192.0.2.1", 1);
    let configuration = configured(text("tls://redis.example"), Setting::Null);
    assert!(configuration.tls.is_some());
    assert_eq!(configuration.at_node(&named, false).tls, configuration.tls);
    assert_eq!(configuration.at_shard(std::slice::from_ref(&named)).tls, configuration.tls);
    let options = map(&[("replication", text("sentinel")), ("service", text("m"))]);
    let configuration = configured(text("tls://sentinel.example"), options);
    assert!(configuration.sentinel.tls.is_some());
    assert_eq!(configuration.at_node(&named, true).tls, configuration.sentinel.tls);
    assert_eq!(configuration.at_node(&named, false).tls, configuration.tls);
}

#[test]
fn a_token_is_for_nodes_under_tls_and_stands_alone() {
    let iam = map(&[("user", text("app")), ("cache", text("my-cache"))]);
    let with = |nodes: &str, more: &[(&str, Setting)]| {
        let mut options = vec![("iam", iam.clone())];
        options.extend_from_slice(more);
        configure(&text(nodes), &map(&options), &Defaults::default())
    };
    let configuration = with("tls://h", &[]).unwrap();
    assert_eq!(configuration.credentials.username.as_deref(), Some("app"));
    assert!(matches!(configuration.credentials.password, Password::Token(_)));
    assert!(with("tls://app@h", &[]).is_ok() || with("tls://h", &[("username", text("app"))]).is_ok());
    let refused = |nodes: &str, more: &[(&str, Setting)]| with(nodes, more).unwrap_err().option().to_owned();
    assert_eq!(refused("tcp://h", &[]), "iam");
    assert_eq!(refused("tls://:hunter2@h", &[]), "password");
    assert_eq!(refused("tls://h", &[("username", text("other"))]), "username");
}
