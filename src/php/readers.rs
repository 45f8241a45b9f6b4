//! The command objects of a queue, each of which looks at the reply to its command.

use ext_php_rs::ffi::{
    _zend_new_array, zend_hash_index_find, zend_hash_index_update, zend_hash_next_index_insert, zend_object,
};

use super::command_object;
use super::elements::{Elements, Key};
use super::queue::{self, Queue};
use super::zend::{self, Value};

impl Queue {
    /// Remembers that the reply to the last command is this object's to look at.
    ///
    /// # Safety
    /// The object is live; it gets a reference.
    pub unsafe fn hand_last_to(&mut self, command: *mut zend_object) {
        let place = self.waiting().saturating_sub(1) as u64;
        let readers = self.readers();
        // SAFETY: by the caller; the array is ours alone.
        unsafe {
            if zend::type_of(readers) != zend::IS_ARRAY {
                *readers = zend::owned_array(_zend_new_array(8));
            }
            let mut value = zend::reference_to(command);
            zend_hash_index_update(readers.value.arr, place, value.as_zval());
        }
    }

    /// Whether replies are handed to command objects.
    #[inline]
    pub fn has_readers(&mut self) -> bool {
        zend::type_of(self.readers()) == zend::IS_ARRAY
    }

    /// Takes the objects that replies are handed to, by place: an array, or null.
    pub fn take_readers(&mut self) -> Value {
        std::mem::replace(self.readers(), zend::null())
    }
}

/// Hands replies to the command objects that look at them, and puts in their places what those make of them. `list` is a
/// list that nobody else has, and the replies of the batch begin at `from`. False if something was thrown.
///
/// # Safety
/// The object is one of ours and stays alive; nothing of it is borrowed. PHP code runs.
pub unsafe fn read_replies(object: *mut zend_object, list: &Value, from: usize) -> bool {
    // SAFETY: by the caller. The readers are ours once they are taken; a reply is held while one of them looks at it.
    unsafe {
        let readers = queue::of(object).take_readers();
        if zend::type_of(&readers) != zend::IS_ARRAY {
            return true;
        }
        // One of them may close the queue.
        let client = queue::of(object).client_object();
        let mut fine = client.is_some();
        for (place, reader) in Elements::of(&readers) {
            let (Key::Index(place), Some(client)) = (place, client) else { break };
            let place = from as u64 + place.cast_unsigned();
            let Some(reply) = zend_hash_index_find(list.value.arr, place).cast::<Value>().as_ref() else { continue };
            let Some(mut read) = command_object::read(client, reader.value.obj, zend::hold(reply)) else {
                fine = false;
                break;
            };
            zend_hash_index_update(list.value.arr, place, read.as_zval());
        }
        zend::release(readers);
        fine
    }
}

/// Adds the elements of a list to those of another, which nobody else has, and gives the former up.
///
/// # Safety
/// Both are arrays.
pub unsafe fn append(list: &Value, more: Value) {
    // SAFETY: by the caller; each element gets a reference of its own.
    unsafe {
        for (_, value) in Elements::of(&more) {
            let mut value = zend::hold(value);
            zend_hash_next_index_insert(list.value.arr, value.as_zval());
        }
        zend::release(more);
    }
}
