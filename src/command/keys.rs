//! Where the keys of a command stand among its words.
//!
//! A row says it as the server does: at fixed places, behind a keyword, or behind their number. Two commands need a rule
//! of their own. Positions count from the command's name, which is word 0; for what the server will refuse they are what
//! can be said of it, and never outside of the words.

use super::lookup::find_subcommand;
use super::row::{Begin, Command, Find, KeyRange, KeySpec, Keys};

/// The positions of the keys among `words`, of which the first is the command's name: each once, in order.
pub fn key_positions(row: &Command, words: &[&[u8]]) -> Vec<usize> {
    let mut positions = Vec::new();
    match keys(row, words) {
        Keys::None | Keys::Names(_) => {}
        Keys::Fixed(range) => add_range(&mut positions, range, words.len()),
        Keys::Found(specs) => {
            specs.iter().for_each(|spec| add_found(&mut positions, spec, words));
            positions.sort_unstable();
            positions.dedup();
        }
        Keys::Sort => sort(&mut positions, words, false),
        Keys::Migrate => migrate(&mut positions, words),
    }
    positions
}

/// The positions of the words that a prefix goes in front of: keys, and what names or describes keys and channels.
pub fn prefixed_positions(row: &Command, words: &[&[u8]]) -> Vec<usize> {
    let mut positions = Vec::new();
    match keys(row, words) {
        Keys::Names(range) => add_range(&mut positions, range, words.len()),
        Keys::Sort => sort(&mut positions, words, true),
        _ => return key_positions(row, words),
    }
    positions
}

impl Keys {
    /// Whether one word is prefixed, the first behind the name.
    #[inline]
    pub fn is_first_word(self) -> bool {
        matches!(self, Keys::Fixed(KeyRange { first: 1, last: 1, .. }))
    }
}

/// What the row says, or the subcommand that is called.
fn keys(row: &Command, words: &[&[u8]]) -> Keys {
    let subcommand = words.get(1).filter(|_| row.keys == Keys::None).and_then(|name| find_subcommand(row, name));
    subcommand.map_or(row.keys, |found| found.keys)
}

fn add_range(positions: &mut Vec<usize>, range: KeyRange, count: usize) {
    let first = usize::try_from(range.first).unwrap_or(0);
    add(positions, first, last(range.last, count), range.step);
}

/// A place, or one counted from the end.
fn last(last: i16, count: usize) -> Option<usize> {
    match usize::try_from(last) {
        Ok(last) => Some(last.min(count.checked_sub(1)?)),
        Err(_) => count.checked_sub(usize::from(last.unsigned_abs())),
    }
}

fn add(positions: &mut Vec<usize>, first: usize, last: Option<usize>, step: i16) {
    if let Some(last) = last {
        positions.extend((first..=last).step_by(usize::try_from(step).unwrap_or(1).max(1)));
    }
}

fn add_found(positions: &mut Vec<usize>, spec: &KeySpec, words: &[&[u8]]) {
    let begin = match spec.begin {
        Begin::At(place) => usize::try_from(place).ok(),
        Begin::Behind(keyword, from) => behind(words, keyword, usize::try_from(from).unwrap_or(0)),
    };
    let Some(begin) = begin.filter(|begin| *begin < words.len()) else { return };
    match spec.find {
        Find::Range(_, step, part) if part > 1 => {
            let keys = (words.len() - begin) / usize::from(part.unsigned_abs());
            add(positions, begin, (begin + keys).checked_sub(1), step);
        }
        Find::Range(distance, step, _) => match usize::try_from(distance) {
            Ok(distance) => add(positions, begin, Some((begin + distance).min(words.len() - 1)), step),
            Err(_) => add(positions, begin, last(distance, words.len()), step),
        },
        Find::Counted(step) => {
            let number =
                std::str::from_utf8(words[begin]).ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
            let step = usize::try_from(step).unwrap_or(1).max(1);
            positions.extend((begin + 1..words.len()).step_by(step).take(number));
        }
    }
}

/// The place behind a keyword, which is looked for from a place on.
fn behind(words: &[&[u8]], keyword: &str, from: usize) -> Option<usize> {
    let found = words.iter().skip(from).position(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))?;
    Some(from + found + 1)
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC] [ALPHA] [STORE destination]`. A pattern that
/// names a key has a `*` in it; `GET #` and `BY nosort` have none.
fn sort(positions: &mut Vec<usize>, words: &[&[u8]], with_patterns: bool) {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    add(positions, 1, last(1, words.len()), 1);
    let mut at = 2;
    while let Some(word) = words.get(at) {
        if is(word, "LIMIT") {
            at += 3;
        } else if is(word, "STORE") || is(word, "BY") || is(word, "GET") {
            let is_key =
                is(word, "STORE") || (with_patterns && words.get(at + 1).is_some_and(|word| word.contains(&b'*')));
            if is_key && at + 1 < words.len() {
                positions.push(at + 1);
            }
            at += 2;
        } else {
            at += 1;
        }
    }
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key ...]`
fn migrate(positions: &mut Vec<usize>, words: &[&[u8]]) {
    match words.get(3) {
        None => return,
        Some(key) if !key.is_empty() => return positions.push(3),
        Some(_) => {}
    }
    let mut at = 6;
    while let Some(word) = words.get(at) {
        if word.eq_ignore_ascii_case(b"KEYS") {
            return positions.extend(at + 1..words.len());
        }
        at += if word.eq_ignore_ascii_case(b"AUTH") {
            2
        } else if word.eq_ignore_ascii_case(b"AUTH2") {
            3
        } else {
            1
        };
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
