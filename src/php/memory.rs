//! How PHP runs out of memory, and how a reply can be built without being caught in it.
//!
//! Two kinds of PHP are alive. The older jumps out of the allocation that exceeds `memory_limit` (P7 is about that).
//! The newer goes on until a hard limit, remembers the error, and raises it between two opcodes; at the hard limit the
//! process ends. It offers allocations that fail instead: what a server can make large is allocated by those, and a
//! pending error stops the reply. Which kind runs us is found out when the module is loaded, since both have the same
//! API number.

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

use ext_php_rs::ffi::{HashTable, zend_string};

use super::elements::{PACKED, UNINITIALISED};
use super::zend::{self, Value};

/// `SUCCESS` as Zend has it.
const SUCCESS: c_int = 0;

/// The calls that the newer PHP has.
struct Fallible {
    allocate: unsafe extern "C" fn(usize) -> *mut c_void,
    extend: unsafe extern "C" fn(*mut HashTable, u32, bool) -> c_int,
}

static FALLIBLE: OnceLock<Option<Fallible>> = OnceLock::new();

/// Strings from this size on are allocated so that they can fail. Smaller ones cannot skip the space between the two
/// limits at once, and the pending error is looked at after each.
const LARGE: usize = 4096;

/// Finds out which kind of PHP this is. Called once, while the module starts.
pub fn detect() {
    FALLIBLE.get_or_init(|| {
        // A debug build's allocator takes file and line besides.
        if cfg!(not(php_delayed_oom)) || ext_php_rs::PHP_DEBUG {
            return None;
        }
        // SAFETY: these are the signatures of the newer PHP's headers, which we were built with; a symbol that an
        // older one lacks is null.
        unsafe {
            let allocate = symbol(c"_femalloc")?;
            let extend = symbol(c"zend_hash_fextend")?;
            Some(Fallible {
                allocate: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(allocate),
                extend: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut HashTable, u32, bool) -> c_int>(
                    extend,
                ),
            })
        }
    });
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks a name up among what the process has loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

fn fallible() -> Option<&'static Fallible> {
    FALLIBLE.get().and_then(Option::as_ref)
}

/// Where this thread's executor remembers that memory ran out.
#[derive(Clone, Copy)]
pub struct Pending(#[cfg_attr(not(php_delayed_oom), allow(dead_code))] *const u32);

impl Pending {
    /// This thread's.
    pub fn of_this_thread() -> Pending {
        #[cfg(php_delayed_oom)]
        if fallible().is_some() {
            // SAFETY: the executor's globals exist for as long as the thread runs PHP; the state is an enum of 32 bits.
            let state = unsafe { &raw const (*ext_php_rs::ffi::ext_php_rs_executor_globals()).delayed_oom.state };
            return Pending(state.cast());
        }
        Pending(std::ptr::null())
    }

    /// Whether memory has run out and PHP is about to say so.
    #[inline]
    pub fn is_set(self) -> bool {
        #[cfg(php_delayed_oom)]
        {
            // SAFETY: null, or a place of this thread's executor, which outlives every use within a command.
            unsafe { self.0.as_ref() }.is_some_and(|state| *state != 0)
        }
        #[cfg(not(php_delayed_oom))]
        false
    }
}

/// A string of `length` bytes that are not written yet; `None` if `memory_limit` has no room for it. (The older PHP
/// does not return then.)
#[inline]
pub fn allocate_string(length: usize) -> Option<*mut zend_string> {
    if length >= LARGE
        && let Some(calls) = fallible()
    {
        // SAFETY: the allocator takes any size.
        let memory = unsafe { (calls.allocate)(zend::string_size(length)) };
        // SAFETY: not null, and of the size that a string of that length takes.
        return (!memory.is_null()).then(|| unsafe { zend::initialise_string(memory.cast(), length) });
    }
    Some(zend::allocate_string(length))
}

/// A new string with these bytes; `None` if `memory_limit` has no room for it.
pub fn string(bytes: &[u8]) -> Option<Value> {
    // SAFETY: the allocation is new, and has room for exactly these bytes.
    allocate_string(bytes.len()).map(|string| unsafe { zend::filled_string(string, bytes) })
}

/// Makes room in a full list or map that has grown large; false if `memory_limit` has none. Small ones make it
/// themselves.
///
/// # Safety
/// `array` is a live array that is ours alone.
#[inline]
pub unsafe fn make_room(array: *mut HashTable) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let size = (*array).nTableSize;
        if (*array).nNumUsed < size || size < 1024 {
            return true;
        }
        let flags = (*array).u.flags;
        match fallible() {
            Some(calls) if flags & UNINITIALISED == 0 => {
                let Some(doubled) = size.checked_mul(2) else { return true };
                (calls.extend)(array, doubled, flags & PACKED != 0) == SUCCESS
            }
            _ => true,
        }
    }
}
