//! `php --ri resilient_redis` and phpinfo(): version, settings, pools. No addresses' secrets, no values.

use std::ffi::{CString, c_void};

use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_header, info_table_row, info_table_start};

use crate::telemetry::COUNTERS;

use super::ini;
use super::process::world;
use super::zend;

/// Whether this process shares what it learns, and how much of the shared memory is in use.
fn board() -> String {
    let status = world().registry.board().status();
    if status.shared {
        format!("shared, {} of {} records in use", status.records, status.room)
    } else {
        "this process alone".to_owned()
    }
}

/// Prints the tables.
pub extern "C" fn print(module: *mut ModuleEntry) {
    info_table_start!();
    info_table_row!("ResilientRedis", "enabled");
    info_table_row!("Version", env!("CARGO_PKG_VERSION"));
    info_table_row!("Connections opened", COUNTERS.opened.get().to_string());
    info_table_row!("Connections closed", COUNTERS.closed.get().to_string());
    info_table_row!("Commands", COUNTERS.commands.get().to_string());
    info_table_row!("Retries", COUNTERS.retries.get().to_string());
    info_table_row!("Commands that waited for a primary", COUNTERS.waited.get().to_string());
    info_table_row!("Failovers", COUNTERS.failovers.get().to_string());
    info_table_row!("Outcomes unknown", COUNTERS.unknown.get().to_string());
    let limit = ini::defaults().map_or_else(
        |error| error.to_string(),
        |defaults| defaults.command_timeout.map_or("none".to_owned(), |limit| format!("{} s", limit.as_secs_f64())),
    );
    info_table_row!("Limit of a command here (command_timeout)", limit);
    info_table_row!("Searches for a primary", COUNTERS.searches.get().to_string());
    info_table_row!("Board", board());
    info_table_end!();
    info_table_start!();
    info_table_header!("Pools (node, database)", "idle / leased");
    let pools = world().registry.status();
    if pools.is_empty() {
        info_table_row!("none yet in this process", "0 / 0");
    }
    for pool in pools {
        let name = format!("{}, {}", pool.node, pool.database);
        info_table_row!(
            CString::new(name).map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned()),
            format!("{} / {}", pool.idle, pool.leased)
        );
    }
    info_table_end!();
    // SAFETY: Zend prints the settings of the module that it asks about.
    unsafe { zend::display_ini_entries(module.cast::<c_void>()) };
}
