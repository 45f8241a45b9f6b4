//! The methods of the table on pipelines and transactions: each adds its command to what will be sent.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::command::{self, Command, Shape};

use super::class::{Handler, Method, required};
use super::commands::{self, guarded};
use super::elements::Elements;
use super::process::hands;
use super::queue::{Phase, Sort, of};
use super::signature::{ARRAY, STRING};
use super::signatures::SIGNATURES;
use super::zend::{self, Value};
use super::{called, exceptions, pipeline, transaction};

/// A pipeline is sent on its own accord when its commands take this much on the wire: so a million commands need no
/// more memory than their replies. (A transaction and an atomic pipeline cannot be cut in two.)
const CHUNK: usize = 16 * 1024 * 1024;

macro_rules! handlers {
    ($($index:literal)*) => { [$(handle::<$index> as Handler),*] };
}

/// As for the client: a handler per row, so that nothing is looked up when it is called.
static ROWS: [Handler; command::COMMANDS.len()] = crate::command::with_command_indices!(handlers);

/// The methods of the table but those that the class has itself, and `__call`.
pub fn table(own: &[Method]) -> Vec<Method> {
    let rows = command::all().iter().zip(SIGNATURES.into_iter().zip(ROWS));
    let rows = rows.filter(|(row, _)| !own.iter().any(|method| method.name() == row.method));
    let mut all: Vec<Method> = rows.map(|(_, (signature, handler))| Method::ready(signature, handler)).collect();
    all.push(Method::new("__call", call, const { &[required(c"name").of(STRING), required(c"arguments").of(ARRAY)] }));
    all
}

extern "C" fn handle<const INDEX: usize>(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe { enqueue(call, command::at(INDEX), return_value) });
}

/// Adds a command of the table. The object is returned, so that calls can be chained.
///
/// # Safety
/// `call` is the frame of a method call on an object of one of the two classes.
unsafe fn enqueue(call: *mut zend_execute_data, row: &'static Command, return_value: *mut zval) {
    // SAFETY: by the caller. PHP code may run while the words are settled: the object is reached anew after it.
    unsafe {
        if called::has_unknown_names(call, row.name) {
            return;
        }
        let object = zend::this(call);
        if transaction::is_ready(object)
            && let Some(shape) = commands::write(row, zend::arguments(call), || of(object).prefix())
        {
            add(object, Some(row), shape, return_value);
        }
    }
}

/// Adds the command that stands in this thread's frame.
///
/// # Safety
/// The object is one of ours and stays alive; no PHP code runs in the meantime.
unsafe fn add(object: *mut zend_object, row: Option<&'static Command>, shape: Shape, return_value: *mut zval) {
    // SAFETY: by the caller.
    unsafe {
        let queue = of(object);
        queue.forget_if_left();
        if queue.sort() == Sort::Transaction && queue.phase == Phase::CheckAndSet {
            if let Some(client) = queue.client_object() {
                commands::run(client, row, shape, return_value);
            }
            return;
        }
        let Some(client) = queue.client_object() else { return };
        let shape = shape.under(commands::speaks_resp3(client));
        let atomic = queue.is_atomic();
        if atomic && queue.batch.is_empty() {
            queue.batch.open();
        }
        if let Err(failure) = queue.batch.push(&hands().desk.frame, row, shape) {
            exceptions::throw(&failure);
            return;
        }
        if !atomic && queue.batch.size() >= CHUNK && !queue.batch.is_open() && !pipeline::flush(object) {
            return;
        }
        return_value.cast::<Value>().write(zend::reference_to(object));
    }
}

/// `__call`: commands that the table does not have.
extern "C" fn call(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls `__call` with a name and an array of arguments.
        unsafe {
            let object = zend::this(call);
            let Some((name, list)) = called::by_magic(call) else { return };
            if commands::is_later(name) || !transaction::is_ready(object) {
                return;
            }
            let name = name.to_ascii_uppercase();
            let words: Vec<Value> = Elements::of(list).map(|(_, value)| *value).collect();
            if let Some(row) = commands::write_words(&name, words, of(object).prefix()) {
                add(object, row, Shape::Plain, return_value);
            }
        }
    });
}
