//! Option `prefix` where it is more than a string: a callable, or an object such as Predis' KeyPrefixProcessor.

use std::ptr;

use crate::config::Setting;

use super::methods::is_callable;
use super::settings;
use super::zend::{self, Value};

/// What stands in the options: nothing to ask for, or what was given when asked.
pub enum Prefix {
    /// The option is as good as it stands.
    Stands,
    /// Asked for: ours to release.
    Given(Value),
    /// What was asked has thrown.
    Thrown,
}

/// Asks for the prefix. A callable gets the options as an object: Predis' has them as properties, too. A string is never
/// called, even if a function has its name.
///
/// # Safety
/// Both values are alive, and stay so while PHP code runs.
pub unsafe fn ask(options: &Value, prefix: &Value) -> Prefix {
    // SAFETY: by the caller. Each value that is made here is released on every path but a jump's.
    unsafe {
        let calls = matches!(zend::type_of(prefix), zend::IS_OBJECT | zend::IS_ARRAY) && is_callable(prefix);
        if zend::has_exception() {
            return Prefix::Thrown;
        }
        if !calls {
            return if zend::type_of(prefix) == zend::IS_OBJECT { text_of(prefix) } else { Prefix::Stands };
        }
        let mut properties = zend::hold(options);
        zend::convert_to_object(properties.as_zval());
        let given = zend::call(None, prefix, &mut [properties]);
        if zend::has_exception() {
            zend::release(given);
            return Prefix::Thrown;
        }
        if zend::type_of(&given) != zend::IS_OBJECT {
            return Prefix::Given(given);
        }
        let text = text_of(&given);
        zend::release(given);
        text
    }
}

/// What an object says by `getPrefix`, or by `__toString`. Of another one the configuration says that it is wrong.
unsafe fn text_of(object: &Value) -> Prefix {
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
            return Prefix::Given(zend::hold(object));
        };
        if zend::has_exception() {
            zend::release(given);
            return Prefix::Thrown;
        }
        Prefix::Given(given)
    }
}

/// Puts what was given in the option's place.
pub fn put(options: &mut Setting, given: &Value) {
    if let Setting::Map(entries) = options {
        for (_, value) in entries.iter_mut().filter(|(name, _)| name == "prefix") {
            *value = settings::read(given);
        }
    }
}
