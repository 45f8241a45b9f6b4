//! `ResilientRedis\Push\Response`: a push, with its type in front.

use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    ZEND_ACC_FINAL, zend_ce_arrayaccess, zend_class_entry, zend_declare_class_constant_ex, zend_declare_property,
    zend_do_implement_interface, zend_execute_data, zend_object, zend_register_internal_class_ex,
    zend_string_init_interned, zval,
};
use ext_php_rs::flags::PropertyFlags;

use super::class::{self, Method, required};
use super::commands::guarded;
use super::elements::{Elements, Key};
use super::push_dispatcher::rest;
use super::signature::{ARRAY, BOOL, STRING, VOID};
use super::zend::{self, Value};
use super::{exceptions, values};

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(std::ptr::null_mut());

/// The list as it came.
const LIST: &CStr = c"response";

const TYPES: [(&str, &str); 4] = [
    ("PUB_SUB_DATA_TYPE", "pubsub"),
    ("MONITOR_DATA_TYPE", "monitor"),
    ("INVALIDATE_DATA_TYPE", "invalidate"),
    ("MESSAGE_DATA_TYPE", "message"),
];

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let offset = const { &[required(c"offset")] };
    let methods = [
        Method::new("__construct", construct, const { &[required(c"serverResponse").of(ARRAY)] }),
        Method::new("getDataType", get_data_type, &[]).returning(STRING),
        Method::new("getPayload", get_payload, &[]).returning(ARRAY),
        Method::new("offsetExists", offset_exists, offset).returning(BOOL),
        Method::new("offsetGet", offset_get, offset),
        Method::new("offsetSet", change, const { &[required(c"offset"), required(c"value")] }).returning(VOID),
        Method::new("offsetUnset", change, offset).returning(VOID),
    ];
    // SAFETY: the module is starting; the function table lives until Zend has copied it, and beyond. Names and values of
    // constants are interned for ever.
    unsafe {
        let mut entry = class::new_entry("ResilientRedis\\Push\\Response");
        entry.info.internal.builtin_functions = class::function_table(&methods);
        let registered = zend_register_internal_class_ex(&raw mut entry, std::ptr::null_mut());
        (*registered).ce_flags |= ZEND_ACC_FINAL;
        zend_do_implement_interface(registered, zend_ce_arrayaccess);
        let flag = |flags: PropertyFlags| i32::try_from(flags.bits()).expect("a flag in the low bits");
        let mut null = zend::null();
        zend_declare_property(
            registered,
            LIST.as_ptr(),
            LIST.count_bytes(),
            null.as_zval(),
            flag(PropertyFlags::Private),
        );
        let intern = zend_string_init_interned.expect("set when PHP starts");
        for (name, value) in TYPES {
            let text = intern(value.as_ptr().cast(), value.len(), true);
            let mut text = zend::given_string(text);
            let name = intern(name.as_ptr().cast(), name.len(), true);
            let public = flag(PropertyFlags::Public);
            zend_declare_class_constant_ex(registered, name, text.as_zval(), public, std::ptr::null_mut());
        }
        CLASS.store(registered, Ordering::Relaxed);
    }
}

/// A push as an object. The list is taken over.
pub fn of(list: Value) -> Value {
    let mut object = zend::null();
    // SAFETY: the class was registered; the property gets a reference of its own, and ours is given up.
    unsafe {
        zend::object_init_ex(object.as_zval(), CLASS.load(Ordering::Relaxed));
        put(object.value.obj, list);
        zend::release(list);
    }
    object
}

unsafe fn put(object: *mut zend_object, mut list: Value) {
    // SAFETY: by the callers: the object is one of ours.
    unsafe {
        let scope = CLASS.load(Ordering::Relaxed);
        zend::zend_update_property(scope, object, LIST.as_ptr(), LIST.count_bytes(), list.as_zval());
    }
}

/// The list, held.
unsafe fn list(object: *mut zend_object) -> Value {
    // SAFETY: by the callers.
    unsafe { values::property(CLASS.load(Ordering::Relaxed), object, LIST.to_bytes()) }
}

/// What the list has at an offset, held; null if it has nothing there.
unsafe fn at(object: *mut zend_object, offset: Option<&Value>) -> Value {
    // SAFETY: by the callers. The list is held while it is looked at; each arm looks at the offset as what it is.
    unsafe {
        let list = list(object);
        let mut found = zend::null();
        if let Some(offset) = offset.map(zend::deref)
            && zend::type_of(&list) == zend::IS_ARRAY
        {
            let wanted = match zend::type_of(offset) {
                zend::IS_LONG => Some(Key::Index(offset.value.lval)),
                zend::IS_STRING => {
                    let text = zend::bytes_of(offset);
                    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                    Some(number.map_or(Key::Name(text), Key::Index))
                }
                _ => None,
            };
            if let Some((_, value)) = Elements::of(&list).find(|(key, _)| Some(key) == wanted.as_ref()) {
                found = zend::hold(zend::deref(value));
            }
        }
        zend::release(list);
        found
    }
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object and the arguments alive.
    guarded(|| unsafe {
        match zend::arguments(call).first().map(zend::deref) {
            Some(given) if zend::type_of(given) == zend::IS_ARRAY => put(zend::this(call), *given),
            _ => exceptions::throw_misuse("", "a push is a list, with its type in front"),
        }
    });
}

extern "C" fn get_data_type(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let kind = at(zend::this(call), Some(&zend::long(0)));
        if zend::type_of(&kind) == zend::IS_STRING {
            return_value.cast::<Value>().write(kind);
        } else {
            zend::release(kind);
            exceptions::throw_misuse("", "this push has no type");
        }
    });
}

extern "C" fn get_payload(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let list = list(zend::this(call));
        let payload = if zend::type_of(&list) == zend::IS_ARRAY { rest(&list) } else { zend::empty_array() };
        zend::release(list);
        return_value.cast::<Value>().write(payload);
    });
}

extern "C" fn offset_exists(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        let found = at(zend::this(call), zend::arguments(call).first());
        return_value.cast::<Value>().write(zend::boolean(zend::type_of(&found) != zend::IS_NULL));
        zend::release(found);
    });
}

extern "C" fn offset_get(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `construct`.
    guarded(|| unsafe {
        return_value.cast::<Value>().write(at(zend::this(call), zend::arguments(call).first()));
    });
}

extern "C" fn change(_: *mut zend_execute_data, _: *mut zval) {
    guarded(|| exceptions::throw_misuse("", "what the server has said cannot be changed"));
}
