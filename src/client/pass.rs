//! Credentials that the program is asked for: by which callable, when, and what becomes of the command meanwhile.
//!
//! The callable is PHP code, which must not run inside of an exchange (P7), and may use this very client. So a command that
//! has to be let in by it ends, before anything else is done for it, with [`Kind::Credentials`], and what is known of it
//! stands on the desk. Whoever runs it asks the program, presents what it said, and runs the same once more: it goes on
//! where it was.

use crate::aws::{Keys, Source, Tokens};
use crate::config::{Asker, Credentials, NodeAddress, Password, SigningKeys};
use crate::connection::Identity;
use crate::failover::{Cause, Lost, Phase};
use crate::resp::Frame;
use crate::time::{Deadline, Instant};

use super::call::Call;
use super::desk::{Desk, Stage};
use super::failure::{Failure, Kind};
use super::state::Client;

/// What is said to a program that uses a client while it is asked for that client's credentials.
pub const USES_ITSELF: &str =
    "the callable that gives the password uses the client that it is asked for: it needs another one";

/// How often one command has the program asked: the second time, what was said first was wrong or is old.
const MOST_ASKED: u8 = 2;

/// What the program said when it was asked.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// Who we are to nodes that hold data, and to Sentinels; none if that is not asked for, or was not yet.
    nodes: Option<Credentials>,
    sentinels: Option<Credentials>,
    /// Whether it was said for what runs now.
    is_fresh: bool,
    /// How often it was asked for that.
    asked: u8,
    /// Who we were before, and who we are since: the same user, once a server has let in the latter.
    change: Option<Change>,
    /// Whether the program is being asked at this moment, and since when: before the end of the request, or at it.
    being_asked: Option<bool>,
    /// Whether what runs cannot be gone on with: the program is asked ahead of it, and never meanwhile.
    asked_ahead: bool,
}

/// Other words of the same callable for the same user.
#[derive(Clone, Debug)]
struct Change {
    former: Credentials,
    heir: Credentials,
}

/// What the program has to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For nodes that hold data.
    pub nodes: Option<Asker>,
    /// For Sentinels.
    pub sentinels: Option<Asker>,
}

impl Client {
    /// What this client has to ask the program; `None` if nothing.
    pub fn wanted_of_program(&self) -> Option<Wanted> {
        let sentinel = &self.configuration.sentinel;
        let nodes = self.configuration.credentials.password.asker().cloned();
        let sentinels = sentinel.credentials.password.asker().filter(|_| sentinel.declared).cloned();
        (nodes.is_some() || sentinels.is_some()).then_some(Wanted { nodes, sentinels })
    }

    /// Whether the program has to be asked for anything.
    pub fn asks_program(&self) -> bool {
        self.pass.is_some()
    }

    /// Nothing that this client runs can be left and gone on with: whoever has it run asks the program first.
    pub fn be_asked_ahead(&mut self) {
        self.pass.as_deref_mut().into_iter().for_each(|pass| pass.asked_ahead = true);
    }

    /// The program is asked from now on, until [`Client::end_asking`].
    pub fn begin_asking(&mut self, stage: Stage) {
        self.pass.as_deref_mut().into_iter().for_each(|pass| pass.being_asked = Some(stage.at_end));
    }

    /// The program has said something, or thrown it.
    pub fn end_asking(&mut self) {
        self.pass.as_deref_mut().into_iter().for_each(|pass| pass.being_asked = None);
    }

    /// Keeps what the program does meanwhile from what it is asked for, where that stands in this object. What PHP has
    /// ended with the request, a callable and the command that was left for it, is gone.
    ///
    /// # Errors
    /// It is being asked.
    pub(super) fn see_not_asked(&mut self) -> Result<(), Box<Failure>> {
        let Some(at_end) = self.pass.as_deref().and_then(|pass| pass.being_asked) else { return Ok(()) };
        if at_end == (self.world.is_over)() {
            return Err(Box::new(Failure::misuse("", USES_ITSELF)));
        }
        self.end_asking();
        // Whoever could be told of a doubt is gone, too.
        self.forget_parts();
        Ok(())
    }

    /// Who we are, says the program: to nodes with data, and to Sentinels.
    pub fn present(&mut self, nodes: Option<&Credentials>, sentinels: Option<&Credentials>) {
        let by_pass = self.goes_by_pass();
        let Some(pass) = self.pass.as_deref_mut() else { return };
        pass.is_fresh = true;
        pass.asked = pass.asked.saturating_add(1);
        pass.sentinels = sentinels.cloned().or_else(|| pass.sentinels.take());
        if let Some(nodes) = nodes {
            pass.nodes = Some(nodes.clone());
            if by_pass && self.identity.credentials != *nodes {
                let former = std::mem::replace(&mut self.identity.credentials, nodes.clone());
                // Another password of the same user's makes nobody else of us.
                let is_same = !former.are_unknown() && former.username == nodes.username;
                pass.change = is_same.then(|| Change { former, heir: nodes.clone() });
                self.primary = None;
                self.forget_list();
            }
        }
        self.each_of_cluster(|client| client.present(nodes, sentinels));
    }

    /// What was asked for is done: the next time, the program is asked anew.
    pub fn end_of_pass(&mut self) {
        let Some(pass) = self.pass.as_deref_mut() else { return };
        (pass.is_fresh, pass.asked) = (false, 0);
        self.each_of_cluster(Client::end_of_pass);
    }

    /// Who we are without what `AUTH` has changed.
    pub(super) fn own_credentials(&self) -> &Credentials {
        let presented = self.pass.as_ref().and_then(|pass| pass.nodes.as_ref());
        presented.unwrap_or(&self.configuration.credentials)
    }

    /// Who we are to Sentinels.
    pub(super) fn credentials_for_sentinels(&self) -> &Credentials {
        let presented = self.pass.as_ref().and_then(|pass| pass.sentinels.as_ref());
        presented.unwrap_or(&self.configuration.sentinel.credentials)
    }

    /// Has a client that works for this one be let in as this one is.
    pub(super) fn lend_pass(&self, to: &mut Client) {
        if self.pass.is_some() && to.pass.is_some() {
            to.pass.clone_from(&self.pass);
            to.identity.credentials = self.own_credentials().clone();
        }
    }

    /// Sees to it that the program was asked, before a connection is opened.
    ///
    /// # Errors
    /// It has to be asked first.
    #[inline]
    pub(super) fn see_pass(&self) -> Result<(), Lost> {
        if self.pass.is_some() { self.look_at_pass() } else { Ok(()) }
    }

    /// Who we say that we are to a node, where that is another thing than who we are: with a token that is signed now.
    ///
    /// # Errors
    /// There are no keys to sign it with, or the program was not asked.
    pub(super) fn identity_to_say(&self) -> Result<Option<Identity>, Lost> {
        let asks = || Lost::before(Phase::Auth, Cause::Credentials);
        if self.identity.credentials.are_unknown() {
            return Err(asks());
        }
        let Password::Token(signing) = &self.identity.credentials.password else { return Ok(None) };
        let source = match &signing.keys {
            SigningKeys::Told { id, secret, session } => {
                Source::Given(Keys { id: id.clone(), secret: secret.clone(), session: session.clone(), expires: None })
            }
            SigningKeys::Usual => Source::Usual,
            SigningKeys::Asked(_) => return Err(asks()),
        };
        let clock = &*self.world.clock;
        let deadline = Deadline::after(clock.now(), Some(self.configuration.policy.timeout));
        let signed = Tokens::new(signing.iam.clone(), source).token(clock, deadline).map_err(|error| {
            let text = error.to_string();
            let cause = if error.may_pass() { Cause::Io(text) } else { Cause::Denied(text) };
            Lost::before(Phase::Auth, cause)
        })?;
        let credentials = Credentials::of(Some(signed.user), signed.password);
        Ok(Some(Identity { credentials, ..self.identity.clone() }))
    }

    #[cold]
    fn look_at_pass(&self) -> Result<(), Lost> {
        let never_asked = self.identity.credentials.are_unknown();
        // What was said last has to do where nobody can be asked any more.
        let is_old = self.pass.as_ref().is_some_and(|pass| !pass.is_fresh && (!pass.asked_ahead || never_asked));
        let asks_for_nodes = self.goes_by_pass() && self.configuration.credentials.are_unknown();
        let sentinel = &self.configuration.sentinel;
        let asks = asks_for_nodes || (sentinel.declared && sentinel.credentials.are_unknown());
        if is_old && asks { Err(Lost::before(Phase::Auth, Cause::Credentials)) } else { Ok(()) }
    }

    /// Whether what the program says is who we are: not after an `AUTH` of its own.
    fn goes_by_pass(&self) -> bool {
        self.identity.credentials == *self.own_credentials()
    }

    /// If it was for our credentials that nobody has let us in, and they may be newer by now, the program is asked again.
    pub(super) fn reconsider(&mut self, lost: Lost) -> Lost {
        let is_ours = matches!(&lost.cause, Cause::Denied(text) if is_about_credentials(text));
        let Some(pass) =
            self.pass.as_deref_mut().filter(|pass| is_ours && !pass.asked_ahead && pass.asked < MOST_ASKED)
        else {
            return lost;
        };
        let former = std::mem::replace(&mut pass.is_fresh, false);
        match self.see_pass() {
            Err(asks) => asks,
            Ok(()) => {
                if let Some(pass) = self.pass.as_deref_mut() {
                    pass.is_fresh = former;
                }
                lost
            }
        }
    }

    /// A node has let us in: connections that wait there under an earlier password of the same user's and of the same
    /// source are as good. Of other nodes it says nothing, nor of anybody else who we may be meanwhile.
    pub(super) fn let_in(&self, node: &NodeAddress) {
        let Some(change) = self.pass.as_deref().and_then(|pass| pass.change.as_ref()) else { return };
        if self.identity.credentials != change.heir {
            return;
        }
        // In a cluster replicas answer under an identity of their own.
        for reads_replica in [false, true] {
            let identity = Identity { reads_replica, ..self.identity.clone() };
            let former = Identity { credentials: change.former.clone(), ..identity.clone() };
            self.world.registry.succeed(node, &former, &identity);
        }
    }

    /// What the program has said is of no concern any more: it is asked before the next connection is used.
    pub(super) fn forget_pass(&mut self) {
        let Some(pass) = self.pass.as_deref_mut() else { return };
        // Whoever does that while it is asked gets no more tries by it.
        let asked = if pass.being_asked.is_some() { pass.asked } else { 0 };
        *pass = Pass { asked, being_asked: pass.being_asked, asked_ahead: pass.asked_ahead, ..Pass::default() };
    }

    /// Other credentials than those that were asked for are ours now.
    pub(super) fn forget_change(&mut self) {
        self.pass.as_deref_mut().into_iter().for_each(|pass| pass.change = None);
    }

    /// Ends a call for the time in which the program is asked.
    #[cold]
    pub(super) fn leave_to_ask(&self, desk: &mut Desk, call: &mut Call) -> Box<Failure> {
        call.retry.take_back();
        let policy = &self.configuration.policy;
        let rest = Call::begun(call.command, call.blocks_for, policy, call.started);
        let left = self.world.clock.now();
        desk.left = Some(Box::new(Carried { call: std::mem::replace(call, rest), left }));
        let text = "the credentials were not asked for";
        Box::new(Failure { kind: Kind::Credentials, phase: Some(Phase::Auth), ..Failure::misuse("", text) })
    }

    /// How a call ends that is not gone on with, since the program has no credentials: `None` if it was surely not applied.
    pub fn leave_in_doubt(&mut self, desk: &mut Desk) -> Option<Box<Failure>> {
        let now = self.world.clock.coarse();
        let of_parts = self.leave_parts_in_doubt(desk, now);
        let carried = desk.carried.take();
        carried.and_then(|carried| carried.in_doubt(&desk.frame, now)).or(of_parts)
    }

    /// Goes on with a call that was left. The time in which the program was asked is none of its own.
    #[cold]
    pub(super) fn take_up_call(&self, desk: &mut Desk, call: &mut Call) {
        let Some(carried) = desk.carried.take() else { return };
        let away = self.world.clock.now().since(carried.left);
        call.take_up(carried.call, away, self.bound);
        desk.frame.dismount();
    }
}

/// A call that was left while the program is asked, and when.
pub(super) struct Carried {
    pub(super) call: Call,
    left: Instant,
}

impl Carried {
    /// The failure that it is if nobody goes on with it, if it may have been applied.
    pub(super) fn in_doubt(&self, frame: &Frame, now: Instant) -> Option<Box<Failure>> {
        let lost = Lost::awaiting(Cause::Credentials);
        self.call.retry.tainted().then(|| self.call.fail(frame, &lost, true, now))
    }
}

/// Whether a server's words are about who we say that we are.
fn is_about_credentials(text: &str) -> bool {
    ["WRONGPASS", "NOAUTH", "ERR invalid password"].iter().any(|words| text.contains(words))
}
