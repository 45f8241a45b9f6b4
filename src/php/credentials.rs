//! Credentials that the program is asked for: a callable where a password may stand.
//!
//! Below, a command that has to be let in by what it says ends with `Kind::Credentials` (client/pass.rs). Here the callable
//! is called, where PHP code may run and nothing is borrowed, and the same command is run once more.

use ext_php_rs::ffi::zend_object;

use crate::client::{Client, Failure, Kind, Stage, USES_ITSELF};
use crate::config::{Asker, ConfigurationError, Credentials, Password, Secret, Setting, Signing, SigningKeys};

use super::class;
use super::elements::Elements;
use super::methods::is_callable;
use super::process::{hands, is_over};
use super::zend::{self, Value};
use super::{exceptions, settings};

/// The callables that were found where secrets may stand. They are kept alive by whoever has them.
#[derive(Default)]
pub struct Askers(Vec<Value>);

/// For whom a callable of a client's is, by its place among them.
pub const NODES: usize = 0;
pub const SENTINELS: usize = 1;
/// How many an object keeps.
pub const KINDS: usize = 2;

impl Askers {
    /// The setting that a callable is; `None` if PHP could not call it. A text is never called: it is the password, even
    /// if a function has its name. Nor is a list of two texts: it is two passwords.
    ///
    /// # Safety
    /// The value is live. PHP may load a class to find out.
    pub unsafe fn setting(&mut self, value: &Value) -> Option<Setting> {
        // SAFETY: by the caller; each value is looked at as what its type says it is.
        unsafe {
            let of_object = match zend::type_of(value) {
                zend::IS_OBJECT => true,
                zend::IS_ARRAY => {
                    let mut elements = Elements::of(value).map(|(_, element)| zend::deref(element));
                    elements.next().is_some_and(|first| zend::type_of(first) == zend::IS_OBJECT)
                        && elements.next().is_some_and(|method| is_plain_name(method))
                }
                _ => false,
            };
            if !of_object || !is_callable(value) {
                return None;
            }
            let known = self
                .0
                .iter()
                .position(|known| known.type_info == value.type_info && known.value.ptr == value.value.ptr);
            let number = known.unwrap_or_else(|| {
                self.0.push(*value);
                self.0.len() - 1
            });
            let asker = Asker { number, place: place_of(value) };
            Some(Setting::Asked(asker))
        }
    }

    /// Has an object keep those that its client asks.
    ///
    /// # Safety
    /// The object is one of the client's class, and live; the callables are.
    pub unsafe fn keep(&self, object: *mut zend_object) {
        // SAFETY: by the caller. Whoever constructs an object has none of them yet.
        unsafe {
            let ours = class::of(object);
            let Some(wanted) = ours.client.as_deref().and_then(Client::wanted_of_program) else { return };
            for (kind, asker) in [(NODES, wanted.nodes), (SENTINELS, wanted.sentinels)] {
                if let Some(callable) = asker.and_then(|asker| self.0.get(asker.number)) {
                    *ours.asker(kind) = zend::hold(callable);
                }
            }
        }
    }
}

/// Has an object keep what another one's client asks, for the client that it was made with.
///
/// # Safety
/// Both are objects of the client's class, and live.
pub unsafe fn share(from: *mut zend_object, to: *mut zend_object) {
    // SAFETY: by the caller; no PHP code runs.
    unsafe {
        let wanted = |object| class::of(object).client.as_deref().and_then(Client::wanted_of_program);
        let (Some(theirs), Some(ours)) = (wanted(from), wanted(to)) else { return };
        let kept = [(NODES, theirs.nodes), (SENTINELS, theirs.sentinels)];
        for (kind, asker) in [(NODES, ours.nodes), (SENTINELS, ours.sentinels)] {
            let place = kept.iter().find(|(_, known)| known.is_some() && *known == asker).map(|(place, _)| *place);
            if let Some(place) = place {
                *class::of(to).asker(kind) = zend::hold(class::of(from).asker(place));
            }
        }
    }
}

/// Whether a value names a method, and no class with it: to find such a one PHP may load classes, and warn. Code would run
/// in the middle of reading what it could change.
///
/// # Safety
/// The value is live.
unsafe fn is_plain_name(method: &Value) -> bool {
    // SAFETY: by the caller; a string's bytes are looked at.
    zend::type_of(method) == zend::IS_STRING && !unsafe { zend::bytes_of(method) }.windows(2).any(|pair| pair == b"::")
}

/// Where a callable was written. It tells records of what is known of deployments apart, not connections.
///
/// # Safety
/// The value is a callable object or array.
unsafe fn place_of(value: &Value) -> String {
    // SAFETY: by the caller; a closure's function is there for as long as it is, and a user function has a file.
    unsafe {
        if zend::type_of(value) != zend::IS_OBJECT || !std::ptr::eq((*value.value.obj).ce, zend::zend_ce_closure) {
            return String::new();
        }
        let function = zend::zend_get_closure_method_def(value.value.obj);
        if function.is_null() || u32::from((*function).type_) != ext_php_rs::ffi::ZEND_USER_FUNCTION {
            return String::new();
        }
        let file = zend::string_bytes((*function).op_array.filename);
        format!("{}:{}", String::from_utf8_lossy(file), (*function).op_array.line_start)
    }
}

/// How deep callables may use clients that are asked for, too. Each takes of the stack that C code has.
const DEEPEST: usize = 16;

const TOO_DEEP: &str =
    "the callable that gives the password uses clients that are asked for theirs, and these others, without end";

/// Where PHP code runs now.
fn stage() -> Stage {
    // SAFETY: the executor's globals exist for as long as PHP runs; the pointer is only compared.
    let fiber = unsafe { (*ext_php_rs::ffi::ext_php_rs_executor_globals()).current_fiber_context };
    Stage { stack: fiber.addr(), at_end: is_over() }
}

/// Whether something ended so that the program can be asked for its credentials.
pub fn are_wanted<R>(result: &Result<R, Box<Failure>>) -> bool {
    matches!(result, Err(failure) if failure.kind == Kind::Credentials)
}

/// What the program was asked for is done.
///
/// # Safety
/// The object is a live one of the client's class, of which nothing is in use.
pub unsafe fn done(object: *mut zend_object) {
    // SAFETY: by the caller.
    if let Some(client) = unsafe { class::of(object) }.client.as_deref_mut() {
        client.end_of_pass();
    }
}

/// Asks the program and tells its answer to the object's own client. False if something was thrown instead.
///
/// # Safety
/// As for [`ask_for`].
#[cold]
pub unsafe fn ask(object: *mut zend_object) -> bool {
    // SAFETY: by the caller; the client is reached after PHP code has run.
    unsafe { ask_for(object, true, || class::of(object).client.as_deref_mut()) }
}

/// Asks the program by the callables that a client's object keeps, and tells its answer to the client that is `found`
/// then: for a command that `was_left`, or ahead of one. False if something was thrown instead.
///
/// # Safety
/// The object is a live client that stays alive; nothing of it and nothing of the thread's hands is borrowed. PHP code
/// runs.
#[cold]
pub unsafe fn ask_for<'a>(
    object: *mut zend_object,
    was_left: bool,
    found: impl Fn() -> Option<&'a mut Client>,
) -> bool {
    // SAFETY: by the caller. What is held while PHP code runs are values of PHP's. What belongs to the command that was
    // left stands aside on the desk, and goes with the request if PHP leaves by a jump.
    unsafe {
        // A callable that PHP has ended with the request is not asked any more.
        let stage = stage();
        let refused = match class::of(object).asking {
            Some(at_end) if at_end == stage.at_end => Some(USES_ITSELF),
            _ => (hands().desk.depth(stage) >= DEEPEST).then_some(TOO_DEEP),
        };
        if let Some(text) = refused {
            exceptions::throw_misuse("", text);
            return false;
        }
        class::of(object).asking = Some(stage.at_end);
        let ticket = hands().desk.put_aside(stage, was_left);
        found().into_iter().for_each(|client| client.begin_asking(stage));
        let mut said = [zend::null(); KINDS];
        for kind in [NODES, SENTINELS] {
            let callable = *class::of(object).asker(kind);
            if zend::type_of(&callable) != zend::IS_NULL && !zend::has_exception() {
                said[kind] = zend::call(None, &callable, &mut []);
            }
        }
        class::of(object).asking = None;
        hands().desk.take_back(ticket);
        found().into_iter().for_each(Client::end_asking);
        let told = !zend::has_exception() && present(object, &said, &found);
        if !told && let Some(client) = found() {
            // What was thrown becomes the reason why a command is in doubt.
            let in_doubt = client.leave_in_doubt(&mut hands().desk);
            if let Some(failure) = in_doubt {
                exceptions::throw(&failure);
            }
        }
        for value in said {
            zend::release(value);
        }
        told
    }
}

unsafe fn present<'a>(
    object: *mut zend_object,
    said: &[Value; KINDS],
    found: impl Fn() -> Option<&'a mut Client>,
) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let is_asked = |kind: usize| zend::type_of(class::of(object).asker(kind)) != zend::IS_NULL;
        let Some(client) = found() else { return false };
        let configuration = client.configuration();
        let known = [&configuration.credentials, &configuration.sentinel.credentials];
        let read = |kind: usize| is_asked(kind).then(|| read(&said[kind], known[kind])).transpose();
        match (read(NODES), read(SENTINELS)) {
            (Ok(nodes), Ok(sentinels)) => client.present(nodes.as_ref(), sentinels.as_ref()),
            (Err(error), _) | (_, Err(error)) => {
                exceptions::throw_configuration(&error.to_string());
                return false;
            }
        }
        true
    }
}

/// What a callable has said: a password, a user and a password, or keys to sign tokens with.
fn read(said: &Value, known: &Credentials) -> Result<Credentials, ConfigurationError> {
    let said = settings::read(said);
    if let Password::Token(signing) = &known.password {
        let keys = keys(&said).ok_or_else(|| {
            let accepted =
                "an array with the keys key and secret, and token if they are lent for a time, and no others";
            ConfigurationError::new("iam.credentials", RETURNED, accepted)
        })?;
        let password = Password::Token(Box::new(Signing { iam: signing.iam.clone(), keys }));
        return Ok(Credentials { username: known.username.clone(), password });
    }
    let read = match &said {
        Setting::List(both) if both.len() == 2 => {
            text(&both[0]).zip(text(&both[1])).map(|(user, secret)| (Some(user), secret))
        }
        one => text(one).map(|secret| (known.username.clone(), secret)),
    };
    let accepted = "a string that is not empty, or a list of a user name and a password";
    let wrong = || ConfigurationError::new("password", RETURNED, accepted);
    read.map(|(username, secret)| Credentials::of(username, Secret::new(secret))).ok_or_else(wrong)
}

/// What is said of what a callable returned, which may be a secret.
const RETURNED: &str = "a callable that returned something else";

/// The keys in the names of AWS' SDK for PHP; what its credentials say besides may stand there. Other names are refused: a
/// misspelt token would be a wrong password.
fn keys(said: &Setting) -> Option<SigningKeys> {
    let Setting::Map(entries) = said else { return None };
    let known = ["key", "secret", "token", "expires", "accountId", "source"];
    if entries.iter().any(|(key, _)| !known.contains(&key.as_str())) {
        return None;
    }
    let find = |name: &str| entries.iter().find(|(key, _)| key == name).and_then(|(_, value)| text(value));
    let session = find("token").map(Secret::new);
    Some(SigningKeys::Told { id: find("key")?, secret: Secret::new(find("secret")?), session })
}

fn text(setting: &Setting) -> Option<String> {
    match setting {
        Setting::Text(text) if !text.is_empty() => Some(text.clone()),
        Setting::Int(number) => Some(number.to_string()),
        _ => None,
    }
}
