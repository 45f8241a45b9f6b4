//! How sessions are kept: the options of the session handler, and what PHP's `session.save_path` says.

use std::time::Duration;

use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::setting::Setting;
use super::uri;

/// The options of the session handler.
const SESSION: &[&str] = &["prefix", "gc_maxlifetime", "locking", "lock_wait", "lock_ttl"];

/// How sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// What stands in front of the session's id to make its key, behind the client's own prefix.
    pub prefix: String,
    /// How long a session lives after its last use; PHP's `session.gc_maxlifetime` if not given.
    pub lifetime: Option<Duration>,
    /// How a session is locked while a request has it; not at all if not given.
    pub locking: Option<SessionLocking>,
}

/// How a session is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLocking {
    /// How long to wait for another request to let go of it.
    pub wait: Duration,
    /// How long a lock outlives a process that never comes back.
    pub ttl: Duration,
}

impl Default for SessionLocking {
    fn default() -> SessionLocking {
        SessionLocking { wait: Duration::from_secs(30), ttl: Duration::from_secs(60) }
    }
}

impl SessionSettings {
    /// Reads the options of the session handler: an array, or null.
    ///
    /// # Errors
    /// An option is unknown, or its value is not accepted.
    pub fn read(options: &Setting) -> Result<SessionSettings, ConfigurationError> {
        let accepted = "an array of option names and values";
        let entries = match options {
            Setting::Null => &[],
            other => other.entries().ok_or_else(|| ConfigurationError::about("options", other, accepted))?,
        };
        let mut settings = SessionSettings { prefix: String::new(), lifetime: None, locking: None };
        let mut locking = SessionLocking::default();
        let mut locks = false;
        for (name, value) in entries.iter().filter(|(_, value)| !value.is_absent()) {
            match name.as_str() {
                "prefix" => match value {
                    Setting::Text(prefix) => settings.prefix.clone_from(prefix),
                    other => return Err(ConfigurationError::about(name, other, "a string")),
                },
                "gc_maxlifetime" => settings.lifetime = Some(whole_seconds(name, value)?),
                "locking" => {
                    locks =
                        numbers::truth(value).ok_or_else(|| ConfigurationError::about(name, value, "true or false"))?;
                }
                "lock_wait" => locking.wait = numbers::seconds(name, value)?,
                "lock_ttl" => locking.ttl = numbers::positive_seconds(name, value)?.max(Duration::from_millis(1)),
                _ => return Err(names::unknown(name, name, value, &[SESSION])),
            }
        }
        settings.locking = locks.then_some(locking);
        Ok(settings)
    }
}

fn whole_seconds(name: &str, value: &Setting) -> Result<Duration, ConfigurationError> {
    let seconds = numbers::whole_between(name, value, 1, u32::MAX)?;
    Ok(Duration::from_secs(u64::from(seconds)))
}

/// PHP's name for where sessions are kept.
const SAVE_PATH: &str = "session.save_path";

/// What `session.save_path` says.
#[derive(Debug)]
pub struct SavePath {
    /// The constructor's first argument.
    pub parameters: Setting,
    /// The constructor's second argument.
    pub options: Setting,
    /// How sessions are kept.
    pub session: SessionSettings,
}

impl SavePath {
    /// Reads a save path: one node or several with commas between, each as the constructor takes it. In the query of
    /// any of them, options of the client and of the session handler may stand, too.
    ///
    /// # Errors
    /// There is none, an option is unknown, or one of the session handler is not accepted. Nodes and the values of the
    /// client's options are not looked at.
    pub fn read(path: &str) -> Result<SavePath, ConfigurationError> {
        let (mut nodes, mut options, mut session) = (Vec::new(), Vec::new(), Vec::new());
        for node in path.split(',').map(str::trim).filter(|node| !node.is_empty()) {
            let (address, query) = node.split_once('?').unwrap_or((node, ""));
            let mut rest = Vec::new();
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let entry = || Ok((name.to_owned(), Setting::Text(uri::decode_query(SAVE_PATH, value)?)));
                if SESSION.contains(&name) {
                    session.push(entry()?);
                } else if names::OPTIONS.contains(&name) {
                    options.push(entry()?);
                } else if names::is_parameter(&uri::decode_query(SAVE_PATH, name)?) {
                    rest.push(pair);
                } else {
                    let option = format!("{SAVE_PATH}.{name}");
                    let known = &[SESSION, names::OPTIONS, names::PARAMETERS];
                    return Err(names::unknown(&option, name, &Setting::Text(value.to_owned()), known));
                }
            }
            let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
            nodes.push(Setting::Text(format!("{address}{query}")));
        }
        let parameters = match nodes.len() {
            0 => {
                let given = Setting::Text(path.to_owned());
                let accepted = "one or more nodes, such as tcp://127.0.0.1:6379?database=1&locking=1";
                return Err(ConfigurationError::about(SAVE_PATH, &given, accepted));
            }
            1 => nodes.remove(0),
            _ => Setting::List(nodes),
        };
        let session = SessionSettings::read(&Setting::Map(session))?;
        Ok(SavePath { parameters, options: Setting::Map(options), session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(entries: &[(&str, Setting)]) -> Setting {
        Setting::Map(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn text(text: &str) -> Setting {
        Setting::Text(text.to_owned())
    }

    #[test]
    fn sessions_are_not_locked_unless_that_is_asked_for() {
        assert_eq!(SessionSettings::read(&Setting::Null).unwrap().locking, None);
        let waits = options(&[("lock_wait", Setting::Int(5))]);
        assert_eq!(SessionSettings::read(&waits).unwrap().locking, None);
        let locks = options(&[("locking", Setting::Bool(true)), ("lock_wait", Setting::Float(0.5))]);
        let locking = SessionSettings::read(&locks).unwrap().locking.unwrap();
        assert_eq!(locking, SessionLocking { wait: Duration::from_millis(500), ttl: Duration::from_secs(60) });
    }

    #[test]
    fn an_unknown_option_is_answered_with_the_nearest_known_one() {
        let error = SessionSettings::read(&options(&[("lock_wiat", Setting::Int(5))])).unwrap_err();
        assert_eq!(error.accepted(), "unknown option; did you mean `lock_wait`?");
        let error = SessionSettings::read(&options(&[("gc_maxlifetime", Setting::Int(0))])).unwrap_err();
        assert!(error.to_string().contains("gc_maxlifetime"), "{error}");
    }

    #[test]
    fn a_save_path_names_nodes_and_options_of_the_client_and_of_the_session() {
        let path = "tcp://a:6379?database=1&locking=1&prefix=app%3A&command_timeout=2.5, tcp://b:6380";
        let read = SavePath::read(path).unwrap();
        assert_eq!(read.parameters, Setting::List(vec![text("tcp://a:6379?database=1"), text("tcp://b:6380")]));
        assert_eq!(read.options, options(&[("command_timeout", text("2.5"))]));
        assert_eq!(read.session.prefix, "app:");
        assert!(read.session.locking.is_some());
    }

    #[test]
    fn a_misspelt_option_of_a_save_path_is_one_of_the_session_and_the_nearest_name_is_given() {
        for (query, option, guess) in [
            ("lokcing=1", "session.save_path.lokcing", "locking"),
            ("database=1&lock_wiat=5", "session.save_path.lock_wiat", "lock_wait"),
            ("comand_timeout=5", "session.save_path.comand_timeout", "command_timeout"),
            ("pasword=hunter2", "session.save_path.pasword", "password"),
        ] {
            let error = SavePath::read(&format!("tcp://a:6379?{query}")).unwrap_err();
            assert_eq!(error.option(), option);
            assert_eq!(error.accepted(), format!("unknown option; did you mean `{guess}`?"));
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(SavePath::read("tcp://a?ssl[cafile]=/x&ssl%5Bcapath%5D=/y&persistent=1&timeout=1").is_ok());
    }

    #[test]
    fn a_save_path_without_a_node_is_refused() {
        for path in ["", " , "] {
            assert!(SavePath::read(path).unwrap_err().to_string().contains("session.save_path"), "{path:?}");
        }
    }
}
