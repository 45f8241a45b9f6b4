//! The forms of commands on vector sets.

use std::borrow::Cow;

use super::words::{all_flat, flat, is, is_yes, named, scalar};
use super::{Argument, Unfit, Words};
use Argument::{Array, Nothing, Word};

/// `VADD` behind its key: a vector, an element, dimensions to reduce to, whether threads are used, quantisation, effort,
/// attributes and links.
pub(super) fn addition<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [given, element, options @ ..] = arguments else { return all_flat(words, arguments) };
    if is_word(given, &["REDUCE", "FP32", "VALUES"]) && !options.is_empty() {
        return all_flat(words, arguments);
    }
    let option = |index: usize| options.get(index).unwrap_or(&Nothing);
    named(words, "REDUCE", option(0))?;
    vector(words, given)?;
    scalar(words, element)?;
    if is_yes(option(1)) {
        words.push(Cow::Borrowed(b"CAS"));
    }
    if *option(2) != Nothing {
        scalar(words, option(2))?;
    }
    named(words, "EF", option(3))?;
    named(words, "SETATTR", option(4))?;
    named(words, "M", option(5))
}

/// `VSIM` behind its key: a vector or an element, and whether it is an element. False: only words follow.
pub(super) fn query<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<bool, Unfit> {
    let Some(given) = arguments.first() else { return Ok(false) };
    if is_word(given, &["ELE", "FP32", "VALUES"]) && matches!(arguments.get(1), Some(Word(_))) {
        scalar(words, given)?;
        return Ok(false);
    }
    if !matches!(given, Array(_)) && arguments.get(1).is_some_and(is_yes) {
        words.push(Cow::Borrowed(b"ELE"));
        scalar(words, given)?;
    } else {
        vector(words, given)?;
    }
    Ok(true)
}

/// A list of components, or the bytes of floats of 32 bits.
fn vector<'a>(words: &mut Words<'a>, given: &Argument<'a>) -> Result<(), Unfit> {
    match given {
        Array(list) => {
            words.extend([Cow::Borrowed(&b"VALUES"[..]), Cow::Owned(list.len().to_string().into_bytes())]);
            flat(words, given)
        }
        Word(_) => {
            words.push(Cow::Borrowed(b"FP32"));
            scalar(words, given)
        }
        _ => Err("a vector is a list of numbers, or a string of floats of 32 bits".to_owned()),
    }
}

fn is_word(given: &Argument, names: &[&str]) -> bool {
    matches!(given, Word(word) if names.iter().any(|name| is(word, name)))
}
