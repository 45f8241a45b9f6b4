//! Very many replies, whole and spoilt, that come in any pieces: what they are does not depend on the pieces, nothing
//! panics, and memory is taken for what came.

use super::hostile::{reply, spoil};
use super::{Decoder, Limits, Progress, ProtocolError, ReadBuffer, Sink, Space, ValueSink};
use crate::dice::{Dice, cases};

/// What memory may be taken for besides what came: the chunks of a string, and what lists have room for before their
/// elements come, one in another.
const BASE: usize = 256 * 1024;
const PER_LIST: usize = 1024 * size_of::<redis::Value>();
/// The memory of an element, and of the text of which it is made at the least: `_\r\n`, in a list that doubles its room.
const PER_BYTE: usize = size_of::<redis::Value>();

/// Decodes a stream that comes in pieces. Gives what was seen, in order; the last is how it ended.
fn read(bytes: &[u8], limits: Limits, keeps: bool, mut piece: impl FnMut() -> usize) -> Vec<String> {
    let (mut input, mut sink, mut decoder) = (ReadBuffer::default(), ValueSink::default(), Decoder::new(limits));
    if keeps {
        decoder.keep_pushes();
    }
    let mut seen = Vec::new();
    let mut came = 0;
    loop {
        let progress = decoder.advance(&mut input, &mut sink);
        let held = sink.held() + decoder.held();
        let most = BASE + PER_LIST * limits.max_depth.min(came) + PER_BYTE * came;
        assert!(held <= most, "{held} bytes are held when {came} have come");
        let count = piece().max(1).min(bytes.len() - came);
        match progress {
            Ok(Progress::Value) => {
                seen.extend(sink.take().map(|value| format!("{value:?} {:?}", decoder.last_scalar())));
            }
            Ok(Progress::Error) => seen.push(format!("error {}", String::from_utf8_lossy(decoder.error_text()))),
            Ok(Progress::Push) => seen.extend(decoder.take_push().map(|push| format!("push {push:?}"))),
            // How much of it had come is chance.
            Err(ProtocolError::LineTooLong(_)) => return [seen, vec!["a line too long".to_owned()]].concat(),
            Err(error) => return [seen, vec![format!("{error:?}")]].concat(),
            Ok(Progress::Starved | Progress::Bulk) if count == 0 => {
                let idle = decoder.is_idle() && input.is_empty();
                return [seen, vec![if idle { "the end" } else { "cut off" }.to_owned()]].concat();
            }
            Ok(Progress::Starved) => {
                let space = input.space();
                assert!(!space.is_empty(), "there is no room for what is to come");
                let count = count.min(space.len());
                space[..count].copy_from_slice(&bytes[came..came + count]);
                input.filled(count);
                came += count;
            }
            Ok(Progress::Bulk) => {
                assert!(input.is_empty(), "what came of a string is not with it");
                let Space::Used(space) = sink.space() else { panic!("a value is built of plain memory") };
                assert!(!space.is_empty(), "there is no room for what is to come");
                let count = count.min(space.len());
                space[..count].copy_from_slice(&bytes[came..came + count]);
                sink.filled(count);
                decoder.bulk_filled(count);
                came += count;
            }
        }
    }
}

fn limits(dice: &mut Dice) -> Limits {
    if dice.once_in(3) {
        Limits { max_reply_size: dice.pick(&[40, 300, 5_000, 70_000]), max_depth: 1 + dice.below(6) }
    } else {
        Limits::default()
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(2_000)].escape_ascii().to_string()
}

#[test]
fn no_stream_panics_takes_more_memory_than_it_has_or_depends_on_its_pieces() {
    cases(12_000, |dice| {
        let mut bytes: Vec<u8> = (0..1 + dice.below(4)).flat_map(|_| reply(dice)).collect();
        let is_whole = dice.once_in(4);
        if !is_whole {
            spoil(dice, &mut bytes);
        }
        let (limits, keeps) = (limits(dice), dice.once_in(2));
        let whole = read(&bytes, limits, keeps, || usize::MAX);
        if is_whole && limits == Limits::default() {
            assert_eq!(whole.last().map(String::as_str), Some("the end"), "{}", shown(&bytes));
        }
        let most = dice.pick(&[1, 2, 7, 100, 5_000, 40_000]);
        let few = bytes.len() > 3_000;
        let pieces =
            read(&bytes, limits, keeps, || if few { 1 + dice.below(most.max(500)) } else { 1 + dice.below(most) });
        assert_eq!(pieces, whole, "pieces of up to {most} of {}", shown(&bytes));
    });
}
