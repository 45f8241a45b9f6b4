//! The encoder: commands as arrays of bulk strings, written once into a buffer that is used again.
//!
//! A command's bytes stay in the frame until its outcome is known, so that a retry on another connection costs no
//! second encoding, and so that its rank can be judged from what was sent.

/// The bytes of one command, and where its words are in them.
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
    words: usize,
    /// Where the `*N` line ends: it is written last, when the number of words is known.
    body: usize,
    /// How many of the bytes, at the end, are not the command's own.
    riding: usize,
}

/// Room for `*` + up to 19 digits + line end in front of the body.
const HEADER: usize = 22;

/// A frame that has grown beyond this is given back to the allocator after use.
const KEEP: usize = 1024 * 1024;

impl Frame {
    /// Empties the frame and begins a command. The words follow by [`Frame::word`].
    #[inline]
    pub fn begin(&mut self) {
        if self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; HEADER]);
        self.words = 0;
        self.body = HEADER;
        self.riding = 0;
    }

    /// Adds a word: the command's name or an argument. Any bytes are allowed.
    #[inline]
    pub fn word(&mut self, word: &[u8]) {
        // Nearly all words are short: one write for all that stands in front of them.
        let length = word.len();
        self.bytes.reserve(length + 7);
        match u8::try_from(length) {
            Ok(ones @ 0..10) => self.bytes.extend_from_slice(&[b'$', b'0' + ones, b'\r', b'\n']),
            Ok(both @ 10..100) => {
                self.bytes.extend_from_slice(&[b'$', b'0' + both / 10, b'0' + both % 10, b'\r', b'\n']);
            }
            _ => self.length_of_long(length),
        }
        self.bytes.extend_from_slice(word);
        self.bytes.extend_from_slice(b"\r\n");
        self.words += 1;
    }

    fn length_of_long(&mut self, length: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(length).as_bytes();
        self.bytes.reserve(digits.len() + length + 5);
        self.bytes.push(b'$');
        self.bytes.extend_from_slice(digits);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Adds a word that is made of two.
    pub fn word_of(&mut self, head: &[u8], tail: &[u8]) {
        let mut digits = itoa::Buffer::new();
        let length = digits.format(head.len() + tail.len()).as_bytes();
        self.bytes.reserve(length.len() + head.len() + tail.len() + 5);
        self.bytes.push(b'$');
        self.bytes.extend_from_slice(length);
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        self.bytes.extend_from_slice(b"\r\n");
        self.words += 1;
    }

    /// Puts `prefix` in front of the words at `positions`, which are in order. The command is complete before and after.
    pub fn prefix(&mut self, positions: &[usize], prefix: &[u8]) {
        if positions.is_empty() {
            return;
        }
        let mut prefixed = Frame::default();
        prefixed.bytes.reserve(self.bytes.len() + positions.len() * (prefix.len() + 2));
        prefixed.begin();
        let mut positions = positions.iter().copied().peekable();
        for (place, word) in self.words().into_iter().enumerate() {
            match positions.next_if_eq(&place) {
                Some(_) => prefixed.word_of(prefix, word),
                None => prefixed.word(word),
            }
        }
        prefixed.end();
        *self = prefixed;
    }

    /// Adds an integer as a word.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.word(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Completes the command. The frame can be sent any number of times from now on.
    #[inline]
    pub fn end(&mut self) {
        let mut digits = itoa::Buffer::new();
        let count = digits.format(self.words).as_bytes();
        let length = count.len() + 3;
        self.body = HEADER - length;
        let header = &mut self.bytes[self.body..HEADER];
        header[0] = b'*';
        header[1..=count.len()].copy_from_slice(count);
        header[length - 2..].copy_from_slice(b"\r\n");
    }

    /// Has a question of the house ride behind the completed command, in the same bytes.
    pub fn rider(&mut self, words: &[&[u8]]) {
        let before = self.bytes.len();
        let mut digits = itoa::Buffer::new();
        let mut line = |bytes: &mut Vec<u8>, mark: u8, number: usize| {
            bytes.push(mark);
            bytes.extend_from_slice(digits.format(number).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        };
        line(&mut self.bytes, b'*', words.len());
        for word in words {
            line(&mut self.bytes, b'$', word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.riding += self.bytes.len() - before;
    }

    /// Takes away what rides behind the command.
    pub fn dismount(&mut self) {
        self.bytes.truncate(self.bytes.len() - self.riding);
        self.riding = 0;
    }

    /// How many bytes ride behind the command.
    #[inline]
    pub fn riding(&self) -> usize {
        self.riding
    }

    /// The encoded command, from `*` on, and what rides behind it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.body..]
    }

    /// How many words the command has, its name included.
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether nothing was added since [`Frame::begin`].
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// The words again, the command's name first. Costs a walk over the frame: for the cold paths.
    pub fn words(&self) -> Vec<&[u8]> {
        let mut words = Vec::with_capacity(self.words);
        words.extend(self.each_word());
        words
    }

    /// The words again, one after the other.
    pub fn each_word(&self) -> impl Iterator<Item = &[u8]> {
        words_behind(&self.bytes[HEADER..self.bytes.len() - self.riding])
    }

    /// Makes this the frame of a command that was encoded before.
    pub fn load(&mut self, command: &[u8]) {
        self.begin();
        words_of(command).into_iter().for_each(|word| self.word(word));
        self.end();
    }
}

/// The words of one encoded command, its name first.
pub fn words_of(command: &[u8]) -> Vec<&[u8]> {
    words_behind(&command[body_of(command)..]).collect()
}

/// The word behind the name of an encoded command; `None` if there is none.
#[inline]
pub fn first_argument(command: &[u8]) -> Option<&[u8]> {
    let (_, body) = number_in(command)?;
    let (length, begin) = number_in(command.get(body..)?)?;
    let rest = command.get(body + begin + length + 2..)?;
    let (length, begin) = number_in(rest)?;
    rest.get(begin..begin + length)
}

/// The second word of an encoded command in capitals: which subcommand it is; empty if it has none.
pub fn second_word(command: &[u8]) -> Vec<u8> {
    first_argument(command).unwrap_or_default().to_ascii_uppercase()
}

/// Where an encoded command's words begin.
#[inline]
fn body_of(command: &[u8]) -> usize {
    number_in(command).map_or(command.len(), |(_, end)| end)
}

/// The words in the body of a command.
#[inline]
fn words_behind(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, begin) = number_in(rest)?;
        let (word, behind) = rest[begin..].split_at(length);
        rest = &behind[2..];
        Some(word)
    })
}

/// The number in the line that the bytes begin with, behind its sign, and where that line ends. Frames hold only what
/// [`Frame::word`] wrote. Most numbers have a digit or two: a search for the line's end would take longer than reading them.
#[inline]
fn number_in(line: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (place, digit) in line.iter().enumerate().skip(1) {
        if *digit == b'\r' {
            return Some((number, place + 2));
        }
        number = number * 10 + usize::from(digit - b'0');
    }
    None
}

/// A complete frame of `words`: for the commands that the house itself sends.
pub fn frame_of<W: AsRef<[u8]>>(words: &[W]) -> Frame {
    let mut frame = Frame::default();
    frame.begin();
    for word in words {
        frame.word(word.as_ref());
    }
    frame.end();
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let frame = frame_of(&["SET", "k", ""]);
        assert_eq!(frame.bytes(), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn a_word_of_any_length_says_how_long_it_is() {
        for length in [0, 1, 9, 10, 11, 99, 100, 255, 256, 1_000, 70_000] {
            let word = "x".repeat(length);
            let expected = format!("*2\r\n$3\r\nGET\r\n${length}\r\n{word}\r\n");
            assert_eq!(frame_of(&["GET", &word]).bytes(), expected.as_bytes(), "{length}");
        }
    }

    #[test]
    fn words_come_back_as_they_were_written_even_if_they_look_like_protocol() {
        let frame = frame_of(&[&b"APPEND"[..], b"$3\r\nfoo\r\n", b"\0\xff", b""]);
        assert_eq!(frame.words(), [&b"APPEND"[..], b"$3\r\nfoo\r\n", b"\0\xff", b""]);
        assert_eq!(frame.len(), 4);
    }

    #[test]
    fn a_command_can_be_read_back_and_loaded_into_another_frame() {
        let frame = frame_of(&[&b"SET"[..], b"$1\r\n*2\r\n", b""]);
        assert_eq!(words_of(frame.bytes()), frame.words());
        assert_eq!(first_argument(frame.bytes()), Some(&b"$1\r\n*2\r\n"[..]));
        assert_eq!(first_argument(frame_of(&["PING"]).bytes()), None);
        let mut other = frame_of(&["PING"]);
        other.load(frame.bytes());
        assert_eq!((other.bytes(), other.len()), (frame.bytes(), 3));
    }

    #[test]
    fn the_header_grows_with_the_number_of_words() {
        let words = vec!["x"; 12_345];
        assert!(frame_of(&words).bytes().starts_with(b"*12345\r\n$1\r\nx\r\n"));
    }

    #[test]
    fn a_prefix_goes_in_front_of_some_words_and_their_lengths_grow() {
        let mut frame = frame_of(&["MSET", "a", "1", "elevenbytes", "2"]);
        frame.prefix(&[1, 3], b"app:");
        assert_eq!(frame.bytes(), frame_of(&["MSET", "app:a", "1", "app:elevenbytes", "2"]).bytes());
        assert_eq!(frame.words(), [&b"MSET"[..], b"app:a", b"1", b"app:elevenbytes", b"2"]);
        frame.prefix(&[], b"never");
        assert_eq!(frame.len(), 5);
        let mut parts = Frame::default();
        parts.begin();
        parts.word(b"GET");
        parts.word_of(b"app:", b"k");
        parts.end();
        assert_eq!(parts.bytes(), frame_of(&["GET", "app:k"]).bytes());
    }

    #[test]
    fn a_rider_goes_behind_the_command_and_is_none_of_its_words() {
        let mut frame = frame_of(&["SET", "k", "v"]);
        let alone = frame.bytes().to_vec();
        frame.rider(&[b"ROLE"]);
        frame.rider(&[b"WAIT", b"1", b"100"]);
        let whole = [&alone[..], b"*1\r\n$4\r\nROLE\r\n", b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n100\r\n"].concat();
        assert_eq!(frame.bytes(), whole);
        assert_eq!(frame.riding(), whole.len() - alone.len());
        assert_eq!((frame.words(), frame.len()), (vec![&b"SET"[..], b"k", b"v"], 3));
        frame.dismount();
        assert_eq!((frame.bytes(), frame.riding()), (&alone[..], 0));
    }

    #[test]
    fn a_frame_is_used_again_and_a_huge_one_is_given_back() {
        let mut frame = Frame::default();
        frame.begin();
        frame.word(&vec![b'x'; KEEP * 2]);
        frame.end();
        frame.begin();
        frame.word(b"PING");
        frame.integer(-12);
        frame.end();
        assert_eq!(frame.bytes(), b"*2\r\n$4\r\nPING\r\n$3\r\n-12\r\n");
        assert!(frame.bytes.capacity() < KEEP);
    }
}
