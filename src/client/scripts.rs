//! Scripts: asked for by their digest, and by their text where a server does not have them.
//!
//! A single command is sent by its digest; if the server does not know that, the same call goes on with the text. In a
//! batch nobody could step in between: so the first use of a script carries its text, the others rely on it. What is
//! continued on another connection brings the scripts that its settled part had brought.

use std::collections::HashMap;

use crate::command::{self, Command, Shape};
use crate::connection::Received;
use crate::resp::{Frame, words_of};
use crate::time::Deadline;

use super::batch::Batch;
use super::call::Call;
use super::desk::{Desk, Manner};
use super::failure::Failure;
use super::state::Client;

/// The digests of the scripts that this thread has seen, since a digest costs more than to look it up.
#[derive(Debug, Default)]
pub struct Digests(HashMap<Box<[u8]>, String>);

/// So many scripts are remembered. Who makes up new ones all the time has none worth remembering.
const MOST_DIGESTS: usize = 1000;

impl Digests {
    /// The SHA-1 of a script's text, as hexadecimal digits.
    pub fn of(&mut self, text: &[u8]) -> &str {
        if !self.0.contains_key(text) {
            if self.0.len() >= MOST_DIGESTS {
                self.0.clear();
            }
            self.0.insert(text.into(), sha1_smol::Sha1::from(text).digest().to_string());
        }
        &self.0[text]
    }
}

/// A script that the batch brings along.
#[derive(Debug)]
pub struct Brought {
    digest: Box<[u8]>,
    /// The item that carries its text.
    item: usize,
    /// The transaction that this item is in: outside of that, nothing says that it was executed.
    within: Option<usize>,
}

impl Batch {
    /// Adds a script that stands in the frame by its digest (`EVALSHA digest numkeys ...`).
    ///
    /// # Errors
    /// As for [`Batch::push`].
    pub fn push_script(&mut self, frame: &mut Frame, text: &[u8], shape: Shape) -> Result<(), Box<Failure>> {
        let words = frame.words();
        let digest: Box<[u8]> = words.get(1).copied().unwrap_or_default().into();
        let sound = counts_its_keys(&words);
        let within = self.transaction();
        let known = self.scripts.iter().filter(|script| script.item >= self.flushed && script.within == within);
        let has = known.into_iter().any(|script| script.digest == digest);
        if !has {
            spell_out(frame, text);
        }
        let item = self.len();
        self.push(frame, command::find(frame.words()[0]), shape)?;
        // A call that the server refuses before it looks at the text brings nothing.
        if !has && sound {
            self.scripts.push(Brought { digest, item, within });
        }
        Ok(())
    }

    /// Adds a call of a script that another batch has: with its text, if nothing in this one has brought it, since the
    /// two may go to different servers. False if the item is none.
    pub(super) fn take_over_script(&mut self, other: &Batch, index: usize) -> bool {
        let words = words_of(other.encoded(index));
        let brings = other.scripts.iter().find(|script| script.item == index);
        let called = || {
            let digest = *words.get(1).filter(|_| words[0].to_ascii_uppercase().starts_with(b"EVALSHA"))?;
            other.scripts.iter().find(|script| *script.digest == *digest && script.item < index)
        };
        let Some(script) = brings.or_else(called) else { return false };
        let Some(text) = words_of(other.encoded(script.item)).get(1).map(|text| text.to_vec()) else { return false };
        let by_digest: &[u8] = if words[0].to_ascii_uppercase().ends_with(b"_RO") { b"EVALSHA_RO" } else { b"EVALSHA" };
        let mut frame = Frame::default();
        frame.begin();
        frame.word(by_digest);
        frame.word(&script.digest);
        words.iter().skip(2).for_each(|word| frame.word(word));
        frame.end();
        self.push_script(&mut frame, &text, other.shape(index)).is_ok()
    }

    /// The texts that the items before this one brought, for those behind it.
    fn brought_before(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let from = if self.flushed < index { self.flushed } else { 0 };
        let outside =
            self.scripts.iter().filter(move |script| script.within.is_none() && (from..index).contains(&script.item));
        outside.filter_map(|script| words_of(self.encoded(script.item)).get(1).copied())
    }
}

/// Whether a server gets as far as the script: as many keys as are announced must be there.
fn counts_its_keys(words: &[&[u8]]) -> bool {
    let count = words.get(2).and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
    count.is_some_and(|count| count <= words.len() - 3)
}

/// Makes a script that is called by its digest one that is called by its text.
fn spell_out(frame: &mut Frame, text: &[u8]) {
    let words: Vec<Vec<u8>> = frame.words().into_iter().map(<[u8]>::to_vec).collect();
    let by_text: &[u8] = if words[0].eq_ignore_ascii_case(b"EVALSHA_RO") { b"EVAL_RO" } else { b"EVAL" };
    frame.begin();
    frame.word(by_text);
    frame.word(text);
    words.iter().skip(2).for_each(|word| frame.word(word));
    frame.end();
}

impl Client {
    /// Takes the text of the script that stands in the desk's frame by its digest, and that is run next. Gives the row of
    /// the command. What is run after that has to be another's: [`Desk::end_manner`].
    #[cold]
    pub fn take_script(&mut self, desk: &mut Desk, text: &[u8]) -> Option<&'static Command> {
        if desk.is_littered() {
            desk.sweep();
        }
        if self.pins.multi {
            // What is queued cannot be asked for a second time.
            spell_out(&mut desk.frame, text);
        } else {
            desk.manner = Manner::Script(text.into());
        }
        command::find(desk.frame.words()[0])
    }

    /// Whether the server has said that it does not know the script, whose text is at hand: then the text is what the
    /// frame holds now. The connection stays on the desk.
    #[cold]
    pub(super) fn spells_out(&mut self, desk: &mut Desk, call: &mut Call) -> bool {
        let unknown = desk.lease.as_ref().is_some_and(|lease| lease.connection.error_text().starts_with(b"NOSCRIPT"));
        let Manner::Script(text) = &mut desk.manner else { return false };
        if !unknown {
            return false;
        }
        let text = std::mem::take(text);
        desk.manner = Manner::Usual;
        let waits = call.riders.waits();
        if call.riders.any() {
            self.hear(desk, call);
        }
        desk.frame.dismount();
        spell_out(&mut desk.frame, &text);
        call.command = command::find(desk.frame.words()[0]);
        self.saddle_again(desk, call, waits);
        true
    }

    /// Has the server on the desk learn the scripts that the settled part of the batch has brought elsewhere. If it does
    /// not want to, it says so again when they are called.
    #[cold]
    pub(super) fn bring_scripts(&mut self, desk: &mut Desk, call: &Call, batch: &Batch) {
        let until = Deadline::after(self.world.clock.now(), Some(self.configuration.policy.timeout)).min(call.deadline);
        for text in batch.brought_before(desk.course.done) {
            let words = [&b"SCRIPT"[..], b"LOAD", text];
            let answer = desk.lease.as_mut().and_then(|lease| self.ask_aside(&mut lease.connection, &words, until));
            if !matches!(answer, Some(Received::Value | Received::Error)) {
                desk.lease = None;
                return;
            }
        }
    }
}
