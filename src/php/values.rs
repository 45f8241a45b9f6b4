//! PHP arrays made by hand, for `stats()`, `topology()` and the details of events, and properties of objects.

use std::ffi::c_char;

use ext_php_rs::ffi::{
    _zend_new_array, HashTable, zend_class_entry, zend_hash_next_index_insert, zend_hash_str_update, zend_object,
    zend_read_property,
};

use super::zend::{self, Value};

/// An array under construction. It belongs to PHP's memory from the start.
pub struct ArrayBuilder(*mut HashTable);

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> ArrayBuilder {
        // SAFETY: Zend's allocator does not return on failure.
        ArrayBuilder(unsafe { _zend_new_array(8) })
    }

    /// Sets `key` to a value, which the array takes over.
    pub fn set(&mut self, key: &str, mut value: Value) -> &mut ArrayBuilder {
        // SAFETY: the array is ours alone, and the value is copied with its reference.
        unsafe { zend_hash_str_update(self.0, key.as_ptr().cast::<c_char>(), key.len(), value.as_zval()) };
        self
    }

    /// Sets a key of any bytes, which is no number, to a value, which the array takes over.
    pub fn set_bytes(&mut self, key: &[u8], mut value: Value) {
        // SAFETY: as in `set`.
        unsafe { zend_hash_str_update(self.0, key.as_ptr().cast::<c_char>(), key.len(), value.as_zval()) };
    }

    /// Adds a value at the end.
    pub fn push(&mut self, mut value: Value) -> &mut ArrayBuilder {
        // SAFETY: as in `set`.
        unsafe { zend_hash_next_index_insert(self.0, value.as_zval()) };
        self
    }

    /// The array as a value.
    pub fn build(&mut self) -> Value {
        zend::owned_array(self.0)
    }
}

/// Copies of values, each with a reference of its own, in PHP's memory: so a jump out of PHP code costs nothing.
pub struct Copies {
    memory: Value,
    count: usize,
}

impl Copies {
    /// Copies of these values.
    ///
    /// # Safety
    /// They are live, and as many each time they are walked over.
    pub unsafe fn of<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Copies {
        let count = values.clone().count();
        let string = zend::allocate_string(count * size_of::<Value>());
        let mut copies = Copies { memory: zend::owned_string(string), count };
        for (slot, value) in (0..).zip(values) {
            // SAFETY: the string has room for so many, and its bytes begin where a value may stand.
            unsafe { copies.slots().add(slot).write(zend::hold(value)) };
        }
        copies
    }

    fn slots(&mut self) -> *mut Value {
        // SAFETY: the string is ours alone.
        unsafe { zend::string_start(self.memory.value.str_) }.cast::<Value>()
    }

    /// The copies.
    pub fn get(&mut self) -> &mut [Value] {
        // SAFETY: so many were written.
        unsafe { std::slice::from_raw_parts_mut(self.slots(), self.count) }
    }

    /// Gives all of them up.
    ///
    /// # Safety
    /// No PHP object is among them whose end PHP code could see, or nothing of ours is borrowed.
    pub unsafe fn release(mut self) {
        // SAFETY: by the caller; the references are ours.
        unsafe {
            self.get().iter().for_each(|value| zend::release(*value));
            zend::release(self.memory);
        }
    }
}

/// A string in upper case.
pub fn upper(bytes: &[u8]) -> Value {
    let string = zend::allocate_string(bytes.len());
    // SAFETY: the allocation is new, and has room for exactly these bytes.
    unsafe {
        let value = zend::filled_string(string, bytes);
        std::slice::from_raw_parts_mut(zend::string_start(string), bytes.len()).make_ascii_uppercase();
        value
    }
}

/// A string, or null.
pub fn optional(text: Option<&str>) -> Value {
    text.map_or_else(zend::null, |text| zend::string(text.as_bytes()))
}

/// A count as an integer.
pub fn count(number: u64) -> Value {
    zend::long(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A list of strings.
pub fn list<T: ToString>(items: &[T]) -> Value {
    let mut array = ArrayBuilder::new();
    for item in items {
        array.push(zend::string(item.to_string().as_bytes()));
    }
    array.build()
}

/// A property as the methods of its class read it, with a reference of its own; null if there is none. PHP code can run:
/// a subclass may have removed the property, and answer by `__get`.
///
/// # Safety
/// The object is live, stays so, and is of the class `scope`.
pub unsafe fn property(scope: *mut zend_class_entry, object: *mut zend_object, name: &[u8]) -> Value {
    let mut made = zend::null();
    // SAFETY: by the caller. What was made for us stands in `made` and is ours; anything else stays the object's.
    unsafe {
        let found = zend_read_property(scope, object, name.as_ptr().cast(), name.len(), true, made.as_zval());
        let value = found.cast::<Value>().as_ref().map_or_else(zend::null, |value| zend::hold(zend::deref(value)));
        zend::release(made);
        value
    }
}
