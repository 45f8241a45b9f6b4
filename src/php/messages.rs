//! What comes on a connection that listens: how it is looked at, and the objects that it becomes.

use std::ffi::CStr;

use ext_php_rs::ffi::zend_standard_class_def;

use crate::client::Wording;

use super::elements::Elements;
use super::replies::PhpSink;
use super::zend::{self, Value};

impl Wording for PhpSink<'_> {
    fn text(&self, place: usize) -> Option<&[u8]> {
        // SAFETY: the root holds a value that we built, which nobody else has.
        unsafe {
            element(self.root(), place)
                .filter(|value| zend::type_of(value) == zend::IS_STRING)
                .map(|value| zend::bytes_of(value))
        }
    }

    fn line(&self) -> Option<&[u8]> {
        let root = self.root();
        // SAFETY: the type says that it is a string.
        (zend::type_of(root) == zend::IS_STRING).then(|| unsafe { zend::bytes_of(root) })
    }
}

/// The element of a list at this place.
///
/// # Safety
/// Nothing changes the value while the element is used.
pub unsafe fn element(list: &Value, place: usize) -> Option<&Value> {
    if zend::type_of(list) != zend::IS_ARRAY {
        return None;
    }
    // SAFETY: the type says that it is an array.
    unsafe { Elements::of(list) }.nth(place).map(|(_, value)| value)
}

/// An object without a class of its own, with these properties, which it takes over.
pub fn plain_object<const COUNT: usize>(properties: [(&CStr, Value); COUNT]) -> Value {
    let mut object = zend::null();
    // SAFETY: the class is PHP's own; each property gets a reference of its own, and ours is given up.
    unsafe {
        let class = zend_standard_class_def;
        zend::object_init_ex(object.as_zval(), class);
        for (name, mut value) in properties {
            zend::zend_update_property(class, object.value.obj, name.as_ptr(), name.count_bytes(), value.as_zval());
            zend::release(value);
        }
    }
    object
}
