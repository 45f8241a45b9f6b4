//! ResilientRedis: a Redis client for PHP that keeps working while Redis fails over.
//!
//! The house has one direction of imports: a room may use the rooms below it, never one above (`house.rs` proves it).
//! From the top: `php`, `session`, `client`, `discovery`, `pool`, `connection`, `failover`, `topology`, `command`, `resp`,
//! `aws`, `config`, `time`, `board`, `telemetry`.

#![deny(unsafe_code)]

pub mod aws;
#[allow(unsafe_code, reason = "the one room that maps memory")]
pub mod board;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
#[cfg(test)]
mod dice;
pub mod discovery;
pub mod failover;
#[cfg(test)]
mod house;
#[cfg(feature = "php")]
#[allow(unsafe_code, reason = "the one room that calls Zend")]
pub mod php;
pub mod pool;
pub mod resp;
pub mod session;
pub mod telemetry;
pub mod time;
pub mod topology;
