//! One method per row of the command table, and one dispatch for all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::command::{self, Arguments, Command, Shape};

use super::arguments::{self, Unfit};
use super::class::{self, Handler, Method};
use super::elements::Elements;
use super::process::hands;
use super::replies::PhpSink;
use super::signatures::SIGNATURES;
use super::zend::{self, Value};
use super::{events, exceptions};

const _: () = assert!(SIGNATURES.len() == command::COMMANDS.len());

macro_rules! handlers {
    ($($index:literal)*) => { [$(handle::<$index> as Handler),*] };
}

/// A handler per row: the row is part of the function, so that nothing is looked up when it is called.
static HANDLERS: [Handler; command::COMMANDS.len()] = crate::command::with_command_indices!(handlers);

/// The methods of the table.
pub fn table() -> Vec<Method> {
    SIGNATURES.into_iter().zip(HANDLERS).map(|(signature, handler)| Method::ready(signature, handler)).collect()
}

extern "C" fn handle<const INDEX: usize>(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
        unsafe {
            let words = zend::arguments(call);
            if zend::has_named_arguments(call) {
                refuse_names(command::at(INDEX));
                return;
            }
            dispatch(call, command::at(INDEX), words, return_value);
        }
    });
}

/// An argument was given by a name that is no parameter's. (For those that are, Zend has found their places.)
#[cold]
pub fn refuse_names(row: &Command) {
    let text = format!("{}: an argument was given by a name that the method's signature does not have", row.name);
    exceptions::throw_misuse(row.name, &text);
}

/// Runs a command of the table.
///
/// # Safety
/// `call` is the frame of a method call on an object of our class; `words` are argument slots of it or values that
/// stay alive and unchanged until this returns.
#[inline]
unsafe fn dispatch(call: *mut zend_execute_data, row: &'static Command, words: &mut [Value], return_value: *mut zval) {
    // SAFETY: by the caller. No PHP code runs between the two.
    unsafe {
        if let Some(shape) = write(row, words) {
            run(zend::this(call), Some(row), shape, return_value);
        }
    }
}

/// Writes a command of the table into this thread's frame. Gives the shape of its reply, or throws.
///
/// # Safety
/// `words` are values that stay alive and unchanged until this returns.
#[inline]
pub unsafe fn write(row: &'static Command, words: &mut [Value]) -> Option<Shape> {
    if let Err(unfit) = arguments::settle(words) {
        refuse(row.name, unfit);
        return None;
    }
    // SAFETY: no PHP code runs from here on, so nothing else takes the hands.
    let frame = unsafe { &mut hands().desk.frame };
    frame.begin();
    frame.word(row.name.as_bytes());
    if let Err(unfit) = arguments::encode(frame, words, row.arguments) {
        refuse(row.name, unfit);
        return None;
    }
    frame.end();
    if row.reply.depends_on_words() {
        return Some(command::shape(row, &frame.words()));
    }
    Some(if row.subcommands.is_empty() { row.reply } else { shape_of(row, words) })
}

/// Runs the command that stands in this thread's frame.
///
/// # Safety
/// The object is a live one of our class and stays so; the return value is initialised and holds nothing.
#[inline]
pub unsafe fn run(object: *mut zend_object, row: Option<&'static Command>, shape: Shape, return_value: *mut zval) {
    // SAFETY: by the caller. PHP code does not run before the events.
    unsafe {
        let Some(client) = class::of(object).client.as_deref_mut() else {
            unconstructed();
            return;
        };
        let hands = hands();
        let mut sink = PhpSink::new(&mut hands.building, return_value.cast::<Value>(), shape);
        let result = client.run(&mut hands.desk, row, &mut sink);
        if let Err(failure) = result {
            crate::resp::Sink::reset(&mut sink);
            exceptions::throw(&failure);
        }
        sink.close();
        events::deliver(object);
    }
}

/// The shape of a container's reply is its subcommand's.
fn shape_of(row: &Command, words: &[Value]) -> Shape {
    let Some(first) = words.first().map(zend::deref).filter(|word| zend::type_of(word) == zend::IS_STRING) else {
        return row.reply;
    };
    // SAFETY: the type says that it is a string.
    let name = unsafe { zend::bytes_of(first) };
    command::find_subcommand(row, name).map_or(row.reply, |sub| sub.reply)
}

/// Methods of Predis' client that are no commands: sent as such they would get an answer that explains nothing.
const LATER: [&str; 8] = [
    "pubSubLoop",
    "push",
    "getClientBy",
    "getOptions",
    "getConnection",
    "getCommandFactory",
    "createCommand",
    "executeCommand",
];

/// Whether this is a method of Predis that comes later; then that is thrown.
pub fn is_later(name: &[u8]) -> bool {
    let later = LATER.iter().any(|later| name.eq_ignore_ascii_case(later.as_bytes()));
    if later {
        let text = format!("{}() is not available in this version", String::from_utf8_lossy(name));
        exceptions::throw_not_supported(&text);
    }
    later
}

/// `__call`: commands that the table does not have.
pub extern "C" fn call(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls `__call` with a name and an array of arguments.
        unsafe {
            let [name, list] = zend::arguments(call) else { return };
            if zend::type_of(name) != zend::IS_STRING || zend::type_of(list) != zend::IS_ARRAY {
                exceptions::throw_misuse("__call", "__call takes a name and an array of arguments");
                return;
            }
            if is_later(zend::bytes_of(name)) {
                return;
            }
            let name = zend::bytes_of(name).to_ascii_uppercase();
            let arguments: Vec<Value> = Elements::of(list).map(|(_, value)| *value).collect();
            if let Some(row) = write_words(&name, arguments) {
                run(zend::this(call), row, Shape::Plain, return_value);
            }
        }
    });
}

/// `executeRaw`: a list of words, sent as they are.
pub extern "C" fn execute_raw(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method with its frame.
        unsafe {
            let words: Vec<Value> = match zend::arguments(call) {
                [list] if zend::type_of(list) == zend::IS_ARRAY => {
                    Elements::of(list).map(|(_, value)| *value).collect()
                }
                _ => Vec::new(),
            };
            let Some((first, rest)) = words.split_first().filter(|(first, _)| zend::type_of(first) == zend::IS_STRING)
            else {
                let text = "executeRaw takes one list of words, of which the first is the command's name";
                exceptions::throw_misuse("executeRaw", text);
                return;
            };
            let name = zend::bytes_of(first).to_owned();
            if let Some(row) = write_words(&name, rest.to_vec()) {
                run(zend::this(call), row, Shape::Plain, return_value);
            }
        }
    });
}

/// Writes a command of any name into this thread's frame. Gives its row if the table has it, or throws.
///
/// # Safety
/// The values are kept alive by the arguments of the call that we are in.
pub unsafe fn write_words(name: &[u8], mut words: Vec<Value>) -> Option<Option<&'static Command>> {
    // SAFETY: by the caller. `settle` replaces objects by strings and gives up the reference that it replaces, so
    // each copy gets one of its own first. A jump out of here costs the memory of a few words.
    unsafe {
        for word in &mut words {
            *word = zend::hold(word);
        }
        let row = command::find(name);
        let settled = arguments::settle(&mut words);
        let encoded = settled.and_then(|()| {
            let frame = &mut hands().desk.frame;
            frame.begin();
            frame.word(name);
            // A raw command is written as words already.
            let arguments = match row.map(|row| row.arguments) {
                Some(Arguments::Pairs) => Arguments::Pairs,
                _ => Arguments::Words,
            };
            arguments::encode(frame, &words, arguments)?;
            frame.end();
            Ok(())
        });
        words.drain(..).for_each(|word| zend::release(word));
        drop(words);
        match encoded {
            Ok(()) => Some(row),
            Err(unfit) => {
                refuse(&String::from_utf8_lossy(name).to_ascii_uppercase(), unfit);
                None
            }
        }
    }
}

fn refuse(command: &str, unfit: Unfit) {
    if let Unfit::Shape(text) = unfit {
        exceptions::throw_misuse(command, &format!("{command}: {text}"));
    }
}

/// A subclass has its own constructor and did not call ours.
pub fn unconstructed() {
    let text = "this ResilientRedis was not constructed: a subclass with a constructor of its own must call \
                parent::__construct()";
    exceptions::throw_misuse("", text);
}

/// Runs an entry from PHP. A panic must not unwind into Zend: it becomes an exception, and what was in hand is closed.
#[inline]
pub fn guarded(entry: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(entry)).is_err() {
        // SAFETY: the entry has ended, so nobody uses the hands.
        unsafe { hands().desk.sweep() };
        exceptions::throw_misuse(
            "",
            "an internal error in resilient_redis: please report it with the text on standard error",
        );
    }
}
