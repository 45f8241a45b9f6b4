//! `ResilientRedis\Command\Factory`: what makes the command objects of a client.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    ZEND_ACC_FINAL, ZEND_ACC_NOT_SERIALIZABLE, zend_class_entry, zend_execute_data, zend_object, zval,
};

use super::class::{Method, client_in, optional, required, variadic};
use super::command_classes::{register_class, set_property};
use super::commands::guarded;
use super::signature::{ARRAY, BOOL, OBJECT, STRING};
use super::values::property;
use super::zend::{self, Value};
use super::{custom, exceptions};

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let methods = [
        Method::new(
            "create",
            create,
            const { &[required(c"commandID").of(STRING), optional(c"arguments").of(ARRAY).or(c"[]")] },
        )
        .returning(OBJECT),
        Method::new("supports", supports, const { &[variadic(c"commandIDs").of(STRING)] }).returning(BOOL),
    ];
    register_class(
        "ResilientRedis\\Command\\Factory",
        &CLASS,
        &methods,
        &["client"],
        ZEND_ACC_FINAL | ZEND_ACC_NOT_SERIALIZABLE,
    );
}

/// A factory for the client.
///
/// # Safety
/// The client is a live object of its class.
pub unsafe fn of(client: *mut zend_object) -> Value {
    // SAFETY: by the caller; the factory gets a reference.
    unsafe {
        let scope = CLASS.load(Ordering::Relaxed);
        let mut made = zend::null();
        zend::object_init_ex(made.as_zval(), scope);
        set_property(scope, made.value.obj, "client", zend::reference_to(client));
        made
    }
}

/// The factory's client. `None`, and that is thrown, if somebody made the factory with `new`.
unsafe fn client_of(factory: *mut zend_object) -> Option<Value> {
    // SAFETY: by the callers: a live object of the class, which is final.
    unsafe {
        let client = property(CLASS.load(Ordering::Relaxed), factory, b"client");
        // Reflection can put anything there.
        if client_in(&client).is_none() {
            zend::release(client);
            exceptions::throw_misuse("", "a factory is made by the getCommandFactory() of a client");
            return None;
        }
        Some(client)
    }
}

extern "C" fn create(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of the class with its frame; the client is held meanwhile.
    guarded(|| unsafe {
        if let Some(client) = client_of(zend::this(call)) {
            custom::create_by(client.value.obj, zend::arguments(call), return_value);
            zend::release(client);
        }
    });
}

extern "C" fn supports(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `create`.
    guarded(|| unsafe {
        let Some(client) = client_of(zend::this(call)) else { return };
        let known = zend::arguments(call).iter().map(zend::deref).all(|name| {
            zend::type_of(name) == zend::IS_STRING && custom::knows(client.value.obj, zend::bytes_of(name))
        });
        zend::release(client);
        return_value.cast::<Value>().write(zend::boolean(known));
    });
}
