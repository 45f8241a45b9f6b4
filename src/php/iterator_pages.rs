//! How an iterator gets its next page: by the client's own method, whatever happens to its server meanwhile.
//!
//! A cursor is a place in the table of one server process, and worth nothing to another. So where the primary has become
//! another process since the cursor was given, the iteration starts over: some elements come twice, but those that were
//! there all the time come at least once.

use ext_php_rs::ffi::{zend_hash_index_find, zend_object};

use crate::client::Failure;

use super::class;
use super::iterator::{Pages, of};
use super::zend::{self, Value};
use super::{exceptions, pipeline, response};

/// Fetches pages until one has elements, or the last one was had. After an exception the next call asks again.
///
/// # Safety
/// The object is a live iterator and stays so; nothing of it is borrowed. PHP code may run.
pub unsafe fn fetch(object: *mut zend_object) {
    // SAFETY: by the caller. The iterator is reached anew whenever PHP code may have run.
    unsafe {
        while of(object).next.is_some() && of(object).element().is_none() {
            let former = of(object).place(zend::null());
            zend::release(former);
            if !fetch_one(object) {
                return;
            }
        }
    }
}

/// Fetches a page. False if something was thrown, or somebody else has moved the iterator meanwhile.
///
/// # Safety
/// As for [`fetch`].
unsafe fn fetch_one(object: *mut zend_object) -> bool {
    // SAFETY: by the caller. Nothing with a destructor is on the stack while PHP code runs.
    unsafe {
        let pages = of(object);
        let (Some(client), Some(next)) = (pages.client(), pages.next) else { return false };
        pages.turn = pages.turn.wrapping_add(1);
        let turn = pages.turn;
        let before = incarnation(client);
        let from = if pages.kind.by_index || before == pages.incarnation { next } else { 0 };
        let reply = ask(client, pages, from);
        let pages = of(object);
        if zend::has_exception() || pages.turn != turn {
            zend::release(reply);
            return false;
        }
        let after = incarnation(client);
        if !pages.kind.by_index && before != after && before != 0 {
            // Which of the servers gave this page is not known.
            zend::release(reply);
            (pages.next, pages.incarnation) = (Some(0), after);
            return true;
        }
        // A client that throws no errors gives them as objects; an iterator has no other way to tell of one.
        if response::is_error(&reply) {
            let failure = pipeline::server_error(&response::text_of(reply.value.obj));
            exceptions::throw(&Failure { command: pages.kind.method.to_ascii_uppercase(), ..failure });
            zend::release(reply);
            return false;
        }
        let Some((next, page)) = read(pages, from, &reply) else {
            zend::release(reply);
            let name = pages.kind.method.to_ascii_uppercase();
            exceptions::throw_misuse(&name, &format!("{name} gave no page: in the middle of a transaction?"));
            return false;
        };
        (pages.next, pages.incarnation) = (next, after);
        let former = pages.place(page);
        zend::release(former);
        zend::release(reply);
        true
    }
}

/// Counts the server processes that the client has seen as primary; 0 while it has seen none.
///
/// # Safety
/// The object is a live client, of which nothing is in use.
unsafe fn incarnation(client: *mut zend_object) -> u64 {
    // SAFETY: by the caller.
    let client = unsafe { class::of(client) }.client.as_deref();
    client.map_or(0, |client| client.deployment().incarnation())
}

/// Calls the client's method for the page that begins at `from`.
///
/// # Safety
/// The client is live. PHP code may run: the iterator's borrow ends with the arguments.
unsafe fn ask(client: *mut zend_object, pages: &Pages, from: u128) -> Value {
    // SAFETY: by the caller. Everything that the call needs has a reference of its own, since the iterator may be freed
    // or moved meanwhile.
    unsafe {
        let mut arguments = [zend::null(); 3];
        let mut count = 0;
        let mut add = |value: Value| {
            arguments[count] = value;
            count += 1;
        };
        if let Some(key) = pages.key() {
            add(zend::hold(&key));
        }
        let first = i64::try_from(from).unwrap_or(i64::MAX);
        if pages.kind.by_index {
            add(zend::long(first));
            add(zend::long(first.saturating_add_unsigned(pages.size - 1)));
        } else {
            // Cursors use all of their 64 bits, which PHP's integers do not have.
            add(zend::string(from.to_string().as_bytes()));
            if zend::type_of(&pages.options()) == zend::IS_ARRAY {
                add(zend::hold(&pages.options()));
            }
        }
        let method = zend::string(pages.kind.method.as_bytes());
        let reply = zend::call(Some(&zend::owned_object(client)), &method, &mut arguments[..count]);
        zend::release(method);
        reply
    }
}

/// Where the next page is, and the page with a reference of its own; `None` if the reply is something else.
///
/// # Safety
/// The reply is a live value.
unsafe fn read(pages: &Pages, from: u128, reply: &Value) -> Option<(Option<u128>, Value)> {
    let reply = zend::deref(reply);
    if zend::type_of(reply) != zend::IS_ARRAY {
        return None;
    }
    // SAFETY: the types are looked at before the values are; what is found stays in the reply, which is the caller's.
    unsafe {
        let array = reply.value.arr;
        if pages.kind.by_index {
            let complete = u64::from((*array).nNumOfElements) < pages.size;
            return Some(((!complete).then_some(from + u128::from(pages.size)), zend::hold(reply)));
        }
        let at = |index| zend_hash_index_find(array, index).cast::<Value>().as_ref().map(zend::deref);
        let (cursor, page) = (at(0)?, at(1)?);
        let cursor = match zend::type_of(cursor) {
            zend::IS_LONG => cursor.value.lval.cast_unsigned().into(),
            zend::IS_STRING => std::str::from_utf8(zend::bytes_of(cursor)).ok()?.parse().ok()?,
            _ => return None,
        };
        if zend::type_of(page) != zend::IS_ARRAY {
            return None;
        }
        Some(((cursor != 0).then_some(cursor), zend::hold(page)))
    }
}
