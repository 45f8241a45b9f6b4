//! PHP arguments as the words of a command, with Predis' casts: true is `1`, false and null are empty, floats as PHP
//! writes them, arrays flatten.

use std::borrow::Cow;

use ext_php_rs::ffi::ext_php_rs_zend_string_release;

use crate::command::{self, Argument, Arguments, Command, Form};
use crate::resp::Frame;

use super::elements::{Elements, Key};
use super::json;
use super::zend::{self, Value};

/// Why arguments cannot become words.
pub enum Unfit {
    /// PHP code or PHP itself has thrown already.
    Thrown,
    /// The shape is wrong; this is what is accepted.
    Shape(String),
}

/// Makes every argument something that converts to words without running PHP code: objects become their strings.
/// After this no `__toString` can interfere with the frame. Gives whether each argument is one word.
///
/// # Errors
/// An object has no string form, or its `__toString` has thrown.
pub fn settle(arguments: &mut [Value]) -> Result<bool, Unfit> {
    let mut all_words = true;
    for argument in arguments {
        let simple = match zend::type_of(argument) {
            zend::IS_OBJECT => false,
            zend::IS_ARRAY | zend::IS_REFERENCE => !contains_object(zend::deref(argument)),
            _ => continue,
        };
        all_words = false;
        if !simple {
            let former = std::mem::replace(argument, settled(zend::deref(argument), 0)?);
            // SAFETY: the former value is ours now: argument slots belong to the callee.
            unsafe { zend::release(former) };
        }
    }
    Ok(all_words)
}

/// Whether a completed command, of which an argument may have become several words, has as many as it must have.
///
/// # Errors
/// It has not: a list stands where one value is accepted.
#[cold]
pub fn check_number(frame: &Frame, row: &Command) -> Result<(), Unfit> {
    let (words, wanted) = (frame.len(), usize::try_from(row.arity).unwrap_or(0));
    if wanted == 0 || words == wanted {
        return Ok(());
    }
    let text = format!(
        "arrays stand for their elements, which makes {} arguments here; the command takes {}",
        words - 1,
        wanted - 1
    );
    Err(Unfit::Shape(text))
}

/// Adds the words of the arguments to the frame. They have been settled.
///
/// # Errors
/// An array has a shape that the command does not take.
#[inline]
pub fn encode(frame: &mut Frame, arguments: &[Value], shape: Arguments) -> Result<(), Unfit> {
    if let Arguments::Form(form) = shape
        && !(form.is_by_words(arguments.len()) && arguments.iter().all(|argument| is_word(zend::deref(argument))))
    {
        return by_form(frame, arguments, form);
    }
    for argument in arguments {
        let argument = zend::deref(argument);
        if zend::type_of(argument) == zend::IS_ARRAY {
            array(frame, argument, shape)?;
        } else {
            scalar(frame, argument)?;
        }
    }
    Ok(())
}

/// As `encode`, with the prefix in front of the keys, of which there may be none.
///
/// # Errors
/// As `encode`.
pub fn encode_prefixed(frame: &mut Frame, arguments: &[Value], row: &Command, prefix: &[u8]) -> Result<(), Unfit> {
    let by_words = match row.arguments {
        Arguments::Form(form) => {
            form.is_by_words(arguments.len()) && arguments.iter().all(|argument| is_word(zend::deref(argument)))
        }
        _ => true,
    };
    if let [key, rest @ ..] = arguments
        && by_words
        && row.keys.is_first_word()
        && zend::type_of(zend::deref(key)) == zend::IS_STRING
    {
        // SAFETY: the type says that it is a string.
        frame.word_of(prefix, unsafe { zend::bytes_of(zend::deref(key)) });
        return encode(frame, rest, row.arguments);
    }
    encode(frame, arguments, row.arguments)?;
    frame.end();
    put_prefix(frame, row, prefix);
    Ok(())
}

/// Puts the prefix in front of the keys of a completed command.
pub fn put_prefix(frame: &mut Frame, row: &Command, prefix: &[u8]) {
    let positions = command::prefixed_positions(row, &frame.words());
    frame.prefix(&positions, prefix);
}

/// Whether a value is a word of any command, wherever it stands.
#[inline]
fn is_word(value: &Value) -> bool {
    matches!(zend::type_of(value), zend::IS_STRING | zend::IS_LONG)
}

#[cold]
fn by_form(frame: &mut Frame, arguments: &[Value], form: &Form) -> Result<(), Unfit> {
    let by_place = |(place, argument)| match zend::deref(argument) {
        array if form.json() == Some(place) && zend::type_of(array) == zend::IS_ARRAY => {
            json::encode(array).map(|text| Argument::Word(Cow::Owned(text))).map_err(Unfit::Shape)
        }
        float if form.tells_floats() && zend::type_of(float) == zend::IS_DOUBLE => {
            let mut text = text_of(float);
            if text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
                text.extend_from_slice(b".0");
            }
            Ok(Argument::Word(Cow::Owned(text)))
        }
        other => seen(other, 0),
    };
    let arguments: Vec<_> = arguments.iter().enumerate().map(by_place).collect::<Result<_, _>>()?;
    for word in form.words(&arguments).map_err(Unfit::Shape)? {
        frame.word(&word);
    }
    Ok(())
}

/// How many arrays may stand in each other: a list of the value of an option of an array.
const DEEPEST: usize = 2;

/// A value as a form sees it. The bytes of strings are borrowed from it.
fn seen(value: &Value, depth: usize) -> Result<Argument<'_>, Unfit> {
    Ok(match zend::type_of(value) {
        zend::IS_NULL | zend::IS_FALSE | zend::IS_UNDEF => Argument::Nothing,
        zend::IS_TRUE => Argument::Yes,
        // SAFETY: the type says what the value is, and nothing changes it while it is looked at.
        zend::IS_STRING => Argument::Word(Cow::Borrowed(unsafe { zend::bytes_of(value) })),
        // SAFETY: as above.
        zend::IS_LONG => Argument::Word(Cow::Owned(unsafe { value.value.lval }.to_string().into_bytes())),
        zend::IS_DOUBLE => Argument::Word(Cow::Owned(text_of(value))),
        zend::IS_ARRAY if depth < DEEPEST => {
            // SAFETY: as above.
            let elements = unsafe { Elements::of(value) };
            Argument::Array(elements.map(|(key, value)| Ok((key, seen(value, depth + 1)?))).collect::<Result<_, _>>()?)
        }
        _ => {
            let text = "an array too deep, an object or a resource was given; accepted are strings, numbers, booleans and null";
            return Err(Unfit::Shape(text.to_owned()));
        }
    })
}

#[inline]
fn scalar(frame: &mut Frame, value: &Value) -> Result<(), Unfit> {
    match zend::type_of(value) {
        // SAFETY: the type says what the value is.
        zend::IS_STRING => frame.word(unsafe { zend::bytes_of(value) }),
        // SAFETY: as above.
        zend::IS_LONG => frame.integer(unsafe { value.value.lval }),
        zend::IS_TRUE => frame.word(b"1"),
        zend::IS_NULL | zend::IS_FALSE | zend::IS_UNDEF => frame.word(b""),
        zend::IS_DOUBLE => double(frame, value),
        _ => {
            return Err(Unfit::Shape(
                "a resource was given; accepted are strings, numbers, booleans and null".to_owned(),
            ));
        }
    }
    Ok(())
}

/// A float, as PHP writes it.
#[cold]
fn double(frame: &mut Frame, value: &Value) {
    frame.word(&text_of(value));
}

/// A float's text, as PHP writes it.
fn text_of(value: &Value) -> Vec<u8> {
    // SAFETY: the conversion runs no PHP code; the string is released after its bytes are copied.
    unsafe {
        let text = zend::zval_get_string_func(std::ptr::from_ref(value).cast_mut().cast());
        let bytes = zend::string_bytes(text).to_vec();
        ext_php_rs_zend_string_release(text);
        bytes
    }
}

fn array(frame: &mut Frame, value: &Value, shape: Arguments) -> Result<(), Unfit> {
    // SAFETY: the type says that it is an array, and nothing changes it while we read it.
    for (key, element) in unsafe { Elements::of(value) } {
        match (shape, key) {
            (Arguments::Pairs, Key::Index(index)) => frame.integer(index),
            (Arguments::Pairs, Key::Name(name)) => frame.word(name),
            (_, Key::Name(name)) => {
                let name = String::from_utf8_lossy(name).into_owned();
                return Err(Unfit::Shape(format!("an array with the key '{name}' was given where a list is accepted")));
            }
            (_, Key::Index(_)) => {}
        }
        if zend::type_of(element) == zend::IS_ARRAY {
            let text = "an array inside of an array was given; accepted are strings, numbers, booleans and null";
            return Err(Unfit::Shape(text.to_owned()));
        }
        scalar(frame, element)?;
    }
    Ok(())
}

fn has_string_form(value: &Value) -> bool {
    // SAFETY: the type says that it is an object; its class lives as long as it does. A class without `__toString`
    // may still convert by a handler of its own, as PHP's GMP numbers do.
    unsafe {
        let object = value.value.obj;
        let standard = ext_php_rs::ffi::std_object_handlers.cast_object;
        let own = (*(*object).handlers).cast_object;
        !(*(*object).ce).__tostring.is_null() || own.map(|cast| cast as usize) != standard.map(|cast| cast as usize)
    }
}

fn contains_object(value: &Value) -> bool {
    match zend::type_of(value) {
        zend::IS_OBJECT => true,
        // SAFETY: the type says that it is an array, and nothing changes it while we look. Deeper arrays are refused
        // by `encode`, so their objects need no conversion.
        zend::IS_ARRAY => unsafe { Elements::of(value) }.any(|(_, element)| zend::type_of(element) == zend::IS_OBJECT),
        _ => false,
    }
}

/// Whether an object is one of Predis' arguments: those are no strings, but have an array of words.
fn has_array_form(value: &Value) -> bool {
    // SAFETY: the type says that it is an object; its class lives as long as it does.
    unsafe { zend::has_method((*value.value.obj).ce, "toarray") }
}

/// What the object's `toArray` gives, which is an array.
fn array_of(value: &Value) -> Result<Value, Unfit> {
    let name = zend::string(b"toArray");
    // SAFETY: the object is live, the name is ours, and so is what is returned.
    unsafe {
        let result = zend::call(Some(value), &name, &mut []);
        zend::release(name);
        if zend::has_exception() {
            zend::release(result);
            return Err(Unfit::Thrown);
        }
        if zend::type_of(&result) != zend::IS_ARRAY {
            zend::release(result);
            return Err(Unfit::Shape("an object was given whose toArray gives no array".to_owned()));
        }
        Ok(result)
    }
}

/// A copy in which objects are replaced by their strings, or by the arrays that Predis' arguments are, also where those
/// stand in a list, as the fields of an index do. Runs PHP code.
fn settled(value: &Value, depth: usize) -> Result<Value, Unfit> {
    match zend::type_of(value) {
        zend::IS_OBJECT if !has_string_form(value) && has_array_form(value) => {
            let array = array_of(value)?;
            let settled = settled(&array, depth);
            // SAFETY: the array is ours, and `settled` has a reference of its own.
            unsafe { zend::release(array) };
            settled
        }
        zend::IS_OBJECT if !has_string_form(value) => {
            let text = "an object without __toString was given; accepted are strings, numbers, booleans and null";
            Err(Unfit::Shape(text.to_owned()))
        }
        zend::IS_OBJECT => {
            // SAFETY: the object is kept alive by the argument that it stands in.
            let text = unsafe { zend::zval_get_string_func(std::ptr::from_ref(value).cast_mut().cast()) };
            if zend::has_exception() {
                // SAFETY: the string is ours, whatever it is.
                unsafe { ext_php_rs_zend_string_release(text) };
                return Err(Unfit::Thrown);
            }
            // SAFETY: the string is live, and its reference ours.
            Ok(unsafe { zend::given_string(text) })
        }
        zend::IS_ARRAY if depth == 0 => {
            // SAFETY: Zend's allocator does not return on failure. The copy keeps the array from changing while its
            // objects' code runs: arrays are values, and we hold a reference to this one.
            unsafe {
                let held = zend::hold(value);
                let copy = ext_php_rs::ffi::_zend_new_array(8);
                let whole = zend::owned_array(copy);
                for (key, element) in Elements::of(&held) {
                    let mut element = match settled(element, depth + 1) {
                        Ok(element) => element,
                        Err(unfit) => {
                            zend::release(whole);
                            zend::release(held);
                            return Err(unfit);
                        }
                    };
                    match key {
                        Key::Index(index) => {
                            ext_php_rs::ffi::zend_hash_index_update(copy, index.cast_unsigned(), element.as_zval());
                        }
                        Key::Name(name) => {
                            ext_php_rs::ffi::zend_hash_str_update(
                                copy,
                                name.as_ptr().cast(),
                                name.len(),
                                element.as_zval(),
                            );
                        }
                    }
                }
                zend::release(held);
                Ok(whole)
            }
        }
        // SAFETY: a plain copy with a reference of its own.
        _ => Ok(unsafe { zend::hold(value) }),
    }
}
