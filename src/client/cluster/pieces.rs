//! Commands whose keys are in several slots: each becomes several commands, whose replies become one again.

use redis::Value;

use crate::command::{Command, find};
use crate::resp::{Frame, frame_of};
use crate::topology::SlotMap;

use super::fan::Split;

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
    ///
    /// # Errors
    /// As [`Split::merge`].
    pub fn merge(&self, replies: impl Iterator<Item = Value>) -> Result<Value, usize> {
        self.split.merge(replies, self.keys.chunk_by(|one, other| one.0 == other.0))
    }
}
