//! What a reply may cost, and what is wrong with bytes that are not RESP.

use thiserror::Error;

/// Bounds on one reply. They are checked before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of payload plus [`ELEMENT_COST`] for each element.
    pub max_reply_size: u64,
    /// How deep arrays, sets and maps may be nested.
    pub max_depth: usize,
}

/// What an element counts for in [`Limits::max_reply_size`]: the size of a PHP value.
pub const ELEMENT_COST: u64 = 16;

impl Default for Limits {
    fn default() -> Self {
        Limits { max_reply_size: 1 << 30, max_depth: 128 }
    }
}

/// Bytes from the server that are not RESP, or more of them than the limits allow. The connection is useless after it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reply began with a byte that no RESP type has.
    #[error("a reply began with byte {0:#04x}, which is no RESP type")]
    UnknownType(u8),
    /// A line had no line end within the read buffer.
    #[error("a line of the reply was longer than {0} bytes")]
    LineTooLong(usize),
    /// A number could not be read.
    #[error("{0:?} stands where RESP wants a number")]
    BadNumber(String),
    /// A length was negative where none may be, or a boolean was neither `t` nor `f`.
    #[error("{0:?} is not valid for its RESP type")]
    BadValue(String),
    /// A bulk string was not followed by a line end.
    #[error("a bulk string did not end where its length said")]
    BadBulkEnd,
    /// The reply is larger than `max_reply_size`.
    #[error("the reply is larger than max_reply_size ({limit} bytes)")]
    TooLarge {
        /// The limit in force.
        limit: u64,
    },
    /// The reply is nested deeper than `max_depth`.
    #[error("the reply is nested deeper than max_depth ({limit})")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// A reply of the right form but the wrong kind, such as a string where HELLO owes a map.
    #[error("{0}")]
    Unexpected(String),
}
