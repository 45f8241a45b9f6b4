//! Hazards that depend on the arguments.
//!
//! Every rule takes what it does not understand for the riskier reading: a word that is unknown here may be an option
//! of a newer server. Where the safer reading would have had a telltale, it is kept, so that its reply is distrusted.

use super::row::{Hazard, Rank, Telltale};

type Words<'a> = &'a [&'a [u8]];

const READ: Hazard = Hazard::of(Rank::Read);
const LAST_WINS: Hazard = Hazard::of(Rank::LastWins);
const ACCUMULATING: Hazard = Hazard::of(Rank::Accumulating);

/// Reads options off the end of a command. Yields an option's name and its values, or `None` at a word that is not
/// known or lacks a value, and then ends.
struct Options<'a> {
    rest: Words<'a>,
    known: &'static [(&'static str, usize)],
}

impl<'a> Iterator for Options<'a> {
    type Item = Option<(&'static str, Words<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (word, rest) = self.rest.split_first()?;
        let known = self.known.iter().find(|(name, _)| is(word, name));
        let option = known.and_then(|&(name, values)| Some((name, rest.split_at_checked(values)?)));
        self.rest = option.map_or(&[], |(_, (_, rest))| rest);
        Some(option.map(|(name, (values, _))| (name, values)))
    }
}

/// The options after `skip` words; `None` if there are fewer words.
fn options<'a>(words: Words<'a>, skip: usize, known: &'static [(&'static str, usize)]) -> Option<Options<'a>> {
    words.get(skip..).map(|rest| Options { rest, known })
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A store whose destination is also a source starts from its own result the second time.
fn store(destination: &[u8], sources: Words) -> Hazard {
    if sources.contains(&destination) { ACCUMULATING } else { LAST_WINS }
}

/// `[count | RESET]`
pub(super) fn acl_log(words: Words) -> Hazard {
    match words {
        [] => READ,
        [count] if number::<i64>(count).is_some() => READ,
        _ => Hazard::of(Rank::Never),
    }
}

/// `key [GET type offset | OVERFLOW mode | SET .. | INCRBY ..] ...`: all but `GET` change bits, and reply the old ones.
pub(super) fn bitfield(words: Words) -> Hazard {
    let reads = options(words, 1, &[("GET", 2), ("OVERFLOW", 1)]);
    if reads.is_some_and(|mut options| options.all(|option| option.is_some())) { READ } else { ACCUMULATING }
}

/// `operation destination source ...`
pub(super) fn bitop(words: Words) -> Hazard {
    match words {
        [_, destination, sources @ ..] => store(destination, sources),
        _ => ACCUMULATING,
    }
}

/// `source destination [DB number] [REPLACE]`
pub(super) fn copy(words: Words) -> Hazard {
    unless_replaced(options(words, 2, &[("DB", 1), ("REPLACE", 0)]), Telltale::Zero)
}

/// `key ttl value [REPLACE] [ABSTTL] [IDLETIME n] [FREQ n]`
pub(super) fn restore(words: Words) -> Hazard {
    let known = &[("REPLACE", 0), ("ABSTTL", 0), ("IDLETIME", 1), ("FREQ", 1)];
    unless_replaced(options(words, 3, known), Telltale::Error)
}

/// `[REPLACE] code`
pub(super) fn function_load(words: Words) -> Hazard {
    let options = words.split_last().map(|(_, rest)| Options { rest, known: &[("REPLACE", 0)] });
    unless_replaced(options, Telltale::Error)
}

/// `dump [FLUSH | APPEND | REPLACE]`
pub(super) fn function_restore(words: Words) -> Hazard {
    match words {
        [_] => Hazard::checked(Telltale::Error),
        [_, policy] if is(policy, "APPEND") => Hazard::checked(Telltale::Error),
        [_, policy] if is(policy, "REPLACE") || is(policy, "FLUSH") => LAST_WINS,
        _ => Hazard { rank: Rank::LastWins, telltale: Telltale::Error },
    }
}

/// Without `REPLACE` the second application finds what the first one made, and does nothing.
fn unless_replaced(options: Option<Options>, telltale: Telltale) -> Hazard {
    let mut found = Hazard::checked(telltale);
    let Some(options) = options else { return Hazard { rank: Rank::LastWins, telltale } };
    for option in options {
        match option {
            Some(("REPLACE", _)) => found = LAST_WINS,
            Some(_) => {}
            None => return Hazard { rank: Rank::LastWins, telltale },
        }
    }
    found
}

/// `key time [NX | XX | GT | LT]`: with a condition that the first application made false, the second replies 0.
pub(super) fn expire(words: Words) -> Hazard {
    let unclear = Hazard { rank: Rank::LastWins, telltale: Telltale::Zero };
    let Some(options) = options(words, 2, &[("NX", 0), ("XX", 0), ("GT", 0), ("LT", 0)]) else { return unclear };
    let mut found = LAST_WINS;
    for option in options {
        match option {
            Some(("NX" | "GT" | "LT", _)) => found = Hazard::checked(Telltale::Zero),
            Some(_) => {}
            None => return unclear,
        }
    }
    found
}

/// `key time [NX | XX | GT | LT] FIELDS n field ...`: the reply has a number for each field, so none of it is a telltale.
pub(super) fn hash_expire(words: Words) -> Hazard {
    match words {
        [_, _, fields, ..] if is(fields, "FIELDS") => LAST_WINS,
        _ => ACCUMULATING,
    }
}

/// `key [FNX | FXX] [EX n | PX n | EXAT n | PXAT n | KEEPTTL] FIELDS n field value ...`
pub(super) fn hash_set(words: Words) -> Hazard {
    let known =
        &[("FXX", 0), ("FNX", 0), ("EX", 1), ("PX", 1), ("EXAT", 1), ("PXAT", 1), ("KEEPTTL", 0), ("FIELDS", 0)];
    let mut found = LAST_WINS;
    for option in options(words, 1, known).into_iter().flatten() {
        match option {
            Some(("FIELDS", _)) => return found,
            Some(("FNX", _)) => found = Hazard::checked(Telltale::Zero),
            Some(_) => {}
            None => break,
        }
    }
    ACCUMULATING
}

/// `key path value [NX | XX]`
pub(super) fn json_set(words: Words) -> Hazard {
    match words {
        [_, _, _] => LAST_WINS,
        [_, _, _, condition] if is(condition, "XX") => LAST_WINS,
        [_, _, _, condition] if is(condition, "NX") => Hazard::checked(Telltale::Nil),
        _ => ACCUMULATING,
    }
}

/// `n key value ... [NX | XX] [EX n | PX n | EXAT n | PXAT n | KEEPTTL]`
pub(super) fn many_set(words: Words) -> Hazard {
    let known = &[("NX", 0), ("XX", 0), ("EX", 1), ("PX", 1), ("EXAT", 1), ("PXAT", 1), ("KEEPTTL", 0)];
    let pairs = words.first().and_then(|count| number::<usize>(count)?.checked_mul(2)?.checked_add(1));
    let Some(options) = pairs.and_then(|before| options(words, before, known)) else { return ACCUMULATING };
    let mut found = LAST_WINS;
    for option in options {
        match option {
            Some(("NX", _)) => found = Hazard::checked(Telltale::Zero),
            Some(_) => {}
            None => return ACCUMULATING,
        }
    }
    found
}

/// `key (longitude latitude | member) radius unit [options]`: it stores only if it is told to.
pub(super) fn georadius(words: Words, before_options: usize) -> Hazard {
    let known = &[
        ("WITHCOORD", 0),
        ("WITHDIST", 0),
        ("WITHHASH", 0),
        ("COUNT", 1),
        ("ANY", 0),
        ("ASC", 0),
        ("DESC", 0),
        ("STORE", 1),
        ("STOREDIST", 1),
    ];
    read_unless_stored(words, options(words, before_options, known))
}

/// `key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]`
pub(super) fn sort(words: Words) -> Hazard {
    let known = &[("BY", 1), ("LIMIT", 2), ("GET", 1), ("ASC", 0), ("DESC", 0), ("ALPHA", 0), ("STORE", 1)];
    read_unless_stored(words, options(words, 1, known))
}

fn read_unless_stored(words: Words, options: Option<Options>) -> Hazard {
    let Some(options) = options else { return ACCUMULATING };
    let mut found = READ;
    for option in options {
        match option {
            Some(("STORE" | "STOREDIST", destination)) if found != ACCUMULATING => {
                found = store(destination[0], &words[..1]);
            }
            Some(_) => {}
            None => return ACCUMULATING,
        }
    }
    found
}

/// `key value [NX | XX | IFEQ v | IFNE v | IFDEQ d | IFDNE d] [GET] [EX n | PX n | EXAT n | PXAT n | KEEPTTL]`: a condition
/// on the old value is one on the new value the second time, so a nil then says nothing.
pub(super) fn set(words: Words) -> Hazard {
    let known = &[
        ("NX", 0),
        ("XX", 0),
        ("IFEQ", 1),
        ("IFNE", 1),
        ("IFDEQ", 1),
        ("IFDNE", 1),
        ("GET", 0),
        ("EX", 1),
        ("PX", 1),
        ("EXAT", 1),
        ("PXAT", 1),
        ("KEEPTTL", 0),
    ];
    let Some(options) = options(words, 2, known) else { return ACCUMULATING };
    let mut found = LAST_WINS;
    for option in options {
        match option {
            Some(("NX" | "IFEQ" | "IFNE" | "IFDEQ" | "IFDNE", _)) => found = Hazard::checked(Telltale::Nil),
            // The reply is the old value, which the first application has overwritten.
            Some(("GET", _)) | None => return ACCUMULATING,
            Some(_) => {}
        }
    }
    found
}

/// `destination count source ... [options]`
pub(super) fn store_counted(words: Words) -> Hazard {
    let [destination, count, rest @ ..] = words else { return ACCUMULATING };
    match number(count).and_then(|count| rest.get(..count)) {
        Some(sources) => store(destination, sources),
        None => ACCUMULATING,
    }
}

/// `destination source ...`, where only the first word after the destination is a source.
pub(super) fn store_one(words: Words) -> Hazard {
    match words {
        [destination, source, ..] => store(destination, &[source]),
        _ => ACCUMULATING,
    }
}

/// `destination source source ...`
pub(super) fn store_rest(words: Words) -> Hazard {
    match words {
        [destination, sources @ ..] => store(destination, sources),
        _ => ACCUMULATING,
    }
}

/// `key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT n]] id field value ...`: an id that the caller names is
/// refused the second time, one that the server makes is a new one.
pub(super) fn xadd(words: Words) -> Hazard {
    let mut rest = words.get(1..).unwrap_or(&[]);
    while let [word, after @ ..] = rest {
        rest = if is(word, "NOMKSTREAM") {
            after
        } else if is(word, "LIMIT") {
            after.get(1..).unwrap_or(&[])
        } else if is(word, "MAXLEN") || is(word, "MINID") {
            let exactness = usize::from(matches!(after, [b"=" | b"~", ..]));
            after.get(exactness + 1..).unwrap_or(&[])
        } else if is_whole_id(word) {
            return Hazard::checked(Telltale::Error);
        } else {
            return ACCUMULATING;
        };
    }
    ACCUMULATING
}

/// `milliseconds-sequence`, or `milliseconds` alone, to which the server adds the sequence 0.
fn is_whole_id(word: &[u8]) -> bool {
    word.split(|&byte| byte == b'-').enumerate().all(|(part, digits)| part < 2 && is_digits(digits))
}

fn is_digits(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// `key [NX | XX] [GT | LT] [CH] [INCR] score member ...`: options end where the first score stands.
pub(super) fn zadd(words: Words) -> Hazard {
    for word in words.get(1..).unwrap_or(&[]) {
        if number::<f64>(word).is_some() {
            return LAST_WINS;
        }
        if !["NX", "XX", "GT", "LT", "CH"].iter().any(|option| is(word, option)) {
            return ACCUMULATING;
        }
    }
    ACCUMULATING
}
