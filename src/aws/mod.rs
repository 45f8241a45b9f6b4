//! IAM for caches of AWS: a token, signed with AWS credentials, that ElastiCache and MemoryDB take as a password.
//!
//! Signing asks nobody. The credentials it is done with are the caller's, or are looked for where AWS' own tools do
//! ([`Source::Usual`]): in the environment, in the shared credentials file, at a container's endpoint, in the metadata of
//! an instance. The last two are asked over HTTP, blocking, inside a deadline; what they give is kept for the process until
//! shortly before it expires. May use `config` and `time`.

mod cache;
mod chain;
mod container;
mod environment;
mod error;
mod http;
mod instance;
mod json;
mod keys;
#[cfg(test)]
mod local_server;
mod reply;
mod shared_file;
mod signature;
mod token;

pub use error::{Error, Provider, Tried};
pub use keys::Keys;
pub use token::{CONNECTION_LIFETIME, Source, Token, Tokens};
