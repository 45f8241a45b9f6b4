//! The ring on which Predis places keys when it shares them among servers that know nothing of each other.
//!
//! Each node stands at many points of a circle of 2^32, found by hashing its name with a number; a key belongs to the
//! point at its own hash or the next one before that. All of that is as in Predis, because the data is there already.

use std::collections::BTreeMap;

use crate::command::tag_of;
use crate::config::RingMember;

/// At how many points a node stands whose weight is the mean.
const POINTS: u64 = 128;

/// Which node is where on the circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The points in order, each with the place of its node's endpoint.
    points: Vec<(u32, u16)>,
}

impl Ring {
    /// The ring of these nodes. Where two meet at one point, it belongs to the later one.
    pub fn of(members: &[RingMember]) -> Ring {
        let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let mut points = BTreeMap::new();
        for member in members {
            let name = crc32(0, member.name.as_bytes());
            for number in 0..points_for(u64::from(member.weight), members.len() as u64, total) {
                points.insert(crc32(name, format!(":{number}").as_bytes()), member.endpoint);
            }
        }
        Ring { points: points.into_iter().collect() }
    }

    /// The place of the endpoint that a key belongs to.
    pub fn place_of(&self, key: &[u8]) -> u16 {
        let hash = crc32(0, tag_of(key));
        let behind = self.points.partition_point(|(point, _)| *point <= hash);
        let at = behind.checked_sub(1).unwrap_or(self.points.len().saturating_sub(1));
        self.points.get(at).map_or(0, |(_, place)| *place)
    }

    /// At how many points an endpoint stands.
    pub fn points_of(&self, place: usize) -> usize {
        self.points.iter().filter(|(_, owner)| usize::from(*owner) == place).count()
    }
}

/// `weight / total * count * POINTS`, to the nearest whole number; halves go up. PHP's `round()` makes up for the error of
/// its division, so whole numbers come to the same.
fn points_for(weight: u64, count: u64, total: u64) -> u64 {
    (2 * weight * count * POINTS + total).checked_div(2 * total).unwrap_or(0)
}

/// A remainder table of the CRC-32 of zip and PHP: polynomial 0x04C11DB7, lowest bit first.
const REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xedb8_8320 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The CRC of some bytes that come behind others whose CRC is `former`; zero if nothing comes before.
fn crc32(former: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!former, |crc, byte| (crc >> 8) ^ REMAINDERS[usize::from(crc as u8 ^ *byte)])
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
