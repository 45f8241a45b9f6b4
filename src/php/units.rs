//! Units of work. A process that runs for days serves one job, message or request after the other within one request of
//! PHP's; `beginUnit()` and `endUnit()` tell it where each begins and ends, so that nothing of one reaches the next.
//!
//! Nothing is kept for that: the objects that Zend knows anyway are gone over at the end of a unit.

use std::cell::Cell;

use ext_php_rs::ffi::{ext_php_rs_executor_globals, zend_execute_data, zend_object, zval};

use crate::connection::current_generation;

use super::class::ClientObject;
use super::commands::guarded;
use super::iterator::Pages;
use super::listener::Listener;
use super::native::{self, Part};
use super::process::{hands, world};
use super::queue::Queue;
use super::{exceptions, session};

/// The units of a thread.
#[derive(Clone, Copy)]
struct Units {
    /// How many have begun.
    begun: u64,
    /// The number of the one that is open; zero while none is.
    open: u64,
    /// Whether it is coming to its end.
    is_ending: bool,
    /// The process that began it.
    generation: u64,
}

thread_local! {
    static UNITS: Cell<Units> = const { Cell::new(Units { begun: 0, open: 0, is_ending: false, generation: 0 }) };
}

/// The number of the unit that is open; zero while none is.
pub fn current() -> u64 {
    UNITS.get().open
}

/// Whether the unit that is open is coming to its end.
pub fn is_ending() -> bool {
    UNITS.get().is_ending
}

/// The end of a request is the end of its unit, too.
pub fn forget() {
    UNITS.set(Units { open: 0, is_ending: false, ..UNITS.get() });
}

/// Says that an object was closed with its unit.
pub fn throw_closed(what: &str) {
    let text = format!(
        "this {what} was made in a unit that has ended since (ResilientRedis::endUnit()), and was closed with it: make a \
         new one"
    );
    exceptions::throw_misuse("", &text);
}

/// `beginUnit()`
pub extern "C" fn begin(_: *mut zend_execute_data, _: *mut zval) {
    guarded(|| {
        let units = UNITS.get();
        if units.open != 0 {
            let text = "a unit is open already: units do not nest, and each ends with endUnit() before the next begins, \
                        whatever happens in it (try ... finally)";
            exceptions::throw_misuse("", text);
            return;
        }
        let begun = units.begun + 1;
        // No object is as new as this unit: what was made before stays open.
        draw_line(begun);
        UNITS.set(Units { begun, open: begun, is_ending: false, generation: current_generation() });
    });
}

/// `endUnit()`
pub extern "C" fn end(_: *mut zend_execute_data, _: *mut zval) {
    guarded(|| {
        let units = UNITS.get();
        if units.open == 0 || units.is_ending {
            let text = if units.is_ending { "the unit is ending already" } else { "no unit is open: see beginUnit()" };
            exceptions::throw_misuse("", text);
            return;
        }
        // A child leaves its parent's session to the parent.
        if units.generation == current_generation() {
            UNITS.set(Units { is_ending: true, ..units });
            // PHP code may run, and what it throws stays thrown: the unit ends in any case.
            session::end_unit(units.open);
        }
        draw_line(units.open);
        forget();
    });
}

/// Does for the clients and connections of this thread what the end of a request does, and closes what was made in a unit.
fn draw_line(unit: u64) {
    // SAFETY: no PHP code runs until the line is drawn, and none was in the middle of an exchange: so nobody uses the
    // hands or the objects.
    unsafe {
        let desk = &mut hands().desk;
        desk.sweep();
        desk.budget.reset();
        each_object(|object| {
            if let Some(ours) = native::part_of::<ClientObject>(object) {
                if let Some(client) = ours.client.as_deref_mut() {
                    client.start_over();
                }
            } else if let Some(queue) = native::part_of::<Queue>(object) {
                queue.close_with(unit);
            } else if let Some(listener) = native::part_of::<Listener>(object) {
                listener.close_with(unit, desk);
            } else if let Some(pages) = native::part_of::<Pages>(object) {
                pages.close_with(unit);
            }
        });
    }
    world().registry.tidy(world().clock.coarse());
}

/// Goes over the parts of all objects of a class, and of those that extend it.
///
/// # Safety
/// As for [`each_object`].
pub unsafe fn each_part<P: Part>(mut visit: impl FnMut(&mut P)) {
    // SAFETY: by the caller.
    unsafe {
        each_object(|object| {
            if let Some(part) = native::part_of::<P>(object) {
                visit(part);
            }
        });
    }
}

/// Goes over all objects that this thread's PHP has.
///
/// # Safety
/// PHP runs, and `visit` has it free or make no object. Nothing of our parts of them is in use.
unsafe fn each_object(mut visit: impl FnMut(*mut zend_object)) {
    // SAFETY: the executor's globals exist for as long as PHP runs. Its table of objects begins at one; a place that is
    // free holds the next free place, marked by the lowest bit.
    unsafe {
        let store = &raw const (*ext_php_rs_executor_globals()).objects_store;
        for handle in 1..(*store).top {
            let object = (*store).object_buckets.add(handle as usize).read();
            if !object.is_null() && object.addr() & 1 == 0 {
                visit(object);
            }
        }
    }
}
