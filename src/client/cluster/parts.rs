//! The parts of a batch: what goes to which shard, and where the replies to it belong.

use std::sync::Arc;

use redis::Value;

use crate::command::Effect;
use crate::config::NodeAddress;
use crate::resp::{Aggregate, Frame, Sink, Space, Unfit, ValueSink};
use crate::time::Instant;
use crate::topology::{Redirect, SlotMap, Speaker};

use super::super::batch::{Batch, Replies};
use super::super::course::Course;
use super::super::failure::Failure;
use super::super::pass::Carried;
use super::redirect::pass_on;
use super::spread::Spread;

/// What a batch is worked on with. It stands in the object, where it is found whatever happens.
#[derive(Default)]
pub struct Work {
    /// A command and the ASKING before it.
    pub asking: Batch,
    /// A reply that was put together.
    pub merged: Option<Value>,
    /// The parts that are on their way.
    pub parts: Vec<Part>,
    /// The steps that have no reply yet, with the node that asked for them; `None` if that is all of them.
    pub pending: Option<Vec<(usize, Option<NodeAddress>)>>,
    /// Where the steps of the batch belong.
    pub homes: Vec<Home>,
    /// The map by which shards are counted there, if any are.
    pub counted: Option<Arc<SlotMap>>,
    /// Takes replies that are parts of others.
    pub sink: ValueSink,
    /// How the batch came along.
    pub progress: Progress,
    /// What was left while the program is asked for its credentials, and goes on where it was.
    pub left: Left,
}

impl Work {
    /// The failure that it is if nobody goes on with what was left, if any of it may have been applied.
    pub fn in_doubt(&self, frame: &Frame, now: Instant) -> Option<Box<Failure>> {
        let left = self.parts.iter().filter_map(|part| part.left.as_ref());
        left.filter_map(|(carried, _)| carried.in_doubt(frame, now)).next()
    }
}

/// What of a command for several nodes is done already.
#[derive(Default)]
pub struct Left {
    /// Whether a batch was left.
    pub batch: bool,
    /// The edition of the map by which it was divided.
    pub edition: u64,
    /// The replies of the shards to a command for all of them, and what went wrong at which.
    pub everywhere: Option<(Collected, Vec<Option<Box<Failure>>>)>,
    /// The replies to the parts of a command that was split.
    pub collected: Option<Collected>,
}

/// Where a step of a batch belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// With its neighbours.
    Anywhere,
    /// At the shard that serves this slot.
    Slot(u16),
    /// At this shard.
    Shard(u16),
}

/// What goes to one node.
#[derive(Default)]
pub struct Part {
    /// The place of its shard.
    pub place: usize,
    /// The node outside of the map's order that it goes to instead.
    pub guest: Option<NodeAddress>,
    /// The commands.
    pub batch: Batch,
    /// For each of them its step of the whole; none for those that we have added.
    pub items: Vec<Option<usize>>,
    /// How far it had come when it was left while the program is asked for its credentials.
    pub left: Option<(Box<Carried>, Course)>,
}

/// Which replies have come, and which steps are somewhere else.
#[derive(Default)]
pub struct Progress {
    /// For each step whether its reply has come.
    pub given: Vec<bool>,
    /// The steps that a node turned away because they belong elsewhere.
    pub moved: Vec<(usize, Redirect)>,
    /// The steps whose reply is an error, and the node that it came from.
    refused: Vec<(usize, Option<NodeAddress>)>,
    /// Transactions, by their MULTI, that a node would not open: their commands ran by themselves. In order.
    dissolved: Vec<usize>,
    /// What several nodes have a part in.
    pub spread: Spread,
}

impl Progress {
    /// Begins a batch of so many steps.
    pub fn begin(&mut self, count: usize) {
        self.given.clear();
        self.given.resize(count, false);
        self.moved.clear();
        self.refused.clear();
        self.dissolved.clear();
        self.spread = Spread::default();
    }

    /// Notes which node has given the errors that came last.
    pub fn refused_by(&mut self, node: &NodeAddress) {
        let new = self.refused.iter_mut().rev().take_while(|(_, node)| node.is_none());
        new.for_each(|(_, by)| *by = Some(node.clone()));
    }

    /// The node whose error is the reply to a step.
    pub fn who_refused(&self, step: usize) -> Option<&NodeAddress> {
        self.refused.iter().rev().find(|(refused, _)| *refused == step)?.1.as_ref()
    }

    /// The first and the last step of what is sent elsewhere together with this one: itself, or its transaction.
    pub fn unit(&self, whole: &Batch, step: usize) -> (usize, usize) {
        let (first, last) = self.spread.unit(whole, step);
        if first != last && self.dissolved.binary_search(&first).is_ok() { (step, step) } else { (first, last) }
    }

    /// What was given for these steps is no truth: they are sent once more.
    pub fn take_back(&mut self, (first, last): (usize, usize)) {
        self.given[first..=last].fill(false);
        self.dissolved.retain(|dissolved| *dissolved != first);
    }

    /// A node would not open the transaction that begins with this step.
    fn dissolve(&mut self, step: usize) {
        if let Err(place) = self.dissolved.binary_search(&step) {
            self.dissolved.insert(place, step);
        }
    }

    fn note(&mut self, step: usize, given: bool) {
        if let Some(place) = self.given.get_mut(step) {
            *place = given;
        }
    }
}

/// Puts the replies to a part where they belong in the whole.
pub struct Placed<'a> {
    replies: &'a mut dyn Replies,
    whole: &'a Batch,
    steps: &'a [Option<usize>],
    /// The node that was asked, if it may know where else something belongs.
    asked: Option<&'a Speaker>,
    progress: &'a mut Progress,
    sink: &'a mut ValueSink,
    /// Whether what comes is the reply to an item of the whole.
    counts: bool,
}

impl<'a> Placed<'a> {
    /// The replies to the part of `whole` that has these steps, from the node `asked`. What is a part of a reply only goes
    /// to the sink.
    pub fn new(
        replies: &'a mut dyn Replies,
        whole: &'a Batch,
        steps: &'a [Option<usize>],
        asked: Option<&'a Speaker>,
        progress: &'a mut Progress,
        sink: &'a mut ValueSink,
    ) -> Placed<'a> {
        Placed { replies, whole, steps, asked, progress, sink, counts: false }
    }

    #[inline]
    fn step(&self, index: usize) -> Option<usize> {
        self.steps.get(index).copied().flatten()
    }

    /// Whether a node has turned away something of the unit that a step belongs to.
    fn has_moved(&self, step: usize) -> bool {
        let (first, last) = self.progress.unit(self.whole, step);
        self.progress.moved.iter().any(|(moved, _)| (first..=last).contains(moved))
    }

    fn is_multi(&self, step: usize) -> bool {
        let (batch, index) = self.progress.spread.command(self.whole, step);
        batch.effect(index) == Effect::Multi
    }
}

impl Replies for Placed<'_> {
    #[inline]
    fn expect(&mut self, index: usize) {
        self.counts = false;
        let Some(step) = self.step(index) else { return };
        self.progress.note(step, true);
        if self.progress.spread.is_none() {
            self.counts = true;
            return self.replies.expect(step);
        }
        self.progress.spread.settle(self.sink);
        if self.progress.spread.is_shared(step) {
            self.progress.spread.expect(step, self.sink);
        } else {
            self.counts = true;
            self.replies.expect(self.progress.spread.item_of(step));
        }
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        let Some(step) = self.step(index) else { return };
        let said = String::from_utf8_lossy(text);
        if let Some(redirect) = self.asked.and_then(|asked| Redirect::read(&said, asked)) {
            self.progress.moved.push((step, redirect));
        } else if !(said.starts_with("EXECABORT") && self.has_moved(step)) {
            self.progress.note(step, true);
            self.progress.refused.push((step, None));
            if self.is_multi(step) {
                self.progress.dissolve(step);
            }
            if self.progress.spread.is_shared(step) {
                self.progress.spread.settle(self.sink);
                return self.progress.spread.refuse(step, text);
            }
            return self.replies.refuse(self.progress.spread.item_of(step), text);
        }
        self.progress.note(step, false);
    }

    fn rewind(&mut self, index: usize) {
        for index in index..self.steps.len() {
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        let Some(step) = self.step(index) else { return };
        self.progress.moved.retain(|(moved, _)| *moved != step);
        self.progress.dissolved.retain(|dissolved| *dissolved != step);
        if self.progress.spread.is_shared(step) {
            self.progress.spread.settle(self.sink);
            self.progress.spread.forget(step);
        }
        // What stands there is replaced when the reply comes, or taken away when it is clear that none will: a gap in PHP's
        // list would lose its place.
        self.progress.note(step, false);
    }
}

pass_on!(Placed<'_>, replies; |this| this.counts; else sink);

/// Replies as plain values.
#[derive(Default)]
pub struct Collected {
    values: Vec<Option<Result<Value, String>>>,
    at: Option<usize>,
    sink: ValueSink,
}

impl Collected {
    /// The replies, in order: values, or the texts of errors. Those that did not come are nil.
    pub fn into_values(mut self) -> Vec<Result<Value, String>> {
        self.settle();
        self.values.into_iter().map(|value| value.unwrap_or(Ok(Value::Nil))).collect()
    }

    fn settle(&mut self) {
        if let (Some(at), Some(value)) = (self.at.take(), self.sink.take()) {
            *self.place(at) = Some(Ok(value));
        }
    }

    fn place(&mut self, index: usize) -> &mut Option<Result<Value, String>> {
        if self.values.len() <= index {
            self.values.resize_with(index + 1, || None);
        }
        &mut self.values[index]
    }
}

impl Replies for Collected {
    fn expect(&mut self, index: usize) {
        self.settle();
        self.sink.reset();
        self.at = Some(index);
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        self.settle();
        *self.place(index) = Some(Err(String::from_utf8_lossy(text).into_owned()));
    }

    fn rewind(&mut self, index: usize) {
        self.settle();
        self.values.truncate(index);
    }

    fn forget(&mut self, index: usize) {
        self.settle();
        *self.place(index) = None;
    }
}

pass_on!(Collected, sink; |_this| true);
