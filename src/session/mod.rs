//! Sessions: data under a key of its own that lives as long as the session is used, and a lock by token, so that of
//! two requests of one session neither overwrites what the other has written.
//!
//! Free of PHP. May use `client` and every room below it.

mod lock;
mod store;

#[cfg(test)]
mod tests;

pub use store::{Store, Trouble};
