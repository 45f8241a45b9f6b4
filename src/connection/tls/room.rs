//! Where sealed and opened bytes are put.

use rustls::Error;
use rustls::unbuffered::InsufficientSizeError;

use crate::resp::Space;

/// Where opened bytes are wanted.
pub struct Room<'a> {
    space: Space<'a>,
    filled: usize,
}

impl<'a> Room<'a> {
    /// All of a space.
    pub fn in_space(space: Space<'a>) -> Room<'a> {
        Room { space, filled: 0 }
    }

    /// Where nothing is wanted.
    pub fn none() -> Room<'static> {
        Room { space: Space::Used(&mut []), filled: 0 }
    }

    /// How much there was room for.
    pub fn whole(&self) -> usize {
        self.space.len()
    }

    /// Whether there is no more.
    pub fn is_full(&self) -> bool {
        self.filled == self.whole()
    }

    /// How many bytes were taken.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Takes as many of the bytes as there is room for.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let count = match &mut self.space {
            Space::Used(room) => {
                let room = &mut room[self.filled..];
                let count = room.len().min(bytes.len());
                room[..count].copy_from_slice(&bytes[..count]);
                count
            }
            Space::Fresh(room) => {
                let room = &mut room[self.filled..];
                let count = room.len().min(bytes.len());
                room[..count].write_copy_of_slice(&bytes[..count]);
                count
            }
        };
        self.filled += count;
        count
    }
}

/// Lets `write` write at the end of `buffer`, where it finds at least `room` bytes, or as many as it says that it needs.
pub fn grow(
    buffer: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<usize, Error> {
    let before = buffer.len();
    let mut needed = room;
    for _ in 0..2 {
        buffer.resize(before + needed, 0);
        match write(&mut buffer[before..]) {
            Ok(written) => {
                buffer.truncate(before + written);
                return Ok(written);
            }
            Err(Some(short)) => needed = short.required_size,
            Err(None) => break,
        }
    }
    buffer.truncate(before);
    Err(Error::General("a record could not be sealed".to_owned()))
}
