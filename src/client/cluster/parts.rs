//! The parts of a batch: what goes to which shard, and where the replies to it belong.

use redis::Value;

use crate::command::Effect;
use crate::config::NodeAddress;
use crate::resp::{Aggregate, Sink, Space, Unfit, ValueSink};
use crate::topology::{Redirect, Speaker};

use super::super::batch::{Batch, Replies};
use super::super::course::Course;
use super::super::failure::Failure;
use super::super::pass::Carried;
use super::redirect::pass_on;

/// What a batch is worked on with. It stands in the object, where it is found whatever happens.
#[derive(Default)]
pub struct Work {
    /// A command and the ASKING before it.
    pub asking: Batch,
    /// A reply that was put together.
    pub merged: Option<Value>,
    /// The parts that are on their way.
    pub parts: Vec<Part>,
    /// The items that have no reply yet, with the node that asked for them; `None` if that is all of them.
    pub pending: Option<Vec<(usize, Option<NodeAddress>)>>,
    /// The slots of the items.
    pub slots: Vec<u16>,
    /// How the batch came along.
    pub progress: Progress,
    /// What was left while the program is asked for its credentials, and goes on where it was.
    pub left: Left,
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

/// What goes to one node.
#[derive(Default)]
pub struct Part {
    /// The place of its shard.
    pub place: usize,
    /// The node outside of the map's order that it goes to instead.
    pub guest: Option<NodeAddress>,
    /// The commands.
    pub batch: Batch,
    /// For each of them its place in the whole; none for those that we have added.
    pub items: Vec<Option<usize>>,
    /// How far it had come when it was left while the program is asked for its credentials.
    pub left: Option<(Box<Carried>, Course)>,
}

/// Which replies have come, and which items are somewhere else.
#[derive(Default)]
pub struct Progress {
    /// For each item whether its reply has come.
    pub given: Vec<bool>,
    /// The items that a node turned away because they belong elsewhere.
    pub moved: Vec<(usize, Redirect)>,
    /// The items whose reply is an error, and the node that it came from.
    refused: Vec<(usize, Option<NodeAddress>)>,
    /// Transactions, by their MULTI, that a node would not open: their commands ran by themselves. In order.
    dissolved: Vec<usize>,
}

impl Progress {
    /// Begins a batch of so many items.
    pub fn begin(&mut self, count: usize) {
        self.given.clear();
        self.given.resize(count, false);
        self.moved.clear();
        self.refused.clear();
        self.dissolved.clear();
    }

    /// Notes which node has given the errors that came last.
    pub fn refused_by(&mut self, node: &NodeAddress) {
        let new = self.refused.iter_mut().rev().take_while(|(_, node)| node.is_none());
        new.for_each(|(_, by)| *by = Some(node.clone()));
    }

    /// The node whose error is the reply to an item.
    pub fn who_refused(&self, item: usize) -> Option<&NodeAddress> {
        self.refused.iter().rev().find(|(refused, _)| *refused == item)?.1.as_ref()
    }

    /// The first and the last item of what is sent elsewhere together with this item: itself, or its transaction.
    pub fn unit(&self, whole: &Batch, item: usize) -> (usize, usize) {
        let (first, last) = whole.unit(item);
        if first != last && self.dissolved.binary_search(&first).is_ok() { (item, item) } else { (first, last) }
    }

    /// What was given for these items is no truth: they are sent once more.
    pub fn take_back(&mut self, whole: &Batch, (first, last): (usize, usize)) {
        self.given[first..=last].fill(false);
        if whole.effect(first) == Effect::Multi {
            self.dissolved.retain(|dissolved| *dissolved != first);
        }
    }

    fn note(&mut self, item: usize, given: bool) {
        if let Some(place) = self.given.get_mut(item) {
            *place = given;
        }
    }
}

/// Puts the replies to a part where they belong in the whole.
pub struct Placed<'a> {
    replies: &'a mut dyn Replies,
    whole: &'a Batch,
    items: &'a [Option<usize>],
    /// The node that was asked, if it may know where else something belongs.
    asked: Option<&'a Speaker>,
    progress: &'a mut Progress,
    counts: bool,
}

impl<'a> Placed<'a> {
    /// The replies to the part of `whole` that has these items, from the node `asked`.
    pub fn new(
        replies: &'a mut dyn Replies,
        whole: &'a Batch,
        items: &'a [Option<usize>],
        asked: Option<&'a Speaker>,
        progress: &'a mut Progress,
    ) -> Placed<'a> {
        Placed { replies, whole, items, asked, progress, counts: false }
    }

    fn item(&self, index: usize) -> Option<usize> {
        self.items.get(index).copied().flatten()
    }

    /// Whether a node has turned away something of the unit that an item belongs to.
    fn has_moved(&self, item: usize) -> bool {
        let (first, last) = self.progress.unit(self.whole, item);
        self.progress.moved.iter().any(|(moved, _)| (first..=last).contains(moved))
    }
}

impl Replies for Placed<'_> {
    fn expect(&mut self, index: usize) {
        let item = self.item(index);
        self.counts = item.is_some();
        if let Some(item) = item {
            self.progress.note(item, true);
            self.replies.expect(item);
        }
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        let Some(item) = self.item(index) else { return };
        let said = String::from_utf8_lossy(text);
        if let Some(redirect) = self.asked.and_then(|asked| Redirect::read(&said, asked)) {
            self.progress.moved.push((item, redirect));
        } else if !(said.starts_with("EXECABORT") && self.has_moved(item)) {
            self.progress.note(item, true);
            self.progress.refused.push((item, None));
            if self.whole.effect(item) == Effect::Multi
                && let Err(place) = self.progress.dissolved.binary_search(&item)
            {
                self.progress.dissolved.insert(place, item);
            }
            return self.replies.refuse(item, text);
        }
        self.progress.note(item, false);
    }

    fn rewind(&mut self, index: usize) {
        for index in index..self.items.len() {
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        let Some(item) = self.item(index) else { return };
        self.progress.moved.retain(|(moved, _)| *moved != item);
        self.progress.dissolved.retain(|dissolved| *dissolved != item);
        // What stands there is replaced when the reply comes, or taken away when it is clear that none will: a gap in PHP's
        // list would lose its place.
        self.progress.note(item, false);
    }
}

pass_on!(Placed<'_>, replies; |this| this.counts);

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
