//! Arrays whose keys say something: options by name, scores by member, offsets by encoding.

use std::borrow::Cow;

use super::super::forms::Kind;
use super::words::{flat, is, is_yes, key_word, scalar};
use super::{Argument, Key, Unfit, Words};
use Argument::{Array, Nothing};

/// Arrays of options, and words.
pub(super) fn options<'a>(
    words: &mut Words<'a>,
    arguments: &[Argument<'a>],
    known: &[(&'static str, Kind)],
) -> Result<(), Unfit> {
    for argument in arguments {
        match argument {
            Nothing => {}
            Array(list) if known.is_empty() => flat(words, &Array(list.clone()))?,
            Array(list) => named_options(words, list, known)?,
            _ => scalar(words, argument)?,
        }
    }
    Ok(())
}

/// An array of options by name. An element without a name is a word.
pub(super) fn named_options<'a>(
    words: &mut Words<'a>,
    list: &[(Key<'a>, Argument<'a>)],
    known: &[(&'static str, Kind)],
) -> Result<(), Unfit> {
    for (key, value) in list {
        let Key::Name(given) = key else {
            if *value != Nothing {
                scalar(words, value)?;
            }
            continue;
        };
        let Some((name, kind)) = known.iter().find(|(name, _)| is(given, name)) else {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            let given = String::from_utf8_lossy(given);
            return Err(format!("option '{given}' is unknown; accepted are {}", names.join(", ")));
        };
        let head = Cow::Borrowed(name.as_bytes());
        match (kind, value) {
            (Kind::Flag, _) if is_yes(value) => words.push(head),
            (Kind::Flag, _) | (_, Nothing) => {}
            (Kind::Bare, _) => flat(words, value)?,
            (Kind::Value, _) => {
                words.push(head);
                scalar(words, value).map_err(|_| format!("option {name} takes one value, not an array"))?;
            }
            (Kind::Each, Array(values)) => {
                for (_, value) in values {
                    words.push(head.clone());
                    scalar(words, value)?;
                }
            }
            (Kind::Each, _) => {
                words.push(head);
                scalar(words, value)?;
            }
            (Kind::Two, _) => {
                let (first, second) = two(value).ok_or_else(|| {
                    format!(
                        "option {name} takes an offset and a count, such as [0, 10] or ['offset' => 0, 'count' => 10]"
                    )
                })?;
                words.push(head);
                scalar(words, first)?;
                scalar(words, second)?;
            }
            (Kind::All, Array(values)) if values.is_empty() => {}
            (Kind::All, Array(values)) => {
                words.push(head);
                for (_, value) in values {
                    scalar(words, value)?;
                }
            }
            (Kind::All, _) => return Err(format!("option {name} takes a list")),
        }
    }
    Ok(())
}

/// The two scalars of a list, or of an array with the keys `offset` and `count` in any order.
fn two<'b, 'a>(value: &'b Argument<'a>) -> Option<(&'b Argument<'a>, &'b Argument<'a>)> {
    let Array(list) = value else { return None };
    let named = |wanted: &str| list.iter().find(|(key, _)| matches!(key, Key::Name(name) if is(name, wanted)));
    let (first, second) = match &list[..] {
        [(Key::Index(_), first), (Key::Index(_), second)] => (first, second),
        [_, _] => (&named("offset")?.1, &named("count")?.1),
        _ => return None,
    };
    (!matches!(first, Array(_)) && !matches!(second, Array(_))).then_some((first, second))
}

/// Words, and arrays of scores by member. The server wants the score first.
pub(super) fn members<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    for argument in arguments {
        let Array(list) = argument else {
            scalar(words, argument)?;
            continue;
        };
        for (member, score) in list {
            scalar(words, score)?;
            words.push(key_word(*member));
        }
    }
    Ok(())
}

/// Reads of bits: an array of offsets by encoding, or words.
pub(super) fn bits<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    for argument in arguments {
        let Array(list) = argument else {
            scalar(words, argument)?;
            continue;
        };
        for (key, offset) in list {
            if let Key::Name(encoding) = key {
                words.extend([Cow::Borrowed(&b"GET"[..]), Cow::Borrowed(*encoding)]);
            }
            scalar(words, offset)?;
        }
    }
    Ok(())
}
