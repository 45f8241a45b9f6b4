//! One command in, one outcome out: route, lease, exchange, judge, retry.
//!
//! This is where the promises meet. The rooms below know how; this one decides what and when, within the command's
//! deadline. While a reply is decoded PHP may leave by a jump that runs no destructors (P7): so whatever must not be
//! lost then stands on the [`Desk`], which belongs to the thread, and never on the stack.
//! May use every room below it.

mod answers;
mod await_reply;
mod batch;
mod batch_exchange;
mod batch_judge;
mod batch_loss;
mod batch_reads;
mod batch_riders;
mod batch_run;
mod breaker;
mod budget;
mod call;
mod cluster;
mod course;
mod desk;
mod doubt;
mod effects;
mod failure;
mod find;
mod hearing;
mod let_go;
mod pass;
mod questions;
mod readers;
mod reads;
mod rider;
mod run;
mod scripts;
mod share;
mod state;
mod subscription;
mod telling;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Replies};
pub use budget::Budget;
pub use desk::{Desk, Stage};
pub use failure::{Failure, Kind};
pub use pass::{USES_ITSELF, Wanted};
pub use scripts::Digests;
pub use state::{Client, World};
pub use subscription::{Heard, Sort, Subscription, Verb, Wording};
