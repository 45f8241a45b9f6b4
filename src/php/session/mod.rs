//! PHP's sessions in Redis: the class `ResilientRedis\SessionHandler` and `session.save_handler = resilient_redis`.
//!
//! Both exist only where PHP's session module is loaded. It may be a part of PHP or a library of its own, so what is
//! used of it is looked up by name when our module starts, which is after it (`DEPENDENCIES`).

mod handler;
mod save_handler;

use std::ffi::{CStr, c_int, c_uchar, c_void};
use std::ptr;

use ext_php_rs::ffi::{_zend_module_dep, zend_class_entry, zend_string};

use crate::session::Trouble;

use super::exceptions;
use super::zend::{self, Value};

/// Our module starts after PHP's session module, if that is loaded at all.
pub struct Dependencies([_zend_module_dep; 2]);

// SAFETY: constants that nobody writes.
unsafe impl Sync for Dependencies {}

/// `MODULE_DEP_OPTIONAL`
const OPTIONAL: c_uchar = 3;

static DEPENDENCIES: Dependencies = Dependencies([
    _zend_module_dep { name: c"session".as_ptr(), rel: ptr::null(), version: ptr::null(), type_: OPTIONAL },
    _zend_module_dep { name: ptr::null(), rel: ptr::null(), version: ptr::null(), type_: 0 },
]);

/// What Zend is told about the order in which modules start.
pub fn dependencies() -> *const _zend_module_dep {
    DEPENDENCIES.0.as_ptr()
}

/// Makes a new id: PHP's own way, with the length that php.ini asks for.
type CreateId = unsafe extern "C" fn(*mut *mut c_void) -> *mut zend_string;

/// What is used of PHP's session module.
struct Module {
    /// `SessionHandlerInterface`, `SessionIdInterface` and `SessionUpdateTimestampHandlerInterface`.
    interfaces: [*mut zend_class_entry; 3],
    create_id: CreateId,
    register: unsafe extern "C" fn(*const save_handler::Handler) -> c_int,
}

/// Registers what PHP's session module has a use for. Called once, while the module starts.
pub fn register() {
    // SAFETY: the module is starting, after PHP's session module if there is one.
    unsafe {
        if let Some(module) = find_module() {
            handler::register(&module);
            save_handler::register(&module);
        }
    }
}

/// PHP's session module, if it is loaded.
///
/// # Safety
/// The module is starting.
unsafe fn find_module() -> Option<Module> {
    // SAFETY: by their names these are what php_session.h declares: pointers to class entries, set when the session
    // module has started, and functions of these types.
    unsafe {
        let interface = |name: &CStr| {
            let entry = find(name)?.cast::<*mut zend_class_entry>().read();
            (!entry.is_null()).then_some(entry)
        };
        Some(Module {
            interfaces: [
                interface(c"php_session_iface_entry")?,
                interface(c"php_session_id_iface_entry")?,
                interface(c"php_session_update_timestamp_iface_entry")?,
            ],
            create_id: std::mem::transmute::<*mut c_void, CreateId>(find(c"php_session_create_id")?),
            register: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const save_handler::Handler) -> c_int>(
                find(c"php_session_register_module")?,
            ),
        })
    }
}

/// Does for sessions that were opened in a unit what the end of a request does: PHP writes them, and their locks are let
/// go of. What goes wrong is thrown.
pub fn end_unit(unit: u64) {
    // SAFETY: PHP runs, and nothing of our objects and hands is in use; the function is released after its call.
    unsafe {
        if save_handler::is_open_since(unit) || handler::is_any_open_since(unit) {
            let function = zend::string(b"session_write_close");
            zend::release(zend::call(None, &function, &mut []));
            zend::release(function);
        }
        handler::let_go_since(unit);
    }
}

fn find(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks the name up among what the process has loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Whether PHP is about to end the request because its time is used up: then nobody waits for a lock any more.
fn is_out_of_time() -> bool {
    // SAFETY: the executor's globals exist for as long as PHP runs; the flag is one byte, which a signal handler sets.
    unsafe {
        (&raw const (*ext_php_rs::ffi::ext_php_rs_executor_globals()).timed_out).cast::<u8>().read_volatile() != 0
    }
}

/// PHP's `session.gc_maxlifetime`, in seconds.
fn lifetime() -> i64 {
    let name = c"session.gc_maxlifetime";
    // SAFETY: looks a setting up by its name.
    unsafe { zend::zend_ini_long(name.as_ptr(), name.count_bytes(), 0) }
}

/// Throws what went wrong with a session.
fn throw(trouble: &Trouble) {
    match trouble {
        Trouble::Failed(failure) => exceptions::throw(failure),
        // PHP ends the request itself as soon as we return.
        Trouble::Interrupted => {}
        other => exceptions::throw_session_lock(&explain(other)),
    }
}

/// What went wrong with a session, for people.
fn explain(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Failed(failure) => failure.message.clone(),
        Trouble::Locked(waited) => format!(
            "another request has this session locked, and did not let go of it within {} s (lock_wait)",
            waited.as_secs_f64()
        ),
        Trouble::LockLost => {
            "the session was not written: its lock ran out (lock_ttl) or was lost, and another request \
                              has locked or written the session since"
                .to_owned()
        }
        Trouble::Interrupted => "the request has used up its time".to_owned(),
        Trouble::NoToken => "the system has no random bytes for a lock's token".to_owned(),
    }
}

/// A new id as PHP makes them.
fn create_id(make: CreateId) -> Value {
    // SAFETY: the session module makes one from its settings alone if it is given no data; the string is ours.
    unsafe {
        let made = make(ptr::null_mut());
        if made.is_null() { zend::null() } else { zend::given_string(made) }
    }
}
