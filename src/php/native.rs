//! Objects with a part that is Rust's: how they are made, found again, shown to the garbage collector and freed. Each
//! class says what its part is; how such an object is put together stands here alone.

use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;

use ext_php_rs::ffi::{
    HashTable, ZEND_ACC_NOT_SERIALIZABLE, ext_php_rs_zend_object_alloc, object_properties_init, std_object_handlers,
    zend_class_entry, zend_object, zend_object_handlers, zend_object_std_dtor, zend_object_std_init,
    zend_register_internal_class_ex, zend_std_get_properties, zval,
};

use super::class::{self, Method};
use super::zend::{self, Value};

/// What stands in front of Zend's part of an object.
pub trait Part: Sized + 'static {
    /// The PHP values that it holds: an array of them, side by side for the garbage collector.
    type Held: AsMut<[Value]> + Copy;

    /// The part of a new object of a class.
    fn fresh(class: *mut zend_class_entry) -> Self;

    /// The values that it holds.
    fn held(&mut self) -> &mut Self::Held;

    /// Where the handlers of such objects are kept.
    fn handlers() -> &'static Handlers;

    /// What its handlers have besides those that all objects of ours have.
    fn install(_handlers: &mut zend_object_handlers) {}

    /// What is to be done before the object is freed.
    ///
    /// # Safety
    /// Nobody can reach the object any more. At the end of a request other objects that it holds may have been freed
    /// before; their memory is still there, and their parts are fresh.
    unsafe fn leave(&mut self) {}
}

/// The handlers of the objects of a class.
pub struct Handlers(OnceLock<Installed>);

struct Installed(zend_object_handlers);

// SAFETY: written once while the module starts, before any thread of PHP's runs code; read-only after that.
unsafe impl Sync for Installed {}
// SAFETY: as above; the pointers in it are functions.
unsafe impl Send for Installed {}

impl Handlers {
    /// Handlers that are not set yet.
    pub const fn new() -> Handlers {
        Handlers(OnceLock::new())
    }
}

/// An object as it stands in memory.
#[repr(C)]
struct Object<P> {
    part: P,
    std: zend_object,
}

/// Registers a class of such objects, which cannot be cloned or serialised. `flags` are those that it has besides.
///
/// # Safety
/// The module is starting.
pub unsafe fn register<P: Part>(name: &str, methods: &[Method], flags: u32) -> *mut zend_class_entry {
    P::handlers().0.get_or_init(|| {
        // SAFETY: PHP's own handlers are a constant of its library; the copy is changed where we differ.
        let mut handlers = unsafe { ptr::read(&raw const std_object_handlers) };
        handlers.offset = i32::try_from(offset_of!(Object<P>, std)).expect("a small object");
        handlers.free_obj = Some(free::<P>);
        handlers.get_gc = Some(collectable::<P>);
        // A copy would share what the object has for itself: a connection, a lock, a batch.
        handlers.clone_obj = None;
        P::install(&mut handlers);
        Installed(handlers)
    });
    // SAFETY: by the caller; the function table lives until Zend has copied it, and beyond.
    unsafe {
        let mut entry = class::new_entry(name);
        entry.info.internal.builtin_functions = class::function_table(methods);
        let registered = zend_register_internal_class_ex(&raw mut entry, ptr::null_mut());
        (*registered).ce_flags |= ZEND_ACC_NOT_SERIALIZABLE | flags;
        (*registered).__bindgen_anon_2.create_object = Some(create::<P>);
        registered
    }
}

/// Our part of an object.
///
/// # Safety
/// The object is of a class that was registered for this part or that extends one, and live; no other reference to our
/// part of it is in use.
#[inline]
pub unsafe fn of<'a, P: Part>(object: *mut zend_object) -> &'a mut P {
    // SAFETY: by the caller; Zend's part stands at a fixed place behind ours.
    unsafe { &mut (*object.byte_sub(offset_of!(Object<P>, std)).cast::<Object<P>>()).part }
}

/// Our part of an object, if it is of a class that was registered for this part or that extends one.
///
/// # Safety
/// The object is live; no other reference to our part of it is in use.
pub unsafe fn part_of<'a, P: Part>(object: *mut zend_object) -> Option<&'a mut P> {
    let ours = P::handlers().0.get()?;
    // SAFETY: by the caller; every such object has the handlers of its part, and no other object has them.
    unsafe { ptr::eq((*object).handlers, &raw const ours.0).then(|| of(object)) }
}

/// A new object of a class that was registered for this part, or of one that extends it.
///
/// # Safety
/// The class is such a class.
pub unsafe extern "C" fn create<P: Part>(class: *mut zend_class_entry) -> *mut zend_object {
    // SAFETY: by the caller. The allocation has room for the class's properties behind Zend's part, and our part is
    // written before anybody sees it.
    unsafe {
        let object = ext_php_rs_zend_object_alloc(size_of::<Object<P>>(), class).cast::<Object<P>>();
        (&raw mut (*object).part).write(P::fresh(class));
        let std = &raw mut (*object).std;
        zend_object_std_init(std, class);
        object_properties_init(std, class);
        (*std).handlers = &raw const P::handlers().0.get().expect("set when the module started").0;
        std
    }
}

/// Frees an object. What is Rust's goes first: giving up a value may run PHP code, out of which Zend may jump.
unsafe extern "C" fn free<P: Part>(object: *mut zend_object) {
    // SAFETY: Zend frees an object once, when nobody can reach it any more.
    unsafe {
        let part = of::<P>(object);
        part.leave();
        let mut held = *part.held();
        ptr::drop_in_place(&raw mut *part);
        ptr::write(part, P::fresh((*object).ce));
        for value in held.as_mut() {
            zend::release(*value);
        }
        zend_object_std_dtor(object);
    }
}

/// Shows the garbage collector what the object holds.
unsafe extern "C" fn collectable<P: Part>(
    object: *mut zend_object,
    table: *mut *mut zval,
    count: *mut i32,
) -> *mut HashTable {
    // SAFETY: Zend asks for what a live object holds; all of it stays in place while the collector looks.
    unsafe {
        let held = of::<P>(object).held().as_mut();
        *table = held.as_mut_ptr().cast();
        *count = i32::try_from(held.len()).unwrap_or_default();
        zend_std_get_properties(object)
    }
}
