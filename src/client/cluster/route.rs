//! Where a command belongs: to the shard of its keys, to all shards, or anywhere.

use crate::command::{Command, Effect, Slots};
use crate::resp::{second_word, words_of};
use crate::topology::SlotMap;

use super::super::desk::Desk;
use super::super::failure::Failure;
use super::super::state::Client;
use super::fan::{Merge, Split};
use super::map::unserved;

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the shard that serves this slot.
    Slot(u16),
    /// To any shard, or the one that is pinned.
    Anywhere,
    /// To all shards.
    Everywhere(Merge),
    /// Part by part to the shards of its keys.
    Split(Split),
    /// From shard to shard.
    Scan,
    /// Nowhere: it ends what the client has.
    Done,
}

impl Client {
    /// Where the command in the desk's frame goes.
    pub(super) fn route(
        &self,
        desk: &Desk,
        command: Option<&'static Command>,
        effect: Effect,
    ) -> Result<Route, Box<Failure>> {
        let name = command.map_or("", |row| row.name);
        let encoded = desk.frame.bytes();
        let Some(map) = self.map() else { return Err(unserved(None, "")) };
        let slots = map.slots_of(command, encoded);
        let refuse = |text: String| Err(Failure::not_supported(name, text));
        match effect {
            Effect::Quit => return Ok(Route::Done),
            Effect::Multi if !self.is_pinned() => {
                return refuse(
                    "MULTI on a cluster has no node to go to: use transaction(), or watch a key first".into(),
                );
            }
            Effect::Select if self.is_selected(encoded) => {}
            Effect::Select | Effect::Auth => return refuse(self.of_the_options(effect, name)),
            Effect::Pin => {
                let subcommand = second_word(encoded);
                return refuse(format!(
                    "{name} {} is not possible on a cluster: call it on one node (getClientBy)",
                    String::from_utf8_lossy(&subcommand).trim()
                ));
            }
            _ => {}
        }
        if let (Slots::One(slot), true) = (slots, self.pins.any()) {
            self.keeps_to_pinned(map, name, slot, effect)?;
        }
        Ok(match slots {
            Slots::One(slot) => Route::Slot(slot),
            Slots::Several(first, second) => match Split::of(name) {
                // What the server refuses is not to be applied in part, and spoils an open transaction where that is.
                Some(Split::Pairs) if desk.frame.len().is_multiple_of(2) => match self.pins.multi {
                    true => Route::Anywhere,
                    false => Route::Slot(map.slot_of(desk.frame.words()[first])),
                },
                Some(split) if !self.pins.multi => Route::Split(split),
                _ => return Err(crossing(map, name, encoded, first, second)),
            },
            Slots::None if name == "SCAN" && !self.pins.multi => {
                self.see_whole(map)?;
                Route::Scan
            }
            Slots::None => match Merge::of(name, || second_word(encoded)) {
                Some(_) if self.pins.multi => return Err(open_at_one(name)),
                Some(merge) => {
                    self.see_all(map, merge)?;
                    Route::Everywhere(merge)
                }
                None if name == "SCAN" => return Err(open_at_one(name)),
                None => Route::Anywhere,
            },
        })
    }

    /// The place of the shard that the command in the desk's frame belongs to, by its keys; none if it has none, or the
    /// deployment has no shards.
    ///
    /// # Errors
    /// Its keys belong to several.
    pub fn place_by_keys(&self, desk: &Desk, command: Option<&'static Command>) -> Result<Option<usize>, Box<Failure>> {
        let (Some(map), encoded) = (self.slot_map(), desk.frame.bytes()) else { return Ok(None) };
        match map.slots_of(command, encoded) {
            Slots::One(slot) => Ok(map.shard_of(slot)),
            Slots::Several(one, other) => {
                Err(apart(&map, command.map_or("", |row| row.name), "leads to no single node", encoded, [one, other]))
            }
            Slots::None => Ok(None),
        }
    }

    /// Whether a SELECT asks for the database that all nodes have selected.
    pub(super) fn is_selected(&self, encoded: &[u8]) -> bool {
        let word = second_word(encoded);
        let mut nodes = std::iter::once(&self.configuration).chain(&self.configuration.apart);
        nodes.all(|node| word == node.database.to_string().as_bytes())
    }

    /// Why a command that says who the client is, or which database it wants, is refused.
    pub(super) fn of_the_options(&self, effect: Effect, name: &str) -> String {
        match effect {
            Effect::Select if self.is_ring() => {
                "SELECT is not possible on several nodes: give the database to the constructor".to_owned()
            }
            Effect::Select => "SELECT: a cluster has database 0 only".to_owned(),
            _ => format!("{name} is not possible on a cluster: give user and password to the constructor"),
        }
    }

    /// Inside of a transaction, and while keys are watched for one, all is at one shard.
    fn keeps_to_pinned(&self, map: &SlotMap, name: &str, slot: u16, effect: Effect) -> Result<(), Box<Failure>> {
        let bound = self.pins.multi || effect == Effect::Watch;
        if bound && self.place_of(Some(slot)) != self.place_of(None) {
            let text = format!(
                "{name}: its key is {}, where another node serves than the transaction's keys",
                map.shown(slot)
            );
            return Err(Box::new(Failure::misuse(name, text)));
        }
        Ok(())
    }
}

/// Why a command for all nodes is refused within a transaction.
pub fn open_at_one(name: &str) -> Box<Failure> {
    Failure::not_supported(name, format!("{name} concerns all nodes of the cluster, and MULTI is open at one"))
}

/// A key as messages show it.
pub fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().take(100).collect()
}

/// The failure of a command with keys of several slots that is one for the server, too.
pub fn crossing(map: &SlotMap, name: &str, encoded: &[u8], first: usize, second: usize) -> Box<Failure> {
    apart(map, name, "cannot be split", encoded, [first, second])
}

/// The failure of what needs the keys of a command to be together.
fn apart(map: &SlotMap, name: &str, why: &str, encoded: &[u8], [first, second]: [usize; 2]) -> Box<Failure> {
    let words = words_of(encoded);
    let places = if map.is_ring() { "at different nodes" } else { "in different slots (CROSSSLOT)" };
    let text = format!(
        "{name} {why}: its keys `{}` and `{}` are {places}; the same {{tag}} in both keeps them together",
        shown(words[first]),
        shown(words[second])
    );
    Box::new(Failure::misuse(name, text))
}
