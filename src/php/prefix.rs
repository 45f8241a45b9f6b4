//! Option `prefix` where it is more than a string: a callable, or an object such as Predis' KeyPrefixProcessor.

use std::ptr;

use super::asked::{Asked, call};
use super::zend::{self, Value};

/// Asks for the prefix: a callable, and an object that has it.
///
/// # Safety
/// Both values are alive, and stay so while PHP code runs.
pub unsafe fn ask(options: &Value, prefix: &Value) -> Asked {
    // SAFETY: by the caller. Each value that is made here is released on every path but a jump's.
    unsafe {
        match call(options, prefix) {
            Asked::Given(given) if zend::type_of(&given) == zend::IS_OBJECT => {
                let text = text_of(&given);
                zend::release(given);
                text
            }
            Asked::Stands if zend::type_of(prefix) == zend::IS_OBJECT => text_of(prefix),
            asked => asked,
        }
    }
}

/// What an object says by `getPrefix`, or by `__toString`. Of another one the configuration says that it is wrong.
unsafe fn text_of(object: &Value) -> Asked {
    // SAFETY: by the caller; the type says that it is an object, whose class lives as long as it does.
    unsafe {
        let class = (*object.value.obj).ce;
        let given = if zend::has_method(class, "getprefix") {
            let name = zend::string(b"getPrefix");
            let given = zend::call(Some(object), &name, &mut []);
            zend::release(name);
            given
        } else if !(*class).__tostring.is_null() {
            let text = zend::zval_get_string_func(ptr::from_ref(object).cast_mut().cast());
            zend::given_string(text)
        } else {
            return Asked::Given(zend::hold(object));
        };
        if zend::has_exception() {
            zend::release(given);
            return Asked::Thrown;
        }
        Asked::Given(given)
    }
}
