//! The class `ResilientRedis`: its objects, its handlers, and the tables that Zend wants of a class.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    _zend_known_string_id_ZEND_STR_SENSITIVEPARAMETER, ZEND_ACC_VARIADIC, zend_ce_aggregate, zend_class_entry,
    zend_do_implement_interface, zend_execute_data, zend_function, zend_function_entry, zend_hash_str_find_ptr_lc,
    zend_known_strings, zend_object, zend_object_handlers, zend_string_init_interned, zval,
};
use ext_php_rs::flags::MethodFlags;

use crate::client::Client;

use super::native::{self, Handlers, Part};
use super::signature::{MIXED, returns};
use super::zend::{self, Value};
use super::{commands, credentials, methods, properties};

pub use super::signature::{Parameter, optional, required, variadic};

/// A method's handler, as Zend calls it.
pub type Handler = extern "C" fn(*mut zend_execute_data, *mut zval);

/// A method to be registered.
pub struct Method {
    name: Name,
    handler: Option<Handler>,
    signature: Signature,
    flags: MethodFlags,
}

/// A method's name: as text, or as Zend wants it.
#[derive(Clone, Copy)]
enum Name {
    Text(&'static str),
    Ready(&'static CStr),
}

/// How a method is called.
#[derive(Clone, Copy)]
enum Signature {
    /// These parameters, and a mask of the types that it returns.
    Parts(&'static [Parameter], u32),
    /// As Zend wants it: the entry for what is returned, and the parameters behind it.
    Ready(&'static [Parameter]),
}

impl Method {
    /// A public method.
    pub const fn new(name: &'static str, handler: Handler, parameters: &'static [Parameter]) -> Method {
        let signature = Signature::Parts(parameters, MIXED);
        Method { name: Name::Text(name), handler: Some(handler), signature, flags: MethodFlags::Public }
    }

    /// A method without parameters that an interface demands.
    pub const fn demanded(name: &'static str) -> Method {
        let flags = MethodFlags::Public.union(MethodFlags::Abstract);
        Method { name: Name::Text(name), handler: None, signature: Signature::Parts(&[], MIXED), flags }
    }

    /// A public method whose name and signature are made ready, so that nothing has to be made when PHP starts.
    pub const fn ready((name, signature): (&'static CStr, &'static [Parameter]), handler: Handler) -> Method {
        let signature = Signature::Ready(signature);
        Method { name: Name::Ready(name), handler: Some(handler), signature, flags: MethodFlags::Public }
    }

    /// The method, returning these types.
    pub const fn returning(self, types: u32) -> Method {
        let signature = match self.signature {
            Signature::Parts(parameters, _) => Signature::Parts(parameters, types),
            ready @ Signature::Ready(_) => ready,
        };
        Method { signature, ..self }
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self.name {
            Name::Text(name) => name,
            Name::Ready(name) => name.to_str().unwrap_or_default(),
        }
    }

    /// The method, left to the classes that extend this one.
    pub fn left_open(self) -> Method {
        Method { flags: MethodFlags::Public | MethodFlags::Abstract, ..self }
    }

    /// The method, static.
    pub fn on_class(self) -> Method {
        Method { flags: MethodFlags::Public | MethodFlags::Static, ..self }
    }
}

/// What stands in front of Zend's part of an object.
pub struct ClientObject {
    /// The client; `None` until the constructor has run.
    pub client: Option<Box<Client>>,
    /// What `onEvent` was given, and the callables that are asked for credentials; null where there is none.
    held: [Value; 1 + credentials::KINDS],
    /// Whether those are asked at the moment, and since when: before the end of the request, or at it.
    pub asking: Option<bool>,
    /// Whether names of commands have to be looked up in what the user has said. (The client knows it, too; here it is at
    /// hand for each command.)
    pub names_commands: bool,
}

impl ClientObject {
    /// What `onEvent` was given; null if nothing.
    pub fn listener(&mut self) -> &mut Value {
        &mut self.held[0]
    }

    /// The callable that is asked for credentials of a kind; null if there is none.
    pub fn asker(&mut self, kind: usize) -> &mut Value {
        &mut self.held[1 + kind]
    }

    /// Gives the object its client.
    pub fn receive(&mut self, client: Box<Client>) {
        self.names_commands = client.configuration().commands.says_more;
        self.client = Some(client);
    }
}

static CLASS: AtomicPtr<zend_class_entry> = AtomicPtr::new(ptr::null_mut());

impl Part for ClientObject {
    type Held = [Value; 1 + credentials::KINDS];

    fn fresh(_: *mut zend_class_entry) -> ClientObject {
        let held = [zend::null(); 1 + credentials::KINDS];
        ClientObject { client: None, held, asking: None, names_commands: false }
    }

    /// Callables, which may hold the client itself.
    fn held(&mut self) -> &mut Self::Held {
        &mut self.held
    }

    fn handlers() -> &'static Handlers {
        static HANDLERS: Handlers = Handlers::new();
        &HANDLERS
    }

    fn install(handlers: &mut zend_object_handlers) {
        properties::install(handlers);
    }
}

/// Registers the class. Called once, while the module starts.
pub fn register() {
    let mut all = methods::table();
    all.extend(commands::table());
    // SAFETY: the module is starting.
    unsafe {
        let registered = native::register::<ClientObject>("ResilientRedis", &all, 0);
        CLASS.store(registered, Ordering::Relaxed);
        tell_return_type(registered, "getiterator");
        zend_do_implement_interface(registered, zend_ce_aggregate);
        hide_secrets(registered);
    }
}

/// Whether an object is of the class, or of one that extends it.
///
/// # Safety
/// The object is live.
pub unsafe fn is_client(object: *mut zend_object) -> bool {
    // SAFETY: by the caller; the class was registered.
    unsafe { zend::is_a((*object).ce, CLASS.load(Ordering::Relaxed)) }
}

/// Methods whose arguments may hold passwords: traces must not show them (P13).
const SECRETIVE: &[&str] = &[
    "__construct",
    "__call",
    "executeraw",
    "executecommand",
    "createcommand",
    "create",
    "setarguments",
    "setrawarguments",
    "withoptions",
    "auth",
    "acl",
    "config",
    "hello",
    "migrate",
    "sentinel",
];

/// `ZEND_ATTRIBUTE_PERSISTENT`: of a function that is no script's.
const PERSISTENT: u32 = 1;

/// Marks the parameters of those that a class has.
///
/// # Safety
/// As for [`hide_parameters`].
pub unsafe fn hide_secrets(class: *mut zend_class_entry) {
    for method in SECRETIVE {
        // SAFETY: by the caller.
        unsafe { hide_parameters(class, method) };
    }
}

/// A method of a class, by its name in any case.
///
/// # Safety
/// The module is starting, and nothing else of the class is in use.
unsafe fn method_in<'a>(class: *mut zend_class_entry, name: &str) -> Option<&'a mut zend_function> {
    // SAFETY: by the caller.
    unsafe {
        let methods = &raw mut (*class).function_table;
        zend_hash_str_find_ptr_lc(methods, name.as_ptr().cast(), name.len()).cast::<zend_function>().as_mut()
    }
}

/// Marks a method's parameters with `#[\SensitiveParameter]`.
///
/// # Safety
/// The module is starting, and the class has just been registered.
pub unsafe fn hide_parameters(class: *mut zend_class_entry, method: &str) {
    // SAFETY: by the caller; the function found is an internal one, whose attributes live as long as it does. An offset
    // of a parameter counts from one, since zero is the function itself.
    unsafe {
        let Some(function) = method_in(class, method) else { return };
        // A variadic parameter is not among those that Zend counts.
        let parameters = function.common.num_args + u32::from(function.common.fn_flags & ZEND_ACC_VARIADIC != 0);
        let name = *zend_known_strings.add(_zend_known_string_id_ZEND_STR_SENSITIVEPARAMETER as usize);
        for offset in 1..=parameters {
            zend::zend_add_attribute(&raw mut function.common.attributes, name, 0, PERSISTENT, offset, 0);
        }
    }
}

/// Says that a method which an interface of PHP's asks for returns what that wants: a class cannot be named in what
/// describes a method in the same way to all versions of PHP.
///
/// # Safety
/// The module is starting, and the class has just been registered.
unsafe fn tell_return_type(class: *mut zend_class_entry, method: &str) {
    const ATTRIBUTE: &str = "ReturnTypeWillChange";
    // SAFETY: by the caller; the function found is an internal one, whose attributes live as long as it does, and so does
    // the interned name.
    unsafe {
        let Some(function) = method_in(class, method) else { return };
        let intern = zend_string_init_interned.expect("set when PHP starts");
        let name = intern(ATTRIBUTE.as_ptr().cast(), ATTRIBUTE.len(), true);
        zend::zend_add_attribute(&raw mut function.common.attributes, name, 0, PERSISTENT, 0, 0);
    }
}

/// A class entry with nothing but its name.
///
/// # Safety
/// The module is starting.
pub unsafe fn new_entry(name: &str) -> zend_class_entry {
    // SAFETY: a class entry is a C struct for which all zeros means empty; the name is interned for ever.
    unsafe {
        let mut entry: zend_class_entry = MaybeUninit::zeroed().assume_init();
        let intern = zend_string_init_interned.expect("set when PHP starts");
        entry.name = intern(name.as_ptr().cast(), name.len(), true);
        entry
    }
}

/// Zend's table of these methods. It keeps pointers into the parameters' descriptions for as long as it runs, so all
/// of it is left to the process.
pub fn function_table(methods: &[Method]) -> *const zend_function_entry {
    // SAFETY: for these C structs all zeros means absent, and is the end of the table.
    let end: zend_function_entry = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut table: Vec<zend_function_entry> = methods.iter().map(entry_of).collect();
    table.push(end);
    Box::leak(table.into_boxed_slice()).as_ptr()
}

fn entry_of(method: &Method) -> zend_function_entry {
    let (described, parameters) = match method.signature {
        Signature::Ready(list) => (list.as_ptr(), list.len() - 1),
        Signature::Parts(parameters, types) => {
            let required = parameters.iter().filter(|parameter| parameter.is_required()).count();
            let mut list = Vec::with_capacity(parameters.len() + 1);
            // A constructor may declare no return type.
            list.push(returns(required, if method.name() == "__construct" { 0 } else { types }));
            list.extend_from_slice(parameters);
            (Box::leak(list.into_boxed_slice()).as_ptr(), parameters.len())
        }
    };
    // SAFETY: all zeros means absent for what newer PHP versions have besides.
    let mut entry: zend_function_entry = unsafe { MaybeUninit::zeroed().assume_init() };
    entry.fname = match method.name {
        Name::Ready(name) => name.as_ptr(),
        Name::Text(name) => CString::new(name).expect("method names have no NUL").into_raw(),
    };
    // SAFETY: the same function by the name of the same calling convention.
    entry.handler = method.handler.map(|handler| unsafe {
        std::mem::transmute::<Handler, unsafe extern "C" fn(*mut zend_execute_data, *mut zval)>(handler)
    });
    entry.num_args = u32::try_from(parameters).expect("a few parameters");
    entry.flags = method.flags.bits();
    // A parameter is nothing but what Zend keeps of it.
    entry.arg_info = described.cast();
    entry
}

/// Our part of an object of the class or of one that extends it.
///
/// # Safety
/// The object is one of those, and live; no other reference to our part of it is in use.
#[inline]
pub unsafe fn of<'a>(object: *mut zend_object) -> &'a mut ClientObject {
    // SAFETY: by the caller.
    unsafe { native::of(object) }
}

/// The client that a value is, or one of a class that extends it.
pub fn client_in(value: &Value) -> Option<*mut zend_object> {
    let value = zend::deref(value);
    if zend::type_of(value) != zend::IS_OBJECT {
        return None;
    }
    // SAFETY: the type says that it is an object; its class lives as long as it does.
    unsafe { is_client(value.value.obj).then_some(value.value.obj) }
}

/// Another object of the same class with a client of its own, the same listener, and copies of the properties.
///
/// # Safety
/// `object` is a live object of our class; `client` came out of a box, and is taken over. PHP code may run: `__clone`.
pub unsafe fn copy(object: *mut zend_object, client: *mut Client) -> Value {
    // SAFETY: by the caller; the new object is complete before PHP code can see it.
    unsafe {
        let made = native::create::<ClientObject>((*object).ce);
        let ours = of(made);
        ours.receive(Box::from_raw(client));
        *ours.listener() = zend::hold(of(object).listener());
        credentials::share(object, made);
        zend::zend_objects_clone_members(made, object);
        zend::owned_object(made)
    }
}
