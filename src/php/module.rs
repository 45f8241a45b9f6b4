//! The module as PHP loads it: what happens when it starts, after each request, and when it ends.

use std::ffi::c_int;

use ext_php_rs::builders::ModuleBuilder;
use ext_php_rs::zend::{ModuleEntry, StaticModuleEntry};

use super::process::{claim_board, hands, set_up_board, watch_forks, world};
use super::{
    class, command_classes, container, dispatcher, exceptions, info, ini, iterator, memory, monitor, pubsub, push,
    push_dispatcher, push_response, queue, response, session, units,
};

/// The name that PHP knows the module by.
const NAME: &str = "resilient_redis";

/// What PHP calls when it has loaded the library.
#[unsafe(no_mangle)]
pub extern "C" fn get_module() -> *mut ModuleEntry {
    static MODULE: StaticModuleEntry = StaticModuleEntry::new();
    MODULE.get_or_init(|| {
        let builder = ModuleBuilder::new(NAME, env!("CARGO_PKG_VERSION"))
            .startup_function(start)
            .request_startup_function(before_request)
            .shutdown_function(end)
            .post_deactivate_function(after_request)
            .info_function(info::print);
        let (mut entry, _, owned) = builder.try_into().expect("a name and a version without NUL");
        entry.deps = session::dependencies();
        (entry, owned)
    })
}

extern "C" fn start(_: c_int, module_number: c_int) -> c_int {
    memory::detect();
    ini::register(module_number);
    response::register();
    exceptions::register();
    class::register();
    queue::register();
    pubsub::register();
    dispatcher::register();
    monitor::register();
    push::register();
    push_dispatcher::register();
    push_response::register();
    command_classes::register();
    session::register();
    iterator::register();
    container::register();
    watch_forks();
    set_up_board();
    0
}

extern "C" fn before_request(_: c_int, _: c_int) -> c_int {
    claim_board();
    0
}

/// The very end of a request: PHP's memory is gone, so only our own is touched. What a command left behind that never
/// came back is closed.
unsafe extern "C" fn after_request() -> c_int {
    // SAFETY: no PHP code runs any more, so nobody uses the hands.
    let desk = unsafe { &mut hands().desk };
    desk.sweep();
    desk.forget_aside();
    desk.budget.reset();
    units::forget();
    // Between two requests nobody waits: connections that nobody came for are closed now.
    world().registry.tidy(world().clock.coarse());
    0
}

extern "C" fn end(_: c_int, _: c_int) -> c_int {
    // SAFETY: as in `after_request`.
    unsafe { hands() }.desk.sweep();
    world().registry.reset();
    0
}
