//! Commands that concern several shards: sent to all of them, or split by the slots of their keys.

use redis::Value;

use crate::command::{Command, Shape, may_write};
use crate::config::NodeAddress;
use crate::resp::{Sink, hand_on};
use crate::time::Deadline;

use super::super::batch::Batch;
use super::super::desk::Desk;
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::Detour;
use super::map::{PATIENCE, unserved};
use super::parts::{Collected, Left, Part};
use super::pieces::Pieces;

/// What the replies of all shards come to. (The commands' tips on requests and replies, as `COMMAND` has them.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their sum.
    Sum,
    /// The smallest; of lists, of each place.
    Least,
    /// One after the other in one list.
    Joined,
    /// True of each place where it is true of all.
    All,
    /// The first: they are alike.
    First,
    /// The first that is something.
    Any,
    /// The first: one node is enough.
    One,
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
            "WAIT" | "WAITAOF" => Some(Merge::Least),
            "KEYS" => Some(Merge::Joined),
            "FLUSHALL" | "FLUSHDB" => Some(Merge::First),
            "RANDOMKEY" => Some(Merge::Any),
            "SCRIPT" => by_word(&[
                ("LOAD", Merge::First),
                ("FLUSH", Merge::First),
                ("EXISTS", Merge::All),
                ("KILL", Merge::One),
            ]),
            "FUNCTION" => by_word(&[
                ("LOAD", Merge::First),
                ("DELETE", Merge::First),
                ("FLUSH", Merge::First),
                ("RESTORE", Merge::First),
                ("KILL", Merge::One),
            ]),
            "CONFIG" => by_word(&[("SET", Merge::First), ("RESETSTAT", Merge::First), ("REWRITE", Merge::First)]),
            "SLOWLOG" => by_word(&[("GET", Merge::Joined), ("LEN", Merge::Sum), ("RESET", Merge::First)]),
            "LATENCY" => by_word(&[("RESET", Merge::First)]),
            "MEMORY" => by_word(&[("PURGE", Merge::First)]),
            _ => None,
        }
    }

    pub(super) fn of_replies(self, replies: Vec<Value>) -> Value {
        let integers =
            || replies.iter().filter_map(|reply| if let Value::Int(number) = reply { Some(*number) } else { None });
        match self {
            // Of what a node claims nothing is too large.
            Merge::Sum => Value::Int(integers().fold(0, i64::saturating_add)),
            Merge::Least if matches!(replies.first(), Some(Value::Array(_))) => {
                let least = |(one, other): (Value, Value)| match (one, other) {
                    (Value::Int(one), Value::Int(other)) => Value::Int(one.min(other)),
                    (one, _) => one,
                };
                Value::Array(each_place(replies, least))
            }
            Merge::Least => Value::Int(integers().min().unwrap_or(0)),
            Merge::Joined => Value::Array(replies.into_iter().flat_map(elements).collect()),
            Merge::All => {
                let both = |(one, other): (Value, Value)| if one == Value::Int(0) { one } else { other };
                Value::Array(each_place(replies, both))
            }
            Merge::First | Merge::One => replies.into_iter().next().unwrap_or(Value::Nil),
            Merge::Any => replies.into_iter().find(|reply| *reply != Value::Nil).unwrap_or(Value::Nil),
        }
    }
}

/// Lists as one: what stands at the same place is made one.
fn each_place(lists: Vec<Value>, one_of: impl Fn((Value, Value)) -> Value) -> Vec<Value> {
    let lists = lists.into_iter().map(elements);
    lists.reduce(|all, list| all.into_iter().zip(list).map(&one_of).collect()).unwrap_or_default()
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

    /// The reply to the whole. `places` says where among the words the keys of each part stand.
    ///
    /// # Errors
    /// The number of a part that has another number of values than keys: whose they are cannot be told.
    pub fn merge<'a>(
        self,
        replies: impl Iterator<Item = Value>,
        places: impl Iterator<Item = &'a [(u16, usize)]>,
    ) -> Result<Value, usize> {
        Ok(match self {
            Split::Counts => Merge::Sum.of_replies(replies.collect()),
            Split::Pairs => Merge::First.of_replies(replies.collect()),
            Split::Values => {
                let mut placed: Vec<(usize, Value)> = Vec::new();
                for (number, (places, reply)) in places.zip(replies).enumerate() {
                    let values = elements(reply);
                    if values.len() != places.len() {
                        return Err(number);
                    }
                    placed.extend(places.iter().map(|(_, at)| *at).zip(values));
                }
                placed.sort_unstable_by_key(|(at, _)| *at);
                Value::Array(placed.into_iter().map(|(_, value)| value).collect())
            }
        })
    }
}

/// What is said of a node that gives more or fewer values than it was asked for.
pub const ODD_NUMBER: &str = "a node has given another number of values than it was asked for";

/// What one node answers.
type Answer = Result<Value, Box<Failure>>;

/// What the replies of all nodes come to; a failure says which nodes have done it, if that is not all the same.
fn settle(merge: Merge, writes: bool, results: Vec<(NodeAddress, Answer)>) -> Answer {
    if results.iter().all(|(_, result)| result.is_ok())
        || merge == Merge::One && results.iter().any(|(_, result)| result.is_ok())
    {
        return Ok(merge.of_replies(results.into_iter().filter_map(|(_, result)| result.ok()).collect()));
    }
    let told = if writes { told_by_node(&results) } else { None };
    // What is in doubt is told first; of those that kill a script, that of the node that runs one.
    let weight = |failure: &Failure| match &failure.kind {
        _ if failure.is_outcome_unknown() => 0,
        Kind::Server(kind) if kind == "NOTBUSY" => 2,
        _ => 1,
    };
    let failures = results.into_iter().filter_map(|(_, result)| result.err());
    let Some(mut failure) = failures.min_by_key(|failure| weight(failure)) else { return Ok(Value::Nil) };
    if let Some(told) = told {
        if !failure.is_outcome_unknown() {
            failure.kind = Kind::LostReply;
        }
        failure.message += &told;
    }
    Err(failure)
}

/// Which nodes have done a command that was for all, if some have and some have not.
fn told_by_node(results: &[(NodeAddress, Answer)]) -> Option<String> {
    let list = |wanted: &dyn Fn(&Answer) -> bool| {
        let nodes = results.iter().filter(|(_, result)| wanted(result)).map(|(node, _)| node.to_string());
        nodes.collect::<Vec<_>>().join(", ")
    };
    let in_doubt = |result: &Answer| matches!(result, Err(failure) if failure.is_outcome_unknown());
    let done = list(&Result::is_ok);
    if done.is_empty() {
        return None;
    }
    let parts =
        [("done", done), ("not done", list(&|one| one.is_err() && !in_doubt(one))), ("in doubt", list(&in_doubt))];
    let parts = parts.iter().filter(|(_, nodes)| !nodes.is_empty()).map(|(what, nodes)| format!("{what} at {nodes}"));
    Some(format!("; of the cluster's nodes it is {}", parts.collect::<Vec<_>>().join(", ")))
}

impl Client {
    /// Runs the command in the desk's frame on every shard: all are sent it before the first is waited for.
    pub(super) fn run_everywhere(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        merge: Merge,
        sink: &mut dyn Sink,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let mut former = self.left().and_then(|left| left.everywhere.take());
        if former.is_some() && !self.is_divided_still(desk)? {
            former = None;
        }
        let known = self.map().map_or(0, |map| map.shards().len());
        let shards = former.as_ref().map_or(known, |(_, failures)| failures.len());
        let (mut whole, mut parts) = (Batch::default(), Vec::new());
        for place in 0..shards {
            let mut part = Part { place, items: vec![Some(place)], ..Part::default() };
            part.batch.push(&desk.frame, command, Shape::Plain)?;
            whole.push(&desk.frame, command, Shape::Plain)?;
            parts.push(part);
        }
        let work = &mut self.cluster.get_or_insert_default().work;
        let is_left =
            |failure: &Option<Box<Failure>>| failure.as_ref().is_some_and(|failure| failure.kind == Kind::Credentials);
        let (mut collected, mut failures, mut left): (_, Vec<Option<Box<Failure>>>, Vec<usize>);
        if let Some(former) = former {
            (collected, failures) = former;
            left = (0..shards).filter(|place| is_left(&failures[*place])).collect();
        } else {
            work.progress.begin(shards);
            work.parts = parts;
            (collected, failures) = (Collected::default(), vec![None; shards]);
            left = (0..shards).collect();
            self.send_ahead(desk);
        }
        // One that cannot be reached does not take the time of the others: it is tried to the end when they are done.
        for detour in [Detour::default(), Detour::renewed()] {
            while let Some(place) = self.next_part(desk, &mut left, until) {
                failures[place] = self.run_part(desk, place, &whole, &mut collected, &detour, until).err();
            }
            let again = |failure: &Failure| matches!(failure.kind, Kind::Connection | Kind::Timeout(_));
            left = (0..shards).filter(|place| failures[*place].as_deref().is_some_and(again)).collect();
            if until.passed(self.now()) {
                break;
            }
        }
        if self.is_pinned() {
            self.note_pin();
        }
        if let Some(failure) = failures.iter().find(|failure| is_left(failure)).cloned().flatten() {
            let cluster = self.cluster.get_or_insert_default();
            cluster.work.left.everywhere = Some((collected, failures));
            cluster.work.left.edition = cluster.edition;
            return Err(failure);
        }
        let mut said = collected.into_values();
        said.resize_with(shards, || Ok(Value::Nil));
        let name = if shards > 0 { whole.name(0) } else { String::new() };
        let results = said.into_iter().zip(failures).enumerate().map(|(place, (said, failure))| {
            let node = self.address_of(place);
            let refused = |text: String| Failure::refused(&name, &node, &text);
            let result = failure.map_or_else(|| said.map_err(refused), Err);
            (node.clone(), result)
        });
        match settle(merge, may_write(command), results.collect()) {
            Ok(reply) => {
                self.hand_out(reply, sink);
                Ok(())
            }
            Err(failure) => {
                if matches!(failure.kind, Kind::Connection | Kind::Timeout(_)) {
                    // For the next one: the node may be none of the cluster's any more.
                    let _ = self.renew_map(desk, until, None, PATIENCE);
                }
                Err(failure)
            }
        }
    }

    /// What was left the last time.
    fn left(&mut self) -> Option<&mut Left> {
        self.cluster.as_deref_mut().map(|cluster| &mut cluster.work.left)
    }

    /// Runs the command in the desk's frame part by part, each at the shard of its keys.
    pub(super) fn run_split(
        &mut self,
        desk: &mut Desk,
        split: Split,
        sink: &mut dyn Sink,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let mut batch = Batch::default();
        let Some(map) = self.map().cloned() else { return Err(unserved(None, "")) };
        let pieces = Pieces::of(&map, split, &desk.frame.words(), |frame, row| batch.push(frame, row, Shape::Plain))?;
        let mut collected = self.left().and_then(|left| left.collected.take()).unwrap_or_default();
        let frame = std::mem::take(&mut desk.frame);
        let result = self.run_routed_batch(desk, &batch, &mut collected, until);
        // What was left is split in the same way again.
        desk.frame = frame;
        if matches!(&result, Err(failure) if failure.kind == Kind::Credentials) {
            self.left().into_iter().for_each(|left| left.collected = Some(std::mem::take(&mut collected)));
        }
        let replies = collected.into_values();
        result?;
        let refused = replies.iter().enumerate().find_map(|(item, reply)| Some((item, reply.as_ref().err()?)));
        if let Some((item, text)) = refused {
            let known = self.cluster.as_ref().and_then(|cluster| cluster.work.progress.who_refused(item));
            let node = known.unwrap_or(&self.configuration.endpoints[0].address);
            return Err(Failure::refused(&batch.name(item), node, text));
        }
        let merged = pieces.merge(replies.into_iter().filter_map(Result::ok)).map_err(|number| {
            let place = self.place_of(map.slots_of(batch.command(number), batch.encoded(number)).one());
            let node = place.map(|place| self.address_of(place).to_string());
            Failure { kind: Kind::Protocol, node, ..Failure::misuse(&batch.name(number), ODD_NUMBER) }
        })?;
        self.hand_out(merged, sink);
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
