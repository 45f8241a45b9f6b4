//! What a client tells of how it was made: `getOptions()` and `getConnection()`.

use std::time::Duration;

use ext_php_rs::ffi::{zend_execute_data, zval};

use super::class;
use super::commands::{guarded, unconstructed};
use super::messages::plain_object;
use super::zend::{self, Value};

/// `getOptions()`: what holds for this client, in plain values and seconds. It says nothing of where Redis is nor of
/// passwords, so that it can be shown.
pub extern "C" fn get_options(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe {
        let Some(client) = class::of(zend::this(call)).client.as_deref() else {
            unconstructed();
            return;
        };
        let configuration = client.configuration();
        let policy = configuration.policy;
        let read_from = policy.read_from.as_str();
        let throws = configuration.throws();
        let options = plain_object([
            (c"exceptions", zend::boolean(throws)),
            (c"timeout", seconds(Some(policy.timeout))),
            (c"read_write_timeout", seconds(policy.read_write_timeout)),
            (c"command_timeout", seconds(policy.command_timeout)),
            (c"request_budget", seconds(policy.request_budget)),
            (c"suspect_after", seconds(Some(policy.suspect_after))),
            (c"read_from", zend::string(read_from.as_bytes())),
        ]);
        return_value.cast::<Value>().write(options);
    });
}

/// Seconds, or null for no limit.
fn seconds(limit: Option<Duration>) -> Value {
    limit.map_or_else(zend::null, |limit| zend::double(limit.as_secs_f64()))
}

/// `getConnection()`: the client itself. A connection belongs to the pool, and to a command while it runs; what programs
/// ask of Predis' connection, the client can do.
pub extern "C" fn get_connection(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_options`; the object is kept alive by the call.
    guarded(|| unsafe {
        return_value.cast::<Value>().write(zend::reference_to(zend::this(call)));
    });
}
