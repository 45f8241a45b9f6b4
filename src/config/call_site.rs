//! Another policy for a call site: `withOptions()` changes how long and how often, never where and who.

use super::deployment::Configuration;
use super::error::ConfigurationError;
use super::names::{self, IGNORED_OPTIONS, IGNORED_PARAMETERS, LATER, OPTIONS, PARAMETERS, PROMOTED};
use super::numbers;
use super::predis;
use super::retry::RetryOption;
use super::setting::Setting;

/// What a call site may change.
const CHANGEABLE: &[&str] = &[
    "timeout",
    "connection_timeout",
    "read_write_timeout",
    "command_timeout",
    "request_budget",
    "suspect_after",
    "breaker_after",
    "when_open",
    "read_from",
    "max_replica_lag",
    "min_replicas",
    "retry",
    "exceptions",
];

impl Configuration {
    /// The same configuration with another policy. Of the names nothing is read again but what `options` says.
    ///
    /// # Errors
    /// An option is wrong, or is none that a call site may change.
    pub fn with_options(&self, options: &Setting) -> Result<Configuration, ConfigurationError> {
        let accepted = "an array of option names and values";
        let entries = options.entries().ok_or_else(|| ConfigurationError::about("options", options, accepted))?;
        let mut tuned = self.tuned;
        let mut has_command_timeout = false;
        let mut retry = None;
        for (name, value) in entries.iter().filter(|(_, value)| !value.is_absent()) {
            match name.as_str() {
                "timeout" | "connection_timeout" => tuned.timeout = numbers::positive_seconds(name, value)?,
                "read_write_timeout" => tuned.read_write_timeout = numbers::seconds_or_unlimited(name, value)?,
                "retry" => retry = Some(RetryOption::read(name, value)?),
                changeable if CHANGEABLE.contains(&changeable) => {
                    tuned.tune(name, name, value)?;
                    has_command_timeout |= name == "command_timeout";
                }
                other => return Err(refusal(other, value)),
            }
        }
        if let Some(retry) = retry {
            retry.apply(&mut tuned, has_command_timeout)?;
        }
        let apart = self.apart.iter().map(|node| node.with_options(options)).collect::<Result<_, _>>()?;
        Ok(Configuration { tuned, policy: tuned.policy(), apart, ..self.clone() })
    }
}

fn refusal(name: &str, value: &Setting) -> ConfigurationError {
    if LATER.contains(&name) {
        return predis::not_available(name, value);
    }
    let known = [OPTIONS, PROMOTED, PARAMETERS, IGNORED_OPTIONS, IGNORED_PARAMETERS];
    if !known.iter().any(|group| group.contains(&name)) {
        return names::unknown(name, name, value, &[CHANGEABLE]);
    }
    let accepted = if name == "on_event" {
        "a listener by onEvent() on the copy".to_owned()
    } else {
        let changeable = CHANGEABLE.join(", ");
        format!(
            "one of {changeable} (this one belongs to the deployment and its connections: make a client of its own)"
        )
    };
    ConfigurationError::new(name, value.kind(), accepted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Ceiling, Defaults, configure};

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    fn map(entries: &[(&str, Setting)]) -> Setting {
        Setting::Map(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn original() -> Configuration {
        let options = map(&[("command_timeout", Setting::Int(7)), ("password", text("hunter2"))]);
        configure(&text("tcp://10.0.0.1:1"), &options, &Defaults::default()).unwrap()
    }

    #[test]
    fn a_copy_differs_in_what_it_names_and_in_nothing_else() {
        let original = original();
        let copy = original.with_options(&map(&[
            ("timeout", Setting::Float(0.2)),
            ("read_write_timeout", Setting::Int(0)),
            ("request_budget", Setting::Int(2)),
            ("suspect_after", text("0.5")),
            ("min_replicas", Setting::Int(2)),
            ("retry", map(&[("ceiling", text("read"))])),
        ]));
        let copy = copy.unwrap();
        assert_eq!(copy.policy.timeout, Duration::from_millis(200));
        assert_eq!(copy.policy.read_write_timeout, None);
        assert_eq!(copy.policy.request_budget, Some(Duration::from_secs(2)));
        assert_eq!(copy.policy.suspect_after, Duration::from_millis(500));
        assert_eq!(copy.policy.min_replicas.map(|quorum| quorum.count), Some(2));
        assert_eq!(copy.policy.retry.ceiling, Ceiling::Read);
        assert_eq!(copy.policy.command_timeout, Some(Duration::from_secs(7)), "what it does not name stays");
        assert_eq!(
            (copy.endpoints, copy.credentials, copy.pool),
            (original.endpoints, original.credentials, original.pool)
        );
    }

    #[test]
    fn a_copy_of_a_copy_starts_from_the_copy() {
        let once = original().with_options(&map(&[("retry", Setting::Bool(false))])).unwrap();
        let twice = once.with_options(&map(&[("command_timeout", Setting::Int(1))])).unwrap();
        assert_eq!(twice.policy.retry.max_attempts, Some(1));
        assert_eq!(twice.policy.command_timeout, Some(Duration::from_secs(1)));
        let again = twice.with_options(&map(&[("retry", map(&[("deadline", Setting::Int(3))]))])).unwrap();
        assert_eq!(again.policy.command_timeout, Some(Duration::from_secs(3)));
        assert_eq!(again.policy.retry.max_attempts, None);
    }

    #[test]
    fn what_makes_a_deployment_or_its_connections_is_refused() {
        for name in ["parameters", "host", "password", "database", "protocol", "reader", "max_connections", "max_depth"]
        {
            let error = original().with_options(&map(&[(name, text("x"))])).unwrap_err();
            assert_eq!((error.option(), error.given()), (name, "a string"), "{error}");
            assert!(error.accepted().contains("make a client of its own"), "{error}");
        }
        let error = original().with_options(&map(&[("on_event", text("strlen"))])).unwrap_err();
        assert!(error.accepted().contains("onEvent()"), "{error}");
    }

    #[test]
    fn wrong_values_and_names_are_said_as_in_the_constructor() {
        let refused = |name: &str, value: Setting| original().with_options(&map(&[(name, value)])).unwrap_err();
        assert!(refused("command_timout", Setting::Int(1)).accepted().contains("`command_timeout`"));
        assert!(refused("timeout", Setting::Int(0)).accepted().contains("greater than 0"));
        assert!(refused("regions", Setting::Bool(true)).accepted().contains("not available"));
        let both = map(&[("command_timeout", Setting::Int(1)), ("retry", map(&[("deadline", Setting::Int(2))]))]);
        assert_eq!(original().with_options(&both).unwrap_err().option(), "retry.deadline");
        assert_eq!(original().with_options(&Setting::Int(5)).unwrap_err().option(), "options");
    }
}
