//! Whether a command that brought no reply may be sent again (P2).

use crate::command::{Hazard, Rank, Telltale};
use crate::config::Ceiling;

/// What follows from an attempt that did not end in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again.
    Again,
    /// It may have been applied, and a second application could be told from the first: say so to the caller.
    Unknown,
    /// It was not applied, but the attempts are used up.
    GiveUp,
}

/// The memory of one command's attempts.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    ceiling: Ceiling,
    max_attempts: Option<u32>,
    attempts: u32,
    /// Whether an earlier attempt may have been applied.
    tainted: bool,
}

impl Retry {
    /// A command about to be tried for the first time.
    pub fn new(ceiling: Ceiling, max_attempts: Option<u32>) -> Retry {
        Retry { ceiling, max_attempts, attempts: 0, tainted: false }
    }

    /// How often it was tried.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether an attempt before the present one may have been applied.
    pub fn tainted(&self) -> bool {
        self.tainted
    }

    /// Says that nobody can tell whether the last attempt was applied, whatever the command's rank.
    pub fn doubt(&mut self) {
        self.tainted = true;
    }

    /// Counts an attempt that begins now.
    pub fn begin(&mut self) {
        self.attempts += 1;
    }

    /// The attempt that has begun comes to nothing, and does not count.
    pub fn take_back(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// After an attempt that was surely not applied: anything may be sent again.
    pub fn not_applied(&self) -> Verdict {
        if self.exhausted() { Verdict::GiveUp } else { Verdict::Again }
    }

    /// After an attempt whose outcome nobody can tell.
    pub fn unknown(&mut self, hazard: Hazard) -> Verdict {
        if hazard.rank == Rank::Read {
            return self.not_applied();
        }
        self.tainted = true;
        if hazard.rank > rank_of(self.ceiling) || self.exhausted() { Verdict::Unknown } else { Verdict::Again }
    }

    /// Whether `reply`, got after an attempt of unknown outcome, could be due to that attempt: then it is no truth
    /// to hand out.
    pub fn is_telltale(&self, hazard: Hazard, reply: Telltale) -> bool {
        self.tainted && reply != Telltale::None && hazard.telltale == reply
    }

    fn exhausted(&self) -> bool {
        self.max_attempts.is_some_and(|most| self.attempts >= most)
    }
}

fn rank_of(ceiling: Ceiling) -> Rank {
    match ceiling {
        Ceiling::Read => Rank::Read,
        Ceiling::Checked => Rank::Checked,
        Ceiling::LastWins => Rank::LastWins,
        Ceiling::Accumulating => Rank::Accumulating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hazard(rank: Rank, telltale: Telltale) -> Hazard {
        Hazard { rank, telltale }
    }

    fn after_unknown(ceiling: Ceiling, rank: Rank) -> Verdict {
        let mut retry = Retry::new(ceiling, None);
        retry.begin();
        retry.unknown(hazard(rank, Telltale::None))
    }

    #[test]
    fn what_was_not_applied_is_sent_again_whatever_the_command_is() {
        let mut retry = Retry::new(Ceiling::Read, None);
        for _ in 0..100 {
            retry.begin();
            assert_eq!(retry.not_applied(), Verdict::Again);
        }
    }

    #[test]
    fn what_may_have_been_applied_is_sent_again_up_to_the_ceiling_only() {
        let ranks = [Rank::Read, Rank::Checked, Rank::LastWins, Rank::Accumulating, Rank::Never];
        let ceilings = [Ceiling::Read, Ceiling::Checked, Ceiling::LastWins, Ceiling::Accumulating];
        for (level, ceiling) in ceilings.into_iter().enumerate() {
            for (danger, rank) in ranks.into_iter().enumerate() {
                let expected = if danger <= level { Verdict::Again } else { Verdict::Unknown };
                assert_eq!(after_unknown(ceiling, rank), expected, "{rank:?} under {ceiling:?}");
            }
        }
    }

    #[test]
    fn attempts_are_limited_where_the_caller_limits_them() {
        let mut retry = Retry::new(Ceiling::LastWins, Some(2));
        retry.begin();
        assert_eq!(retry.not_applied(), Verdict::Again);
        retry.begin();
        assert_eq!(retry.not_applied(), Verdict::GiveUp);
        assert_eq!(retry.unknown(hazard(Rank::LastWins, Telltale::None)), Verdict::Unknown);
        assert_eq!(retry.unknown(hazard(Rank::Read, Telltale::None)), Verdict::GiveUp);
    }

    #[test]
    fn a_reply_that_an_earlier_attempt_may_have_caused_is_no_truth() {
        let set_nx = hazard(Rank::Checked, Telltale::Nil);
        let mut retry = Retry::new(Ceiling::LastWins, None);
        retry.begin();
        assert!(!retry.is_telltale(set_nx, Telltale::Nil), "a first attempt's nil is the truth");
        retry.unknown(set_nx);
        retry.begin();
        assert!(retry.is_telltale(set_nx, Telltale::Nil));
        assert!(!retry.is_telltale(set_nx, Telltale::Zero));
        assert!(!retry.is_telltale(set_nx, Telltale::None), "OK means that this attempt set it");
    }

    #[test]
    fn a_lost_read_leaves_no_doubt_behind() {
        let mut retry = Retry::new(Ceiling::LastWins, None);
        retry.begin();
        assert_eq!(retry.unknown(hazard(Rank::Read, Telltale::None)), Verdict::Again);
        assert!(!retry.tainted());
    }
}
