//! `request_budget`: what one request may spend waiting for Redis in all, and what of it is kept for the end (P5).

use std::time::Duration;

use crate::failover::{Cause, Limit, Lost, Phase};
use crate::time::{Deadline, Instant};

use super::call::Call;
use super::desk::Desk;
use super::state::Client;

/// This part of a budget is kept for the end of the request: for the session, and for what shutdown functions do.
const RESERVE: u32 = 5;

/// What the present request has spent so far, whichever of its clients spent it.
#[derive(Debug, Default)]
pub struct Budget {
    spent: Duration,
}

impl Budget {
    /// A new request begins: nothing is spent.
    pub fn reset(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// So much was spent.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
    }

    /// What is left for a command, out of `limit`. The reserve is open to those at the request's end only.
    fn left(&self, limit: Duration, at_the_end: bool) -> Duration {
        let open = if at_the_end { limit } else { limit - limit / RESERVE };
        open.saturating_sub(self.spent)
    }
}

impl Client {
    /// Bounds the command by what is left of the request's budget.
    ///
    /// # Errors
    /// Nothing is left; nothing was sent.
    pub(super) fn admit(&self, desk: &Desk, call: &mut Call, limit: Duration) -> Result<(), Lost> {
        let deadline = self.budget_deadline(desk, call.started, limit);
        if deadline.passed(call.started) {
            return Err(Lost::before(Phase::Lease, Cause::TimedOut(Limit::RequestBudget)));
        }
        call.bound_by_budget(deadline);
        Ok(())
    }

    /// When what is left of the request's budget will be used up.
    pub(super) fn budget_deadline(&self, desk: &Desk, now: Instant, limit: Duration) -> Deadline {
        Deadline::after(now, Some(desk.budget.left(limit, (self.world.is_ending)())))
    }

    /// Does something that consists of several commands and of waits between them, and charges all of it.
    pub(super) fn charged<R, E>(
        &mut self,
        desk: &mut Desk,
        work: impl FnOnce(&mut Client, &mut Desk) -> Result<R, E>,
    ) -> Result<R, E> {
        if self.configuration.policy.request_budget.is_none() {
            return work(self, desk);
        }
        let (began, before) = (self.world.clock.coarse(), desk.budget.spent);
        let result = work(self, desk);
        let clock = &self.world.clock;
        let now = if result.is_err() { clock.now() } else { clock.coarse() };
        desk.budget.spent = desk.budget.spent.max(before + now.since(began));
        result
    }

    /// Charges what the command took. The clock's tick is coarser than most commands: over many of them that evens out.
    /// One that failed is charged exactly, so that the one that used the budget up leaves nothing of it.
    pub(super) fn charge(&self, desk: &mut Desk, started: Instant, failed: bool) {
        let clock = &self.world.clock;
        let now = if failed { clock.now() } else { clock.coarse() };
        desk.budget.spent += now.since(started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_kept_for_the_end() {
        let limit = Duration::from_secs(5);
        let mut budget = Budget::default();
        assert_eq!(budget.left(limit, false), Duration::from_secs(4));
        budget.spent = Duration::from_millis(4500);
        assert_eq!(budget.left(limit, false), Duration::ZERO);
        assert_eq!(budget.left(limit, true), Duration::from_millis(500));
        budget.reset();
        assert_eq!(budget.left(limit, true), limit);
    }
}
