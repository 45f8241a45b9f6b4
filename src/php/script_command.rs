//! `ResilientRedis\Command\ScriptCommand`: a Lua script, called by its digest.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{zend_class_entry, zend_execute_data, zend_object, zval};

use super::class::{Method, required};
use super::command_classes::{arguments_of, array_argument, register_class, set_property, shared};
use super::commands::guarded;
use super::elements::Elements;
use super::process::hands;
use super::signature::ARRAY;
use super::values::ArrayBuilder;
use super::zend::{self, Value};
use super::{exceptions, objects};

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let mut methods = vec![
        Method::new("getScript", get_nothing, &[]).returning(0).left_open(),
        Method::new("getId", get_id, &[]).returning(0),
        Method::new("getKeysCount", get_keys_count, &[]).returning(0),
        Method::new("isReadOnly", is_read_only, &[]).returning(0),
        Method::new("getScriptHash", get_script_hash, &[]).returning(0),
        Method::new("getKeys", get_keys, &[]).returning(0),
        Method::new("setArguments", set_arguments, const { &[required(c"arguments").of(ARRAY)] }).returning(0),
        Method::new("parseResponse", parse_response, const { &[required(c"data")] }).returning(0),
    ];
    methods.extend(shared());
    register_class("ResilientRedis\\Command\\ScriptCommand", &CLASS, &methods, &["arguments"], 0);
}

/// The class.
pub fn class() -> *mut zend_class_entry {
    CLASS.load(Ordering::Relaxed)
}

extern "C" fn get_nothing(_: *mut zend_execute_data, _: *mut zval) {}

extern "C" fn get_id(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of the class with its frame, which keeps the object alive; so below. PHP code may run.
    guarded(|| unsafe {
        let Some(said) = objects::call(zend::this(call), "isReadOnly", &mut []) else { return };
        let only_reads = zend::type_of(&said) == zend::IS_TRUE;
        zend::release(said);
        let id: &[u8] = if only_reads { b"EVALSHA_RO" } else { b"EVALSHA" };
        return_value.cast::<Value>().write(zend::string(id));
    });
}

extern "C" fn get_keys_count(_: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: the return value is initialised and holds nothing.
    guarded(|| unsafe { return_value.cast::<Value>().write(zend::long(0)) });
}

extern "C" fn is_read_only(_: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_keys_count`.
    guarded(|| unsafe { return_value.cast::<Value>().write(zend::boolean(false)) });
}

extern "C" fn parse_response(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_id`.
    guarded(|| unsafe {
        if let Some(data) = zend::arguments(call).first().map(zend::deref) {
            return_value.cast::<Value>().write(zend::hold(data));
        }
    });
}

/// The digest of the script, as a value. `None` if something was thrown.
unsafe fn hash_of(object: *mut zend_object) -> Option<Value> {
    // SAFETY: by the callers: a live object. PHP code may run before the digest is looked up.
    unsafe {
        let text = objects::call(object, "getScript", &mut [])?;
        if zend::type_of(&text) != zend::IS_STRING {
            zend::release(text);
            exceptions::throw_misuse("EVALSHA", "getScript() has to give the script's text");
            return None;
        }
        let digest = zend::string(hands().desk.digests.of(zend::bytes_of(&text)).as_bytes());
        zend::release(text);
        Some(digest)
    }
}

extern "C" fn get_script_hash(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_id`.
    guarded(|| unsafe {
        if let Some(digest) = hash_of(zend::this(call)) {
            return_value.cast::<Value>().write(digest);
        }
    });
}

/// The digest, how many keys there are, and the arguments behind that.
extern "C" fn set_arguments(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `get_id`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some(list) = array_argument(call, 0) else { return };
        if let Some(keys) = count_keys(object, &list)
            && let Some(digest) = hash_of(object)
        {
            let mut all = ArrayBuilder::new();
            all.push(digest).push(zend::long(keys));
            for (_, value) in Elements::of(&list) {
                all.push(zend::hold(value));
            }
            set_property(class(), object, "arguments", all.build());
        }
        zend::release(list);
    });
}

/// How many of the arguments are keys. `None` if something was thrown.
unsafe fn count_keys(object: *mut zend_object, list: &Value) -> Option<i64> {
    // SAFETY: by the caller: a live object, and an array that it keeps alive.
    unsafe {
        let count = objects::call(object, "getKeysCount", &mut [])?;
        let keys = if zend::type_of(&count) == zend::IS_LONG { Some(count.value.lval) } else { None };
        zend::release(count);
        let given = i64::try_from(Elements::of(list).count()).unwrap_or(i64::MAX);
        let keys = keys.map(|keys| if keys < 0 { given.saturating_add(keys) } else { keys });
        let keys = keys.filter(|keys| (0..=given).contains(keys));
        if keys.is_none() {
            let text = "getKeysCount() has to give how many of the arguments are keys, or, negative, how many are none";
            exceptions::throw_misuse("EVALSHA", &format!("{text}; {given} were given"));
        }
        keys
    }
}

extern "C" fn get_keys(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_id`.
    guarded(|| unsafe {
        let list = arguments_of(zend::this(call));
        let mut keys = ArrayBuilder::new();
        let count = Elements::of(&list).nth(1).map(|(_, count)| count);
        let count = count.filter(|count| zend::type_of(count) == zend::IS_LONG).map_or(0, |count| count.value.lval);
        for (_, key) in Elements::of(&list).skip(2).take(usize::try_from(count).unwrap_or(0)) {
            keys.push(zend::hold(key));
        }
        zend::release(list);
        return_value.cast::<Value>().write(keys.build());
    });
}
