//! Commands within a batch that several nodes have a part in: one whose keys are in several slots becomes several commands,
//! one that is for all nodes is sent to each of them. Their replies become one again.
//!
//! What is sent are steps. Where nothing is spread, they are the items of the batch.

use redis::Value;

use crate::command::{Shape, may_write};
use crate::resp::{Sink, ValueSink, hand_on, words_of};
use crate::topology::SlotMap;

use super::super::batch::{Batch, Replies};
use super::super::failure::Failure;
use super::fan::{Merge, ODD_NUMBER, Split};
use super::pieces::Pieces;

/// The commands of a batch that are spread, and their replies.
#[derive(Default)]
pub struct Spread {
    /// What is sent, in order; empty if nothing is spread.
    steps: Vec<Step>,
    /// What commands were split into.
    pieces: Batch,
    shared: Vec<Shared>,
    /// For each step of what is spread its reply: a value, or the text of an error.
    replies: Vec<Option<Result<Value, String>>>,
    /// The step whose reply comes.
    coming: Option<usize>,
}

#[derive(Clone, Copy)]
struct Step {
    /// The command of the batch.
    item: usize,
    /// The piece of it that is sent in its place.
    piece: Option<usize>,
    is_shared: bool,
}

/// A command that several nodes have a part in.
struct Shared {
    item: usize,
    /// Its steps.
    first: usize,
    count: usize,
    together: Together,
}

/// How the replies to the steps become one.
enum Together {
    Pieces(Pieces),
    Nodes(Merge),
}

impl Spread {
    /// Whether the steps are the items themselves.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many steps a batch has.
    pub fn count(&self, whole: &Batch) -> usize {
        if self.is_none() { whole.len() } else { self.steps.len() }
    }

    /// The item that a step belongs to.
    #[inline]
    pub fn item_of(&self, step: usize) -> usize {
        self.steps.get(step).map_or(step, |step| step.item)
    }

    /// The command of a step: the batch that it stands in, and where.
    #[inline]
    pub fn command<'a>(&'a self, whole: &'a Batch, step: usize) -> (&'a Batch, usize) {
        match self.steps.get(step) {
            None => (whole, step),
            Some(Step { piece: Some(piece), .. }) => (&self.pieces, *piece),
            Some(step) => (whole, step.item),
        }
    }

    /// The first and the last step of what belongs together with this one: itself, or its transaction.
    #[inline]
    pub fn unit(&self, whole: &Batch, step: usize) -> (usize, usize) {
        let item = self.item_of(step);
        let (first, last) = whole.unit(item);
        // Nothing within a transaction is spread.
        (step - (item - first), step + (last - item))
    }

    /// Whether the reply to a step is kept here.
    #[inline]
    pub fn is_shared(&self, step: usize) -> bool {
        self.steps.get(step).is_some_and(|step| step.is_shared)
    }

    /// Adds an item as one step.
    #[inline]
    pub fn keep(&mut self, item: usize) {
        if !self.is_none() {
            self.push(Step { item, piece: None, is_shared: false });
        }
    }

    /// Adds an item that is split. Gives the number of its steps.
    pub fn split(&mut self, map: &SlotMap, whole: &Batch, item: usize, split: Split) -> Result<usize, Box<Failure>> {
        let (first, before) = (self.begin(item), self.pieces.len());
        let words = words_of(whole.encoded(item));
        let pieces = Pieces::of(map, split, &words, |frame, row| self.pieces.push(frame, row, Shape::Plain))?;
        (before..self.pieces.len()).for_each(|piece| self.push(Step { item, piece: Some(piece), is_shared: true }));
        let count = pieces.count();
        self.shared.push(Shared { item, first, count, together: Together::Pieces(pieces) });
        Ok(count)
    }

    /// The command of a piece of the item that was split last, counted from its first.
    pub fn piece(&self, number: usize) -> &[u8] {
        let count = self.shared.last().map_or(0, |shared| shared.count);
        self.pieces.encoded(self.pieces.len() - count + number)
    }

    /// Adds an item that is sent to so many nodes.
    pub fn send_to_all(&mut self, item: usize, count: usize, merge: Merge) {
        let first = self.begin(item);
        (0..count).for_each(|_| self.push(Step { item, piece: None, is_shared: true }));
        self.shared.push(Shared { item, first, count, together: Together::Nodes(merge) });
    }

    /// From now on steps and items are two things. Gives the number of the next step.
    fn begin(&mut self, item: usize) -> usize {
        if self.is_none() {
            (0..item).for_each(|item| self.push(Step { item, piece: None, is_shared: false }));
        }
        self.steps.len()
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
        self.replies.push(None);
    }

    /// The next reply is that of this step. What has come in the sink is that of the one before.
    pub fn expect(&mut self, step: usize, sink: &mut ValueSink) {
        self.settle(sink);
        self.coming = Some(step);
    }

    /// Keeps what has come.
    pub fn settle(&mut self, sink: &mut ValueSink) {
        if let (Some(step), Some(value)) = (self.coming.take(), sink.take()) {
            self.replies[step] = Some(Ok(value));
        }
        sink.reset();
    }

    /// The reply to a step is an error.
    pub fn refuse(&mut self, step: usize, text: &[u8]) {
        self.replies[step] = Some(Err(String::from_utf8_lossy(text).into_owned()));
    }

    /// There is no reply to a step.
    pub fn forget(&mut self, step: usize) {
        self.replies[step] = None;
    }

    /// What is to be said of commands that change data where some of their nodes have done their part and some have not.
    pub fn told_of_halves(&self, whole: &Batch) -> Option<String> {
        self.shared.iter().filter(|shared| may_write(whole.command(shared.item))).find_map(|shared| {
            let replies = &self.replies[shared.first..shared.first + shared.count];
            let done = replies.iter().filter(|reply| matches!(reply, Some(Ok(_)))).count();
            let (name, place, count) = (whole.name(shared.item), shared.item + 1, shared.count);
            let text = || format!("; {done} of the {count} parts of {name}, command {place}, had been done");
            (done > 0 && replies.iter().any(Option::is_none)).then(text)
        })
    }

    /// All has come that will: gives the replies that are put together. They stand in `merged` while they are given.
    pub fn finish(&mut self, sink: &mut ValueSink, merged: &mut Option<Value>, replies: &mut dyn Replies) {
        self.settle(sink);
        for shared in &self.shared {
            let parts = &mut self.replies[shared.first..shared.first + shared.count];
            if matches!(shared.together, Together::Nodes(Merge::One)) {
                // One node is enough.
                let done = parts.iter().position(|part| matches!(part, Some(Ok(_))));
                done.into_iter().for_each(|done| (0..parts.len()).for_each(|part| parts[part] = parts[done].clone()));
            }
            if let Some(text) = parts.iter().flatten().find_map(|part| part.as_ref().err()) {
                replies.refuse(shared.item, text.as_bytes());
            } else if parts.iter().all(Option::is_some) {
                let values = parts.iter_mut().filter_map(|part| part.take()?.ok());
                let value = match &shared.together {
                    Together::Pieces(pieces) => pieces.merge(values),
                    Together::Nodes(merge) => Ok(merge.of_replies(values.collect())),
                };
                let Ok(value) = value else {
                    replies.refuse(shared.item, format!("ERR {ODD_NUMBER}").as_bytes());
                    continue;
                };
                replies.expect(shared.item);
                hand_on(merged.insert(value), replies);
                *merged = None;
            } else {
                replies.forget(shared.item);
            }
        }
    }
}
