//! The methods of the table on pipelines and transactions: each adds its command to what will be sent.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::command::{self, Command, Shape};

use super::class::{Handler, Method, optional, required};
use super::command_object::{self, Written, object_argument};
use super::commands::{self, guarded};
use super::elements::Elements;
use super::process::hands;
use super::queue::{Phase, Sort, of};
use super::signature::{ARRAY, OBJECT, STRING};
use super::signatures::SIGNATURES;
use super::values::upper;
use super::zend::{self, Value};
use super::{called, custom, exceptions, factory, pipeline, transaction};

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
    all.extend([
        Method::new("__call", call, const { &[required(c"name").of(STRING), required(c"arguments").of(ARRAY)] }),
        Method::new("executeCommand", execute_command, const { &[required(c"command").of(OBJECT)] }),
        Method::new(
            "createCommand",
            create_command,
            const { &[required(c"name").of(STRING), optional(c"arguments").of(ARRAY).or(c"[]")] },
        )
        .returning(OBJECT),
        Method::new("getCommandFactory", get_factory, &[]).returning(OBJECT),
    ]);
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
        if !transaction::is_ready(object) {
            return;
        }
        let Some(client) = of(object).client_object() else { return };
        if custom::has_a_say(client) {
            let list = custom::list_of(zend::arguments(call));
            let taken = enqueue_custom(object, row.method.as_bytes(), &list, return_value)
                || custom::leaves_raw(client) && enqueue_words(object, row.name.as_bytes(), &list, return_value);
            zend::release(list);
            if taken {
                return;
            }
        }
        if let Some(shape) = commands::write(row, zend::arguments(call), || of(object).prefix()) {
            add(object, &Written::plain(Some(row), shape), return_value);
        }
    }
}

/// Adds the command of a name that the user has said something about. False if that is not so.
#[cold]
unsafe fn enqueue_custom(object: *mut zend_object, name: &[u8], list: &Value, return_value: *mut zval) -> bool {
    // SAFETY: by the callers: a live object of one of the two classes, and an array that they keep alive.
    unsafe {
        let Some(client) = of(object).client_object() else { return true };
        let Some(made) = custom::made_for(client, name, list) else { return false };
        if let Some(made) = made {
            add_object(object, made.value.obj, return_value);
            zend::release(made);
        }
        true
    }
}

/// Adds a command of any name. Always true: if not that, then something was thrown.
unsafe fn enqueue_words(object: *mut zend_object, name: &[u8], list: &Value, return_value: *mut zval) -> bool {
    // SAFETY: as in `enqueue_custom`.
    unsafe {
        let words = Elements::of(list).map(|(_, word)| word);
        if let Some(row) = commands::write_words(name, words, of(object).prefix()) {
            add(object, &Written::plain(row, Shape::Plain), return_value);
        }
        true
    }
}

/// `executeCommand(object $command)`: adds a command object's command.
extern "C" fn execute_command(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame, which keeps both objects alive.
    guarded(|| unsafe {
        let object = zend::this(call);
        if let Some(command) = object_argument(call)
            && transaction::is_ready(object)
        {
            add_object(object, command, return_value);
        }
    });
}

/// `createCommand(string $name, array $arguments = [])`: as by the client.
extern "C" fn create_command(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_command`; the object keeps the client alive.
    guarded(|| unsafe {
        if let Some(client) = of(zend::this(call)).client_object() {
            custom::create_by(client, zend::arguments(call), return_value);
        }
    });
}

/// `getCommandFactory()`: that of the client.
extern "C" fn get_factory(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `create_command`.
    guarded(|| unsafe {
        if let Some(client) = of(zend::this(call)).client_object() {
            return_value.cast::<Value>().write(factory::of(client));
        }
    });
}

/// Adds a command object's command, or runs it where commands run at once.
///
/// # Safety
/// Both objects are live and stay so. PHP code may run.
unsafe fn add_object(object: *mut zend_object, command: *mut zend_object, return_value: *mut zval) {
    // SAFETY: by the caller. What the object's code has done to the queue is looked at when it has run.
    unsafe {
        let Some(client) = of(object).client_object() else { return };
        if let Some(written) = command_object::write(client, command) {
            add(object, &written, return_value);
            written.release();
        }
    }
}

/// Adds the command that stands in this thread's frame, or runs it where commands run at once.
///
/// # Safety
/// The object is one of ours and stays alive; no PHP code ran since the command was written.
unsafe fn add(object: *mut zend_object, written: &Written, return_value: *mut zval) {
    // SAFETY: by the caller.
    unsafe {
        let queue = of(object);
        queue.forget_if_left();
        let Some(client) = queue.client_object() else { return };
        if queue.runs_at_once() {
            command_object::run(client, written, return_value);
            return;
        }
        if queue.sort() == Sort::Transaction && queue.phase == Phase::Fresh {
            let text = "the transaction ended while the arguments of a command for it were made";
            exceptions::throw_misuse("", text);
            return;
        }
        let shape = written.shape.under(commands::speaks_resp3(client));
        let atomic = queue.is_atomic();
        if atomic && queue.batch.is_empty() {
            queue.batch.open();
        }
        let frame = &mut hands().desk.frame;
        let pushed = match written.script() {
            Some(text) => queue.batch.push_script(frame, text, shape),
            None => queue.batch.push(frame, written.row, shape),
        };
        if let Err(failure) = pushed {
            exceptions::throw(&failure);
            return;
        }
        if let Some(reader) = written.reader {
            queue.hand_last_to(reader);
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
            if name.eq_ignore_ascii_case(b"push") {
                exceptions::throw_misuse("", "push() is no command: call it on the client itself");
                return;
            }
            if !transaction::is_ready(object) {
                return;
            }
            let has_a_say = of(object).client_object().is_some_and(|client| custom::has_a_say(client));
            if has_a_say && enqueue_custom(object, name, list, return_value) {
                return;
            }
            let name = upper(name);
            enqueue_words(object, zend::bytes_of(&name), list, return_value);
            zend::release(name);
        }
    });
}
