//! What a user says about the names of commands (option `commands`): classes of his own, commands taken away, everything
//! left raw.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::command::{self, Command, Shape};
use crate::config::CommandSet;

use super::asked::{self, Asked};
use super::class;
use super::command_object::execute;
use super::commands::{self, guarded, unconstructed};
use super::values::{ArrayBuilder, upper};
use super::zend::{self, Value};
use super::{exceptions, factory, objects, raw_command};

unsafe fn set_of<'a>(client: *mut zend_object) -> Option<&'a CommandSet> {
    // SAFETY: by the callers: a live object of our class, which stays so. Its configuration stays as it is.
    unsafe { class::of(client) }.client.as_deref().map(|client| &client.configuration().commands)
}

/// Whether names of commands have to be looked up in what the user has said.
///
/// # Safety
/// The object is a live one of the client's class.
#[inline]
pub unsafe fn has_a_say(client: *mut zend_object) -> bool {
    // SAFETY: by the caller.
    unsafe { class::of(client) }.names_commands
}

/// Whether words and replies of the client are left as they are.
///
/// # Safety
/// As for [`has_a_say`].
pub unsafe fn leaves_raw(client: *mut zend_object) -> bool {
    // SAFETY: by the caller.
    unsafe { set_of(client) }.is_some_and(|set| set.is_raw)
}

/// Asks for option `commands`: a callable.
///
/// # Safety
/// Both values are alive, and stay so while PHP code runs.
pub unsafe fn ask(options: &Value, commands: &Value) -> Asked {
    // SAFETY: by the caller.
    let asked = unsafe { asked::call(options, commands) };
    if let Asked::Given(given) = &asked
        && zend::type_of(given) == zend::IS_NULL
    {
        // Null alone would stand for an option that was not given.
        exceptions::throw_configuration("commands: the callable gave null; accepted is what the option takes itself");
        return Asked::Thrown;
    }
    asked
}

/// In place of a command of the table, if the user has said something about its name. False if not.
///
/// # Safety
/// As for the method of the table: a live object of the client's class, and the arguments of the call.
#[cold]
pub unsafe fn call_in_place_of(
    client: *mut zend_object,
    row: &'static Command,
    words: &[Value],
    return_value: *mut zval,
) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let Some(set) = set_of(client) else { return false };
        if set.is_raw {
            if commands::write_words(row.name.as_bytes(), words.iter().map(zend::deref), b"").is_some() {
                commands::run(client, Some(row), Shape::Plain, return_value);
            }
            return true;
        }
        if set.class(row.method.as_bytes()).is_none() {
            return false;
        }
        let list = list_of(words);
        call_by_name(client, row.method.as_bytes(), &list, return_value);
        zend::release(list);
        true
    }
}

/// Runs the command of a name that the user has said something about. False if that is not so.
///
/// # Safety
/// A live object of the client's class; the name and the list, an array, are kept alive by the caller.
#[cold]
pub unsafe fn call_by_name(client: *mut zend_object, name: &[u8], list: &Value, return_value: *mut zval) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let Some(made) = made_for(client, name, list) else { return false };
        if let Some(made) = made {
            execute(client, made.value.obj, return_value);
            zend::release(made);
        }
        true
    }
}

/// The command object for a name that the user has said something about; `None` if he has not, `Some(None)` if something
/// was thrown.
///
/// # Safety
/// As for [`call_by_name`].
#[cold]
pub unsafe fn made_for(client: *mut zend_object, name: &[u8], list: &Value) -> Option<Option<Value>> {
    // SAFETY: by the caller.
    unsafe {
        set_of(client)?.class(name)?;
        Some(create(client, name, list))
    }
}

/// The arguments of a call as a PHP array.
///
/// # Safety
/// The values are live.
pub unsafe fn list_of(words: &[Value]) -> Value {
    let mut list = ArrayBuilder::new();
    for word in words {
        // SAFETY: by the caller; the list takes over a reference of its own.
        list.push(unsafe { zend::hold(zend::deref(word)) });
    }
    list.build()
}

/// The row of a command, by its name or by its method's.
fn row_of(name: &[u8]) -> Option<&'static Command> {
    command::find(name).or_else(|| command::all().iter().find(|row| row.method.as_bytes().eq_ignore_ascii_case(name)))
}

/// Whether the client knows a command of this name.
///
/// # Safety
/// A live object of the client's class.
pub unsafe fn knows(client: *mut zend_object, name: &[u8]) -> bool {
    // SAFETY: by the caller.
    let set = unsafe { set_of(client) };
    match set.and_then(|set| set.class(name)) {
        Some(class) => class.is_some(),
        None => row_of(name).is_some() || set.is_some_and(|set| set.is_raw),
    }
}

/// A command object: of the user's class, or one of ours. `None` if something was thrown.
///
/// # Safety
/// As for [`call_by_name`].
unsafe fn create(client: *mut zend_object, name: &[u8], list: &Value) -> Option<Value> {
    // SAFETY: by the caller. Classes may be loaded and run; the class's name stands in the client's configuration.
    unsafe {
        let Some(set) = set_of(client) else {
            unconstructed();
            return None;
        };
        match set.class(name) {
            Some(Some(class)) => {
                let made = objects::make(class, name)?;
                let Some(nothing) = objects::call(made.value.obj, "setArguments", &mut [zend::hold(list)]) else {
                    zend::release(made);
                    return None;
                };
                zend::release(nothing);
                Some(made)
            }
            Some(None) => {
                let name = String::from_utf8_lossy(name).to_ascii_uppercase();
                let text = format!("{name} is no command of this client: option `commands` takes it away");
                exceptions::throw_misuse(&name, &text);
                None
            }
            None => {
                let row = row_of(name).filter(|_| !set.is_raw);
                let sent = row.map_or_else(|| upper(name), |row| zend::string(row.name.as_bytes()));
                raw_command::make(sent, row, list)
            }
        }
    }
}

/// `createCommand(string $name, array $arguments = [])`
pub extern "C" fn create_command(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame, which keeps the object alive.
    guarded(|| unsafe { create_by(zend::this(call), zend::arguments(call), return_value) });
}

/// Creates a command of a name, with a list of arguments.
///
/// # Safety
/// A live object of the client's class, and the arguments of the call that we are in.
pub unsafe fn create_by(client: *mut zend_object, arguments: &[Value], return_value: *mut zval) {
    // SAFETY: by the caller.
    unsafe {
        let none = zend::empty_array();
        let name = arguments.first().map(zend::deref).filter(|name| zend::type_of(name) == zend::IS_STRING);
        let list = arguments.get(1).map_or(&none, zend::deref);
        let Some(name) = name.filter(|_| zend::type_of(list) == zend::IS_ARRAY) else {
            exceptions::throw_misuse("", "a command is created by its name and an array of arguments");
            return;
        };
        if let Some(made) = create(client, zend::bytes_of(name), list) {
            return_value.cast::<Value>().write(made);
        }
    }
}

/// `getCommandFactory()`
pub extern "C" fn get_factory(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `create_command`.
    guarded(|| unsafe { return_value.cast::<Value>().write(factory::of(zend::this(call))) });
}
