//! Commands that change the connection they run on: what they change is followed, and never leaks (P4, P6).

use crate::command::Effect;
use crate::config::{Password, Secret};
use crate::connection::{Identity, Received};
use crate::failover::{Cause, Lost, Phase};
use crate::pool::Lease;
use crate::resp::Sink;

use super::call::Call;
use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::state::{Client, Pins};

impl Client {
    /// Runs a command that has an effect on its connection, or any command while a connection is pinned.
    #[cold]
    pub(super) fn run_with_state<S: Sink>(
        &mut self,
        desk: &mut Desk,
        call: &mut Call,
        effect: Effect,
        sink: &mut S,
    ) -> Result<(), Box<Failure>> {
        let name = call.name(&desk.frame);
        match effect {
            Effect::Refused if !self.hears(&name) => {
                let text =
                    format!("{name} cannot be sent as a plain command: it would take its connection out of step");
                return Err(Box::new(Failure::misuse(&name, text)));
            }
            Effect::Quit => {
                self.disconnect(desk);
                sink.status(b"OK");
                return Ok(());
            }
            // The server would refuse it, and whether the transaction is then over depends on why.
            Effect::Multi | Effect::Exec | Effect::Discard if desk.frame.len() > 1 => {
                return Err(Box::new(Failure::misuse(&name, format!("{name} takes no arguments"))));
            }
            // Its effect would come with EXEC, or not at all.
            Effect::Select | Effect::Auth | Effect::Pin if self.pins.multi => {
                let text = format!("{name} is not possible between MULTI and EXEC");
                return Err(Box::new(Failure::misuse(&name, text)));
            }
            _ => {}
        }
        if self.hearing.is_some() {
            return self.run_hearing(desk, call, effect, sink);
        }
        if self.pins.any() {
            self.run_pinned(desk, call, sink)?;
        } else {
            let moves = self.prepare_move(desk, effect);
            let result = self.attempt_until_done(desk, call, sink);
            if moves && result.is_err() {
                // The pool of an identity that we did not get.
                self.primary = None;
            }
            result?;
        }
        self.follow(desk, effect);
        self.settle(desk);
        Ok(())
    }

    /// Before a change of identity: where a connection that speaks for the new one is idle, it is the one to be asked.
    /// Otherwise each object that selects a database would move one more connection there, and the next one would have to
    /// open another for the first database. True if there is one.
    fn prepare_move(&mut self, desk: &Desk, effect: Effect) -> bool {
        let Some(identity) = self.identity_after(desk, effect) else { return false };
        let knowledge = self.deployment.knowledge();
        let Some(node) = knowledge.primary() else { return false };
        let pool = self.world.registry.pool(node, &identity);
        let waits = pool.status().idle > 0;
        if waits {
            self.primary = Some((knowledge.epoch(), pool));
        }
        waits
    }

    /// Who we are after SELECT or AUTH.
    fn identity_after(&self, desk: &Desk, effect: Effect) -> Option<Identity> {
        let words = desk.frame.words();
        let mut identity = self.identity.clone();
        match effect {
            Effect::Select => {
                identity.database = words.get(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok())?;
            }
            Effect::Auth => {
                let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
                let (password, rest) = words[1..].split_last()?;
                identity.credentials.username = rest.first().map(|user| text(user));
                identity.credentials.password = Password::known(Secret::new(text(password)));
            }
            _ => return None,
        }
        Some(identity)
    }

    /// One try on the pinned connection. Its loss is never repaired by sending one command again elsewhere.
    fn run_pinned<S: Sink>(&mut self, desk: &mut Desk, call: &mut Call, sink: &mut S) -> Result<(), Box<Failure>> {
        call.retry.begin();
        let mut result = match Lease::still_ours(self.pinned.take()) {
            Ok(lease) => {
                desk.lease = Some(lease);
                self.exchange(desk, call, sink)
            }
            Err(reason) => Err(Lost::before(Phase::Lease, Cause::Io(reason.to_owned()))),
        };
        if matches!(result, Ok(Received::Error)) && desk.has_manner() && self.spells_out(desk, call) {
            sink.reset();
            result = self.exchange(desk, call, sink);
        }
        let now = self.world.clock.now();
        if !matches!(result, Ok(Received::Value)) {
            call.note_node(desk.lease.as_ref());
        }
        let text = match result {
            Ok(Received::Error) => {
                desk.lease.as_ref().map_or_else(Vec::new, |lease| lease.connection.error_text().to_vec())
            }
            _ => Vec::new(),
        };
        if call.riders.any() && result.is_ok() {
            self.hear(desk, call);
        }
        match result {
            Ok(Received::Value) => Ok(()),
            Ok(_) => {
                if matches!(call.command, Some(command) if command.effect == Effect::Exec) {
                    // Refused or aborted: either way the transaction and its watches are over.
                    self.pins = Pins { multi: false, watch: false, ..self.pins };
                    if !text.starts_with(b"EXECABORT") {
                        // The server may still be queueing.
                        desk.lease = None;
                    }
                }
                self.settle(desk);
                Err(call.refused(&desk.frame, &String::from_utf8_lossy(&text), now))
            }
            Err(lost) => {
                desk.lease = None;
                let pins = std::mem::take(&mut self.pins);
                Err(self.lost_pinned(desk, call, &lost, pins))
            }
        }
    }

    fn lost_pinned(&self, desk: &Desk, call: &mut Call, lost: &Lost, pins: Pins) -> Box<Failure> {
        let now = self.world.clock.now();
        let is_exec = matches!(call.command, Some(command) if command.effect == Effect::Exec);
        let hazard = call.hazard(&desk.frame);
        // What was only queued was not applied: only EXEC applies it.
        let applied = if pins.multi { is_exec } else { hazard.rank != crate::command::Rank::Read };
        let mut failure = call.fail(&desk.frame, lost, lost.sent && applied, now);
        if failure.is_outcome_unknown() {
            self.count_unknown();
        } else if pins.watch {
            failure.kind = Kind::AbortedTransaction;
            failure.message = format!("the connection that watched the keys was lost: {}", failure.message);
        }
        failure
    }

    /// Follows what a command changed, now that it was answered well.
    pub(super) fn follow(&mut self, desk: &mut Desk, effect: Effect) {
        match effect {
            Effect::Multi => self.pins.multi = true,
            Effect::Watch => {
                self.watches += u64::from(!self.pins.watch);
                self.pins.watch = true;
            }
            Effect::Unwatch if !self.pins.multi => self.pins.watch = false,
            Effect::Exec | Effect::Discard => self.pins = Pins { multi: false, watch: false, ..self.pins },
            Effect::Pin => self.pins.state = true,
            Effect::Select | Effect::Auth => {
                if let Some(identity) = self.identity_after(desk, effect) {
                    self.identity = identity;
                }
                self.change_identity(desk);
            }
            Effect::None | Effect::Unwatch | Effect::Quit | Effect::Refused => {}
        }
    }

    /// The connection on the desk speaks for our new identity: it goes to that one's pool.
    fn change_identity(&mut self, desk: &mut Desk) {
        if let Some(lease) = desk.lease.as_mut() {
            let pool = self.world.registry.pool(lease.connection.node(), &self.identity);
            lease.move_to(&pool);
        }
        self.forget_change();
        // The pool of the former identity is not ours any more.
        self.primary = None;
        self.forget_list();
    }

    /// Pins what is on the desk, or gives it back.
    pub(super) fn settle(&mut self, desk: &mut Desk) {
        if self.pins.any() {
            self.pinned = desk.lease.take();
        } else {
            self.put_back(desk);
        }
    }
}
