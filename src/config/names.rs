//! The names that users may write, and what is said about a name that nobody knows.

use super::error::ConfigurationError;
use super::setting::Setting;

/// Parameters of one connection that mean something here.
pub(super) const PARAMETERS: &[&str] = &[
    "scheme",
    "host",
    "port",
    "path",
    "database",
    "username",
    "password",
    "timeout",
    "connection_timeout",
    "read_write_timeout",
    "alias",
    "role",
    "protocol",
    "retry",
    "ssl",
    "weight",
    "slots",
];

/// Parameters of one connection that Predis knows and that have no meaning here: the pool decides, or Relay is meant.
pub(super) const IGNORED_PARAMETERS: &[&str] = &[
    "persistent",
    "conn_uid",
    "async_connect",
    "tcp_nodelay",
    "client_info",
    "iterable_multibulk",
    "throw_errors",
    "connection_async",
    "connection_persistent",
    "cache",
    "serializer",
    "compression",
];

/// Parameters that as options stand for every connection.
pub(super) const PROMOTED: &[&str] = &[
    "timeout",
    "connection_timeout",
    "read_write_timeout",
    "username",
    "password",
    "database",
    "protocol",
    "retry",
    "ssl",
];

/// Options that mean something here.
pub(super) const OPTIONS: &[&str] = &[
    "parameters",
    "connections",
    "cluster",
    "replication",
    "service",
    "autodiscovery",
    "update_sentinels",
    "aggregate",
    "prefix",
    "exceptions",
    "commands",
    "profile",
    "command_timeout",
    "request_budget",
    "reader",
    "allowed_nodes",
    "node_address_map",
    "read_from",
    "max_replica_lag",
    "suspect_after",
    "breaker_after",
    "when_open",
    "min_replicas",
    "max_connections",
    "max_idle_time",
    "check_idle_after",
    "max_reply_size",
    "max_depth",
    "iam",
    "on_event",
];

/// Options of Predis without meaning here, and `on_event`, which php/ takes before.
pub(super) const IGNORED_OPTIONS: &[&str] =
    &["crc16", "readTimeout", "upstream_driver", "himport", "distributor", "on_event"];

/// Options that a later version brings.
pub(super) const LATER: &[&str] = &["regions", "local_region"];

/// What other clients call it. Spelling alone would suggest the wrong name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("user", "username"),
    ("pass", "password"),
    ("auth", "password"),
    ("passwd", "password"),
    ("db", "database"),
    ("dbindex", "database"),
    ("socket", "path"),
    ("unix_socket", "path"),
    ("connect_timeout", "timeout"),
    ("read_timeout", "read_write_timeout"),
    ("retries", "retry"),
    ("max", "max_attempts"),
];

/// Whether this is a parameter of a connection, or a part of one that is an array; if only to Predis.
pub(super) fn is_parameter(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or(name);
    PARAMETERS.contains(&name) || IGNORED_PARAMETERS.contains(&name)
}

/// The error about an unknown name among the parameters of a connection.
pub(super) fn unknown_parameter(option: &str, name: &str, value: &Setting) -> ConfigurationError {
    if OPTIONS.contains(&name) {
        return ConfigurationError::new(option, value.kind(), format!("`{name}` among the options (second argument)"));
    }
    unknown(option, name, value, &[PARAMETERS])
}

/// The error about an unknown name among the options.
pub(super) fn unknown_option(option: &str, name: &str, value: &Setting) -> ConfigurationError {
    if PARAMETERS.contains(&name) {
        let place = format!("`{name}` among the connection parameters (first argument, or option `parameters`)");
        return ConfigurationError::new(option, value.kind(), place);
    }
    unknown(option, name, value, &[OPTIONS, PROMOTED])
}

/// The error about `name` where only the names of `groups` are known. It never shows the value: a misspelt `pasword`
/// is a password.
pub(super) fn unknown(option: &str, name: &str, value: &Setting, groups: &[&[&str]]) -> ConfigurationError {
    let known = || groups.iter().flat_map(|group| group.iter().copied());
    let accepted = match nearest(name, known()) {
        Some(guess) => format!("unknown option; did you mean `{guess}`?"),
        None => format!("unknown option; known are {}", known().collect::<Vec<_>>().join(", ")),
    };
    ConfigurationError::new(option, value.kind(), accepted)
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    if let Some((_, here)) = ELSEWHERE.iter().find(|(there, _)| *there == name)
        && known.clone().any(|candidate| candidate == *here)
    {
        return Some(here);
    }
    let furthest = (name.len() / 3).max(2);
    // Names of a word or two leave no room for more; this also bounds the work that an absurd name can cause.
    if name.len() > 64 {
        return None;
    }
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .min()
        .filter(|(far, _)| *far <= furthest)
        .map(|(_, c)| c)
}

/// How many letters must be inserted, removed or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..to.len() {
            let change = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggestion(name: &str) -> String {
        unknown_option(name, name, &Setting::Text("hunter2".into())).accepted().to_owned()
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_known_one() {
        assert_eq!(suggestion("read_form"), "unknown option; did you mean `read_from`?");
        assert_eq!(suggestion("comand_timeout"), "unknown option; did you mean `command_timeout`?");
        assert_eq!(suggestion("Replication"), "unknown option; did you mean `replication`?");
    }

    #[test]
    fn names_of_other_clients_are_translated() {
        assert_eq!(suggestion("auth"), "unknown option; did you mean `password`?");
        assert_eq!(suggestion("read_timeout"), "unknown option; did you mean `read_write_timeout`?");
        let error = unknown_parameter("parameters.pass", "pass", &Setting::Null);
        assert_eq!(error.accepted(), "unknown option; did you mean `password`?");
        let error = unknown("retry.max", "max", &Setting::Int(3), &[&["cap", "max_attempts"]]);
        assert_eq!(error.accepted(), "unknown option; did you mean `max_attempts`?");
    }

    #[test]
    fn a_name_like_no_other_is_answered_with_all_of_them() {
        assert!(suggestion("bananas_and_apples").starts_with("unknown option; known are parameters, connections"));
        assert!(suggestion(&"x".repeat(100_000)).starts_with("unknown option; known are"));
    }

    #[test]
    fn a_name_in_the_wrong_place_is_answered_with_the_right_place() {
        assert!(suggestion("host").contains("among the connection parameters"));
        let error = unknown_parameter("parameters.read_from", "read_from", &Setting::Null);
        assert!(error.accepted().contains("among the options"));
    }

    #[test]
    fn the_value_under_an_unknown_name_is_not_shown() {
        assert_eq!(unknown_option("pasword", "pasword", &Setting::Text("hunter2".into())).given(), "a string");
    }

    #[test]
    fn distance_counts_letters_to_change() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
