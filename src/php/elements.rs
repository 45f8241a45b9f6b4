//! Walking over PHP arrays, and adding to lists.

use ext_php_rs::ffi::{HashTable, zend_hash_next_index_insert};

pub use crate::command::Key;

use super::zend::{IS_STRING, IS_UNDEF, Value, deref, null, string_bytes, type_of};

/// The flag of an array whose elements have no memory yet.
pub const UNINITIALISED: u32 = 1 << 3;
/// The flag of a list: its elements stand side by side, and their keys are their places.
pub const PACKED: u32 = 1 << 2;

/// Where the elements of a list stand; `None` if the array is none.
///
/// # Safety
/// `array` is a live array.
#[inline]
unsafe fn list(array: *mut HashTable) -> Option<*mut Value> {
    // SAFETY: by the caller; the flags say which of the union's fields it is.
    unsafe {
        let is_list = (*array).u.flags & (PACKED | UNINITIALISED) == PACKED;
        is_list.then(|| (*array).__bindgen_anon_1.arPacked.cast())
    }
}

/// Adds a value at the end of an array and takes over its reference. A list that has room is written to as it stands;
/// Zend sees to all others.
///
/// # Safety
/// `array` is a live array that is ours alone.
#[inline]
pub unsafe fn append(array: *mut HashTable, mut value: Value) {
    // SAFETY: by the caller; the place lies within the memory of the list.
    unsafe {
        let used = (*array).nNumUsed;
        match list(array) {
            Some(values) if used < (*array).nTableSize && (*array).nNextFreeElement == i64::from(used) => {
                values.add(used as usize).write(value);
                (*array).nNumUsed += 1;
                (*array).nNumOfElements += 1;
                (*array).nNextFreeElement += 1;
            }
            _ => {
                zend_hash_next_index_insert(array, value.as_zval());
            }
        }
    }
}

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
        // SAFETY: `of` promised that the array stays as it is. The lifetime given out is bounded by the same promise.
        if let Some(values) = unsafe { list(self.array) } {
            loop {
                // SAFETY: as above; all places before `nNumUsed` hold a value, if only one that was taken away.
                let (place, value) = unsafe {
                    let place = self.position;
                    if place == (*self.array).nNumUsed {
                        return None;
                    }
                    (place, &*values.add(place as usize))
                };
                self.position += 1;
                if type_of(value) != IS_UNDEF {
                    return Some((Key::Index(i64::from(place)), deref(value)));
                }
            }
        }
        let mut key = null();
        // SAFETY: as above. The key is copied with a reference of its own if it is a counted string, which is dropped
        // at once: the array keeps another.
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
