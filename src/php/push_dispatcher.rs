//! `ResilientRedis\Push\DispatcherLoop`: a callback per type of push.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use super::class::{Method, optional, required};
use super::commands::guarded;
use super::dispatcher::{self, DEFAULT, MadeWith};
use super::elements::Elements;
use super::messages::element;
use super::methods::is_callable;
use super::signature::VOID;
use super::values::ArrayBuilder;
use super::zend::{self, Value};
use super::{exceptions, listener, push};

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let methods = [
        Method::new("__construct", construct, const { &[required(c"consumer")] }),
        Method::new("getConsumer", dispatcher::get_consumer, &[]),
        Method::new("attachCallback", attach, const { &[required(c"messageType"), required(c"callback")] })
            .returning(VOID),
        Method::new("detachCallback", detach, const { &[required(c"messageType")] }).returning(VOID),
        Method::new("setDefaultCallback", dispatcher::set::<0>, const { &[optional(c"callback")] }).returning(VOID),
        Method::new("run", run, &[]).returning(VOID),
        Method::new("stop", stop, &[]).returning(VOID),
    ];
    dispatcher::register_as("ResilientRedis\\Push\\DispatcherLoop", &methods);
}

const CONSUMERS: MadeWith =
    MadeWith { is: push::is_consumer, otherwise: "this DispatcherLoop is made with the object that push() gives" };

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object and the arguments alive.
    guarded(|| unsafe { CONSUMERS.construct(call) });
}

/// The type among the arguments, held. `None`, and that is thrown, if there is none.
unsafe fn type_in(arguments: &[Value]) -> Option<Value> {
    let found = arguments.first().map(zend::deref).filter(|value| zend::type_of(value) == zend::IS_STRING);
    if found.is_none() {
        exceptions::throw_misuse("", "the type of a push is a string, such as 'invalidate'");
    }
    // SAFETY: the arguments stay as they are while we look.
    found.map(|value| unsafe { zend::hold(value) })
}

extern "C" fn attach(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`; the type is held while PHP code may run.
    guarded(|| unsafe {
        let arguments = zend::arguments(call);
        let Some(callback) = arguments.get(1).map(|value| *zend::deref(value)).filter(is_callable) else {
            exceptions::throw_misuse("", "the callback of a type has to be a callable");
            return;
        };
        let Some(kind) = type_in(arguments) else { return };
        dispatcher::change(zend::this(call), zend::bytes_of(&kind), Some(callback));
        zend::release(kind);
    });
}

extern "C" fn detach(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `attach`.
    guarded(|| unsafe {
        let Some(kind) = type_in(zend::arguments(call)) else { return };
        dispatcher::change(zend::this(call), zend::bytes_of(&kind), None);
        zend::release(kind);
    });
}

extern "C" fn stop(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`; the consumer is held.
    guarded(|| unsafe {
        let Some(consumer) = CONSUMERS.consumer(zend::this(call)) else { return };
        push::end(consumer.value.obj);
        zend::release(consumer);
    });
}

extern "C" fn run(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`. The consumer is held, and everything else reached anew for each push.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(consumer) = CONSUMERS.consumer(object) else { return };
        while listener::of(consumer.value.obj).is_any() && !zend::has_exception() {
            let Some(came) = push::receive(consumer.value.obj) else { break };
            listener::count(consumer.value.obj);
            dispatch(object, came);
        }
        zend::release(consumer);
    });
}

/// Hands the payload of a push, which is taken over, to whom it concerns.
unsafe fn dispatch(object: *mut zend_object, came: Value) {
    // SAFETY: by the caller. What is called is held for the time of the call.
    unsafe {
        let kind = element(&came, 0).filter(|kind| zend::type_of(kind) == zend::IS_STRING);
        let mut callback = kind.map_or_else(zend::null, |kind| dispatcher::callback_of(object, zend::bytes_of(kind)));
        if zend::type_of(&callback) == zend::IS_NULL {
            callback = dispatcher::get(object, DEFAULT);
        }
        if zend::type_of(&callback) != zend::IS_NULL {
            let payload = rest(&came);
            let result = zend::call(None, &callback, &mut [payload, zend::reference_to(object)]);
            zend::release(result);
        }
        zend::release(callback);
        zend::release(came);
    }
}

/// What a push says beside its type.
///
/// # Safety
/// It is a list, and nothing changes it meanwhile.
pub unsafe fn rest(came: &Value) -> Value {
    let mut array = ArrayBuilder::new();
    // SAFETY: by the caller.
    for (_, value) in unsafe { Elements::of(came) }.skip(1) {
        // SAFETY: the list has the value, and the array gets a reference of its own.
        array.push(unsafe { zend::hold(value) });
    }
    array.build()
}
