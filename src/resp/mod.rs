//! The Redis serialisation protocol, RESP2 and RESP3: an encoder, and a decoder that writes into a sink.
//!
//! Nothing here waits or touches a socket. The decoder takes what has arrived, hands finished values to a [`Sink`],
//! and says whether the reply is complete or what it needs next, so that one connection or many can be driven by
//! whoever does the waiting. Uses nothing of the house.

mod buffer;
mod decode;
mod encode;
#[cfg(test)]
pub mod hostile;
#[cfg(test)]
mod hostile_tests;
mod limits;
mod lines;
mod sink;
mod value;

pub use buffer::ReadBuffer;
pub use decode::{Decoder, Progress, Scalar, weight};
pub use encode::{Frame, first_argument, frame_of, second_word, words_of};
pub use limits::{Limits, ProtocolError};
pub use sink::{Aggregate, Sink, Space, Unfit};
pub use value::{ValueSink, decode_all, hand_on};
