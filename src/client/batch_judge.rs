//! What each reply to a batch means for the batch.

use crate::command::{Effect, Rank, Telltale};
use crate::failover::is_script;
use crate::resp::Scalar;

use super::batch::{Batch, Replies};
use super::course::{Help, Refused};
use super::desk::Desk;
use super::state::{Client, Pins};

impl Client {
    /// A reply that is no error has come.
    #[inline]
    pub(super) fn answered(&mut self, desk: &mut Desk, batch: &Batch, index: usize) {
        if desk.course.is_straight() && index >= desk.course.tainted && !batch.has_effects() {
            desk.course.done = index + 1;
        } else {
            self.answered_with_care(desk, batch, index);
        }
    }

    fn answered_with_care(&mut self, desk: &mut Desk, batch: &Batch, index: usize) {
        let (first, last) = desk.course.unit(batch, index);
        let effect = batch.effect(index);
        if !desk.course.is_straight() {
            match effect {
                Effect::Select | Effect::Auth => desk.course.moves.push(index),
                // What is queued is applied by EXEC, unless it says nil.
                _ if first != last && (index != last || scalar(desk) == Scalar::Nil) => {}
                _ => desk.course.overtaken |= desk.course.is_write(batch, index),
            }
            return;
        }
        if index < desk.course.tainted && first == last {
            let reply = match scalar(desk) {
                Scalar::Nil => Telltale::Nil,
                Scalar::Zero => Telltale::Zero,
                Scalar::Other => Telltale::None,
            };
            if reply != Telltale::None && batch.hazard(index).telltale == reply {
                desk.course.doubted.push(index);
            }
        }
        if desk.course.pinned || matches!(effect, Effect::Select | Effect::Auth) {
            self.follow_item(desk, batch, index);
        }
        if index == last {
            desk.course.done = index + 1;
        }
    }

    /// Follows what an item changed on the connection.
    pub(super) fn follow_item(&mut self, desk: &mut Desk, batch: &Batch, index: usize) {
        desk.frame.load(batch.encoded(index));
        self.follow(desk, batch.effect(index));
    }

    /// An error reply has come.
    #[cold]
    pub(super) fn refused<R: Replies>(&mut self, desk: &mut Desk, batch: &Batch, index: usize, replies: &mut R) {
        let text = desk.lease.as_ref().map_or_else(Vec::new, |lease| lease.connection.error_text().to_vec());
        let name = batch.name(index);
        let effect = batch.effect(index);
        if effect == Effect::Multi {
            desk.course.dissolved.push(index);
        }
        desk.course.unclean |= effect == Effect::Exec && !text.starts_with(b"EXECABORT");
        let (first, last) = desk.course.unit(batch, index);
        let help = match Help::against(self.judge(&name, &text)) {
            // A pinned connection is never repaired: the words of the server are the reply.
            _ if desk.course.pinned => None,
            // EXEC speaks of the commands before it.
            None if first != last && index == last && desk.course.refused_since(first) => Some(Help::WithTheRest),
            help => help,
        };
        if let Some(help) = help {
            replies.nil();
            desk.course.refused.push(Refused { index, text, help });
            return;
        }
        if desk.course.pinned && effect == Effect::Exec {
            // Refused or aborted: either way the transaction and its watches are over.
            self.pins = Pins { multi: false, watch: false, ..self.pins };
        }
        if index < desk.course.tainted && desk.course.is_write(batch, index) {
            // The first attempt may have been applied, and that may be why this one was refused.
            desk.course.doubted.push(index);
        }
        replies.refuse(index, &text);
        if !desk.course.is_straight() {
            // A script may fail after it has written.
            desk.course.overtaken |= is_script(&name) && batch.hazard(index).rank != Rank::Read;
        } else if index == last {
            desk.course.done = index + 1;
        }
    }
}

fn scalar(desk: &Desk) -> Scalar {
    desk.lease.as_ref().map_or(Scalar::Other, |lease| lease.connection.last_scalar())
}
