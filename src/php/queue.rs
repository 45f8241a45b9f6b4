//! What pipelines and transactions have in common: objects that collect commands of one client, by the methods of the
//! table, and send them together.

use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    _call_user_function_impl, HashTable, ZEND_ACC_FINAL, ZEND_ACC_NOT_SERIALIZABLE, ext_php_rs_zend_object_alloc,
    object_properties_init, std_object_handlers, zend_ce_countable, zend_class_entry, zend_do_implement_interface,
    zend_execute_data, zend_object, zend_object_handlers, zend_object_std_dtor, zend_object_std_init,
    zend_register_internal_class_ex, zend_std_get_properties, zval,
};

use crate::client::{Batch, Client};

use super::class::{self, Method};
use super::commands::{self, guarded, unconstructed};
use super::queue_options::Options;
use super::signature::{INT, OBJECT};
use super::zend::{self, Value};
use super::{exceptions, pipeline, queue_commands, transaction};

/// An object that collects commands.
#[repr(C)]
pub struct Queue {
    /// The client's object, and the replies that have come so far. Side by side, for the garbage collector.
    held: [Value; 2],
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
    std: zend_object,
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

struct Handlers(zend_object_handlers);

// SAFETY: written once while the module starts, before any thread of PHP's runs code; read-only after that.
unsafe impl Sync for Handlers {}
// SAFETY: as above; the pointers in it are functions.
unsafe impl Send for Handlers {}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();
static PIPELINE: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());
static TRANSACTION: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

/// Registers both classes. Called once, while the module starts.
pub fn register() {
    HANDLERS.get_or_init(|| {
        // SAFETY: PHP's own handlers are a constant of its library; the copy is changed where we differ.
        let mut handlers = unsafe { ptr::read(&raw const std_object_handlers) };
        handlers.offset = i32::try_from(offset_of!(Queue, std)).expect("a small object");
        handlers.free_obj = Some(free);
        handlers.get_gc = Some(collectable);
        handlers.clone_obj = None;
        Handlers(handlers)
    });
    for (name, entry, own) in [
        ("ResilientRedis\\Pipeline", &PIPELINE, pipeline::table()),
        ("ResilientRedis\\Transaction", &TRANSACTION, transaction::table()),
    ] {
        let mut all = queue_commands::table(&own);
        all.extend(own);
        all.push(Method::new("getClient", get_client, &[]).returning(OBJECT));
        all.push(Method::new("count", count, &[]).returning(INT));
        // SAFETY: the module is starting; the function table lives until Zend has copied it, and beyond.
        unsafe {
            let mut class = class::new_entry(name);
            class.info.internal.builtin_functions = class::function_table(&all);
            let registered = zend_register_internal_class_ex(&raw mut class, ptr::null_mut());
            (*registered).ce_flags |= ZEND_ACC_NOT_SERIALIZABLE | ZEND_ACC_FINAL;
            (*registered).__bindgen_anon_2.create_object = Some(create);
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
    // SAFETY: by the caller; Zend's part stands at a fixed place behind ours.
    unsafe { &mut *object.byte_sub(offset_of!(Queue, std)).cast::<Queue>() }
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
        if ptr::eq(self.std.ce, TRANSACTION.load(Ordering::Relaxed)) { Sort::Transaction } else { Sort::Pipeline }
    }

    /// The client's object. `None`, and that is thrown, if somebody made the object with `new`.
    pub fn client_object(&self) -> Option<*mut zend_object> {
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
        }
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
    // SAFETY: by the caller. Both values are held for the time of the call.
    unsafe {
        let mut callable = zend::hold(callable);
        let mut argument = zend::reference_to(object);
        let mut result = zend::null();
        of(object).running = true;
        _call_user_function_impl(
            ptr::null_mut(),
            callable.as_zval(),
            result.as_zval(),
            1,
            argument.as_zval(),
            ptr::null_mut(),
        );
        of(object).running = false;
        for value in [result, callable] {
            zend::release(value);
        }
        let fine = !zend::has_exception();
        zend::release(argument);
        fine
    }
}

unsafe extern "C" fn create(class: *mut zend_class_entry) -> *mut zend_object {
    // SAFETY: Zend asks for an object of a class that it knows. The allocation has room for the class's properties
    // behind Zend's part, and every field of ours is written before anybody sees it.
    unsafe {
        let object = ext_php_rs_zend_object_alloc(size_of::<Queue>(), class).cast::<Queue>();
        (&raw mut (*object).held).write([zend::null(), zend::null()]);
        (&raw mut (*object).batch).write(Batch::default());
        (&raw mut (*object).options).write(Options::default());
        (&raw mut (*object).phase).write(Phase::Fresh);
        (&raw mut (*object).running).write(false);
        (&raw mut (*object).watch).write(None);
        (&raw mut (*object).exchanging).write(false);
        let std = &raw mut (*object).std;
        zend_object_std_init(std, class);
        object_properties_init(std, class);
        (*std).handlers = &raw const HANDLERS.get().expect("set when the module started").0;
        std
    }
}

unsafe extern "C" fn free(object: *mut zend_object) {
    // SAFETY: Zend frees an object once, when nobody can reach it any more. At the end of a request the client may have
    // been freed before; its memory is still there, and empty.
    unsafe {
        let queue = of(object);
        if queue.watch.is_some()
            && zend::type_of(&queue.held[0]) == zend::IS_OBJECT
            && let Some(client) = class::of(queue.held[0].value.obj).client.as_deref_mut()
            && client.watch() == queue.watch
        {
            client.abandon_transaction();
        }
        ptr::drop_in_place(&raw mut queue.batch);
        ptr::write(&raw mut queue.batch, Batch::default());
        ptr::drop_in_place(&raw mut queue.options);
        ptr::write(&raw mut queue.options, Options::default());
        for held in std::mem::replace(&mut queue.held, [zend::null(), zend::null()]) {
            zend::release(held);
        }
        zend_object_std_dtor(object);
    }
}

/// Shows the garbage collector the client and the replies.
unsafe extern "C" fn collectable(object: *mut zend_object, table: *mut *mut zval, count: *mut i32) -> *mut HashTable {
    // SAFETY: Zend asks for what the object holds; both stay in place while the collector looks.
    unsafe {
        *table = of(object).held.as_mut_ptr().cast();
        *count = 2;
        zend_std_get_properties(object)
    }
}
