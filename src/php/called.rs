//! What a method was called with, where that is not simply as many values as it takes.

use ext_php_rs::ffi::{zend_execute_data, zend_wrong_parameters_count_error};

use super::elements::{Elements, Key};
use super::exceptions;
use super::zend::{self, Value};

/// The arguments of a method that takes exactly so many. `None`, and PHP's own error is thrown, if it was given others.
///
/// # Safety
/// `call` is the frame of the method that is running.
pub unsafe fn exactly<'a, const COUNT: usize>(call: *mut zend_execute_data) -> Option<&'a mut [Value; COUNT]> {
    // SAFETY: by the caller. The engine finds in its frame how many were given, and whose method it is.
    unsafe {
        let given = <&mut [Value; COUNT]>::try_from(zend::arguments(call)).ok();
        if given.is_none() {
            let wanted = u32::try_from(COUNT).unwrap_or(u32::MAX);
            zend_wrong_parameters_count_error(wanted, wanted);
        }
        given
    }
}

/// Whether an argument was given by a name that no parameter has, where Zend lets that pass: to a method that takes any
/// number of arguments. Then that is thrown; what `command` is called with is never left out in silence.
///
/// # Safety
/// `call` is the frame of a call that has not returned.
#[inline]
pub unsafe fn has_unknown_names(call: *mut zend_execute_data, command: &str) -> bool {
    // SAFETY: by the caller.
    let has = unsafe { zend::has_named_arguments(call) };
    if has {
        // SAFETY: the flag says that the frame has an array of them.
        unsafe { refuse_name_of(&zend::owned_array((*call).extra_named_params), command) };
    }
    has
}

/// Whether options were given by name and not as an array. Then that is thrown: leaving `atomic: true` out would change
/// what the program does.
///
/// # Safety
/// As for [`has_unknown_names`].
pub unsafe fn has_named_options(call: *mut zend_execute_data) -> bool {
    // SAFETY: by the caller.
    let has = unsafe { zend::has_named_arguments(call) };
    if has {
        exceptions::throw_misuse("", "options are given as an array, such as ['atomic' => true], not by name");
    }
    has
}

/// The name and the arguments that `__call` was called with: a list. `None`, and that is thrown, if it is not so.
///
/// # Safety
/// As for [`exactly`]; the frame keeps both.
pub unsafe fn by_magic<'a>(call: *mut zend_execute_data) -> Option<(&'a [u8], &'a Value)> {
    // SAFETY: by the caller; the types are looked at before the values are.
    unsafe {
        let [name, list] = exactly::<2>(call)?;
        let (name, list) = (zend::deref(name), zend::deref(list));
        if zend::type_of(name) != zend::IS_STRING || zend::type_of(list) != zend::IS_ARRAY {
            exceptions::throw_misuse("__call", "__call takes a name and an array of arguments");
            return None;
        }
        let name = zend::bytes_of(name);
        let refused = refuse_name_of(list, &String::from_utf8_lossy(name).to_ascii_uppercase());
        (!refused).then_some((name, list))
    }
}

/// Throws, in PHP's words, that the first element with a name has one that no parameter has. False if there is none.
///
/// # Safety
/// The value is an array.
#[cold]
unsafe fn refuse_name_of(array: &Value, command: &str) -> bool {
    // SAFETY: by the caller; nothing changes the array while we look.
    let name = unsafe { Elements::of(array) }.find_map(|(key, _)| match key {
        Key::Name(name) => Some(String::from_utf8_lossy(name).into_owned()),
        Key::Index(_) => None,
    });
    if let Some(name) = &name {
        exceptions::throw_misuse(command, &format!("{command}: unknown named parameter ${name}"));
    }
    name.is_some()
}
