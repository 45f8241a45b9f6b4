//! The classes of command objects, `RawCommand` and `ScriptCommand` for users to extend, and what both have.
//!
//! They are plain objects with protected properties, which PHP copies, collects and frees by itself.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    zend_class_entry, zend_declare_property, zend_execute_data, zend_object, zend_register_internal_class_ex, zval,
};
use ext_php_rs::flags::PropertyFlags;

use crate::command::Key;

use super::class::{self, Method, required};
use super::commands::guarded;
use super::elements::Elements;
use super::signature::{ARRAY, INT};
use super::values::property;
use super::zend::{self, Value};
use super::{exceptions, factory, raw_command, script_command};

/// Registers the classes. Called once, while the module starts.
pub fn register() {
    raw_command::register();
    script_command::register();
    factory::register();
}

/// The methods that both classes have. Return types would be asked of the classes that extend these, which Predis' users
/// wrote without.
pub fn shared() -> [Method; 3] {
    [
        Method::new("setRawArguments", set_raw_arguments, const { &[required(c"arguments").of(ARRAY)] }).returning(0),
        Method::new("getArguments", get_arguments, &[]).returning(0),
        Method::new("getArgument", get_argument, const { &[required(c"index").of(INT)] }).returning(0),
    ]
}

/// Registers a class with protected properties.
pub fn register_class(
    name: &str,
    entry: &AtomicPtr<zend_class_entry>,
    methods: &[Method],
    properties: &[&str],
    flags: u32,
) {
    // SAFETY: the module is starting; the function table lives until Zend has copied it, and beyond.
    unsafe {
        let mut class = class::new_entry(name);
        class.info.internal.builtin_functions = class::function_table(methods);
        let registered = zend_register_internal_class_ex(&raw mut class, ptr::null_mut());
        (*registered).ce_flags |= flags;
        let protected = i32::try_from(PropertyFlags::Protected.bits()).expect("a flag in the low bits");
        for property in properties {
            let mut null = zend::null();
            zend_declare_property(registered, property.as_ptr().cast(), property.len(), null.as_zval(), protected);
        }
        class::hide_secrets(registered);
        entry.store(registered, Ordering::Relaxed);
    }
}

/// Sets a property to a value, which is taken over.
///
/// # Safety
/// A live object of that class, or of one that extends it.
pub unsafe fn set_property(scope: *mut zend_class_entry, object: *mut zend_object, name: &str, mut value: Value) {
    // SAFETY: by the caller; the property gets a reference of its own.
    unsafe {
        zend::zend_update_property(scope, object, name.as_ptr().cast(), name.len(), value.as_zval());
        zend::release(value);
    }
}

/// The class of the two that an object is of, or extends.
unsafe fn scope_of(object: *mut zend_object) -> *mut zend_class_entry {
    // SAFETY: by the callers: a live object of one of the two.
    let is_script = unsafe { zend::is_a((*object).ce, script_command::class()) };
    if is_script { script_command::class() } else { raw_command::class() }
}

/// The arguments: an array that is the caller's.
///
/// # Safety
/// A live object of one of the two classes.
pub unsafe fn arguments_of(object: *mut zend_object) -> Value {
    // SAFETY: by the caller.
    let arguments = unsafe { property(scope_of(object), object, b"arguments") };
    if zend::type_of(&arguments) == zend::IS_ARRAY {
        return arguments;
    }
    // SAFETY: the reference is ours.
    unsafe { zend::release(arguments) };
    zend::empty_array()
}

/// The array among the arguments of a call, with a reference of its own. `None`, and that is thrown, if it is none.
///
/// # Safety
/// `call` is the frame of a method call.
pub unsafe fn array_argument(call: *mut zend_execute_data, index: usize) -> Option<Value> {
    // SAFETY: by the caller.
    unsafe {
        let given = zend::arguments(call).get(index).map(zend::deref);
        let Some(array) = given.filter(|given| zend::type_of(given) == zend::IS_ARRAY) else {
            exceptions::throw_misuse("", "the arguments of a command are given as an array");
            return None;
        };
        Some(zend::hold(array))
    }
}

extern "C" fn set_raw_arguments(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method of one of the two classes with its frame, which keeps the object alive; so below.
    guarded(|| unsafe {
        let object = zend::this(call);
        if let Some(list) = array_argument(call, 0) {
            set_property(scope_of(object), object, "arguments", list);
        }
    });
}

extern "C" fn get_arguments(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `set_raw_arguments`.
    guarded(|| unsafe { return_value.cast::<Value>().write(arguments_of(zend::this(call))) });
}

extern "C" fn get_argument(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `set_raw_arguments`.
    guarded(|| unsafe {
        let wanted = zend::arguments(call).first().map(zend::deref);
        let wanted = wanted.filter(|wanted| zend::type_of(wanted) == zend::IS_LONG).map(|wanted| wanted.value.lval);
        let list = arguments_of(zend::this(call));
        let found = Elements::of(&list).find(|(key, _)| matches!(key, Key::Index(index) if Some(*index) == wanted));
        if let Some((_, value)) = found {
            return_value.cast::<Value>().write(zend::hold(value));
        }
        zend::release(list);
    });
}
