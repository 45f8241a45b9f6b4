//! How far a batch has come. It stands on the desk, since PHP may leave the exchange by a jump.

use std::ops::Range;

use crate::command::{Hazard, Rank};
use crate::failover::{Refusal, Remedy};

use super::batch::{Batch, Replies};

/// The course of one batch.
#[derive(Debug, Default)]
pub struct Course {
    /// The items before this one are settled: their replies stand, whatever happens. Always the first of a unit.
    pub done: usize,
    /// The item whose reply comes next.
    pub next: usize,
    /// How many of the batch's bytes the kernel has taken, what is settled included.
    pub sent: usize,
    /// What an earlier attempt sent without being answered ends before this item: it may have been applied.
    pub tainted: usize,
    /// What the server would not do in this attempt because of its state, in order.
    pub refused: Vec<Refused>,
    /// Whether something that writes was applied in this attempt after the first refusal.
    pub overtaken: bool,
    /// Items after the first refusal that changed the connection's identity.
    pub moves: Vec<usize>,
    /// Transactions, by their MULTI, that the server would not open: their commands ran by themselves. In order.
    pub dissolved: Vec<usize>,
    /// Whether an EXEC came to nothing in a way that may leave its transaction open.
    pub unclean: bool,
    /// Items whose reply may be due to an earlier attempt.
    pub doubted: Vec<usize>,
    /// Whether the batch runs on a pinned connection, which is never replaced.
    pub pinned: bool,
    /// If the connection on the desk has been sent the batch already: how many bytes of it the kernel has taken.
    pub ahead: Option<usize>,
    /// If that is one to a node that is read from: its place in the list.
    pub reader: Option<u32>,
}

/// An item that was refused because of the server's state.
#[derive(Debug)]
pub struct Refused {
    /// The item.
    pub index: usize,
    /// What the server said.
    pub text: Vec<u8>,
    /// What may help.
    pub help: Help,
}

/// What may help against a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// What the server's state calls for.
    State(Remedy),
    /// Another node, if this one is then seen to be a replica.
    IfReplica,
    /// What that state calls for, if the node says the same again when it is asked.
    IfRepeated(Remedy),
    /// Whatever helps the commands of its transaction.
    WithTheRest,
}

impl Help {
    /// What may help against this refusal, if anything may.
    pub fn against(refusal: Refusal) -> Option<Help> {
        match refusal {
            Refusal::Final => None,
            Refusal::IfReplica => Some(Help::IfReplica),
            Refusal::IfRepeated(remedy) => Some(Help::IfRepeated(remedy)),
            Refusal::NotApplied(remedy) => Some(Help::State(remedy)),
        }
    }

    /// What to do, given that it helps.
    pub fn remedy(self) -> Option<Remedy> {
        match self {
            Help::State(remedy) | Help::IfRepeated(remedy) => Some(remedy),
            Help::IfReplica => Some(Remedy::Search),
            Help::WithTheRest => None,
        }
    }
}

impl Course {
    /// Nothing was sent yet.
    pub fn begin(&mut self) {
        *self = Course::default();
    }

    /// A connection is at hand: what is not settled is sent on it from its start.
    pub fn set_out(&mut self, batch: &Batch) {
        self.next = self.done;
        self.sent = self.ahead.unwrap_or_else(|| batch.start_of(self.done));
        self.refused.clear();
        self.overtaken = false;
        self.moves.clear();
        self.unclean = false;
        // What is sent again from its MULTI may be opened this time.
        self.dissolved.retain(|first| *first < self.done);
    }

    /// The first and the last item of what has to be repeated together with this item: itself, or its transaction.
    #[inline]
    pub fn unit(&self, batch: &Batch, index: usize) -> (usize, usize) {
        let (first, last) = batch.unit(index);
        if first != last && self.dissolved.binary_search(&first).is_ok() { (index, index) } else { (first, last) }
    }

    /// What a second application of a unit would mean.
    pub fn hazard(&self, batch: &Batch, (first, last): (usize, usize)) -> Hazard {
        if first == last { batch.hazard(first) } else { batch.hazard_of_transaction(first, last) }
    }

    /// Whether the unit that this item belongs to may change data.
    pub fn is_write(&self, batch: &Batch, index: usize) -> bool {
        let (first, last) = self.unit(batch, index);
        if first == last { batch.hazard(first).rank != Rank::Read } else { batch.transaction_writes(first, last) }
    }

    /// The first of these items that may change data. Each transaction is looked into once, however long it is.
    pub fn first_write(&self, batch: &Batch, items: Range<usize>) -> Option<usize> {
        let mut index = items.start;
        while index < items.end {
            if self.is_write(batch, index) {
                return Some(index);
            }
            index = self.unit(batch, index).1 + 1;
        }
        None
    }

    /// The last item that may change data, in the same way.
    pub fn last_write(&self, batch: &Batch) -> Option<usize> {
        let mut end = batch.len();
        while end > 0 {
            if self.is_write(batch, end - 1) {
                return Some(end - 1);
            }
            end = self.unit(batch, end - 1).0;
        }
        None
    }

    /// Whether everything that was answered so far was answered in order.
    #[inline]
    pub fn is_straight(&self) -> bool {
        self.refused.is_empty()
    }

    /// The first item without a reply that stands.
    pub fn unanswered(&self, batch: &Batch) -> usize {
        if self.is_straight() {
            return self.done;
        }
        if self.next < batch.len() { self.unit(batch, self.next).0 } else { batch.len() }
    }

    /// What helps against all refusals of this attempt: the most thorough of their remedies.
    pub fn remedy(&self) -> Remedy {
        let remedies: Vec<Remedy> = self.refused.iter().filter_map(|refused| refused.help.remedy()).collect();
        let order = [Remedy::Search, Remedy::Reconnect, Remedy::Wait];
        order.into_iter().find(|remedy| remedies.contains(remedy)).unwrap_or(Remedy::Yield)
    }

    /// Whether the last refusals belong to the unit that ends with this item.
    pub fn refused_since(&self, first: usize) -> bool {
        self.refused.last().is_some_and(|refused| refused.index >= first)
    }

    /// Gives the refusals of this attempt out as what they are: the replies to their items.
    pub fn hand_out_refusals<R: Replies>(&mut self, batch: &Batch, replies: &mut R) {
        for refused in std::mem::take(&mut self.refused) {
            // An earlier attempt may have been applied: then a refusal is not the whole truth.
            if refused.index < self.tainted && self.is_write(batch, refused.index) {
                self.doubted.push(refused.index);
            } else {
                replies.refuse(refused.index, &refused.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{self, Shape};
    use crate::resp::frame_of;

    /// `SET`, a transaction of so many `GET`s, and a `GET`.
    fn batch(reads: usize) -> Batch {
        let mut batch = Batch::default();
        let mut push = |words: &[&str]| {
            batch.push(&frame_of(words), command::find(words[0].as_bytes()), Shape::Plain).unwrap();
        };
        push(&["SET", "k", "v"]);
        push(&["MULTI"]);
        (0..reads).for_each(|_| push(&["GET", "k"]));
        push(&["EXEC"]);
        push(&["GET", "k"]);
        batch
    }

    #[test]
    fn a_transaction_is_looked_into_once_however_long_it_is() {
        let batch = batch(20_000);
        let course = Course::default();
        assert_eq!(course.last_write(&batch), Some(0));
        assert_eq!(course.first_write(&batch, 0..batch.len()), Some(0));
        assert_eq!(course.first_write(&batch, 1..batch.len()), None);
        assert_eq!(course.first_write(&batch, 7..batch.len()), None, "from the middle of the transaction");
    }

    #[test]
    fn a_transaction_that_was_not_opened_is_its_single_commands() {
        let batch = batch(3);
        let course = Course { dissolved: vec![1], ..Course::default() };
        assert_eq!((course.unit(&batch, 3), course.unit(&batch, 0)), ((3, 3), (0, 0)));
        assert_eq!(Course::default().unit(&batch, 3), (1, 5));
    }
}
