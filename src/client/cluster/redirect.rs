//! Going where a node says that a command belongs.

use crate::command::{Command, Shape, key_positions};
use crate::config::NodeAddress;
use crate::failover::is_script;
use crate::resp::{Aggregate, Sink, Space, Unfit, ValueSink, frame_of};
use crate::time::Deadline;
use crate::topology::{Redirect, Speaker};

use super::super::batch::{Batch, Replies};
use super::super::desk::{Desk, Manner};
use super::super::failure::{Failure, Kind};
use super::super::state::Client;
use super::super::telling::adopt_events;

/// Where a failure says that the command belongs; `None` if it says something else.
pub fn of(failure: &Failure, asked: &Speaker) -> Option<Redirect> {
    match &failure.kind {
        Kind::Server(kind) if kind == "MOVED" || kind == "ASK" => Redirect::read(&failure.message, asked),
        _ => None,
    }
}

impl Client {
    /// Where a shard says that a command belongs. A node of a ring knows nothing of the others.
    pub(super) fn redirect_of(&self, failure: &Failure, place: usize) -> Option<Redirect> {
        if self.is_ring() { None } else { of(failure, &self.deployment.key().speaker(self.address_of(place))) }
    }

    /// Whether a redirect is the server's word. A script can say anything after having written: so the node is asked for
    /// one of its keys, and has to send that elsewhere, too, or must have lost its part meanwhile.
    pub(super) fn is_meant(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        place: usize,
        epoch: u64,
        until: Deadline,
    ) -> bool {
        let Some(row) = command.filter(|row| is_script(row.name)) else { return true };
        let words = desk.frame.words();
        let Some(key) = key_positions(row, &words).first().map(|place| words[*place].to_vec()) else { return false };
        self.sends_away(desk, &key, place, epoch, until)
    }

    /// Whether a shard sends a key elsewhere, or has another primary since `epoch`.
    pub(super) fn sends_away(
        &mut self,
        desk: &mut Desk,
        key: &[u8],
        place: usize,
        epoch: u64,
        until: Deadline,
    ) -> bool {
        let asked = self.deployment.key().speaker(self.address_of(place));
        let (row, mut sink) = (crate::command::find(b"EXISTS"), ValueSink::default());
        let result =
            desk.asking(&[b"EXISTS", key], |desk| self.run_on(place, desk, row, &mut sink, until, Deadline::NEVER));
        self.shard(place).deployment.epoch() != epoch || result.is_err_and(|failure| of(&failure, &asked).is_some())
    }

    /// Runs a command at a node that takes over its slot: with `ASKING`, in the same write.
    pub(super) fn run_as_guest(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        node: &NodeAddress,
        sink: &mut dyn Sink,
        until: Deadline,
    ) -> Result<(), Box<Failure>> {
        self.invite(node, until)?;
        let Some(cluster) = self.cluster.as_deref_mut() else { return Ok(()) };
        let batch = &mut cluster.work.asking;
        batch.clear();
        batch.push_asking();
        // What rode behind the command was for the node that turned it away.
        desk.frame.dismount();
        match &desk.manner {
            // Nobody could step in between if that node does not know it.
            Manner::Script(text) => batch.push_script(&mut desk.frame, text, Shape::Plain)?,
            _ => batch.push(&desk.frame, command, Shape::Plain)?,
        }
        let Some(guest) = cluster.guest.as_deref_mut() else { return Ok(()) };
        let mut second = Second { sink, counts: false, refused: None };
        let result = guest.run_batch_alone(desk, batch, &mut second);
        adopt_events(&mut self.events, guest);
        let refused = second.refused.take();
        // What is tried next is the command alone.
        desk.frame.load(batch.encoded(1));
        if let Err(failure) = result {
            // Where the command goes is found out anew, if it was surely not applied.
            let left = desk.left.take().filter(|_| failure.kind == Kind::Credentials);
            let in_doubt = left.and_then(|left| left.in_doubt(&desk.frame, guest.now()));
            return Err(in_doubt.unwrap_or(failure));
        }
        match refused {
            None => Ok(()),
            Some(text) => Err(Failure::refused(&batch.name(1), node, &text)),
        }
    }

    /// Lets a redirect lead to a node only if that may be used at all: whoever is dialled is told a password.
    pub(super) fn may_lead_to(&self, node: &NodeAddress) -> Result<(), Box<Failure>> {
        if self.deployment.key().admits(node) {
            return Ok(());
        }
        let text =
            format!("the cluster leads to {node}, which the option allowed_nodes does not admit: it was not applied");
        Err(Box::new(Failure::misuse("", text)))
    }

    /// Makes the client of a node that a redirect leads to.
    pub(super) fn invite(&mut self, node: &NodeAddress, until: Deadline) -> Result<(), Box<Failure>> {
        self.may_lead_to(node)?;
        let is_there = |guest: &Client| guest.configuration.endpoints[0].address == *node;
        let known = self.cluster.as_ref().and_then(|cluster| cluster.guest.as_deref()).is_some_and(is_there);
        let made = (!known).then(|| {
            let mut guest = Box::new(self.at_node(node, false));
            // It is the primary of a shard: what it does has to be acknowledged as everywhere.
            guest.configuration.policy.min_replicas = self.configuration.policy.min_replicas;
            guest
        });
        if let Some(cluster) = self.cluster.as_deref_mut() {
            if made.is_some() {
                cluster.guest = made;
            }
            if let Some(guest) = cluster.guest.as_deref_mut() {
                guest.bound_by(until, Deadline::NEVER);
            }
        }
        Ok(())
    }
}

impl Batch {
    /// Adds an ASKING, which lets the next command in. That it is sent again does no harm.
    pub(super) fn push_asking(&mut self) {
        let pushed = self.push(&frame_of(&["ASKING"]), crate::command::find(b"PING"), Shape::Plain);
        debug_assert!(pushed.is_ok());
    }
}

/// Passes on the reply to the second of two commands.
struct Second<'a> {
    sink: &'a mut dyn Sink,
    counts: bool,
    refused: Option<String>,
}

impl Replies for Second<'_> {
    fn expect(&mut self, index: usize) {
        self.counts = index == 1;
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        if index == 1 {
            self.sink.reset();
            self.refused = Some(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn rewind(&mut self, _: usize) {
        self.refused = None;
        self.sink.reset();
    }

    fn forget(&mut self, _: usize) {
        self.sink.reset();
    }
}

/// Passes everything on to an inner sink while a condition holds; otherwise to another one, if there is one.
macro_rules! pass_on {
    ($type:ty, $inner:ident; |$this:ident| $condition:expr $(; else $other:ident)?) => {
        impl Sink for $type {
            fn reset(&mut self) {
                self.$inner.reset();
                $(self.$other.reset();)?
            }
            fn refusal(&self) -> Option<Unfit> {
                self.$inner.refusal()
            }
            pass_on!(@all $inner, [$($other)?], |$this| $condition;
                nil(), integer(value: i64), double(value: f64), boolean(value: bool), status(text: &[u8]), bulk(bytes: &[u8]),
                big_number(digits: &[u8]), error(text: &[u8]), begin(kind: Aggregate, length: usize), end(), begin_bulk(length: usize),
                append(bytes: &[u8]), filled(count: usize), end_bulk());
            fn space(&mut self) -> Space<'_> {
                $(
                    let $this = &*self;
                    if !$condition {
                        return self.$other.space();
                    }
                )?
                self.$inner.space()
            }
        }
    };
    (@all $inner:ident, $other:tt, |$this:ident| $condition:expr; $($name:ident($($argument:ident: $kind:ty),*)),*) => {
        $(fn $name(&mut self, $($argument: $kind),*) {
            let $this = &*self;
            if $condition {
                self.$inner.$name($($argument),*);
            } else {
                pass_on!(@other self, $other, $name($($argument),*));
            }
        })*
    };
    (@other $self:ident, [], $name:ident($($argument:ident),*)) => {
        { $(let _ = $argument;)* }
    };
    (@other $self:ident, [$other:ident], $name:ident($($argument:ident),*)) => {
        $self.$other.$name($($argument),*);
    };
}
pub(super) use pass_on;

pass_on!(Second<'_>, sink; |this| this.counts);
