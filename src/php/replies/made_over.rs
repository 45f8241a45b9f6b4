//! Replies that are made over when they are complete: what they become is seen only in the whole.
//!
//! No PHP code runs here. What cannot be made over, an error for instance, stays as it is.

use std::ffi::{c_char, c_int};

use ext_php_rs::ffi::{_zend_new_array, zend_hash_next_index_insert, zval};

use crate::command::Shape;

use super::super::elements::{Elements, Key};
use super::super::zend::{self, Value};
use super::insert;

unsafe extern "C" {
    fn php_json_decode_ex(into: *mut zval, text: *const c_char, length: usize, options: i64, depth: i64) -> c_int;
}

/// Replaces a complete reply by what its shape makes of it.
#[cold]
pub fn make_over(shape: Shape, reply: &mut Value) {
    let made = match (shape, zend::type_of(reply)) {
        (Shape::Truth, zend::IS_LONG) => Some(zend::boolean(number_of(reply) != 0)),
        (Shape::Rewriting | Shape::Saving | Shape::Name | Shape::Json, zend::IS_STRING) => of_text(shape, reply),
        (Shape::Numbers, zend::IS_ARRAY) => Some(each(reply, |_, element| number(element))),
        (Shape::Vector, zend::IS_ARRAY) => Some(each(reply, |_, element| float(element))),
        (Shape::RawVector, zend::IS_ARRAY) => {
            Some(each(reply, |at, element| if at < 2 { held(element) } else { float(element) }))
        }
        (Shape::Places, zend::IS_ARRAY) => Some(places(reply)),
        (Shape::Stream, zend::IS_ARRAY) => Some(stream(reply)),
        (Shape::HotKeys, zend::IS_ARRAY) => Some(hot_keys(reply)),
        (Shape::Hybrid, zend::IS_ARRAY) => Some(hybrid(reply)),
        _ => None,
    };
    if let Some(made) = made {
        let former = std::mem::replace(reply, made);
        // SAFETY: the reply was ours alone; what it shares with the new one has been held for that.
        unsafe { zend::release(former) };
    }
}

fn of_text(shape: Shape, reply: &Value) -> Option<Value> {
    // SAFETY: the caller has seen that it is a string.
    let text = unsafe { zend::bytes_of(reply) };
    match shape {
        // Between MULTI and EXEC there is no answer yet.
        Shape::Rewriting if text != b"QUEUED" => {
            Some(zend::boolean(text == b"Background append only file rewriting started"))
        }
        Shape::Saving if text == b"Background saving started" => Some(zend::boolean(true)),
        Shape::Name if text.is_empty() => Some(zend::null()),
        Shape::Json if text != b"QUEUED" => Some(decoded(text)),
        _ => None,
    }
}

/// What a JSON text stands for, objects as arrays; null if it is none.
fn decoded(text: &[u8]) -> Value {
    const OBJECTS_AS_ARRAYS: i64 = 1;
    const DEEPEST: i64 = 512;
    let mut value = zend::null();
    if !text.is_empty() {
        // SAFETY: the text is live. Without the option to throw, the decoder runs no PHP code; on failure it leaves null.
        unsafe {
            php_json_decode_ex(value.as_zval(), text.as_ptr().cast(), text.len(), OBJECTS_AS_ARRAYS, DEEPEST);
        }
    }
    value
}

fn elements(array: &Value) -> impl Iterator<Item = (Key<'static>, &'static Value)> {
    let array = (zend::type_of(array) == zend::IS_ARRAY).then_some(array);
    // SAFETY: the type says that it is an array; it is part of a reply, which stays as it is while it is read.
    array.into_iter().flat_map(|array| unsafe { Elements::of(array) })
}

fn is_list(array: &Value) -> bool {
    zend::type_of(array) == zend::IS_ARRAY && elements(array).all(|(key, _)| matches!(key, Key::Index(_)))
}

fn held(value: &Value) -> Value {
    // SAFETY: the value is live, and gets a reference for the place that it goes to.
    unsafe { zend::hold(value) }
}

fn number_of(value: &Value) -> i64 {
    // SAFETY: the caller has seen that it is an integer.
    unsafe { value.value.lval }
}

fn text(value: &Value) -> Option<&str> {
    // SAFETY: the type says that it is a string.
    (zend::type_of(value) == zend::IS_STRING)
        .then(|| unsafe { zend::bytes_of(value) })
        .and_then(|text| str::from_utf8(text).ok())
}

/// A text of digits as an integer, of any other number as a float.
fn number(value: &Value) -> Value {
    let is_numeric = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let read = text(value).filter(is_numeric).and_then(|text| {
        let integer = text.parse().ok().map(zend::long);
        integer.or_else(|| text.parse().ok().map(zend::double))
    });
    read.unwrap_or_else(|| held(value))
}

fn float(value: &Value) -> Value {
    match zend::type_of(value) {
        #[allow(clippy::cast_precision_loss, reason = "a component of a vector is a float of 32 bits")]
        zend::IS_LONG => zend::double(number_of(value) as f64),
        _ => text(value).and_then(|text| text.parse().ok()).map_or_else(|| held(value), zend::double),
    }
}

/// An array under construction.
struct Array(Value);

impl Array {
    fn new() -> Array {
        // SAFETY: Zend's allocator does not return on failure.
        Array(zend::owned_array(unsafe { _zend_new_array(8) }))
    }

    fn push(&mut self, mut value: Value) {
        // SAFETY: the array is ours alone, and takes the value over.
        unsafe { zend_hash_next_index_insert(self.0.value.arr, value.as_zval()) };
    }

    fn set(&mut self, key: &Value, mut value: Value) {
        if !matches!(zend::type_of(key), zend::IS_STRING | zend::IS_LONG) {
            // SAFETY: the value was made for this array, which cannot take it.
            unsafe { zend::release(value) };
            return;
        }
        // SAFETY: the array is ours alone, and takes the value and a reference to the key over.
        unsafe { insert(self.0.value.arr, &mut zend::hold(key), &mut value) };
    }

    fn set_name(&mut self, key: &[u8], mut value: Value) {
        // SAFETY: as in `set`; the key is made for it.
        unsafe { insert(self.0.value.arr, &mut zend::string(key), &mut value) };
    }
}

fn each(list: &Value, made: impl Fn(usize, &Value) -> Value) -> Value {
    let mut array = Array::new();
    elements(list).enumerate().for_each(|(at, (_, element))| array.push(made(at, element)));
    array.0
}

/// A flat list of pairs as an associative array; one that is associative already stays so. The values are made over.
fn table(pairs: &Value, made: impl Fn(&[u8], &Value) -> Value) -> Value {
    let mut array = Array::new();
    if is_list(pairs) {
        let mut rest = elements(pairs).map(|(_, element)| element);
        while let (Some(key), Some(value)) = (rest.next(), rest.next()) {
            let name = text(key).unwrap_or_default();
            array.set(key, made(name.as_bytes(), value));
        }
    } else {
        for (key, value) in elements(pairs) {
            match key {
                Key::Name(name) => array.set_name(name, made(name, value)),
                Key::Index(index) => array.set(&zend::long(index), made(b"", value)),
            }
        }
    }
    array.0
}

fn plain_table(pairs: &Value) -> Value {
    table(pairs, |_, value| held(value))
}

/// Members, of which something is known besides their names: by member, its distance, hash and coordinates.
fn places(list: &Value) -> Value {
    let mut array = Array::new();
    for (_, place) in elements(list) {
        let mut known = elements(place).map(|(_, value)| value);
        let Some(member) = known.next() else {
            array.push(held(place));
            continue;
        };
        let mut facts = Array::new();
        for fact in known {
            match zend::type_of(fact) {
                zend::IS_STRING => facts.set_name(b"dist", rounded(fact)),
                zend::IS_LONG => facts.set_name(b"hash", held(fact)),
                _ => {
                    for ((_, coordinate), name) in elements(fact).zip([&b"lng"[..], b"lat"]) {
                        facts.set_name(name, rounded(coordinate));
                    }
                }
            }
        }
        array.set(member, facts.0);
    }
    array.0
}

/// A number to five places behind the point.
fn rounded(value: &Value) -> Value {
    let number: Option<f64> = text(value).and_then(|text| format!("{:.5}", text.parse::<f64>().ok()?).parse().ok());
    number.map_or_else(|| held(value), zend::double)
}

/// What is known of a stream; with `FULL` its entries, its groups and their consumers, too.
fn stream(reply: &Value) -> Value {
    table(reply, |name, value| match name {
        b"entries" => each(value, |_, entry| {
            let mut by_id = Array::new();
            let mut parts = elements(entry).map(|(_, part)| part);
            if let (Some(id), Some(fields)) = (parts.next(), parts.next()) {
                by_id.set(id, plain_table(fields));
            }
            by_id.0
        }),
        b"groups" if zend::type_of(value) == zend::IS_ARRAY => each(value, |_, group| {
            table(group, |name, value| match name {
                b"consumers" if zend::type_of(value) == zend::IS_ARRAY => {
                    each(value, |_, consumer| plain_table(consumer))
                }
                _ => held(value),
            })
        }),
        _ => held(value),
    })
}

fn hot_keys(reply: &Value) -> Value {
    table(reply, |name, value| match zend::type_of(value) {
        zend::IS_ARRAY if name.starts_with(b"by-") => plain_table(value),
        _ => held(value),
    })
}

/// What a search by words and by vectors found.
fn hybrid(reply: &Value) -> Value {
    table(reply, |name, value| match name {
        b"results" if zend::type_of(value) == zend::IS_ARRAY => each(value, |_, result| deep_table(result)),
        _ => held(value),
    })
}

/// A list of pairs as an associative array, and so are the lists in it; what is no list of pairs stays.
fn deep_table(pairs: &Value) -> Value {
    if zend::type_of(pairs) != zend::IS_ARRAY || elements(pairs).count() % 2 == 1 {
        return held(pairs);
    }
    table(pairs, |_, value| deep_table(value))
}
