//! Events to listeners: after the command, never in the middle of an exchange.

use ext_php_rs::ffi::{_call_user_function_impl, zend_object};

use crate::telemetry::Event;

use super::values::{ArrayBuilder, optional};
use super::zend::{self, Value};
use super::{class, zend::has_exception};

/// Hands the events that wait to the object's listener. What a listener throws would hide the command's own outcome,
/// so it becomes a warning.
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
    // A command's exception is set aside while listeners run.
    // SAFETY: the executor's globals exist; the object is kept alive by the call that we are in. Each event is taken
    // before PHP code runs, and our part of the object is reached anew after it.
    unsafe {
        let globals = ext_php_rs::ffi::ext_php_rs_executor_globals();
        while let Some(event) = class::of(object).client.as_deref_mut().and_then(crate::client::Client::next_event) {
            let listener = class::of(object).listener;
            if zend::type_of(&listener) == zend::IS_NULL {
                continue;
            }
            let pending = std::mem::replace(&mut (*globals).exception, std::ptr::null_mut());
            notify(listener, &event);
            (*globals).exception = pending;
        }
    }
}

unsafe fn notify(listener: Value, event: &Event) {
    // SAFETY: the listener is held for the time of the call, since it may replace itself.
    unsafe {
        let mut callable = zend::hold(&listener);
        let mut parameters = [zend::string(event.name().as_bytes()), details(event)];
        let mut result = zend::null();
        _call_user_function_impl(
            std::ptr::null_mut(),
            callable.as_zval(),
            result.as_zval(),
            2,
            parameters.as_mut_ptr().cast(),
            std::ptr::null_mut(),
        );
        for value in parameters.into_iter().chain([result, callable]) {
            zend::release(value);
        }
        if has_exception() {
            zend::zend_clear_exception();
            let text = c"ResilientRedis: an event listener has thrown; the command's own outcome stands";
            zend::zend_error(ext_php_rs::ffi::E_WARNING.cast_signed(), c"%s".as_ptr(), text.as_ptr());
        }
    }
}

fn details(event: &Event) -> Value {
    let mut array = ArrayBuilder::new();
    match event {
        Event::FailoverStarted { node, cause } => {
            array.set("node", optional(node.as_deref())).set("cause", optional(Some(cause)));
        }
        Event::FailoverCompleted { from, to, cause, duration, promoted } => {
            array
                .set("from", optional(from.as_deref()))
                .set("to", optional(Some(to)))
                .set("cause", optional(Some(cause)))
                .set("duration", zend::double(duration.as_secs_f64()))
                .set("promoted", zend::boolean(*promoted));
        }
        Event::FailoverFailed { node, cause, duration } => {
            array
                .set("node", optional(node.as_deref()))
                .set("cause", optional(Some(cause)))
                .set("duration", zend::double(duration.as_secs_f64()));
        }
    }
    array.build()
}
