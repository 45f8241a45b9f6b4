//! Walking over PHP arrays.

use ext_php_rs::ffi::HashTable;

pub use crate::command::Key;

use super::zend::{IS_STRING, Value, deref, null, string_bytes, type_of};

/// The elements of an array with their keys: an integer, or the bytes of a string.
#[derive(Clone)]
pub struct Elements {
    array: *mut HashTable,
    position: u32,
}

impl Elements {
    /// The elements of an array value.
    ///
    /// # Safety
    /// The value's type is `IS_ARRAY`; the array is neither changed nor freed while its elements are used.
    pub unsafe fn of(value: &Value) -> Elements {
        // SAFETY: by the caller.
        Elements { array: unsafe { value.value.arr }, position: 0 }
    }
}

impl Iterator for Elements {
    type Item = (Key<'static>, &'static Value);

    fn next(&mut self) -> Option<Self::Item> {
        let mut key = null();
        // SAFETY: `of` promised that the array stays as it is. The lifetime given out is bounded by the same promise.
        // The key is copied with a reference of its own if it is a counted string, which is dropped at once: the
        // array keeps another.
        unsafe {
            let value = ext_php_rs::ffi::zend_hash_get_current_data_ex(self.array, &raw mut self.position);
            let value = value.cast::<Value>().as_ref()?;
            ext_php_rs::ffi::zend_hash_get_current_key_zval_ex(self.array, key.as_zval(), &raw mut self.position);
            let found = if type_of(&key) == IS_STRING {
                let name = string_bytes(key.value.str_);
                ext_php_rs::ffi::zval_ptr_dtor(key.as_zval());
                Key::Name(name)
            } else {
                Key::Index(key.value.lval)
            };
            ext_php_rs::ffi::zend_hash_move_forward_ex(self.array, &raw mut self.position);
            Some((found, deref(value)))
        }
    }
}
