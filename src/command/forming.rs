//! How arguments become words by a command's form.

use std::borrow::Cow;

use super::forms::{COMBINING, Form, Kind, Place, SORTED};

mod counted;
mod streams;
mod vectors;

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

const NESTED: &str = "an array inside of an array was given; accepted are strings, numbers, booleans and null";

impl Form {
    /// The words that these arguments stand for.
    ///
    /// # Errors
    /// A text that says which shape was given, and which are accepted.
    pub fn words<'a>(&self, arguments: &[Argument<'a>]) -> Result<Words<'a>, Unfit> {
        let mut words = Vec::with_capacity(arguments.len() + 4);
        let mut rest = arguments;
        for place in self.places {
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
        (Place::One(_) | Place::Limit | Place::Patterns(_) | Place::Behind(_), Word(word)) if is_name(word, places) => {
            return Ok(false);
        }
        (Place::Behind(name), _) => {
            words.push(Cow::Borrowed(name.as_bytes()));
            flat(words, argument)?;
        }
        (Place::One(choice), Word(_) | Yes | Array(_)) => choose(words, Some(argument), choice)?,
        (Place::Counted(_) | Place::Rows(_) | Place::Limit, Word(_) | Yes) => return Ok(false),
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
            | Place::Rows(_)
            | Place::Limit
            | Place::Patterns(_)
            | Place::Unsent,
            Nothing,
        ) => {}
        (Place::Named(_) | Place::Number(_) | Place::Unless(_) | Place::Switch(_), Word(word))
            if is_name(word, places) =>
        {
            return Ok(false);
        }
        (Place::Named(_), Word(word)) if word.is_empty() => {}
        (Place::Number(_), Word(_)) if !is_integer(argument) => return Ok(false),
        (Place::Unless(_), Word(word)) if **word == *b"-1" => {}
        (Place::Named(name) | Place::Number(name) | Place::Unless(name), Word(_) | Yes) => {
            words.push(Cow::Borrowed(name.as_bytes()));
            flat(words, argument)?;
        }
        (Place::Switch(name), Word(_) | Yes) => {
            if is_yes(argument) {
                words.push(Cow::Borrowed(name.as_bytes()));
            }
        }
        (Place::Named("BY"), Array(list)) => named_options(words, list, SORTED)?,
        (Place::Named(name) | Place::Number(name) | Place::Unless(name) | Place::Switch(name), Array(_)) => {
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
        Place::Counted(name) | Place::Patterns(name) | Place::Behind(name) => is(word, name),
        Place::Limit => is(word, "LIMIT"),
        Place::One(choice) => choice.iter().any(|name| is(word, name)),
        Place::Weights => is(word, "WEIGHTS"),
        _ => false,
    })
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn is_integer(argument: &Argument) -> bool {
    matches!(argument, Word(word) if std::str::from_utf8(word).is_ok_and(|text| text.parse::<i64>().is_ok()))
}

/// A value behind its name, unless it is nothing.
fn named<'a>(words: &mut Words<'a>, name: &'static str, value: &Argument<'a>) -> Result<(), Unfit> {
    if *value == Nothing {
        return Ok(());
    }
    words.push(Cow::Borrowed(name.as_bytes()));
    scalar(words, value).map_err(|_| format!("an array was given for {name}; accepted is a scalar"))
}

/// Scalars and lists as words.
fn all_flat<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    arguments.iter().try_for_each(|argument| flat(words, argument))
}

/// Words, and arrays whose keys are words, too.
fn pairs<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
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

fn key_word(key: Key<'_>) -> Cow<'_, [u8]> {
    match key {
        Key::Index(index) => Cow::Owned(index.to_string().into_bytes()),
        Key::Name(name) => Cow::Borrowed(name),
    }
}

/// Reads of bits: an array of offsets by encoding, or words.
fn bits<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
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

/// PHP's idea of true.
fn is_yes(argument: &Argument) -> bool {
    match argument {
        Nothing => false,
        Yes => true,
        Word(word) => !matches!(&**word, b"" | b"0"),
        Array(list) => !list.is_empty(),
    }
}

fn choose<'a>(words: &mut Words<'a>, given: Option<&Argument<'a>>, choice: &[&'static str]) -> Result<(), Unfit> {
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
fn flat<'a>(words: &mut Words<'a>, argument: &Argument<'a>) -> Result<(), Unfit> {
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

fn scalar<'a>(words: &mut Words<'a>, argument: &Argument<'a>) -> Result<(), Unfit> {
    words.push(match argument {
        Nothing => Cow::Borrowed(b""),
        Yes => Cow::Borrowed(b"1"),
        Word(word) => word.clone(),
        Array(_) => return Err(NESTED.to_owned()),
    });
    Ok(())
}

/// Words, and arrays of scores by member. The server wants the score first.
fn members<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
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

/// Arrays of options, and words.
fn options<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>], known: &[(&'static str, Kind)]) -> Result<(), Unfit> {
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
fn named_options<'a>(
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

#[cfg(test)]
mod newer_tests;
#[cfg(test)]
mod tests;
