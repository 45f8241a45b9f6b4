//! The types a row of the table is made of.

use super::forms::Form;

/// One command of the server.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The name on the wire, in upper case.
    pub name: &'static str,
    /// The PHP method that sends it, in lower case.
    pub method: &'static str,
    /// Number of words including the name; negative where that is a minimum.
    pub arity: i8,
    /// What the server says about the command.
    pub flags: Flags,
    /// Where its keys stand.
    pub keys: Keys,
    /// How dangerous a second application is.
    pub risk: Risk,
    /// Where its own timeout stands, if it blocks.
    pub blocking: Blocking,
    /// What it changes on the connection. In a container: what a subcommand that the table does not know may change.
    pub effect: Effect,
    /// How PHP arguments become words.
    pub arguments: Arguments,
    /// How the reply becomes a PHP value.
    pub reply: Shape,
    /// The subcommands of a container, sorted by name.
    pub subcommands: &'static [Subcommand],
}

/// One subcommand of a container such as `CONFIG`.
#[derive(Clone, Copy, Debug)]
pub struct Subcommand {
    /// The second word on the wire, in upper case.
    pub name: &'static str,
    /// What the server says about it.
    pub flags: Flags,
    /// Where its keys stand, counted from the container's name.
    pub keys: Keys,
    /// How dangerous a second application is.
    pub risk: Risk,
    /// What it changes on the connection.
    pub effect: Effect,
    /// How the reply becomes a PHP value.
    pub reply: Shape,
}

/// Where the keys of a command stand among its words, its name being word 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It has none.
    None,
    /// At the same places whatever the words are.
    Fixed(KeyRange),
    /// As the words say.
    Found(&'static [KeySpec]),
    /// `SORT`: the first word, and the one behind `STORE`. Its patterns are made of keys, too.
    Sort,
    /// `MIGRATE`: the third word, or, where that is empty, all behind `KEYS`.
    Migrate,
    /// It has none, but these words are names that are prefixed as keys are: channels and patterns.
    Names(KeyRange),
}

/// Places among the words of a command. A negative `last` counts from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Position of the first key.
    pub first: i16,
    /// Position of the last key.
    pub last: i16,
    /// Distance from one key to the next.
    pub step: i16,
}

/// How keys are found by looking at the words, as `COMMAND` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// Which words from there on are keys.
    pub find: Find,
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this word.
    At(i16),
    /// Behind this word, which stands at this place or later.
    Behind(&'static str, i16),
}

/// Which words are keys, from the one where the search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to the word at this distance, or counted from the end if it is negative; the distance from one key to the
    /// next; and, unless that is 0, which part of the words is keys: 2 stands for the first half.
    Range(i16, i16, i16),
    /// The first word is the number of keys, which follow it; the distance from one key to the next.
    Counted(i16),
}

/// A set of the flags that `COMMAND` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u32);

macro_rules! flags {
    ($($bit:literal $name:ident $says:literal)*) => {
        impl Flags {
            $(#[doc = $says] pub const $name: Flags = Flags(1 << $bit);)*
        }
    };
}

flags! {
    0 WRITE "May change data; refused by replicas."
    1 READONLY "Never changes data; served by replicas."
    2 DENYOOM "Refused when the server is out of memory."
    3 ADMIN "Administers the server."
    4 PUBSUB "Belongs to publish and subscribe."
    5 NOSCRIPT "Not allowed in scripts."
    6 BLOCKING "May wait before it replies."
    7 LOADING "Allowed while the data set is loaded."
    8 STALE "Allowed on a replica that has lost its primary."
    9 SKIP_MONITOR "Not shown to MONITOR."
    10 SKIP_SLOWLOG "Not recorded as slow."
    11 ASKING "Accepted for a slot that is being imported."
    12 FAST "Constant or logarithmic time."
    13 NO_AUTH "Allowed before authentication."
    14 NO_MANDATORY_KEYS "May be called without any key."
    15 NO_ASYNC_LOADING "Refused while a replica swaps in a new data set."
    16 NO_MULTI "Not allowed in a transaction."
    17 MOVABLE_KEYS "The position of the keys depends on the arguments."
    18 ALLOW_BUSY "Allowed while a script has run for too long."
}

impl Flags {
    /// No flag at all.
    pub const NONE: Flags = Flags(0);

    /// All flags of the list together.
    pub const fn of(list: &[Flags]) -> Flags {
        let (mut all, mut index) = (0, 0);
        while index < list.len() {
            all |= list[index].0;
            index += 1;
        }
        Flags(all)
    }

    /// Whether every flag of `other` is set here.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How dangerous it is to send a command again whose first outcome is unknown; lowest risk first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Changes nothing.
    Read,
    /// A second application changes nothing, but the reply shows that it was the second.
    Checked,
    /// A second application leaves the same data as the first.
    LastWins,
    /// A second application leaves other data, or its reply cannot be the first one's.
    Accumulating,
    /// Nobody can say what a second application does.
    Never,
}

impl Rank {
    /// The rank's name in options and documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Rank::Read => "read",
            Rank::Checked => "checked",
            Rank::LastWins => "last-wins",
            Rank::Accumulating => "accumulating",
            Rank::Never => "never",
        }
    }
}

/// The reply of a command sent again that depends on whether the first attempt had been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telltale {
    /// No reply does.
    None,
    /// A nil.
    Nil,
    /// The integer 0.
    Zero,
    /// An error.
    Error,
}

/// What sending a command again would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// Whether it may be sent again.
    pub rank: Rank,
    /// Which reply to distrust if it was.
    pub telltale: Telltale,
}

/// How the hazard of a command is found. What is not `Fixed` or `Checked` depends on the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Always this rank.
    Fixed(Rank),
    /// Always `Rank::Checked`, and this reply tells.
    Checked(Telltale),
    /// As the subcommand says.
    Subcommand,
    /// A container that, sent bare, only reads.
    ReadOrSubcommand,
    /// `ACL LOG`, which can also be told to forget.
    AclLog,
    /// `BITFIELD`, which may do nothing but read.
    BitField,
    /// `BITOP`: destination second, sources after it.
    BitOp,
    /// `COPY`, with or without `REPLACE`.
    Copy,
    /// `EXPIRE` and its kin, with or without a condition.
    Expire,
    /// `FUNCTION LOAD`, with or without `REPLACE`.
    FunctionLoad,
    /// `FUNCTION RESTORE` and its policy.
    FunctionRestore,
    /// `HEXPIRE` and its kin, with or without a condition.
    HashExpire,
    /// `HSETEX`, with or without a condition.
    HashSet,
    /// `JSON.SET`, with or without a condition.
    JsonSet,
    /// `MSETEX`, with or without a condition.
    ManySet,
    /// `GEORADIUS` and its kin, which may store; the number of words before the options.
    GeoRadius(u8),
    /// `RESTORE`, with or without `REPLACE`.
    Restore,
    /// `SET` and its options.
    Set,
    /// `SORT`, which may store.
    Sort,
    /// Destination first, then a count of sources and the sources.
    StoreCounted,
    /// Destination first, then the one source.
    StoreOne,
    /// Destination first, all others are sources.
    StoreRest,
    /// `XADD`, which names an id or has one made.
    XAdd,
    /// `ZADD`, which may increment.
    ZAdd,
}

/// Where a blocking command's own timeout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// It never blocks.
    No,
    /// Seconds, last argument.
    LastArgument,
    /// Seconds, first argument.
    FirstArgument,
    /// Seconds, fifth argument.
    FifthArgument,
    /// Milliseconds after the word `BLOCK`, which stands behind so many words at least.
    BlockOption(usize),
    /// Milliseconds, last argument of `WAIT`.
    Wait,
}

/// What a command changes on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The database.
    Select,
    /// The user.
    Auth,
    /// Opens a transaction.
    Multi,
    /// Runs the transaction, which also ends all watches.
    Exec,
    /// Drops the transaction, which also ends all watches.
    Discard,
    /// Watches keys.
    Watch,
    /// Ends all watches.
    Unwatch,
    /// Leaves other state behind.
    Pin,
    /// Has the server close the connection.
    Quit,
    /// Breaks request and reply or the connection's identity, so it cannot be sent as an ordinary command.
    Refused,
}

/// How PHP arguments become words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Scalars are words, a list stands for its elements.
    Words,
    /// An associative array stands for its keys and values in turn.
    Pairs,
    /// By their places.
    Form(&'static Form),
}

/// How a reply becomes a PHP value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it came.
    Plain,
    /// A flat list of pairs becomes an associative array.
    Pairs,
    /// Where `WITHSCORES` asks for them, scores by member; RESP3's nested pairs become arrays of one member each.
    Scores,
    /// As `Scores`, but RESP3's nested pairs stay as they are.
    ScoresAside,
    /// Scores by member, as for `Scores`, without being asked for.
    Popped,
    /// Key, member, score: the member's score by its key.
    PoppedOfKey,
    /// A key and a list of pairs: scores by member, by key.
    PoppedOfKeys,
    /// A cursor and a flat list of pairs, which becomes an associative array.
    HashScan,
    /// As `HashScan`, with floats as values.
    ScoreScan,
    /// Pairs of an id and a flat list of fields and values: fields by id.
    Entries,
    /// RESP2's pairs of a stream and its entries become entries by stream; nil is an empty array.
    Streams,
    /// A list of flat lists of pairs, each of which becomes an associative array.
    Tables,
    /// A list of entries of the slow log, each of which becomes an associative array.
    SlowLog,
    /// Where no range is asked for, the last of four elements has pairs of a consumer and a number: numbers by consumer.
    Consumers,
    /// The text of `INFO`: names and values by section.
    Sections,
    /// The text of `CLIENT LIST`: a list of associative arrays.
    Clients,
    /// Where `IDX` asks for matches, an associative array.
    Matches,
    /// Where `WITHCOUNT` asks for counts, an associative array.
    Items,
    /// As `Pairs` under RESP2 only.
    Counts,
    /// As `Tables` under RESP2 only.
    Nodes,
    /// Where scores are asked for, floats by member; a list of such arrays for `Neighbours`.
    Similar,
    /// As `Similar`, one level deeper.
    Neighbours,
    /// RESP2's lists of what is known of a place become associative arrays by member.
    Places,
    /// RESP2's text of numbers becomes numbers.
    Numbers,
    /// RESP2's list of the components of a vector becomes one of floats; behind the first two elements where it is raw.
    Vector,
    /// As `Vector`, where the form of the server's own is asked for.
    RawVector,
    /// RESP2's 0 and 1 become false and true.
    Truth,
    /// RESP2's text becomes true if it says that a rewrite has started, else false.
    Rewriting,
    /// RESP2's text becomes true if it says that saving has started.
    Saving,
    /// RESP2's empty string becomes nil.
    Name,
    /// As `Pairs`, unless one fact is asked for.
    Facts,
    /// RESP2's list of pairs becomes an associative array, and so does all that is in its results.
    Hybrid,
    /// A JSON text becomes what it stands for.
    Json,
    /// `XINFO STREAM`, all of whose lists of pairs become associative arrays.
    Stream,
    /// RESP2's list of pairs becomes an associative array, and so do the lists of the hot keys in it.
    HotKeys,
}
