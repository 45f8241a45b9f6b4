//! Containers: `$redis->acl->whoami()` for `$redis->acl('WHOAMI')`.

use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    HashTable, ZEND_ACC_FINAL, ZEND_ACC_NOT_SERIALIZABLE, ext_php_rs_zend_object_alloc, object_properties_init,
    std_object_handlers, zend_class_entry, zend_execute_data, zend_object, zend_object_handlers, zend_object_std_dtor,
    zend_object_std_init, zend_register_internal_class_ex, zend_std_get_properties, zval,
};

use crate::command::{self, Command};

use super::class::{self, Method};
use super::commands::{self, guarded};
use super::elements::{Elements, Key};
use super::exceptions;
use super::signature::{ARRAY, STRING, required};
use super::zend::{self, Value};

/// A container of a client.
#[repr(C)]
struct Container {
    /// The client.
    client: Value,
    /// The command that has the subcommands; `None` if somebody made the object with `new`.
    row: Option<&'static Command>,
    std: zend_object,
}

struct Handlers(zend_object_handlers);

// SAFETY: written once while the module starts, before any thread of PHP's runs code; read-only after that.
unsafe impl Sync for Handlers {}
// SAFETY: as above; the pointers in it are functions.
unsafe impl Send for Handlers {}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();
static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers the class. Called once, while the module starts.
pub fn register() {
    HANDLERS.get_or_init(|| {
        // SAFETY: PHP's own handlers are a constant of its library; the copy is changed where we differ.
        let mut handlers = unsafe { ptr::read(&raw const std_object_handlers) };
        handlers.offset = i32::try_from(offset_of!(Container, std)).expect("a small object");
        handlers.free_obj = Some(free);
        handlers.get_gc = Some(collectable);
        handlers.clone_obj = None;
        Handlers(handlers)
    });
    let methods = [
        Method::new("__call", call, const { &[required(c"name").of(STRING), required(c"arguments").of(ARRAY)] }),
        Method::new("getContainerCommandId", get_command_id, &[]).returning(STRING),
    ];
    // SAFETY: the module is starting; the function table lives until Zend has copied it, and beyond.
    unsafe {
        let mut entry = class::new_entry("ResilientRedis\\Container");
        entry.info.internal.builtin_functions = class::function_table(&methods);
        let registered = zend_register_internal_class_ex(&raw mut entry, ptr::null_mut());
        (*registered).ce_flags |= ZEND_ACC_NOT_SERIALIZABLE | ZEND_ACC_FINAL;
        (*registered).__bindgen_anon_2.create_object = Some(create);
        class::hide_parameters(registered, "__call");
        CLASS.store(registered, Ordering::Relaxed);
    }
}

/// The container of a client for the subcommands of `row`.
///
/// # Safety
/// `client` is a live object of the client's class.
pub unsafe fn new(client: *mut zend_object, row: &'static Command) -> Value {
    let mut value = zend::null();
    // SAFETY: the class was registered, and makes an object of ours; it gets a reference to the client.
    unsafe {
        zend::object_init_ex(value.as_zval(), CLASS.load(Ordering::Relaxed));
        let container = of(value.value.obj);
        container.client = zend::reference_to(client);
        container.row = Some(row);
    }
    value
}

/// # Safety
/// The object is a container, and live; no other reference to our part of it is in use.
unsafe fn of<'a>(object: *mut zend_object) -> &'a mut Container {
    // SAFETY: by the caller; Zend's part stands at a fixed place behind ours.
    unsafe { &mut *object.byte_sub(offset_of!(Container, std)).cast::<Container>() }
}

/// The command and the client. `None`, and that is thrown, if there is none.
///
/// # Safety
/// `call` is the frame of a method call on a container.
unsafe fn parts(call: *mut zend_execute_data) -> Option<(&'static Command, *mut zend_object)> {
    // SAFETY: by the caller; a container with a row has a client.
    let container = unsafe { of(zend::this(call)) };
    match container.row {
        // SAFETY: as above.
        Some(row) => Some((row, unsafe { container.client.value.obj })),
        None => {
            exceptions::throw_misuse("", "a container is a property of a client, such as $redis->acl");
            None
        }
    }
}

extern "C" fn call(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls `__call` with a name and an array of arguments, and its frame keeps the container alive, which
    // keeps the client. `write` gives up the reference to what it replaces, so each word has one of its own. A jump out
    // of here costs the memory of a few words.
    guarded(|| unsafe {
        let Some((row, client)) = parts(call) else { return };
        let [name, list] = zend::arguments(call) else { return };
        if zend::type_of(name) != zend::IS_STRING || zend::type_of(list) != zend::IS_ARRAY {
            exceptions::throw_misuse("__call", "__call takes a name and an array of arguments");
            return;
        }
        if Elements::of(list).any(|(key, _)| matches!(key, Key::Name(_))) {
            exceptions::throw_misuse(row.name, "the methods of containers take no named arguments");
            return;
        }
        let subcommand = command::subcommand_of_method(row, zend::bytes_of(name));
        let mut words = vec![zend::string(&subcommand)];
        words.extend(Elements::of(list).map(|(_, value)| zend::hold(value)));
        let shape = commands::write(row, &mut words, || commands::prefix_of(client));
        words.drain(..).for_each(|word| zend::release(word));
        drop(words);
        if let Some(shape) = shape {
            commands::run(client, Some(row), shape, return_value);
        }
    });
}

extern "C" fn get_command_id(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame.
    guarded(|| unsafe {
        if let Some((row, _)) = parts(call) {
            return_value.cast::<Value>().write(zend::string(row.name.as_bytes()));
        }
    });
}

unsafe extern "C" fn create(class: *mut zend_class_entry) -> *mut zend_object {
    // SAFETY: Zend asks for an object of our class. The allocation has room for the class's properties behind Zend's
    // part, and every field of ours is written before anybody sees it.
    unsafe {
        let object = ext_php_rs_zend_object_alloc(size_of::<Container>(), class).cast::<Container>();
        (&raw mut (*object).client).write(zend::null());
        (&raw mut (*object).row).write(None);
        let std = &raw mut (*object).std;
        zend_object_std_init(std, class);
        object_properties_init(std, class);
        (*std).handlers = &raw const HANDLERS.get().expect("set when the module started").0;
        std
    }
}

unsafe extern "C" fn free(object: *mut zend_object) {
    // SAFETY: Zend frees an object once, when nobody can reach it any more.
    unsafe {
        zend::release(std::mem::replace(&mut of(object).client, zend::null()));
        zend_object_std_dtor(object);
    }
}

/// Shows the garbage collector the client.
unsafe extern "C" fn collectable(object: *mut zend_object, table: *mut *mut zval, count: *mut i32) -> *mut HashTable {
    // SAFETY: Zend asks for what the object holds; it stays in place while the collector looks.
    unsafe {
        *table = of(object).client.as_zval();
        *count = 1;
        zend_std_get_properties(object)
    }
}
