//! A text that may be too long for one record: it goes over several, and the first of them is written last.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::seal::Seal;
use super::{Board, Holding, Place, Publication, Published, ROOM};

/// No text goes over more records than these.
const MOST_PARTS: usize = 64;
/// In front of each part stands which text it belongs to; in front of the first one also how many there are.
const MARK: usize = 8;
const COUNT: usize = 8;

/// The records that one text is written to. Who writes has to hold the turn of the first one ([`Place::take_turn`]): of two
/// who write at the same time neither would be understood. A writer that is killed between two records leaves a text that
/// nobody can read, until somebody writes the next one.
#[derive(Debug)]
pub struct Volume {
    board: Arc<Board>,
    seal: Seal,
    first: OnceLock<Place>,
    /// The others, as far as they were needed.
    others: Mutex<Vec<Place>>,
}

impl Volume {
    pub(super) fn new(board: Arc<Board>, seal: Seal) -> Volume {
        Volume { board, seal, first: OnceLock::new(), others: Mutex::default() }
    }

    /// The first record, if it was looked up: it has the news of the text, the turn to write it, and the pace of whatever
    /// it needs.
    #[inline]
    pub fn first(&self) -> Option<&Place> {
        self.first.get()
    }

    /// The first record, which is taken for the text if it was not yet.
    pub fn take(&self) -> &Place {
        self.first.get_or_init(|| self.board.place_of(self.seal.clone()))
    }

    /// Looks whether somebody has taken a record for the text, and takes none.
    pub fn look(&self) {
        if let Some(place) = self.board.known_place(&self.seal) {
            let _ = self.first.set(place);
        }
    }

    /// The text; `None` if there is none, or none that is whole. Its stamp is that of the first record.
    pub fn read(&self) -> Option<Published> {
        let Published { stamp, bytes } = self.first()?.read()?;
        let (mark, rest) = bytes.split_first_chunk::<MARK>()?;
        let (count, text) = rest.split_first_chunk::<COUNT>()?;
        let count =
            usize::try_from(u64::from_le_bytes(*count)).ok().filter(|count| (1..=MOST_PARTS).contains(count))?;
        let mut text = text.to_vec();
        for place in self.others(count - 1)? {
            let part = place.read()?.bytes;
            text.extend_from_slice(part.strip_prefix(mark)?);
        }
        (self.mark(&text) == *mark).then_some(Published { stamp, bytes: text })
    }

    /// Writes a text. `Unheard` if it does not fit: then there is none any more.
    pub fn publish(&self, text: &[u8], now: u64) -> Publication {
        let first = self.take();
        if !first.is_shared() {
            return Publication::Unheard;
        }
        let (based_on, mark) = (first.stamp(), self.mark(text));
        let (head, tail) = text.split_at(text.len().min(ROOM - MARK - COUNT));
        let parts: Vec<&[u8]> = tail.chunks(ROOM - MARK).collect();
        let count = parts.len() + 1;
        let places = if count <= MOST_PARTS { self.others(parts.len()) } else { None };
        let Some(places) = places else {
            // What stands there is older than what nobody can be told.
            if based_on != 0 {
                first.publish(based_on, true, &[], now);
            }
            return Publication::Unheard;
        };
        for (place, part) in places.iter().zip(&parts) {
            let published = place.publish(place.stamp(), true, &[&mark[..], part].concat(), now);
            if !matches!(published, Publication::Done(_)) {
                return published;
            }
        }
        first.publish(based_on, true, &[&mark[..], &(count as u64).to_le_bytes(), head].concat(), now)
    }

    /// So many records besides the first; `None` if there is no room for them.
    fn others(&self, count: usize) -> Option<Vec<Place>> {
        let mut others = self.others.lock();
        while others.len() < count {
            let place = self.board.place_of(self.seal.part(others.len() + 1));
            if !matches!(place.record, Holding::Shared(_)) {
                return None;
            }
            others.push(place);
        }
        Some(others[..count].to_vec())
    }

    fn mark(&self, text: &[u8]) -> [u8; MARK] {
        self.seal.checksum(text.len() as u64, text).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::LEAST_SIZE;

    const NOW: u64 = 1_000_000_000_000;

    fn board() -> Arc<Board> {
        let board = Board::shared(usize::try_from(LEAST_SIZE).unwrap()).unwrap();
        board.claim(|| 33, 0);
        Arc::new(board)
    }

    fn text(length: usize, seed: u8) -> Vec<u8> {
        (0..length).map(|place| seed.wrapping_add(u8::try_from(place % 251).unwrap())).collect()
    }

    fn said(volume: &Volume) -> Option<Vec<u8>> {
        volume.read().map(|published| published.bytes)
    }

    #[test]
    fn a_text_of_any_length_that_fits_is_read_by_another_worker_until_the_next_one() {
        let board = board();
        let (writer, reader) = (board.volume(&"map"), board.volume(&"map"));
        reader.look();
        assert!(reader.first().is_none() && board.status().records == 0, "who only looks takes no record");
        let lengths = [0, 5, ROOM - 16, ROOM - 15, ROOM + 900, 10 * ROOM, 3, 2 * ROOM];
        for (seed, length) in lengths.into_iter().enumerate() {
            let text = text(length, u8::try_from(seed).unwrap());
            assert!(matches!(writer.publish(&text, NOW), Publication::Done(_)), "{length} bytes");
            reader.look();
            assert_eq!(said(&reader).as_ref(), Some(&text), "{length} bytes");
        }
        assert_eq!(board.status().records, 11, "a shorter text leaves the records of the longer one for the next");
        assert!(said(&board.volume(&"another")).is_none());
    }

    #[test]
    fn what_does_not_fit_is_not_told_and_takes_what_was_told_back() {
        let board = board();
        let (writer, reader) = (board.volume(&"map"), board.volume(&"map"));
        writer.publish(b"short", NOW);
        reader.look();
        for length in [board.status().room * ROOM + 1, MOST_PARTS * ROOM + 1] {
            assert_eq!(writer.publish(&text(length, 1), NOW), Publication::Unheard);
            assert_eq!(said(&reader), None);
        }
        assert!(matches!(writer.publish(b"short again", NOW), Publication::Done(_)));
        assert_eq!(said(&reader).unwrap(), b"short again");
    }

    #[test]
    fn a_writer_that_is_killed_between_two_records_leaves_no_mixture_and_holds_up_nobody() {
        let board = board();
        let (writer, reader) = (board.volume(&"map"), board.volume(&"map"));
        let former = text(3 * ROOM, 1);
        writer.publish(&former, NOW);
        reader.look();
        // It had written one record of the next text, and no more.
        let next = text(3 * ROOM, 2);
        let mark = writer.mark(&next);
        let place = &writer.others(1).unwrap()[0];
        place.publish(place.stamp(), true, &[&mark[..], &next[..100]].concat(), NOW);
        assert_eq!(said(&reader), None);
        assert!(matches!(reader.publish(&next, NOW), Publication::Done(_)));
        assert_eq!(said(&writer), Some(next));
    }

    #[test]
    fn a_process_that_shares_nothing_tells_nothing() {
        let board = Arc::new(Board::alone());
        let volume = board.volume(&"map");
        assert_eq!(volume.publish(b"map", NOW), Publication::Unheard);
        assert_eq!(said(&volume), None);
        assert!(volume.take().take_turn(NOW).is_some(), "but its threads take turns");
    }
}
