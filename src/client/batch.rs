//! Several commands that are sent together: their bytes, where each begins, and what the table says of each.

use std::time::Duration;

use crate::command::{self, BlockingTimeout, Command, Effect, Hazard, Rank, Shape, Telltale};
use crate::resp::{Frame, Sink, first_argument, frame_of, words_of};

use super::failure::Failure;
use super::scripts::Brought;

/// Room that is given back to the allocator when a batch is cleared.
const KEEP: usize = 256 * 1024;

/// Commands in the order in which they are sent.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    items: Vec<Item>,
    blocks: Vec<Block>,
    /// The scripts whose text an item carries.
    pub(super) scripts: Vec<Brought>,
    /// The last command that may have taken from the server what was brought before it (`SCRIPT FLUSH`).
    pub(super) flushed: usize,
    /// The MULTI that no EXEC has followed yet.
    open: Option<usize>,
    has_effects: bool,
    made_over: bool,
    blocking: Blocking,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    command: Option<&'static Command>,
    /// Where its bytes end.
    end: usize,
    shape: Shape,
    effect: Effect,
}

/// A transaction within the batch: from its MULTI to its EXEC or DISCARD. It is sent again whole or not at all.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: usize,
    last: usize,
}

/// How long the commands of the batch may wait by their own will, taken together.
#[derive(Clone, Copy, Debug, Default)]
struct Blocking {
    time: Duration,
    for_ever: bool,
}

/// Takes the replies to a batch, in its order.
pub trait Replies: Sink {
    /// There will be so many replies, and they may come in another order.
    fn prepare(&mut self, _count: usize) {}
    /// What comes next is the reply to this item. A reply that was given for it before is void.
    fn expect(&mut self, index: usize);
    /// The reply to this item is an error of the server. It replaces what was given for the item before.
    fn refuse(&mut self, index: usize, text: &[u8]);
    /// The replies from this item on are void, whether they are complete or not.
    fn rewind(&mut self, index: usize);
    /// The reply that was given for this item is no truth: what the item's reply would have been is not known.
    fn forget(&mut self, index: usize);
}

impl Batch {
    /// Adds the command in the frame, whose reply has this shape.
    ///
    /// # Errors
    /// The command cannot be one of several: it would take the connection out of step, or leave state on it.
    pub fn push(&mut self, frame: &Frame, command: Option<&'static Command>, shape: Shape) -> Result<(), Box<Failure>> {
        let effect = command::effect(command, || frame.words());
        let index = self.items.len();
        if effect != Effect::None {
            self.admit(effect, frame)?;
        }
        if self.open.is_none()
            && let Some(row) = command.filter(|row| row.blocking != command::Blocking::No)
        {
            match command::blocking_timeout(row, &frame.words()[1..]) {
                Some(BlockingTimeout::For(time)) => self.blocking.time = self.blocking.time.saturating_add(time),
                Some(BlockingTimeout::Forever) => self.blocking.for_ever = true,
                None => {}
            }
        }
        match effect {
            Effect::None => {}
            Effect::Multi => self.open = Some(index),
            Effect::Exec | Effect::Discard => {
                if let Some(first) = self.open.take() {
                    self.blocks.push(Block { first, last: index });
                }
            }
            _ => {}
        }
        if !self.scripts.is_empty() && command.is_some_and(|row| row.name == "SCRIPT") {
            self.flushed = index;
        }
        self.has_effects |= effect != Effect::None;
        self.made_over |= shape.is_made_over();
        self.bytes.extend_from_slice(frame.bytes());
        self.items.push(Item { command, end: self.bytes.len(), shape, effect });
        Ok(())
    }

    /// Adds a command of another batch; of a transaction all commands, one after the other.
    pub(super) fn take_over(&mut self, other: &Batch, index: usize) {
        if !other.scripts.is_empty() && self.take_over_script(other, index) {
            return;
        }
        let item = other.items[index];
        if !self.scripts.is_empty() && item.command.is_some_and(|row| row.name == "SCRIPT") {
            self.flushed = self.items.len();
        }
        if item.effect != Effect::None {
            self.take_over_effect(item.effect);
        }
        // It is no longer for one of the parts that it was for the whole.
        self.blocking = other.blocking;
        self.made_over |= item.shape.is_made_over();
        self.bytes.extend_from_slice(other.encoded(index));
        self.items.push(Item { end: self.bytes.len(), ..item });
    }

    #[cold]
    fn take_over_effect(&mut self, effect: Effect) {
        let place = self.items.len();
        self.has_effects = true;
        match effect {
            Effect::Multi => self.open = Some(place),
            Effect::Exec | Effect::Discard => {
                if let Some(first) = self.open.take() {
                    self.blocks.push(Block { first, last: place });
                }
            }
            _ => {}
        }
    }

    /// Makes room for so many bytes of so many commands.
    pub(super) fn reserve(&mut self, bytes: usize, commands: usize) {
        self.bytes.reserve(bytes);
        self.items.reserve(commands);
    }

    /// Adds a MULTI: what follows is one transaction, until [`Batch::close`].
    pub fn open(&mut self) {
        self.push_word(b"MULTI");
    }

    /// Adds the EXEC of the transaction.
    pub fn close(&mut self) {
        self.push_word(b"EXEC");
    }

    fn push_word(&mut self, name: &[u8]) {
        let pushed = self.push(&frame_of(&[name]), command::find(name), Shape::Plain);
        debug_assert!(pushed.is_ok());
    }

    #[cold]
    fn admit(&self, effect: Effect, frame: &Frame) -> Result<(), Box<Failure>> {
        let name = frame.words().first().map_or_else(String::new, |name| String::from_utf8_lossy(name).into_owned());
        let text = match effect {
            Effect::Refused => format!("{name} cannot be sent in a batch: it would take its connection out of step"),
            Effect::Quit | Effect::Watch | Effect::Pin => {
                format!("{name} is not possible in a batch: call it on the client itself")
            }
            Effect::Multi if self.open.is_some() => format!("{name} is not possible between MULTI and EXEC"),
            Effect::Select | Effect::Auth if self.open.is_some() => {
                format!("{name} is not possible between MULTI and EXEC")
            }
            Effect::Multi | Effect::Exec | Effect::Discard if frame.len() > 1 => format!("{name} takes no arguments"),
            _ => return Ok(()),
        };
        Err(Box::new(Failure::misuse(&name, text)))
    }

    /// Forgets all commands.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > KEEP {
            *self = Batch::default();
            return;
        }
        self.bytes.clear();
        self.items.clear();
        self.blocks.clear();
        self.scripts.clear();
        self.flushed = 0;
        self.open = None;
        self.has_effects = false;
        self.made_over = false;
        self.blocking = Blocking::default();
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many bytes they take on the wire.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a MULTI has no EXEC yet.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a reply is to be made over when it is complete.
    pub fn is_made_over(&self) -> bool {
        self.made_over
    }

    /// The MULTI that no EXEC has followed yet.
    pub(super) fn transaction(&self) -> Option<usize> {
        self.open
    }

    /// The shape of an item's reply.
    #[inline]
    pub fn shape(&self, index: usize) -> Shape {
        self.items[index].shape
    }

    /// If this item is the EXEC of a transaction within the batch: the first of the commands that it executes, whose
    /// replies are the elements of its own.
    #[inline]
    pub fn executes_from(&self, index: usize) -> Option<usize> {
        if self.blocks.is_empty() || self.items[index].effect != Effect::Exec {
            return None;
        }
        self.block_around(index).map(|block| block.first + 1)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn command(&self, index: usize) -> Option<&'static Command> {
        self.items[index].command
    }

    #[inline]
    pub(super) fn effect(&self, index: usize) -> Effect {
        self.items[index].effect
    }

    /// The key of an item whose one key is the word behind its name; `None` for all others.
    #[inline]
    pub(super) fn first_word_key(&self, index: usize) -> Option<&[u8]> {
        self.items[index].command.filter(|row| row.keys.is_first_word())?;
        first_argument(self.encoded(index))
    }

    /// Whether any command changes something on its connection.
    pub(super) fn has_effects(&self) -> bool {
        self.has_effects
    }

    /// Where an item's bytes begin.
    pub(super) fn start_of(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.items[index - 1].end }
    }

    /// Where an item's bytes end.
    #[inline]
    pub(super) fn end_of(&self, index: usize) -> usize {
        self.items[index].end
    }

    /// The encoded command.
    pub(super) fn encoded(&self, index: usize) -> &[u8] {
        &self.bytes[self.start_of(index)..self.end_of(index)]
    }

    /// The first and the last item of what has to be repeated together with this item: itself, or its transaction.
    #[inline]
    pub(super) fn unit(&self, index: usize) -> (usize, usize) {
        if self.blocks.is_empty() {
            return (index, index);
        }
        self.block_around(index).map_or((index, index), |block| (block.first, block.last))
    }

    fn block_around(&self, index: usize) -> Option<Block> {
        let behind = self.blocks.partition_point(|block| block.last < index);
        self.blocks.get(behind).copied().filter(|block| block.first <= index)
    }

    /// Whether any of the commands waits by its own will.
    pub(super) fn waits(&self) -> bool {
        self.blocks_for() != Some(Duration::ZERO)
    }

    /// How long the commands may wait by their own will: `None` for ever.
    pub(super) fn blocks_for(&self) -> Option<Duration> {
        (!self.blocking.for_ever).then_some(self.blocking.time)
    }

    /// What a second application of a transaction would mean: it has the highest rank of its commands (P2). One whose
    /// reply would have to be looked into for what an earlier application caused cannot be repeated without a doubt.
    pub(super) fn hazard_of_transaction(&self, first: usize, last: usize) -> Hazard {
        let none = Hazard { rank: Rank::Read, telltale: Telltale::None };
        if self.items[last].effect == Effect::Discard {
            return none;
        }
        (first + 1..last).map(|index| self.hazard(index)).fold(none, |highest, hazard| {
            let rank = if hazard.telltale == Telltale::None { hazard.rank } else { Rank::Never };
            Hazard { rank: highest.rank.max(rank), telltale: Telltale::None }
        })
    }

    /// Whether any command of a transaction may change data.
    pub(super) fn transaction_writes(&self, first: usize, last: usize) -> bool {
        self.items[last].effect != Effect::Discard
            && (first + 1..last).any(|index| self.hazard(index).rank != Rank::Read)
    }

    /// The command's name as it is sent.
    pub fn name(&self, index: usize) -> String {
        match self.items[index].command {
            Some(command) => command.name.to_owned(),
            None => {
                let name = words_of(self.encoded(index)).first().map(|name| String::from_utf8_lossy(name).into_owned());
                name.unwrap_or_default().to_ascii_uppercase()
            }
        }
    }

    /// What a second application of one command would mean.
    pub(super) fn hazard(&self, index: usize) -> Hazard {
        command::hazard(self.items[index].command, &words_of(self.encoded(index))[1..])
    }
}
