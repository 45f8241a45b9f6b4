//! What the properties of a client are: its containers. What a subclass declares is the subclass's own.

use std::ffi::{CString, c_int, c_void};
use std::ptr;

use ext_php_rs::ffi::{
    zend_class_entry, zend_function, zend_hash_find, zend_object, zend_object_handlers, zend_std_get_property_ptr_ptr,
    zend_std_has_property, zend_std_read_property, zend_std_unset_property, zend_std_write_property, zend_string,
    zend_throw_exception, zval,
};

use crate::command::{self, Command};

use super::zend::{self, Value};
use super::{container, exceptions};

/// `ZEND_ACC_ALLOW_DYNAMIC_PROPERTIES`
const ALLOWS_DYNAMIC: u32 = 1 << 15;
/// `BP_VAR_IS`: a look that must not complain, as by `??`.
const LOOK: c_int = 3;

/// Who a property belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The subclass, by a declaration, a magic method or an attribute of its own: PHP's rules hold.
    Subclass,
    /// The subclass, which hides it from where we are called.
    Hidden,
    /// Nobody but us.
    Nobody,
}

/// Sets the handlers of the client's objects.
pub fn install(handlers: &mut zend_object_handlers) {
    handlers.read_property = Some(read);
    handlers.write_property = Some(write);
    handlers.has_property = Some(has);
    handlers.unset_property = Some(unset);
    handlers.get_property_ptr_ptr = Some(pointer);
}

/// # Safety
/// The object and the name are live. `magic` finds the method that the subclass may have for such an access.
unsafe fn owner(
    object: *mut zend_object,
    name: *mut zend_string,
    magic: fn(&zend_class_entry) -> *mut zend_function,
) -> Owner {
    /// `ZEND_WRONG_PROPERTY_INFO`: there is such a property, and it is not accessible here.
    const WRONG: usize = usize::MAX;
    // SAFETY: by the caller.
    unsafe {
        let class = (*object).ce;
        let is_dynamic = !(*object).properties.is_null() && !zend_hash_find((*object).properties, name).is_null();
        if !magic(&*class).is_null() || is_dynamic {
            return Owner::Subclass;
        }
        match zend::zend_get_property_info(class, name, 1).addr() {
            0 => Owner::Nobody,
            WRONG => Owner::Hidden,
            _ => Owner::Subclass,
        }
    }
}

/// # Safety
/// The object is live.
unsafe fn allows_dynamic(object: *mut zend_object) -> bool {
    // SAFETY: by the caller; its class lives as long as it does.
    unsafe { (*(*object).ce).ce_flags & ALLOWS_DYNAMIC != 0 }
}

/// # Safety
/// The name is live.
unsafe fn container_of(name: *mut zend_string) -> Option<&'static Command> {
    // SAFETY: by the caller.
    command::container(unsafe { zend::string_bytes(name) })
}

unsafe extern "C" fn read(
    object: *mut zend_object,
    name: *mut zend_string,
    kind: c_int,
    cache: *mut *mut c_void,
    room: *mut zval,
) -> *mut zval {
    // SAFETY: Zend reads a property of a live object of our class, and gives room for a value that it takes over.
    unsafe {
        // Where this was read before, PHP remembers that it is a declared property.
        let is_remembered = !cache.is_null() && ptr::eq(*cache, (*object).ce.cast());
        let owner = if is_remembered { Owner::Subclass } else { owner(object, name, |class| class.__get) };
        if owner == Owner::Subclass {
            return zend_std_read_property(object, name, kind, cache, room);
        }
        if let Some(row) = container_of(name) {
            room.cast::<Value>().write(container::new(object, row));
            return room;
        }
        if owner == Owner::Hidden || allows_dynamic(object) {
            return zend_std_read_property(object, name, kind, cache, room);
        }
        room.cast::<Value>().write(zend::null());
        if kind != LOOK {
            refuse(zend::string_bytes(name));
        }
        room
    }
}

#[cold]
fn refuse(name: &[u8]) {
    let name = String::from_utf8_lossy(name);
    let known: Vec<&str> = command::containers().map(|row| row.method).collect();
    let text = format!("a client has no property '{name}'; it has the containers {}", known.join(", "));
    let text = CString::new(text.replace('\0', "\\0")).unwrap_or_default();
    // SAFETY: PHP's own class; the text is copied.
    unsafe { zend_throw_exception(zend::spl_ce_UnexpectedValueException, text.as_ptr(), 0) };
}

unsafe extern "C" fn write(
    object: *mut zend_object,
    name: *mut zend_string,
    value: *mut zval,
    cache: *mut *mut c_void,
) -> *mut zval {
    // SAFETY: Zend writes a property of a live object of our class.
    unsafe {
        if owner(object, name, |class| class.__set) != Owner::Nobody || allows_dynamic(object) {
            return zend_std_write_property(object, name, value, cache);
        }
        refuse_change(zend::string_bytes(name), "set");
        value
    }
}

unsafe extern "C" fn unset(object: *mut zend_object, name: *mut zend_string, cache: *mut *mut c_void) {
    // SAFETY: Zend unsets a property of a live object of our class.
    unsafe {
        if owner(object, name, |class| class.__unset) != Owner::Nobody || allows_dynamic(object) {
            zend_std_unset_property(object, name, cache);
        } else {
            refuse_change(zend::string_bytes(name), "unset");
        }
    }
}

#[cold]
fn refuse_change(name: &[u8], change: &str) {
    let name = String::from_utf8_lossy(name);
    let text = format!("the property '{name}' of a client cannot be {change}: a subclass that has one must declare it");
    exceptions::throw_misuse("", &text);
}

unsafe extern "C" fn has(
    object: *mut zend_object,
    name: *mut zend_string,
    what: c_int,
    cache: *mut *mut c_void,
) -> c_int {
    // SAFETY: Zend looks for a property of a live object of our class.
    unsafe {
        if owner(object, name, |class| class.__isset) != Owner::Subclass && container_of(name).is_some() {
            return 1;
        }
        zend_std_has_property(object, name, what, cache)
    }
}

/// Where a property can be changed in place. Null has Zend read and write it instead.
unsafe extern "C" fn pointer(
    object: *mut zend_object,
    name: *mut zend_string,
    kind: c_int,
    cache: *mut *mut c_void,
) -> *mut zval {
    // SAFETY: Zend wants a property of a live object of our class.
    unsafe {
        let owner = owner(object, name, |class| class.__get);
        let is_theirs = owner == Owner::Subclass
            || (owner == Owner::Hidden || allows_dynamic(object)) && container_of(name).is_none();
        if is_theirs { zend_std_get_property_ptr_ptr(object, name, kind, cache) } else { ptr::null_mut() }
    }
}
