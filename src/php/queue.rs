//! What pipelines and transactions have in common: objects that collect commands of one client, by the methods of the
//! table, and send them together.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    ZEND_ACC_FINAL, zend_ce_countable, zend_class_entry, zend_do_implement_interface, zend_execute_data, zend_object,
    zval,
};

use crate::client::{Batch, Client};

use super::class::{self, Method};
use super::commands::{self, guarded, unconstructed};
use super::native::{self, Handlers, Part};
use super::queue_options::Options;
use super::signature::{INT, OBJECT};
use super::zend::{self, Value};
use super::{exceptions, pipeline, queue_commands, transaction, units};

/// An object that collects commands.
pub struct Queue {
    /// The client's object, the replies that have come so far, and the command objects that their replies are handed to,
    /// by place. Side by side, for the garbage collector.
    held: [Value; 3],
    /// The commands.
    pub batch: Batch,
    /// How it was made.
    pub options: Options,
    /// Where a transaction is.
    pub phase: Phase,
    /// Whether its callable is running.
    pub running: bool,
    /// The client's watch that it began, until it has ended it.
    pub watch: Option<u64>,
    /// Whether its batch is being exchanged. Found at another time, PHP left that exchange by a jump.
    exchanging: bool,
    sort: Sort,
    /// Whether the program is asked for credentials in the middle of an exchange: then nothing can be added or sent.
    waiting_for_program: bool,
    /// The unit that it was made in, and whether it was closed with it.
    unit: u64,
    is_closed: bool,
}

/// Where a transaction is; a pipeline is always queueing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was said yet.
    Fresh,
    /// Commands run at once, until MULTI: check and set.
    CheckAndSet,
    /// Commands are collected.
    Queueing,
}

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// `ResilientRedis\Pipeline`
    Pipeline,
    /// `ResilientRedis\Transaction`
    Transaction,
}

static PIPELINE: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());
static TRANSACTION: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

impl Part for Queue {
    type Held = [Value; 3];

    fn fresh(class: *mut zend_class_entry) -> Queue {
        let is_transaction = ptr::eq(class, TRANSACTION.load(Ordering::Relaxed));
        Queue {
            held: [zend::null(); 3],
            batch: Batch::default(),
            options: Options::default(),
            phase: Phase::Fresh,
            running: false,
            watch: None,
            exchanging: false,
            waiting_for_program: false,
            unit: units::current(),
            is_closed: false,
            sort: if is_transaction { Sort::Transaction } else { Sort::Pipeline },
        }
    }

    fn held(&mut self) -> &mut [Value; 3] {
        &mut self.held
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }

    unsafe fn leave(&mut self) {
        // SAFETY: by the caller: the client's part is there, even if the client was freed before.
        let client = unsafe {
            let held = Some(&self.held[0]).filter(|held| zend::type_of(held) == zend::IS_OBJECT);
            held.and_then(|held| class::of(held.value.obj).client.as_deref_mut())
        };
        if let Some(client) = client.filter(|client| self.watch.is_some() && client.watch() == self.watch) {
            client.abandon_transaction();
        }
    }
}

/// Registers both classes. Called once, while the module starts.
pub fn register() {
    for (name, entry, own) in [
        ("ResilientRedis\\Pipeline", &PIPELINE, pipeline::table()),
        ("ResilientRedis\\Transaction", &TRANSACTION, transaction::table()),
    ] {
        let mut all = queue_commands::table(&own);
        all.extend(own);
        all.push(Method::new("getClient", get_client, &[]).returning(OBJECT));
        all.push(Method::new("count", count, &[]).returning(INT));
        // SAFETY: the module is starting.
        unsafe {
            let registered = native::register::<Queue>(name, &all, ZEND_ACC_FINAL);
            class::hide_secrets(registered);
            zend_do_implement_interface(registered, zend_ce_countable);
            entry.store(registered, Ordering::Relaxed);
        }
    }
}

/// Our part of an object of one of the two classes.
///
/// # Safety
/// The object is one of those, and live; no other reference to our part of it is in use.
#[inline]
pub unsafe fn of<'a>(object: *mut zend_object) -> &'a mut Queue {
    // SAFETY: by the caller.
    unsafe { native::of(object) }
}

/// A new object for a client.
///
/// # Safety
/// `client` is a live object of the client's class.
pub unsafe fn new(sort: Sort, client: *mut zend_object, options: Options) -> Value {
    let class = match sort {
        Sort::Pipeline => &PIPELINE,
        Sort::Transaction => &TRANSACTION,
    };
    let mut value = zend::null();
    // SAFETY: the class was registered, and makes an object of ours; it gets a reference to the client.
    unsafe {
        zend::object_init_ex(value.as_zval(), class.load(Ordering::Relaxed));
        let queue = of(value.value.obj);
        queue.held[0] = zend::reference_to(client);
        queue.options = options;
        value
    }
}

impl Queue {
    /// Which of the two it is.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Closes it, if it was made in that unit.
    pub fn close_with(&mut self, unit: u64) {
        if self.unit == unit {
            self.is_closed = true;
            self.exchanging = false;
            self.watch = None;
            self.batch = Batch::default();
        }
    }

    /// False, and that is thrown, if it was closed with its unit.
    #[inline]
    pub fn is_open(&self) -> bool {
        if self.is_closed {
            units::throw_closed(if self.sort == Sort::Pipeline { "pipeline" } else { "transaction" });
        }
        if self.waiting_for_program {
            exceptions::throw_misuse("", "the callable that gives the password cannot use what is sent by it");
        }
        !self.is_closed && !self.waiting_for_program
    }

    /// Begins or ends to wait for credentials that the program is asked for.
    pub fn wait_for_program(&mut self, waits: bool) {
        self.waiting_for_program = waits;
    }

    /// The client's object. `None`, and that is thrown, if somebody made the object with `new`, or if it was closed.
    pub fn client_object(&self) -> Option<*mut zend_object> {
        if !self.is_open() {
            return None;
        }
        if zend::type_of(&self.held[0]) == zend::IS_OBJECT {
            // SAFETY: the type says that it is an object.
            return Some(unsafe { self.held[0].value.obj });
        }
        exceptions::throw_misuse("", "this object must be made by the pipeline() or transaction() of a client");
        None
    }

    /// The prefix of the client's keys; empty if it has none.
    ///
    /// # Safety
    /// The object stays alive as long as the prefix is used.
    pub unsafe fn prefix<'a>(&self) -> &'a [u8] {
        if zend::type_of(&self.held[0]) != zend::IS_OBJECT {
            return &[];
        }
        // SAFETY: the type says that it is an object, which is the client's and lives as long as this one.
        unsafe { commands::prefix_of(self.held[0].value.obj) }
    }

    /// The client.
    ///
    /// # Safety
    /// The client's object lives, and nothing else of it is in use.
    pub unsafe fn client(&self) -> Option<&'static mut Client> {
        // SAFETY: by the caller.
        let client = unsafe { class::of(self.client_object()?) }.client.as_deref_mut();
        if client.is_none() {
            unconstructed();
        }
        client
    }

    /// The replies that have come so far: a list, or null.
    pub fn replies(&mut self) -> &mut Value {
        &mut self.held[1]
    }

    /// Takes the replies that have come so far.
    pub fn take_replies(&mut self) -> Value {
        std::mem::replace(&mut self.held[1], zend::null())
    }

    /// Its batch is about to be exchanged.
    pub fn begin_exchange(&mut self) {
        self.exchanging = true;
    }

    /// The exchange of its batch is over.
    pub fn end_exchange(&mut self) {
        self.exchanging = false;
    }

    /// Forgets a batch that PHP left in the middle of its exchange: sent a second time it might be applied a second
    /// time. What was built of its replies is half built, and left to the end of the request.
    #[inline]
    pub fn forget_if_left(&mut self) {
        if self.exchanging {
            self.exchanging = false;
            self.batch.clear();
            self.held[1] = zend::null();
            self.held[2] = zend::null();
        }
    }

    /// The command objects that look at replies, by place: an array, or null.
    pub fn readers(&mut self) -> &mut Value {
        &mut self.held[2]
    }

    /// Whether its commands run at once.
    #[inline]
    pub fn runs_at_once(&self) -> bool {
        self.phase == Phase::CheckAndSet && self.sort == Sort::Transaction
    }

    /// Whether its commands are sent between MULTI and EXEC.
    pub fn is_atomic(&self) -> bool {
        self.options.atomic || self.sort() == Sort::Transaction
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        // The MULTI in front is ours.
        if self.is_atomic() { self.batch.len().saturating_sub(1) } else { self.batch.len() }
    }
}

extern "C" fn get_client(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame; the client is kept alive by the object.
    guarded(|| unsafe {
        if let Some(client) = of(zend::this(call)).client_object() {
            return_value.cast::<Value>().write(zend::reference_to(client));
        }
    });
}

extern "C" fn count(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_client`.
    guarded(|| unsafe {
        let waiting = of(zend::this(call)).waiting();
        return_value.cast::<Value>().write(zend::long(i64::try_from(waiting).unwrap_or(i64::MAX)));
    });
}

/// Calls back with the object as only argument. False if something was thrown.
///
/// # Safety
/// The object is one of ours; nothing of it and nothing of the thread's hands is borrowed.
pub unsafe fn call_back(object: *mut zend_object, callable: &Value) -> bool {
    // SAFETY: by the caller, which keeps the object alive.
    unsafe {
        of(object).running = true;
        let result = zend::call(None, callable, &mut [zend::reference_to(object)]);
        of(object).running = false;
        zend::release(result);
        !zend::has_exception()
    }
}
