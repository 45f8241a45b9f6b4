//! What the consumers have in common: objects with a connection that listens, whose messages PHP iterates over.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    ZEND_ACC_FINAL, ext_php_rs_executor_globals, zend_ce_iterator, zend_class_entry, zend_do_implement_interface,
    zend_execute_data, zend_interrupt_function, zend_object, zval,
};

use crate::client::{Desk, Heard, Subscription, Verb};
use crate::command::Shape;

use super::class::{self, Method};
use super::commands::{self, guarded};
use super::native::{self, Handlers, Part};
use super::process::hands;
use super::replies::PhpSink;
use super::signature::{BOOL, INT, VOID};
use super::zend::{self, Value};
use super::{credentials, events, exceptions, units};

/// An object that listens.
pub struct Listener {
    /// The client's object, and the message that is being received. Side by side, for the garbage collector.
    held: [Value; 2],
    subscription: Option<Box<Subscription>>,
    /// Whether it is the client's own connection that listens.
    hears: bool,
    position: i64,
    /// Whether a message is being received. Found at another time, PHP left that by a jump.
    receiving: bool,
    /// The unit that it was made in, and whether it was closed with it.
    unit: u64,
    is_closed: bool,
}

impl Part for Listener {
    type Held = [Value; 2];

    fn fresh(_: *mut zend_class_entry) -> Listener {
        Listener {
            held: [zend::null(), zend::null()],
            subscription: None,
            hears: false,
            position: 0,
            receiving: false,
            unit: units::current(),
            is_closed: false,
        }
    }

    fn held(&mut self) -> &mut [Value; 2] {
        &mut self.held
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }
}

/// A class of such objects.
pub struct Class {
    name: &'static str,
    entry: AtomicPtr<zend_class_entry>,
}

impl Class {
    /// A class that is not registered yet.
    pub const fn new(name: &'static str) -> Class {
        Class { name, entry: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Registers it, with these methods beside those that all have. Called once, while the module starts.
    pub fn register(&self, own: Vec<Method>) {
        let mut all = own;
        all.push(Method::new("getClient", get_client, &[]));
        all.push(Method::new("valid", valid, &[]).returning(BOOL));
        all.push(Method::new("key", key, &[]).returning(INT));
        all.push(Method::new("next", next, &[]).returning(VOID));
        all.push(Method::new("rewind", rewind, &[]).returning(VOID));
        // SAFETY: the module is starting.
        unsafe {
            let registered = native::register::<Listener>(self.name, &all, ZEND_ACC_FINAL);
            zend_do_implement_interface(registered, zend_ce_iterator);
            self.entry.store(registered, Ordering::Relaxed);
        }
    }

    /// Whether a value is an object of this class.
    pub fn is_of(&self, value: &Value) -> bool {
        // SAFETY: the type says that it is an object, which has a class.
        zend::type_of(value) == zend::IS_OBJECT
            && unsafe { ptr::eq((*value.value.obj).ce, self.entry.load(Ordering::Relaxed)) }
    }

    /// A new object for a client.
    ///
    /// # Safety
    /// `client` is a live object of the client's class that was constructed; nothing of it is in use.
    pub unsafe fn make(&self, client: *mut zend_object) -> Value {
        let mut value = zend::null();
        // SAFETY: the class was registered, and makes an object of ours; it gets a reference to the client.
        unsafe {
            zend::object_init_ex(value.as_zval(), self.entry.load(Ordering::Relaxed));
            let listener = of(value.value.obj);
            listener.held[0] = zend::reference_to(client);
            listener.subscription =
                class::of(client).client.as_deref().map(|client| Box::new(Subscription::of(client)));
        }
        value
    }

    /// A new object for a client whose own connection listens, which it takes over.
    ///
    /// # Safety
    /// `client` is an object of the client's class.
    pub unsafe fn make_of(&self, client: Value) -> Value {
        let mut value = zend::null();
        // SAFETY: as in `make`.
        unsafe {
            zend::object_init_ex(value.as_zval(), self.entry.load(Ordering::Relaxed));
            let listener = of(value.value.obj);
            listener.held[0] = client;
            listener.hears = true;
        }
        value
    }
}

/// Our part of an object of such a class.
///
/// # Safety
/// The object is one of those, and live; no other reference to our part of it is in use.
#[inline]
pub unsafe fn of<'a>(object: *mut zend_object) -> &'a mut Listener {
    // SAFETY: by the caller.
    unsafe { native::of(object) }
}

impl Listener {
    /// Closes it, if it was made in that unit.
    ///
    /// # Safety
    /// Nothing of its client and nothing of the thread's desk but `desk` is in use.
    pub unsafe fn close_with(&mut self, unit: u64, desk: &mut Desk) {
        if self.unit != unit {
            return;
        }
        self.is_closed = true;
        if let Some(subscription) = self.subscription.as_deref_mut() {
            subscription.close();
        }
        if std::mem::take(&mut self.hears) {
            // SAFETY: whoever hears holds its client, which is an object of its own.
            let client = unsafe { class::of(self.held[0].value.obj) };
            if let Some(client) = client.client.as_deref_mut() {
                client.stop_hearing(desk);
            }
        }
    }

    /// Whether it was closed with its unit.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// False, and that is thrown, if it was closed with its unit.
    pub fn is_open(&self) -> bool {
        if self.is_closed {
            units::throw_closed("loop");
        }
        !self.is_closed
    }

    /// The subscription. `None`, and that is thrown, if somebody made the object with `new`, or if it was closed.
    pub fn subscription(&mut self) -> Option<&mut Subscription> {
        if !self.is_open() {
            return None;
        }
        if self.subscription.is_none() {
            exceptions::throw_misuse("", "this object must be made by a method of a client, such as pubSubLoop()");
        }
        self.subscription.as_deref_mut()
    }

    /// Whether anything can come.
    pub fn is_any(&self) -> bool {
        self.hears || self.subscription.as_ref().is_some_and(|subscription| subscription.is_any())
    }

    /// Whether the client's own connection listens.
    pub fn hears(&self) -> bool {
        self.hears
    }

    /// The client's own connection listens no more.
    pub fn stop_hearing(&mut self) {
        self.hears = false;
    }

    /// Where a message is built. It holds nothing.
    pub fn root(&mut self) -> *mut Value {
        // What is left there was half built when PHP left by a jump, and goes with the request.
        self.held[1] = zend::null();
        &raw mut self.held[1]
    }

    /// The prefix of the client's channels; empty if it has none.
    ///
    /// # Safety
    /// The object stays alive as long as the prefix is used.
    pub unsafe fn prefix<'a>(&self) -> &'a [u8] {
        // SAFETY: by the caller; a listener with a subscription has a client, which lives as long as it does.
        if self.subscription.is_some() { unsafe { commands::prefix_of(self.held[0].value.obj) } } else { &[] }
    }

    /// The client's object.
    pub fn client(&self) -> Value {
        self.held[0]
    }
}

/// Asks something of the server, of channels with the client's prefix. False if that was thrown.
///
/// # Safety
/// The object is one of ours and stays alive; nothing of it and nothing of the thread's hands is borrowed.
pub unsafe fn ask(object: *mut zend_object, verb: Verb, mut words: Vec<Vec<u8>>) -> bool {
    // SAFETY: by the caller. No PHP code runs before the events.
    unsafe {
        let Some(subscription) = of(object).subscription() else { return false };
        let prefix = of(object).prefix();
        if !prefix.is_empty() && matches!(verb, Verb::Subscribe(_) | Verb::Unsubscribe(_)) {
            words.iter_mut().for_each(|word| *word = [prefix, word.as_slice()].concat());
        }
        subscription.wish(verb, words);
        send(object)
    }
}

/// Unsubscribes from everything. False if that was thrown.
///
/// # Safety
/// As for [`ask`].
pub unsafe fn leave(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. No PHP code runs before the events.
    unsafe {
        let Some(subscription) = of(object).subscription() else { return false };
        subscription.wish_nothing();
        send(object)
    }
}

/// Sends what was wished. False if that was thrown.
unsafe fn send(object: *mut zend_object) -> bool {
    // SAFETY: by the callers; the object is reached anew after PHP code has run.
    unsafe {
        while let Some(subscription) = of(object).subscription() {
            let result = subscription.send(&mut hands().desk);
            if credentials::are_wanted(&result) {
                drop(result);
                if present(object) {
                    continue;
                }
            } else if let Err(failure) = result {
                exceptions::throw(&failure);
            }
            break;
        }
        done(object);
        tell(object);
    }
    !zend::has_exception()
}

/// Has the program say who the client is that listens. False if something was thrown instead.
unsafe fn present(object: *mut zend_object) -> bool {
    // SAFETY: by the callers; a listener with a subscription has a client, which lives as long as it does.
    unsafe {
        let client = of(object).client().value.obj;
        credentials::ask_for(client, true, || Some(of(object).subscription.as_deref_mut()?.client()))
    }
}

/// What the program was asked for is done.
unsafe fn done(object: *mut zend_object) {
    // SAFETY: by the callers.
    if let Some(subscription) = unsafe { of(object) }.subscription.as_deref_mut() {
        subscription.client().end_of_pass();
    }
}

/// Closes the connection and forgets everything.
///
/// # Safety
/// As for [`ask`].
pub unsafe fn close(object: *mut zend_object) {
    // SAFETY: by the caller.
    if let Some(subscription) = unsafe { of(object) }.subscription.as_deref_mut() {
        subscription.close();
    }
}

/// Waits for a message, as it came. `None` if there is none any more, or if something was thrown.
///
/// # Safety
/// As for [`ask`]. PHP code may run: handlers of signals, and listeners.
pub unsafe fn wait(object: *mut zend_object) -> Option<Value> {
    // SAFETY: by the caller. While a message is received it stands in the object, where it is found whatever happens;
    // the object is reached anew after PHP code has run.
    unsafe {
        loop {
            let listener = of(object);
            if std::mem::replace(&mut listener.receiving, true) {
                // Half built, and left to the end of the request.
                listener.held[1] = zend::null();
            }
            let root = &raw mut listener.held[1];
            let Some(subscription) = listener.subscription() else {
                of(object).receiving = false;
                return None;
            };
            let hands = hands();
            let mut sink = PhpSink::new(&mut hands.building, root, Shape::Plain);
            let heard = subscription.listen(&mut hands.desk, &mut sink);
            if heard.is_err() {
                crate::resp::Sink::reset(&mut sink);
            }
            let listener = of(object);
            listener.receiving = false;
            if credentials::are_wanted(&heard) {
                drop(heard);
                if present(object) {
                    continue;
                }
                done(object);
                return None;
            }
            done(object);
            let listener = of(object);
            let came = std::mem::replace(&mut listener.held[1], zend::null());
            match heard {
                Ok(Heard::Message) => {
                    tell(object);
                    if zend::has_exception() {
                        zend::release(came);
                        return None;
                    }
                    return Some(came);
                }
                Ok(Heard::Over) => return None,
                Ok(Heard::Told) => tell(object),
                Ok(Heard::Interrupted) => {
                    tell(object);
                    run_interrupts();
                }
                Err(failure) => {
                    // Nothing is thrown where memory ran out: PHP says so itself, once it gets the word.
                    exceptions::throw(&failure);
                    tell(object);
                    return None;
                }
            }
            if zend::has_exception() {
                return None;
            }
        }
    }
}

/// Has PHP do what it wants to do between two opcodes: run the handlers of signals, or end a program that took too
/// long.
///
/// # Safety
/// Nothing of an object and nothing of the thread's hands is borrowed.
pub unsafe fn run_interrupts() {
    // SAFETY: by the caller; the executor's globals exist. The flag is taken back before the function is called, as PHP
    // itself does.
    unsafe {
        let globals = ext_php_rs_executor_globals();
        (*globals).vm_interrupt.value = false;
        if (*globals).timed_out.value {
            zend::zend_timeout();
        } else if let Some(interrupt) = zend_interrupt_function {
            interrupt((*globals).current_execute_data);
        }
    }
}

/// Hands the events of the subscription to the client's listener.
unsafe fn tell(object: *mut zend_object) {
    // SAFETY: by the callers; each event is taken before PHP code runs.
    unsafe {
        let client = of(object).client();
        if zend::type_of(&client) != zend::IS_OBJECT {
            return;
        }
        let client = client.value.obj;
        if let (Some(subscription), Some(client)) =
            (of(object).subscription.as_deref_mut(), class::of(client).client.as_deref_mut())
        {
            subscription.hand_events_to(client);
        }
        events::deliver(client);
    }
}

/// Counts a message, for `key()`.
///
/// # Safety
/// The object is one of ours.
pub unsafe fn count(object: *mut zend_object) {
    // SAFETY: by the caller.
    unsafe { of(object) }.position += 1;
}

extern "C" fn get_client(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame; the client is kept alive by the object.
    guarded(|| unsafe {
        let client = of(zend::this(call)).client();
        return_value.cast::<Value>().write(zend::hold(&client));
    });
}

extern "C" fn valid(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_client`.
    guarded(|| unsafe {
        let listener = of(zend::this(call));
        if listener.is_open() {
            return_value.cast::<Value>().write(zend::boolean(listener.is_any()));
        }
    });
}

extern "C" fn key(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `get_client`.
    guarded(|| unsafe {
        return_value.cast::<Value>().write(zend::long(of(zend::this(call)).position));
    });
}

extern "C" fn next(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `get_client`.
    guarded(|| unsafe {
        let listener = of(zend::this(call));
        if listener.is_open() && listener.is_any() {
            count(zend::this(call));
        }
    });
}

extern "C" fn rewind(_: *mut zend_execute_data, _: *mut zval) {}
