//! ResilientRedis: a Redis client for PHP that keeps working while Redis fails over.
//!
//! The house has one direction of imports: a room may use the rooms below it, never one above (`house.rs` proves it).
//! From the top: `php`, `client`, `discovery`, `pool`, `connection`, `failover`, `topology`, `command`, `resp`,
//! `config`, `time`, `telemetry`.

#![cfg_attr(not(feature = "php"), deny(unsafe_code))]

pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod discovery;
pub mod failover;
#[cfg(feature = "php")]
pub mod php;
pub mod pool;
pub mod resp;
pub mod telemetry;
pub mod time;
pub mod topology;
