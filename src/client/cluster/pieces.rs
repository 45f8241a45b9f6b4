//! Commands within a batch whose keys are in several slots: each becomes several commands, whose replies become one again.

use redis::Value;

use crate::command::{Command, Shape, Slots, find};
use crate::resp::{Aggregate, Frame, Sink, Space, Unfit, ValueSink, frame_of, hand_on, words_of};
use crate::topology::SlotMap;

use super::super::batch::{Batch, Replies};
use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::state::Client;
use super::fan::Split;
use super::redirect::pass_on;

/// A command that was split: how, and where among the words of the whole the keys of each piece stand.
pub struct Pieces {
    split: Split,
    /// For each key its slot and its place behind the command's name, pieces one after the other.
    keys: Vec<(u16, usize)>,
}

impl Pieces {
    /// Splits a command by the slots of its keys. Gives the pieces to `take`, each a complete command.
    ///
    /// # Errors
    /// What `take` says.
    pub fn of<E>(
        map: &SlotMap,
        split: Split,
        words: &[&[u8]],
        mut take: impl FnMut(&Frame, Option<&'static Command>) -> Result<(), E>,
    ) -> Result<Pieces, E> {
        let (name, arguments) = (words[0], &words[1..]);
        let step = if split == Split::Pairs { 2 } else { 1 };
        let places = (0..arguments.len()).step_by(step);
        let mut keys: Vec<(u16, usize)> = places.map(|at| (map.slot_of(arguments[at]), at)).collect();
        keys.sort_unstable();
        for of_slot in keys.chunk_by(|one, other| one.0 == other.0) {
            let mut piece = vec![name];
            piece.extend(of_slot.iter().flat_map(|(_, at)| &arguments[*at..(*at + step).min(arguments.len())]));
            take(&frame_of(&piece), find(name))?;
        }
        Ok(Pieces { split, keys })
    }

    /// How many pieces there are.
    pub fn count(&self) -> usize {
        self.keys.chunk_by(|one, other| one.0 == other.0).count()
    }

    /// The one reply that the replies to the pieces come to.
    pub fn merge(&self, replies: impl Iterator<Item = Value>) -> Value {
        self.split.merge(replies, self.keys.iter().map(|(_, at)| *at))
    }
}

/// A batch without commands that have to be split, and what became of each command of the one that was given.
#[derive(Default)]
struct Expanded {
    batch: Batch,
    /// For each of its commands the one that it was, or was a piece of.
    items: Vec<usize>,
    /// For each of them whether it is a piece.
    pieces: Vec<bool>,
    /// The commands that were split, with the places of their first pieces.
    split: Vec<(usize, usize, Pieces)>,
}

impl Client {
    /// Runs a batch, each command of it where its keys are.
    #[cold]
    pub(in super::super) fn run_batch_in_cluster(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
    ) -> Result<(), Box<Failure>> {
        self.charged(desk, |client, desk| client.run_expanded_batch(desk, batch, replies))
    }

    fn run_expanded_batch(
        &mut self,
        desk: &mut Desk,
        batch: &Batch,
        replies: &mut dyn Replies,
    ) -> Result<(), Box<Failure>> {
        self.cluster.get_or_insert_default();
        let until = self.end_of_command(desk);
        self.make_sure_of_map(desk, until)?;
        let expanded = self.map().map(|map| expand(map, batch)).transpose()?.flatten();
        let Some(expanded) = expanded else { return self.run_routed_batch(desk, batch, replies) };
        let mut merging = Merging {
            replies,
            expanded: &expanded,
            values: vec![None; expanded.items.len()],
            piece: None,
            sink: ValueSink::default(),
            counts: false,
        };
        let result = self.run_routed_batch(desk, &expanded.batch, &mut merging);
        merging.finish();
        result.map_err(|mut failure| {
            let item = failure.index.and_then(|index| expanded.items.get(index as usize));
            failure.index = item.and_then(|item| u32::try_from(*item).ok());
            failure
        })
    }
}

/// The batch with pieces in the place of what has to be split; `None` if nothing has to.
fn expand(map: &SlotMap, batch: &Batch) -> Result<Option<Expanded>, Box<Failure>> {
    let split_of = |item: usize| {
        // Most commands have one key.
        if batch.command(item).is_none_or(|row| row.keys.is_first_word()) {
            return None;
        }
        let (first, last) = batch.unit(item);
        let split = batch.command(item).and_then(|row| Split::of(row.name)).filter(|_| first == last)?;
        // What the server refuses is not to be applied in part.
        let fits = split != Split::Pairs || words_of(batch.encoded(item)).len() % 2 == 1;
        (fits && matches!(map.slots_of(batch.command(item), batch.encoded(item)), Slots::Several(..))).then_some(split)
    };
    if (0..batch.len()).all(|item| split_of(item).is_none()) {
        return Ok(None);
    }
    let mut expanded = Expanded::default();
    for item in 0..batch.len() {
        match split_of(item) {
            None => {
                expanded.batch.take_over(batch, item);
                expanded.items.push(item);
                expanded.pieces.push(false);
            }
            Some(split) => {
                let first = expanded.items.len();
                let pieces = Pieces::of(map, split, &words_of(batch.encoded(item)), |frame, row| {
                    expanded.items.push(item);
                    expanded.pieces.push(true);
                    expanded.batch.push(frame, row, Shape::Plain)
                })?;
                expanded.split.push((item, first, pieces));
            }
        }
    }
    Ok(Some(expanded))
}

/// Puts the replies to pieces together, and passes the others on.
struct Merging<'a> {
    replies: &'a mut dyn Replies,
    expanded: &'a Expanded,
    values: Vec<Option<Result<Value, String>>>,
    /// The piece whose reply comes.
    piece: Option<usize>,
    sink: ValueSink,
    /// Whether what comes is the reply to a command that was not split.
    counts: bool,
}

impl Merging<'_> {
    fn settle(&mut self) {
        if let (Some(piece), Some(value)) = (self.piece.take(), self.sink.take()) {
            self.values[piece] = Some(Ok(value));
        }
    }

    fn is_piece(&self, index: usize) -> bool {
        self.expanded.pieces[index]
    }

    /// All has come that will: gives the replies that were put together.
    fn finish(mut self) {
        self.settle();
        for (item, first, pieces) in &self.expanded.split {
            let parts = &mut self.values[*first..first + pieces.count()];
            if let Some(text) = parts.iter().flatten().find_map(|part| part.as_ref().err()) {
                self.replies.refuse(*item, text.as_bytes());
            } else if parts.iter().all(Option::is_some) {
                let merged = pieces.merge(parts.iter_mut().filter_map(|part| part.take()?.ok()));
                self.replies.expect(*item);
                hand_on(&merged, self.replies);
            } else {
                self.replies.forget(*item);
            }
        }
    }
}

impl Replies for Merging<'_> {
    fn prepare(&mut self, _: usize) {
        let count = self.expanded.items.last().map_or(0, |last| last + 1);
        self.replies.prepare(count);
    }

    fn expect(&mut self, index: usize) {
        self.settle();
        self.sink.reset();
        self.counts = !self.is_piece(index);
        if self.counts {
            self.replies.expect(self.expanded.items[index]);
        } else {
            self.piece = Some(index);
        }
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        self.settle();
        if self.is_piece(index) {
            self.values[index] = Some(Err(String::from_utf8_lossy(text).into_owned()));
        } else {
            self.replies.refuse(self.expanded.items[index], text);
        }
    }

    fn rewind(&mut self, index: usize) {
        (index..self.values.len()).for_each(|index| self.forget(index));
    }

    fn forget(&mut self, index: usize) {
        self.settle();
        if self.is_piece(index) {
            self.values[index] = None;
        } else {
            self.replies.forget(self.expanded.items[index]);
        }
    }
}

pass_on!(Merging<'_>, replies; |this| this.counts; else sink);
