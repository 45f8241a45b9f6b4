//! What holds where the user says nothing: the built-in values, changed by php.ini and by the SAPI.

use std::time::Duration;

use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::policy::{Ceiling, Policy, PoolLimits, Quorum, ReplyLimits, RetrySettings, WhenOpen};
use super::predis;
use super::read_from::ReadFrom;
use super::retry;
use super::setting::Setting;

/// The values of every option that can be tuned. [`Default`] gives those of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The limit of one dial.
    pub timeout: Duration,
    /// The limit of one attempt's reply; none means no limit.
    pub read_write_timeout: Option<Duration>,
    /// The limit of a command with its retries; none means no limit. 10 s on the command line, 5 s elsewhere and in
    /// AWS Lambda.
    pub command_timeout: Option<Duration>,
    /// The limit of all commands of one request; none means no limit.
    pub request_budget: Option<Duration>,
    /// How long a primary may be silent before others are asked.
    pub suspect_after: Duration,
    /// What is tried again, and at which pace.
    pub retry: RetrySettings,
    /// How long nobody must have succeeded until commands fail at once; none means never.
    pub breaker_after: Option<Duration>,
    /// What a command does then.
    pub when_open: WhenOpen,
    /// Which nodes answer commands that only read.
    pub read_from: ReadFrom,
    /// How far behind its primary a replica may be that is read from.
    pub max_replica_lag: Duration,
    /// How many replicas have to acknowledge a write.
    pub min_replicas: Option<Quorum>,
    /// The most connections per node and process.
    pub max_connections: usize,
    /// An idle connection older than this is closed instead of used.
    pub max_idle_time: Duration,
    /// An idle connection older than this is checked before use.
    pub check_idle_after: Duration,
    /// How long an idle time may be to be taken from the monotonic clock alone. Zero in AWS Lambda, which freezes the
    /// process between two invocations: that clock may not see it.
    pub trusted_for: Duration,
    /// The most bytes of one reply.
    pub max_reply_size: u64,
    /// The deepest nesting of arrays in one reply.
    pub max_depth: usize,
    /// Whether error replies are thrown.
    pub exceptions: bool,
    /// Whether nodes are spoken to under TLS: no default, but what goes with the others wherever they are changed.
    pub secured: bool,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            timeout: Duration::from_secs(1),
            read_write_timeout: Some(Duration::from_secs(3)),
            command_timeout: Some(Duration::from_secs(10)),
            request_budget: None,
            suspect_after: Duration::from_millis(250),
            retry: RetrySettings {
                ceiling: Ceiling::LastWins,
                base: Duration::from_millis(8),
                cap: Duration::from_millis(250),
                max_attempts: None,
            },
            breaker_after: Some(Duration::from_secs(5)),
            when_open: WhenOpen::Wait,
            read_from: ReadFrom::Primary,
            max_replica_lag: Duration::from_secs(10),
            min_replicas: None,
            max_connections: 8,
            max_idle_time: Duration::from_secs(240),
            check_idle_after: Duration::from_secs(1),
            // Commands in quick succession are closer to each other: they cost no second clock.
            trusted_for: Duration::from_millis(50),
            max_reply_size: 1 << 30,
            max_depth: 128,
            exceptions: true,
            secured: false,
        }
    }
}

/// The ini settings: name (below `resilient_redis.`), default as php.ini shows it, meaning. An empty text leaves the
/// default. php.ini turns a bare `off` into an empty text, hence the quotes in `retry`'s meaning.
pub const INI_NAMES: &[(&str, &str, &str)] = &[
    ("timeout", "1.0", "limit of one dial, in seconds"),
    ("read_write_timeout", "3.0", "limit of one attempt's reply, in seconds; 0 or less: no limit"),
    (
        "command_timeout",
        "",
        "limit of a command with its retries, in seconds; 0: none; empty: 10 for CLI, 5 otherwise and in AWS Lambda",
    ),
    ("request_budget", "0", "limit of all commands of one request, in seconds; 0: none"),
    ("suspect_after", "0.25", "silence of a primary after which other nodes are asked, in seconds"),
    ("breaker_after", "5.0", "time without any success after which commands fail at once, in seconds; 0: never"),
    (
        "when_open",
        "",
        "what commands do then: fail, or wait for a server within their limits; empty: wait for CLI, fail otherwise and in AWS Lambda",
    ),
    ("read_from", "primary", "who answers reads: primary, prefer-replica, replica, nearest"),
    ("max_replica_lag", "10.0", "seconds that a replica may be behind and still be read from"),
    ("min_replicas", "0", "replicas that have to acknowledge a write within 0.1 s; 0: none"),
    ("max_connections", "8", "connections per node and process"),
    ("max_idle_time", "240", "age at which an idle connection is closed, in seconds"),
    ("check_idle_after", "1.0", "age from which an idle connection is checked before use, in seconds"),
    ("max_reply_size", "1G", "largest reply, in bytes or with K, M or G; 64K at least"),
    ("max_depth", "128", "deepest nesting of a reply; 8 at least"),
    (
        "retry",
        "last-wins",
        "ceiling of retries: read, checked, last-wins, accumulating; \"off\" (in quotes) or 0 for none",
    ),
];

/// More connections than a server accepts serve nobody.
const MOST_CONNECTIONS: u32 = 65_535;
/// What the client itself asks of nodes (`INFO`, `CLUSTER SLOTS` of some shards) has to fit, or nothing works.
const LEAST_REPLY_SIZE: u64 = 64 * 1024;
const LEAST_DEPTH: u32 = 8;
/// PHP frees nested arrays by recursion, so depth is bounded by its stack.
const GREATEST_DEPTH: u32 = 1_024;

/// Commands of a web request should not wait as long as those of a worker: somebody is waiting for the page.
const COMMAND_TIMEOUT_OF_REQUESTS: Duration = Duration::from_secs(5);

impl Defaults {
    /// The defaults under a server interface of PHP. In AWS Lambda PHP runs as on the command line, but somebody waits.
    pub fn of(sapi: &str, lambda: bool) -> Defaults {
        let defaults = Defaults::default();
        if sapi == "cli" && !lambda {
            return defaults;
        }
        let trusted_for = if lambda { Duration::ZERO } else { defaults.trusted_for };
        // Where somebody waits, an answer at once is worth more than a late one; a worker has all of its command_timeout.
        let command_timeout = Some(COMMAND_TIMEOUT_OF_REQUESTS);
        Defaults { command_timeout, when_open: WhenOpen::Fail, trusted_for, ..defaults }
    }

    /// Takes the ini setting `resilient_redis.NAME`; an empty text leaves what is there.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigurationError> {
        let option = format!("resilient_redis.{name}");
        let setting = Setting::Text(value.trim().to_owned());
        let known: Vec<&str> = INI_NAMES.iter().map(|(name, _, _)| *name).collect();
        if !known.contains(&name) {
            return Err(names::unknown(&option, name, &setting, &[&known]));
        }
        if setting.is_absent() {
            return Ok(());
        }
        match name {
            "timeout" => self.timeout = numbers::positive_seconds(&option, &setting)?,
            "read_write_timeout" => self.read_write_timeout = numbers::seconds_or_unlimited(&option, &setting)?,
            "retry" => self.retry = retry::from_ini(&option, value, self.retry)?,
            _ => {
                self.tune(&option, name, &setting)?;
            }
        }
        Ok(())
    }

    /// Takes one of the options that are ours alone; false if `name` is none of them.
    pub(super) fn tune(&mut self, option: &str, name: &str, value: &Setting) -> Result<bool, ConfigurationError> {
        match name {
            "command_timeout" => self.command_timeout = numbers::seconds_or_none(option, value)?,
            "request_budget" => self.request_budget = numbers::seconds_or_none(option, value)?,
            "suspect_after" => self.suspect_after = numbers::positive_seconds(option, value)?,
            "breaker_after" => self.breaker_after = numbers::seconds_or_none(option, value)?,
            "when_open" => self.when_open = WhenOpen::read(option, value)?,
            "read_from" => self.read_from = ReadFrom::read(option, value)?,
            "max_replica_lag" => self.max_replica_lag = numbers::seconds(option, value)?,
            "min_replicas" => self.min_replicas = Quorum::read(option, value, self.min_replicas)?,
            "max_connections" => {
                self.max_connections = numbers::whole_between(option, value, 1, MOST_CONNECTIONS)? as usize;
            }
            "max_idle_time" => self.max_idle_time = numbers::positive_seconds(option, value)?,
            "check_idle_after" => self.check_idle_after = numbers::seconds(option, value)?,
            "max_reply_size" => self.max_reply_size = numbers::size(option, value, LEAST_REPLY_SIZE)?,
            "max_depth" => {
                self.max_depth = numbers::whole_between(option, value, LEAST_DEPTH, GREATEST_DEPTH)? as usize;
            }
            "exceptions" => self.exceptions = predis::exceptions(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            timeout: self.timeout,
            read_write_timeout: self.read_write_timeout,
            command_timeout: self.command_timeout,
            request_budget: self.request_budget,
            suspect_after: self.suspect_after,
            retry: self.retry,
            breaker_after: self.breaker_after,
            when_open: self.when_open,
            read_from: self.read_from,
            max_replica_lag: self.max_replica_lag,
            min_replicas: self.min_replicas,
            secured: self.secured,
        }
    }

    pub(super) fn pool(&self) -> PoolLimits {
        PoolLimits {
            max_connections: self.max_connections,
            max_idle_time: self.max_idle_time,
            check_idle_after: self.check_idle_after,
            trusted_for: self.trusted_for.min(self.check_idle_after).min(self.max_idle_time),
        }
    }

    pub(super) fn limits(&self) -> ReplyLimits {
        ReplyLimits { max_reply_size: self.max_reply_size, max_depth: self.max_depth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_ini_defaults_are_the_defaults() {
        let mut defaults = Defaults::default();
        for (name, value, meaning) in INI_NAMES {
            defaults.set(name, value).unwrap();
            assert!(!meaning.is_empty());
        }
        assert_eq!(defaults, Defaults::default());
    }

    #[test]
    fn commands_wait_less_where_somebody_waits_for_them() {
        let limit = |sapi, lambda| Defaults::of(sapi, lambda).command_timeout.unwrap().as_secs();
        assert_eq!(limit("cli", false), 10);
        assert_eq!([limit("cli", true), limit("fpm-fcgi", false), limit("cli-server", false)], [5, 5, 5]);
        let open = |sapi, lambda| Defaults::of(sapi, lambda).when_open;
        assert_eq!(
            [open("cli", false), open("cli", true), open("fpm-fcgi", false)],
            [WhenOpen::Wait, WhenOpen::Fail, WhenOpen::Fail]
        );
    }

    #[test]
    fn every_ini_setting_changes_its_value() {
        let values = [
            ("timeout", "0.5"),
            ("read_write_timeout", "-1"),
            ("command_timeout", "0"),
            ("request_budget", "2.5"),
            ("suspect_after", "1"),
            ("breaker_after", "0"),
            ("when_open", "fail"),
            ("read_from", "nearest"),
            ("max_replica_lag", "2.5"),
            ("min_replicas", "2"),
            ("max_connections", "2"),
            ("max_idle_time", "60"),
            ("check_idle_after", "0"),
            ("max_reply_size", "1G"),
            ("max_depth", "8"),
            ("retry", "off"),
        ];
        let mut defaults = Defaults::default();
        for (name, value) in values {
            defaults.set(name, value).unwrap();
        }
        let expected = Defaults {
            timeout: Duration::from_millis(500),
            read_write_timeout: None,
            command_timeout: None,
            request_budget: Some(Duration::from_millis(2500)),
            suspect_after: Duration::from_secs(1),
            retry: RetrySettings { max_attempts: Some(1), ..Defaults::default().retry },
            breaker_after: None,
            when_open: WhenOpen::Fail,
            read_from: ReadFrom::Nearest,
            max_replica_lag: Duration::from_millis(2500),
            min_replicas: Some(Quorum { count: 2, timeout: Duration::from_millis(100) }),
            max_connections: 2,
            max_idle_time: Duration::from_secs(60),
            check_idle_after: Duration::ZERO,
            trusted_for: Duration::from_millis(50),
            max_reply_size: 1 << 30,
            max_depth: 8,
            exceptions: true,
            secured: false,
        };
        assert_eq!(defaults, expected);
        assert_eq!(values.len(), INI_NAMES.len());
    }

    #[test]
    fn an_empty_ini_text_leaves_the_default() {
        let mut defaults = Defaults::default();
        for (name, _, _) in INI_NAMES {
            defaults.set(name, "").unwrap();
            defaults.set(name, "  ").unwrap();
        }
        assert_eq!(defaults, Defaults::default());
    }

    #[test]
    fn bad_ini_values_name_the_setting_and_change_nothing() {
        let mut defaults = Defaults::default();
        for (name, _, _) in INI_NAMES {
            let error = defaults.set(name, "soon").unwrap_err();
            assert_eq!(error.option(), format!("resilient_redis.{name}"));
            assert_eq!(error.given(), "string 'soon'");
        }
        assert!(defaults.set("time_out", "1").unwrap_err().accepted().contains("`timeout`"));
        assert_eq!(defaults, Defaults::default());
    }
}
