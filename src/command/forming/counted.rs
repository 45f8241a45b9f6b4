//! Forms with lists that are counted, and with words that stand beside them.

use std::borrow::Cow;

use super::super::forms;
use super::words::{all_flat, flat, is, key_word, scalar};
use super::{Argument, Key, Unfit, Words};
use Argument::{Array, Nothing, Word};

/// A counted list, or pairs, with one word or none of each set; or words.
pub(super) fn block<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>], block: &forms::Words) -> Result<(), Unfit> {
    let [list @ Array(counted), rest @ ..] = arguments else { return all_flat(words, arguments) };
    if block.before {
        sets(words, rest, block)?;
    }
    words.extend(block.name.map(|name| Cow::Borrowed(name.as_bytes())));
    words.push(Cow::Owned(counted.len().to_string().into_bytes()));
    if block.pairs {
        for (key, value) in counted {
            words.push(key_word(*key));
            scalar(words, value)?;
        }
    } else {
        flat(words, list)?;
    }
    if block.before { Ok(()) } else { sets(words, rest, block) }
}

fn sets<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>], block: &forms::Words) -> Result<(), Unfit> {
    let mut rest = arguments.iter();
    for set in block.sets {
        let word = match rest.next() {
            None | Some(Nothing) => continue,
            Some(Word(word)) if word.is_empty() => continue,
            Some(Word(word)) => word,
            Some(_) => return Err(format!("an array or true was given; accepted are {}", names(set))),
        };
        let Some((name, has_value)) = set.iter().find(|(name, _)| is(word, name)) else {
            let given = String::from_utf8_lossy(word);
            return Err(format!("'{given}' was given; accepted are {}", names(set)));
        };
        words.push(Cow::Borrowed(name.as_bytes()));
        if *has_value {
            match rest.next() {
                None | Some(Nothing | Array(_)) => return Err(format!("{name} takes a number, which was not given")),
                Some(value) => scalar(words, value)?,
            }
        }
    }
    // The value of a word that takes none, as Predis' callers may pass it on.
    match rest.next() {
        None | Some(Nothing) => Ok(()),
        Some(_) => Err("more was given than there is place for".to_owned()),
    }
}

fn names(set: &[(&str, bool)]) -> String {
    set.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Lists of words in a list; if any words are named, each begins with one of those.
pub(super) fn rows<'a>(words: &mut Words<'a>, list: &[(Key<'a>, Argument<'a>)], first: &[&str]) -> Result<(), Unfit> {
    for (_, row) in list {
        let Array(row) = row else {
            scalar(words, row)?;
            continue;
        };
        let is_known = match &row[..] {
            [(_, Word(word)), _] => first.iter().any(|name| is(word, name)),
            _ => false,
        };
        if !is_known && !first.is_empty() {
            return Err(format!("accepted are pairs of a word and a value, and as words {}", first.join(", ")));
        }
        row.iter().try_for_each(|(_, word)| scalar(words, word))?;
    }
    Ok(())
}

/// What has to be said in front of a number.
pub(super) fn increment(word: &[u8]) -> Option<&'static str> {
    let number = std::str::from_utf8(word).ok().filter(|text| text.bytes().any(|byte| byte.is_ascii_digit()))?;
    number.parse::<f64>().ok()?;
    Some(if number.contains(['.', 'e', 'E']) { "BYFLOAT" } else { "BYINT" })
}
