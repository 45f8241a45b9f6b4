//! The forms of commands whose arguments are more than words: what PHP programs written for Predis hand over, by place.
//! A row of the table names its form; how a form becomes words is in `forming`.

use Kind::{Bare, Each, Flag, Two, Value};
use Place::{
    Bits, Choice, Clause, Entry, Group, Keys, Loading, Maybe, Members, Named, Number, Options, Order, Pending, Reading,
    Switch, Unless, Weights, Word,
};

/// What stands at each place of a command's arguments. Arguments behind the last place are words.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    pub(super) places: &'static [Place],
    /// Whether strings and integers are the words of the command as they stand, so that nothing has to be looked up.
    pub(super) by_words: bool,
}

/// What one argument stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A word; a list stands for its elements.
    Word,
    /// As `Word`, or nothing.
    Maybe,
    /// This and all that follow: an array of scores by member, or words.
    Members,
    /// This and all that follow: an array of options, or words, of which null and false say nothing.
    Options(&'static [(&'static str, Kind)]),
    /// A list of keys, in front of which their number is sent. A scalar is that number, and only words follow it.
    Keys,
    /// A list of weights, an array of the options `weights` and `aggregate`, or nothing.
    Weights,
    /// A value that is sent behind this name, or nothing.
    Named(&'static str),
    /// As `Named`, for an integer: at another word only words follow.
    Number(&'static str),
    /// A list of words that belong together. A scalar is the first of them, and only words follow it.
    Clause,
    /// `ASC`, `DESC` or nothing.
    Order,
    /// As `Named`, but -1 says nothing either.
    Unless(&'static str),
    /// Whether this word is sent.
    Switch(&'static str),
    /// One of these words; the first if nothing is given.
    Choice(&'static [&'static str]),
    /// This and all that follow: an array of fields, an id (one is made if there is none) and an array of options; or
    /// words, among which fields may stand in an array.
    Entry,
    /// This and all that follow: a count or nothing, milliseconds to wait or nothing, a list of streams and ids; or words.
    Reading,
    /// This and all that follow: group, consumer, count or nothing, milliseconds to wait or nothing, whether `NOACK` is
    /// sent, streams and ids; or words with `GROUP` in front.
    Group,
    /// This and all that follow: an idle time or nothing, and words; or words.
    Pending,
    /// This and all that follow: an array of offsets by encoding, or words.
    Bits,
    /// This and all that follow: `LOAD`, code and whether it replaces another; or words.
    Loading,
}

/// What an option of an array has as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whether the option is sent.
    Flag,
    /// One value.
    Value,
    /// A list of two, or an array with the keys `offset` and `count`.
    Two,
    /// One value or a list of them; the name is sent in front of each.
    Each,
    /// A list, behind the name.
    All,
    /// A word or a list that is sent without the name.
    Bare,
}

impl Form {
    const fn new(places: &'static [Place]) -> Form {
        let (mut by_words, mut index) = (true, 0);
        while index < places.len() {
            by_words = by_words && matches!(places[index], Word | Maybe | Members | Options(_));
            index += 1;
        }
        Form { places, by_words }
    }

    /// Whether strings and integers can be sent as they stand.
    #[inline]
    pub fn is_by_words(&self) -> bool {
        self.by_words
    }
}

macro_rules! forms {
    ($($name:ident: $($place:expr),+;)*) => {
        $(pub(super) static $name: Form = Form::new(&[$($place),+]);)*
    };
}

const SCORED_RANGE: Place = Options(&[("WITHSCORES", Flag), ("LIMIT", Two)]);
const SCAN_OPTIONS: Place = Options(&[("MATCH", Value), ("COUNT", Value)]);
const SORTING: Place =
    Options(&[("BY", Value), ("LIMIT", Two), ("GET", Each), ("SORT", Bare), ("ALPHA", Flag), ("STORE", Value)]);
const AROUND: Place = Options(&[
    ("WITHCOORD", Flag),
    ("WITHDIST", Flag),
    ("WITHHASH", Flag),
    ("COUNT", Value),
    ("ANY", Flag),
    ("SORT", Bare),
    ("STORE", Value),
    ("STOREDIST", Value),
]);
/// The options of Predis 1 in the place of the weights.
pub(super) const COMBINING: &[(&str, Kind)] = &[("WEIGHTS", Kind::All), ("AGGREGATE", Value), ("WITHSCORES", Flag)];

pub(super) const ADDING: &[(&str, Kind)] = &[("NOMKSTREAM", Flag), ("TRIM", Bare), ("LIMIT", Value)];

forms! {
    AUTH: Word, Maybe;
    BITCOUNT: Word, Maybe, Maybe, Maybe;
    BITFIELDRO: Word, Bits;
    BITPOS: Word, Word, Maybe, Maybe, Maybe;
    BLMPOP: Word, Keys, Choice(&["LEFT", "RIGHT"]), Named("COUNT");
    BZMPOP: Word, Keys, Choice(&["MIN", "MAX"]), Named("COUNT");
    COPY: Word, Word, Unless("DB"), Switch("REPLACE");
    COUNTED: Word, Maybe;
    EXPIRE: Word, Word, Maybe;
    FUNCTION: Loading;
    FCALL: Word, Keys;
    GEODIST: Word, Word, Word, Maybe;
    GEORADIUS: Word, Word, Word, Word, Word, AROUND;
    GEORADIUSBYMEMBER: Word, Word, Word, Word, AROUND;
    GEOSEARCH: Word, Clause, Clause, Order, Unless("COUNT"), Switch("ANY"), Switch("WITHCOORD"), Switch("WITHDIST"), Switch("WITHHASH");
    GEOSEARCHSTORE: Word, Word, Clause, Clause, Order, Unless("COUNT"), Switch("ANY"), Switch("STOREDIST");
    GETEX: Word, Options(&[("EX", Value), ("PX", Value), ("EXAT", Value), ("PXAT", Value), ("PERSIST", Flag)]);
    HRANDFIELD: Word, Maybe, Switch("WITHVALUES");
    KEYSCAN: Word, Word, SCAN_OPTIONS;
    LCS: Word, Word, Switch("LEN"), Switch("IDX"), Named("MINMATCHLEN"), Switch("WITHMATCHLEN");
    LEXRANGE: Word, Word, Word, Options(&[("LIMIT", Two)]);
    LMPOP: Keys, Choice(&["LEFT", "RIGHT"]), Named("COUNT");
    LPOS: Word, Word, Options(&[("RANK", Value), ("COUNT", Value), ("MAXLEN", Value)]);
    MAYBE: Maybe;
    MIGRATE: Word, Word, Word, Word, Word, Options(&[("COPY", Flag), ("REPLACE", Flag)]);
    SCAN: Word, Options(&[("MATCH", Value), ("COUNT", Value), ("TYPE", Value)]);
    SCORERANGE: Word, Word, Word, SCORED_RANGE;
    SET: Word, Word, Options(&[
        ("EX", Value),
        ("PX", Value),
        ("EXAT", Value),
        ("PXAT", Value),
        ("KEEPTTL", Flag),
        ("NX", Flag),
        ("XX", Flag),
        ("GET", Flag),
    ]);
    INTERCARD: Keys, Named("LIMIT");
    SORT: Word, SORTING;
    XADD: Word, Entry;
    XCLAIM: Word, Word, Word, Word, Word, Number("IDLE"), Number("TIME"), Number("RETRYCOUNT"), Switch("FORCE"), Switch("JUSTID");
    XPENDING: Word, Word, Pending;
    XREAD: Reading;
    XREADGROUP: Group;
    XTRIM: Word, Word, Word, Options(&[("LIMIT", Value)]);
    XAUTOCLAIM: Word, Word, Word, Word, Word, Named("COUNT"), Switch("JUSTID");
    XRANGE: Word, Word, Word, Named("COUNT");
    ZADD: Word, Members;
    ZDIFF: Keys, Switch("WITHSCORES");
    ZDIFFSTORE: Word, Keys;
    ZMPOP: Keys, Choice(&["MIN", "MAX"]), Named("COUNT");
    ZRANDMEMBER: Word, Maybe, Switch("WITHSCORES");
    ZRANGE: Word, Word, Word, Options(&[
        ("BYSCORE", Flag),
        ("BYLEX", Flag),
        ("REV", Flag),
        ("LIMIT", Two),
        ("WITHSCORES", Flag),
    ]);
    ZRANGESTORE: Word, Word, Word, Word, Options(&[("BYSCORE", Flag), ("BYLEX", Flag), ("REV", Flag), ("LIMIT", Two)]);
    ZUNION: Keys, Weights, Named("AGGREGATE"), Switch("WITHSCORES");
    ZUNIONSTORE: Word, Keys, Weights, Named("AGGREGATE");
}
