use super::super::secret::Asker;
use super::*;

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn read(entries: &[(&str, Setting)]) -> Result<NodeParameters, ConfigurationError> {
    let entries: Vec<_> = entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    NodeParameters::read("parameters", &entries)
}

fn refused(name: &str, value: Setting) -> ConfigurationError {
    read(&[(name, value)]).unwrap_err()
}

#[test]
fn every_parameter_is_read() {
    let node = read(&[
        ("scheme", text("REDIS")),
        ("host", text("h")),
        ("port", text("6380")),
        ("database", text("0")),
        ("username", text("app")),
        ("password", Setting::Int(1234)),
        ("timeout", text("0.5")),
        ("read_write_timeout", Setting::Int(-1)),
        ("alias", text("first")),
        ("role", text("slave")),
        ("protocol", text("3")),
        ("retry", Setting::Bool(false)),
        ("weight", text("10")),
        ("slots", text("0-5460,5462")),
    ])
    .unwrap();
    assert_eq!((node.scheme, node.host.as_deref(), node.port), (Some(Scheme::Redis), Some("h"), Some(6380)));
    assert_eq!((node.database, node.username.as_deref()), (Some(0), Some("app")));
    assert_eq!(node.password, Some(Password::known(Secret::new("1234"))));
    assert_eq!((node.timeout, node.read_write_timeout), (Some(Duration::from_millis(500)), Some(None)));
    assert_eq!((node.alias.as_deref(), node.role), (Some("first"), Some(DeclaredRole::Replica)));
    assert_eq!(node.protocol, Some(Protocol::Resp3));
    assert!(node.retry.is_some());
}

#[test]
fn predis_parameters_without_meaning_here_are_accepted() {
    for name in IGNORED_PARAMETERS {
        assert!(read(&[(name, Setting::Bool(true))]).is_ok(), "{name}");
    }
}

#[test]
fn null_and_the_empty_string_are_as_if_not_given() {
    let node = read(&[("host", text("")), ("port", Setting::Null), ("ssl", Setting::Null)]).unwrap();
    assert_eq!(node.endpoint("parameters", Scheme::Tcp).unwrap().address, NodeAddress::tcp("127.0.0.1", 6379));
}

#[test]
fn the_old_name_of_timeout_gives_way_to_the_new_one() {
    let seconds = |entries: &[(&str, Setting)]| read(entries).unwrap().timeout.unwrap().as_secs();
    assert_eq!(seconds(&[("connection_timeout", Setting::Int(2))]), 2);
    assert_eq!(seconds(&[("timeout", Setting::Int(3)), ("connection_timeout", Setting::Int(2))]), 3);
}

#[test]
fn predis_1_marked_the_master_by_alias() {
    assert_eq!(read(&[("alias", text("master"))]).unwrap().role, Some(DeclaredRole::Primary));
    let node = read(&[("alias", text("master")), ("role", text("replica"))]).unwrap();
    assert_eq!(node.role, Some(DeclaredRole::Replica));
}

#[test]
fn bad_values_name_the_parameter_and_what_is_accepted() {
    let error = refused("port", Setting::Int(70_000));
    assert_eq!(
        error.to_string(),
        "option `parameters.port`: given int 70000, accepted: a whole number from 1 to 65535"
    );
    let error = refused("timeout", Setting::Int(0));
    assert_eq!(
        error.to_string(),
        "option `parameters.timeout`: given int 0, accepted: a number of seconds greater than 0"
    );
    assert_eq!(refused("database", Setting::Int(-1)).option(), "parameters.database");
    assert_eq!(refused("protocol", Setting::Int(4)).accepted(), "2 or 3");
    assert_eq!(refused("host", Setting::Bool(false)).given(), "bool false");
    assert_eq!(refused("path", text(&"x".repeat(108))).option(), "parameters.path");
    assert_eq!(refused("weight", text("heavy")).option(), "parameters.weight");
    assert_eq!(refused("slots", text("5-")).option(), "parameters.slots");
    assert!(refused("role", text("witness")).accepted().contains("'sentinel'"));
    assert!(refused("hosts", text("h")).accepted().contains("did you mean `host`?"));
}

#[test]
fn a_host_is_only_a_host() {
    for wrong in ["tls://h", "h:6379", "user@h", "a b", "h/2", "fe80:::1"] {
        assert_eq!(refused("host", text(wrong)).option(), "parameters.host", "{wrong}");
    }
    for right in ["h", "10.0.0.1", "::1", "[::1]", "fe80::1%eth0", "master.group.use1.cache.amazonaws.com"] {
        assert!(read(&[("host", text(right))]).is_ok(), "{right}");
    }
    let error = refused("host", text("rédis.example"));
    assert!(error.accepted().contains("xn--"), "{}", error.accepted());
}

#[test]
fn a_password_of_a_wrong_type_is_not_shown() {
    let error = refused("password", Setting::Float(4711.5));
    assert_eq!(error.given(), "a secret");
    assert_eq!(refused("password", Setting::Other("closure".into())).given(), "a secret");
}

#[test]
fn an_unknown_scheme_is_answered_with_those_that_there_are() {
    for scheme in ["http", "tcp6"] {
        assert_eq!(refused("scheme", text(scheme)).accepted(), "tcp, redis, tls, rediss, unix");
    }
}

#[test]
fn tls_options_count_where_the_scheme_says_tls_and_are_none_without_a_scheme() {
    let ssl = || ("ssl", Setting::Map(vec![("verify_peer".into(), Setting::Bool(false))]));
    let secured = |entries: &[(&str, Setting)]| {
        let node = read(entries).unwrap();
        let scheme = node.scheme_over(&NodeParameters::default());
        node.secured("parameters", scheme)
    };
    let lax = TlsOptions { verify_peer: false, ..TlsOptions::default() };
    for scheme in ["tls", "RedisS"] {
        assert_eq!(secured(&[("scheme", text(scheme)), ssl()]), Ok(Some(lax.clone())));
        assert_eq!(secured(&[("scheme", text(scheme))]), Ok(Some(TlsOptions::default())));
    }
    assert_eq!(secured(&[("scheme", text("tcp")), ssl()]), Ok(None));
    assert_eq!(secured(&[("path", text("/run/r")), ssl()]), Ok(None));
    let error = secured(&[("host", text("h")), ssl()]).unwrap_err();
    assert!(error.option() == "parameters.ssl" && error.accepted().starts_with("scheme tls"), "{error}");
    assert_eq!(secured(&[("ssl", Setting::List(vec![]))]), Ok(None));
}

#[test]
fn the_scheme_follows_from_what_the_node_names() {
    let node = |entries: &[(&str, &str)]| {
        let entries: Vec<_> = entries.iter().map(|(name, value)| (*name, text(value))).collect();
        read(&entries).unwrap()
    };
    let nothing = NodeParameters::default();
    let shared_socket = node(&[("scheme", "unix"), ("path", "/run/r")]);
    assert_eq!(node(&[]).scheme_over(&nothing), Scheme::Tcp);
    assert_eq!(node(&[("path", "/run/r")]).scheme_over(&nothing), Scheme::Unix);
    assert_eq!(node(&[]).scheme_over(&node(&[("path", "/run/r")])), Scheme::Unix);
    assert_eq!(node(&[("host", "h")]).scheme_over(&shared_socket), Scheme::Tcp);
    assert_eq!(node(&[("path", "/run/r")]).scheme_over(&node(&[("scheme", "tcp")])), Scheme::Unix);
    assert_eq!(node(&[("host", "h")]).scheme_over(&node(&[("scheme", "redis")])), Scheme::Redis);
    assert_eq!(node(&[("scheme", "tcp"), ("path", "/run/r")]).scheme_over(&nothing), Scheme::Tcp);
}

#[test]
fn a_socket_needs_its_path() {
    let error = read(&[("scheme", text("unix"))]).unwrap().endpoint("parameters", Scheme::Unix).unwrap_err();
    assert_eq!(error.option(), "parameters.path");
}

#[test]
fn a_password_may_be_two_while_it_is_being_changed_or_a_callable() {
    let read = |value: Setting| NodeParameters::read("", &[("password".into(), value)]).map(|node| node.password);
    let text = |text: &str| Setting::Text(text.to_owned());
    let two = Password::Known(Secret::new("new"), Some(Secret::new("4711")));
    assert_eq!(read(Setting::List(vec![text("new"), Setting::Int(4711)])).unwrap(), Some(two));
    let left = Setting::Map(vec![("1".into(), text("only"))]);
    assert_eq!(read(left).unwrap(), Some(Password::known(Secret::new("only"))), "what array_filter leaves");
    let asker = Asker { number: 1, place: "a.php:7".into() };
    assert_eq!(read(Setting::Asked(asker.clone())).unwrap(), Some(Password::Asked(asker)));
    for wrong in [vec![], vec![text("a"), text("b"), text("c")], vec![text("a"), text("")]] {
        let error = read(Setting::List(wrong)).unwrap_err();
        assert_eq!(error.given(), "a secret");
    }
}
