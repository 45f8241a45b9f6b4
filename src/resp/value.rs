//! A sink that builds plain values: for the commands that the house itself sends, and for tests.

use redis::Value;

use super::{Aggregate, Decoder, Limits, Progress, ProtocolError, ReadBuffer, Sink, Space};

/// How much room a begun bulk string gets at a time.
const CHUNK: usize = 64 * 1024;

/// Builds a [`redis::Value`], whose conversions (`FromRedisValue`) the rooms above use.
#[derive(Debug, Default)]
pub struct ValueSink {
    open: Vec<(Aggregate, Vec<Value>)>,
    bulk: Vec<u8>,
    received: usize,
    wanted: usize,
    done: Option<Value>,
}

impl ValueSink {
    /// The value, once the decoder has said that the reply is complete.
    pub fn take(&mut self) -> Option<Value> {
        self.done.take()
    }

    /// How many bytes of memory it holds for a value that is not complete.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        let lists = self
            .open
            .iter()
            .map(|(_, items)| items.capacity() * size_of::<Value>() + items.iter().map(size_of_content).sum::<usize>());
        lists.sum::<usize>() + self.bulk.capacity()
    }

    /// The value, left where it is.
    #[cfg(test)]
    pub fn done(&self) -> Option<&Value> {
        self.done.as_ref()
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            Some((_, items)) => items.push(value),
            None => self.done = Some(value),
        }
    }
}

impl Sink for ValueSink {
    fn reset(&mut self) {
        *self = ValueSink::default();
    }

    fn nil(&mut self) {
        self.put(Value::Nil);
    }

    fn integer(&mut self, value: i64) {
        self.put(Value::Int(value));
    }

    fn double(&mut self, value: f64) {
        self.put(Value::Double(value));
    }

    fn boolean(&mut self, value: bool) {
        self.put(Value::Boolean(value));
    }

    fn status(&mut self, text: &[u8]) {
        self.put(if text == b"OK" {
            Value::Okay
        } else {
            Value::SimpleString(String::from_utf8_lossy(text).into_owned())
        });
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.put(Value::BulkString(bytes.to_vec()));
    }

    fn big_number(&mut self, digits: &[u8]) {
        self.put(Value::BigNumber(digits.to_vec()));
    }

    fn error(&mut self, text: &[u8]) {
        // `redis` offers no constructor for its error type. Its parser makes one, too, and would be 80 KB of the library.
        let text = String::from_utf8_lossy(text);
        let (code, detail) =
            text.split_once(' ').map_or((&*text, None), |(code, detail)| (code, Some(detail.to_owned())));
        let error = redis::make_extension_error(code.to_owned(), detail);
        self.put(error.try_into().map_or(Value::Nil, Value::ServerError));
    }

    fn begin(&mut self, kind: Aggregate, length: usize) {
        self.open.push((kind, Vec::with_capacity(length.min(1024))));
    }

    fn end(&mut self) {
        let Some((kind, items)) = self.open.pop() else { return };
        self.put(match kind {
            Aggregate::Array => Value::Array(items),
            Aggregate::Set => Value::Set(items),
            Aggregate::Map => {
                let mut items = items.into_iter();
                let mut pairs = Vec::with_capacity(items.len() / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Value::Map(pairs)
            }
        });
    }

    fn begin_bulk(&mut self, length: usize) {
        // Memory grows as bytes come, not by what the server claims.
        self.bulk = Vec::with_capacity(length.min(CHUNK));
        self.received = 0;
        self.wanted = length;
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bulk.truncate(self.received);
        self.bulk.extend_from_slice(bytes);
        self.received = self.bulk.len();
    }

    fn space(&mut self) -> Space<'_> {
        let room = (self.wanted - self.received).min(CHUNK);
        self.bulk.resize(self.received + room, 0);
        Space::Used(&mut self.bulk[self.received..])
    }

    fn filled(&mut self, count: usize) {
        self.received += count;
    }

    fn end_bulk(&mut self) {
        self.bulk.truncate(self.received);
        let bytes = std::mem::take(&mut self.bulk);
        self.put(Value::BulkString(bytes));
    }
}

/// How many bytes of memory are behind a value.
#[cfg(test)]
pub fn size_of_content(value: &Value) -> usize {
    match value {
        Value::BulkString(bytes) | Value::BigNumber(bytes) => bytes.capacity(),
        Value::SimpleString(text) => text.capacity(),
        Value::Array(items) | Value::Set(items) => {
            items.capacity() * size_of::<Value>() + items.iter().map(size_of_content).sum::<usize>()
        }
        Value::Map(pairs) => {
            let content = pairs.iter().map(|(key, value)| size_of_content(key) + size_of_content(value));
            pairs.capacity() * 2 * size_of::<Value>() + content.sum::<usize>()
        }
        _ => 0,
    }
}

/// Hands a value that was built to another sink.
pub fn hand_on<S: Sink + ?Sized>(value: &Value, sink: &mut S) {
    match value {
        Value::Int(number) => sink.integer(*number),
        Value::Double(number) => sink.double(*number),
        Value::Boolean(is) => sink.boolean(*is),
        Value::Okay => sink.status(b"OK"),
        Value::SimpleString(text) => sink.status(text.as_bytes()),
        Value::BulkString(bytes) => sink.bulk(bytes),
        Value::BigNumber(digits) => sink.big_number(digits),
        Value::ServerError(error) => {
            let detail = error.details().map(|detail| [" ", detail].concat()).unwrap_or_default();
            sink.error([error.code(), &*detail].concat().as_bytes());
        }
        Value::Array(items) => {
            sink.begin(Aggregate::Array, items.len());
            items.iter().for_each(|item| hand_on(item, sink));
            sink.end();
        }
        Value::Set(items) => {
            sink.begin(Aggregate::Set, items.len());
            items.iter().for_each(|item| hand_on(item, sink));
            sink.end();
        }
        Value::Map(pairs) => {
            sink.begin(Aggregate::Map, pairs.len());
            for (key, value) in pairs {
                hand_on(key, sink);
                hand_on(value, sink);
            }
            sink.end();
        }
        // What [`ValueSink`] does not build.
        _ => sink.nil(),
    }
}

/// Decodes replies that are wholly in `bytes`. An error reply becomes a `Value::ServerError`.
///
/// # Errors
/// What is wrong with the bytes; an incomplete last reply is an error too.
pub fn decode_all(mut bytes: &[u8], limits: Limits) -> Result<Vec<Value>, ProtocolError> {
    let mut values = Vec::new();
    let (mut input, mut decoder, mut sink) = (ReadBuffer::default(), Decoder::new(limits), ValueSink::default());
    loop {
        match decoder.advance(&mut input, &mut sink)? {
            Progress::Value => values.extend(sink.take()),
            Progress::Error => {
                sink.error(decoder.error_text());
                values.extend(sink.take());
            }
            Progress::Push => {}
            Progress::Starved | Progress::Bulk if bytes.is_empty() => break,
            Progress::Starved => {
                let space = input.space();
                let count = space.len().min(bytes.len());
                space[..count].copy_from_slice(&bytes[..count]);
                input.filled(count);
                bytes = &bytes[count..];
            }
            Progress::Bulk => {
                let count = sink.space().len().min(bytes.len());
                sink.append(&bytes[..count]);
                decoder.bulk_filled(count);
                bytes = &bytes[count..];
            }
        }
    }
    if decoder.is_idle() && input.is_empty() {
        Ok(values)
    } else {
        Err(ProtocolError::Unexpected("the last reply is incomplete".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_handed_on_is_the_same_value() {
        let bytes = b"*9\r\n:1\r\n$2\r\nab\r\n+OK\r\n+x\r\n_\r\n#t\r\n,0.5\r\n~1\r\n(123456789012345678901\r\n%1\r\n+k\r\n*0\r\n";
        for value in decode_all(bytes, Limits::default()).unwrap() {
            let mut sink = ValueSink::default();
            hand_on(&value, &mut sink);
            assert_eq!(sink.take(), Some(value));
        }
    }
}
