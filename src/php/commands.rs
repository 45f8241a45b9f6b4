//! One method per row of the command table, and one dispatch for all of them.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::client::Kind;
use crate::command::{self, Arguments, Command, Shape};
use crate::config::Protocol;

use super::arguments::{self, Unfit};
use super::class::{self, Handler, Method};
use super::elements::Elements;
use super::process::hands;
use super::replies::{self, PhpSink};
use super::signatures::SIGNATURES;
use super::values::{Copies, upper};
use super::zend::{self, Value};
use super::{called, credentials, custom, events, exceptions, monitor, objects, response};

const _: () = assert!(SIGNATURES.len() == command::COMMANDS.len());

macro_rules! handlers {
    ($($index:literal)*) => { [$(handle::<$index> as Handler),*] };
}

/// A handler per row: the row is part of the function, so that nothing is looked up when it is called.
static HANDLERS: [Handler; command::COMMANDS.len()] = crate::command::with_command_indices!(handlers);

/// The methods of the table.
pub fn table() -> Vec<Method> {
    // What MONITOR brings is no reply: it has an object of its own.
    let handler = |name: &CStr, own: Handler| if name == c"monitor" { monitor::open } else { own };
    let rows = SIGNATURES.into_iter().zip(HANDLERS);
    rows.map(|(signature, own)| Method::ready(signature, handler(signature.0, own))).collect()
}

extern "C" fn handle<const INDEX: usize>(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
        unsafe {
            let words = zend::arguments(call);
            if called::has_unknown_names(call, command::at(INDEX).name) {
                return;
            }
            dispatch(call, command::at(INDEX), words, return_value);
        }
    });
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
        let object = zend::this(call);
        if custom::has_a_say(object) && custom::call_in_place_of(object, row, words, return_value) {
            return;
        }
        if !write_row(row, words, || prefix_of(object)) {
        } else if has_settled_shape(row) {
            run_settled(object, Some(row), row.reply, return_value);
        } else {
            run(object, Some(row), shape_of(row, words), return_value);
        }
    }
}

/// The prefix of the client's keys; empty if it has none.
///
/// # Safety
/// The object is one of our class, and stays alive as long as the prefix is used.
#[inline]
pub unsafe fn prefix_of<'a>(object: *mut zend_object) -> &'a [u8] {
    // SAFETY: by the caller; a client stays with its object, and its configuration as it is.
    let client = unsafe { class::of(object) }.client.as_deref();
    client.map_or(&[], |client| client.configuration().prefix.as_bytes())
}

/// Writes a command of the table into this thread's frame, with the prefix in front of its keys. Gives the shape of its
/// reply, or throws.
///
/// # Safety
/// `words` are values that stay alive and unchanged until this returns.
pub unsafe fn write<'a>(
    row: &'static Command,
    words: &mut [Value],
    prefix: impl FnOnce() -> &'a [u8],
) -> Option<Shape> {
    // SAFETY: by the caller.
    let written = unsafe { write_row(row, words, prefix) };
    written.then(|| if has_settled_shape(row) { row.reply } else { shape_of(row, words) })
}

/// Writes a command of the table into this thread's frame. False if something was thrown.
///
/// # Safety
/// As for [`write`].
#[inline]
unsafe fn write_row<'a>(row: &'static Command, words: &mut [Value], prefix: impl FnOnce() -> &'a [u8]) -> bool {
    let all_words = match arguments::settle(words) {
        Ok(all_words) => all_words,
        Err(unfit) => {
            refuse(row.name, unfit);
            return false;
        }
    };
    // SAFETY: no PHP code runs from here on, so nothing else takes the hands.
    let frame = unsafe { &mut hands().desk.frame };
    frame.begin();
    frame.word(row.name.as_bytes());
    let prefix = prefix();
    let encoded = if prefix.is_empty() {
        arguments::encode(frame, words, row.arguments)
    } else {
        arguments::encode_prefixed(frame, words, row, prefix)
    };
    if let Err(unfit) = encoded {
        refuse(row.name, unfit);
        return false;
    }
    frame.end();
    if !all_words && let Err(unfit) = arguments::check_number(frame, row) {
        refuse(row.name, unfit);
        return false;
    }
    true
}

/// Whether the row alone says what the reply becomes.
#[inline]
fn has_settled_shape(row: &Command) -> bool {
    row.reply.is_settled() && row.subcommands.is_empty()
}

/// Runs the command that stands in this thread's frame, whatever its reply becomes.
///
/// # Safety
/// The object is a live one of our class and stays so; the return value is initialised and holds nothing.
#[cold]
pub unsafe fn run(object: *mut zend_object, row: Option<&'static Command>, shape: Shape, return_value: *mut zval) {
    // SAFETY: by the caller. Events may run PHP code; nobody but us has the return value yet.
    unsafe {
        let shape = shape.under(speaks_resp3(object));
        run_settled(object, row, shape, return_value);
        if shape.is_made_over() {
            replies::make_over(shape, &mut *return_value.cast::<Value>());
        }
    }
}

/// Whether replies to this client are of RESP3.
///
/// # Safety
/// The object is a live one of our class.
pub unsafe fn speaks_resp3(object: *mut zend_object) -> bool {
    // SAFETY: by the caller.
    let client = unsafe { class::of(object) }.client.as_deref();
    client.is_some_and(|client| client.configuration().protocol == Protocol::Resp3)
}

/// Runs the script that stands in this thread's frame by its digest, and whose text this is.
///
/// # Safety
/// As for [`run`]; the text stays as it is meanwhile.
pub unsafe fn run_script(object: *mut zend_object, text: &[u8], return_value: *mut zval) {
    // SAFETY: by the caller; no PHP code runs between the two.
    unsafe {
        let row = match class::of(object).client.as_deref_mut() {
            Some(client) => client.take_script(&mut hands().desk, text),
            None => None,
        };
        run_settled(object, row, Shape::Plain, return_value);
    }
}

/// Runs the command that stands in this thread's frame. Its reply is built as it is read, and then complete. (All ways
/// lead through here: what is called from one place only can be a part of it.)
///
/// # Safety
/// As for [`run`].
#[inline(never)]
unsafe fn run_settled(object: *mut zend_object, row: Option<&'static Command>, shape: Shape, return_value: *mut zval) {
    // SAFETY: by the caller. PHP code does not run before the events.
    unsafe {
        let mut asked = false;
        loop {
            let Some(client) = class::of(object).client.as_deref_mut() else {
                unconstructed();
                return;
            };
            let hands = hands();
            let mut sink = PhpSink::new(&mut hands.building, return_value.cast::<Value>(), shape);
            let result = client.run(&mut hands.desk, row, &mut sink);
            if credentials::are_wanted(&result) {
                drop(result);
                asked = true;
                if credentials::ask(object) {
                    continue;
                }
                break;
            }
            let is_raw = hands.desk.has_manner() && hands.desk.end_manner();
            if let Err(failure) = result {
                crate::resp::Sink::reset(&mut sink);
                match failure.kind {
                    Kind::Server(_) if is_raw || !client.configuration().throws() => {
                        return_value.cast::<Value>().write(response::error(failure.message.as_bytes()));
                    }
                    _ => exceptions::throw(&failure),
                }
            }
            break;
        }
        if asked {
            credentials::done(object);
        }
        events::deliver(object);
    }
}

/// The shape of the reply to the command that stands in this thread's frame, made of these arguments.
#[cold]
fn shape_of(row: &Command, arguments: &[Value]) -> Shape {
    // SAFETY: nothing else takes the hands before the command runs.
    let shape = command::shape(row, &unsafe { hands() }.desk.frame.words());
    // Whether the text is wanted is not said to the server.
    let last = arguments.get(2).map(zend::deref);
    if shape == Shape::Json && last.is_some_and(|last| zend::type_of(last) == zend::IS_TRUE) {
        return Shape::Plain;
    }
    shape
}

/// `__call`: commands that the table does not have.
pub extern "C" fn call(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls `__call` with a name and an array of arguments.
        unsafe {
            let Some((name, list)) = called::by_magic(call) else { return };
            let client = zend::this(call);
            if custom::has_a_say(client) && custom::call_by_name(client, name, list, return_value) {
                return;
            }
            let name = upper(name);
            let words = Elements::of(list).map(|(_, value)| value);
            let written = write_words(zend::bytes_of(&name), words, prefix_of(client));
            zend::release(name);
            if let Some(row) = written {
                run(client, row, Shape::Plain, return_value);
            }
        }
    });
}

/// `executeRaw(array $words, &$error = null)`: a list of words, sent as they are. An error of the server is returned as
/// text, and said by `$error`.
pub extern "C" fn execute_raw(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method with its frame.
        unsafe {
            let arguments = zend::arguments(call);
            let list = arguments.first().map(zend::deref).filter(|list| zend::type_of(list) == zend::IS_ARRAY);
            let first = list.and_then(|list| Some((list, Elements::of(list).next()?.1)));
            let Some((list, name)) = first.filter(|(_, name)| zend::type_of(name) == zend::IS_STRING) else {
                let text = "executeRaw takes one list of words, of which the first is the command's name";
                exceptions::throw_misuse("executeRaw", text);
                return;
            };
            let words = Elements::of(list).skip(1).map(|(_, word)| word);
            let Some(row) = write_words(zend::bytes_of(name), words, b"") else { return };
            if class::of(zend::this(call)).client.is_some() {
                hands().desk.take_raw();
            }
            run_settled(zend::this(call), row, Shape::Plain, return_value);
            let reply = &mut *return_value.cast::<Value>();
            let is_refused = zend::type_of(reply) == zend::IS_OBJECT;
            if is_refused {
                let text = response::text_of(reply.value.obj);
                let error = std::mem::replace(reply, zend::string(text.as_bytes()));
                drop(text);
                zend::release(error);
            }
            if let Some(error) = arguments.get(1).filter(|_| !zend::has_exception()) {
                objects::assign(error, is_refused);
            }
        }
    });
}

/// Writes a command of any name into this thread's frame, with the prefix in front of its keys if the table has it. Gives
/// its row in the table, or throws.
///
/// # Safety
/// The name and the words are kept alive by the arguments of the call that we are in. PHP code may run before they are
/// written.
pub unsafe fn write_words<'a>(
    name: &[u8],
    words: impl Iterator<Item = &'a Value> + Clone,
    prefix: &[u8],
) -> Option<Option<&'static Command>> {
    // SAFETY: by the caller. `settle` replaces objects by strings and gives up the reference that it replaces, so
    // each copy has one of its own.
    unsafe {
        let mut words = Copies::of(words);
        let row = command::find(name);
        let settled = arguments::settle(words.get());
        let encoded = settled.and_then(|_| {
            let frame = &mut hands().desk.frame;
            frame.begin();
            frame.word(name);
            // A raw command is written as words already.
            let arguments = match row.map(|row| row.arguments) {
                Some(Arguments::Pairs) => Arguments::Pairs,
                _ => Arguments::Words,
            };
            arguments::encode(frame, words.get(), arguments)?;
            frame.end();
            if let Some(row) = row.filter(|_| !prefix.is_empty()) {
                arguments::put_prefix(frame, row, prefix);
            }
            Ok(())
        });
        words.release();
        match encoded {
            Ok(()) => Some(row),
            Err(unfit) => {
                refuse(&String::from_utf8_lossy(name).to_ascii_uppercase(), unfit);
                None
            }
        }
    }
}

/// Throws what is wrong with the arguments of a command, unless PHP code has thrown already.
pub fn refuse(command: &str, unfit: Unfit) {
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
