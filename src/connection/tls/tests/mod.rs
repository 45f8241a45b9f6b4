//! TLS against a server in memory: no socket, no clock, and a wire that can be cut anywhere.

mod handshakes;
mod hostile;
mod peer;
mod traffic;
