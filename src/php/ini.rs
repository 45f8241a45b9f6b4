//! The ini settings: `resilient_redis.NAME` is the default of option `NAME`.

use std::ffi::{CStr, CString, c_int, c_void};

use ext_php_rs::ffi::{E_WARNING, ext_php_rs_sapi_module, zend_ini_entry, zend_string};
use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::IniEntryDef;

use crate::config::{BOARD_INI_NAMES, BoardSettings, ConfigurationError, Defaults, INI_NAMES};

use super::zend;

/// Registers the settings. Called once, while the module starts.
pub fn register(module_number: i32) {
    let leak = |text: String| -> &'static CStr { Box::leak(CString::new(text).expect("no NUL").into_boxed_c_str()) };
    let mut entries: Vec<IniEntryDef> = INI_NAMES
        .iter()
        .map(|(name, default, _)| {
            let entry = IniEntryDef::new(leak(full_name(name)), leak((*default).to_owned()), IniEntryPermission::All);
            // PHP restores only those settings that have a function for it.
            IniEntryDef { on_modify: Some(check), ..entry }
        })
        .collect();
    // The memory is shared before any script runs.
    entries.extend(BOARD_INI_NAMES.iter().map(|(name, default, _)| {
        IniEntryDef::new(leak(full_name(name)), leak((*default).to_owned()), IniEntryPermission::System)
    }));
    entries.push(IniEntryDef::end());
    // The engine keeps pointing into the table.
    IniEntryDef::register(Box::leak(entries.into_boxed_slice()), module_number);
}

/// Refuses a wrong value that a script sets. What php.ini says is looked at when a client is made, where an exception
/// can name it.
unsafe extern "C" fn check(
    entry: *mut zend_ini_entry,
    value: *mut zend_string,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    stage: c_int,
) -> c_int {
    if stage != RUNTIME {
        return SUCCESS;
    }
    // SAFETY: Zend gives the setting and a string or null; both stay while it asks.
    let (name, value) = unsafe {
        let value =
            value.as_ref().map_or_else(Default::default, |value| String::from_utf8_lossy(zend::string_bytes(value)));
        (String::from_utf8_lossy(zend::string_bytes((*entry).name)), value)
    };
    let name = name.strip_prefix("resilient_redis.").unwrap_or(&name);
    match Defaults::default().set(name, &value) {
        Ok(()) => SUCCESS,
        Err(error) => {
            let text = CString::new(error.to_string()).unwrap_or_default();
            // SAFETY: a format that takes one string.
            unsafe { zend::zend_error(E_WARNING.cast_signed(), c"%s".as_ptr(), text.as_ptr()) };
            FAILURE
        }
    }
}

/// `ZEND_INI_STAGE_RUNTIME`: a script sets or restores the value.
const RUNTIME: c_int = 1 << 4;
const SUCCESS: c_int = 0;
const FAILURE: c_int = -1;

/// The defaults that hold in this request.
///
/// # Errors
/// A setting is wrong: it is named as it stands in php.ini.
pub fn defaults() -> Result<Defaults, ConfigurationError> {
    let mut defaults = Defaults::of(&sapi(), is_lambda());
    for (name, _, _) in INI_NAMES {
        if let Some(value) = value_of(name) {
            defaults.set(name, &value)?;
        }
    }
    board()?;
    Ok(defaults)
}

/// What php.ini says of the board.
///
/// # Errors
/// A setting is wrong.
pub fn board() -> Result<BoardSettings, ConfigurationError> {
    let mut settings = BoardSettings::default();
    for (name, _, _) in BOARD_INI_NAMES {
        if let Some(value) = value_of(name) {
            settings.set(name, &value)?;
        }
    }
    Ok(settings)
}

fn value_of(name: &str) -> Option<String> {
    let full = CString::new(full_name(name)).expect("names have no NUL");
    // SAFETY: the engine gives a string that stays until the setting is changed; it is copied at once.
    unsafe {
        let value = zend::zend_ini_string_ex(full.as_ptr(), full.count_bytes(), 0, std::ptr::null_mut());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

fn full_name(name: &str) -> String {
    format!("resilient_redis.{name}")
}

/// Whether this is AWS Lambda: its runtime sets both for every function.
fn is_lambda() -> bool {
    ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"].into_iter().any(|name| std::env::var_os(name).is_some())
}

/// Whether PHP runs one program in one process, rather than requests in the children of a master.
pub fn is_command_line() -> bool {
    sapi() == "cli"
}

/// The name of the server interface: `cli`, `fpm-fcgi` ...
fn sapi() -> String {
    // SAFETY: the SAPI's description exists for as long as PHP runs.
    unsafe {
        let name = (*ext_php_rs_sapi_module()).name;
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}
