//! The option `retry`: false, or an array that changes some of the settings.

use std::time::Duration;

use super::defaults::Defaults;
use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::policy::{Ceiling, RetrySettings};
use super::setting::Setting;

const ACCEPTED: &str = "false, or an array with any of the keys ceiling, base, cap, max_attempts, deadline";
const KEYS: &[&str] = &["ceiling", "base", "cap", "max_attempts", "deadline"];

/// What one `retry` option says. What it leaves out stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RetryOption {
    off: bool,
    ceiling: Option<Ceiling>,
    base: Option<Duration>,
    cap: Option<Duration>,
    max_attempts: Option<u32>,
    /// Another name of `command_timeout`; the inner none means "no limit".
    pub deadline: Option<Option<Duration>>,
}

impl RetryOption {
    pub(super) fn read(option: &str, value: &Setting) -> Result<RetryOption, ConfigurationError> {
        if numbers::truth(value) == Some(false) {
            return Ok(RetryOption { off: true, ..RetryOption::default() });
        }
        let entries = value.entries().ok_or_else(|| ConfigurationError::about(option, value, ACCEPTED))?;
        let mut retry = RetryOption::default();
        for (key, value) in entries {
            if value.is_absent() {
                continue;
            }
            let path = format!("{option}.{key}");
            match key.as_str() {
                "ceiling" => retry.ceiling = Some(ceiling(&path, value)?),
                "base" => retry.base = Some(numbers::positive_seconds(&path, value)?),
                "cap" => retry.cap = Some(numbers::positive_seconds(&path, value)?),
                "max_attempts" => retry.max_attempts = Some(numbers::whole_between(&path, value, 1, u32::MAX)?),
                "deadline" => retry.deadline = Some(numbers::seconds_or_none(&path, value)?),
                _ => return Err(names::unknown(&path, key, value, &[KEYS])),
            }
        }
        Ok(retry)
    }

    /// Changes what was tuned before. `has_command_timeout` says that the same options name `command_timeout`, too.
    pub(super) fn apply(&self, tuned: &mut Defaults, has_command_timeout: bool) -> Result<(), ConfigurationError> {
        tuned.retry = self.over(tuned.retry);
        let Some(deadline) = self.deadline else { return Ok(()) };
        if has_command_timeout && deadline != tuned.command_timeout {
            let accepted = "the same number as `command_timeout`, or one of both only";
            return Err(ConfigurationError::new("retry.deadline", "another number", accepted));
        }
        tuned.command_timeout = deadline;
        Ok(())
    }

    /// The settings that come out where `before` held.
    pub(super) fn over(&self, before: RetrySettings) -> RetrySettings {
        if self.off {
            return RetrySettings { max_attempts: Some(1), ..before };
        }
        RetrySettings {
            ceiling: self.ceiling.unwrap_or(before.ceiling),
            base: self.base.unwrap_or(before.base),
            cap: self.cap.unwrap_or(before.cap),
            max_attempts: self.max_attempts.or(switched_on(before).max_attempts),
        }
    }
}

/// Whoever says how to retry wants retries, also where they were switched off before.
fn switched_on(before: RetrySettings) -> RetrySettings {
    RetrySettings { max_attempts: before.max_attempts.filter(|attempts| *attempts > 1), ..before }
}

fn ceiling(option: &str, value: &Setting) -> Result<Ceiling, ConfigurationError> {
    match value {
        Setting::Text(word) => Ceiling::from_word(word.trim()),
        _ => None,
    }
    .ok_or_else(|| ConfigurationError::about(option, value, Ceiling::ACCEPTED))
}

/// `retry` in php.ini, where there are no arrays: a ceiling, or `off`.
pub(super) fn from_ini(option: &str, text: &str, before: RetrySettings) -> Result<RetrySettings, ConfigurationError> {
    let value = Setting::Text(text.to_owned());
    if numbers::truth(&value) == Some(false) {
        return Ok(RetrySettings { max_attempts: Some(1), ..before });
    }
    match Ceiling::from_word(text.trim()) {
        Some(ceiling) => Ok(RetrySettings { ceiling, ..switched_on(before) }),
        None => Err(ConfigurationError::about(option, &value, format!("{}, 'off'", Ceiling::ACCEPTED))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: RetrySettings = RetrySettings {
        ceiling: Ceiling::LastWins,
        base: Duration::from_millis(8),
        cap: Duration::from_millis(250),
        max_attempts: None,
    };

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    fn array(entries: &[(&str, Setting)]) -> Setting {
        Setting::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    #[test]
    fn false_leaves_one_attempt() {
        for value in [Setting::Bool(false), text("false"), Setting::Int(0)] {
            let settings = RetryOption::read("retry", &value).unwrap().over(BEFORE);
            assert_eq!(settings, RetrySettings { max_attempts: Some(1), ..BEFORE });
        }
    }

    #[test]
    fn an_array_changes_what_it_names() {
        let value = array(&[
            ("ceiling", text("checked")),
            ("base", Setting::Float(0.5)),
            ("cap", text("2")),
            ("max_attempts", Setting::Int(3)),
            ("deadline", Setting::Int(7)),
        ]);
        let retry = RetryOption::read("retry", &value).unwrap();
        assert_eq!(retry.deadline, Some(Some(Duration::from_secs(7))));
        let expected = RetrySettings {
            ceiling: Ceiling::Checked,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(2),
            max_attempts: Some(3),
        };
        assert_eq!(retry.over(BEFORE), expected);
        assert_eq!(RetryOption::read("retry", &Setting::List(vec![])).unwrap().over(BEFORE), BEFORE);
    }

    #[test]
    fn an_array_switches_retries_on_again() {
        let off = RetrySettings { max_attempts: Some(1), ..BEFORE };
        let value = array(&[("ceiling", text("read")), ("max_attempts", Setting::Null)]);
        assert_eq!(RetryOption::read("retry", &value).unwrap().over(off).max_attempts, None);
    }

    #[test]
    fn errors_name_the_key() {
        let refused = |value: Setting| RetryOption::read("retry", &value).unwrap_err();
        let error = refused(array(&[("ceiling", text("all"))]));
        assert_eq!((error.option(), error.accepted()), ("retry.ceiling", Ceiling::ACCEPTED));
        assert_eq!(refused(array(&[("base", Setting::Int(0))])).option(), "retry.base");
        assert_eq!(refused(array(&[("max_attempts", Setting::Int(0))])).option(), "retry.max_attempts");
        let error = refused(array(&[("max_attempt", Setting::Int(3))]));
        assert_eq!(error.accepted(), "unknown option; did you mean `max_attempts`?");
        let error = refused(Setting::Other("object of class Predis\\Retry\\Retry".into()));
        assert_eq!((error.given(), error.accepted()), ("object of class Predis\\Retry\\Retry", ACCEPTED));
        assert_eq!(refused(Setting::Bool(true)).accepted(), ACCEPTED);
    }

    #[test]
    fn php_ini_has_a_ceiling_or_off() {
        assert_eq!(from_ini("r", "read", BEFORE).unwrap().ceiling, Ceiling::Read);
        assert_eq!(from_ini("r", "off", BEFORE).unwrap().max_attempts, Some(1));
        assert_eq!(from_ini("r", "0", BEFORE).unwrap().max_attempts, Some(1));
        let off = from_ini("r", "off", BEFORE).unwrap();
        assert_eq!(from_ini("r", "last-wins", off), Ok(BEFORE));
        assert!(from_ini("r", "sometimes", BEFORE).unwrap_err().accepted().contains("'off'"));
    }
}
