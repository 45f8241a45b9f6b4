//! PHP values as settings, which the configuration room understands.

use crate::config::Setting;

use super::credentials::Askers;
use super::elements::{Elements, Key};
use super::foreign;
use super::zend::{self, Value};

/// Arrays nested deeper than this are no configuration.
const DEEPEST: usize = 8;

/// Where a callable may stand, which is asked for the secret.
const SECRETS: &[&str] = &["password", "credentials"];

/// The setting that a PHP value is.
pub fn read(value: &Value) -> Setting {
    read_at(value, 0, None)
}

/// The same for the arguments of a constructor: callables that stand where a secret may are found.
pub fn read_with(value: &Value, askers: &mut Askers) -> Setting {
    read_at(value, 0, Some(askers))
}

fn read_at(value: &Value, depth: usize, askers: Option<&mut Askers>) -> Setting {
    let value = zend::deref(value);
    // SAFETY: each arm looks at the value as what its type says it is, and nothing changes it while we do.
    unsafe {
        match zend::type_of(value) {
            zend::IS_NULL | zend::IS_UNDEF => Setting::Null,
            zend::IS_FALSE => Setting::Bool(false),
            zend::IS_TRUE => Setting::Bool(true),
            zend::IS_LONG => Setting::Int(value.value.lval),
            zend::IS_DOUBLE => Setting::Float(value.value.dval),
            zend::IS_STRING => match std::str::from_utf8(zend::bytes_of(value)) {
                Ok(text) => Setting::Text(text.to_owned()),
                Err(_) => Setting::Other("a string that is not UTF-8".to_owned()),
            },
            zend::IS_ARRAY if depth < DEEPEST => array(value, depth, askers),
            zend::IS_OBJECT => {
                if let Some(held) = foreign::array_of(value.value.obj).filter(|_| depth < DEEPEST) {
                    return array(held, depth, askers);
                }
                if let Some(retry) = foreign::retry_of(value.value.obj) {
                    return retry;
                }
                let name = zend::string_bytes((*(*value.value.obj).ce).name);
                Setting::Other(format!("object of class {}", String::from_utf8_lossy(name)))
            }
            _ => Setting::Other("a value of another type".to_owned()),
        }
    }
}

/// # Safety
/// The value is an array that nothing changes meanwhile.
unsafe fn array(value: &Value, depth: usize, mut askers: Option<&mut Askers>) -> Setting {
    // SAFETY: by the caller.
    let elements: Vec<(Key<'_>, &Value)> = unsafe { Elements::of(value) }.collect();
    let is_list = elements.iter().enumerate().all(|(index, (key, _))| *key == Key::Index(index as i64));
    let item = |value: &Value, askers: Option<&mut Askers>| read_at(value, depth + 1, askers);
    if is_list {
        return Setting::List(elements.iter().map(|(_, value)| item(value, askers.as_deref_mut())).collect());
    }
    let mut named = |(key, value): &(Key<'_>, &Value)| {
        let name = match key {
            Key::Index(index) => index.to_string(),
            Key::Name(name) => String::from_utf8_lossy(name).into_owned(),
        };
        let asked = match askers.as_deref_mut().filter(|_| SECRETS.contains(&&*name)) {
            // SAFETY: by the caller.
            Some(askers) => unsafe { askers.setting(zend::deref(value)) },
            None => None,
        };
        let setting = asked.unwrap_or_else(|| item(value, askers.as_deref_mut()));
        (name, setting)
    };
    Setting::Map(elements.iter().map(&mut named).collect())
}
