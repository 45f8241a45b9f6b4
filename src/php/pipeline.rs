//! `ResilientRedis\Pipeline`: commands that are sent together, and their replies as a list.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::client::{Failure, Kind};

use super::class::{Method, optional};
use super::commands::guarded;
use super::elements::Elements;
use super::methods::is_callable;
use super::process::hands;
use super::queue;
use super::replies::PhpSink;
use super::signature::{ARRAY, BOOL, CALLABLE, NULL, STATIC};
use super::zend::{self, Value};
use super::{credentials, events, exceptions, readers, response};

/// Its own methods.
pub fn table() -> Vec<Method> {
    vec![
        Method::new("execute", execute_method, const { &[optional(c"callable").of(CALLABLE | NULL)] }).returning(ARRAY),
        Method::new("flushPipeline", flush_method, const { &[optional(c"send").of(BOOL).or(c"true")] })
            .returning(STATIC),
    ]
}

extern "C" fn execute_method(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe {
        let callable = zend::arguments(call).first().map(zend::deref);
        execute(zend::this(call), callable.filter(|value| zend::type_of(value) != zend::IS_NULL), return_value);
    });
}

/// Sends what was collected, after running the callable if there is one, and returns all replies.
///
/// # Safety
/// The object is a pipeline that stays alive; nothing of it is borrowed.
pub unsafe fn execute(object: *mut zend_object, callable: Option<&Value>, return_value: *mut zval) {
    // SAFETY: by the caller. The object is reached anew after PHP code has run.
    unsafe {
        if !queue::of(object).is_open() {
            return;
        }
        if queue::of(object).running {
            exceptions::throw_misuse("", "this pipeline is being executed already");
            return;
        }
        if let Some(callable) = callable {
            if !is_callable(callable) {
                exceptions::throw_misuse("", "execute() takes a callable, or nothing");
                return;
            }
            if !queue::call_back(object, callable) {
                give_up(object);
                return;
            }
        }
        if !flush(object) {
            return;
        }
        let queue = queue::of(object);
        let forgets = queue.options.forget;
        let replies = queue.take_replies();
        if zend::type_of(&replies) == zend::IS_ARRAY && !forgets {
            return_value.cast::<Value>().write(replies);
        } else {
            zend::release(replies);
            return_value.cast::<Value>().write(zend::empty_array());
        }
    }
}

/// Forgets what was collected, and what has come.
unsafe fn give_up(object: *mut zend_object) {
    // SAFETY: by the callers, whose object is a pipeline.
    unsafe {
        let queue = queue::of(object);
        queue.batch.clear();
        for value in [queue.take_replies(), queue.take_readers()] {
            zend::release(value);
        }
    }
}

/// `flushPipeline(bool $send = true)`: sends what was collected so far; its replies come with those of `execute`.
extern "C" fn flush_method(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `execute_method`.
    guarded(|| unsafe {
        let object = zend::this(call);
        let send = zend::arguments(call).first().map(zend::deref);
        if queue::of(object).is_open() && send.is_some_and(|send| zend::type_of(send) == zend::IS_FALSE) {
            let queue = queue::of(object);
            queue.batch.clear();
            let readers = queue.take_readers();
            zend::release(readers);
        } else if !flush(object) {
            return;
        }
        return_value.cast::<Value>().write(zend::reference_to(object));
    });
}

/// Sends what was collected. False if that was thrown.
///
/// # Safety
/// The object is a pipeline that stays alive; nothing of it and nothing of the thread's hands is borrowed.
pub unsafe fn flush(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. No PHP code runs before the events.
    unsafe {
        let queue = queue::of(object);
        queue.forget_if_left();
        if !queue.is_open() {
            return false;
        }
        if queue.waiting() == 0 {
            queue.batch.clear();
            return true;
        }
        let Some(client_object) = queue.client_object() else { return false };
        if queue.options.atomic {
            flush_atomic(object);
        } else {
            flush_plain(object);
        }
        events::deliver(client_object);
        !zend::has_exception()
    }
}

unsafe fn flush_plain(object: *mut zend_object) {
    // SAFETY: as in `flush`.
    unsafe {
        let root: *mut Value = queue::of(object).replies();
        let kept = !queue::of(object).options.forget;
        let Some(Exchanged { result, earlier, has_errors }) = exchange(object, root, kept) else {
            give_up(object);
            return;
        };
        let queue = queue::of(object);
        let looked_for = has_errors && kept && queue.options.throws;
        let failure = match result {
            Ok(()) => looked_for.then(|| first_error(&*root, earlier)).flatten().map(|(index, text)| Failure {
                command: queue.batch.name(index),
                index: u32::try_from(index).ok(),
                ..server_error(&text)
            }),
            Err(failure) => Some(*failure),
        };
        queue.batch.clear();
        match failure {
            None => read_replies(object, earlier),
            Some(failure) => {
                let known = queue.take_replies();
                throw_with_replies(object, failure, known, earlier);
                give_up(object);
            }
        }
    }
}

/// How a batch was exchanged.
struct Exchanged {
    result: Result<(), Box<Failure>>,
    /// How many replies stood there before.
    earlier: usize,
    /// Whether there is an error of the server among the replies.
    has_errors: bool,
}

/// Exchanges the object's batch; its replies are built into `root`. `None` if something was thrown before that was done.
///
/// # Safety
/// As for [`flush`]; the root is the caller's, and stays in place. PHP code may run: what gives credentials.
unsafe fn exchange(object: *mut zend_object, root: *mut Value, kept: bool) -> Option<Exchanged> {
    let mut former = None;
    // SAFETY: by the caller. The object is reached anew after PHP code has run, which cannot change its batch.
    unsafe {
        loop {
            let queue = queue::of(object);
            let client_object = queue.client_object()?;
            let client = queue.client()?;
            let hands = hands();
            let mut sink = PhpSink::of_batch(&mut hands.building, root, &queue.batch, kept, former);
            queue.begin_exchange();
            let result = client.run_batch(&mut hands.desk, &queue.batch, &mut sink);
            if !credentials::are_wanted(&result) {
                let (earlier, has_errors) = (sink.earlier(), sink.has_errors());
                sink.close_batch();
                queue.end_exchange();
                if former.is_some() {
                    credentials::done(client_object);
                }
                return Some(Exchanged { result, earlier, has_errors });
            }
            drop(result);
            former = Some(sink.former());
            queue.end_exchange();
            queue.wait_for_program(true);
            let told = credentials::ask(client_object);
            queue::of(object).wait_for_program(false);
            if !told {
                credentials::done(client_object);
                return None;
            }
        }
    }
}

/// Throws what a batch failed with, and with it the known replies, which are taken over, as their readers see them. What
/// one of those throws is the previous exception.
///
/// # Safety
/// The object is one of ours, and stays alive. PHP code runs.
pub unsafe fn throw_with_replies(object: *mut zend_object, failure: Failure, known: Value, earlier: usize) {
    exceptions::throw_of_batch(failure, earlier, || {
        if zend::type_of(&known) == zend::IS_ARRAY {
            // SAFETY: by the caller; the replies are ours alone.
            unsafe { readers::read_replies(object, &known, earlier) };
        }
        known
    });
}

/// Hands the replies to the command objects that look at them. Those may use the pipeline meanwhile: what comes by that
/// stands behind what has come.
unsafe fn read_replies(object: *mut zend_object, earlier: usize) {
    // SAFETY: as in `flush`. The replies are ours while PHP code runs.
    unsafe {
        let queue = queue::of(object);
        if !queue.has_readers() {
            return;
        }
        if queue.options.forget {
            let readers = queue.take_readers();
            zend::release(readers);
            return;
        }
        let list = queue.take_replies();
        if !readers::read_replies(object, &list, earlier) {
            zend::release(list);
            give_up(object);
            return;
        }
        let later = std::mem::replace(queue::of(object).replies(), list);
        if zend::type_of(&later) == zend::IS_ARRAY {
            readers::append(&list, later);
        }
    }
}

unsafe fn flush_atomic(object: *mut zend_object) {
    // SAFETY: as in `flush`.
    unsafe {
        let executed = match execute_block(object) {
            Block::Executed(executed) => executed,
            block => {
                throw_block(block);
                give_up(object);
                return;
            }
        };
        let queue = queue::of(object);
        if queue.options.throws
            && !queue.options.forget
            && let Some((index, text)) = first_error(&executed, 0)
        {
            let failure = Failure { index: u32::try_from(index).ok(), ..server_error(&text) };
            drop(text);
            throw_with_replies(object, failure, executed, 0);
            give_up(object);
            return;
        }
        if queue.has_readers() && !readers::read_replies(object, &executed, 0) {
            zend::release(executed);
            give_up(object);
            return;
        }
        let replies = queue::of(object).replies();
        if zend::type_of(replies) == zend::IS_ARRAY {
            readers::append(replies, executed);
        } else {
            *replies = executed;
        }
    }
}

/// Throws how a MULTI with its EXEC failed.
fn throw_block(block: Block) {
    match block {
        Block::Executed(_) => {}
        Block::Aborted => exceptions::throw(&aborted("the transaction has been aborted by the server")),
        Block::Refused(text) => exceptions::throw(&server_error(&text)),
        Block::Failed(failure) if zend::has_exception() => drop(failure),
        Block::Failed(failure) => exceptions::throw(&failure),
    }
}

/// How a MULTI with its EXEC ended.
pub enum Block {
    /// The replies to its commands, as a list that is the caller's.
    Executed(Value),
    /// A watched key had changed.
    Aborted,
    /// The server would not queue one of them, in these words, and has applied none.
    Refused(String),
    /// Anything else.
    Failed(Box<Failure>),
}

/// Sends what was collected between MULTI and EXEC, in one write, and forgets it.
///
/// # Safety
/// As for [`flush`]; the object may be a transaction.
pub unsafe fn execute_block(object: *mut zend_object) -> Block {
    // SAFETY: by the caller. The replies stand in the object until they are taken apart.
    unsafe {
        queue::of(object).batch.close();
        let mut replies = zend::null();
        let exchanged = exchange(object, &raw mut replies, true);
        let result = exchanged.map_or_else(|| Err(Box::new(Failure::misuse("", ""))), |exchanged| exchanged.result);
        queue::of(object).batch.clear();
        let block = match result {
            // The replies to MULTI and to what was queued say nothing about the commands themselves.
            Err(failure) => Block::Failed(Box::new(Failure { index: None, ..*failure })),
            Ok(()) => {
                let last = Elements::of(&replies).last().map_or_else(zend::null, |(_, value)| zend::hold(value));
                match zend::type_of(&last) {
                    zend::IS_ARRAY => Block::Executed(last),
                    zend::IS_OBJECT => {
                        zend::release(last);
                        match first_error(&replies, 0) {
                            Some((0, text)) => {
                                let told = format!("{text} (MULTI was refused, so its commands ran by themselves)");
                                Block::Failed(Box::new(Failure { command: "MULTI".to_owned(), ..server_error(&told) }))
                            }
                            first => Block::Refused(first.map_or_else(String::new, |(_, text)| text)),
                        }
                    }
                    _ => Block::Aborted,
                }
            }
        };
        zend::release(replies);
        block
    }
}

/// The first error among these replies, from a place on: where it stands behind that place, and what it says.
pub fn first_error(replies: &Value, from: usize) -> Option<(usize, String)> {
    // SAFETY: the replies are a list that nobody else has; its only objects are errors that we made.
    unsafe {
        let mut found = Elements::of(replies).skip(from).enumerate();
        let (index, (_, error)) = found.find(|(_, (_, value))| zend::type_of(value) == zend::IS_OBJECT)?;
        Some((index, response::text_of(error.value.obj)))
    }
}

/// The server's error as a failure.
pub fn server_error(text: &str) -> Failure {
    let kind = Kind::Server(text.split(' ').next().unwrap_or_default().to_owned());
    Failure { kind, ..Failure::misuse("EXEC", text) }
}

/// A transaction that came to nothing.
pub fn aborted(text: &str) -> Failure {
    Failure { kind: Kind::AbortedTransaction, ..Failure::misuse("EXEC", text) }
}
