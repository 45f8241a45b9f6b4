//! Option `commands`, and the older `profile`: commands of the user's own, and what Predis calls sets of commands.

use std::collections::BTreeMap;

use super::error::ConfigurationError;
use super::setting::Setting;

/// What a client does with names of commands besides what the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandSet {
    /// Whether the table is not all there is to say, so that names have to be looked up here.
    pub says_more: bool,
    /// Whether words and replies are left as they are, whatever the table says.
    pub is_raw: bool,
    /// The user's classes by upper-case name; `None` takes the command of that name away.
    classes: BTreeMap<String, Option<String>>,
}

const ACCEPTED: &str = "an array of command names with class names or null, a callable that returns one, 'default', \
                        'predis', 'raw', or a version such as '3.2'";

impl CommandSet {
    /// Reads the option.
    pub(super) fn read(option: &str, value: &Setting) -> Result<CommandSet, ConfigurationError> {
        let version = |text: &str| {
            text.split('.').count() <= 3
                && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let fine = match value {
            Setting::Text(word) if word == "raw" => return Ok(CommandSet::raw()),
            Setting::Text(word) => matches!(word.as_str(), "default" | "predis" | "dev") || version(word),
            Setting::Int(number) => *number >= 0,
            Setting::Float(number) => number.is_finite() && *number >= 0.0,
            Setting::List(items) => items.is_empty(),
            Setting::Map(entries) => return CommandSet::of_classes(option, entries),
            _ => false,
        };
        if fine { Ok(CommandSet::default()) } else { Err(ConfigurationError::about(option, value, ACCEPTED)) }
    }

    fn of_classes(option: &str, entries: &[(String, Setting)]) -> Result<CommandSet, ConfigurationError> {
        let mut classes = BTreeMap::new();
        for (name, class) in entries {
            let class = match class {
                Setting::Null => None,
                Setting::Text(class) if !class.trim().is_empty() => Some(class.clone()),
                other => {
                    let accepted = "the name of a class with getId, setArguments, getArguments and parseResponse, \
                                    or null to take the command away";
                    return Err(ConfigurationError::about(&format!("{option}.{name}"), other, accepted));
                }
            };
            classes.insert(name.to_ascii_uppercase(), class);
        }
        Ok(CommandSet { says_more: !classes.is_empty(), is_raw: false, classes })
    }

    /// A set that leaves everything raw.
    fn raw() -> CommandSet {
        CommandSet { says_more: true, is_raw: true, classes: BTreeMap::new() }
    }

    /// Whether keys may have this prefix, which may be empty.
    pub(super) fn allow(&self, prefix: &str) -> Result<(), ConfigurationError> {
        if !self.is_raw || prefix.is_empty() {
            return Ok(());
        }
        let accepted = "none besides `commands` 'raw', which leaves all words as they are";
        Err(ConfigurationError::new("prefix", "a prefix", accepted))
    }

    /// The user's class of this name, in any case: `Some(None)` if the command was taken away.
    pub fn class(&self, name: &[u8]) -> Option<Option<&str>> {
        let name = name.to_ascii_uppercase();
        self.classes.get(std::str::from_utf8(&name).ok()?).map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    #[test]
    fn sets_of_predis_and_versions_say_nothing_more() {
        for value in [text("default"), text("3.2"), Setting::Int(5), Setting::Float(2.8), Setting::List(vec![])] {
            assert_eq!(CommandSet::read("profile", &value), Ok(CommandSet::default()), "{}", value.describe());
        }
        assert!(!CommandSet::default().says_more);
    }

    #[test]
    fn raw_leaves_everything_as_it_is() {
        let read = CommandSet::read("commands", &text("raw")).unwrap();
        assert!(read.is_raw && read.says_more);
        assert_eq!(read.allow("app:").unwrap_err().option(), "prefix", "keys are words, too");
        assert_eq!((read.allow(""), CommandSet::default().allow("app:")), (Ok(()), Ok(())));
    }

    #[test]
    fn classes_are_found_by_name_in_any_case_and_null_takes_a_command_away() {
        let classes = Setting::Map(vec![("Twice".into(), text("App\\Twice")), ("keys".into(), Setting::Null)]);
        let read = CommandSet::read("commands", &classes).unwrap();
        assert_eq!(read.class(b"tWICE"), Some(Some("App\\Twice")));
        assert_eq!((read.class(b"KEYS"), read.class(b"get")), (Some(None), None));
        assert!(read.says_more);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for value in [text("3."), Setting::Other("object of class Foo".into()), Setting::Bool(true)] {
            assert_eq!(CommandSet::read("commands", &value).unwrap_err().option(), "commands");
        }
        let classes = Setting::Map(vec![("twice".into(), Setting::Int(5))]);
        let error = CommandSet::read("commands", &classes).unwrap_err();
        assert_eq!((error.option(), error.given()), ("commands.twice", "int 5"));
        assert!(CommandSet::read("commands", &Setting::List(vec![text("App\\Twice")])).is_err(), "no name");
    }
}
