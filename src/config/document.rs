//! The option arrays of the user's document, as written there: what they must mean.

use std::time::Duration;

use super::*;

const ENDPOINT: &str = "10.0.0.1";

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn map<const N: usize>(entries: [(&str, Setting); N]) -> Setting {
    Setting::Map(entries.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// `getenv('REDIS_PORT') ?: 6379` is a string or an int.
fn ports() -> [Setting; 2] {
    [text("6379"), Setting::Int(6379)]
}

fn parameters(port: &Setting) -> Setting {
    map([("scheme", text("tcp")), ("host", text(ENDPOINT)), ("port", port.clone())])
}

/// `$options['parameters']['host'] . ':' . $options['parameters']['port']`
fn first_argument() -> Setting {
    text("10.0.0.1:6379")
}

fn timeouts(seconds: f64) -> Setting {
    let tcp = map([("connection_timeout", Setting::Float(seconds)), ("read_write_timeout", Setting::Float(seconds))]);
    map([("tcp", tcp)])
}

fn configured(options: &Setting) -> Configuration {
    configure(&first_argument(), options, &Defaults::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn expect_one_endpoint(configuration: &Configuration) {
    let endpoint = Endpoint { address: NodeAddress::tcp(ENDPOINT, 6379), role: None, alias: None };
    assert_eq!(configuration.endpoints, [endpoint]);
    assert!(configuration.reader.is_none());
    assert_eq!(configuration.credentials, Credentials::default());
    assert_eq!((configuration.database, configuration.protocol), (0, Protocol::Resp2));
}

#[test]
fn the_program_for_web_servers() {
    for port in ports() {
        let options = map([
            ("cluster", text("redis")),
            ("parameters", parameters(&port)),
            ("connections", timeouts(2.5)),
            ("replication", Setting::Bool(true)),
            ("read_write_timeout", Setting::Int(5)),
        ]);
        let configuration = configured(&options);
        expect_one_endpoint(&configuration);
        assert_eq!(configuration.policy.timeout, Duration::from_millis(2500));
        assert_eq!(configuration.policy.read_write_timeout, Some(Duration::from_millis(2500)));
        assert_eq!(configuration.policy.command_timeout, Some(Duration::from_secs(10)));
    }
}

#[test]
fn the_program_for_cluster_mode() {
    for port in ports() {
        let options = map([("cluster", text("predis")), ("parameters", parameters(&port))]);
        let configuration = configured(&options);
        expect_one_endpoint(&configuration);
        assert_eq!(configuration.policy.timeout, Duration::from_secs(1));
        assert_eq!(configuration.policy.read_write_timeout, Some(Duration::from_secs(3)));
    }
}

#[test]
fn the_program_for_lambda() {
    for port in ports() {
        let options = map([
            ("cluster", text("redis")),
            ("parameters", parameters(&port)),
            ("connections", timeouts(1.5)),
            ("replication", Setting::Bool(true)),
            ("read_write_timeout", Setting::Int(3)),
        ]);
        let configuration = configured(&options);
        expect_one_endpoint(&configuration);
        assert_eq!(configuration.policy.timeout, Duration::from_millis(1500));
        assert_eq!(configuration.policy.read_write_timeout, Some(Duration::from_millis(1500)));
    }
}

#[test]
fn the_top_level_timeout_holds_where_connections_are_silent() {
    let configuration = configured(&map([("read_write_timeout", Setting::Int(5))]));
    assert_eq!(configuration.policy.read_write_timeout, Some(Duration::from_secs(5)));
}

#[test]
fn the_passwords_that_the_document_comments_out_work() {
    let options = map([("parameters", map([("host", text(ENDPOINT)), ("password", text("hunter2"))]))]);
    assert_eq!(configured(&options).credentials, Credentials::of(None, Secret::new("hunter2")));
}

#[test]
fn an_unset_environment_variable_is_reported() {
    let options = map([("parameters", map([("host", Setting::Bool(false))]))]);
    let error = configure(&text(":6379"), &options, &Defaults::default()).unwrap_err();
    assert_eq!((error.option(), error.given()), ("parameters.host", "bool false"));
}
