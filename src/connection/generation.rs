//! Which side of a fork we are on (P8): a counter that the child's side of every fork turns.
//!
//! Comparing a number costs nothing per command; asking for the process id would cost a system call.

use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// The generation of this process. A connection of another generation belongs to the parent.
#[inline]
pub fn current_generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Says that this process is a fresh child. Called by the fork handler that `php` installs; it may do no more than
/// this, since another thread may have held any lock when the process forked.
pub fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
