//! The few calls into Zend that ext-php-rs does not wrap, and names for what its macros would do in C.

use std::ffi::{c_char, c_double, c_int, c_void};

use ext_php_rs::ffi::{
    HashTable, zend_class_entry, zend_execute_data, zend_function, zend_long, zend_object, zend_refcounted_h,
    zend_reference, zend_string, zend_value, zval,
};

pub use ext_php_rs::ffi::{
    IS_ARRAY, IS_ARRAY_EX, IS_DOUBLE, IS_FALSE, IS_INTERNED_STRING_EX, IS_LONG, IS_NULL, IS_OBJECT, IS_OBJECT_EX,
    IS_REFERENCE, IS_STRING, IS_STRING_EX, IS_TRUE, IS_UNDEF,
};

/// A PHP value as C sees it: it counts no references by itself. ext-php-rs' own type of the same layout has a
/// destructor, which must not stand on the stack when Zend jumps, nor run for a value that an array has taken over.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    /// The value, by its type.
    pub value: zend_value,
    /// The type in the low byte, its flags in the next.
    pub type_info: u32,
    /// Used by whoever holds the value.
    pub extra: u32,
}

const _: () = assert!(size_of::<Value>() == size_of::<zval>() && align_of::<Value>() == align_of::<zval>());

impl Value {
    /// For calls into Zend.
    #[inline]
    pub fn as_zval(&mut self) -> *mut zval {
        std::ptr::from_mut(self).cast()
    }
}

unsafe extern "C" {
    pub static zend_empty_string: *mut zend_string;
    pub static spl_ce_RuntimeException: *mut zend_class_entry;
    pub static spl_ce_InvalidArgumentException: *mut zend_class_entry;
    pub static spl_ce_UnexpectedValueException: *mut zend_class_entry;
    pub static spl_ce_ArrayIterator: *mut zend_class_entry;
    pub static zend_ce_closure: *mut zend_class_entry;

    /// The function of a closure.
    pub fn zend_get_closure_method_def(closure: *mut zend_object) -> *const zend_function;

    /// The property as it is declared; null if it is not, and all ones if it cannot be accessed from here.
    pub fn zend_get_property_info(
        class: *const zend_class_entry,
        name: *mut zend_string,
        silent: c_int,
    ) -> *const c_void;
    pub fn zend_objects_clone_members(into: *mut zend_object, from: *mut zend_object);
    pub fn convert_to_object(value: *mut zval);
    pub fn object_init_ex(into: *mut zval, class: *mut zend_class_entry) -> c_int;
    pub fn zend_update_property_stringl(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: *const c_char,
        value_length: usize,
    );
    pub fn zend_update_property(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: *mut zval,
    );
    pub fn zend_update_property_long(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: zend_long,
    );
    pub fn zend_update_property_double(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: c_double,
    );
    /// Zend's own conversion: calls `__toString`, and raises what PHP raises.
    pub fn zval_get_string_func(value: *mut zval) -> *mut zend_string;
    pub fn _zend_handle_numeric_str_ex(key: *const c_char, length: usize, index: *mut u64) -> bool;
    pub fn zend_ini_string_ex(name: *const c_char, length: usize, original: c_int, exists: *mut bool) -> *const c_char;
    pub fn zend_ini_long(name: *const c_char, length: usize, original: c_int) -> zend_long;
    pub fn display_ini_entries(module: *mut c_void);
    /// Whether PHP takes a value for true.
    pub fn zend_is_true(value: *mut zval) -> c_int;
    pub fn zend_clear_exception();
    pub fn zend_timeout();
    /// Assigns to a reference that is a typed property, too.
    pub fn zend_try_assign_typed_ref_bool(reference: *mut zend_reference, value: bool) -> c_int;
    pub fn zend_error(kind: c_int, format: *const c_char, ...);
    pub fn zend_is_unwind_exit(exception: *const zend_object) -> bool;
    pub fn zend_is_graceful_exit(exception: *const zend_object) -> bool;
    pub fn php_log_err_with_severity(message: *const c_char, severity: c_int);
    pub fn zend_add_attribute(
        attributes: *mut *mut HashTable,
        name: *mut zend_string,
        arguments: u32,
        flags: u32,
        offset: u32,
        line: u32,
    ) -> *mut c_void;
}

/// A call frame's argument slots begin behind the frame itself, which fills whole slots.
const FRAME_SLOTS: usize = size_of::<zend_execute_data>().div_ceil(size_of::<zval>());
/// `ZEND_CALL_HAS_EXTRA_NAMED_PARAMS`, the same in 8.x.
const HAS_EXTRA_NAMED_PARAMS: u32 = 1 << 27;
/// `GC_STRING`: a string that is not collectable.
const GC_STRING: u32 = IS_STRING | (1 << 4);
/// `IS_STR_INTERNED`: a string that is never freed.
const INTERNED: u32 = 1 << 6;
/// The flags of a type whose values count references.
const REFCOUNTED: u32 = 0xff00;
/// Where the bytes of a string begin.
const STRING_HEADER: usize = std::mem::offset_of!(zend_string, val);

/// The arguments of a call, as a slice of its own slots. They are copies that belong to the callee.
///
/// # Safety
/// `call` is the frame of a call to an internal function that has not returned.
#[inline]
pub unsafe fn arguments<'a>(call: *mut zend_execute_data) -> &'a mut [Value] {
    // SAFETY: by the caller; the engine laid `num_args` initialised slots behind the frame.
    unsafe {
        let count = (*call).This.u2.num_args as usize;
        std::slice::from_raw_parts_mut(call.cast::<Value>().add(FRAME_SLOTS), count)
    }
}

/// Whether the call has named arguments that no parameter has the name of.
///
/// # Safety
/// As for [`arguments`].
#[inline]
pub unsafe fn has_named_arguments(call: *mut zend_execute_data) -> bool {
    // SAFETY: by the caller.
    unsafe { (*call).This.u1.type_info & HAS_EXTRA_NAMED_PARAMS != 0 }
}

/// The object that a method was called on.
///
/// # Safety
/// As for [`arguments`]; the function is a method and not static.
#[inline]
pub unsafe fn this(call: *mut zend_execute_data) -> *mut zend_object {
    // SAFETY: by the caller.
    unsafe { (*call).This.value.obj }
}

/// A value's type: one of the `IS_` constants.
#[inline]
pub fn type_of(value: &Value) -> u32 {
    value.type_info & 0xff
}

/// The value behind a reference, or the value itself.
#[inline]
pub fn deref(value: &Value) -> &Value {
    if type_of(value) == IS_REFERENCE {
        // SAFETY: the type says that it is a reference, which always holds a value.
        unsafe { &*std::ptr::addr_of!((*value.value.ref_).val).cast::<Value>() }
    } else {
        value
    }
}

/// The bytes of a string value.
///
/// # Safety
/// The value's type is `IS_STRING`; it is not changed while the bytes are used.
#[inline]
pub unsafe fn bytes_of(value: &Value) -> &[u8] {
    // SAFETY: by the caller.
    unsafe { string_bytes(value.value.str_) }
}

/// The bytes of a string.
///
/// # Safety
/// `string` is a live zend_string that outlives the use of its bytes.
#[inline]
pub unsafe fn string_bytes<'a>(string: *const zend_string) -> &'a [u8] {
    // SAFETY: by the caller; a zend_string has `len` bytes behind its header.
    unsafe { std::slice::from_raw_parts(string.cast::<u8>().add(STRING_HEADER), (*string).len) }
}

/// How much memory a string of `length` bytes takes.
#[inline]
pub fn string_size(length: usize) -> usize {
    STRING_HEADER.saturating_add(length).saturating_add(1).next_multiple_of(8)
}

/// A string of `length` bytes that are not written yet, its terminator excepted. Memory that PHP does not have ends
/// the request or the process: what a server can make large goes through `memory::allocate_string`.
pub fn allocate_string(length: usize) -> *mut zend_string {
    let layout = std::alloc::Layout::from_size_align(string_size(length), 8);
    let layout = layout.expect("max_reply_size is far below what a layout can be");
    // SAFETY: Zend's allocator does not return on failure, so the memory is there and of that size.
    unsafe { initialise_string(ext_php_rs::alloc::emalloc(layout).cast(), length) }
}

/// Makes a string of memory that is large enough for one of `length` bytes.
///
/// # Safety
/// The memory is ours, and has [`string_size`] bytes.
#[inline]
pub unsafe fn initialise_string(string: *mut zend_string, length: usize) -> *mut zend_string {
    // SAFETY: by the caller.
    unsafe {
        (*string).gc = zend_refcounted_h { refcount: 1, u: std::mem::zeroed() };
        (*string).gc.u.type_info = GC_STRING;
        (*string).h = 0;
        (*string).len = length;
        string_start(string).add(length).write(0);
    }
    string
}

/// Where the bytes of a string are written.
///
/// # Safety
/// `string` is a live zend_string.
#[inline]
pub unsafe fn string_start(string: *mut zend_string) -> *mut u8 {
    // SAFETY: the bytes lie behind the header within one allocation.
    unsafe { string.cast::<u8>().add(STRING_HEADER) }
}

#[inline]
fn make(value: zend_value, type_info: u32) -> Value {
    Value { value, type_info, extra: 0 }
}

/// PHP's null.
#[inline]
pub fn null() -> Value {
    make(zend_value { lval: 0 }, IS_NULL)
}

/// A boolean.
#[inline]
pub fn boolean(value: bool) -> Value {
    make(zend_value { lval: 0 }, if value { IS_TRUE } else { IS_FALSE })
}

/// An integer.
#[inline]
pub fn long(value: i64) -> Value {
    make(zend_value { lval: value }, IS_LONG)
}

/// A float.
#[inline]
pub fn double(value: f64) -> Value {
    make(zend_value { dval: value }, IS_DOUBLE)
}

/// A new string with these bytes.
#[inline]
pub fn string(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        // SAFETY: set once when PHP starts; interned, so nobody counts references to it.
        return make(zend_value { str_: unsafe { zend_empty_string } }, IS_INTERNED_STRING_EX);
    }
    // SAFETY: the allocation is new, and has room for exactly these bytes.
    unsafe { filled_string(allocate_string(bytes.len()), bytes) }
}

/// A value that takes over a string, whose bytes are written now.
///
/// # Safety
/// We allocated the string for exactly so many bytes, and nobody else has it.
#[inline]
pub unsafe fn filled_string(string: *mut zend_string, bytes: &[u8]) -> Value {
    // SAFETY: by the caller; what is new cannot overlap with what is there.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), string_start(string), bytes.len()) };
    owned_string(string)
}

/// A value that takes over one reference to a string that we allocated.
#[inline]
pub fn owned_string(string: *mut zend_string) -> Value {
    make(zend_value { str_: string }, IS_STRING_EX)
}

/// A value that takes over a string which PHP gave us: it may be interned, and then nobody counts its references.
///
/// # Safety
/// The string is live, and one reference to it is ours if it counts them.
pub unsafe fn given_string(string: *mut zend_string) -> Value {
    // SAFETY: by the caller.
    let interned = unsafe { (*string).gc.u.type_info & INTERNED != 0 };
    make(zend_value { str_: string }, if interned { IS_INTERNED_STRING_EX } else { IS_STRING_EX })
}

/// A value that takes over one reference to an array.
#[inline]
pub fn owned_array(array: *mut HashTable) -> Value {
    make(zend_value { arr: array }, IS_ARRAY_EX)
}

/// The empty array that all of PHP shares.
#[inline]
pub fn empty_array() -> Value {
    // Immutable and never freed; the type says that no references are counted.
    make(zend_value { arr: std::ptr::addr_of!(ext_php_rs::ffi::zend_empty_array).cast_mut() }, IS_ARRAY)
}

/// A value that takes over one reference to an object.
#[inline]
pub fn owned_object(object: *mut zend_object) -> Value {
    make(zend_value { obj: object }, IS_OBJECT_EX)
}

/// A value that refers to an object which stands elsewhere, too.
///
/// # Safety
/// The object is live.
pub unsafe fn reference_to(object: *mut zend_object) -> Value {
    // SAFETY: by the caller.
    unsafe { hold(&owned_object(object)) }
}

/// A copy of a value with a reference of its own.
///
/// # Safety
/// The value is live.
pub unsafe fn hold(value: &Value) -> Value {
    if value.type_info & REFCOUNTED != 0 {
        // SAFETY: a counted value begins with its counter.
        unsafe { (*value.value.counted).gc.refcount += 1 };
    }
    *value
}

/// Gives up a reference to a value.
///
/// # Safety
/// The reference was ours, and is given up once.
pub unsafe fn release(mut value: Value) {
    // SAFETY: by the caller.
    unsafe { ext_php_rs::ffi::zval_ptr_dtor(value.as_zval()) };
}

/// Whether a class is this one, or extends or implements it.
///
/// # Safety
/// Both are classes that Zend knows.
pub unsafe fn is_a(class: *const zend_class_entry, other: *const zend_class_entry) -> bool {
    // SAFETY: by the caller; Zend wants to be asked about different classes only.
    std::ptr::eq(class, other) || unsafe { ext_php_rs::ffi::instanceof_function_slow(class, other) }
}

/// Whether a class has a method of this name, which is in lower case.
///
/// # Safety
/// The class is one that Zend knows.
pub unsafe fn has_method(class: *const zend_class_entry, name: &str) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let methods = &raw const (*class).function_table;
        !ext_php_rs::ffi::zend_hash_str_find(methods, name.as_ptr().cast(), name.len()).is_null()
    }
}

/// Calls PHP code: a callable, or with an object the method that `callable` names. The arguments are given up afterwards;
/// what is called, and what it is called on, are held for the time of the call. What it gives is the caller's to release.
///
/// # Safety
/// All values are live, the references to the arguments are the caller's, and nothing of any object of ours or of the
/// thread's hands is borrowed.
pub unsafe fn call(on: Option<&Value>, callable: &Value, arguments: &mut [Value]) -> Value {
    // SAFETY: by the caller.
    unsafe {
        let (mut on, mut callable, mut result) = (on.map(|on| hold(on)), hold(callable), null());
        ext_php_rs::ffi::_call_user_function_impl(
            on.as_mut().map_or(std::ptr::null_mut(), Value::as_zval),
            callable.as_zval(),
            result.as_zval(),
            u32::try_from(arguments.len()).expect("a few arguments"),
            arguments.as_mut_ptr().cast(),
            std::ptr::null_mut(),
        );
        for value in arguments.iter().chain(&on).chain([&callable]) {
            release(*value);
        }
        result
    }
}

/// Whether PHP code that we called has thrown.
pub fn has_exception() -> bool {
    // SAFETY: the executor's globals exist for as long as the module is loaded.
    unsafe { !(*ext_php_rs::ffi::ext_php_rs_executor_globals()).exception.is_null() }
}
