//! A value as the user wrote it, and how it is shown in messages.

use std::fmt;

use super::secret::Asker;

/// A value as the user wrote it, free of PHP.
///
/// `Debug` shows the shape and hides texts and numbers: any of them may be a password.
#[derive(Clone, PartialEq)]
pub enum Setting {
    /// PHP's null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// An array that is a list; PHP's empty array too.
    List(Vec<Setting>),
    /// An array with keys, in its order; integer keys as decimal text.
    Map(Vec<(String, Setting)>),
    /// A callable where a secret may stand, which is asked for it.
    Asked(Asker),
    /// Anything else, by a description such as `object of class Foo` or `closure`.
    Other(String),
}

impl Setting {
    /// The value in a message: `string 'abc'`, `int 5`, `bool true`, `array`. Texts are cut at 64 characters, and what
    /// may be credentials in a URI is hidden.
    pub fn describe(&self) -> String {
        match self {
            Setting::Null => "null".to_owned(),
            Setting::Bool(value) => format!("bool {value}"),
            Setting::Int(value) => format!("int {value}"),
            Setting::Float(value) => format!("float {value}"),
            Setting::Text(text) => format!("string '{}'", visible(text)),
            Setting::List(_) | Setting::Map(_) => "array".to_owned(),
            Setting::Asked(_) => "a callable".to_owned(),
            Setting::Other(description) => visible(description),
        }
    }

    /// Only what sort of value it is, for values under names that nobody knows: a misspelt `pasword` is a password.
    pub(super) fn kind(&self) -> String {
        match self {
            Setting::Null => "null".to_owned(),
            Setting::Bool(_) => "a bool".to_owned(),
            Setting::Int(_) => "an int".to_owned(),
            Setting::Float(_) => "a float".to_owned(),
            Setting::Text(_) => "a string".to_owned(),
            Setting::List(_) | Setting::Map(_) => "an array".to_owned(),
            Setting::Asked(_) => "a callable".to_owned(),
            Setting::Other(description) => visible(description),
        }
    }

    /// Null and the empty string mean that nothing was given, as in Predis.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            Setting::Null => true,
            Setting::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// The entries of an array with keys; an empty array has none.
    pub(super) fn entries(&self) -> Option<&[(String, Setting)]> {
        match self {
            Setting::Map(entries) => Some(entries),
            Setting::List(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The items of a list that is not empty. Integer keys with gaps (what `array_filter` leaves) are a list too.
    pub(super) fn items(&self) -> Option<Vec<&Setting>> {
        match self {
            Setting::List(items) if !items.is_empty() => Some(items.iter().collect()),
            Setting::Map(entries) if !entries.is_empty() && entries.iter().all(|(key, _)| is_integer_key(key)) => {
                Some(entries.iter().map(|(_, item)| item).collect())
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Null => f.write_str("Null"),
            Setting::Bool(value) => write!(f, "Bool({value})"),
            Setting::Int(_) => f.write_str("Int(***)"),
            Setting::Float(_) => f.write_str("Float(***)"),
            Setting::Text(_) => f.write_str("Text(***)"),
            Setting::List(items) => f.debug_list().entries(items).finish(),
            Setting::Map(entries) => {
                f.debug_map().entries(entries.iter().map(|(key, item)| (visible(key), item))).finish()
            }
            Setting::Asked(_) => f.write_str("Asked"),
            Setting::Other(description) => write!(f, "Other({description})"),
        }
    }
}

pub(super) fn is_integer_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

const SHOWN_CHARACTERS: usize = 64;

/// A user's text made fit for a message: credentials hidden, control characters escaped, cut at 64 characters.
pub(super) fn visible(text: &str) -> String {
    let hidden = without_credentials(text);
    let mut shown = String::new();
    for (position, character) in hidden.chars().enumerate() {
        if position == SHOWN_CHARACTERS {
            shown.push_str("...");
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Hides what stands before an `@` and what follows a `?` or `&` with a value. Where an `@` comes after them, a raw
/// password may be what was split, so everything is hidden.
fn without_credentials(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    let (head, tail) = match rest.find(['?', '&']) {
        Some(at) if rest[at..].contains(['=', '@']) => rest.split_at(at),
        _ => (rest, ""),
    };
    if tail.contains('@') {
        return format!("{scheme}***");
    }
    let head = match head.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => head.to_owned(),
    };
    let tail = tail.get(..1).map_or(String::new(), |mark| format!("{mark}***"));
    format!("{scheme}{head}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    #[test]
    fn values_are_described_with_their_type() {
        assert_eq!(text("abc").describe(), "string 'abc'");
        assert_eq!(Setting::Int(5).describe(), "int 5");
        assert_eq!(Setting::Float(2.5).describe(), "float 2.5");
        assert_eq!(Setting::Bool(true).describe(), "bool true");
        assert_eq!(Setting::Null.describe(), "null");
        assert_eq!(Setting::List(vec![]).describe(), "array");
        assert_eq!(Setting::Other("object of class Foo".into()).describe(), "object of class Foo");
    }

    #[test]
    fn long_texts_are_cut_at_64_characters_and_control_characters_are_escaped() {
        assert_eq!(text(&"é".repeat(65)).describe(), format!("string '{}...'", "é".repeat(64)));
        assert_eq!(text(&"x".repeat(64)).describe(), format!("string '{}'", "x".repeat(64)));
        assert_eq!(text("a\nb").describe(), "string 'a\\nb'");
    }

    #[test]
    fn credentials_in_a_uri_are_hidden_even_when_the_uri_is_malformed() {
        assert_eq!(text("redis://user:hunter2@host:1/0").describe(), "string 'redis://***@host:1/0'");
        assert_eq!(text("host:1?password=hunter2").describe(), "string 'host:1?***'");
        for uri in [
            "redis://:hunter2?x@host",
            "redis://:a@hunter2?x@host",
            "redis://:hunter2/x@host",
            "tcp://host&password=hunter2",
            "user:hunter2@host",
            "host?password=a@hunter2",
        ] {
            assert!(!text(uri).describe().contains("hunter2"), "{uri}");
        }
    }

    #[test]
    fn a_question_mark_alone_hides_nothing() {
        assert_eq!(text("what?").describe(), "string 'what?'");
    }

    #[test]
    fn debug_shows_the_shape_and_no_values() {
        let value = Setting::Map(vec![
            ("password".into(), text("hunter2")),
            ("pin".into(), Setting::Int(4711)),
            ("nodes".into(), Setting::List(vec![text("redis://:hunter2@h"), Setting::Bool(true)])),
        ]);
        let shown = format!("{value:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("4711"), "{shown}");
        assert!(shown.contains("password") && shown.contains("Bool(true)"), "{shown}");
    }

    #[test]
    fn an_array_with_integer_keys_and_gaps_is_a_list() {
        let value = Setting::Map(vec![("0".into(), text("a")), ("2".into(), text("b"))]);
        assert_eq!(value.items().map(|items| items.len()), Some(2));
        assert!(Setting::Map(vec![("host".into(), text("a"))]).items().is_none());
        assert!(Setting::List(vec![]).items().is_none());
        assert_eq!(Setting::List(vec![]).entries(), Some(&[][..]));
    }
}
