//! The one way in which this room fails: a sentence about one option.

use super::setting::{Setting, visible};

/// An option that is wrong: which one, what was given and what is accepted. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationError {
    option: String,
    given: String,
    accepted: String,
}

impl std::error::Error for ConfigurationError {}

impl std::fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ConfigurationError { option, given, accepted } = self;
        match accepted.strip_prefix("unknown option; ") {
            Some(advice) => write!(f, "option `{option}` is unknown (given {given}); {advice}"),
            None => write!(f, "option `{option}`: given {given}, accepted: {accepted}"),
        }
    }
}

impl ConfigurationError {
    /// An error about `option`; `given` must not hold a secret.
    pub fn new(option: &str, given: impl Into<String>, accepted: impl Into<String>) -> ConfigurationError {
        // The name itself is the user's text: a URI written where a name belongs must not show its password.
        ConfigurationError { option: visible(option), given: given.into(), accepted: accepted.into() }
    }

    /// An error that shows `value` as given.
    pub(super) fn about(option: &str, value: &Setting, accepted: impl Into<String>) -> ConfigurationError {
        ConfigurationError::new(option, value.describe(), accepted)
    }

    /// An error about a value that nobody may see.
    pub(super) fn about_secret(option: &str, accepted: impl Into<String>) -> ConfigurationError {
        ConfigurationError::new(option, "a secret", accepted)
    }

    /// The option's name; nested ones with their path, such as `connections.tcp.timeout` or `parameters[1].port`.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// What was given, in words.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// What is accepted, in words.
    pub fn accepted(&self) -> &str {
        &self.accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_option_what_was_given_and_what_is_accepted() {
        let value = Setting::Text("abc".into());
        let error = ConfigurationError::about("timeout", &value, "a number of seconds greater than 0");
        assert_eq!(
            error.to_string(),
            "option `timeout`: given string 'abc', accepted: a number of seconds greater than 0"
        );
        assert_eq!(
            (error.option(), error.given(), error.accepted()),
            ("timeout", "string 'abc'", "a number of seconds greater than 0")
        );
    }

    #[test]
    fn a_password_in_the_name_itself_is_hidden() {
        let error = ConfigurationError::new("redis://user:hunter2@host", "null", "a name");
        assert!(!error.to_string().contains("hunter2"));
    }
}
