use std::time::Duration;

use super::*;

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn map(entries: &[(&str, Setting)]) -> Setting {
    Setting::Map(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn read(entries: &[(&str, Setting)]) -> Options {
    Options::read(&map(entries), &Defaults::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(name: &str, value: Setting) -> ConfigurationError {
    match Options::read(&map(&[(name, value)]), &Defaults::default()) {
        Err(error) => error,
        Ok(_) => panic!("{name} was accepted"),
    }
}

fn timeout_of(options: &Options, own: &[(&str, Setting)]) -> Option<u64> {
    let own = NodeParameters::read("parameters", map(own).entries().unwrap()).unwrap();
    options.complete(&own).0.timeout.map(|timeout| timeout.as_secs())
}

#[test]
fn the_nearer_value_wins() {
    let layers = [
        ("parameters", map(&[("timeout", Setting::Int(2))])),
        ("connections", map(&[("tcp", map(&[("timeout", Setting::Int(3))]))])),
        ("timeout", Setting::Int(4)),
    ];
    assert_eq!(timeout_of(&read(&layers), &[("timeout", Setting::Int(1))]), Some(1));
    assert_eq!(timeout_of(&read(&layers), &[]), Some(2));
    assert_eq!(timeout_of(&read(&layers[1..]), &[]), Some(3));
    assert_eq!(timeout_of(&read(&layers[2..]), &[]), Some(4));
    assert_eq!(timeout_of(&read(&[]), &[]), None);
}

#[test]
fn connections_speak_for_their_scheme_and_tcp_is_redis() {
    let tcp = map(&[("tcp", map(&[("timeout", Setting::Int(3))])), ("unix", map(&[("timeout", Setting::Int(4))]))]);
    let options = read(&[("connections", tcp)]);
    assert_eq!(timeout_of(&options, &[("scheme", text("redis"))]), Some(3));
    assert_eq!(timeout_of(&options, &[("path", text("/run/r"))]), Some(4));
    let both = map(&[("tcp", map(&[("timeout", Setting::Int(3))])), ("redis", map(&[("timeout", Setting::Int(5))]))]);
    assert_eq!(timeout_of(&read(&[("connections", both)]), &[("scheme", text("redis"))]), Some(5));
}

#[test]
fn connection_classes_are_refused_in_words() {
    let class = map(&[("tcp", text("My\\Connection"))]);
    let error = refused("connections", class);
    assert_eq!((error.option(), error.given()), ("connections.tcp", "string 'My\\Connection'"));
    assert!(error.accepted().contains("custom connection classes are not supported"));
    assert!(refused("connections", text("relay")).accepted().contains("not supported"));
    assert!(refused("connections", Setting::Other("closure".into())).accepted().contains("not supported"));
    assert_eq!(refused("connections", map(&[("http", map(&[]))])).option(), "connections.http");
    read(&[("connections", text("default"))]);
    read(&[("connections", map(&[("tls", map(&[("timeout", Setting::Int(1))]))]))]);
    let secure = map(&[("rediss", map(&[("timeout", Setting::Int(7))]))]);
    assert_eq!(timeout_of(&read(&[("connections", secure)]), &[("scheme", text("tls"))]), Some(7));
}

#[test]
fn nested_errors_name_the_whole_path() {
    let wrong = map(&[("tcp", map(&[("timeout", text("abc"))]))]);
    let error = refused("connections", wrong);
    assert_eq!(
        error.to_string(),
        "option `connections.tcp.timeout`: given string 'abc', accepted: a number of seconds greater than 0"
    );
    assert_eq!(refused("parameters", map(&[("port", text("x"))])).option(), "parameters.port");
    assert_eq!(refused("timeout", text("x")).option(), "timeout");
    assert_eq!(refused("retry", map(&[("cap", text("x"))])).option(), "retry.cap");
}

#[test]
fn a_value_is_checked_even_where_another_overrules_it() {
    let options = map(&[("parameters", map(&[("timeout", Setting::Int(1))])), ("timeout", text("soon"))]);
    assert!(Options::read(&options, &Defaults::default()).is_err());
}

#[test]
fn a_list_of_bare_names_is_a_field_list_and_says_nothing() {
    let names = Setting::List(["scheme", "host", "port", "password"].map(text).to_vec());
    assert!(read(&[("parameters", names)]).shared.host.is_none());
    let mixed = map(&[("0", text("scheme")), ("host", text("h"))]);
    assert_eq!(read(&[("parameters", mixed)]).shared.host.as_deref(), Some("h"));
    let address = Setting::List(vec![text("10.0.0.1:6379")]);
    assert_eq!(refused("parameters", address).option(), "parameters");
    assert_eq!(refused("parameters", text("tcp://h")).option(), "parameters");
}

#[test]
fn options_of_our_own_replace_the_defaults() {
    let tuned = read(&[
        ("command_timeout", Setting::Int(0)),
        ("read_from", text("primary")),
        ("suspect_after", Setting::Float(0.5)),
        ("max_connections", text("3")),
        ("max_idle_time", Setting::Int(60)),
        ("check_idle_after", Setting::Int(0)),
        ("max_reply_size", text("1M")),
        ("max_depth", Setting::Int(9)),
    ])
    .tuned;
    assert_eq!((tuned.command_timeout, tuned.suspect_after), (None, Duration::from_millis(500)));
    assert_eq!((tuned.max_connections, tuned.max_reply_size, tuned.max_depth), (3, 1 << 20, 9));
    assert_eq!((tuned.max_idle_time, tuned.check_idle_after), (Duration::from_secs(60), Duration::ZERO));
    for (option, wrong, least) in [
        ("max_reply_size", Setting::Int(65_535), "at least 65536"),
        ("max_reply_size", text("63K"), "at least 65536"),
        ("max_reply_size", text(""), "at least 65536"),
        ("max_depth", Setting::Int(7), "from 8 to"),
        ("max_depth", text(""), "from 8 to"),
    ] {
        let error = refused(option, wrong);
        assert!(error.option() == option && error.accepted().contains(least), "{error}");
    }
    let bounds = read(&[("max_reply_size", text("64K")), ("max_depth", text("8"))]).tuned;
    assert_eq!((bounds.max_reply_size, bounds.max_depth), (65_536, 8));
    let unsaid = read(&[("max_reply_size", Setting::Null), ("max_idle_time", text(""))]).tuned;
    assert_eq!(unsaid.max_reply_size, 1 << 30);
    assert!(refused("read_from", text("slave")).accepted().contains("'prefer-replica'"));
    assert_eq!(refused("max_replica_lag", Setting::Int(-1)).option(), "max_replica_lag");
    assert_eq!(refused("max_connections", Setting::Int(0)).option(), "max_connections");
}

#[test]
fn options_that_mean_nothing_here_are_accepted() {
    for name in IGNORED_OPTIONS.iter().chain(IGNORED_PARAMETERS) {
        read(&[(name, Setting::Other("closure".into()))]);
    }
    for (name, value) in [
        ("autodiscovery", Setting::Bool(true)),
        ("service", text("mymaster")),
        ("exceptions", Setting::Bool(false)),
        ("prefix", text("")),
        ("aggregate", Setting::Null),
        ("profile", text("3.2")),
        ("replication", Setting::Bool(true)),
        ("ssl", Setting::List(vec![])),
    ] {
        read(&[(name, value)]);
    }
}

#[test]
fn options_of_a_later_version_are_refused_unless_null() {
    for name in LATER.iter().chain(&["aggregate"]) {
        let error = refused(name, text("hunter2"));
        assert_eq!((error.option(), error.accepted()), (*name, "null; not available in this version"));
        read(&[(name, Setting::Null)]);
    }
}

#[test]
fn every_known_option_is_handled() {
    for name in names::OPTIONS.iter().chain(PROMOTED) {
        if let Err(error) = Options::read(&map(&[(name, Setting::Other("closure".into()))]), &Defaults::default()) {
            assert!(!error.accepted().contains("unknown option"), "{error}");
        }
    }
}

#[test]
fn unknown_options_and_options_of_a_wrong_type_are_errors() {
    assert_eq!(refused("read_form", text("replica")).accepted(), "unknown option; did you mean `read_from`?");
    for wrong in [text("cluster"), Setting::Bool(true), Setting::List(vec![text("cluster")])] {
        let Err(error) = Options::read(&wrong, &Defaults::default()) else { panic!("accepted") };
        assert_eq!(error.option(), "options");
    }
    assert!(Options::read(&Setting::List(vec![]), &Defaults::default()).is_ok());
}
