//! The exceptions: registered once, made in one place.

use std::ffi::c_char;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    zend_ce_throwable, zend_class_entry, zend_declare_property, zend_do_implement_interface, zend_object,
    zend_register_internal_class_ex, zend_register_internal_interface, zend_throw_exception_object,
};
use ext_php_rs::flags::{ClassFlags, PropertyFlags};

use crate::client::{Failure, Kind};
use crate::failover::Limit;

use super::class::{self, Method};
use super::response;
use super::signature::{ARRAY, FLOAT, INT, NULL, STRING};
use super::values;
use super::zend::{self, Value};

/// One class: what it is called and what it extends.
struct Class {
    name: &'static str,
    entry: AtomicPtr<zend_class_entry>,
}

macro_rules! classes {
    ($($constant:ident $name:literal)*) => {
        $(static $constant: Class = Class {
            name: concat!("ResilientRedis\\", $name),
            entry: AtomicPtr::new(ptr::null_mut()),
        };)*
    };
}

classes! {
    OUTCOME_UNKNOWN "OutcomeUnknown"
    EXCEPTION "Exception"
    CONNECTION "ConnectionException"
    LOST_REPLY "LostReplyException"
    NOT_ENOUGH "NotEnoughReplicasException"
    CIRCUIT_OPEN "CircuitOpenException"
    TIMEOUT "TimeoutException"
    REPLY_TIMEOUT "ReplyTimeoutException"
    SERVER "ServerException"
    CLIENT "ClientException"
    NOT_SUPPORTED "NotSupportedException"
    ABORTED "AbortedMultiExecException"
    PROTOCOL "ProtocolException"
    CONFIGURATION "ConfigurationException"
    SESSION_LOCK "SessionLockException"
}

/// Registers all of them. Called once, while the module starts.
pub fn register() {
    // SAFETY: the module is starting: PHP's own exception classes are there, and nobody else registers classes now.
    unsafe {
        let mut entry = class::new_entry(OUTCOME_UNKNOWN.name);
        let unknown = zend_register_internal_interface(&raw mut entry);
        zend_do_implement_interface(unknown, zend_ce_throwable);
        OUTCOME_UNKNOWN.entry.store(unknown, Ordering::Relaxed);
        let accessors = [
            Method::new("getNode", get::<0>, &[]).returning(STRING | NULL),
            Method::new("getCommand", get::<1>, &[]).returning(STRING | NULL),
            Method::new("getAttempts", get::<2>, &[]).returning(INT | NULL),
            Method::new("getElapsed", get::<3>, &[]).returning(FLOAT | NULL),
            Method::new("getPhase", get::<4>, &[]).returning(STRING | NULL),
            Method::new("getIndex", get::<5>, &[]).returning(INT | NULL),
            Method::new("getReplies", get::<6>, &[]).returning(ARRAY | NULL),
        ];
        EXCEPTION.register(zend::spl_ce_RuntimeException, &accessors, ClassFlags::Abstract, &PROPERTIES[..7]);
        let none = ClassFlags::empty();
        CONNECTION.register(EXCEPTION.get(), &[], none, &[]);
        LOST_REPLY.register(CONNECTION.get(), &[], none, &[]);
        let counts = [
            Method::new("getReached", get::<9>, &[]).returning(INT | NULL),
            Method::new("getWanted", get::<10>, &[]).returning(INT | NULL),
        ];
        NOT_ENOUGH.register(CONNECTION.get(), &counts, none, &PROPERTIES[9..11]);
        CIRCUIT_OPEN.register(CONNECTION.get(), &[], none, &[]);
        TIMEOUT.register(
            CONNECTION.get(),
            &[Method::new("getLimit", get::<7>, &[]).returning(STRING | NULL)],
            none,
            &PROPERTIES[7..8],
        );
        REPLY_TIMEOUT.register(TIMEOUT.get(), &[], none, &[]);
        SERVER.register(
            EXCEPTION.get(),
            &[Method::new("getErrorType", get::<8>, &[]).returning(STRING | NULL), response::to_error_response()],
            none,
            &PROPERTIES[8..9],
        );
        CLIENT.register(EXCEPTION.get(), &[], none, &[]);
        NOT_SUPPORTED.register(CLIENT.get(), &[], none, &[]);
        let transaction = [Method::new("getTransaction", get::<11>, &[])];
        ABORTED.register(CLIENT.get(), &transaction, none, &PROPERTIES[11..]);
        PROTOCOL.register(EXCEPTION.get(), &[], none, &[]);
        SESSION_LOCK.register(EXCEPTION.get(), &[], none, &[]);
        CONFIGURATION.register(zend::spl_ce_InvalidArgumentException, &[], none, &[]);
        zend_do_implement_interface(SERVER.get(), response::interface());
        zend_do_implement_interface(LOST_REPLY.get(), unknown);
        zend_do_implement_interface(NOT_ENOUGH.get(), unknown);
        zend_do_implement_interface(REPLY_TIMEOUT.get(), unknown);
    }
}

/// The properties behind the accessors.
const PROPERTIES: [&str; 12] = [
    "node",
    "command",
    "attempts",
    "elapsed",
    "phase",
    "index",
    "replies",
    "limit",
    "errorType",
    "reached",
    "wanted",
    "transaction",
];

impl Class {
    fn get(&self) -> *mut zend_class_entry {
        self.entry.load(Ordering::Relaxed)
    }

    /// # Safety
    /// The module is starting, and `parent` is registered.
    unsafe fn register(
        &self,
        parent: *mut zend_class_entry,
        methods: &[Method],
        flags: ClassFlags,
        properties: &[&str],
    ) {
        // SAFETY: by the caller. Null as a default needs no memory of its own.
        unsafe {
            let mut entry = class::new_entry(self.name);
            entry.ce_flags |= flags.bits();
            entry.info.internal.builtin_functions = class::function_table(methods);
            let registered = zend_register_internal_class_ex(&raw mut entry, parent);
            let protected = i32::try_from(PropertyFlags::Protected.bits()).expect("a flag in the low bits");
            for property in properties {
                let mut null = zend::null();
                zend_declare_property(registered, property.as_ptr().cast(), property.len(), null.as_zval(), protected);
            }
            self.entry.store(registered, Ordering::Relaxed);
        }
    }
}

/// An accessor: gives the property of that number.
extern "C" fn get<const PROPERTY: usize>(
    call: *mut ext_php_rs::ffi::zend_execute_data,
    return_value: *mut ext_php_rs::ffi::zval,
) {
    let name = PROPERTIES[PROPERTY];
    let scope = match PROPERTY {
        7 => TIMEOUT.get(),
        8 => SERVER.get(),
        9 | 10 => NOT_ENOUGH.get(),
        11 => ABORTED.get(),
        _ => EXCEPTION.get(),
    };
    // SAFETY: the engine calls a method with its object; the property is read within its own class's scope, and what
    // is returned gets a reference of its own.
    unsafe {
        return_value.cast::<Value>().write(values::property(scope, zend::this(call), name.as_bytes()));
    }
}

/// Throws what a command failed with.
pub fn throw(failure: &Failure) {
    if let Some(made) = made_of(failure) {
        made.throw();
    }
}

/// Throws what a batch failed with. `replies` gives an array of the known replies, and may run PHP code: by then nothing
/// of the failure is left on the stack. `earlier` is how many commands had been sent before this batch.
pub fn throw_of_batch(failure: Failure, earlier: usize, replies: impl FnOnce() -> Value) {
    let made = made_of(&failure);
    // That an option is wrong has no place for what is about commands.
    let is_of_commands = failure.kind != Kind::Configuration;
    if let (Some(made), Some(index), true) = (&made, failure.index, is_of_commands) {
        made.number(&EXCEPTION, "index", i64::from(index) + i64::try_from(earlier).unwrap_or(0));
    }
    drop(failure);
    let replies = replies();
    if let Some(made) = made {
        if is_of_commands {
            made.value(&EXCEPTION, "replies", replies);
        }
        made.throw();
    }
    // SAFETY: they are ours, and the exception has a reference of its own.
    unsafe { zend::release(replies) };
}

/// Throws what a transaction failed with: one that came to nothing says which it was.
///
/// # Safety
/// `transaction` is live.
pub unsafe fn throw_of_transaction(failure: &Failure, transaction: *mut zend_object) {
    if let Some(made) = made_of(failure) {
        if failure.kind == Kind::AbortedTransaction {
            made.value(&ABORTED, "transaction", zend::owned_object(transaction));
        }
        made.throw();
    }
}

/// Whether PHP code has thrown an AbortedMultiExecException.
///
/// # Safety
/// An exception is pending.
pub unsafe fn is_aborted_transaction(thrown: *const zend_object) -> bool {
    // SAFETY: by the caller: a live object with its class.
    unsafe { zend::is_a((*thrown).ce, ABORTED.get()) }
}

fn made_of(failure: &Failure) -> Option<Made> {
    let class = match &failure.kind {
        Kind::Connection | Kind::Credentials => &CONNECTION,
        Kind::CircuitOpen => &CIRCUIT_OPEN,
        Kind::LostReply => &LOST_REPLY,
        Kind::NotEnoughReplicas { .. } => &NOT_ENOUGH,
        Kind::Timeout(_) => &TIMEOUT,
        Kind::ReplyTimeout(_) => &REPLY_TIMEOUT,
        Kind::Server(_) => &SERVER,
        Kind::Client => &CLIENT,
        // It has nothing of a command.
        Kind::Configuration => return Some(Made::new(&CONFIGURATION, &failure.message)),
        Kind::NotSupported | Kind::Cluster => &NOT_SUPPORTED,
        Kind::AbortedTransaction => &ABORTED,
        Kind::Protocol => &PROTOCOL,
        // PHP's own fatal error follows as soon as we return.
        Kind::NoMemory => return None,
    };
    let made = Made::new(class, &failure.message);
    made.code(failure.code);
    made.text(&EXCEPTION, "node", failure.node.as_deref());
    made.text(&EXCEPTION, "command", Some(&failure.command));
    made.text(&EXCEPTION, "phase", failure.phase.map(crate::failover::Phase::as_str));
    made.numbers(failure.attempts, failure.elapsed.as_secs_f64());
    match &failure.kind {
        Kind::Timeout(limit) | Kind::ReplyTimeout(limit) => made.text(&TIMEOUT, "limit", Some(Limit::as_str(*limit))),
        Kind::Server(error_type) => made.text(&SERVER, "errorType", Some(error_type)),
        Kind::NotEnoughReplicas { reached, wanted } => {
            made.number(&NOT_ENOUGH, "reached", i64::from(*reached));
            made.number(&NOT_ENOUGH, "wanted", i64::from(*wanted));
        }
        _ => {}
    }
    Some(made)
}

/// Throws a ClientException: misuse.
pub fn throw_misuse(command: &str, message: &str) {
    throw(&Failure::misuse(command, message));
}

/// Throws a NotSupportedException.
pub fn throw_not_supported(message: &str) {
    throw(&Failure { kind: Kind::NotSupported, ..Failure::misuse("", message) });
}

/// Throws a ConfigurationException.
pub fn throw_configuration(message: &str) {
    Made::new(&CONFIGURATION, message).throw();
}

/// Throws a SessionLockException.
pub fn throw_session_lock(message: &str) {
    Made::new(&SESSION_LOCK, message).throw();
}

/// An exception that was made and not thrown yet.
struct Made {
    object: *mut zend_object,
}

impl Made {
    fn new(class: &Class, message: &str) -> Made {
        let mut value = zend::null();
        // SAFETY: the class was registered; the new object is ours until it is thrown.
        let object = unsafe {
            zend::object_init_ex(value.as_zval(), class.get());
            value.value.obj
        };
        let made = Made { object };
        // SAFETY: an exception's message belongs to PHP's own base class.
        let scope = unsafe { ext_php_rs::ffi::zend_ce_exception };
        made.set_text(scope, "message", message);
        made
    }

    /// PHP's own exceptions have 0 already.
    fn code(&self, code: i32) {
        if code == 0 {
            return;
        }
        // SAFETY: as in `set_text`; the code belongs to PHP's own base class.
        unsafe {
            let scope = ext_php_rs::ffi::zend_ce_exception;
            zend::zend_update_property_long(scope, self.object, c"code".as_ptr(), 4, i64::from(code));
        }
    }

    fn text(&self, scope: &Class, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set_text(scope.get(), name, value);
        }
    }

    fn set_text(&self, scope: *mut zend_class_entry, name: &str, value: &str) {
        // SAFETY: the object is live, the scope is a class of it, and the texts are copied.
        unsafe {
            zend::zend_update_property_stringl(
                scope,
                self.object,
                name.as_ptr().cast::<c_char>(),
                name.len(),
                value.as_ptr().cast::<c_char>(),
                value.len(),
            );
        }
    }

    fn number(&self, scope: &Class, name: &str, value: i64) {
        // SAFETY: as in `set_text`.
        unsafe {
            zend::zend_update_property_long(scope.get(), self.object, name.as_ptr().cast(), name.len(), value);
        }
    }

    fn value(&self, scope: &Class, name: &str, mut value: Value) {
        // SAFETY: as in `set_text`; the property gets a reference of its own.
        unsafe {
            let text = name.as_ptr().cast::<c_char>();
            zend::zend_update_property(scope.get(), self.object, text, name.len(), value.as_zval());
        }
    }

    fn numbers(&self, attempts: u32, elapsed: f64) {
        let scope = EXCEPTION.get();
        self.number(&EXCEPTION, "attempts", i64::from(attempts));
        // SAFETY: as in `set_text`.
        unsafe {
            zend::zend_update_property_double(scope, self.object, c"elapsed".as_ptr(), 7, elapsed);
        }
    }

    fn throw(self) {
        let mut value = zend::owned_object(self.object);
        // SAFETY: Zend takes the object over.
        unsafe { zend_throw_exception_object(value.as_zval()) };
    }
}
