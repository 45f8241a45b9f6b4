//! The forms of commands whose arguments are more than words: what PHP programs written for Predis hand over, by place.
//! A row of the table names its form; how a form becomes words is in `forming`.

mod modules;

pub(super) use modules::*;

use Kind::{Bare, Each, Flag, Two, Value};
use Place::{
    Bits, Block, Choice, Claiming, Clause, Counted, Entry, Group, Increment, Json, Keys, Limit, Loading, Managing,
    Maybe, Members, Named, Number, One, Options, Patterns, Pending, Query, Reading, Rows, Single, Streams, Switch,
    Tail as Rest, Unless, Unsent, Vector, Weights, Word,
};

/// What stands at each place of a command's arguments. Arguments behind the last place are words.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    pub(super) places: &'static [Place],
    /// Strings and integers are the words of the command as they stand, so that nothing has to be looked up, if fewer
    /// than so many are given.
    pub(super) by_words: usize,
    /// Where an array stands for its JSON text.
    pub(super) json: Option<usize>,
    /// Whether a float is to be told from an integer.
    pub(super) tells_floats: bool,
}

/// What one argument stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A word; a list stands for its elements.
    Word,
    /// A word and no list: what stands behind it would be taken for something else.
    Single,
    /// As `Word`, or nothing: then nothing may stand behind it either.
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
    /// One of these words, or nothing.
    One(&'static [&'static str]),
    /// As `Named`, but -1 says nothing either.
    Unless(&'static str),
    /// As `Named`, but a number that is not above zero says nothing either.
    Above(&'static str),
    /// A list that is sent behind this name; an empty one says nothing. At a scalar only words follow.
    List(&'static str),
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
    /// A word or a list that is sent behind this name, as is all that follows.
    Behind(&'static str),
    /// A list that is sent behind this name and its length, or nothing. At a scalar only words follow.
    Counted(&'static str),
    /// A list of lists of words, which begin with one of these if there are any. At a scalar only words follow.
    Rows(&'static [&'static str]),
    /// A number, in front of which is said whether it is an integer. At another word only words follow.
    Increment,
    /// A list of an offset and a count, or nothing.
    Limit,
    /// A pattern or a list of them; this name is sent in front of each.
    Patterns(&'static str),
    /// A word, or an array that stands for its JSON text.
    Json,
    /// What is not for the server.
    Unsent,
    /// This and all that follow: a list or an array of pairs, which is counted, and words of these sets; or words.
    Block(Words),
    /// This and all that follow: a vector, an element and options by place; or words.
    Vector,
    /// A vector or an element, and whether it is an element.
    Query,
    /// This and all that follow: ids by stream, a count, milliseconds to wait and two bounds, or nothing for each; or words.
    Streams,
    /// This and all that follow: group, consumer, ids by stream, count, milliseconds to wait, whether `NOACK` is sent, and
    /// how idle an entry must be that is taken over; or words.
    Claiming,
    /// This and all that follow: `CREATE`, key, group, id, whether `MKSTREAM` is sent and how many entries are taken for
    /// read; `SETID` with the last of these; or words.
    Managing,
    /// This and all that follow: `LOAD`, code and whether it replaces another; or words.
    Loading,
    /// This and all that follow, as a command of a module takes them.
    Tail(Tail),
}

/// What may stand behind the fixed words of a command of a module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Lists of words, which argument objects are, and words. Nothing says nothing.
    Options,
    /// As `Options`; the dialect of queries is the second unless another is named.
    Dialect,
    /// A list of fields, which are sent behind these words, and options, which are sent first; or words.
    Schema(&'static [&'static str]),
    /// A list of options or nothing, and filters; or words.
    Filters,
    /// The name of a label or nothing, and filters; or words.
    Labels,
    /// A number, which is the compression if it is above zero, and true, which overrides; or words.
    Merging,
    /// Words or nothing. Behind the first of them those that are missing are these.
    Filled(&'static [&'static str]),
}

/// The words that may stand beside a counted list: of each set one or none, in this order. The value of a word that has
/// one follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// What is sent in front of the number.
    pub name: Option<&'static str>,
    /// Whether the keys of the array are sent, too.
    pub pairs: bool,
    /// Whether the words of the sets are sent in front of the list.
    pub before: bool,
    /// Sets of words; true where a value follows.
    pub sets: &'static [&'static [(&'static str, bool)]],
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
        let mut form = Form { places, by_words: usize::MAX, json: None, tells_floats: false };
        let mut index = 0;
        while index < places.len() {
            let said_by_words = match places[index] {
                Word
                | Single
                | Maybe
                | Members
                | Options(_)
                | Unsent
                | Rest(Tail::Options | Tail::Schema(_) | Tail::Filters) => true,
                Json => {
                    form.json = Some(index);
                    true
                }
                // Attributes are the last but one of what may stand there.
                Vector => {
                    form.json = Some(ATTRIBUTES);
                    false
                }
                Increment => {
                    form.tells_floats = true;
                    false
                }
                // These say something even where nothing is given.
                Rest(Tail::Dialect | Tail::Labels) => {
                    form.by_words = 0;
                    false
                }
                _ => false,
            };
            if !said_by_words && index < form.by_words {
                form.by_words = index + 1;
            }
            index += 1;
        }
        form
    }

    /// Where an array stands for its JSON text.
    pub fn json(&self) -> Option<usize> {
        self.json
    }

    /// Whether a float is to be told from an integer.
    pub fn tells_floats(&self) -> bool {
        self.tells_floats
    }

    /// Whether so many strings and integers can be sent as they stand.
    #[inline]
    pub fn is_by_words(&self, count: usize) -> bool {
        count < self.by_words
    }
}

/// Where the attributes of `VADD` stand.
const ATTRIBUTES: usize = 7;
const LASTING: &[(&str, bool)] = &[("EX", true), ("PX", true), ("EXAT", true), ("PXAT", true), ("KEEPTTL", false)];
const ENDING: &[(&str, bool)] = &[("EX", true), ("PX", true), ("EXAT", true), ("PXAT", true), ("PERSIST", false)];
const FIELDS: Words = Words { name: Some("FIELDS"), pairs: false, before: true, sets: &[] };

/// Statics by their names and places.
macro_rules! forms {
    ($($name:ident: $($place:expr),+;)*) => {
        $(pub(in crate::command) static $name: Form = Form::new(&[$($place),+]);)*
    };
}
use forms;

const SCORED_RANGE: Place = Options(&[("WITHSCORES", Flag), ("LIMIT", Two)]);
const ORDER: &[&str] = &["ASC", "DESC"];
const SCAN_OPTIONS: Place = Options(&[("MATCH", Value), ("COUNT", Value)]);
/// The options of `SORT_RO` in one array.
pub(super) const SORTED: &[(&str, Kind)] =
    &[("BY", Value), ("LIMIT", Two), ("GET", Each), ("SORT", Bare), ("ALPHA", Flag)];
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
    ARGREP: Word, Word, Word, Rows(&["EXACT", "MATCH", "GLOB", "RE"]), One(&["AND", "OR"]), Named("LIMIT"), Switch("WITHVALUES"), Switch("NOCASE");
    ARINFO: Word, Switch("FULL");
    ARLASTITEMS: Word, Word, Switch("REV");
    AROP: Word, Word, Word, One(&["SUM", "MIN", "MAX", "AND", "OR", "XOR", "MATCH", "USED"]);
    ARSCAN: Word, Word, Word, Named("LIMIT");
    AUTH: Word, Maybe;
    BITCOUNT: Word, Maybe, Maybe, Maybe;
    BITFIELDRO: Word, Bits;
    BITPOS: Word, Word, Maybe, Maybe, Maybe;
    BLMOVEM: Word, Word, Word, Word, Word, One(&["COUNT", "EXACTLY"]), Maybe, One(&["OBO", "BULK"]);
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
    GEOSEARCH: Word, Clause, Clause, One(ORDER), Unless("COUNT"), Switch("ANY"), Switch("WITHCOORD"), Switch("WITHDIST"), Switch("WITHHASH");
    GEOSEARCHSTORE: Word, Word, Clause, Clause, One(ORDER), Unless("COUNT"), Switch("ANY"), Switch("STOREDIST");
    GETEX: Word, Options(&[("EX", Value), ("PX", Value), ("EXAT", Value), ("PXAT", Value), ("PERSIST", Flag)]);
    HASHSCAN: Word, Word, Options(&[("MATCH", Value), ("COUNT", Value), ("NOVALUES", Flag)]);
    HEXPIRE: Word, Word, Block(Words { sets: &[&[("NX", false), ("XX", false), ("GT", false), ("LT", false)]], ..FIELDS });
    HFIELDS: Word, Block(FIELDS);
    HGETEX: Word, Block(Words { sets: &[ENDING], ..FIELDS });
    HOTKEYS: Word, Counted("METRICS"), Named("COUNT"), Named("DURATION"), Named("SAMPLE"), Counted("SLOTS");
    HSETEX: Word, Block(Words { pairs: true, sets: &[&[("FNX", false), ("FXX", false)], LASTING], ..FIELDS });
    HRANDFIELD: Word, Maybe, Switch("WITHVALUES");
    INCREX: Word, Increment, Named("LBOUND"), Named("UBOUND"), Switch("SATURATE"), One(&["EX", "PX", "EXAT", "PXAT", "PERSIST"]), Maybe, Switch("ENX");
    KEYSCAN: Word, Word, SCAN_OPTIONS;
    LCS: Word, Word, Switch("LEN"), Switch("IDX"), Named("MINMATCHLEN"), Switch("WITHMATCHLEN");
    LEXRANGE: Word, Word, Word, Options(&[("LIMIT", Two)]);
    LMOVEM: Word, Word, Word, Word, One(&["COUNT", "EXACTLY"]), Maybe, One(&["OBO", "BULK"]);
    LMPOP: Keys, Choice(&["LEFT", "RIGHT"]), Named("COUNT");
    LPOS: Word, Word, Options(&[("RANK", Value), ("COUNT", Value), ("MAXLEN", Value)]);
    MAYBE: Maybe;
    MIGRATE: Word, Word, Word, Word, Word, Options(&[("COPY", Flag), ("REPLACE", Flag)]);
    MSETEX: Block(Words { name: None, pairs: true, before: false, sets: &[&[("NX", false), ("XX", false)], LASTING] });
    SCAN: Word, Options(&[("MATCH", Value), ("COUNT", Value), ("TYPE", Value)]);
    SCORERANGE: Word, Word, Word, SCORED_RANGE;
    SET: Single, Single, Options(&[
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
    SORTRO: Word, Named("BY"), Limit, Patterns("GET"), One(ORDER), Switch("ALPHA");
    UNIONCARD: Keys, Switch("APPROX"), Named("LIMIT");
    VADD: Word, Vector;
    VEMB: Word, Word, Switch("RAW");
    VGETATTR: Word, Word, Unsent;
    VLINKS: Word, Word, Switch("WITHSCORES");
    VSETATTR: Word, Word, Json;
    VSIM: Word, Query, Switch("WITHSCORES"), Named("COUNT"), Named("EPSILON"), Named("EF"), Named("FILTER"), Named("FILTER-EF"), Switch("TRUTH"), Switch("NOTHREAD");
    VRANGE: Word, Word, Word, Maybe;
    WORDROWS: Word, Rows(&[]);
    XADD: Word, Entry;
    XCFGSET: Word, Named("IDMP-DURATION"), Named("IDMP-MAXSIZE");
    XGROUP: Managing;
    XNACK: Word, Word, One(&["SILENT", "FAIL", "FATAL"]), Counted("IDS"), Named("RETRYCOUNT"), Switch("FORCE");
    XREADFOUR: Streams;
    XREADGROUPCLAIM: Claiming;
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
