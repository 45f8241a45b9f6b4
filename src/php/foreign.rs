//! Predis' own objects as settings: parameters, options, and how to retry. They are known by what they hold, so no class
//! of Predis has to be there, and their properties are read in place: no PHP code runs.

use std::ffi::c_char;
use std::mem::offset_of;

use ext_php_rs::ffi::{zend_hash_str_find, zend_object, zend_property_info};

use crate::config::Setting;

use super::zend::{self, Value};

/// `ZEND_ACC_STATIC`: a property that is the class's.
const STATIC: u32 = 1 << 4;

/// The value that stands for the object as a setting: an array that it holds.
///
/// # Safety
/// The object is live, and not changed while the value is used.
pub unsafe fn array_of<'a>(object: *mut zend_object) -> Option<&'a Value> {
    // SAFETY: by the caller.
    unsafe {
        let class = (*object).ce;
        let is_array = |value: &&Value| zend::type_of(value) == zend::IS_ARRAY;
        if zend::has_method(class, "toarray") {
            return property(object, "parameters").filter(is_array);
        }
        if !zend::has_method(class, "defined") {
            return None;
        }
        // Options that Predis has evaluated already are objects of its own, which mean nothing here: those are refused.
        let evaluated = property(object, "options").filter(is_array)?;
        property(object, "input").filter(is_array).filter(|_| (*evaluated.value.arr).nNumOfElements == 0)
    }
}

/// What the object says about retries, in the form of the option `retry`.
///
/// # Safety
/// The object is live.
pub unsafe fn retry_of(object: *mut zend_object) -> Option<Setting> {
    // SAFETY: by the caller; the types are looked at before the values are.
    unsafe {
        let class = (*object).ce;
        if !zend::has_method(class, "getretries") || !zend::has_method(class, "callwithretry") {
            return None;
        }
        let number = |value: &Value| (zend::type_of(value) == zend::IS_LONG).then_some(value.value.lval);
        let retries = number(property(object, "retries")?)?;
        let strategy = property(object, "backoffStrategy").filter(|value| zend::type_of(value) == zend::IS_OBJECT)?;
        let strategy = strategy.value.obj;
        let waits = |name| property(strategy, name).and_then(number);
        let (base, cap) = match (waits("base"), waits("backoff")) {
            // No cap of its own leaves ours.
            (Some(base), _) => (base, waits("cap").filter(|cap| *cap > 0)),
            (None, Some(same)) => (same, Some(same)),
            (None, None) => (0, Some(0)),
        };
        let mut entries = vec![("base".to_owned(), seconds(base))];
        entries.extend(cap.map(|cap| ("cap".to_owned(), seconds(cap))));
        // Less than none is as often as one likes.
        if retries >= 0 {
            entries.push(("max_attempts".to_owned(), Setting::Int(retries.saturating_add(1))));
        }
        Some(Setting::Map(entries))
    }
}

/// Microseconds as seconds. Without any pause a server that is down would be asked as fast as the processor can.
fn seconds(microseconds: i64) -> Setting {
    const LEAST: i64 = 1_000;
    Setting::Float(microseconds.max(LEAST) as f64 / 1e6)
}

/// A declared property, where it stands in the object.
unsafe fn property<'a>(object: *mut zend_object, name: &str) -> Option<&'a Value> {
    // SAFETY: the callers', whose object is live: its class tells at which distance its properties stand.
    unsafe {
        let known = &raw const (*(*object).ce).properties_info;
        let found = zend_hash_str_find(known, name.as_ptr().cast::<c_char>(), name.len()).cast::<Value>().as_ref()?;
        let info = found.value.ptr.cast::<zend_property_info>().as_ref().filter(|info| info.flags & STATIC == 0)?;
        // From PHP 8.4 on a property may have no place of its own, but code that makes it up.
        let slots = size_of::<Value>() * usize::try_from((*(*object).ce).default_properties_count).unwrap_or(0);
        let places = offset_of!(zend_object, properties_table)..offset_of!(zend_object, properties_table) + slots;
        let place = Some(info.offset as usize).filter(|place| places.contains(place))?;
        Some(zend::deref(&*object.byte_add(place).cast::<Value>()))
    }
}
