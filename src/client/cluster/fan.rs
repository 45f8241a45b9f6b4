//! Commands that concern several shards: sent to all of them, or split by the slots of their keys.

use redis::Value;

use crate::command::{Command, Shape, may_write};
use crate::resp::{Sink, ValueSink, hand_on};
use crate::time::Deadline;

use super::super::batch::Batch;
use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::map::PATIENCE;
use super::parts::Collected;
use super::pieces::Pieces;

/// What the replies of all shards come to. (The commands' tips on requests and replies, as `COMMAND` has them.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their sum.
    Sum,
    /// The smallest.
    Least,
    /// One after the other in one list.
    Joined,
    /// True of each place where it is true of all.
    All,
    /// The first: they are alike.
    First,
    /// The first that is something.
    Any,
}

impl Merge {
    /// How a command without keys is sent to all shards; `None` if any one can answer it. `word` gives its second word in
    /// capitals.
    pub fn of(name: &str, word: impl Fn() -> Vec<u8>) -> Option<Merge> {
        let by_word = |accepted: &[(&str, Merge)]| {
            let word = word();
            accepted.iter().find(|(name, _)| name.as_bytes() == word).map(|(_, merge)| *merge)
        };
        match name {
            "DBSIZE" => Some(Merge::Sum),
            "WAIT" => Some(Merge::Least),
            "KEYS" => Some(Merge::Joined),
            "FLUSHALL" | "FLUSHDB" => Some(Merge::First),
            "RANDOMKEY" => Some(Merge::Any),
            "SCRIPT" => by_word(&[("LOAD", Merge::First), ("FLUSH", Merge::First), ("EXISTS", Merge::All)]),
            "FUNCTION" => by_word(&[
                ("LOAD", Merge::First),
                ("DELETE", Merge::First),
                ("FLUSH", Merge::First),
                ("RESTORE", Merge::First),
            ]),
            "CONFIG" => by_word(&[("SET", Merge::First), ("RESETSTAT", Merge::First), ("REWRITE", Merge::First)]),
            _ => None,
        }
    }

    fn of_replies(self, replies: Vec<Value>) -> Value {
        let integers =
            || replies.iter().filter_map(|reply| if let Value::Int(number) = reply { Some(*number) } else { None });
        match self {
            Merge::Sum => Value::Int(integers().sum()),
            Merge::Least => Value::Int(integers().min().unwrap_or(0)),
            Merge::Joined => Value::Array(replies.into_iter().flat_map(elements).collect()),
            Merge::All => {
                let mut lists = replies.into_iter().map(elements);
                let first = lists.next().unwrap_or_default();
                Value::Array(lists.fold(first, |all, list| {
                    let both = |(one, other): (Value, Value)| if one == Value::Int(0) { one } else { other };
                    all.into_iter().zip(list).map(both).collect()
                }))
            }
            Merge::First => replies.into_iter().next().unwrap_or(Value::Nil),
            Merge::Any => replies.into_iter().find(|reply| *reply != Value::Nil).unwrap_or(Value::Nil),
        }
    }
}

pub(super) fn elements(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(elements) | Value::Set(elements) => elements,
        _ => Vec::new(),
    }
}

/// How a command with keys of several slots is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Each key has a reply of its own: `MGET`.
    Values,
    /// Keys and values alternate: `MSET`.
    Pairs,
    /// Each key counts: `DEL`, `UNLINK`, `EXISTS`, `TOUCH`.
    Counts,
}

impl Split {
    /// How this command is split; `None` if it cannot be.
    pub fn of(name: &str) -> Option<Split> {
        match name {
            "MGET" => Some(Split::Values),
            "MSET" => Some(Split::Pairs),
            "DEL" | "UNLINK" | "EXISTS" | "TOUCH" => Some(Split::Counts),
            _ => None,
        }
    }

    /// The reply to the whole. `places` says where among the words the keys of the parts stand, one part after the other.
    pub fn merge(self, replies: impl Iterator<Item = Value>, places: impl ExactSizeIterator<Item = usize>) -> Value {
        match self {
            Split::Counts => Merge::Sum.of_replies(replies.collect()),
            Split::Pairs => Merge::First.of_replies(replies.collect()),
            Split::Values => {
                let mut placed = vec![Value::Nil; places.len()];
                for (place, value) in places.zip(replies.flat_map(elements)) {
                    placed[place] = value;
                }
                Value::Array(placed)
            }
        }
    }
}

impl Client {
    /// Runs the command in the desk's frame on every shard.
    pub(super) fn run_everywhere(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        merge: Merge,
        sink: &mut dyn Sink,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let mut replies = Vec::new();
        for place in 0..self.map().map_or(0, |map| map.shards().len()) {
            let mut reply = ValueSink::default();
            let result = self.run_on(place, desk, command, &mut reply, until, Deadline::NEVER);
            desk.frame.dismount();
            if let Err(failure) = result {
                return Err(self.failed_halfway(desk, command, until, replies.len(), failure));
            }
            replies.extend(reply.take());
        }
        self.hand_out(merge.of_replies(replies), sink);
        Ok(())
    }

    /// The failure of a command that was to be done by all, after so many had done it.
    fn failed_halfway(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        until: Deadline,
        done: usize,
        mut failure: Box<Failure>,
    ) -> Box<Failure> {
        if matches!(failure.kind, Kind::Connection | Kind::Timeout(_)) {
            // For the next one: the node may be none of the cluster's any more.
            let _ = self.renew_map(desk, until, None, PATIENCE);
        }
        if done > 0 && may_write(command) && !failure.is_outcome_unknown() {
            failure.kind = Kind::LostReply;
            failure.message += &format!("; {done} of the cluster's nodes had done it before");
        }
        failure
    }

    /// Runs the command in the desk's frame part by part, each at the shard of its keys.
    pub(super) fn run_split(&mut self, desk: &mut Desk, split: Split, sink: &mut dyn Sink) -> Result<(), Box<Failure>> {
        let mut batch = Batch::default();
        let pieces = Pieces::of(split, &desk.frame.words(), |frame, row| batch.push(frame, row, Shape::Plain))?;
        let mut collected = Collected::default();
        let result = self.run_routed_batch(desk, &batch, &mut collected);
        let replies = collected.into_values();
        result?;
        if let Some(text) = replies.iter().find_map(|reply| reply.as_ref().err()) {
            return Err(Failure::refused(&batch.name(0), &self.configuration.endpoints[0].address, text));
        }
        self.hand_out(pieces.merge(replies.into_iter().filter_map(Result::ok)), sink);
        Ok(())
    }

    /// Gives a reply that was put together to the caller. It stands in the object meanwhile, since the sink may leave by a
    /// jump.
    pub(super) fn hand_out(&mut self, reply: Value, sink: &mut dyn Sink) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            let merged = cluster.work.merged.insert(reply);
            hand_on(merged, sink);
            cluster.work.merged = None;
        }
    }
}
