//! The forms of commands on streams, where several arguments decide together.

use std::borrow::Cow;

use super::super::forms::ADDING;
use super::arrays::named_options;
use super::words::{all_flat, flat, is, is_integer, is_yes, key_word, named, pairs, scalar};
use super::{Argument, Key, Unfit, Words};
use Argument::{Array, Nothing, Word, Yes};

/// `XADD` behind its key: fields, an id and options. Words may hold fields in an array, too.
pub(super) fn entry<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [fields @ Array(_), rest @ ..] = arguments else { return pairs(words, arguments) };
    let (id, options) = match rest {
        [] => (&Nothing, &Nothing),
        [id] => (id, &Nothing),
        [id, options] => (id, options),
        _ => return Err("more was given than a key, fields, an id and options".to_owned()),
    };
    match options {
        Nothing => {}
        Array(list) => named_options(words, list, ADDING)?,
        _ => return Err("options are an array, such as ['trim' => ['MAXLEN', '~', 1000]]".to_owned()),
    }
    match id {
        Nothing => words.push(Cow::Borrowed(b"*")),
        id => scalar(words, id).map_err(|_| "an array was given for the id; accepted is a scalar".to_owned())?,
    }
    pairs(words, std::slice::from_ref(fields))
}

/// `XREAD`: count, milliseconds to wait, streams and ids.
pub(super) fn reading<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [count, block, streams @ Array(_), ids @ ..] = arguments else { return all_flat(words, arguments) };
    named(words, "COUNT", count)?;
    named(words, "BLOCK", block)?;
    words.push(Cow::Borrowed(b"STREAMS"));
    flat(words, streams)?;
    all_flat(words, ids)
}

/// `XREADGROUP`: group, consumer, count, milliseconds to wait, whether nothing is to be acknowledged, streams and ids.
pub(super) fn group<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let says = |argument: &Argument, name| matches!(argument, Word(word) if is(word, name));
    let in_words = arguments.first().is_some_and(|first| says(first, "GROUP"))
        && arguments.iter().any(|argument| says(argument, "STREAMS"));
    let [group, consumer, count, block, unacknowledged, streams @ ..] = arguments else {
        return all_flat(words, arguments);
    };
    if in_words {
        return all_flat(words, arguments);
    }
    words.push(Cow::Borrowed(b"GROUP"));
    scalar(words, group)?;
    scalar(words, consumer)?;
    named(words, "COUNT", count)?;
    named(words, "BLOCK", block)?;
    if is_yes(unacknowledged) {
        words.push(Cow::Borrowed(b"NOACK"));
    }
    words.push(Cow::Borrowed(b"STREAMS"));
    all_flat(words, streams)
}

/// `XREAD`: ids by stream, count, milliseconds to wait, and bounds of entries and of bytes.
pub(super) fn of_streams<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [Array(streams), options @ ..] = arguments else { return all_flat(words, arguments) };
    let option = |index: usize| options.get(index).unwrap_or(&Nothing);
    named(words, "COUNT", option(0))?;
    named(words, "MAXCOUNT", option(2))?;
    named(words, "MAXSIZE", option(3))?;
    named(words, "BLOCK", option(1))?;
    by_stream(words, streams)
}

/// `XREADGROUP`: group, consumer, ids by stream, count, milliseconds to wait, whether nothing is to be acknowledged, and
/// how idle an entry must be that is taken over.
pub(super) fn claiming<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [group, consumer, Array(streams), options @ ..] = arguments else { return all_flat(words, arguments) };
    let option = |index: usize| options.get(index).unwrap_or(&Nothing);
    words.push(Cow::Borrowed(b"GROUP"));
    scalar(words, group)?;
    scalar(words, consumer)?;
    named(words, "COUNT", option(0))?;
    named(words, "BLOCK", option(1))?;
    if is_yes(option(2)) {
        words.push(Cow::Borrowed(b"NOACK"));
    }
    named(words, "CLAIM", option(3))?;
    by_stream(words, streams)
}

/// `XGROUP`: for `CREATE` whether the stream is made and how many entries are taken for read, for `SETID` the latter.
pub(super) fn managing<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let [Word(subcommand), _, _, _, rest @ ..] = arguments else { return all_flat(words, arguments) };
    let (makes, entries) = match rest {
        [makes @ (Yes | Nothing)] if is(subcommand, "CREATE") => (makes, &Nothing),
        [makes @ (Yes | Nothing), entries] if is(subcommand, "CREATE") => (makes, entries),
        [entries] if is(subcommand, "SETID") => (&Nothing, entries),
        _ => return all_flat(words, arguments),
    };
    all_flat(words, &arguments[..4])?;
    if is_yes(makes) {
        words.push(Cow::Borrowed(b"MKSTREAM"));
    }
    named(words, "ENTRIESREAD", entries)
}

fn by_stream<'a>(words: &mut Words<'a>, streams: &[(Key<'a>, Argument<'a>)]) -> Result<(), Unfit> {
    words.push(Cow::Borrowed(b"STREAMS"));
    words.extend(streams.iter().map(|(stream, _)| key_word(*stream)));
    streams.iter().try_for_each(|(_, id)| scalar(words, id))
}

/// `XPENDING` behind its key and group: an idle time, start, end, count and consumer. As words the count stands one
/// place further to the front.
pub(super) fn pending<'a>(words: &mut Words<'a>, arguments: &[Argument<'a>]) -> Result<(), Unfit> {
    let rest = match arguments {
        [Nothing, rest @ ..] => rest,
        [idle, _, _, count, ..] if is_integer(idle) && is_integer(count) => {
            named(words, "IDLE", idle)?;
            &arguments[1..]
        }
        all => all,
    };
    rest.iter().filter(|argument| **argument != Nothing).try_for_each(|argument| scalar(words, argument))
}
