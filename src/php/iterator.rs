//! Iterators over what is too much for one reply: the keys of a database, and the elements of one key.
//!
//! One implementation for all of them; a row says what differs. A page is fetched by the client's own method when it is
//! needed (see `iterator_pages`), so that one page is all that is held.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    HashTable, zend_ce_iterator, zend_class_entry, zend_do_implement_interface, zend_execute_data,
    zend_hash_get_current_data_ex, zend_hash_get_current_key_zval_ex, zend_hash_move_forward_ex, zend_object, zval,
};

use super::class::{self, Method, Parameter, optional, required};
use super::commands::guarded;
use super::iterator_pages::fetch;
use super::native::{self, Handlers, Part};
use super::signature::{BOOL, VOID};
use super::values::ArrayBuilder;
use super::zend::{self, Value};
use super::{exceptions, units};

/// What differs between the iterators.
pub struct Kind {
    name: &'static str,
    /// The client's method that gives a page.
    pub method: &'static str,
    /// Whether it iterates over one key, and not over the database.
    takes_key: bool,
    /// Whether the names in a page are the keys of the iteration; otherwise it numbers the elements.
    is_named: bool,
    /// Whether a place is an index that means the same to every server; otherwise it is a server's cursor.
    pub by_index: bool,
    parameters: &'static [Parameter],
}

const OF_KEY: &[Parameter] = &[required(c"client"), required(c"key"), optional(c"match"), optional(c"count")];

static KINDS: [Kind; 5] = [
    Kind {
        name: "ResilientRedis\\Iterator\\Keyspace",
        method: "scan",
        takes_key: false,
        is_named: false,
        by_index: false,
        parameters: &[required(c"client"), optional(c"match"), optional(c"count")],
    },
    Kind {
        name: "ResilientRedis\\Iterator\\HashKey",
        method: "hscan",
        takes_key: true,
        is_named: true,
        by_index: false,
        parameters: OF_KEY,
    },
    Kind {
        name: "ResilientRedis\\Iterator\\SetKey",
        method: "sscan",
        takes_key: true,
        is_named: false,
        by_index: false,
        parameters: OF_KEY,
    },
    Kind {
        name: "ResilientRedis\\Iterator\\SortedSetKey",
        method: "zscan",
        takes_key: true,
        is_named: true,
        by_index: false,
        parameters: OF_KEY,
    },
    Kind {
        name: "ResilientRedis\\Iterator\\ListKey",
        method: "lrange",
        takes_key: true,
        is_named: false,
        by_index: true,
        parameters: &[required(c"client"), required(c"key"), optional(c"count")],
    },
];

/// How many elements of a list are fetched at a time, as in Predis.
const LIST_PAGE: u64 = 10;

/// An iterator.
pub struct Pages {
    /// The client, the key, the options of a page, and the page. Side by side, for the garbage collector.
    held: [Value; 4],
    /// What it iterates over.
    pub kind: &'static Kind,
    /// Where the next page is; `None` after the last one. In a cluster cursors have more bits than a server's.
    pub next: Option<u128>,
    /// The server process that gave the cursor, as `Knowledge::incarnation` counts.
    pub incarnation: u64,
    /// Counts the pages that were asked for: a listener may use the iterator while it waits for one.
    pub turn: u64,
    /// How many elements of a list are a page.
    pub size: u64,
    begun: bool,
    /// Where in the page the current element stands.
    position: u32,
    /// How many elements came before it.
    number: i64,
    /// The unit that it was made in, and whether it was closed with it.
    unit: u64,
    is_closed: bool,
}

const CLIENT: usize = 0;
const KEY: usize = 1;
const OPTIONS: usize = 2;
const PAGE: usize = 3;

static CLASSES: [AtomicPtr<zend_class_entry>; KINDS.len()] = [const { AtomicPtr::new(ptr::null_mut()) }; KINDS.len()];

impl Part for Pages {
    type Held = [Value; 4];

    fn fresh(class: *mut zend_class_entry) -> Pages {
        let is_ours = |ours: &AtomicPtr<zend_class_entry>| {
            // SAFETY: both are classes that Zend knows.
            unsafe { zend::is_a(class, ours.load(Ordering::Relaxed)) }
        };
        let index = CLASSES.iter().position(is_ours).unwrap_or_default();
        Pages {
            held: [zend::null(); 4],
            kind: &KINDS[index],
            next: None,
            incarnation: 0,
            turn: 0,
            size: LIST_PAGE,
            begun: false,
            position: 0,
            number: 0,
            unit: units::current(),
            is_closed: false,
        }
    }

    fn held(&mut self) -> &mut [Value; 4] {
        &mut self.held
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }
}

/// Registers the classes. Called once, while the module starts.
pub fn register() {
    for (kind, entry) in KINDS.iter().zip(&CLASSES) {
        let methods = [
            Method::new("__construct", construct, kind.parameters),
            Method::new("current", current, &[]),
            Method::new("key", key, &[]),
            Method::new("next", next, &[]).returning(VOID),
            Method::new("rewind", rewind, &[]).returning(VOID),
            Method::new("valid", valid, &[]).returning(BOOL),
        ];
        // SAFETY: the module is starting.
        unsafe {
            let registered = native::register::<Pages>(kind.name, &methods, 0);
            zend_do_implement_interface(registered, zend_ce_iterator);
            entry.store(registered, Ordering::Relaxed);
        }
    }
}

/// Our part of an object of one of the classes, or of one that extends them.
///
/// # Safety
/// The object is one of those, and live; no other reference to our part of it is in use.
pub unsafe fn of<'a>(object: *mut zend_object) -> &'a mut Pages {
    // SAFETY: by the caller.
    unsafe { native::of(object) }
}

impl Pages {
    /// Closes it, if it was made in that unit: its place means nothing to the client's next database.
    pub fn close_with(&mut self, unit: u64) {
        self.is_closed |= self.unit == unit;
    }

    /// False, and that is thrown, if it was closed with its unit.
    fn is_open(&self) -> bool {
        if self.is_closed {
            units::throw_closed("iterator");
        }
        !self.is_closed
    }

    /// The client's object. `None`, and that is thrown, if a subclass did not call our constructor.
    pub fn client(&self) -> Option<*mut zend_object> {
        let client = class::client_in(&self.held[CLIENT]);
        if client.is_none() {
            let text = "this iterator was not constructed: a subclass with a constructor of its own must call \
                        parent::__construct()";
            exceptions::throw_misuse("", text);
        }
        client
    }

    /// The key, if it is about one.
    pub fn key(&self) -> Option<Value> {
        self.kind.takes_key.then_some(self.held[KEY])
    }

    /// The options of a page: an array, or null.
    pub fn options(&self) -> Value {
        self.held[OPTIONS]
    }

    /// Puts another page in place, from its first element on; gives the former one. The page is an array or null.
    pub fn place(&mut self, page: Value) -> Value {
        self.position = 0;
        std::mem::replace(&mut self.held[PAGE], page)
    }

    /// The array that the page is, with the position in it.
    fn page(&mut self) -> Option<(*mut HashTable, *mut u32)> {
        if zend::type_of(&self.held[PAGE]) != zend::IS_ARRAY {
            return None;
        }
        // SAFETY: the type says that it is an array.
        Some((unsafe { self.held[PAGE].value.arr }, &raw mut self.position))
    }

    /// The current element.
    pub fn element(&mut self) -> Option<Value> {
        let (array, position) = self.page()?;
        // SAFETY: the array is a value that we hold, so nobody changes it; the element is copied without a reference.
        let element = unsafe { zend_hash_get_current_data_ex(array, position).cast::<Value>().as_ref() };
        element.map(|element| *zend::deref(element))
    }

    /// The name of the current element, with a reference of its own. PHP's arrays make integers of the names that look
    /// like such; here they are strings again.
    fn name(&mut self) -> Value {
        let mut name = zend::null();
        if let Some((array, position)) = self.page() {
            // SAFETY: as in `element`; the key comes with a reference of its own.
            unsafe { zend_hash_get_current_key_zval_ex(array, name.as_zval(), position) };
        }
        if zend::type_of(&name) == zend::IS_LONG {
            // SAFETY: the type says that it is an integer.
            return zend::string(unsafe { name.value.lval }.to_string().as_bytes());
        }
        name
    }
}

/// Goes to the first element.
///
/// # Safety
/// The object is live and stays so; nothing of it is borrowed. PHP code may run.
unsafe fn begin(object: *mut zend_object) {
    // SAFETY: by the caller.
    unsafe {
        let pages = of(object);
        (pages.begun, pages.next, pages.number, pages.incarnation) = (true, Some(0), 0, 0);
        pages.turn = pages.turn.wrapping_add(1);
        let former = pages.place(zend::null());
        zend::release(former);
        fetch(object);
    }
}

/// The current element; the first one if nobody has asked for any.
///
/// # Safety
/// As for [`begin`].
unsafe fn element(object: *mut zend_object) -> Option<Value> {
    // SAFETY: by the caller.
    unsafe {
        if !of(object).is_open() {
            return None;
        }
        if !of(object).begun {
            begin(object);
        }
        of(object).element()
    }
}

extern "C" fn current(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object alive.
    guarded(|| unsafe {
        if let Some(element) = element(zend::this(call)) {
            return_value.cast::<Value>().write(zend::hold(&element));
        }
    });
}

extern "C" fn key(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `current`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if element(object).is_some() {
            let pages = of(object);
            let key = if pages.kind.is_named { pages.name() } else { zend::long(pages.number) };
            return_value.cast::<Value>().write(key);
        }
    });
}

extern "C" fn valid(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `current`.
    guarded(|| unsafe {
        let valid = element(zend::this(call)).is_some();
        return_value.cast::<Value>().write(zend::boolean(valid));
    });
}

extern "C" fn next(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `current`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if !of(object).is_open() {
            return;
        }
        if !of(object).begun {
            begin(object);
            return;
        }
        let pages = of(object);
        if let Some((array, position)) = pages.page()
            && pages.element().is_some()
        {
            zend_hash_move_forward_ex(array, position);
            pages.number += 1;
        }
        // Where a page could not be fetched this asks for it once more.
        if pages.element().is_none() {
            fetch(object);
        }
    });
}

extern "C" fn rewind(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `current`.
    guarded(|| unsafe {
        let object = zend::this(call);
        if of(object).is_open() {
            begin(object);
        }
    });
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a constructor with its frame, which keeps the arguments and the object alive.
        unsafe {
            let arguments = zend::arguments(call);
            let pages = of(zend::this(call));
            let kind = pages.kind;
            let name = kind.name.rsplit('\\').next().unwrap_or_default();
            if zend::type_of(&pages.held[CLIENT]) != zend::IS_NULL {
                exceptions::throw_misuse("", &format!("this {name} is constructed already"));
                return;
            }
            let Some(client) = arguments.first().and_then(class::client_in) else {
                exceptions::throw_misuse("", &format!("{name}: the first argument is a ResilientRedis"));
                return;
            };
            let mut rest = arguments[1..].iter().map(|value| *zend::deref(value));
            let key = if kind.takes_key { rest.next() } else { None };
            if key.is_some_and(|key| matches!(zend::type_of(&key), zend::IS_ARRAY | zend::IS_NULL)) {
                exceptions::throw_misuse("", &format!("{name}: the key is a string, not an array and not null"));
                return;
            }
            let pattern = if kind.by_index { None } else { rest.next().filter(|value| !is_nothing(value)) };
            if pattern.is_some_and(|pattern| zend::type_of(&pattern) != zend::IS_STRING) {
                exceptions::throw_misuse("", &format!("{name}: match is a pattern such as 'user:*', or null"));
                return;
            }
            let count = rest.next().filter(|value| !is_nothing(value));
            let size = count.map(|count| positive(&count));
            if size == Some(None) {
                exceptions::throw_misuse("", &format!("{name}: count is an integer from 1 on, or null"));
                return;
            }
            pages.size = size.flatten().unwrap_or(LIST_PAGE);
            pages.held[CLIENT] = zend::reference_to(client);
            pages.held[KEY] = key.map_or_else(zend::null, |key| zend::hold(&key));
            if !kind.by_index && (pattern.is_some() || count.is_some()) {
                let mut options = ArrayBuilder::new();
                if let Some(pattern) = pattern {
                    options.set("MATCH", zend::hold(&pattern));
                }
                if let Some(count) = count {
                    options.set("COUNT", zend::hold(&count));
                }
                pages.held[OPTIONS] = options.build();
            }
        }
    });
}

/// Null and the empty string say nothing, as in Predis.
fn is_nothing(value: &Value) -> bool {
    // SAFETY: the type is looked at before the string is.
    zend::type_of(value) == zend::IS_NULL
        || (zend::type_of(value) == zend::IS_STRING && unsafe { zend::bytes_of(value) }.is_empty())
}

/// A positive integer, which may be written as a string.
fn positive(value: &Value) -> Option<u64> {
    // SAFETY: each arm looks at the value as what its type says it is.
    let number = unsafe {
        match zend::type_of(value) {
            zend::IS_LONG => u64::try_from(value.value.lval).ok(),
            zend::IS_STRING => std::str::from_utf8(zend::bytes_of(value)).ok().and_then(|text| text.parse().ok()),
            _ => None,
        }
    };
    number.filter(|number| (1..=u64::from(u32::MAX)).contains(number))
}
