//! What forms are made of: single arguments as words.

use std::borrow::Cow;

use super::{Argument, Key, Unfit, Words};
use Argument::{Array, Nothing, Word, Yes};

const NESTED: &str = "an array inside of an array was given; accepted are strings, numbers, booleans and null";

pub(super) fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

pub(super) fn is_integer(argument: &Argument) -> bool {
    matches!(argument, Word(word) if std::str::from_utf8(word).is_ok_and(|text| text.parse::<i64>().is_ok()))
}

/// Whether a word is not a number that is zero or less.
pub(super) fn is_above_zero(word: &[u8]) -> bool {
    let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
    !word.is_empty() && number.is_none_or(|number| number > 0.0)
}

/// A value behind its name, unless it is nothing.
pub(super) fn named<'a>(words: &mut Words<'a>, name: &'static str, value: &Argument<'a>) -> Result<(), Unfit> {
    if *value == Nothing {
        return Ok(());
    }
    words.push(Cow::Borrowed(name.as_bytes()));
    scalar(words, value).map_err(|_| format!("an array was given for {name}; accepted is a scalar"))
}

/// Scalars and lists as words.
pub(super) fn all_flat<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    arguments.iter().try_for_each(|argument| flat(words, argument))
}

/// Words, and arrays whose keys are words, too.
pub(super) fn pairs<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    for argument in arguments {
        let Array(list) = argument else {
            scalar(words, argument)?;
            continue;
        };
        for (key, value) in list {
            words.push(key_word(*key));
            scalar(words, value)?;
        }
    }
    Ok(())
}

pub(super) fn key_word(key: Key<'_>) -> Cow<'_, [u8]> {
    match key {
        Key::Index(index) => Cow::Owned(index.to_string().into_bytes()),
        Key::Name(name) => Cow::Borrowed(name),
    }
}

/// PHP's idea of true.
pub(super) fn is_yes(argument: &Argument) -> bool {
    match argument {
        Nothing => false,
        Yes => true,
        Word(word) => !matches!(&**word, b"" | b"0"),
        Array(list) => !list.is_empty(),
    }
}

pub(super) fn choose<'a>(
    words: &mut Words<'a>,
    given: Option<&Argument<'a>>,
    choice: &[&'static str],
) -> Result<(), Unfit> {
    let chosen = match given {
        None | Some(Nothing) => Some(&choice[0]),
        Some(Word(word)) => choice.iter().find(|name| is(word, name)),
        Some(_) => None,
    };
    let Some(chosen) = chosen else {
        let given = match given {
            Some(Word(word)) => format!("'{}'", String::from_utf8_lossy(word)),
            Some(Array(_)) => "an array".to_owned(),
            _ => "true".to_owned(),
        };
        return Err(format!("{given} was given; accepted are {}", choice.join(" and ")));
    };
    words.push(Cow::Borrowed(chosen.as_bytes()));
    Ok(())
}

/// A scalar as a word, a list as its elements.
pub(super) fn flat<'a>(words: &mut Words<'a>, argument: &Argument<'a>) -> Result<(), Unfit> {
    let Array(list) = argument else { return scalar(words, argument) };
    for (key, element) in list {
        if let Key::Name(name) = key {
            let name = String::from_utf8_lossy(name);
            return Err(format!("an array with the key '{name}' was given where a list is accepted"));
        }
        scalar(words, element)?;
    }
    Ok(())
}

pub(super) fn scalar<'a>(words: &mut Words<'a>, argument: &Argument<'a>) -> Result<(), Unfit> {
    words.push(match argument {
        Nothing => Cow::Borrowed(b""),
        Yes => Cow::Borrowed(b"1"),
        Word(word) => word.clone(),
        Array(_) => return Err(NESTED.to_owned()),
    });
    Ok(())
}
