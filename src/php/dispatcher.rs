//! `ResilientRedis\PubSub\DispatcherLoop`: a callback per channel.

use std::ffi::CStr;

use ext_php_rs::ffi::{
    ZEND_ACC_FINAL, ZEND_ACC_NOT_SERIALIZABLE, zend_declare_property, zend_execute_data, zend_object,
    zend_register_internal_class_ex, zval,
};
use ext_php_rs::flags::PropertyFlags;

use crate::client::{Sort, Verb};

use super::class::{self, Method, optional, required};
use super::commands::guarded;
use super::elements::{Elements, Key};
use super::exceptions;
use super::listener;
use super::methods::is_callable;
use super::pubsub;
use super::signature::VOID;
use super::values;
use super::zend::{self, Value};

const CONSUMER: &CStr = c"consumer";
const CALLBACKS: &CStr = c"callbacks";
pub const DEFAULT: &CStr = c"defaultCallback";
const SUBSCRIPTION: &CStr = c"subscriptionCallback";

/// Registers the class. Called once, while the module starts. What an object holds stands in properties, which PHP
/// collects by itself.
pub fn register() {
    let methods = [
        Method::new("__construct", construct, const { &[required(c"consumer")] }),
        Method::new("getPubSubConsumer", get_consumer, &[]),
        Method::new("getConsumer", get_consumer, &[]),
        Method::new("attachCallback", attach, const { &[required(c"channel"), required(c"callback")] }).returning(VOID),
        Method::new("detachCallback", detach, const { &[required(c"channel")] }).returning(VOID),
        Method::new("defaultCallback", set::<0>, const { &[optional(c"callback")] }).returning(VOID),
        Method::new("setDefaultCallback", set::<0>, const { &[optional(c"callback")] }).returning(VOID),
        Method::new("subscriptionCallback", set::<1>, const { &[optional(c"callback")] }).returning(VOID),
        Method::new("run", run, &[]).returning(VOID),
        Method::new("stop", stop, &[]).returning(VOID),
    ];
    register_as("ResilientRedis\\PubSub\\DispatcherLoop", &methods);
}

/// Registers a class of such loops.
pub fn register_as(name: &str, methods: &[Method]) {
    // SAFETY: the module is starting; the function table lives until Zend has copied it, and beyond.
    unsafe {
        let mut entry = class::new_entry(name);
        entry.info.internal.builtin_functions = class::function_table(methods);
        let registered = zend_register_internal_class_ex(&raw mut entry, std::ptr::null_mut());
        (*registered).ce_flags |= ZEND_ACC_NOT_SERIALIZABLE | ZEND_ACC_FINAL;
        let private = i32::try_from(PropertyFlags::Private.bits()).expect("a flag in the low bits");
        for name in [CONSUMER, CALLBACKS, DEFAULT, SUBSCRIPTION] {
            let mut null = zend::null();
            zend_declare_property(registered, name.as_ptr(), name.count_bytes(), null.as_zval(), private);
        }
    }
}

/// A property, with a reference of its own.
///
/// # Safety
/// The object is of a class of ours, which nobody extends.
pub unsafe fn get(object: *mut zend_object, name: &CStr) -> Value {
    // SAFETY: by the caller: the scope is the object's own class.
    unsafe { values::property((*object).ce, object, name.to_bytes()) }
}

/// Sets a property, which gets a reference of its own.
///
/// # Safety
/// As for [`get`].
pub unsafe fn put(object: *mut zend_object, name: &CStr, mut value: Value) {
    // SAFETY: as in `get`.
    unsafe {
        let scope = (*object).ce;
        zend::zend_update_property(scope, object, name.as_ptr(), name.count_bytes(), value.as_zval());
    }
}

/// What a class of such loops is made with.
pub struct MadeWith {
    /// Whether a value is that.
    pub is: fn(&Value) -> bool,
    /// What is said if it is not.
    pub otherwise: &'static str,
}

const CONSUMERS: MadeWith =
    MadeWith { is: pubsub::is_consumer, otherwise: "a DispatcherLoop is made with the object that pubSubLoop() gives" };

impl MadeWith {
    /// Keeps the consumer that the constructor is called with.
    ///
    /// # Safety
    /// `call` is the frame of a call to the constructor of such a loop.
    pub unsafe fn construct(&self, call: *mut zend_execute_data) {
        // SAFETY: by the caller: the frame keeps the object and the arguments alive.
        unsafe {
            let given = zend::arguments(call).first().map_or_else(zend::null, |value| *zend::deref(value));
            if (self.is)(&given) {
                put(zend::this(call), CONSUMER, given);
            } else {
                exceptions::throw_misuse("", self.otherwise);
            }
        }
    }

    /// The consumer, held. `None`, and that is thrown, if the constructor has not run, or something else stands there:
    /// reflection can put anything there.
    ///
    /// # Safety
    /// The object is such a loop, and live.
    pub unsafe fn consumer(&self, object: *mut zend_object) -> Option<Value> {
        // SAFETY: by the caller.
        let found = unsafe { get(object, CONSUMER) };
        if (self.is)(&found) {
            return Some(found);
        }
        // SAFETY: ours, and nobody else has it.
        unsafe { zend::release(found) };
        exceptions::throw_misuse("", self.otherwise);
        None
    }
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object and the arguments alive.
    guarded(|| unsafe { CONSUMERS.construct(call) });
}

/// What the loop was made with.
pub extern "C" fn get_consumer(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        return_value.cast::<Value>().write(get(zend::this(call), CONSUMER));
    });
}

/// A channel's name among the arguments. `None`, and that is thrown, if there is none.
unsafe fn channel(given: Option<&Value>) -> Option<Vec<u8>> {
    // SAFETY: by the callers: the arguments stay as they are.
    let name = given.and_then(|value| unsafe { pubsub::texts(&[*value]) }).filter(|names| names.len() == 1);
    if name.is_none() {
        exceptions::throw_misuse("SUBSCRIBE", "a channel is a string");
    }
    name.and_then(|names| names.into_iter().next())
}

extern "C" fn attach(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`. The array is a copy of ours until it is the property again.
    guarded(|| unsafe {
        let object = zend::this(call);
        let arguments = zend::arguments(call);
        let Some(name) = channel(arguments.first()) else { return };
        let Some(callback) = arguments.get(1).map(|value| *zend::deref(value)).filter(is_callable) else {
            exceptions::throw_misuse("", "the callback of a channel has to be a callable");
            return;
        };
        let Some(consumer) = CONSUMERS.consumer(object) else { return };
        change(object, &in_full(&consumer, &name), Some(callback));
        listener::ask(consumer.value.obj, Verb::Subscribe(Sort::Channels), vec![name]);
        zend::release(consumer);
    });
}

extern "C" fn detach(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `attach`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(name) = channel(zend::arguments(call).first()) else { return };
        let Some(consumer) = CONSUMERS.consumer(object) else { return };
        if change(object, &in_full(&consumer, &name), None) {
            listener::ask(consumer.value.obj, Verb::Unsubscribe(Sort::Channels), vec![name]);
        }
        zend::release(consumer);
    });
}

/// A channel's name as messages have it: with the client's prefix.
unsafe fn in_full(consumer: &Value, channel: &[u8]) -> Vec<u8> {
    // SAFETY: by the callers: it is a consumer, which they hold.
    [unsafe { listener::of(consumer.value.obj).prefix() }, channel].concat()
}

/// The key of a channel in the array of callbacks: one that PHP does not take for a number.
fn key_of(channel: &[u8]) -> Vec<u8> {
    [b"#", channel].concat()
}

/// The callback of a channel, held; null if it has none.
///
/// # Safety
/// As for [`get`].
pub unsafe fn callback_of(object: *mut zend_object, channel: &[u8]) -> Value {
    let wanted = key_of(channel);
    // SAFETY: by the caller. The array is held while it is looked at.
    unsafe {
        let callbacks = get(object, CALLBACKS);
        let mut found = zend::null();
        if zend::type_of(&callbacks) == zend::IS_ARRAY
            && let Some((_, own)) = Elements::of(&callbacks).find(|(key, _)| *key == Key::Name(&wanted))
        {
            found = zend::hold(own);
        }
        zend::release(callbacks);
        found
    }
}

/// Sets or removes the callback of a channel. Gives whether it had one.
///
/// # Safety
/// As for [`get`]. PHP code may run: the end of what a former callback held.
pub unsafe fn change(object: *mut zend_object, channel: &[u8], callback: Option<Value>) -> bool {
    // SAFETY: by the callers. A new array takes the place of the old one, which is released with its property.
    unsafe {
        let former = get(object, CALLBACKS);
        let wanted = key_of(channel);
        let mut array = super::values::ArrayBuilder::new();
        let mut had = false;
        if zend::type_of(&former) == zend::IS_ARRAY {
            for (key, value) in Elements::of(&former) {
                if let Key::Name(name) = key {
                    if name == wanted {
                        had = true;
                    } else {
                        array.set_bytes(name, zend::hold(value));
                    }
                }
            }
        }
        if let Some(callback) = callback {
            array.set_bytes(&wanted, zend::hold(&callback));
        }
        let changed = array.build();
        put(object, CALLBACKS, changed);
        zend::release(changed);
        zend::release(former);
        had
    }
}

/// Sets the callback of what has none of its own (0), or of everything that is no message (1).
pub extern "C" fn set<const WHICH: usize>(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let callback = zend::arguments(call).first().map_or_else(zend::null, |value| *zend::deref(value));
        if zend::type_of(&callback) != zend::IS_NULL && !is_callable(&callback) {
            exceptions::throw_misuse("", "a callback has to be a callable, or null");
            return;
        }
        put(zend::this(call), if WHICH == 0 { DEFAULT } else { SUBSCRIPTION }, callback);
    });
}

extern "C" fn stop(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`; the consumer is held.
    guarded(|| unsafe {
        let Some(consumer) = CONSUMERS.consumer(zend::this(call)) else { return };
        listener::leave(consumer.value.obj);
        zend::release(consumer);
    });
}

extern "C" fn run(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `construct`. The consumer is held, and everything else reached anew for each message.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(consumer) = CONSUMERS.consumer(object) else { return };
        while listener::of(consumer.value.obj).is_open()
            && listener::of(consumer.value.obj).is_any()
            && !zend::has_exception()
        {
            let Some(message) = pubsub::receive(consumer.value.obj) else { break };
            listener::count(consumer.value.obj);
            dispatch(object, message);
        }
        zend::release(consumer);
    });
}

/// Hands a message, which is taken over, to whom it concerns.
unsafe fn dispatch(object: *mut zend_object, message: Value) {
    // SAFETY: by the caller. What is called is held for the time of the call.
    unsafe {
        let kind = pubsub::part(&message, c"kind");
        let is_message = [&b"message"[..], b"pmessage", b"smessage"].contains(&kind.as_slice());
        let mut argument = message;
        let mut callback = zend::null();
        if is_message {
            callback = callback_of(object, &pubsub::part(&message, c"channel"));
            if zend::type_of(&callback) != zend::IS_NULL {
                argument = pubsub::property(&message, c"payload");
                zend::release(message);
            }
        }
        if zend::type_of(&callback) == zend::IS_NULL {
            callback = get(object, if is_message { DEFAULT } else { SUBSCRIPTION });
        }
        if zend::type_of(&callback) == zend::IS_NULL {
            zend::release(argument);
            return;
        }
        let result = zend::call(None, &callback, &mut [argument, zend::reference_to(object)]);
        zend::release(result);
        zend::release(callback);
    }
}
