//! The decoder: takes what has arrived, hands finished values to a sink, and says what it needs next.
//!
//! It never waits and it can stop after any byte, so that whoever drives it may wait for one socket or for many.
//! RESP3's streamed types (`$?`, `*?`) are refused: no server sends them.

mod pushes;

use super::limits::ELEMENT_COST;
use super::lines::{lossy, next_line, next_line_with_type, parse_double, parse_integer, parse_length, short_number};
use super::{Aggregate, Limits, ProtocolError, ReadBuffer, Sink};

pub use pushes::weight;
use pushes::{Kept, Pushes};

/// What the decoder got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The reply is complete and the sink has it.
    Value,
    /// The reply is complete and is an error: see [`Decoder::error_text`]. The sink was told of nothing.
    Error,
    /// A push was read, and dropped or kept. It is no reply: go on.
    Push,
    /// More bytes are needed in the read buffer.
    Starved,
    /// More bytes of the begun bulk string are needed, in the sink's `space`. The read buffer is empty.
    Bulk,
}

/// The state between two calls: what is open, and how much may still come.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    open: Vec<Open>,
    /// Bytes of the begun bulk string that are still to come, its line end not counted.
    bulk: Option<usize>,
    /// What the reply has cost so far, against `max_reply_size`.
    cost: u64,
    /// How many open aggregates there were when values ceased to go to the sink (inside a push or an attribute).
    muted_at: Option<usize>,
    error: Vec<u8>,
    scalar: Scalar,
    pushes: Pushes,
    kept: Option<Box<Kept>>,
}

/// What a reply was, as far as a command that is sent again needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Nil.
    Nil,
    /// The integer 0.
    Zero,
    /// Anything else.
    Other,
}

/// An open aggregate.
#[derive(Clone, Copy, Debug)]
struct Open {
    left: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reply(Aggregate),
    Push,
    /// What comes before a value and belongs to no reply.
    Attribute,
}

/// Whether a value was completed, or the bytes ran out.
enum Step {
    Completed,
    Opened,
    Starved,
    NeedsBulk,
    /// A push begins that is to be kept.
    Push,
}

/// Bulk strings that fit into this much of the read buffer are taken from there whole.
const WHOLE: usize = ReadBuffer::capacity() / 4;

impl Decoder {
    /// A decoder that is about to read its first reply.
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            limits,
            open: Vec::with_capacity(8),
            bulk: None,
            cost: 0,
            muted_at: None,
            error: Vec::new(),
            scalar: Scalar::Other,
            pushes: Pushes::Dropped,
            kept: None,
        }
    }

    /// What the last value was.
    pub fn last_scalar(&self) -> Scalar {
        self.scalar
    }

    /// The limits in force from the next value on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether no reply is begun.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.bulk.is_none()
    }

    /// How many bytes of memory it holds besides what is in the read buffer.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.held());
        kept + self.open.capacity() * size_of::<Open>() + self.error.capacity()
    }

    /// The text of the error reply that [`Progress::Error`] spoke of, without the `-`.
    pub fn error_text(&self) -> &[u8] {
        &self.error
    }

    /// Says that `count` bytes were written into the sink's `space`.
    pub fn bulk_filled(&mut self, count: usize) {
        if let Some(left) = &mut self.bulk {
            *left -= count;
        }
    }

    /// Decodes as far as the bytes in `input` go, at most to the end of one reply.
    ///
    /// # Errors
    /// The bytes are no RESP or exceed the limits. The decoder is useless after that, and so is the connection.
    pub fn advance<S: Sink>(&mut self, input: &mut ReadBuffer, sink: &mut S) -> Result<Progress, ProtocolError> {
        if self.pushes == Pushes::Begun {
            return self.advance_push(input);
        }
        loop {
            if self.bulk.is_some() {
                match self.continue_bulk(input, sink)? {
                    Step::Completed => {}
                    Step::NeedsBulk => return Ok(Progress::Bulk),
                    Step::Opened | Step::Starved | Step::Push => return Ok(Progress::Starved),
                }
            } else {
                if self.open.is_empty() && self.muted_at.is_none() {
                    // An error that is the whole reply is not the sink's business.
                    if input.unread().first() == Some(&b'-') {
                        let Some((line, consumed)) = next_line(input)? else { return Ok(Progress::Starved) };
                        self.error.clear();
                        self.error.extend_from_slice(line);
                        input.consume(consumed);
                        self.cost = 0;
                        return Ok(Progress::Error);
                    }
                }
                self.take_strings(input, sink);
                match self.next_value(input, sink)? {
                    Step::Completed => {}
                    Step::Opened => continue,
                    Step::Starved => return Ok(Progress::Starved),
                    Step::NeedsBulk => continue,
                    Step::Push => return self.advance_push(input),
                }
            }
            if let Some(progress) = self.close(sink) {
                return Ok(progress);
            }
        }
    }

    /// Takes the strings that come next in what is open, as long as they are whole, short, plain and not the last of
    /// it: what large replies are made of. Anything else, and whatever is wrong, is left to [`Decoder::next_value`].
    #[inline]
    fn take_strings<S: Sink>(&mut self, input: &mut ReadBuffer, sink: &mut S) {
        let Some(innermost) = self.open.last_mut().filter(|_| self.muted_at.is_none()) else { return };
        let mut rest = input.unread();
        let before = rest.len();
        let (mut left, mut cost) = (innermost.left, self.cost);
        while left > 1
            && let Some((b'$', length, header)) = short_number(rest)
            && let Some((text, behind)) = rest[header..].split_at_checked(length as usize)
            && let [b'\r', b'\n', behind @ ..] = behind
            && cost + ELEMENT_COST + length <= self.limits.max_reply_size
        {
            sink.bulk(text);
            cost += ELEMENT_COST + length;
            left -= 1;
            rest = behind;
        }
        let taken = before - rest.len();
        (innermost.left, self.cost) = (left, cost);
        input.consume(taken);
    }

    /// Counts a completed value against what is open. Gives the progress if it completed a whole reply or push.
    #[inline]
    fn close<S: Sink>(&mut self, sink: &mut S) -> Option<Progress> {
        while let Some(innermost) = self.open.last_mut() {
            innermost.left -= 1;
            if innermost.left > 0 {
                return None;
            }
            let kind = innermost.kind;
            self.open.pop();
            self.scalar = Scalar::Other;
            match kind {
                Kind::Reply(_) => {
                    if self.muted_at.is_none() {
                        sink.end();
                    }
                }
                Kind::Push => {
                    self.muted_at = None;
                    self.cost = 0;
                    return Some(Progress::Push);
                }
                // The value that the attribute belongs to is still to come: nothing is completed by it.
                Kind::Attribute => {
                    if self.muted_at == Some(self.open.len()) {
                        self.muted_at = None;
                    }
                    return None;
                }
            }
        }
        self.cost = 0;
        Some(Progress::Value)
    }

    #[inline]
    fn next_value<S: Sink>(&mut self, input: &mut ReadBuffer, sink: &mut S) -> Result<Step, ProtocolError> {
        self.scalar = Scalar::Other;
        // Nearly everything begins with a short number: no search for the line's end, and no second look at its digits.
        if let Some((kind, number, consumed)) = short_number(input.unread()) {
            match kind {
                b'$' => {
                    self.charge(ELEMENT_COST + number)?;
                    return self.begin_bulk(false, number as usize, consumed, input, sink);
                }
                b':' => {
                    input.consume(consumed);
                    self.take_integer(number.cast_signed(), sink)?;
                    return Ok(Step::Completed);
                }
                b'*' => {
                    input.consume(consumed);
                    return self.open_aggregate(Kind::Reply(Aggregate::Array), number as usize, sink);
                }
                _ => {}
            }
        }
        self.next_line_value(input, sink)
    }

    /// Any value, by its whole first line.
    fn next_line_value<S: Sink>(&mut self, input: &mut ReadBuffer, sink: &mut S) -> Result<Step, ProtocolError> {
        let Some((line, consumed)) = next_line_with_type(input)? else { return Ok(Step::Starved) };
        let (kind, text) = (line[0], &line[1..]);
        let muted = self.muted_at.is_some();
        match kind {
            b'$' | b'=' => {
                let Some(length) = parse_length(text)? else {
                    input.consume(consumed);
                    return self.take_nil(sink);
                };
                self.charge(ELEMENT_COST.saturating_add(length as u64))?;
                return self.begin_bulk(kind == b'=', length, consumed, input, sink);
            }
            b':' => {
                let value = parse_integer(text)?;
                input.consume(consumed);
                self.take_integer(value, sink)?;
            }
            b'*' | b'~' | b'%' | b'>' | b'|' => return self.begin_aggregate(kind, consumed, input, sink),
            b'_' => {
                input.consume(consumed);
                return self.take_nil(sink);
            }
            _ => {
                self.charge(ELEMENT_COST + text.len() as u64)?;
                if !muted {
                    scalar(kind, text, sink)?;
                }
                input.consume(consumed);
            }
        }
        Ok(Step::Completed)
    }

    fn take_nil<S: Sink>(&mut self, sink: &mut S) -> Result<Step, ProtocolError> {
        self.scalar = Scalar::Nil;
        self.charge(ELEMENT_COST)?;
        if self.muted_at.is_none() {
            sink.nil();
        }
        Ok(Step::Completed)
    }

    #[inline]
    fn take_integer<S: Sink>(&mut self, value: i64, sink: &mut S) -> Result<(), ProtocolError> {
        if value == 0 {
            self.scalar = Scalar::Zero;
        }
        self.charge(ELEMENT_COST)?;
        if self.muted_at.is_none() {
            sink.integer(value);
        }
        Ok(())
    }

    /// A bulk string: whole from the read buffer if it is small, otherwise piece by piece into the sink.
    fn begin_bulk<S: Sink>(
        &mut self,
        verbatim: bool,
        length: usize,
        header: usize,
        input: &mut ReadBuffer,
        sink: &mut S,
    ) -> Result<Step, ProtocolError> {
        let rest = &input.unread()[header..];
        if rest.len() >= length + 2 {
            if &rest[length..length + 2] != b"\r\n" {
                return Err(ProtocolError::BadBulkEnd);
            }
            if self.muted_at.is_none() {
                // Verbatim strings say `txt:` or `mkd:` first.
                let skip = if verbatim { 4.min(length) } else { 0 };
                sink.bulk(&rest[skip..length]);
            }
            input.consume(header + length + 2);
            return Ok(Step::Completed);
        }
        let prefix = if verbatim { 4 } else { 0 };
        if length <= WHOLE || rest.len() < prefix {
            // The charge comes again with the next call, when the value is read once more.
            self.cost -= ELEMENT_COST + length as u64;
            return Ok(Step::Starved);
        }
        if self.muted_at.is_none() {
            sink.begin_bulk(length - prefix);
        }
        input.consume(header + prefix);
        self.bulk = Some(length - prefix);
        Ok(Step::NeedsBulk)
    }

    fn continue_bulk<S: Sink>(&mut self, input: &mut ReadBuffer, sink: &mut S) -> Result<Step, ProtocolError> {
        let left = self.bulk.unwrap_or(0);
        let here = input.unread().len().min(left);
        let muted = self.muted_at.is_some();
        if here > 0 {
            if !muted {
                sink.append(&input.unread()[..here]);
            }
            input.consume(here);
            self.bulk = Some(left - here);
        }
        if left > here {
            // What goes nowhere comes through the read buffer.
            return Ok(if muted { Step::Starved } else { Step::NeedsBulk });
        }
        match input.unread() {
            [b'\r', b'\n', ..] => {
                input.consume(2);
                self.bulk = None;
                if !muted {
                    sink.end_bulk();
                }
                Ok(Step::Completed)
            }
            [] | [b'\r'] => Ok(Step::Starved),
            _ => Err(ProtocolError::BadBulkEnd),
        }
    }

    fn begin_aggregate<S: Sink>(
        &mut self,
        marker: u8,
        consumed: usize,
        input: &mut ReadBuffer,
        sink: &mut S,
    ) -> Result<Step, ProtocolError> {
        let kind = match marker {
            b'*' => Kind::Reply(Aggregate::Array),
            b'~' => Kind::Reply(Aggregate::Set),
            b'%' => Kind::Reply(Aggregate::Map),
            b'>' if self.pushes == Pushes::Read && self.open.is_empty() => Kind::Reply(Aggregate::Array),
            b'>' if self.pushes == Pushes::Kept && self.open.is_empty() => return Ok(Step::Push),
            b'>' => Kind::Push,
            _ => Kind::Attribute,
        };
        let length = parse_length(&input.unread()[1..consumed - 2])?;
        input.consume(consumed);
        if kind == Kind::Push && !self.open.is_empty() {
            return Err(ProtocolError::Unexpected("a push inside of another value".to_owned()));
        }
        match (length, kind) {
            (Some(length), _) => self.open_aggregate(kind, length, sink),
            (None, Kind::Reply(_)) => self.take_nil(sink),
            // Nil is a value; a push or an attribute that is none would pass for a reply.
            (None, Kind::Push | Kind::Attribute) => Err(ProtocolError::BadValue("-1".to_owned())),
        }
    }

    fn open_aggregate<S: Sink>(&mut self, kind: Kind, length: usize, sink: &mut S) -> Result<Step, ProtocolError> {
        let pairs = matches!(kind, Kind::Attribute | Kind::Reply(Aggregate::Map));
        let left = if pairs { length.saturating_mul(2) } else { length };
        // The elements will be charged one by one; a claim beyond the limit is refused before the sink makes room.
        let claimed = (left as u64).saturating_mul(ELEMENT_COST);
        if self.cost.saturating_add(claimed) > self.limits.max_reply_size {
            return Err(ProtocolError::TooLarge { limit: self.limits.max_reply_size });
        }
        self.charge(ELEMENT_COST)?;
        if self.open.len() >= self.limits.max_depth {
            return Err(ProtocolError::TooDeep { limit: self.limits.max_depth });
        }
        if self.muted_at.is_none() {
            match kind {
                Kind::Reply(aggregate) => sink.begin(aggregate, length),
                Kind::Push | Kind::Attribute => self.muted_at = Some(self.open.len()),
            }
        }
        if left == 0 {
            return Ok(self.close_empty(kind, sink));
        }
        self.open.push(Open { left, kind });
        Ok(Step::Opened)
    }

    fn close_empty<S: Sink>(&mut self, kind: Kind, sink: &mut S) -> Step {
        match kind {
            Kind::Reply(_) => {
                if self.muted_at.is_none() {
                    sink.end();
                }
                Step::Completed
            }
            Kind::Push | Kind::Attribute => {
                if self.muted_at == Some(self.open.len()) {
                    self.muted_at = None;
                }
                // Nothing was completed: go on with the value behind it.
                Step::Opened
            }
        }
    }

    #[inline]
    fn charge(&mut self, cost: u64) -> Result<(), ProtocolError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limits.max_reply_size {
            return Err(ProtocolError::TooLarge { limit: self.limits.max_reply_size });
        }
        Ok(())
    }
}

/// The types that are one line and not an integer.
fn scalar<S: Sink>(kind: u8, text: &[u8], sink: &mut S) -> Result<(), ProtocolError> {
    match kind {
        b'+' => sink.status(text),
        b'-' => sink.error(text),
        b',' => sink.double(parse_double(text)?),
        b'#' => match text {
            b"t" => sink.boolean(true),
            b"f" => sink.boolean(false),
            _ => return Err(ProtocolError::BadValue(lossy(text))),
        },
        b'(' => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(ProtocolError::BadNumber(lossy(text)));
            }
            sink.big_number(text);
        }
        // A bulk error: its text follows as a bulk string. No command of any server replies with one.
        _ => return Err(ProtocolError::UnknownType(kind)),
    }
    Ok(())
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
