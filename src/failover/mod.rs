//! Judgement without I/O: how an attempt ended, what an error reply means, and whether to try again.
//!
//! The rules are promises P1 and P2 of `docs/design.md`; each row of them is a test here or in `client`.
//! May use `topology`, `command`, `resp`, `config` and `time`.

mod outcome;
mod refusal;
mod retry;

pub use outcome::{Cause, Limit, Lost, Phase};
pub use refusal::{Refusal, Remedy, is_script, judge};
pub use retry::{Retry, Verdict};
