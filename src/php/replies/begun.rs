//! A long string that is not complete: its room grows with what has come of it.

use std::mem::MaybeUninit;

use ext_php_rs::ffi::{ext_php_rs_zend_string_release, zend_string};

use crate::resp::Space;

use super::super::memory;
use super::super::zend::{self, Value};

/// What a string may take before anything of it has come: until then its length is only claimed, and a claim must not
/// cost the request its memory. Longer ones get more room as they come, this many times what came.
const AT_ONCE: usize = 8 << 20;
const GROWTH: usize = 4;

/// The string, which nobody else knows yet. It is not dropped: PHP may leave by a jump, and frees it with the request then.
pub struct Begun {
    /// It has room for `room` bytes, of which `received` are filled.
    string: *mut zend_string,
    length: usize,
    room: usize,
    received: usize,
}

impl Begun {
    /// A string that will have `length` bytes; `None` if there is no memory for its beginning.
    pub fn new(length: usize) -> Option<Begun> {
        let room = length.min(AT_ONCE);
        memory::allocate_string(room).map(|string| Begun { string, length, room, received: 0 })
    }

    /// Takes the next bytes. False if there is no memory for what follows.
    pub fn append(&mut self, mut bytes: &[u8]) -> bool {
        while self.received < self.room && !bytes.is_empty() {
            let count = bytes.len().min(self.room - self.received);
            // SAFETY: the string has `room` bytes, of which `received` are filled; `count` is within the rest.
            unsafe {
                let end = zend::string_start(self.string).add(self.received);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, count);
            }
            bytes = &bytes[count..];
            if !self.filled(count) {
                return false;
            }
        }
        true
    }

    /// Where the next bytes go.
    pub fn space(&mut self) -> Space<'_> {
        // SAFETY: as in `append`; nobody else knows the string, and its bytes need not be initialised to be written.
        Space::Fresh(unsafe {
            let end = zend::string_start(self.string).add(self.received).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(end, self.room - self.received)
        })
    }

    /// Says that `count` bytes were written there. False if there is no memory for what follows.
    #[inline]
    pub fn filled(&mut self, count: usize) -> bool {
        self.received += count;
        debug_assert!(self.received <= self.room);
        self.received < self.room || self.room == self.length || self.grow()
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let room = self.length.min(self.room.saturating_mul(GROWTH));
        // Should PHP leave this call by a jump, the string stands where it is found.
        let Some(string) = memory::allocate_string(room) else { return false };
        // SAFETY: the new string has room for all of the former one, which is full, ours, and given up for it.
        unsafe {
            let (from, to) = (zend::string_start(self.string), zend::string_start(string));
            std::ptr::copy_nonoverlapping(from, to, self.received);
            ext_php_rs_zend_string_release(self.string);
        }
        (self.string, self.room) = (string, room);
        true
    }

    /// The string, once it is complete.
    pub fn complete(self) -> Value {
        debug_assert!(self.received == self.length);
        zend::owned_string(self.string)
    }

    /// Gives it up.
    pub fn give_up(self) {
        // SAFETY: it is ours, and stands in no array yet.
        unsafe { ext_php_rs_zend_string_release(self.string) };
    }
}
