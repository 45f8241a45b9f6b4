//! Replies that were taken as they came, as PHP values, and are to have their shape after all.

use crate::command::Shape;
use crate::resp::{Aggregate, Sink};

use super::super::elements::{Elements, Key};
use super::super::process::hands;
use super::super::zend::{self, Value};
use super::{PhpSink, make_over};

/// Builds what a reply of RESP2 becomes by its shape.
///
/// # Safety
/// `into` is an initialised place that holds nothing counted. No PHP code runs.
pub unsafe fn reshaped(reply: &Value, shape: Shape, into: *mut Value) {
    let shape = shape.under(false);
    // SAFETY: by the caller; nothing else takes the hands meanwhile.
    unsafe {
        let mut sink = PhpSink::new(&mut hands().building, into, shape);
        hand_over(reply, &mut sink, DEEPEST);
        if shape.is_made_over() {
            make_over(shape, &mut *into);
        }
    }
}

/// Deeper than any reply may be: an array that contains itself has no end.
const DEEPEST: usize = 256;

/// Gives a value to the sink; what stands deeper than so many levels is left out.
fn hand_over(value: &Value, sink: &mut PhpSink<'_>, levels: usize) {
    let value = zend::deref(value);
    // SAFETY: each arm looks at the value as what its type says it is, and nothing changes it while we do.
    unsafe {
        match zend::type_of(value) {
            zend::IS_STRING => sink.bulk(zend::bytes_of(value)),
            zend::IS_LONG => sink.integer(value.value.lval),
            zend::IS_DOUBLE => sink.double(value.value.dval),
            zend::IS_TRUE => sink.boolean(true),
            zend::IS_FALSE => sink.boolean(false),
            zend::IS_OBJECT => sink.put(zend::hold(value)),
            zend::IS_ARRAY if levels > 0 => {
                let is_list = Elements::of(value).enumerate().all(|(at, (key, _))| key == Key::Index(at as i64));
                let length = Elements::of(value).count();
                sink.begin(if is_list { Aggregate::Array } else { Aggregate::Map }, length);
                for (key, element) in Elements::of(value) {
                    match key {
                        _ if is_list => {}
                        Key::Name(name) => sink.bulk(name),
                        Key::Index(index) => sink.integer(index),
                    }
                    hand_over(element, sink, levels - 1);
                }
                sink.end();
            }
            _ => sink.nil(),
        }
    }
}
