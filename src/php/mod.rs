//! Everything that knows PHP: the module, its classes, and the way from PHP values to commands and back.
//!
//! Zend may leave any call into it by a jump that runs no destructors (P7). So between our dispatch and a Zend call
//! nothing stands on the stack whose destructor matters: connections and searches stand on the thread's desk, the
//! command's bytes in its frame, the half-built reply in PHP's own memory. May use every room.

mod arguments;
mod asked;
mod called;
mod class;
mod command_classes;
mod command_object;
mod commands;
mod container;
mod credentials;
mod custom;
mod dispatcher;
mod elements;
mod events;
mod exceptions;
mod factory;
mod foreign;
mod info;
mod ini;
mod iterator;
mod iterator_pages;
mod json;
mod listener;
mod memory;
mod messages;
mod methods;
mod module;
mod monitor;
mod native;
mod nodes;
mod objects;
mod pipeline;
mod prefix;
mod process;
mod properties;
mod pubsub;
mod push;
mod push_dispatcher;
mod push_response;
mod queue;
mod queue_commands;
mod queue_options;
mod raw_command;
mod readers;
mod replies;
mod response;
mod script_command;
mod session;
mod settings;
mod signature;
mod signatures;
mod told;
mod transaction;
mod units;
mod values;
mod zend;

pub use module::get_module;
