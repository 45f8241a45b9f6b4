//! Replies that are one text with a table in it, as arrays.

use ext_php_rs::ffi::{_zend_new_array, HashTable, zend_hash_next_index_insert};

use crate::command::{self, Line, Shape};

use super::super::zend::{self, Value};
use super::{PhpSink, insert};

impl PhpSink<'_> {
    /// Whether a string may be such a text. The replies within that of EXEC have shapes of their own.
    #[inline]
    pub(super) fn may_be_table(&self) -> bool {
        self.shape.is_text() || self.course.executes.is_some()
    }

    /// The table that a whole reply is, if its shape says so.
    #[cold]
    pub(super) fn table_of(&self, text: &[u8]) -> Option<Value> {
        match self.shape_here() {
            (Shape::Sections, 0) => Some(sections(text)),
            (Shape::Clients, 0) => Some(clients(text)),
            _ => None,
        }
    }
}

fn new_array() -> *mut HashTable {
    // SAFETY: Zend's allocator does not return on failure.
    unsafe { _zend_new_array(8) }
}

/// Sets a name, which may be a number, to a value, and takes the value over.
fn set(array: *mut HashTable, name: &[u8], mut value: Value) {
    // SAFETY: the array is one of those that are made here and stand in what is returned.
    unsafe { insert(array, &mut zend::string(name), &mut value) };
}

fn table(text: &[u8], mark: u8) -> Value {
    let array = new_array();
    for (name, value) in command::fields(text, mark) {
        set(array, name, zend::string(value));
    }
    zend::owned_array(array)
}

fn sections(text: &[u8]) -> Value {
    let whole = new_array();
    // Lines in front of any heading belong to none.
    let mut section = whole;
    for line in command::sections(text) {
        match line {
            Line::Heading(name) => {
                section = new_array();
                set(whole, name, zend::owned_array(section));
            }
            Line::Row(name, value) => set(section, name, zend::string(value)),
            Line::Table(name, fields) => set(section, name, table(fields, b',')),
        }
    }
    zend::owned_array(whole)
}

fn clients(text: &[u8]) -> Value {
    let list = new_array();
    for line in command::lines(text) {
        // SAFETY: the list is ours, and takes the table over.
        unsafe { zend_hash_next_index_insert(list, table(line, b' ').as_zval()) };
    }
    zend::owned_array(list)
}
