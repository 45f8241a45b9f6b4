//! Replies as PHP values, built straight from the read buffer; long strings are received into their zend_string.
//!
//! When PHP has no memory left the sink takes nothing more, and the reply is given up (see `memory`).

use std::ffi::c_char;
use std::str::FromStr;

use ext_php_rs::ffi::{
    _zend_new_array, HashTable, zend_hash_index_update, zend_hash_next_index_insert, zend_hash_str_update,
    zend_hash_update,
};

use crate::command::{Held, SLOW_LOG, Shape};
use crate::resp::{Aggregate, Sink, Space, Unfit};

use super::memory::Pending;
use super::zend::Value;
use super::{elements, memory, response, zend};

mod batch;
mod begun;
mod made_over;
mod reshaped;
mod text;

use batch::{Course, ONE_REPLY};
use begun::Begun;
pub use made_over::make_over;
pub use reshaped::reshaped;

/// Room is made for no more elements than this before they come, and for fewer in arrays within others: these can be
/// claimed one in another, as deep as a reply may be.
const MOST_FORESEEN: usize = 64 * 1024;
const MOST_FORESEEN_WITHIN: usize = 1024;

/// The open arrays of a reply. The memory is the thread's and is used again; the arrays are PHP's.
#[derive(Default)]
pub struct Building {
    open: Vec<Open>,
    begun: Option<Begun>,
    pending: Option<Pending>,
}

/// An array that is not complete. It stands in its parent already, so that the root reaches all that was built.
struct Open {
    array: *mut HashTable,
    filling: Filling,
    key: Value,
    has_key: bool,
}

/// How an array is filled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// At its end.
    List,
    /// With keys and values in turn.
    Pairs,
    /// As `Pairs`, with floats as values.
    Floats,
    /// As `Pairs`, with integers as values.
    Numbers,
    /// With the values of an entry of the slow log.
    SlowLog,
    /// With one key, and keys and values in turn in the array under it.
    Keyed,
    /// With the replies to a batch, each at its own place.
    Places,
}

/// Builds one reply into PHP's return value.
pub struct PhpSink<'a> {
    building: &'a mut Building,
    root: *mut Value,
    shape: Shape,
    pending: Pending,
    refusal: Option<Unfit>,
    course: Course,
}

impl<'a> PhpSink<'a> {
    /// A sink that builds into `root`.
    ///
    /// # Safety
    /// `root` is an initialised zval that holds nothing counted, and stays in place while the sink is used.
    pub unsafe fn new(building: &'a mut Building, root: *mut Value, shape: Shape) -> PhpSink<'a> {
        building.open.clear();
        building.begun = None;
        let pending = *building.pending.get_or_insert_with(Pending::of_this_thread);
        PhpSink { building, root, shape, pending, refusal: None, course: ONE_REPLY }
    }

    /// What was built.
    pub fn root(&self) -> &Value {
        // SAFETY: `new` promised the place.
        unsafe { &*self.root }
    }

    /// An error of the server as a value.
    #[cold]
    fn error_value(&mut self, text: &[u8]) -> Value {
        self.course.has_errors = true;
        response::error(text)
    }

    /// Gives up what is open of a reply that is not complete.
    fn drop_open(&mut self) {
        let level = self.course.level.min(self.building.open.len());
        for open in self.building.open.drain(level..).filter(|open| open.has_key) {
            // SAFETY: a pending key is ours and stands in no array yet.
            unsafe { zend::release(open.key) };
        }
        if let Some(begun) = self.building.begun.take() {
            begun.give_up();
        }
    }

    /// How the aggregate that begins now is filled, and whether that happens to the array around it.
    #[inline]
    fn filling(&mut self, kind: Aggregate) -> (Filling, bool) {
        let (shape, depth) = self.shape_here();
        if kind == Aggregate::Map {
            return (Filling::Pairs, false);
        }
        if shape == Shape::Plain || kind == Aggregate::Set {
            return (Filling::List, false);
        }
        let around = self.building.open.last_mut();
        if depth == 1
            && shape.may_nest()
            && let Some(around) = around
        {
            around.filling = Filling::List;
        }
        match shape.held(depth) {
            Held::List => (Filling::List, false),
            Held::Pairs => (Filling::Pairs, false),
            Held::Floats => (Filling::Floats, false),
            Held::Keyed => (Filling::Keyed, false),
            Held::SlowLog => (Filling::SlowLog, false),
            // RESP3 has maps in place of lists of pairs: then this is a value, not a pair.
            held @ (Held::Entry | Held::Number) => match self.building.open.last() {
                Some(around) if around.filling == Filling::List => {
                    (if held == Held::Number { Filling::Numbers } else { Filling::Pairs }, true)
                }
                _ => (Filling::List, false),
            },
        }
    }

    /// The reply cannot be had where there was no memory.
    #[inline]
    fn look_for_memory(&mut self, is_there: bool) {
        if !is_there {
            self.refusal = self.refusal.or(Some(Unfit::NoMemory));
        }
    }

    /// A string where there is memory for it.
    #[inline(always)]
    fn put_string(&mut self, bytes: &[u8]) {
        if self.refusal.is_some() {
            return;
        }
        if bytes.is_empty() {
            self.put(zend::string(b""));
            return;
        }
        match memory::allocate_string(bytes.len()) {
            // SAFETY: the allocation is new, and has room for exactly these bytes.
            Some(string) => self.put(unsafe { zend::filled_string(string, bytes) }),
            None => self.refusal = Some(Unfit::NoMemory),
        }
    }

    /// Puts a finished value where it belongs, and takes over its reference.
    #[inline]
    fn put(&mut self, mut value: Value) {
        if self.refusal.is_some() || self.pending.is_set() {
            self.refusal = self.refusal.or(Some(Unfit::NoMemory));
            // SAFETY: nobody else has the value.
            unsafe { zend::release(value) };
            return;
        }
        let Some(open) = self.building.open.last_mut() else {
            // SAFETY: `new` promised the place.
            unsafe { self.root.write(value) };
            return;
        };
        // SAFETY: the array is reached by nobody but the root that we build. Zend may leave these calls by a jump:
        // then all of it is freed with the request.
        unsafe {
            if !memory::make_room(open.array) {
                self.refusal = Some(Unfit::NoMemory);
                zend::release(value);
            } else if open.filling == Filling::List {
                elements::append(open.array, value);
            } else if open.filling == Filling::Places {
                zend_hash_index_update(open.array, self.course.place as u64, value.as_zval());
            } else if open.has_key {
                open.has_key = false;
                if open.filling != Filling::Pairs {
                    value = converted(value, open.filling);
                }
                insert(open.array, &mut open.key, &mut value);
            } else if open.filling == Filling::SlowLog {
                insert_of_log(open.array, value);
            } else if let Some(mut key) = as_key(value) {
                if open.filling == Filling::Keyed {
                    let inner = _zend_new_array(1);
                    insert(open.array, &mut key, &mut zend::owned_array(inner));
                    open.array = inner;
                    open.filling = Filling::Pairs;
                } else {
                    open.key = key;
                    open.has_key = true;
                }
            } else {
                zend::release(value);
                self.refusal = Some(Unfit::Key);
            }
        }
    }
}

/// A value as a key, a string or an integer. RESP3 allows any scalar, PHP's arrays do not; and PHP's own conversion
/// may run the user's error handler, which must not happen in the middle of an exchange.
fn as_key(value: Value) -> Option<Value> {
    match zend::type_of(&value) {
        zend::IS_STRING | zend::IS_LONG => Some(value),
        zend::IS_TRUE => Some(zend::string(b"1")),
        zend::IS_FALSE | zend::IS_NULL => Some(zend::string(b"")),
        // SAFETY: the type says that it is a float.
        zend::IS_DOUBLE => Some(zend::string(unsafe { value.value.dval }.to_string().as_bytes())),
        _ => None,
    }
}

/// A value as what an array of numbers holds.
#[cold]
fn converted(value: Value, filling: Filling) -> Value {
    match filling {
        Filling::Floats => as_number(value, zend::double),
        Filling::Numbers => as_number(value, zend::long),
        _ => value,
    }
}

/// Adds a value of an entry of the slow log under its name. Of what comes behind the names only arrays stay, since they
/// are built in place.
///
/// # Safety
/// `array` is a live array that is ours alone; the value is taken over.
#[cold]
unsafe fn insert_of_log(array: *mut HashTable, mut value: Value) {
    // SAFETY: by the caller.
    unsafe {
        match SLOW_LOG.get((*array).nNumOfElements as usize) {
            Some(name) => {
                zend_hash_str_update(array, name.as_ptr().cast::<c_char>(), name.len(), value.as_zval());
            }
            None if zend::type_of(&value) == zend::IS_ARRAY => {
                zend_hash_next_index_insert(array, value.as_zval());
            }
            None => zend::release(value),
        }
    }
}

/// A string as the number that it writes; what writes none stays.
fn as_number<N: FromStr>(value: Value, made: fn(N) -> Value) -> Value {
    if zend::type_of(&value) != zend::IS_STRING {
        return value;
    }
    // SAFETY: the type says that it is a string. It is ours, and released once its number is known.
    unsafe {
        let number = std::str::from_utf8(zend::bytes_of(&value)).ok().and_then(|text| text.parse().ok());
        number.map_or(value, |number| {
            zend::release(value);
            made(number)
        })
    }
}

/// Sets `key` to `value` as PHP's own arrays would: a key that is a decimal integer becomes one.
///
/// # Safety
/// `array` is a live array that is ours alone; key and value are taken over.
unsafe fn insert(array: *mut HashTable, key: &mut Value, value: &mut Value) {
    // SAFETY: the type is looked at before the value is; the rest is by the caller.
    unsafe {
        match zend::type_of(key) {
            zend::IS_STRING => {
                let name = zend::bytes_of(key);
                let mut index = 0;
                let numeric = name.first().is_some_and(|first| *first == b'-' || first.is_ascii_digit())
                    && zend::_zend_handle_numeric_str_ex(name.as_ptr().cast::<c_char>(), name.len(), &raw mut index);
                if numeric {
                    zend_hash_index_update(array, index, value.as_zval());
                } else {
                    zend_hash_update(array, key.value.str_, value.as_zval());
                }
                zend::release(*key);
            }
            zend::IS_LONG => {
                zend_hash_index_update(array, key.value.lval.cast_unsigned(), value.as_zval());
            }
            // `as_key` lets nothing else through.
            _ => zend::release(*value),
        }
    }
}

// What matters is inlined by force: these are reached by a table besides, for clusters, so that the compiler would not.
impl Sink for PhpSink<'_> {
    fn reset(&mut self) {
        self.refusal = None;
        self.drop_open();
        // SAFETY: the root holds a value that we built, or null.
        unsafe {
            zend::release(*self.root);
            self.root.write(zend::null());
        }
    }

    #[inline(always)]
    fn refusal(&self) -> Option<Unfit> {
        self.refusal
    }

    #[inline(always)]
    fn nil(&mut self) {
        let none = self.shape_here() == (Shape::Streams, 0);
        self.put(if none { zend::empty_array() } else { zend::null() });
    }

    #[inline(always)]
    fn integer(&mut self, value: i64) {
        self.put(zend::long(value));
    }

    fn double(&mut self, value: f64) {
        self.put(zend::double(value));
    }

    fn boolean(&mut self, value: bool) {
        self.put(zend::boolean(value));
    }

    #[inline(always)]
    fn status(&mut self, text: &[u8]) {
        self.put_string(text);
    }

    #[inline(always)]
    fn bulk(&mut self, bytes: &[u8]) {
        if self.may_be_table()
            && let Some(table) = self.table_of(bytes)
        {
            self.put(table);
            return;
        }
        self.put_string(bytes);
    }

    fn big_number(&mut self, digits: &[u8]) {
        // Beyond PHP's integers the digits are worth more than a rounded float.
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        self.put(number.map_or_else(|| zend::string(digits), zend::long));
    }

    fn error(&mut self, text: &[u8]) {
        let error = self.error_value(text);
        self.put(error);
    }

    fn begin(&mut self, kind: Aggregate, length: usize) {
        if self.refusal.is_some() {
            // What is open is not closed any more either.
            return;
        }
        let (filling, in_parent) = self.filling(kind);
        if in_parent {
            // What it stands in is not empty, and a list so far.
            let array = self.building.open.last().map_or(std::ptr::null_mut(), |parent| parent.array);
            self.building.open.push(Open { array, filling, key: zend::null(), has_key: false });
            return;
        }
        let pairs = filling != Filling::List;
        let array = if length == 0 {
            self.put(zend::empty_array());
            std::ptr::null_mut()
        } else {
            let elements = if kind == Aggregate::Array && pairs { length / 2 } else { length };
            let is_within = self.building.open.len() > self.course.level;
            let most = if is_within { MOST_FORESEEN_WITHIN } else { MOST_FORESEEN };
            let foreseen = u32::try_from(elements.min(most)).unwrap_or(u32::MAX);
            // SAFETY: Zend's allocator does not return on failure.
            let array = unsafe { _zend_new_array(foreseen) };
            self.put(zend::owned_array(array));
            array
        };
        if self.refusal.is_some() {
            return;
        }
        self.building.open.push(Open { array, filling, key: zend::null(), has_key: false });
    }

    fn end(&mut self) {
        if self.refusal.is_some() {
            return;
        }
        if let Some(mut open) = self.building.open.pop()
            && open.has_key
        {
            // A flat list of pairs with an odd end: what is left over has no value.
            // SAFETY: a pending key is ours and stands in no array yet.
            unsafe { insert(open.array, &mut open.key, &mut zend::null()) };
        }
    }

    fn begin_bulk(&mut self, length: usize) {
        if self.refusal.is_some() {
            return;
        }
        self.building.begun = Begun::new(length);
        self.look_for_memory(self.building.begun.is_some());
    }

    fn append(&mut self, bytes: &[u8]) {
        let has_room = self.building.begun.as_mut().is_none_or(|begun| begun.append(bytes));
        self.look_for_memory(has_room);
    }

    fn space(&mut self) -> Space<'_> {
        self.building.begun.as_mut().map_or(Space::Used(&mut []), Begun::space)
    }

    fn filled(&mut self, count: usize) {
        let has_room = self.building.begun.as_mut().is_none_or(|begun| begun.filled(count));
        self.look_for_memory(has_room);
    }

    fn end_bulk(&mut self) {
        if let Some(begun) = self.building.begun.take() {
            let text = begun.complete();
            // SAFETY: the string is complete and ours; a table has no part of it.
            let table = if self.may_be_table() { self.table_of(unsafe { zend::bytes_of(&text) }) } else { None };
            if table.is_some() {
                // SAFETY: as above.
                unsafe { zend::release(text) };
            }
            self.put(table.unwrap_or(text));
        }
    }
}
