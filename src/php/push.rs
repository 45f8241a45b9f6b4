//! `ResilientRedis\Push\Consumer`: what the server says by itself.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::client::{Client, Heard};
use crate::command::Shape;
use crate::resp::{Sink, hand_on};

use super::class::{self, Method, optional};
use super::commands::{guarded, unconstructed};
use super::listener::{self, Class};
use super::methods::is_callable;
use super::process::hands;
use super::replies::PhpSink;
use super::signature::VOID;
use super::zend::{self, Value};
use super::{credentials, events, exceptions, push_response};

static CONSUMER: Class = Class::new("ResilientRedis\\Push\\Consumer");

/// Registers the class. Called once, while the module starts.
pub fn register() {
    CONSUMER.register(vec![
        Method::new("stop", stop, const { &[optional(c"drop")] }).returning(VOID),
        Method::new("current", current, &[]),
    ]);
}

/// Whether a value is such an object.
pub fn is_consumer(value: &Value) -> bool {
    CONSUMER.is_of(value)
}

/// `push(?callable $preLoop = null)`: a consumer with a connection of its own. The callable gets the client whose
/// commands run on that connection, and asks for what it wants to hear.
pub extern "C" fn open(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame, which keeps the object and the arguments alive. What is
    // made is a PHP value from the moment on when PHP code may run.
    guarded(|| unsafe {
        let callable = zend::arguments(call).first().map_or_else(zend::null, |value| *zend::deref(value));
        let is_given = zend::type_of(&callable) != zend::IS_NULL;
        if is_given && !is_callable(&callable) {
            if !zend::has_exception() {
                exceptions::throw_misuse("", "push() takes a callable, which gets a client, or null");
            }
            return;
        }
        let client = zend::this(call);
        let Some(hearing) = class::of(client).client.as_deref().map(|client| Box::into_raw(Box::new(client.hearing())))
        else {
            unconstructed();
            return;
        };
        let hearing = class::copy(client, hearing);
        let consumer = CONSUMER.make_of(hearing);
        if is_given && !zend::has_exception() {
            let callable = zend::hold(&callable);
            let result = zend::call(None, &callable, &mut [zend::reference_to(hearing.value.obj)]);
            zend::release(result);
            zend::release(callable);
        }
        if zend::has_exception() {
            zend::release(consumer);
        } else {
            return_value.cast::<Value>().write(consumer);
        }
    });
}

/// `stop($drop = false)`: closes the connection, which serves nobody else, and forgets what was asked for.
extern "C" fn stop(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame.
    guarded(|| unsafe { end(zend::this(call)) });
}

/// Closes the connection of a consumer.
///
/// # Safety
/// The object is a consumer; nothing of it and nothing of the thread's hands is borrowed.
pub unsafe fn end(object: *mut zend_object) {
    // SAFETY: by the caller. The consumer holds its client.
    unsafe {
        let listener = listener::of(object);
        listener.stop_hearing();
        let client = listener.client();
        if zend::type_of(&client) == zend::IS_OBJECT
            && let Some(client) = class::of(client.value.obj).client.as_deref_mut()
        {
            client.stop_hearing(&mut hands().desk);
        }
    }
}

extern "C" fn current(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object alive.
    guarded(|| unsafe {
        let Some(list) = receive(zend::this(call)) else { return };
        return_value.cast::<Value>().write(push_response::of(list));
    });
}

/// Waits for a push: the list that came. `None` if there is none any more, or if something was thrown.
///
/// # Safety
/// The object is a consumer and stays alive; nothing of it and nothing of the thread's hands is borrowed. PHP code may
/// run: handlers of signals, and listeners.
pub unsafe fn receive(object: *mut zend_object) -> Option<Value> {
    // SAFETY: by the caller. The consumer holds its client; both are reached anew after PHP code has run.
    unsafe {
        loop {
            let listener = listener::of(object);
            let client = listener.client();
            if !listener.is_open() {
                return None;
            }
            if zend::type_of(&client) != zend::IS_OBJECT {
                exceptions::throw_misuse("", "this object must be made by a method of a client: push()");
                return None;
            }
            if !listener.hears() {
                return None;
            }
            let client = client.value.obj;
            let ours = class::of(client).client.as_deref_mut()?;
            let heard = ours.await_push(&mut hands().desk);
            if credentials::are_wanted(&heard) {
                drop(heard);
                if credentials::ask(client) {
                    continue;
                }
                credentials::done(client);
                return None;
            }
            credentials::done(client);
            match heard {
                Ok(Heard::Message) => return taken(object, client),
                Ok(Heard::Interrupted) => {
                    events::deliver(client);
                    listener::run_interrupts();
                }
                Ok(Heard::Told | Heard::Over) => events::deliver(client),
                Err(failure) => {
                    exceptions::throw(&failure);
                    drop(failure);
                    events::deliver(client);
                    return None;
                }
            }
            if zend::has_exception() {
                return None;
            }
        }
    }
}

/// The push that is first, as PHP's. It stays with the client until it is complete. Where memory has no room for it PHP
/// says so itself.
unsafe fn taken(object: *mut zend_object, client: *mut zend_object) -> Option<Value> {
    // SAFETY: by the caller; no PHP code runs here. What is built stands in the consumer.
    unsafe {
        let root = listener::of(object).root();
        let ours = class::of(client).client.as_deref_mut()?;
        let mut sink = PhpSink::new(&mut hands().building, root, Shape::Plain);
        hand_on::<PhpSink>(Client::push(ours)?, &mut sink);
        if sink.refusal().is_some() {
            sink.reset();
            return None;
        }
        ours.push_taken();
        Some(std::mem::replace(&mut *root, zend::null()))
    }
}
