//! Containers: `$redis->acl->whoami()` for `$redis->acl('WHOAMI')`.

use std::array;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{ZEND_ACC_FINAL, zend_class_entry, zend_execute_data, zend_object, zval};

use crate::command::{self, Command};

use super::called;
use super::class::{self, Method};
use super::commands::{self, guarded};
use super::elements::Elements;
use super::exceptions;
use super::native::{self, Handlers, Part};
use super::signature::{ARRAY, STRING, required};
use super::zend::{self, Value};

/// A container of a client.
struct Container {
    /// The client.
    client: Value,
    /// The command that has the subcommands; `None` if somebody made the object with `new`.
    row: Option<&'static Command>,
}

impl Part for Container {
    type Held = [Value; 1];

    fn fresh(_: *mut zend_class_entry) -> Container {
        Container { client: zend::null(), row: None }
    }

    fn held(&mut self) -> &mut [Value; 1] {
        array::from_mut(&mut self.client)
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }
}

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let methods = [
        Method::new("__call", call, const { &[required(c"name").of(STRING), required(c"arguments").of(ARRAY)] }),
        Method::new("getContainerCommandId", get_command_id, &[]).returning(STRING),
    ];
    // SAFETY: the module is starting.
    unsafe {
        let registered = native::register::<Container>("ResilientRedis\\Container", &methods, ZEND_ACC_FINAL);
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
    // SAFETY: by the caller.
    unsafe { native::of(object) }
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
        let Some((name, list)) = called::by_magic(call) else { return };
        let subcommand = command::subcommand_of_method(row, name);
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
