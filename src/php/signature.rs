//! How methods are called: what Zend keeps to show a method's parameters, and to find the place of an argument that is
//! given by its name. Zend does not check the types for us, but it believes them: they must be true.

use std::ffi::{CStr, c_char};
use std::ptr;

use ext_php_rs::ffi::{
    _ZEND_IS_VARIADIC_BIT, _ZEND_SEND_MODE_SHIFT, MAY_BE_ANY, MAY_BE_BOOL, zend_internal_arg_info, zend_type,
};

use super::zend;

/// The masks of types.
pub const NULL: u32 = 1 << zend::IS_NULL;
pub const BOOL: u32 = MAY_BE_BOOL;
pub const INT: u32 = 1 << zend::IS_LONG;
pub const FLOAT: u32 = 1 << zend::IS_DOUBLE;
pub const STRING: u32 = 1 << zend::IS_STRING;
pub const ARRAY: u32 = 1 << zend::IS_ARRAY;
pub const OBJECT: u32 = 1 << zend::IS_OBJECT;
pub const MIXED: u32 = MAY_BE_ANY;
/// `IS_CALLABLE`, `IS_VOID` and `IS_STATIC`, which are no types of values.
pub const CALLABLE: u32 = 1 << 12;
pub const VOID: u32 = 1 << 14;
pub const STATIC: u32 = 1 << 15;

/// `_ZEND_IS_TENTATIVE_BIT`: a class that extends ours may leave the return type out, and is only told so.
const TENTATIVE: u32 = _ZEND_IS_VARIADIC_BIT << 2;

/// One entry of what describes a method to Zend: a parameter, or in front of these what the method returns.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Parameter(zend_internal_arg_info);

// SAFETY: it points to nothing but constants, and nobody writes to it: of types without class names Zend keeps no copy of
// its own, but reads.
unsafe impl Sync for Parameter {}

const fn described(name: *const c_char, types: u32, default: *const c_char) -> Parameter {
    let type_ = zend_type { ptr: ptr::null_mut(), type_mask: types };
    Parameter(zend_internal_arg_info { name, type_, default_value: default })
}

/// `mixed $name`
pub const fn required(name: &'static CStr) -> Parameter {
    described(name.as_ptr(), MIXED, ptr::null())
}

/// `mixed $name = null`
pub const fn optional(name: &'static CStr) -> Parameter {
    described(name.as_ptr(), MIXED, c"null".as_ptr())
}

/// `mixed ...$name`
pub const fn variadic(name: &'static CStr) -> Parameter {
    described(name.as_ptr(), MIXED | _ZEND_IS_VARIADIC_BIT, ptr::null())
}

/// In front of the parameters of a method that returns anything: how many of them must be given.
pub const fn head(required: usize) -> Parameter {
    returns(required, MIXED)
}

/// As `head`, for a method that returns these types; none at all for a constructor.
pub const fn returns(required: usize, types: u32) -> Parameter {
    let types = if types == 0 { 0 } else { types | TENTATIVE };
    described(ptr::without_provenance(required), types, ptr::null())
}

impl Parameter {
    /// The parameter, of these types.
    pub const fn of(mut self, types: u32) -> Parameter {
        self.0.type_.type_mask = types | (self.0.type_.type_mask & _ZEND_IS_VARIADIC_BIT);
        self
    }

    /// The parameter, with this PHP expression as its default.
    pub const fn or(mut self, default: &'static CStr) -> Parameter {
        self.0.default_value = default.as_ptr();
        self
    }

    /// The parameter, given by reference.
    pub const fn by_reference(mut self) -> Parameter {
        self.0.type_.type_mask |= 1 << _ZEND_SEND_MODE_SHIFT;
        self
    }

    /// Whether it must be given.
    pub const fn is_required(&self) -> bool {
        self.0.default_value.is_null() && self.0.type_.type_mask & _ZEND_IS_VARIADIC_BIT == 0
    }
}
