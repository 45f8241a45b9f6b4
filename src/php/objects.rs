//! Objects of classes that are not ours: what methods they have, how they are made and called.

use std::ptr;

use ext_php_rs::ffi::{
    ZEND_ACC_PUBLIC, zend_call_known_function, zend_function, zend_hash_str_find, zend_lookup_class_ex, zend_object,
};

use crate::config::ConfigurationError;

use super::exceptions;
use super::zend::{self, Value};

/// `ZEND_USER_FUNCTION`
const WRITTEN_IN_PHP: u8 = 2;
/// `IS_OBJ_DESTRUCTOR_CALLED`
const DESTRUCTED: u32 = 1 << 8;

/// Whether the object has a method that is written in PHP, by its name in lower case: not one of ours.
///
/// # Safety
/// The object is live.
pub unsafe fn has_own_method(object: *mut zend_object, name: &str) -> bool {
    // SAFETY: by the caller; a function table holds functions, and every sort of those begins with its type.
    unsafe {
        let methods = &raw const (*(*object).ce).function_table;
        let found = zend_hash_str_find(methods, name.as_ptr().cast(), name.len()).cast::<Value>().as_ref();
        found.is_some_and(|found| {
            let function: *const zend_function = found.value.func;
            (*function).type_ == WRITTEN_IN_PHP
        })
    }
}

/// Calls a method with arguments, which are given up. `None` if something was thrown.
///
/// # Safety
/// The object is live; nothing of ours is borrowed that PHP code could reach.
pub unsafe fn call(object: *mut zend_object, name: &str, arguments: &mut [Value]) -> Option<Value> {
    // SAFETY: by the caller. The object is held for the time of the call; what is returned is ours.
    unsafe {
        let (on, name) = (zend::owned_object(object), zend::string(name.as_bytes()));
        let result = zend::call(Some(&on), &name, arguments);
        zend::release(name);
        if zend::has_exception() {
            zend::release(result);
            return None;
        }
        if zend::type_of(&result) != zend::IS_REFERENCE {
            return Some(result);
        }
        let inner = zend::hold(zend::deref(&result));
        zend::release(result);
        Some(inner)
    }
}

/// A new object of the class that option `commands` names for a command, constructed without arguments. `None` if
/// something was thrown.
///
/// # Safety
/// Both texts stay although PHP code may run, since classes are loaded, and nothing else of ours is borrowed.
pub unsafe fn make(class: &str, command: &[u8]) -> Option<Value> {
    // SAFETY: by the caller. The new object is ours.
    unsafe {
        let name = zend::string(class.as_bytes());
        let entry = zend_lookup_class_ex(name.value.str_, ptr::null_mut(), 0);
        zend::release(name);
        if zend::has_exception() {
            return None;
        }
        let refuse = |what: &str| {
            let option = format!("commands.{}", String::from_utf8_lossy(command));
            let accepted = "a class with getId, setArguments and getArguments that is made without arguments";
            let error = ConfigurationError::new(&option, format!("class {class}, which {what}"), accepted);
            exceptions::throw_configuration(&error.to_string());
        };
        if entry.is_null() {
            refuse("does not exist");
            return None;
        }
        if let Some(missing) = ["getId", "setArguments", "getArguments"]
            .iter()
            .find(|name| !zend::has_method(entry, &name.to_ascii_lowercase()))
        {
            refuse(&format!("has no method {missing}"));
            return None;
        }
        let constructor = (*entry).constructor;
        if !constructor.is_null() && (*constructor).common.fn_flags & ZEND_ACC_PUBLIC == 0 {
            refuse("has no public constructor");
            return None;
        }
        let mut made = zend::null();
        // An abstract class, an interface or an enum: PHP throws.
        zend::object_init_ex(made.as_zval(), entry);
        if zend::has_exception() {
            return None;
        }
        if !constructor.is_null() {
            let object = made.value.obj;
            zend_call_known_function(constructor, object, entry, ptr::null_mut(), 0, ptr::null_mut(), ptr::null_mut());
            if zend::has_exception() {
                // As for `new`: what was never constructed is not destructed.
                (*object).gc.u.type_info |= DESTRUCTED;
                zend::release(made);
                return None;
            }
        }
        Some(made)
    }
}

/// Assigns to an argument that was given by reference.
///
/// # Safety
/// The value is an argument slot of the call that we are in. PHP code may run: what stood there is given up.
pub unsafe fn assign(argument: &Value, value: bool) {
    if zend::type_of(argument) != zend::IS_REFERENCE {
        return;
    }
    // SAFETY: the type says that it is a reference, which the argument keeps alive.
    unsafe {
        let reference = argument.value.ref_;
        if !(*reference).sources.ptr.is_null() {
            zend::zend_try_assign_typed_ref_bool(reference, value);
            return;
        }
        let place = (&raw mut (*reference).val).cast::<Value>();
        let former = place.replace(zend::boolean(value));
        zend::release(former);
    }
}
