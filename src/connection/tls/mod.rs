//! TLS between a connection and its socket: a transport over a transport, so that what is not secured pays nothing for it.
//!
//! Who is trusted and who we are is read from files once per process and policy ([`policies`]); every node has its own
//! sessions to resume. Nothing is ever said to the peer at the end: a dropped connection closes without a word, also
//! the copies that a forked child drops.

mod ledger;
mod material;
mod policies;
mod room;
#[cfg(test)]
mod tests;
mod transport;
mod verifier;
pub mod words;

pub use policies::{announce, check};
pub use transport::TlsTransport;

/// What TLS has to say of a connection that it ended, inside the error of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In words for the user.
    pub text: String,
    /// Whether trying again changes nothing until somebody changes the configuration of either side.
    pub lasting: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// What TLS says in `error`, if it was TLS that ended the connection.
    pub fn of(error: &std::io::Error) -> Option<&Fault> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Fault> for std::io::Error {
    fn from(fault: Fault) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidData, fault)
    }
}
