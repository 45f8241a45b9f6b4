//! `ResilientRedis\SessionHandler`: sessions by a client that the program has made.

use std::array;
use std::sync::OnceLock;

use ext_php_rs::ffi::{zend_class_entry, zend_do_implement_interface, zend_execute_data, zend_object, zval};

use crate::client::{Client, Desk};
use crate::config::{ConfigurationError, SessionSettings, Setting};
use crate::session::{Store, Trouble};

use super::super::class::{self, Method, optional, required};
use super::super::commands::{guarded, unconstructed};
use super::super::native::{self, Handlers, Part};
use super::super::process::hands;
use super::super::signature::{BOOL, INT, STRING};
use super::super::zend::{self, Value};
use super::super::{credentials, events, exceptions, memory, settings, units};
use super::{CreateId, Module};

/// An object of the class.
struct Session {
    /// The sessions; none until the constructor has run.
    store: Option<Box<Store>>,
    /// The client's object, whose listener hears of failovers.
    client: Value,
    /// The unit in which it was opened last; `None` while it is closed.
    unit: Option<u64>,
}

/// The type `false`.
const FALSE: u32 = 1 << zend::IS_FALSE;

static CREATE_ID: OnceLock<CreateId> = OnceLock::new();

impl Part for Session {
    type Held = [Value; 1];

    fn fresh(_: *mut zend_class_entry) -> Session {
        Session { store: None, client: zend::null(), unit: None }
    }

    fn held(&mut self) -> &mut [Value; 1] {
        array::from_mut(&mut self.client)
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }
}

/// Registers the class.
///
/// # Safety
/// The module is starting; the client's class is registered.
pub unsafe fn register(module: &Module) {
    CREATE_ID.get_or_init(|| module.create_id);
    let methods = [
        Method::new("__construct", construct, const { &[required(c"client"), optional(c"options")] }),
        Method::new("register", register_handler, &[]).returning(BOOL),
        Method::new("open", open, const { &[required(c"path").of(STRING), required(c"name").of(STRING)] })
            .returning(BOOL),
        Method::new("close", close, &[]).returning(BOOL),
        Method::new("read", read, const { &[required(c"id").of(STRING)] }).returning(STRING | FALSE),
        Method::new("write", write, const { &[required(c"id").of(STRING), required(c"data").of(STRING)] })
            .returning(BOOL),
        Method::new("destroy", destroy, const { &[required(c"id").of(STRING)] }).returning(BOOL),
        Method::new("gc", collect, const { &[required(c"max_lifetime").of(INT)] }).returning(INT | FALSE),
        Method::new("create_sid", create_sid, &[]).returning(STRING),
        Method::new("validateId", validate_id, const { &[required(c"id").of(STRING)] }).returning(BOOL),
        Method::new("updateTimestamp", touch, const { &[required(c"id").of(STRING), required(c"data").of(STRING)] })
            .returning(BOOL),
    ];
    // SAFETY: by the caller; the function table lives until Zend has copied it, and beyond.
    unsafe {
        let registered = native::register::<Session>("ResilientRedis\\SessionHandler", &methods, 0);
        for interface in module.interfaces {
            zend_do_implement_interface(registered, interface);
        }
    }
}

/// # Safety
/// The object is one of the class, and live; no other reference to our part of it is in use.
unsafe fn of<'a>(object: *mut zend_object) -> &'a mut Session {
    // SAFETY: by the caller.
    unsafe { native::of(object) }
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: Zend calls a constructor with its frame, which keeps the arguments and the object alive.
    guarded(|| unsafe {
        let session = of(zend::this(call));
        if session.store.is_some() {
            exceptions::throw_misuse("", "this ResilientRedis\\SessionHandler is constructed already");
            return;
        }
        let arguments = zend::arguments(call);
        let Some(object) = arguments.first().and_then(class::client_in) else {
            exceptions::throw_misuse("", "a session handler takes a ResilientRedis and an array of options");
            return;
        };
        let Some(client) = class::of(object).client.as_deref() else {
            unconstructed();
            return;
        };
        let options = arguments.get(1).map_or(Setting::Null, settings::read);
        match store_of(client, &options) {
            Ok(store) => {
                session.store = Some(Box::new(store));
                session.client = zend::reference_to(object);
            }
            Err(error) => exceptions::throw_configuration(&error.to_string()),
        }
    });
}

/// A client of its own: a transaction that the program has open on its client must not swallow the session. It asks the
/// primary, whatever the program's reads do: a session that was just written has to be there.
fn store_of(client: &Client, options: &Setting) -> Result<Store, ConfigurationError> {
    let settings = SessionSettings::read(options)?;
    let fresh = Setting::Map(vec![("read_from".to_owned(), Setting::Text("primary".to_owned()))]);
    let mut client = client.with_options(&fresh)?;
    // A step holds a lock that a second try of it would wait for.
    client.be_asked_ahead();
    Ok(Store::new(client, settings))
}

/// Has the program say who the client is, where it is asked that: before each step. False if something was thrown instead.
///
/// # Safety
/// The object is a live one of the class, of which nothing is in use. PHP code may run.
unsafe fn knows_who(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. The client's object is kept alive by this one, which is reached anew after PHP code has run.
    unsafe {
        let asks = of(object).store.as_deref_mut().is_some_and(|store| store.client().asks_program());
        let client = of(object).client;
        !asks || credentials::ask_for(client.value.obj, false, || Some(of(object).store.as_deref_mut()?.client()))
    }
}

/// Runs `work` on the sessions of the called object. What goes wrong is thrown, and the listener hears the events.
/// `None` if something was thrown.
///
/// # Safety
/// `call` is the frame of a call to a method of the class; `work` runs no PHP code.
unsafe fn with_store<R>(
    call: *mut zend_execute_data,
    work: impl FnOnce(&mut Store, &mut Desk) -> Result<R, Trouble>,
) -> Option<R> {
    // SAFETY: by the caller. The object and the client's are kept alive by the call; neither is used after the events.
    unsafe {
        if !knows_who(zend::this(call)) {
            return None;
        }
        let session = of(zend::this(call));
        let Some(store) = session.store.as_deref_mut() else {
            let text = "this ResilientRedis\\SessionHandler was not constructed: a subclass with a constructor of its own \
                        must call parent::__construct()";
            exceptions::throw_misuse("", text);
            return None;
        };
        let result = work(store, &mut hands().desk);
        store.client().end_of_pass();
        let client = session.client.value.obj;
        if let Some(listening) = class::of(client).client.as_deref_mut() {
            listening.adopt_events(store.client());
        }
        if let Err(trouble) = &result {
            super::throw(trouble);
        }
        events::deliver(client);
        result.ok().filter(|_| !zend::has_exception())
    }
}

/// Whether PHP, or the program, has opened one in this unit and not closed it.
///
/// # Safety
/// PHP runs, and nothing of our objects is in use.
pub unsafe fn is_any_open_since(unit: u64) -> bool {
    let mut found = false;
    // SAFETY: by the caller.
    unsafe { units::each_part::<Session>(|session| found |= session.unit == Some(unit)) };
    found
}

/// Lets go of the locks that were taken in this unit and are still held: the program has used a handler by itself. What
/// goes wrong is thrown.
///
/// # Safety
/// As for [`is_any_open_since`]; nothing of the thread's hands is in use.
pub unsafe fn let_go_since(unit: u64) {
    // SAFETY: by the caller. What is thrown is an object, so it is made between two walks over them; no other PHP code
    // runs.
    unsafe {
        loop {
            let mut closed = None;
            units::each_part::<Session>(|session| {
                if closed.is_none()
                    && session.unit.take_if(|opened| *opened == unit).is_some()
                    && let Some(store) = session.store.as_deref_mut()
                {
                    closed = Some(store.close(&mut hands().desk));
                    store.client().start_over();
                }
            });
            match closed {
                Some(Ok(())) => {}
                Some(Err(trouble)) => super::throw(&trouble),
                None => break,
            }
        }
    }
}

/// The texts that a method was called with. `None`, and that is thrown, if they are no strings.
///
/// # Safety
/// `call` is the frame of a call to a method of the class.
unsafe fn texts<const COUNT: usize>(call: *mut zend_execute_data) -> Option<[&'static [u8]; COUNT]> {
    // SAFETY: by the caller; the frame keeps the strings for as long as the call lasts.
    unsafe {
        let mut texts: [&[u8]; COUNT] = [&[]; COUNT];
        let arguments = zend::arguments(call);
        for (index, text) in texts.iter_mut().enumerate() {
            let given = arguments.get(index).map(zend::deref).filter(|given| zend::type_of(given) == zend::IS_STRING);
            let Some(given) = given else {
                exceptions::throw_misuse("", "a session's id and its data are strings");
                return None;
            };
            *text = zend::bytes_of(given);
        }
        if COUNT > 0 && texts[0].is_empty() {
            exceptions::throw_misuse("", "a session's id is not empty");
            return None;
        }
        Some(texts)
    }
}

/// # Safety
/// The return value is initialised and holds nothing.
unsafe fn give(return_value: *mut zval, value: Value) {
    // SAFETY: by the caller.
    unsafe { return_value.cast::<Value>().write(value) };
}

extern "C" fn open(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame and an initialised return value. The client knows where to go.
    unsafe {
        of(zend::this(call)).unit = Some(units::current());
        give(return_value, zend::boolean(true));
    }
}

extern "C" fn close(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method of our class with its frame and an initialised return value.
    guarded(|| unsafe {
        of(zend::this(call)).unit = None;
        let done = with_store(call, |store, desk| store.close(desk));
        give(return_value, zend::boolean(done.is_some()));
    });
}

extern "C" fn read(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `close`. What was read is copied out of the object, which keeps it if PHP has no memory for a copy.
    guarded(|| unsafe {
        let Some([id]) = texts(call) else { return };
        of(zend::this(call)).unit = Some(units::current());
        let done = with_store(call, |store, desk| store.read(desk, id, super::is_out_of_time));
        let text = done.and_then(|()| memory::string(of(zend::this(call)).store.as_deref()?.data()));
        give(return_value, text.unwrap_or_else(|| zend::boolean(false)));
    });
}

extern "C" fn write(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `close`.
    guarded(|| unsafe {
        let Some([id, data]) = texts(call) else { return };
        let done = with_store(call, |store, desk| store.write(desk, id, data, super::lifetime()));
        give(return_value, zend::boolean(done.is_some()));
    });
}

extern "C" fn destroy(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `close`.
    guarded(|| unsafe {
        let Some([id]) = texts(call) else { return };
        let done = with_store(call, |store, desk| store.destroy(desk, id));
        give(return_value, zend::boolean(done.is_some()));
    });
}

/// Redis forgets sessions by itself.
extern "C" fn collect(_: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `open`.
    unsafe { give(return_value, zend::long(0)) };
}

extern "C" fn create_sid(_: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `open`.
    guarded(|| unsafe {
        if let Some(make) = CREATE_ID.get() {
            give(return_value, super::create_id(*make));
        }
    });
}

extern "C" fn validate_id(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `close`.
    guarded(|| unsafe {
        let Some([id]) = texts(call) else { return };
        let there = with_store(call, |store, desk| store.exists(desk, id));
        give(return_value, zend::boolean(there == Some(true)));
    });
}

extern "C" fn touch(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `close`.
    guarded(|| unsafe {
        let Some([id, data]) = texts(call) else { return };
        let done = with_store(call, |store, desk| store.touch(desk, id, data, super::lifetime()));
        give(return_value, zend::boolean(done.is_some()));
    });
}

/// `session_set_save_handler($this, true)`
extern "C" fn register_handler(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame. The object is held for the time of the call to PHP's function.
    guarded(|| unsafe {
        let function = zend::string(b"session_set_save_handler");
        let mut arguments = [zend::reference_to(zend::this(call)), zend::boolean(true)];
        give(return_value, zend::call(None, &function, &mut arguments));
        zend::release(function);
    });
}
