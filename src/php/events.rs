//! Events to listeners: after the command, never in the middle of an exchange.

use std::ffi::{CString, c_int};
use std::ptr;

use ext_php_rs::ffi::{ext_php_rs_zend_object_release, zend_object};

use crate::telemetry::{Detail, Event};

use super::class;
use super::values::{self, ArrayBuilder, count, list};
use super::zend::{self, Value};

/// Hands the events that wait to the object's listener. What a listener throws would hide the command's own outcome,
/// so it goes to PHP's error log.
///
/// # Safety
/// `object` is a live object of our class; nothing of it and nothing of the thread's hands is borrowed.
#[inline]
pub unsafe fn deliver(object: *mut zend_object) {
    // SAFETY: by the caller.
    let waiting = unsafe { class::of(object) }.client.as_deref().is_some_and(|client| client.has_events());
    if waiting {
        // SAFETY: as above.
        unsafe { deliver_all(object) };
    }
}

#[cold]
unsafe fn deliver_all(object: *mut zend_object) {
    // SAFETY: the executor's globals exist; the object is kept alive by the call that we are in. Each event is taken
    // before PHP code runs, and our part of the object is reached anew after it. A command's own exception is set
    // aside while a listener runs, and stands again after it.
    unsafe {
        let globals = ext_php_rs::ffi::ext_php_rs_executor_globals();
        while let Some(event) = class::of(object).client.as_deref_mut().and_then(crate::client::Client::next_event) {
            let listener = *class::of(object).listener();
            if zend::type_of(&listener) == zend::IS_NULL {
                continue;
            }
            let pending = std::mem::replace(&mut (*globals).exception, ptr::null_mut());
            notify(listener, &event);
            let thrown = (*globals).exception;
            if thrown.is_null() {
                (*globals).exception = pending;
                continue;
            }
            if zend::zend_is_unwind_exit(thrown) || zend::zend_is_graceful_exit(thrown) {
                // `exit`, or the end of a fiber: no failure of the listener, but the end of the program's own wish.
                if !pending.is_null() {
                    ext_php_rs_zend_object_release(pending);
                }
                return;
            }
            let text = describe(thrown);
            // What the thrown object's own destructor throws goes the same way.
            for _ in 0..3 {
                if (*globals).exception.is_null() {
                    break;
                }
                zend::zend_clear_exception();
            }
            (*globals).exception = pending;
            // To the log, and not as a warning: many programs turn warnings into exceptions.
            zend::php_log_err_with_severity(text.as_ptr(), LOG_WARNING);
        }
    }
}

/// syslog's severity of a warning.
const LOG_WARNING: c_int = 4;

/// What a listener has thrown, for the log.
///
/// # Safety
/// The object is a live throwable.
unsafe fn describe(thrown: *mut zend_object) -> CString {
    // SAFETY: by the caller; a throwable's message belongs to PHP's base class of it, which is asked silently.
    unsafe {
        let class = String::from_utf8_lossy(zend::string_bytes((*(*thrown).ce).name)).into_owned();
        let held = values::property((*thrown).ce, thrown, b"message");
        let message = Some(held).filter(|held| zend::type_of(held) == zend::IS_STRING);
        let message = message.map_or_else(String::new, |text| String::from_utf8_lossy(zend::bytes_of(&text)).into());
        zend::release(held);
        let text = format!("ResilientRedis: an event listener threw {class}: {message}; the command's outcome stands");
        CString::new(text.replace('\0', " ")).unwrap_or_default()
    }
}

unsafe fn notify(listener: Value, event: &Event) {
    // SAFETY: the listener is live; it may replace itself, and is held for the time of the call.
    unsafe {
        let result = zend::call(None, &listener, &mut [zend::string(event.name().as_bytes()), details(event)]);
        zend::release(result);
    }
}

fn details(event: &Event) -> Value {
    let mut array = ArrayBuilder::new();
    for (name, detail) in event.details() {
        let value = match detail {
            Detail::Unknown => zend::null(),
            Detail::Text(text) => zend::string(text.as_bytes()),
            Detail::Time(time) => zend::double(time.as_secs_f64()),
            Detail::Count(number) => count(*number),
            Detail::Flag(flag) => zend::boolean(*flag),
            Detail::Texts(texts) => list(texts),
        };
        array.set(name, value);
    }
    array.build()
}
