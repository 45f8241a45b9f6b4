//! The slot of a key in Redis Cluster: CRC16 of the key, or of the part that its braces mark, modulo 16,384.
//! (Redis Cluster specification, "Key distribution model" and "Hash tags".)

use crate::resp::{first_argument, words_of};

use super::keys::key_positions;
use super::row::{Command, Keys};

/// How many slots a cluster has.
pub const SLOTS: usize = 16_384;

/// A remainder table of the CRC that the specification names: XMODEM's, polynomial 0x1021.
const REMAINDERS: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key.
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    let crc =
        tag_of(key).iter().fold(0_u16, |crc, byte| (crc << 8) ^ REMAINDERS[usize::from((crc >> 8) as u8 ^ *byte)]);
    crc % SLOTS as u16
}

/// What is hashed of a key: between its first `{` and the first `}` behind that, if anything stands there; otherwise all.
#[inline]
pub fn tag_of(key: &[u8]) -> &[u8] {
    // Most keys are short: to look at each byte takes less than to begin a search.
    let open = if key.len() < 24 { key.iter().position(|byte| *byte == b'{') } else { memchr::memchr(b'{', key) };
    let Some(open) = open else { return key };
    let behind = &key[open + 1..];
    match memchr::memchr(b'}', behind) {
        Some(close) if close > 0 => &behind[..close],
        _ => key,
    }
}

/// Where in a cluster a command belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// It has no key.
    None,
    /// All of its keys are in this slot.
    One(u16),
    /// Its keys are in several slots; the words at these places are two that differ.
    Several(usize, usize),
}

impl Slots {
    /// The one slot, if there is one.
    pub fn one(self) -> Option<u16> {
        match self {
            Slots::One(slot) => Some(slot),
            _ => None,
        }
    }
}

/// The slot of the keys of an encoded command, where `slot_of` gives the slot of a key. Of a command that the table does
/// not have, the first argument is taken for a key: if it is none, the server says where to go.
pub fn slots_of(row: Option<&Command>, encoded: &[u8], slot_of: impl Fn(&[u8]) -> u16) -> Slots {
    match row {
        Some(row) if row.keys.is_first_word() => {
            first_argument(encoded).map_or(Slots::None, |key| Slots::One(slot_of(key)))
        }
        Some(row) if row.keys == Keys::None && row.subcommands.is_empty() => Slots::None,
        Some(row) => {
            let words = words_of(encoded);
            let mut places = key_positions(row, &words).into_iter();
            let Some(first) = places.next() else { return Slots::None };
            let slot = slot_of(words[first]);
            match places.find(|place| slot_of(words[*place]) != slot) {
                None => Slots::One(slot),
                Some(other) => Slots::Several(first, other),
            }
        }
        None => first_argument(encoded).map_or(Slots::None, |key| Slots::One(slot_of(key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::find;
    use crate::resp::frame_of;

    #[test]
    fn the_check_value_of_the_specification_holds() {
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b""), 0);
        assert_eq!(slot_of(b"foo"), 12_182);
    }

    #[test]
    fn of_a_key_with_braces_the_first_marked_part_counts_unless_it_is_empty() {
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_eq!(tag_of(b"foo{bar"), b"foo{bar");
        assert_eq!(tag_of(b"a key that is longer than most: {tag} and more"), b"tag");
    }

    #[test]
    fn a_command_belongs_where_its_keys_are() {
        let slots = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            slots_of(find(words[0].as_bytes()), frame_of(&words).bytes(), slot_of)
        };
        assert_eq!(slots("GET foo"), Slots::One(12_182));
        assert_eq!(slots("PING"), Slots::None);
        assert_eq!(slots("MGET {a}1 {a}2"), Slots::One(slot_of(b"a")));
        assert_eq!(slots("MGET a a b"), Slots::Several(1, 3));
        assert_eq!(slots("EVAL code 2 {x}1 {x}2 b"), Slots::One(slot_of(b"x")));
        assert_eq!(slots("EVAL code 0 b"), Slots::None);
        assert_eq!(slots("XREAD COUNT 1 STREAMS foo 0"), Slots::One(12_182));
        assert_eq!(slots("XGROUP CREATE foo group 0"), Slots::One(12_182));
        assert_eq!(slots("CLIENT ID"), Slots::None);
        assert_eq!(slots("NOSUCH foo"), Slots::One(12_182));
    }
}
