//! `ResilientRedis\Response\Error`: what the server's error is where it is not thrown, and the interface that it has in
//! common with the exception.

use std::ffi::c_char;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    zend_ce_exception, zend_class_entry, zend_declare_property, zend_do_implement_interface, zend_execute_data,
    zend_object, zend_register_internal_class_ex, zend_register_internal_interface, zval,
};
use ext_php_rs::flags::PropertyFlags;

use super::class::{self, Method};
use super::commands::guarded;
use super::signature::{NULL, STRING};
use super::values;
use super::zend::{self, Value};

static INTERFACE: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());
static ERROR: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// The property that holds the text, with the name that exceptions have for it.
const MESSAGE: &std::ffi::CStr = c"message";

/// Registers both. Called once, while the module starts.
pub fn register() {
    // SAFETY: the module is starting; the function tables live until Zend has copied them, and beyond.
    unsafe {
        let demanded = [
            Method::demanded("getMessage").returning(STRING),
            Method::demanded("getErrorType").returning(STRING | NULL),
        ];
        let mut entry = class::new_entry("ResilientRedis\\Response\\ErrorInterface");
        entry.info.internal.builtin_functions = class::function_table(&demanded);
        let interface = zend_register_internal_interface(&raw mut entry);
        INTERFACE.store(interface, Ordering::Relaxed);

        let methods = [
            Method::new("getMessage", get_message, &[]).returning(STRING),
            Method::new("getErrorType", get_error_type, &[]).returning(STRING),
            Method::new("__toString", get_message, &[]).returning(STRING),
        ];
        let mut entry = class::new_entry("ResilientRedis\\Response\\Error");
        entry.info.internal.builtin_functions = class::function_table(&methods);
        let error = zend_register_internal_class_ex(&raw mut entry, ptr::null_mut());
        let protected = i32::try_from(PropertyFlags::Protected.bits()).expect("a flag in the low bits");
        let mut empty = zend::string(b"");
        zend_declare_property(error, MESSAGE.as_ptr(), MESSAGE.count_bytes(), empty.as_zval(), protected);
        zend_do_implement_interface(error, interface);
        ERROR.store(error, Ordering::Relaxed);
    }
}

/// The interface, which the exception implements, too.
pub fn interface() -> *mut zend_class_entry {
    INTERFACE.load(Ordering::Relaxed)
}

/// `toErrorResponse()` of the exception.
pub fn to_error_response() -> Method {
    Method::new("toErrorResponse", convert, &[])
}

/// A new object with this text.
pub fn error(text: &[u8]) -> Value {
    let mut value = zend::null();
    let class = ERROR.load(Ordering::Relaxed);
    // SAFETY: the class was registered; the new object is ours, and the text is copied.
    unsafe {
        zend::object_init_ex(value.as_zval(), class);
        let text_start = text.as_ptr().cast::<c_char>();
        let name = (MESSAGE.as_ptr(), MESSAGE.count_bytes());
        zend::zend_update_property_stringl(class, value.value.obj, name.0, name.1, text_start, text.len());
    }
    value
}

/// Whether a value is such an object.
pub fn is_error(value: &Value) -> bool {
    // SAFETY: the type says that it is an object; its class lives as long as it does.
    zend::type_of(value) == zend::IS_OBJECT && ptr::eq(unsafe { (*value.value.obj).ce }, ERROR.load(Ordering::Relaxed))
}

/// The text of such an object.
///
/// # Safety
/// The object is one that [`error`] made, and live.
pub unsafe fn text_of(object: *mut zend_object) -> String {
    // SAFETY: by the caller.
    unsafe {
        let text = message(ERROR.load(Ordering::Relaxed), object);
        let copied = String::from_utf8_lossy(zend::bytes_of(&text)).into_owned();
        zend::release(text);
        copied
    }
}

/// The text that an object holds, with a reference of its own; empty if it holds none.
unsafe fn message(scope: *mut zend_class_entry, object: *mut zend_object) -> Value {
    // SAFETY: the callers', whose object is of this class; the property is read within its class's scope.
    unsafe {
        let value = values::property(scope, object, MESSAGE.to_bytes());
        if zend::type_of(&value) == zend::IS_STRING {
            return value;
        }
        zend::release(value);
    }
    zend::string(b"")
}

extern "C" fn get_message(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe {
        let text = message(ERROR.load(Ordering::Relaxed), zend::this(call));
        return_value.cast::<Value>().write(text);
    });
}

extern "C" fn get_error_type(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_message`.
    guarded(|| unsafe {
        let text = message(ERROR.load(Ordering::Relaxed), zend::this(call));
        let first = zend::bytes_of(&text).split(|byte| *byte == b' ').next().unwrap_or_default();
        return_value.cast::<Value>().write(zend::string(first));
        zend::release(text);
    });
}

extern "C" fn convert(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of an exception with its frame; the message belongs to PHP's own base class.
    guarded(|| unsafe {
        let text = message(zend_ce_exception, zend::this(call));
        return_value.cast::<Value>().write(error(zend::bytes_of(&text)));
        zend::release(text);
    });
}
