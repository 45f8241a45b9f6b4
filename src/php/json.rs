//! Arrays as JSON texts, as PHP writes them. Written here because PHP's own encoder may run the user's code, which must
//! not happen while a command is written.

use super::elements::{Elements, Key};
use super::zend::{self, Value};

const DEEPEST: usize = 128;

/// The JSON text of an array.
///
/// # Errors
/// What in it has none.
pub fn encode(value: &Value) -> Result<Vec<u8>, String> {
    let mut text = String::new();
    write(&mut text, value, 0)?;
    Ok(text.into_bytes())
}

fn write(text: &mut String, value: &Value, depth: usize) -> Result<(), String> {
    match zend::type_of(value) {
        zend::IS_NULL => text.push_str("null"),
        zend::IS_TRUE => text.push_str("true"),
        zend::IS_FALSE => text.push_str("false"),
        // SAFETY: the type says what it is.
        zend::IS_LONG => text.push_str(&unsafe { value.value.lval }.to_string()),
        zend::IS_DOUBLE => {
            // SAFETY: as above.
            let number = unsafe { value.value.dval };
            if !number.is_finite() {
                return Err("a number that is not finite has no JSON text".to_owned());
            }
            text.push_str(&format!("{number}"));
        }
        // SAFETY: as above.
        zend::IS_STRING => quote(text, unsafe { zend::bytes_of(value) })?,
        zend::IS_ARRAY if depth < DEEPEST => array(text, value, depth)?,
        _ => return Err("an array too deep, an object or a resource has no JSON text here".to_owned()),
    }
    Ok(())
}

fn array(text: &mut String, value: &Value, depth: usize) -> Result<(), String> {
    // SAFETY: the caller has seen that it is an array; nothing changes it while it is read.
    let elements = || unsafe { Elements::of(value) };
    let is_list = elements().zip(0..).all(|((key, _), index)| key == Key::Index(index));
    text.push(if is_list { '[' } else { '{' });
    for (index, (key, element)) in elements().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if !is_list {
            match key {
                Key::Index(index) => text.push_str(&format!("\"{index}\"")),
                Key::Name(name) => quote(text, name)?,
            }
            text.push(':');
        }
        write(text, element, depth + 1)?;
    }
    text.push(if is_list { ']' } else { '}' });
    Ok(())
}

fn quote(text: &mut String, bytes: &[u8]) -> Result<(), String> {
    let string = std::str::from_utf8(bytes).map_err(|_| "a string that is not UTF-8 has no JSON text".to_owned())?;
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '/' => text.push_str("\\/"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text.push('"');
    Ok(())
}
