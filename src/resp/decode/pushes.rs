//! Pushes that are kept. On most connections nobody wants them; where somebody does they are built aside, since one may
//! come before any reply, and the sink of that reply is not the place for it.

use std::collections::VecDeque;

use redis::Value;

use super::super::limits::ELEMENT_COST;
use super::super::{ProtocolError, ReadBuffer, ValueSink};
use super::{Decoder, Progress};

/// The pushes that came, and the one that is being read.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pushes: VecDeque<Value>,
    sink: ValueSink,
}

#[cfg(test)]
impl Kept {
    /// How many bytes of memory it holds.
    pub(super) fn held(&self) -> usize {
        self.sink.held() + self.pushes.iter().map(super::super::value::size_of_content).sum::<usize>()
    }
}

/// What becomes of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushes {
    /// It is dropped.
    Dropped,
    /// It is kept.
    Kept,
    /// The one that is being read is, and there is more of it to come.
    Begun,
    /// The next value is one, and to be read like a list.
    Read,
}

impl Decoder {
    /// Keeps the pushes that come from now on, for [`Decoder::take_push`].
    pub fn keep_pushes(&mut self) {
        self.pushes = Pushes::Kept;
        self.kept = Some(Box::default());
    }

    /// The oldest push that was kept.
    pub fn take_push(&mut self) -> Option<Value> {
        self.kept.as_mut()?.pushes.pop_front()
    }

    /// Reads a push, as far as the bytes go.
    #[cold]
    pub(super) fn advance_push(&mut self, input: &mut ReadBuffer) -> Result<Progress, ProtocolError> {
        let Some(mut kept) = self.kept.take() else { return Ok(Progress::Push) };
        self.pushes = Pushes::Read;
        let progress = self.advance(input, &mut kept.sink);
        let progress = match (progress, kept.sink.take()) {
            (Ok(Progress::Starved | Progress::Bulk), _) => {
                self.pushes = Pushes::Begun;
                // A long string comes through the read buffer, too: what is outside knows only the reply's own sink.
                Ok(Progress::Starved)
            }
            (Ok(_), Some(push @ Value::Array(_))) => {
                self.pushes = Pushes::Kept;
                kept.pushes.push_back(push);
                Ok(Progress::Push)
            }
            (Ok(_), _) => Err(ProtocolError::BadValue("-1".to_owned())),
            (error, _) => error,
        };
        self.kept = Some(kept);
        progress
    }
}

/// About how much memory a value takes, in the same coin as `max_reply_size`.
pub fn weight(value: &Value) -> u64 {
    let own = match value {
        Value::BulkString(bytes) => bytes.len() as u64,
        Value::SimpleString(text) => text.len() as u64,
        Value::Array(items) | Value::Set(items) => items.iter().map(weight).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
        _ => 0,
    };
    own.saturating_add(ELEMENT_COST)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Limits, Sink};
    use super::*;

    const BYTES: &[u8] =
        b">2\r\n+invalidate\r\n*2\r\n$1\r\nk\r\n|1\r\n+a\r\n+b\r\n_\r\n*2\r\n:1\r\n$2\r\nab\r\n>1\r\n+x\r\n-ERR no\r\n";

    fn text(value: &Value) -> String {
        format!("{value:?}")
    }

    #[test]
    fn kept_pushes_come_beside_the_replies_wherever_the_bytes_are_split() {
        for split in 0..BYTES.len() {
            let (mut input, mut sink, mut decoder) =
                (ReadBuffer::default(), ValueSink::default(), Decoder::new(Limits::default()));
            decoder.keep_pushes();
            let mut seen = Vec::new();
            for part in [&BYTES[..split], &BYTES[split..]] {
                input.space()[..part.len()].copy_from_slice(part);
                input.filled(part.len());
                loop {
                    match decoder.advance(&mut input, &mut sink).unwrap() {
                        Progress::Push => seen.push(format!("push {}", text(&decoder.take_push().unwrap()))),
                        Progress::Value => seen.push(text(&sink.take().unwrap())),
                        Progress::Error => seen.push(String::from_utf8_lossy(decoder.error_text()).into_owned()),
                        Progress::Starved => break,
                        Progress::Bulk => panic!("nothing here is long"),
                    }
                }
            }
            assert_eq!(
                seen,
                [
                    "push array([simple-string(\"invalidate\"), array([bulk-string('\"k\"'), nil])])",
                    "array([int(1), bulk-string('\"ab\"')])",
                    "push array([simple-string(\"x\")])",
                    "ERR no"
                ],
                "split after {split} bytes"
            );
            assert!(decoder.is_idle());
        }
    }

    #[test]
    fn a_long_string_of_a_kept_push_does_not_touch_the_sink_of_the_reply() {
        let long = "v".repeat(300_000);
        let bytes = format!(">2\r\n+message\r\n${}\r\n{long}\r\n:7\r\n", long.len()).into_bytes();
        let (mut input, mut sink, mut decoder) =
            (ReadBuffer::default(), ValueSink::default(), Decoder::new(Limits::default()));
        decoder.keep_pushes();
        let mut rest = &bytes[..];
        let mut seen = Vec::new();
        loop {
            match decoder.advance(&mut input, &mut sink).unwrap() {
                Progress::Starved if rest.is_empty() => break,
                Progress::Starved => {
                    let space = input.space();
                    let count = space.len().min(rest.len());
                    space[..count].copy_from_slice(&rest[..count]);
                    input.filled(count);
                    rest = &rest[count..];
                    assert!(sink.space().is_empty(), "the reply has not begun");
                }
                other => seen.push(other),
            }
        }
        assert_eq!(seen, [Progress::Push, Progress::Value]);
        let Some(Value::Array(push)) = decoder.take_push() else { panic!("no push") };
        assert!(push[1] == Value::BulkString(long.into_bytes()));
        assert_eq!(sink.take(), Some(Value::Int(7)));
    }

    #[test]
    fn a_push_that_is_nil_or_inside_of_another_value_is_refused_as_ever() {
        for bytes in [&b">-1\r\n"[..], b"*1\r\n>1\r\n+x\r\n", b">1\r\n>1\r\n+x\r\n"] {
            let (mut input, mut decoder) = (ReadBuffer::default(), Decoder::new(Limits::default()));
            decoder.keep_pushes();
            input.space()[..bytes.len()].copy_from_slice(bytes);
            input.filled(bytes.len());
            let read = decoder.advance(&mut input, &mut ValueSink::default());
            assert!(read.is_err(), "{}: {read:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_value_weighs_what_its_strings_and_elements_do() {
        let value = Value::Array(vec![Value::BulkString(vec![0; 100]), Value::Nil, Value::Int(1)]);
        assert_eq!(weight(&value), 100 + 4 * ELEMENT_COST);
    }
}
