//! The ini settings: `resilient_redis.NAME` is the default of option `NAME`.

use std::ffi::{CStr, CString};
use std::time::Duration;

use ext_php_rs::ffi::ext_php_rs_sapi_module;
use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::IniEntryDef;

use crate::config::{ConfigurationError, Defaults, INI_NAMES};

use super::zend;

/// Commands of a web request should not wait as long as those of a worker: somebody is waiting for the page.
const COMMAND_TIMEOUT_OF_REQUESTS: Duration = Duration::from_secs(5);

/// Registers the settings. Called once, while the module starts.
pub fn register(module_number: i32) {
    let leak = |text: String| -> &'static CStr { Box::leak(CString::new(text).expect("no NUL").into_boxed_c_str()) };
    let mut entries: Vec<IniEntryDef> = INI_NAMES
        .iter()
        .map(|(name, default, _)| {
            IniEntryDef::new(leak(full_name(name)), leak((*default).to_owned()), IniEntryPermission::All)
        })
        .collect();
    entries.push(IniEntryDef::end());
    // The engine keeps pointing into the table.
    IniEntryDef::register(Box::leak(entries.into_boxed_slice()), module_number);
}

/// The defaults that hold in this request.
///
/// # Errors
/// A setting is wrong: it is named as it stands in php.ini.
pub fn defaults() -> Result<Defaults, ConfigurationError> {
    let mut defaults = Defaults::default();
    if !is_command_line() {
        defaults.command_timeout = Some(COMMAND_TIMEOUT_OF_REQUESTS);
    }
    for (name, _, _) in INI_NAMES {
        let full = CString::new(full_name(name)).expect("names have no NUL");
        // SAFETY: the engine gives a string that stays until the setting is changed; it is copied at once.
        let value = unsafe {
            let value = zend::zend_ini_string_ex(full.as_ptr(), full.count_bytes(), 0, std::ptr::null_mut());
            if value.is_null() { continue } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
        };
        defaults.set(name, &value)?;
    }
    Ok(defaults)
}

fn full_name(name: &str) -> String {
    format!("resilient_redis.{name}")
}

fn is_command_line() -> bool {
    // SAFETY: the SAPI's description exists for as long as PHP runs.
    unsafe {
        let name = (*ext_php_rs_sapi_module()).name;
        !name.is_null() && CStr::from_ptr(name).to_bytes() == b"cli"
    }
}
