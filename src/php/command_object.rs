//! Command objects: those of the user's classes (option `commands`), of `createCommand()`, and Predis' own. What they are
//! is found out by their methods.
//!
//! Their code runs before the command is written and after its reply has come, never in between.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::command::{self, Command, Shape};

use super::class;
use super::commands::{self, guarded};
use super::elements::Elements;
use super::process::hands;
use super::values::upper;
use super::zend::{self, Value};
use super::{exceptions, objects, raw_command};

/// A command that stands in this thread's frame.
pub struct Written {
    /// The command's row, if the table has it.
    pub row: Option<&'static Command>,
    /// What the reply becomes before an object sees it.
    pub shape: Shape,
    /// A script's text, or null.
    pub text: Value,
    /// The command object that looks at the reply.
    pub reader: Option<*mut zend_object>,
    /// What the command was made of.
    made_of: [Value; 2],
}

impl Written {
    /// A command that no object stands behind.
    pub fn plain(row: Option<&'static Command>, shape: Shape) -> Written {
        Written { row, shape, text: zend::null(), reader: None, made_of: [zend::null(); 2] }
    }

    /// The text, if it is a script that is called by its digest.
    ///
    /// # Safety
    /// It was not released.
    pub unsafe fn script(&self) -> Option<&[u8]> {
        // SAFETY: by the caller; the type says that it is a string.
        (zend::type_of(&self.text) == zend::IS_STRING).then(|| unsafe { zend::bytes_of(&self.text) })
    }

    /// Gives up what the command was made of.
    ///
    /// # Safety
    /// Once; the frame is of no use any more: PHP code may run.
    pub unsafe fn release(&self) {
        for value in self.made_of.into_iter().chain([self.text]) {
            // SAFETY: the references are ours, and this is the end of them.
            unsafe { zend::release(value) };
        }
    }
}

/// Writes a command object's command into this thread's frame, with the client's prefix in front of its keys. `None` if
/// something was thrown.
///
/// # Safety
/// Both objects are live and stay so.
pub unsafe fn write(client: *mut zend_object, command: *mut zend_object) -> Option<Written> {
    // SAFETY: by the caller. PHP code may run until the words are written, and not from then on.
    unsafe {
        let class = (*command).ce;
        if !zend::has_method(class, "getid") || !zend::has_method(class, "getarguments") {
            exceptions::throw_misuse("", "a command object has the methods getId and getArguments");
            return None;
        }
        let id = objects::call(command, "getId", &mut [])?;
        let Some(list) = objects::call(command, "getArguments", &mut []) else {
            zend::release(id);
            return None;
        };
        let fine = zend::type_of(&id) == zend::IS_STRING && zend::type_of(&list) == zend::IS_ARRAY;
        let name = if fine { upper(zend::bytes_of(&id)) } else { zend::string(b"") };
        zend::release(id);
        let calls = matches!(zend::bytes_of(&name), b"EVALSHA" | b"EVALSHA_RO");
        let text = if calls && zend::has_method(class, "getscript") {
            objects::call(command, "getScript", &mut []).unwrap_or_else(zend::null)
        } else {
            zend::null()
        };
        let written = Written { text, made_of: [name, list], ..Written::plain(None, Shape::Plain) };
        if zend::has_exception() {
            written.release();
            return None;
        }
        if zend::bytes_of(&name).is_empty() || !matches!(zend::type_of(&text), zend::IS_NULL | zend::IS_STRING) {
            exceptions::throw_misuse(
                "",
                "a command object gives its name by getId and an array by getArguments; a script its text by getScript",
            );
            written.release();
            return None;
        }
        let reader = method_for(command, false).map(|_| command);
        let shaped = reader.is_none() && raw_command::is_shaped(command);
        let words = Elements::of(&list).map(|(_, word)| word);
        let Some(row) = commands::write_words(zend::bytes_of(&name), words, commands::prefix_of(client)) else {
            written.release();
            return None;
        };
        let shape = match row {
            Some(row) if shaped => command::shape(row, &hands().desk.frame.words()),
            _ => Shape::Plain,
        };
        Some(Written { row, shape, reader, ..written })
    }
}

/// The method by which an object looks at replies: what is written in PHP. Predis has one of its own for RESP3.
unsafe fn method_for(command: *mut zend_object, resp3: bool) -> Option<&'static str> {
    // SAFETY: by the callers: a live object.
    unsafe {
        if resp3 && objects::has_own_method(command, "parseresp3response") {
            return Some("parseResp3Response");
        }
        objects::has_own_method(command, "parseresponse").then_some("parseResponse")
    }
}

/// What the command object makes of its reply, which is taken over. An error stays one. `None` if something was thrown.
///
/// # Safety
/// Both objects are live and stay so. PHP code runs.
pub unsafe fn read(client: *mut zend_object, command: *mut zend_object, reply: Value) -> Option<Value> {
    // SAFETY: by the caller.
    unsafe {
        if zend::type_of(&reply) == zend::IS_OBJECT {
            return Some(reply);
        }
        match method_for(command, commands::speaks_resp3(client)) {
            Some(method) => objects::call(command, method, &mut [reply]),
            None => Some(reply),
        }
    }
}

/// Runs a command object.
///
/// # Safety
/// Both objects are live and stay so; the return value is initialised and holds nothing.
pub unsafe fn execute(client: *mut zend_object, command: *mut zend_object, return_value: *mut zval) {
    // SAFETY: by the caller. PHP code may run before the command is written, and after its reply has come.
    unsafe {
        if let Some(written) = write(client, command) {
            run(client, &written, return_value);
            written.release();
        }
    }
}

/// Runs the command that stands in this thread's frame.
///
/// # Safety
/// The client, and the object that looks at the reply, are live and stay so; the return value is initialised and holds
/// nothing.
pub unsafe fn run(client: *mut zend_object, written: &Written, return_value: *mut zval) {
    // SAFETY: by the caller. PHP code may run after the reply has come.
    unsafe {
        // What is queued has no reply to look at.
        let is_queueing = class::of(client).client.as_deref().is_some_and(|client| client.is_queueing());
        let reader = written.reader.filter(|_| !is_queueing);
        let mut reply = zend::null();
        match written.script() {
            Some(text) => commands::run_script(client, text, reply.as_zval()),
            None => commands::run(client, written.row, written.shape, reply.as_zval()),
        }
        if zend::has_exception() {
            zend::release(reply);
            return;
        }
        let read = match reader {
            Some(reader) => read(client, reader, reply),
            None => Some(reply),
        };
        if let Some(read) = read {
            return_value.cast::<Value>().write(read);
        }
    }
}

/// The one object that a method was called with. `None`, and that is thrown, if it is something else.
///
/// # Safety
/// `call` is the frame of a method call.
pub unsafe fn object_argument(call: *mut zend_execute_data) -> Option<*mut zend_object> {
    // SAFETY: by the caller; the type is looked at before the value.
    unsafe {
        let given = zend::arguments(call).first().map(zend::deref);
        let found = given.filter(|given| zend::type_of(given) == zend::IS_OBJECT).map(|given| given.value.obj);
        if found.is_none() {
            exceptions::throw_misuse("", "executeCommand takes a command object");
        }
        found
    }
}

/// `executeCommand(object $command)`
pub extern "C" fn execute_command(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame, which keeps both objects alive.
    guarded(|| unsafe {
        if let Some(command) = object_argument(call) {
            execute(zend::this(call), command, return_value);
        }
    });
}
