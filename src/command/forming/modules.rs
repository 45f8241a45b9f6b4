//! Forms of the commands of modules: what may stand behind the words whose place is fixed.

use std::borrow::Cow;

use super::super::forms::Tail;
use super::words::{all_flat, flat, is_integer, scalar};
use super::{Argument, Key, Unfit, Words};
use Argument::{Array, Nothing, Word, Yes};

/// All that follows a command's fixed words.
pub(super) fn tail<'a>(words: &mut Words<'a>, rest: &[Argument<'a>], tail: &Tail) -> Result<(), Unfit> {
    match tail {
        Tail::Options => options(words, rest),
        Tail::Dialect => dialect(words, rest),
        Tail::Schema(lead) => schema(words, rest, lead),
        Tail::Filters => filters(words, rest),
        Tail::Labels => labels(words, rest),
        Tail::Merging => merging(words, rest),
        Tail::Filled(defaults) => filled(words, rest, defaults),
    }
}

/// Lists of words, which argument objects are, and words. Nothing says nothing.
fn options<'a>(words: &mut Words<'a>, rest: &[Argument<'a>]) -> Result<(), Unfit> {
    rest.iter().try_for_each(|argument| match argument {
        Nothing => Ok(()),
        Yes => Err("true was given; accepted are objects with toArray, lists of words, words and null".to_owned()),
        _ => flat(words, argument),
    })
}

/// As `options`; the dialect of queries is the second unless they name another.
fn dialect<'a>(words: &mut Words<'a>, rest: &[Argument<'a>]) -> Result<(), Unfit> {
    let behind = words.len();
    options(words, rest)?;
    if !words[behind..].iter().any(|word| word.eq_ignore_ascii_case(b"DIALECT")) {
        words.extend([Cow::Borrowed(&b"DIALECT"[..]), Cow::Borrowed(b"2")]);
    }
    Ok(())
}

/// A list of fields, each of which may be a list of words, and options, which are sent first; or words.
fn schema<'a>(words: &mut Words<'a>, rest: &[Argument<'a>], lead: &[&'static str]) -> Result<(), Unfit> {
    let [Array(fields), more @ ..] = rest else { return options(words, rest) };
    options(words, more)?;
    if !fields.iter().any(|(_, field)| matches!(field, Word(word) if **word == *b"SCHEMA")) {
        words.extend(lead.iter().map(|word| Cow::Borrowed(word.as_bytes())));
    }
    for (key, field) in fields {
        if let Key::Name(name) = key {
            let name = String::from_utf8_lossy(name);
            return Err(format!("fields with the key '{name}' were given; accepted is a list of fields"));
        }
        flat(words, field)?;
    }
    Ok(())
}

/// A list of options or nothing, and filters; or words.
fn filters<'a>(words: &mut Words<'a>, rest: &[Argument<'a>]) -> Result<(), Unfit> {
    let [head @ (Array(_) | Nothing), filters @ ..] = rest else { return options(words, rest) };
    options(words, std::slice::from_ref(head))?;
    if !filters.is_empty() {
        words.push(Cow::Borrowed(b"FILTER"));
    }
    all_flat(words, filters)
}

/// The name of a label whose values are asked for, or nothing if the names are, and filters; or words.
fn labels<'a>(words: &mut Words<'a>, rest: &[Argument<'a>]) -> Result<(), Unfit> {
    let (label, filters) = rest.split_first().unwrap_or((&Nothing, &[]));
    match label {
        Word(word) if matches!(&**word, b"LABELS" | b"VALUES") => return options(words, rest),
        Nothing => words.push(Cow::Borrowed(b"LABELS")),
        Word(_) => {
            words.push(Cow::Borrowed(b"VALUES"));
            scalar(words, label)?;
        }
        Yes | Array(_) => return Err("true or an array was given for a label; accepted are a name and null".to_owned()),
    }
    if !filters.is_empty() {
        words.push(Cow::Borrowed(b"FILTER"));
    }
    all_flat(words, filters)
}

/// A number, which is the compression if it is above zero, and true, which overrides; or words.
fn merging<'a>(words: &mut Words<'a>, rest: &[Argument<'a>]) -> Result<(), Unfit> {
    for (at, argument) in rest.iter().enumerate() {
        match argument {
            Nothing => {}
            Yes => words.push(Cow::Borrowed(b"OVERRIDE")),
            Word(word) if **word == *b"0" => {}
            Word(word) if is_integer(argument) => words.extend([Cow::Borrowed(&b"COMPRESSION"[..]), word.clone()]),
            Word(_) => return all_flat(words, &rest[at..]),
            Array(_) => {
                return Err("an array was given; accepted are a compression and whether it overrides".to_owned());
            }
        }
    }
    Ok(())
}

/// Words, of which those that are missing behind the first are these.
fn filled<'a>(words: &mut Words<'a>, rest: &[Argument<'a>], defaults: &[&'static str]) -> Result<(), Unfit> {
    if rest.iter().all(|argument| *argument == Nothing) {
        return Ok(());
    }
    if rest.iter().any(|argument| matches!(argument, Array(_))) {
        return all_flat(words, rest);
    }
    for at in 0..rest.len().max(defaults.len()) {
        match (rest.get(at), defaults.get(at)) {
            (None | Some(Nothing), Some(default)) => words.push(Cow::Borrowed(default.as_bytes())),
            (Some(argument), _) => scalar(words, argument)?,
            (None, None) => {}
        }
    }
    Ok(())
}
