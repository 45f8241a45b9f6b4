//! Options whose value PHP code gives: by a callable, or by an object.

use crate::config::Setting;

use super::methods::is_callable;
use super::settings;
use super::zend::{self, Value};

/// What stands in the options: nothing to ask for, or what was given when asked.
pub enum Asked {
    /// The option is as good as it stands.
    Stands,
    /// Asked for: ours to release.
    Given(Value),
    /// What was asked has thrown.
    Thrown,
}

/// Calls a value of the options if it is a callable. It gets the options as an object: Predis' has them as properties,
/// too. A string is never called, even if a function has its name.
///
/// # Safety
/// Both values are alive, and stay so while PHP code runs.
pub unsafe fn call(options: &Value, value: &Value) -> Asked {
    // SAFETY: by the caller. Each value that is made here is released on every path but a jump's.
    unsafe {
        let calls = matches!(zend::type_of(value), zend::IS_OBJECT | zend::IS_ARRAY) && is_callable(value);
        if zend::has_exception() {
            return Asked::Thrown;
        }
        if !calls {
            return Asked::Stands;
        }
        let mut properties = zend::hold(options);
        zend::convert_to_object(properties.as_zval());
        let given = zend::call(None, value, &mut [properties]);
        if zend::has_exception() {
            zend::release(given);
            return Asked::Thrown;
        }
        Asked::Given(given)
    }
}

impl Asked {
    /// Puts what was given in the option's place, and gives it up.
    pub fn put(self, options: &mut Setting, option: &str) {
        if let (Asked::Given(given), Setting::Map(entries)) = (&self, options) {
            for (_, value) in entries.iter_mut().filter(|(name, _)| name == option) {
                *value = settings::read(given);
            }
        }
        self.give_up();
    }

    /// Gives up what was given.
    pub fn give_up(self) {
        if let Asked::Given(given) = self {
            // SAFETY: it is ours.
            unsafe { zend::release(given) };
        }
    }
}
