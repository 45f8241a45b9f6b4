//! What the arrays of a reply become, by the row and the words that were sent.

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
    match row.reply {
        Shape::Scores | Shape::ScoresAside => {
            // Behind the keys where those are counted, else behind the key and what chooses members.
            let count = words.get(1).and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
            let before = if row.flags.contains(Flags::MOVABLE_KEYS) { count.unwrap_or(0).saturating_add(2) } else { 3 };
            if asks(words, before, b"WITHSCORES") { row.reply } else { Shape::Plain }
        }
        Shape::Matches if asks(words, 3, b"IDX") => Shape::Pairs,
        Shape::Matches => Shape::Plain,
        Shape::Consumers if words.len() > 3 => Shape::Plain,
        shape => shape,
    }
}

fn asks(words: &[&[u8]], before: usize, option: &[u8]) -> bool {
    words.iter().skip(before).any(|word| word.eq_ignore_ascii_case(option))
}

impl Shape {
    /// Whether the words have to be looked at.
    #[inline]
    pub fn depends_on_words(self) -> bool {
        matches!(self, Shape::Scores | Shape::ScoresAside | Shape::Matches | Shape::Consumers)
    }

    /// What an array becomes that stands so deep in the reply.
    #[inline]
    pub fn held(self, depth: usize) -> Held {
        match (self, depth) {
            (Shape::Pairs | Shape::Scores | Shape::ScoresAside | Shape::Popped | Shape::PoppedOfKeys, 0)
            | (Shape::Scores | Shape::Popped | Shape::HashScan | Shape::Tables, 1)
            | (Shape::Entries, 2) => Held::Pairs,
            (Shape::ScoreScan, 1) => Held::Floats,
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
            ("XPENDING x g", Shape::Consumers),
            ("XPENDING x g - + 10", Shape::Plain),
            ("HGETALL h", Shape::Pairs),
        ] {
            assert_eq!(shape_of(text), expected, "{text}");
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
