//! The four forms of `pipeline()` and `transaction()`, and their options.

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::config::{ConfigurationError, Setting};

use super::commands::{self, guarded, unconstructed};
use super::elements::{Elements, Key};
use super::methods::is_callable;
use super::process::hands;
use super::queue::{self, Sort};
use super::zend::{self, Value};
use super::{called, class, exceptions, pipeline, settings, transaction};

/// How a pipeline or a transaction was made.
#[derive(Debug)]
pub struct Options {
    /// Pipeline: between MULTI and EXEC.
    pub atomic: bool,
    /// Pipeline: the replies are read and dropped.
    pub forget: bool,
    /// Whether the first error reply is thrown; otherwise errors stand among the replies.
    pub throws: bool,
    /// Transaction: commands run at once until MULTI.
    pub check_and_set: bool,
    /// Transaction: how often the callable runs again.
    pub retry: u32,
    /// Transaction: the WATCH to begin with, encoded.
    pub watch: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Options { atomic: false, forget: false, throws: true, check_and_set: false, retry: 0, watch: None }
    }
}

/// `pipeline()`
pub extern "C" fn open_pipeline(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe { open(call, Sort::Pipeline, return_value) });
}

/// `transaction()`
pub extern "C" fn open_transaction(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `open_pipeline`.
    guarded(|| unsafe { open(call, Sort::Transaction, return_value) });
}

/// Without a callable the object is returned; with one it is used at once, and the replies are returned.
unsafe fn open(call: *mut zend_execute_data, sort: Sort, return_value: *mut zval) {
    // SAFETY: by the callers. The arguments are kept alive by the call.
    unsafe {
        let client = zend::this(call);
        let Some(throws) = class::of(client).client.as_deref().map(|client| client.configuration().throws()) else {
            unconstructed();
            return;
        };
        if called::has_named_options(call) {
            return;
        }
        let parsed = forms(sort, zend::arguments(call)).and_then(|(options, callable)| {
            let unsaid = Options { throws, ..Options::default() };
            let options = match options {
                Some(options) => read(sort, options, unsaid, client)?,
                None => unsaid,
            };
            Ok((options, callable))
        });
        let (options, callable) = match parsed {
            Ok(parsed) => parsed,
            Err(Wrong::Thrown) => return,
            Err(Wrong::Option(error)) => {
                exceptions::throw_configuration(&error.to_string());
                return;
            }
        };
        let object = queue::new(sort, client, options);
        let Some(callable) = callable else {
            return_value.cast::<Value>().write(object);
            return;
        };
        match sort {
            Sort::Pipeline => pipeline::execute(object.value.obj, Some(callable), return_value),
            Sort::Transaction => transaction::execute(object.value.obj, Some(callable), return_value),
        }
        zend::release(object);
    }
}

/// Why the arguments are wrong.
enum Wrong {
    /// PHP has thrown already.
    Thrown,
    /// This is wrong.
    Option(ConfigurationError),
}

impl From<ConfigurationError> for Wrong {
    fn from(error: ConfigurationError) -> Wrong {
        Wrong::Option(error)
    }
}

/// Options and callable among the arguments: either, both or none.
fn forms(sort: Sort, given: &[Value]) -> Result<(Option<&Value>, Option<&Value>), Wrong> {
    let method = match sort {
        Sort::Pipeline => "pipeline",
        Sort::Transaction => "transaction",
    };
    let given: Vec<&Value> =
        given.iter().map(zend::deref).filter(|value| zend::type_of(value) != zend::IS_NULL).collect();
    let wrong = |value: &Value| {
        let accepted = "an array of options, a callable, or both in this order";
        Wrong::from(ConfigurationError::new(method, settings::read(value).describe(), accepted))
    };
    match given[..] {
        [] => Ok((None, None)),
        [one] if is_options(one) => Ok((Some(one), None)),
        [one] if is_callable(one) => Ok((None, Some(one))),
        [options, callable] if is_options(options) && is_callable(callable) => Ok((Some(options), Some(callable))),
        [options, _] if !is_options(options) => Err(wrong(options)),
        [.., last] => Err(wrong(last)),
    }
}

/// An array that is no callable. (`[$object, 'method']` is one.)
pub fn is_options(value: &Value) -> bool {
    let array = zend::type_of(value) == zend::IS_ARRAY;
    array && !(matches!(settings::read(value), Setting::List(items) if !items.is_empty()) && is_callable(value))
}

/// The options of an array. The prefix of the keys that are watched is the client's.
///
/// # Safety
/// `client` is a live object of the client's class.
unsafe fn read(sort: Sort, array: &Value, mut options: Options, client: *mut zend_object) -> Result<Options, Wrong> {
    let known: &[&str] = match sort {
        Sort::Pipeline => &["atomic", "fire-and-forget", "exceptions"],
        Sort::Transaction => &["cas", "watch", "retry", "exceptions"],
    };
    // SAFETY: the type was seen to be an array, and the arguments do not change while we look.
    for (key, value) in unsafe { Elements::of(array) } {
        let name = match key {
            Key::Name(name) => String::from_utf8_lossy(name).into_owned(),
            Key::Index(index) => index.to_string(),
        };
        let setting = settings::read(value);
        if !known.contains(&name.as_str()) {
            let accepted = format!("unknown option; accepted are {}", known.join(", "));
            return Err(ConfigurationError::new(&name, setting.describe(), accepted).into());
        }
        if matches!(setting, Setting::Null) {
            continue;
        }
        match name.as_str() {
            "atomic" => options.atomic = boolean(&name, &setting)?,
            "fire-and-forget" => options.forget = boolean(&name, &setting)?,
            "exceptions" => options.throws = boolean(&name, &setting)?,
            "cas" => options.check_and_set = boolean(&name, &setting)?,
            "retry" => {
                let times = if let Setting::Int(times) = setting { u32::try_from(times).ok() } else { None };
                options.retry = times.ok_or_else(|| {
                    ConfigurationError::new(&name, setting.describe(), "a number of retries, 0 or more")
                })?;
            }
            // SAFETY: by the caller.
            _ => options.watch = unsafe { watch(value, client) }?,
        }
    }
    Ok(options)
}

fn boolean(name: &str, setting: &Setting) -> Result<bool, ConfigurationError> {
    match setting {
        Setting::Bool(value) => Ok(*value),
        Setting::Int(number @ (0 | 1)) => Ok(*number == 1),
        other => Err(ConfigurationError::new(name, other.describe(), "true or false")),
    }
}

/// The keys of option `watch`, a key or a list of them, as a WATCH.
unsafe fn watch(value: &Value, client: *mut zend_object) -> Result<Option<Vec<u8>>, Wrong> {
    // SAFETY: the client is the caller's; `write_words` takes values that the call's arguments keep alive.
    unsafe {
        let prefix = commands::prefix_of(client);
        let written = if zend::type_of(value) == zend::IS_ARRAY {
            let keys = Elements::of(value).map(|(_, key)| key);
            if keys.clone().next().is_none() {
                return Ok(None);
            }
            commands::write_words(b"WATCH", keys, prefix)
        } else {
            commands::write_words(b"WATCH", std::iter::once(value), prefix)
        };
        written.ok_or(Wrong::Thrown)?;
        Ok(Some(hands().desk.frame.bytes().to_vec()))
    }
}
