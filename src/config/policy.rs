//! The plain types of what a configuration says besides where to go.

use std::fmt;
use std::time::Duration;

use super::read_from::ReadFrom;

use super::error::ConfigurationError;
use super::setting::Setting;

/// The version of the Redis protocol to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RESP2, whose reply shapes Predis users know.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Resp2 => "2",
            Protocol::Resp3 => "3",
        })
    }
}

/// How long to wait for what, and what to do when it does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The limit of one dial.
    pub timeout: Duration,
    /// The limit of one attempt's reply; none means no limit.
    pub read_write_timeout: Option<Duration>,
    /// The limit of everything that one command does, retries included; none means no limit.
    pub command_timeout: Option<Duration>,
    /// The limit of everything that one request does; none means no limit.
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
    /// How many replicas have to acknowledge a write; none means that nobody waits for them.
    pub min_replicas: Option<Quorum>,
    /// Whether nodes are spoken to under TLS, as messages say.
    pub secured: bool,
}

/// What a command does while a deployment is known to be down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenOpen {
    /// It fails at once.
    #[default]
    Fail,
    /// It waits for the deployment to come back, within its limits.
    Wait,
}

impl WhenOpen {
    /// Reads the option.
    pub(super) fn read(option: &str, value: &Setting) -> Result<WhenOpen, ConfigurationError> {
        match value {
            Setting::Text(word) if word.trim() == "fail" => Ok(WhenOpen::Fail),
            Setting::Text(word) if word.trim() == "wait" => Ok(WhenOpen::Wait),
            _ => Err(ConfigurationError::about(option, value, "'fail' or 'wait'")),
        }
    }
}

/// How many replicas have to acknowledge a write, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// How many, at least 1.
    pub count: u32,
    /// How long they may take, from when the primary has applied the write.
    pub timeout: Duration,
}

/// What is tried again, and at which pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// The highest rank that is sent again when the outcome of an attempt is unknown.
    pub ceiling: Ceiling,
    /// The bound of the first wait.
    pub base: Duration,
    /// The bound of every wait.
    pub cap: Duration,
    /// How many attempts a command has in all; none means as many as fit into its deadline.
    pub max_attempts: Option<u32>,
}

/// Ranks of commands by what a second application does, lowest risk first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ceiling {
    /// Commands that change nothing.
    Read,
    /// Commands that say themselves whether they were applied before, such as SETNX.
    Checked,
    /// Commands whose second application gives the same state, such as SET.
    LastWins,
    /// Commands whose second application adds up, such as INCR.
    Accumulating,
}

impl Ceiling {
    /// The words that users write, lowest rank first.
    pub const WORDS: [(&'static str, Ceiling); 4] = [
        ("read", Ceiling::Read),
        ("checked", Ceiling::Checked),
        ("last-wins", Ceiling::LastWins),
        ("accumulating", Ceiling::Accumulating),
    ];

    pub(super) const ACCEPTED: &'static str = "'read', 'checked', 'last-wins', 'accumulating'";

    /// The ceiling that `word` names.
    pub fn from_word(word: &str) -> Option<Ceiling> {
        Ceiling::WORDS.iter().find(|(known, _)| *known == word).map(|(_, ceiling)| *ceiling)
    }
}

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most connections per node and process.
    pub max_connections: usize,
    /// An idle connection older than this is closed instead of used.
    pub max_idle_time: Duration,
    /// An idle connection older than this is checked before use; zero checks always.
    pub check_idle_after: Duration,
    /// One that was idle for less, by the monotonic clock, is taken as it is. Not above any of the other times.
    pub trusted_for: Duration,
}

/// What a reply may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// The most bytes of one reply.
    pub max_reply_size: u64,
    /// The deepest nesting of arrays in one reply.
    pub max_depth: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_ordered_by_risk_and_named_by_their_words() {
        assert!(Ceiling::Read < Ceiling::Checked && Ceiling::LastWins < Ceiling::Accumulating);
        for (word, ceiling) in Ceiling::WORDS {
            assert_eq!(Ceiling::from_word(word), Some(ceiling));
            assert!(Ceiling::ACCEPTED.contains(word));
        }
        assert_eq!(Ceiling::from_word("never"), None);
    }
}
