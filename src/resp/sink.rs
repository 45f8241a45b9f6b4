//! Where decoded values go.

use std::mem::MaybeUninit;

/// The kinds of values that hold others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// `*`: a list.
    Array,
    /// `~`: a list without order or duplicates.
    Set,
    /// `%`: keys and values alternate.
    Map,
}

/// Why a sink takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no memory left.
    NoMemory,
    /// A key of a map is no scalar.
    Key,
}

/// Room for bytes to be received. Memory fresh from PHP's allocator need not be cleared before it is filled.
#[derive(Debug)]
pub enum Space<'a> {
    /// Room that holds old bytes.
    Used(&'a mut [u8]),
    /// Room that holds nothing yet.
    Fresh(&'a mut [MaybeUninit<u8>]),
}

impl Space<'_> {
    /// How many bytes fit.
    pub fn len(&self) -> usize {
        match self {
            Space::Used(room) => room.len(),
            Space::Fresh(room) => room.len(),
        }
    }

    /// Whether nothing fits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes the values of one reply in the order of their bytes.
///
/// An implementation may leave by a non-local jump (PHP's memory limit does): the decoder keeps nothing on the stack
/// that would be lost by it. A sink is told of nothing that belongs to pushes and attributes.
pub trait Sink {
    /// Forgets what came of a reply that will not be completed: the command is sent again.
    fn reset(&mut self);
    /// Whether the sink takes nothing more: the reply cannot be had, and nothing more of it should be read.
    fn refusal(&self) -> Option<Unfit> {
        None
    }

    /// Nil, in any of its three forms.
    fn nil(&mut self);
    /// An integer.
    fn integer(&mut self, value: i64);
    /// A RESP3 double; `inf`, `-inf` and `nan` included.
    fn double(&mut self, value: f64);
    /// A RESP3 boolean.
    fn boolean(&mut self, value: bool);
    /// A simple string such as `OK`.
    fn status(&mut self, text: &[u8]);
    /// A bulk string, whole. RESP3's verbatim strings come without their format prefix.
    fn bulk(&mut self, bytes: &[u8]);
    /// A RESP3 big number, as its digits.
    fn big_number(&mut self, digits: &[u8]);
    /// An error inside an aggregate. An error that is the whole reply does not come here: see `Progress::Error`.
    fn error(&mut self, text: &[u8]);
    /// A list, set or map of `length` elements (for a map: pairs) begins. `length` is what the server claims: it is
    /// within the limits, but memory should be taken as elements come.
    fn begin(&mut self, kind: Aggregate, length: usize);
    /// The innermost aggregate is complete.
    fn end(&mut self);
    /// A bulk string of `length` bytes begins; its bytes follow by [`Sink::append`] and through [`Sink::space`].
    fn begin_bulk(&mut self, length: usize);
    /// The next bytes of the begun bulk string.
    fn append(&mut self, bytes: &[u8]);
    /// Where the bytes of the begun bulk string go that have not come yet: never more room than bytes are owed.
    fn space(&mut self) -> Space<'_>;
    /// `count` bytes were written at the start of [`Sink::space`].
    fn filled(&mut self, count: usize);
    /// The begun bulk string is complete.
    fn end_bulk(&mut self);
}
