//! `session.save_handler = resilient_redis`: sessions without any code of the program's. `session.save_path` says where.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use ext_php_rs::ffi::{ext_php_rs_executor_globals, zend_long, zend_string};

use crate::client::{Client, Desk};
use crate::config::{ConfigurationError, SavePath, Setting, configure};
use crate::session::{Store, Trouble};

use super::super::commands::guarded;
use super::super::process::{hands, world};
use super::super::zend;
use super::super::{exceptions, ini, memory, units};
use super::{CreateId, Module};

/// `ps_module` of php_session.h: the functions of a save handler. `data` is what `open` has put there.
#[repr(C)]
pub struct Handler {
    name: *const c_char,
    open: unsafe extern "C" fn(data: *mut *mut c_void, path: *const c_char, name: *const c_char) -> c_int,
    close: unsafe extern "C" fn(data: *mut *mut c_void) -> c_int,
    read: unsafe extern "C" fn(
        data: *mut *mut c_void,
        id: *mut zend_string,
        found: *mut *mut zend_string,
        lifetime: zend_long,
    ) -> c_int,
    write: unsafe extern "C" fn(*mut *mut c_void, *mut zend_string, *mut zend_string, zend_long) -> c_int,
    destroy: unsafe extern "C" fn(data: *mut *mut c_void, id: *mut zend_string) -> c_int,
    collect: unsafe extern "C" fn(data: *mut *mut c_void, lifetime: zend_long, removed: *mut zend_long) -> zend_long,
    create_id: CreateId,
    validate_id: unsafe extern "C" fn(data: *mut *mut c_void, id: *mut zend_string) -> c_int,
    touch: unsafe extern "C" fn(*mut *mut c_void, *mut zend_string, *mut zend_string, zend_long) -> c_int,
}

// SAFETY: written once while the module starts; the pointers in it are a constant and functions.
unsafe impl Sync for Handler {}
// SAFETY: as above.
unsafe impl Send for Handler {}

thread_local! {
    /// The unit in which the session that is open was opened. PHP has one at a time.
    static UNIT: Cell<Option<u64>> = const { Cell::new(None) };
}

static HANDLER: OnceLock<Handler> = OnceLock::new();

const SUCCESS: c_int = 0;
const FAILURE: c_int = -1;
/// PHP's level of a warning.
const E_WARNING: c_int = 2;

/// Registers the save handler.
///
/// # Safety
/// The module is starting.
pub unsafe fn register(module: &Module) {
    let handler = HANDLER.get_or_init(|| Handler {
        name: c"resilient_redis".as_ptr(),
        open,
        close,
        read,
        write,
        destroy,
        collect,
        create_id: module.create_id,
        validate_id,
        touch,
    });
    // SAFETY: the session module keeps a pointer to the static. It has no room for more than 32 handlers; without one
    // PHP says by itself that it cannot find the handler.
    unsafe { (module.register)(handler) };
}

/// Whether a session is open that was opened in this unit.
pub fn is_open_since(unit: u64) -> bool {
    UNIT.get() == Some(unit)
}

unsafe extern "C" fn open(data: *mut *mut c_void, path: *const c_char, _: *const c_char) -> c_int {
    // SAFETY: PHP gives the place for our data, and a text that outlives the call.
    reported(|| unsafe {
        // session_reset() opens what is open. The lock that it holds stays held.
        if !(*data).is_null() {
            return true;
        }
        let path = CStr::from_ptr(path).to_string_lossy();
        match store_of(&path) {
            Ok(store) => {
                *data = Box::into_raw(Box::new(store)).cast();
                UNIT.set(Some(units::current()));
                true
            }
            Err(error) => {
                exceptions::throw_configuration(&error.to_string());
                false
            }
        }
    })
}

fn store_of(path: &str) -> Result<Store, ConfigurationError> {
    let read = SavePath::read(path)?;
    let mut options = match read.options {
        Setting::Map(options) => options,
        _ => Vec::new(),
    };
    // A session that was just written has to be there.
    options.retain(|(name, _)| name != "read_from");
    let configuration = configure(&read.parameters, &Setting::Map(options), &ini::defaults()?)?;
    Ok(Store::new(Client::open(world().clone(), configuration)?, read.session))
}

unsafe extern "C" fn close(data: *mut *mut c_void) -> c_int {
    // SAFETY: PHP gives the place where `open` has put our data. It is taken away before anything else happens.
    reported(|| unsafe {
        let store = std::mem::replace(&mut *data, ptr::null_mut()).cast::<Store>();
        UNIT.set(None);
        if store.is_null() {
            return true;
        }
        let mut store = Box::from_raw(store);
        let closed = store.close(&mut hands().desk);
        drop(store);
        settled(closed).is_some()
    })
}

unsafe extern "C" fn read(
    data: *mut *mut c_void,
    id: *mut zend_string,
    found: *mut *mut zend_string,
    _: zend_long,
) -> c_int {
    // SAFETY: PHP gives the place where `open` has put our data, a live id, and the place for what is found.
    reported(|| unsafe {
        let id = zend::string_bytes(id);
        if with_store(data, |store, desk| store.read(desk, id, super::is_out_of_time)).is_none() {
            return false;
        }
        let store = (*data).cast::<Store>();
        match memory::string((*store).data()) {
            Some(copied) => {
                *found = copied.value.str_;
                true
            }
            None => false,
        }
    })
}

unsafe extern "C" fn write(
    data: *mut *mut c_void,
    id: *mut zend_string,
    text: *mut zend_string,
    lifetime: zend_long,
) -> c_int {
    // SAFETY: PHP gives the place where `open` has put our data, and live strings.
    reported(|| unsafe {
        let (id, text) = (zend::string_bytes(id), zend::string_bytes(text));
        with_store(data, |store, desk| store.write(desk, id, text, lifetime)).is_some()
    })
}

unsafe extern "C" fn destroy(data: *mut *mut c_void, id: *mut zend_string) -> c_int {
    // SAFETY: as in `write`.
    reported(|| unsafe {
        let id = zend::string_bytes(id);
        with_store(data, |store, desk| store.destroy(desk, id)).is_some()
    })
}

/// Redis forgets sessions by itself.
unsafe extern "C" fn collect(_: *mut *mut c_void, _: zend_long, removed: *mut zend_long) -> zend_long {
    // SAFETY: PHP gives the place for the number.
    unsafe { *removed = 0 };
    0
}

unsafe extern "C" fn validate_id(data: *mut *mut c_void, id: *mut zend_string) -> c_int {
    // SAFETY: as in `write`.
    reported(|| unsafe {
        let id = zend::string_bytes(id);
        with_store(data, |store, desk| store.exists(desk, id)) == Some(true)
    })
}

unsafe extern "C" fn touch(
    data: *mut *mut c_void,
    id: *mut zend_string,
    text: *mut zend_string,
    lifetime: zend_long,
) -> c_int {
    // SAFETY: as in `write`.
    reported(|| unsafe {
        let (id, text) = (zend::string_bytes(id), zend::string_bytes(text));
        with_store(data, |store, desk| store.touch(desk, id, text, lifetime)).is_some()
    })
}

/// Runs `work` on the sessions that `open` has put there. `None` if it failed, and that was told.
///
/// # Safety
/// `data` is the place that PHP gave to `open`; `work` runs no PHP code.
unsafe fn with_store<R>(
    data: *mut *mut c_void,
    work: impl FnOnce(&mut Store, &mut Desk) -> Result<R, Trouble>,
) -> Option<R> {
    // SAFETY: by the caller; what `open` put there stays until `close`.
    unsafe {
        let store = (*data).cast::<Store>().as_mut()?;
        settled(work(store, &mut hands().desk))
    }
}

/// What went well; otherwise throws. PHP writes sessions when the program has ended, too: nobody is left to catch an
/// exception then, so it is a warning.
fn settled<R>(result: Result<R, Trouble>) -> Option<R> {
    // SAFETY: the executor's globals exist for as long as PHP runs.
    let runs = unsafe { !(*ext_php_rs_executor_globals()).current_execute_data.is_null() };
    let trouble = match result {
        Ok(done) => return Some(done),
        Err(trouble) => trouble,
    };
    if runs {
        super::throw(&trouble);
    } else {
        let text = CString::new(super::explain(&trouble).replace('\0', "")).unwrap_or_default();
        // SAFETY: the format takes one text.
        unsafe { zend::zend_error(E_WARNING, c"%s".as_ptr(), text.as_ptr()) };
    }
    None
}

/// Runs an entry from PHP's session module.
fn reported(entry: impl FnOnce() -> bool) -> c_int {
    let mut fine = false;
    guarded(|| fine = entry());
    if fine { SUCCESS } else { FAILURE }
}
