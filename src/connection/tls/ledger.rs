//! What each record held that was given to the socket, so that bytes of the socket can be told in bytes of the commands.
//!
//! When a peer closes, the kernel knows how many bytes at the end of what was sent never arrived. A record is good for
//! nothing before its last byte is there: so of the records that reach into those bytes, nothing arrived.

/// How many records are remembered. Of more than these, none is said to have been lost.
const REMEMBERED: usize = 32;

/// The last records.
#[derive(Debug, Default)]
pub struct Ledger {
    /// How many bytes of commands a record held, and how many bytes it had itself.
    records: [(u32, u32); REMEMBERED],
    next: usize,
}

impl Ledger {
    /// Notes a record of `sealed` bytes that held `plain` bytes of commands; none if it held something else.
    pub fn note(&mut self, plain: usize, sealed: usize) {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.records[self.next % REMEMBERED] = (number(plain), number(sealed));
        self.next += 1;
    }

    /// How many bytes of the commands did not arrive if the last `missing` bytes of what was sent did not.
    pub fn undelivered(&self, missing: usize) -> usize {
        let (mut after, mut plain) = (0, 0);
        for back in 1..=self.next.min(REMEMBERED) {
            if after >= missing {
                break;
            }
            let (held, sealed) = self.records[(self.next - back) % REMEMBERED];
            plain += held as usize;
            after += sealed as usize;
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_misses_its_last_byte_has_brought_nothing() {
        let mut ledger = Ledger::default();
        ledger.note(100, 122);
        ledger.note(50, 72);
        assert_eq!(ledger.undelivered(0), 0);
        assert_eq!(ledger.undelivered(1), 50);
        assert_eq!(ledger.undelivered(72), 50);
        assert_eq!(ledger.undelivered(73), 150);
        assert_eq!(ledger.undelivered(1_000_000), 150, "never more than was sent");
    }

    #[test]
    fn what_is_not_remembered_is_not_said_to_be_lost() {
        let mut ledger = Ledger::default();
        for _ in 0..2 * REMEMBERED {
            ledger.note(10, 32);
        }
        assert_eq!(ledger.undelivered(usize::MAX), 10 * REMEMBERED);
        ledger.note(0, 24);
        assert_eq!(ledger.undelivered(24), 0, "a record without commands loses none");
    }
}
