//! `ResilientRedis\PubSub\Consumer`: the messages of channels.

use std::ffi::CStr;

use ext_php_rs::ffi::{zend_execute_data, zend_object, zend_standard_class_def, zval};

use crate::client::{Sort, Verb};
use crate::config::ConfigurationError;

use super::arguments;
use super::class::{self, Method, optional, variadic};
use super::commands::{self, guarded, unconstructed};
use super::elements::{Elements, Key};
use super::listener::{self, Class};
use super::messages::{element, plain_object};
use super::methods::is_callable;
use super::queue_options::is_options;
use super::zend::{self, Value};
use super::{called, exceptions, settings, values};

static CONSUMER: Class = Class::new("ResilientRedis\\PubSub\\Consumer");

/// Registers the class. Called once, while the module starts.
pub fn register() {
    CONSUMER.register(vec![
        Method::new("subscribe", ask::<0>, const { &[variadic(c"channels")] }),
        Method::new("psubscribe", ask::<1>, const { &[variadic(c"patterns")] }),
        Method::new("ssubscribe", ask::<2>, const { &[variadic(c"channels")] }),
        Method::new("unsubscribe", ask::<3>, const { &[variadic(c"channels")] }),
        Method::new("punsubscribe", ask::<4>, const { &[variadic(c"patterns")] }),
        Method::new("sunsubscribe", ask::<5>, const { &[variadic(c"channels")] }),
        Method::new("ping", ask::<6>, const { &[optional(c"payload")] }),
        Method::new("stop", stop, const { &[optional(c"drop")] }),
        Method::new("current", current, &[]),
    ]);
}

const VERBS: [Verb; 7] = [
    Verb::Subscribe(Sort::Channels),
    Verb::Subscribe(Sort::Patterns),
    Verb::Subscribe(Sort::Shards),
    Verb::Unsubscribe(Sort::Channels),
    Verb::Unsubscribe(Sort::Patterns),
    Verb::Unsubscribe(Sort::Shards),
    Verb::Ping,
];

/// `pubSubLoop()`: an iterator; with a callable the loop itself.
pub extern "C" fn open(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame, which keeps the arguments alive.
    guarded(|| unsafe {
        let client = zend::this(call);
        if class::of(client).client.is_none() {
            unconstructed();
            return;
        }
        if called::has_named_options(call) {
            return;
        }
        let given: Vec<Value> = zend::arguments(call).iter().map(|value| *zend::deref(value)).collect();
        let given: Vec<&Value> = given.iter().filter(|value| zend::type_of(value) != zend::IS_NULL).collect();
        let (options, callable) = match given[..] {
            [] => (None, None),
            [one] if is_options(one) => (Some(*one), None),
            [one] if is_callable(one) => (None, Some(*one)),
            [options, callable] if is_options(options) && is_callable(callable) => (Some(*options), Some(*callable)),
            [.., last] => {
                let accepted = "an array of options, a callable, or both in this order";
                let error = ConfigurationError::new("pubSubLoop", settings::read(last).describe(), accepted);
                exceptions::throw_configuration(&error.to_string());
                return;
            }
        };
        drop(given);
        let Some(wishes) = options.map_or_else(|| Some(Vec::new()), |options| read(&options)) else { return };
        let object = CONSUMER.make(client);
        for (verb, words) in wishes {
            if !listener::ask(object.value.obj, verb, words) {
                zend::release(object);
                return;
            }
        }
        match callable {
            None => return_value.cast::<Value>().write(object),
            Some(callable) => {
                run(object.value.obj, &callable);
                zend::release(object);
            }
        }
    });
}

/// The options: what to subscribe to. `None` if one is wrong, and that is thrown.
unsafe fn read(options: &Value) -> Option<Vec<(Verb, Vec<Vec<u8>>)>> {
    const NAMES: [&str; 3] = ["subscribe", "psubscribe", "ssubscribe"];
    let mut wishes = Vec::new();
    // SAFETY: the value was seen to be an array; nothing changes it while we look.
    for (key, value) in unsafe { Elements::of(options) } {
        let name = match key {
            Key::Name(name) => String::from_utf8_lossy(name).into_owned(),
            Key::Index(index) => index.to_string(),
        };
        let wrong = |accepted: &str| {
            let error = ConfigurationError::new(&name, settings::read(value).describe(), accepted);
            exceptions::throw_configuration(&error.to_string());
        };
        let Some(place) = NAMES.iter().position(|known| *known == name) else {
            wrong(&format!("unknown option; accepted are {}", NAMES.join(", ")));
            return None;
        };
        if zend::type_of(value) == zend::IS_NULL {
            continue;
        }
        // SAFETY: as above.
        let words = unsafe { texts(&[*value]) };
        match words {
            Some(words) if !words.is_empty() => wishes.push((VERBS[place], words)),
            Some(_) => {}
            None => {
                wrong("a channel, or a list of channels");
                return None;
            }
        }
    }
    Some(wishes)
}

/// How deep lists may stand in lists: one that contains itself has no end.
const DEEPEST: usize = 8;

/// Texts, given one by one or as lists. `None` if one of them is none.
///
/// # Safety
/// Nothing changes the values while we look.
pub unsafe fn texts(given: &[Value]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    // SAFETY: by the caller.
    unsafe { collect_texts(given, DEEPEST, &mut words) }.then_some(words)
}

/// As [`texts`], with so many levels of lists left. False if there is something else.
unsafe fn collect_texts(given: &[Value], levels: usize, words: &mut Vec<Vec<u8>>) -> bool {
    for value in given {
        let value = zend::deref(value);
        // SAFETY: each arm looks at the value as what its type says it is.
        unsafe {
            match zend::type_of(value) {
                zend::IS_STRING => words.push(zend::bytes_of(value).to_vec()),
                zend::IS_LONG => words.push(value.value.lval.to_string().into_bytes()),
                zend::IS_ARRAY if levels > 0 => {
                    let items: Vec<Value> = Elements::of(value).map(|(_, value)| *value).collect();
                    if !collect_texts(&items, levels - 1, words) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
    true
}

extern "C" fn ask<const VERB: usize>(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object and the arguments alive.
    guarded(|| unsafe {
        let verb = VERBS[VERB];
        if called::has_unknown_names(call, verb.command()) {
            return;
        }
        let arguments = zend::arguments(call);
        if let Err(unfit) = arguments::settle(arguments) {
            commands::refuse(verb.command(), unfit);
            return;
        }
        let given: Vec<Value> =
            arguments.iter().filter(|value| zend::type_of(zend::deref(value)) != zend::IS_NULL).copied().collect();
        let Some(words) = texts(&given) else {
            exceptions::throw_misuse(verb.command(), "channels are strings, given one by one or as a list");
            return;
        };
        if words.is_empty() && matches!(verb, Verb::Subscribe(_)) {
            exceptions::throw_misuse(verb.command(), "at least one channel has to be given");
            return;
        }
        if words.len() > 1 && verb == Verb::Ping {
            exceptions::throw_misuse(verb.command(), "ping takes one payload");
            return;
        }
        listener::ask(zend::this(call), verb, words);
    });
}

/// `stop($drop = false)`: unsubscribes from everything, or closes the connection.
extern "C" fn stop(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `ask`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let drops = zend::arguments(call).first().map(zend::deref);
        let drops = drops.is_some_and(|drops| zend::zend_is_true(std::ptr::from_ref(drops).cast_mut().cast()) != 0);
        if drops || listener::of(object).is_closed() {
            listener::close(object);
        } else if !listener::leave(object) {
            return;
        }
        return_value.cast::<Value>().write(zend::boolean(true));
    });
}

extern "C" fn current(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `ask`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if let Some(message) = receive(object) {
            return_value.cast::<Value>().write(message);
        } else if !zend::has_exception() {
            // The handler of a signal has closed the connection under the loop: what the server would have said.
            return_value.cast::<Value>().write(plain_object([
                (c"kind", zend::string(b"unsubscribe")),
                (c"channel", zend::null()),
                (c"payload", zend::long(0)),
            ]));
        }
    });
}

/// The next message as an object. `None` if there is none, or if something was thrown.
///
/// # Safety
/// As for [`listener::wait`].
pub unsafe fn receive(object: *mut zend_object) -> Option<Value> {
    // SAFETY: by the caller. What came is ours alone.
    unsafe {
        let came = listener::wait(object)?;
        let part = |place| element(&came, place).map_or_else(zend::null, |value| zend::hold(value));
        let kind = part(0);
        let message = if zend::type_of(&kind) != zend::IS_STRING {
            // The answer to a PING while nothing is subscribed to.
            let word = zend::type_of(&came) == zend::IS_STRING && zend::bytes_of(&came) != b"PONG";
            let payload = if word { zend::hold(&came) } else { zend::string(b"") };
            plain_object([(c"kind", zend::string(b"pong")), (c"payload", payload)])
        } else {
            match zend::bytes_of(&kind) {
                b"pmessage" => {
                    plain_object([(c"kind", kind), (c"pattern", part(1)), (c"channel", part(2)), (c"payload", part(3))])
                }
                b"pong" => plain_object([(c"kind", kind), (c"payload", part(1))]),
                _ => plain_object([(c"kind", kind), (c"channel", part(1)), (c"payload", part(2))]),
            }
        };
        zend::release(came);
        Some(message)
    }
}

/// Whether a value is such an object.
pub fn is_consumer(value: &Value) -> bool {
    CONSUMER.is_of(value)
}

/// A property of a message, with a reference of its own.
///
/// # Safety
/// The value is an object that we made of a message.
pub unsafe fn property(message: &Value, name: &CStr) -> Value {
    // SAFETY: by the caller: an object without a class of its own.
    unsafe { values::property(zend_standard_class_def, message.value.obj, name.to_bytes()) }
}

/// The text of a property of a message; nothing if it is no text.
///
/// # Safety
/// As for [`property`].
pub unsafe fn part(message: &Value, name: &CStr) -> Vec<u8> {
    // SAFETY: by the caller.
    unsafe {
        let value = property(message, name);
        let text = if zend::type_of(&value) == zend::IS_STRING { zend::bytes_of(&value).to_vec() } else { Vec::new() };
        zend::release(value);
        text
    }
}

/// Calls back for each message, until that returns false or there are no more.
unsafe fn run(object: *mut zend_object, callable: &Value) {
    // SAFETY: by the caller, who holds the object; the callable is held for the time of the loop. Both are reached anew
    // after PHP code has run.
    unsafe {
        let callable = zend::hold(callable);
        while listener::of(object).is_any() {
            let Some(message) = receive(object) else { break };
            listener::count(object);
            let result = zend::call(None, &callable, &mut [zend::reference_to(object), message]);
            let stops = zend::type_of(&result) == zend::IS_FALSE;
            zend::release(result);
            if stops || zend::has_exception() {
                break;
            }
        }
        zend::release(callable);
        listener::close(object);
    }
}
