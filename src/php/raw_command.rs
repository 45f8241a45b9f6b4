//! `ResilientRedis\Command\RawCommand`: a command by its name and its arguments. Those that `createCommand()` makes are
//! commands of the table, with its words and its replies.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{zend_class_entry, zend_execute_data, zend_object, zval};

use crate::command::{self, Command};

use super::class::{Method, optional, required};
use super::command_classes::{arguments_of, array_argument, register_class, set_property, shared};
use super::commands::{self, guarded};
use super::elements::Elements;
use super::exceptions;
use super::process::hands;
use super::replies::reshaped;
use super::signature::{ARRAY, NULL, STRING};
use super::values::{ArrayBuilder, Copies, property, upper};
use super::zend::{self, Value};

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let mut methods = vec![
        Method::new(
            "__construct",
            construct,
            const { &[optional(c"commandID").of(STRING | NULL), optional(c"arguments").of(ARRAY).or(c"[]")] },
        ),
        Method::new("getId", get_id, &[]).returning(0),
        Method::new("setArguments", set_arguments, const { &[required(c"arguments").of(ARRAY)] }).returning(0),
        Method::new("parseResponse", parse_response, const { &[required(c"data")] }).returning(0),
    ];
    methods.extend(shared());
    register_class("ResilientRedis\\Command\\RawCommand", &CLASS, &methods, &["id", "arguments", "shaped"], 0);
}

/// The class.
pub fn class() -> *mut zend_class_entry {
    CLASS.load(Ordering::Relaxed)
}

/// A command of ours: of the table, with its arguments as the table wants them, or else as it stands. The name is taken
/// over.
///
/// # Safety
/// The list is an array that the caller keeps alive. PHP code may run. `None` if something was thrown.
pub unsafe fn make(name: Value, row: Option<&'static Command>, list: &Value) -> Option<Value> {
    // SAFETY: by the caller; the new object is ours.
    unsafe {
        let words = match row {
            Some(row) => words_by(row, list),
            None => Some(zend::hold(list)),
        };
        let Some(words) = words else {
            zend::release(name);
            return None;
        };
        let mut made = zend::null();
        zend::object_init_ex(made.as_zval(), class());
        set_property(class(), made.value.obj, "id", name);
        set_property(class(), made.value.obj, "arguments", words);
        set_property(class(), made.value.obj, "shaped", zend::boolean(row.is_some()));
        Some(made)
    }
}

/// The words that the table makes of arguments, without the name. `None` if something was thrown.
unsafe fn words_by(row: &'static Command, list: &Value) -> Option<Value> {
    // SAFETY: by the callers. The slots are copies with references of their own, which may be replaced.
    unsafe {
        let mut slots = Copies::of(Elements::of(list).map(|(_, value)| value));
        let written = commands::write(row, slots.get(), || &[]).is_some();
        slots.release();
        if !written {
            return None;
        }
        let mut words = ArrayBuilder::new();
        for word in hands().desk.frame.each_word().skip(1) {
            words.push(zend::string(word));
        }
        Some(words.build())
    }
}

/// Whether the reply to this object becomes what the table says.
///
/// # Safety
/// The object is live.
pub unsafe fn is_shaped(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. What a subclass has put there is ours to release.
    unsafe {
        if !zend::is_a((*object).ce, class()) {
            return false;
        }
        let shaped = property(class(), object, b"shaped");
        let is_true = zend::type_of(&shaped) == zend::IS_TRUE;
        zend::release(shaped);
        is_true
    }
}

/// The row of a command whose reply becomes what the table says.
unsafe fn row_of(object: *mut zend_object) -> Option<&'static Command> {
    // SAFETY: by the callers: a live object of the class.
    unsafe {
        if !is_shaped(object) {
            return None;
        }
        let id = property(class(), object, b"id");
        let row = if zend::type_of(&id) == zend::IS_STRING { command::find(zend::bytes_of(&id)) } else { None };
        zend::release(id);
        row
    }
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method of the class with its frame, which keeps the object alive; so below.
    guarded(|| unsafe {
        let object = zend::this(call);
        let arguments = zend::arguments(call);
        if let Some(id) = arguments.first().map(zend::deref).filter(|id| zend::type_of(id) != zend::IS_NULL) {
            if zend::type_of(id) != zend::IS_STRING {
                exceptions::throw_misuse("", "a command's name is a string");
                return;
            }
            set_property(class(), object, "id", upper(zend::bytes_of(id)));
        }
        if arguments.len() > 1
            && let Some(list) = array_argument(call, 1)
        {
            set_property(class(), object, "arguments", list);
        }
    });
}

extern "C" fn get_id(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe { return_value.cast::<Value>().write(property(class(), zend::this(call), b"id")) });
}

extern "C" fn set_arguments(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(list) = array_argument(call, 0) else { return };
        let words = match row_of(object) {
            Some(row) => {
                let words = words_by(row, &list);
                zend::release(list);
                words
            }
            None => Some(list),
        };
        if let Some(words) = words {
            set_property(class(), object, "arguments", words);
        }
    });
}

/// A reply as the server gave it, as the table wants it.
extern "C" fn parse_response(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(data) = zend::arguments(call).first().map(zend::deref) else { return };
        let Some(row) = row_of(object) else {
            return_value.cast::<Value>().write(zend::hold(data));
            return;
        };
        let list = arguments_of(object);
        let words = Elements::of(&list).map(|(_, word)| word);
        let written = commands::write_words(row.name.as_bytes(), words, b"");
        zend::release(list);
        if written.is_some() {
            let shape = command::shape(row, &hands().desk.frame.words());
            reshaped(data, shape, return_value.cast::<Value>());
        }
    });
}
