//! What the arrays of a reply become, by the row and the words that were sent.

use super::lookup::find_subcommand;
use super::row::{Command, Flags, Shape};

/// What an array of the server becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A list.
    List,
    /// An associative array: keys and values in turn.
    Pairs,
    /// As `Pairs`, with floats as values.
    Floats,
    /// As `Entry`, with integers as values.
    Number,
    /// An associative array with the keys of [`SLOW_LOG`]; more elements than keys are dropped.
    SlowLog,
    /// A key and a value of the list that it stands in, which thereby becomes an associative array.
    Entry,
    /// The first element is the only key; the others are keys and values in turn of the array that stands there.
    Keyed,
}

/// What the elements of an entry of the slow log are.
pub const SLOW_LOG: [&str; 4] = ["id", "timestamp", "duration", "command"];

/// The shape of the reply to a command that was sent with these words, its name first.
pub fn shape(row: &Command, words: &[&[u8]]) -> Shape {
    let subcommand = words.get(1).and_then(|name| find_subcommand(row, name));
    match subcommand.map_or(row.reply, |sub| sub.reply) {
        Shape::Scores | Shape::ScoresAside => {
            // Behind the keys where those are counted, else behind the key and what chooses members.
            let count = words.get(1).and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
            let before = if row.flags.contains(Flags::MOVABLE_KEYS) { count.unwrap_or(0).saturating_add(2) } else { 3 };
            if asks(words, before, b"WITHSCORES") { row.reply } else { Shape::Plain }
        }
        Shape::Matches if asks(words, 3, b"IDX") => Shape::Pairs,
        Shape::Items if asks(words, 2, b"WITHCOUNT") => Shape::Pairs,
        Shape::Items => Shape::Plain,
        Shape::Facts if words.len() > 2 => Shape::Plain,
        Shape::Facts => Shape::Pairs,
        Shape::HashScan if asks(words, 3, b"NOVALUES") => Shape::Plain,
        // Attributes beside the scores are more than one value for each member.
        Shape::Similar if asks(words, 3, b"WITHATTRIBS") => Shape::Plain,
        Shape::Similar | Shape::Neighbours if !asks(words, 3, b"WITHSCORES") => Shape::Plain,
        Shape::Vector if asks(words, 3, b"RAW") => Shape::RawVector,
        Shape::Matches => Shape::Plain,
        Shape::Consumers if words.len() > 3 => Shape::Plain,
        shape => shape,
    }
}

fn asks(words: &[&[u8]], before: usize, option: &[u8]) -> bool {
    words.iter().skip(before).any(|word| word.eq_ignore_ascii_case(option))
}

impl Shape {
    /// Whether all that is to be known of it is in the row: neither words nor the protocol decide, and the reply is
    /// built as it is read.
    #[inline]
    pub const fn is_settled(self) -> bool {
        use Shape::{
            Clients, Entries, Pairs, Plain, Popped, PoppedOfKey, PoppedOfKeys, ScoreScan, Sections, SlowLog, Tables,
        };
        matches!(
            self,
            Plain
                | Pairs
                | Popped
                | PoppedOfKey
                | PoppedOfKeys
                | ScoreScan
                | Entries
                | Tables
                | SlowLog
                | Sections
                | Clients
        )
    }

    /// The shape under RESP3, or under RESP2.
    pub fn under(self, resp3: bool) -> Shape {
        match self {
            Shape::Counts if !resp3 => Shape::Pairs,
            Shape::Nodes if !resp3 => Shape::Tables,
            Shape::Json | Shape::Stream => self,
            _ if resp3 && (self.is_made_over() || matches!(self, Shape::Counts | Shape::Nodes | Shape::Streams)) => {
                Shape::Plain
            }
            _ => self,
        }
    }

    /// Whether the reply is built as it comes, and made over when it is complete.
    pub const fn is_made_over(self) -> bool {
        use Shape::{
            HotKeys, Hybrid, Json, Name, Numbers, Places, RawVector, Rewriting, Saving, Stream, Truth, Vector,
        };
        matches!(
            self,
            Places
                | Numbers
                | Vector
                | RawVector
                | Truth
                | Rewriting
                | Saving
                | Name
                | Json
                | Stream
                | HotKeys
                | Hybrid
        )
    }

    /// What an array becomes that stands so deep in the reply.
    #[inline]
    pub fn held(self, depth: usize) -> Held {
        match (self, depth) {
            (Shape::Pairs | Shape::Scores | Shape::ScoresAside | Shape::Popped | Shape::PoppedOfKeys, 0)
            | (Shape::Scores | Shape::Popped | Shape::HashScan | Shape::Tables, 1)
            | (Shape::Entries, 2) => Held::Pairs,
            (Shape::ScoreScan | Shape::Neighbours, 1) | (Shape::Similar, 0) => Held::Floats,
            (Shape::Entries | Shape::Streams, 1) | (Shape::PoppedOfKeys, 2) => Held::Entry,
            (Shape::PoppedOfKey, 0) => Held::Keyed,
            (Shape::Consumers, 2) => Held::Number,
            (Shape::SlowLog, 1) => Held::SlowLog,
            _ => Held::List,
        }
    }

    /// Whether the reply is a text that becomes an array.
    #[inline]
    pub fn is_text(self) -> bool {
        matches!(self, Shape::Sections | Shape::Clients)
    }

    /// Whether the outermost array is a list after all if it holds arrays: RESP3 has pairs there.
    #[inline]
    pub fn may_nest(self) -> bool {
        matches!(self, Shape::Scores | Shape::ScoresAside | Shape::Popped)
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn shape_of(text: &str) -> Shape {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        shape(find(words[0]).expect("a command of the table"), &words)
    }

    #[test]
    fn scores_are_expected_only_where_they_are_asked_for() {
        for (text, expected) in [
            ("ZRANGE z 0 -1", Shape::Plain),
            ("ZRANGE z 0 -1 WithScores", Shape::Scores),
            ("ZRANGE WITHSCORES 0 -1", Shape::Plain),
            ("ZRANGEBYSCORE z 0 1 LIMIT 0 1 WITHSCORES", Shape::Scores),
            ("ZRANDMEMBER z 2 WITHSCORES", Shape::ScoresAside),
            ("ZRANDMEMBER z", Shape::Plain),
            ("ZDIFF 2 a WITHSCORES", Shape::Plain),
            ("ZDIFF 2 a WITHSCORES WITHSCORES", Shape::Scores),
            ("ZUNION 1 z WITHSCORES", Shape::ScoresAside),
            ("LCS a b IDX", Shape::Pairs),
            ("LCS IDX b LEN", Shape::Plain),
            ("TOPK.LIST k", Shape::Plain),
            ("TOPK.LIST k WITHCOUNT", Shape::Pairs),
            ("BF.INFO b", Shape::Pairs),
            ("BF.INFO b ITEMS", Shape::Plain),
            ("HSCAN h 0 COUNT 9", Shape::HashScan),
            ("HSCAN h 0 NOVALUES", Shape::Plain),
            ("PUBSUB NUMSUB a", Shape::Counts),
            ("PUBSUB CHANNELS", Shape::Plain),
            ("XINFO stream x", Shape::Stream),
            ("XPENDING x g", Shape::Consumers),
            ("XPENDING x g - + 10", Shape::Plain),
            ("HGETALL h", Shape::Pairs),
        ] {
            assert_eq!(shape_of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_predis_makes_of_resp2_alone_is_plain_under_resp3() {
        for (shape, two, three) in [
            (Shape::Counts, Shape::Pairs, Shape::Plain),
            (Shape::Nodes, Shape::Tables, Shape::Plain),
            (Shape::Streams, Shape::Streams, Shape::Plain),
            (Shape::Places, Shape::Places, Shape::Plain),
            (Shape::Truth, Shape::Truth, Shape::Plain),
            (Shape::Hybrid, Shape::Hybrid, Shape::Plain),
            (Shape::Json, Shape::Json, Shape::Json),
            (Shape::Stream, Shape::Stream, Shape::Stream),
            (Shape::Scores, Shape::Scores, Shape::Scores),
            (Shape::Pairs, Shape::Pairs, Shape::Pairs),
        ] {
            assert_eq!((shape.under(false), shape.under(true)), (two, three), "{shape:?}");
        }
    }

    #[test]
    fn what_is_settled_by_its_row_is_neither_made_over_nor_another_under_resp3() {
        for row in super::super::all().iter().filter(|row| row.reply.is_settled()) {
            assert!(!row.reply.is_made_over() && row.reply.under(true) == row.reply, "{}", row.name);
            assert_eq!(shape(&Command { subcommands: &[], ..*row }, &[]), row.reply, "{}", row.name);
        }
    }

    #[test]
    fn each_depth_of_a_reply_has_its_own_arrays() {
        assert_eq!([0, 1, 2].map(|depth| Shape::Entries.held(depth)), [Held::List, Held::Entry, Held::Pairs]);
        assert_eq!([0, 1, 2].map(|depth| Shape::Pairs.held(depth)), [Held::Pairs, Held::List, Held::List]);
        assert_eq!([0, 1].map(|depth| Shape::ScoreScan.held(depth)), [Held::List, Held::Floats]);
        assert_eq!([0, 1].map(|depth| Shape::Plain.held(depth)), [Held::List, Held::List]);
    }
}
