//! `ResilientRedis\Transaction`: commands that are applied together, or not at all if a watched key has changed.
//!
//! Commands are collected here and sent between MULTI and EXEC in one write. With `cas` they run at once until
//! `multi()`, on the connection that watches the keys.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::client::{Client, Failure, Kind};
use crate::command::{self, Shape};
use crate::resp::ValueSink;

use super::class::{Method, optional, variadic};
use super::commands::{self, guarded};
use super::methods::is_callable;
use super::pipeline::{Block, aborted, execute_block, first_error, server_error, throw_with_replies};
use super::process::hands;
use super::queue::{self, Phase, Queue, Sort};
use super::signature::{ARRAY, CALLABLE, INT, NULL, STATIC, STRING};
use super::zend::{self, Value};
use super::{called, class, events, exceptions, readers, response};

/// Its own methods.
pub fn table() -> Vec<Method> {
    vec![
        Method::new("execute", execute_method, const { &[optional(c"callable").of(CALLABLE | NULL)] })
            .returning(ARRAY | NULL),
        Method::new("exec", execute_method, const { &[optional(c"callable").of(CALLABLE | NULL)] })
            .returning(ARRAY | NULL),
        Method::new("multi", multi, &[]).returning(STATIC),
        Method::new("discard", discard, &[]).returning(STATIC),
        Method::new("watch", watch, const { &[variadic(c"keys").of(ARRAY | STRING | INT)] }).returning(STRING),
        Method::new("unwatch", unwatch, &[]).returning(STATIC),
    ]
}

/// Begins, if that has not happened: watches the keys of option `watch`. False if that was thrown, or that it was closed.
/// Pipelines have nothing to begin with.
///
/// # Safety
/// The object is one of ours and stays alive; nothing of it and nothing of the thread's hands is borrowed.
pub unsafe fn is_ready(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. PHP code may run after the WATCH (a listener's): the object is reached anew.
    unsafe {
        let queue = queue::of(object);
        if !queue.is_open() {
            return false;
        }
        if queue.sort() == Sort::Pipeline || queue.phase != Phase::Fresh {
            return true;
        }
        let begins = if queue.options.check_and_set { Phase::CheckAndSet } else { Phase::Queueing };
        if let Some(words) = &queue.options.watch {
            hands().desk.frame.load(words);
            if !watch_now(object) {
                return false;
            }
        }
        queue::of(object).phase = begins;
        true
    }
}

/// Runs the WATCH in the thread's frame.
unsafe fn watch_now(object: *mut zend_object) -> bool {
    // SAFETY: as in `is_ready`.
    unsafe {
        let Some(client) = queue::of(object).client_object() else { return false };
        let mut reply = zend::null();
        commands::run(client, command::find(b"WATCH"), Shape::Plain, reply.as_zval());
        // A client that throws no errors gives them as objects; without its watch nothing may be queued.
        if zend::type_of(&reply) == zend::IS_OBJECT {
            let failure = server_error(&response::text_of(reply.value.obj));
            exceptions::throw(&Failure { command: "WATCH".to_owned(), ..failure });
        }
        zend::release(reply);
        let fine = !zend::has_exception();
        if fine {
            queue::of(object).watch = class::of(client).client.as_deref().and_then(Client::watch);
        }
        fine
    }
}

/// Forgets what was collected and ends the watch. An exception that is pending stays.
unsafe fn give_up(object: *mut zend_object) {
    // SAFETY: by the callers, whose object is a transaction. PHP code runs at the end at most.
    unsafe {
        let queue = queue::of(object);
        queue.batch.clear();
        queue.phase = Phase::Fresh;
        end_watch(queue);
        let readers = queue.take_readers();
        zend::release(readers);
    }
}

/// Ends the watch that the transaction began, if it lasts.
unsafe fn end_watch(queue: &mut Queue) {
    // SAFETY: as in `give_up`.
    unsafe {
        let Some(began) = queue.watch.take() else { return };
        if let Some(client) = queue.client()
            && client.watch() == Some(began)
        {
            let hands = hands();
            hands.desk.frame.begin();
            hands.desk.frame.word(b"UNWATCH");
            hands.desk.frame.end();
            if client.run(&mut hands.desk, command::find(b"UNWATCH"), &mut ValueSink::default()).is_err() {
                // The connection is gone, and its watch with it.
                client.abandon_transaction();
            }
        }
    }
}

extern "C" fn execute_method(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe {
        let callable = zend::arguments(call).first().map(zend::deref);
        execute(zend::this(call), callable.filter(|value| zend::type_of(value) != zend::IS_NULL), return_value);
    });
}

/// Runs the callable, if there is one, then EXEC. The replies are returned; null if nothing was collected.
///
/// # Safety
/// The object is a transaction that stays alive; nothing of it is borrowed.
pub unsafe fn execute(object: *mut zend_object, callable: Option<&Value>, return_value: *mut zval) {
    // SAFETY: by the caller. The object is reached anew after PHP code has run.
    unsafe {
        let queue = queue::of(object);
        queue.forget_if_left();
        if !queue.is_open() {
            return;
        }
        let misuse = match callable {
            _ if queue.running => {
                Some("execute() and exec() are not possible inside of the transaction's own callable")
            }
            Some(callable) if !is_callable(callable) => Some("execute() takes a callable, or nothing"),
            Some(_) if queue.waiting() > 0 => Some("a callable is not possible after commands were queued"),
            None if queue.options.retry > 0 => Some("option `retry` needs a callable: what would be run again?"),
            _ => None,
        };
        if let Some(text) = misuse {
            if !queue.running {
                give_up(object);
            }
            exceptions::throw_misuse("EXEC", text);
            return;
        }
        let Some(client) = queue.client_object() else { return };
        let mut left = queue.options.retry;
        while attempt(object, callable, left > 0, return_value) == Attempt::Again {
            left -= 1;
            events::deliver(client);
        }
        events::deliver(client);
    }
}

/// How an attempt ended.
#[derive(PartialEq, Eq)]
enum Attempt {
    /// It is over: by a return value or by an exception.
    Over,
    /// It came to nothing, and may be made again.
    Again,
}

unsafe fn attempt(
    object: *mut zend_object,
    callable: Option<&Value>,
    may_repeat: bool,
    return_value: *mut zval,
) -> Attempt {
    // SAFETY: as in `execute`.
    unsafe {
        if let Some(callable) = callable
            && !(is_ready(object) && queue::call_back(object, callable) && queue::of(object).is_open())
        {
            give_up(object);
            let globals = ext_php_rs::ffi::ext_php_rs_executor_globals();
            // The connection that watches was lost while the callable read.
            if may_repeat && exceptions::is_aborted_transaction((*globals).exception) {
                zend::zend_clear_exception();
                return Attempt::Again;
            }
            return Attempt::Over;
        }
        if queue::of(object).waiting() == 0 {
            give_up(object);
            return Attempt::Over;
        }
        let block = execute_watched(object);
        let queue = queue::of(object);
        queue.phase = Phase::Fresh;
        // EXEC ends every watch, and so does the loss of the connection; what was never sent does not.
        end_watch(queue);
        let throws = queue.options.throws;
        if let Block::Executed(replies) = block {
            match first_error(&replies, 0).filter(|_| throws) {
                None if readers::read_replies(object, &replies, 0) => return_value.cast::<Value>().write(replies),
                None => zend::release(replies),
                Some((index, text)) => {
                    let failure = Failure { index: u32::try_from(index).ok(), ..server_error(&text) };
                    drop(text);
                    throw_with_replies(object, failure, replies, 0);
                }
            }
            return Attempt::Over;
        }
        let readers = queue.take_readers();
        let attempt = failed(object, block, may_repeat);
        zend::release(readers);
        attempt
    }
}

/// What follows from a MULTI with its EXEC that came to nothing.
unsafe fn failed(object: *mut zend_object, block: Block, may_repeat: bool) -> Attempt {
    // SAFETY: as in `attempt`. No PHP code runs.
    unsafe {
        match block {
            Block::Executed(_) => Attempt::Over,
            Block::Aborted if may_repeat => Attempt::Again,
            Block::Aborted => {
                let text = "the transaction has been aborted by the server: a watched key has changed";
                exceptions::throw_of_transaction(&aborted(text), object);
                Attempt::Over
            }
            Block::Refused(text) => {
                exceptions::throw_of_transaction(&aborted(&text), object);
                Attempt::Over
            }
            Block::Failed(failure) if may_repeat && failure.kind == Kind::AbortedTransaction => Attempt::Again,
            Block::Failed(failure) => {
                if !zend::has_exception() {
                    exceptions::throw_of_transaction(&failure, object);
                }
                Attempt::Over
            }
        }
    }
}

/// As `execute_block`, if the keys that it watches were watched all the time. The callable may not have noticed that they
/// were not: it may have caught what was thrown, or used the client itself.
unsafe fn execute_watched(object: *mut zend_object) -> Block {
    // SAFETY: as in `attempt`.
    unsafe {
        let queue = queue::of(object);
        let (began, Some(client)) = (queue.watch, queue.client()) else { return execute_block(object) };
        if began.is_none() || client.watch() == began {
            return execute_block(object);
        }
        queue.batch.clear();
        let text = "the transaction was not sent: the watch of its keys had ended, since its connection was lost or \
                    another transaction of this client was executed";
        Block::Failed(Box::new(aborted(text)))
    }
}

/// From here on commands are collected.
extern "C" fn multi(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_method`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if is_ready(object) {
            queue::of(object).phase = Phase::Queueing;
            return_value.cast::<Value>().write(zend::reference_to(object));
        }
    });
}

/// Forgets what was collected, and ends all watches. What follows is collected, also with `cas`.
extern "C" fn discard(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_method`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if !queue::of(object).is_open() {
            return;
        }
        let begun = queue::of(object).phase != Phase::Fresh;
        give_up(object);
        if begun {
            queue::of(object).options.check_and_set = false;
        }
        return_value.cast::<Value>().write(zend::reference_to(object));
    });
}

/// Watches keys: before anything was collected.
extern "C" fn watch(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_method`; the keys are kept alive by the call.
    guarded(|| unsafe {
        let object = zend::this(call);
        if !queue::of(object).is_open() {
            return;
        }
        if queue::of(object).phase == Phase::Queueing {
            exceptions::throw_misuse("WATCH", "WATCH is not possible after MULTI");
            return;
        }
        let Some(row) = command::find(b"WATCH").filter(|row| !called::has_unknown_names(call, row.name)) else {
            return;
        };
        let written = commands::write(row, zend::arguments(call), || queue::of(object).prefix());
        if written.is_some() && watch_now(object) {
            return_value.cast::<Value>().write(zend::string(b"OK"));
        }
    });
}

/// Ends all watches.
extern "C" fn unwatch(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_method`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let queue = queue::of(object);
        if !queue.is_open() {
            return;
        }
        let (phase, batch, readers) = (queue.phase, std::mem::take(&mut queue.batch), queue.take_readers());
        give_up(object);
        let queue = queue::of(object);
        queue.phase = phase;
        queue.batch = batch;
        *queue.readers() = readers;
        return_value.cast::<Value>().write(zend::reference_to(object));
    });
}
