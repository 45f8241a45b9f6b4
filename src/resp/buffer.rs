//! The bytes that have arrived on a connection and are not decoded yet.

/// Room for one read from the socket. Pages of it that are never written cost no memory.
const CAPACITY: usize = 64 * 1024;

/// A read buffer: filled at the end, consumed at the start. Its size is fixed, unless long lines are expected.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    /// How long a line may be.
    longest: usize,
    start: usize,
    end: usize,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        ReadBuffer { bytes: vec![0; CAPACITY], longest: CAPACITY / 2, start: 0, end: 0 }
    }
}

impl ReadBuffer {
    /// What has arrived and is not consumed.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether everything that arrived is consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks the first `count` unread bytes as consumed.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Makes room for lines of up to `length` bytes, for as long as they are not consumed.
    pub fn expect_lines(&mut self, length: usize) {
        self.longest = length.max(CAPACITY / 2);
    }

    /// How long a line may be.
    pub fn longest_line(&self) -> usize {
        self.longest
    }

    /// Room for the next read: what is unread moves to the front first if it stands in the way.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < CAPACITY / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.longest > CAPACITY / 2 {
            self.fit();
        }
        &mut self.bytes[self.end..]
    }

    /// Grows while a long line fills the buffer, and gives the room back after it.
    #[cold]
    fn fit(&mut self) {
        if self.bytes.len() - self.end < CAPACITY / 4 {
            self.bytes.resize(self.bytes.len() * 2, 0);
        } else if self.end == 0 && self.bytes.len() > CAPACITY {
            self.bytes = vec![0; CAPACITY];
        }
    }

    /// Says that `count` bytes were read into [`ReadBuffer::space`].
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.bytes.len());
    }

    /// How many unread bytes the buffer can hold at most.
    pub const fn capacity() -> usize {
        CAPACITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unread_survives_the_move_to_the_front() {
        let mut buffer = ReadBuffer::default();
        let full = buffer.space().len();
        buffer.space().fill(b'x');
        buffer.filled(full);
        buffer.consume(full - 3);
        buffer.space()[..2].copy_from_slice(b"yz");
        buffer.filled(2);
        assert_eq!(buffer.unread(), b"xxxyz");
        assert!(buffer.space().len() >= CAPACITY / 2);
    }

    #[test]
    fn a_buffer_grows_for_a_long_line_and_gives_the_room_back() {
        let mut buffer = ReadBuffer::default();
        buffer.expect_lines(1 << 20);
        for _ in 0..8 {
            let room = buffer.space().len();
            buffer.filled(room);
        }
        assert!(buffer.unread().len() > 4 * CAPACITY, "{}", buffer.unread().len());
        buffer.consume(buffer.unread().len());
        assert_eq!(buffer.space().len(), CAPACITY);
    }

    #[test]
    fn a_consumed_buffer_starts_over() {
        let mut buffer = ReadBuffer::default();
        buffer.space()[..4].copy_from_slice(b"abcd");
        buffer.filled(4);
        buffer.consume(4);
        assert!(buffer.is_empty());
        assert_eq!(buffer.space().len(), CAPACITY);
    }
}
