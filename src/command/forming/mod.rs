//! How arguments become words by a command's form.

use std::borrow::Cow;

use super::forms::{COMBINING, Form, Place, SORTED};
use arrays::{bits, members, named_options, options};
use words::{all_flat, choose, flat, is, is_above_zero, is_integer, is_yes, scalar};

mod arrays;
mod counted;
mod modules;
mod streams;
mod vectors;
mod words;

/// A key of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// An integer key.
    Index(i64),
    /// A string key.
    Name(&'a [u8]),
}

/// An argument as a form sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Null or false: an empty word, or nothing where something may be left out.
    Nothing,
    /// True: the word `1`, or yes.
    Yes,
    /// A string, or a number as its text.
    Word(Cow<'a, [u8]>),
    /// An array.
    Array(Vec<(Key<'a>, Argument<'a>)>),
}

use Argument::{Array, Nothing, Word, Yes};

type Words<'a> = Vec<Cow<'a, [u8]>>;
type Unfit = String;

impl Form {
    /// The words that these arguments stand for.
    ///
    /// # Errors
    /// A text that says which shape was given, and which are accepted.
    pub fn words<'a>(&self, arguments: &[Argument<'a>]) -> Result<Words<'a>, Unfit> {
        let mut words = Vec::with_capacity(arguments.len() + 4);
        let mut rest = arguments;
        let mut left_out = false;
        for place in self.places {
            if let (Place::Maybe, Some(argument)) = (place, rest.first()) {
                let is_said = *argument != Nothing;
                if left_out && is_said {
                    return Err("an argument was left out in front of one that is given; the server tells them by \
                                their places alone"
                        .to_owned());
                }
                left_out = !is_said;
            }
            // A list in place of a word is several, and a word in place of an option says that only words follow.
            let done = match place {
                Place::Members => return members(&mut words, rest).map(|()| words),
                Place::Options(known) => return options(&mut words, rest, known).map(|()| words),
                Place::Entry => return streams::entry(&mut words, rest).map(|()| words),
                Place::Reading => return streams::reading(&mut words, rest).map(|()| words),
                Place::Group => return streams::group(&mut words, rest).map(|()| words),
                Place::Pending => return streams::pending(&mut words, rest).map(|()| words),
                Place::Bits => return bits(&mut words, rest).map(|()| words),
                Place::Loading => return loading(&mut words, rest).map(|()| words),
                Place::Streams => return streams::of_streams(&mut words, rest).map(|()| words),
                Place::Claiming => return streams::claiming(&mut words, rest).map(|()| words),
                Place::Managing => return streams::managing(&mut words, rest).map(|()| words),
                Place::Block(block) => return counted::block(&mut words, rest, block).map(|()| words),
                Place::Tail(tail) => return modules::tail(&mut words, rest, tail).map(|()| words),
                Place::Vector => return vectors::addition(&mut words, rest).map(|()| words),
                Place::Query => {
                    let done = vectors::query(&mut words, rest)?;
                    rest = rest.get(1..).unwrap_or_default();
                    done
                }
                Place::Choice(choice) => {
                    choose(&mut words, rest.first(), choice)?;
                    true
                }
                _ => match rest.first() {
                    Some(argument) => by_place(&mut words, place, argument, self.places)?,
                    None => break,
                },
            };
            if !done {
                return options(&mut words, rest, &[]).map(|()| words);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        for argument in rest {
            flat(&mut words, argument)?;
        }
        Ok(words)
    }
}

/// Takes one argument by its place. False: from here on the arguments are words.
fn by_place<'a>(
    words: &mut Words<'a>,
    place: &Place,
    argument: &Argument<'a>,
    places: &[Place],
) -> Result<bool, Unfit> {
    match (place, argument) {
        (Place::Single, Array(list)) => {
            let count = list.len();
            return Err(format!("an array of {count} was given where one string, number, boolean or null is accepted"));
        }
        (Place::Keys, Array(keys)) => {
            words.push(Cow::Owned(keys.len().to_string().into_bytes()));
            flat(words, argument)?;
        }
        (Place::Keys | Place::Clause, Word(_) | Yes | Nothing) => return Ok(false),
        (Place::Unsent, Yes) => {}
        (Place::One(choice), Word(word)) if choice.iter().any(|name| is(word, name)) => {
            choose(words, Some(argument), choice)?;
        }
        (Place::One(_), Word(word)) if word.is_empty() => {}
        (Place::One(_) | Place::Limit | Place::Patterns(_), Word(word)) if is_name(word, places) => return Ok(false),
        // Whatever comes here is a value, even one that is called as the name is.
        (Place::Behind(name), _) => {
            words.push(Cow::Borrowed(name.as_bytes()));
            flat(words, argument)?;
        }
        (Place::One(choice), Word(_) | Yes | Array(_)) => choose(words, Some(argument), choice)?,
        (Place::Counted(_) | Place::Rows(_) | Place::Limit | Place::List(_), Word(_) | Yes) => return Ok(false),
        (Place::List(_), Array(list)) if list.is_empty() => {}
        (Place::List(name), Array(_)) => {
            words.push(Cow::Borrowed(name.as_bytes()));
            flat(words, argument)?;
        }
        (Place::Counted(name), Array(list)) => {
            words.extend([Cow::Borrowed(name.as_bytes()), Cow::Owned(list.len().to_string().into_bytes())]);
            flat(words, argument)?;
        }
        (Place::Rows(first), Array(list)) => counted::rows(words, list, first)?,
        (Place::Increment, Word(word)) => match counted::increment(word) {
            Some(name) => words.extend([Cow::Borrowed(name.as_bytes()), word.clone()]),
            None => return Ok(false),
        },
        (Place::Limit, Array(list)) => {
            if !matches!(list.first(), Some((_, Word(first))) if is(first, "LIMIT")) {
                words.push(Cow::Borrowed(b"LIMIT"));
            }
            flat(words, argument)?;
        }
        (Place::Patterns(name), Word(_) | Array(_)) => {
            let one = [(Key::Index(0), argument.clone())];
            for (_, pattern) in if let Array(list) = argument { &list[..] } else { &one } {
                words.push(Cow::Borrowed(name.as_bytes()));
                scalar(words, pattern)?;
            }
        }
        (Place::Weights, Array(list)) if list.iter().any(|(key, _)| matches!(key, Key::Name(_))) => {
            named_options(words, list, COMBINING)?;
        }
        (Place::Weights, Array(list)) if list.is_empty() => {}
        (Place::Weights, Array(_)) => {
            words.push(Cow::Borrowed(b"WEIGHTS"));
            flat(words, argument)?;
        }
        (Place::Weights, Word(_) | Yes) => return Ok(false),
        (
            Place::Named(_)
            | Place::Number(_)
            | Place::Unless(_)
            | Place::Switch(_)
            | Place::Weights
            | Place::Maybe
            | Place::One(_)
            | Place::Counted(_)
            | Place::List(_)
            | Place::Above(_)
            | Place::Rows(_)
            | Place::Limit
            | Place::Patterns(_)
            | Place::Unsent,
            Nothing,
        ) => {}
        (Place::Named(_) | Place::Number(_) | Place::Unless(_) | Place::Above(_) | Place::Switch(_), Word(word))
            if is_name(word, places) =>
        {
            return Ok(false);
        }
        (Place::Named(_), Word(word)) if word.is_empty() => {}
        (Place::Number(_), Word(_)) if !is_integer(argument) => return Ok(false),
        (Place::Unless(_), Word(word)) if **word == *b"-1" => {}
        (Place::Above(_), Word(word)) if !is_above_zero(word) => {}
        (Place::Named(name) | Place::Number(name) | Place::Unless(name) | Place::Above(name), Word(_) | Yes) => {
            words.push(Cow::Borrowed(name.as_bytes()));
            flat(words, argument)?;
        }
        (Place::Switch(name), Word(_) | Yes) => {
            if is_yes(argument) {
                words.push(Cow::Borrowed(name.as_bytes()));
            }
        }
        (Place::Named("BY"), Array(list)) => named_options(words, list, SORTED)?,
        (
            Place::Named(name) | Place::Number(name) | Place::Unless(name) | Place::Above(name) | Place::Switch(name),
            Array(_),
        ) => {
            return Err(format!("an array was given for {name}; accepted is a scalar"));
        }
        _ => flat(words, argument)?,
    }
    Ok(true)
}

/// Whether a word is the name of an option of this form.
fn is_name(word: &[u8], places: &[Place]) -> bool {
    places.iter().any(|place| match place {
        Place::Named(name) | Place::Number(name) | Place::Unless(name) | Place::Switch(name) => is(word, name),
        Place::Counted(name) | Place::Patterns(name) | Place::Behind(name) | Place::List(name) | Place::Above(name) => {
            is(word, name)
        }
        Place::Limit => is(word, "LIMIT"),
        Place::One(choice) => choice.iter().any(|name| is(word, name)),
        Place::Weights => is(word, "WEIGHTS"),
        _ => false,
    })
}

/// A library's code, which the server wants behind `REPLACE`.
fn loading<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    match arguments {
        [load @ Word(name), code, replaces @ (Yes | Nothing)] if is(name, "LOAD") => {
            scalar(words, load)?;
            if is_yes(replaces) {
                words.push(Cow::Borrowed(b"REPLACE"));
            }
            scalar(words, code)
        }
        _ => all_flat(words, arguments),
    }
}

#[cfg(test)]
mod modules_tests;
#[cfg(test)]
mod newer_tests;
#[cfg(test)]
mod tests;
