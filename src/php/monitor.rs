//! `ResilientRedis\Monitor\Consumer`: all commands that the server executes.

use ext_php_rs::ffi::{zend_execute_data, zval};

use crate::client::Verb;

use super::class::{self, Method};
use super::commands::{guarded, unconstructed};
use super::listener::{self, Class};
use super::messages::plain_object;
use super::signature::VOID;
use super::zend::{self, Value};

static CONSUMER: Class = Class::new("ResilientRedis\\Monitor\\Consumer");

/// Registers the class. Called once, while the module starts.
pub fn register() {
    CONSUMER.register(vec![Method::new("stop", stop, &[]).returning(VOID), Method::new("current", current, &[])]);
}

/// `monitor()`
pub extern "C" fn open(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame.
    guarded(|| unsafe {
        let client = zend::this(call);
        if class::of(client).client.is_none() {
            unconstructed();
            return;
        }
        let object = CONSUMER.make(client);
        if listener::ask(object.value.obj, Verb::Monitor, Vec::new()) {
            return_value.cast::<Value>().write(object);
        } else {
            zend::release(object);
        }
    });
}

extern "C" fn stop(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame.
    guarded(|| unsafe { listener::close(zend::this(call)) });
}

extern "C" fn current(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `stop`. What came is ours alone.
    guarded(|| unsafe {
        let Some(came) = listener::wait(zend::this(call)) else { return };
        if zend::type_of(&came) == zend::IS_STRING {
            let line = String::from_utf8_lossy(zend::bytes_of(&came)).into_owned();
            return_value.cast::<Value>().write(parsed(&line));
        }
        zend::release(came);
    });
}

/// `<time> [<database> <client>] "<command>" "<argument>" ...`
fn parsed(line: &str) -> Value {
    let (time, rest) = line.split_once(" [").unwrap_or((line, ""));
    let (place, words) = rest.split_once("] ").unwrap_or((rest, ""));
    let (database, client) = place.split_once(' ').unwrap_or((place, ""));
    let (command, arguments) = words.split_once(' ').unwrap_or((words, ""));
    let text = |text: &str| zend::string(text.as_bytes());
    plain_object([
        (c"timestamp", zend::double(time.parse().unwrap_or(0.0))),
        (c"database", zend::long(database.parse().unwrap_or(0))),
        (c"client", text(client)),
        (c"command", text(command.trim_matches('"'))),
        (c"arguments", text(arguments)),
    ])
}
