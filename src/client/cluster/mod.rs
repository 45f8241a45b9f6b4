//! A deployment that is a cluster: each shard is a primary with replicas, and has a client of its own that knows how to
//! keep to its primary. Here is decided which of them a command goes to. Nodes that are no cluster, and among which the
//! client shares the keys, are such shards, too.

mod ahead;
mod asking;
mod batch;
mod detour;
mod divide;
mod fan;
mod map;
mod parts;
mod pieces;
mod redirect;
mod ring;
mod route;
mod scan;
mod spread;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use crate::command::{Blocking, Command, Effect, effect};
use crate::config::NodeAddress;
use crate::resp::{Aggregate, Sink, Space, Unfit};
use crate::telemetry::COUNTERS;
use crate::time::{Deadline, Instant};
use crate::topology::SlotMap;

use self::detour::Detour;
use self::map::unserved;
use self::parts::Work;
use self::redirect::pass_on;
use self::ring::configuration_at;
use self::route::Route;
use self::walk::Walks;
use super::desk::Desk;
use super::failure::{Failure, Kind};
use super::hearing::not_in_cluster;
use super::state::Client;
use super::telling::adopt_events;

/// What one client object has of a cluster.
#[derive(Default)]
pub struct Cluster {
    map: Option<Arc<SlotMap>>,
    edition: u64,
    /// From when on the map should be asked for again.
    old_from: Instant,
    /// The shards' clients, in the map's order; made when they are needed.
    shards: Vec<Option<Box<Client>>>,
    /// The shard with a connection whose state belongs to this object.
    pinned: Option<usize>,
    /// The client of the node that the last `ASK` led to.
    guest: Option<Box<Client>>,
    work: Work,
    /// The iterations over all keys.
    walks: Walks,
    /// Whether a shard went away with something pinned: the next command says so.
    torn: bool,
    /// Whether it is the request's budget that ends the present command.
    ends_by_budget: bool,
    /// What of its time the present command has spent on finding out that this is a cluster.
    spent: Duration,
}

impl Client {
    /// Runs a command where its keys are.
    #[cold]
    pub(super) fn run_in_cluster(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        sink: &mut dyn Sink,
    ) -> Result<(), Box<Failure>> {
        if self.hearing.is_some() {
            return Err(not_in_cluster());
        }
        self.see_not_asked()?;
        self.charged(desk, |client, desk| client.route_and_run(desk, command, sink))
    }

    fn route_and_run(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        sink: &mut dyn Sink,
    ) -> Result<(), Box<Failure>> {
        self.cluster.get_or_insert_default();
        // If it was tried elsewhere first: what rode behind it is due for the node that it goes to.
        desk.frame.dismount();
        let until = self.end_of_command(desk);
        self.make_sure_of_map(desk, until)?;
        self.tell_torn()?;
        let effect = effect(command, || desk.frame.words());
        let slot = match self.route(desk, command, effect)? {
            Route::Slot(slot) => Some(slot),
            Route::Anywhere => None,
            Route::Everywhere(merge) => return self.run_everywhere(desk, command, merge, sink, until),
            Route::Split(split) => return self.run_split(desk, split, sink, until),
            Route::Scan => return self.run_scan(desk, sink, until),
            Route::Done => {
                self.disconnect(desk);
                sink.status(b"OK");
                return Ok(());
            }
        };
        let result = self.run_at(desk, command, slot, effect, sink, until);
        if effect != Effect::None || self.is_pinned() {
            self.note_pin();
        }
        result
    }

    /// Makes sure that the map is known, and that a node answers.
    pub(super) fn connect_in_cluster(&mut self, desk: &mut Desk) -> Result<(), Box<Failure>> {
        if self.hearing.is_some() {
            return Err(not_in_cluster());
        }
        self.cluster.get_or_insert_default();
        let until = self.end_of_command(desk);
        self.make_sure_of_map(desk, until)?;
        self.attached = true;
        Ok(())
    }

    /// A client that listens: what is published at one shard is heard at all of them, but for what is
    /// published for the slot of a channel.
    pub(super) fn listener(
        &mut self,
        desk: &mut Desk,
        channel: Option<&[u8]>,
        until: Deadline,
    ) -> Result<Client, Box<Failure>> {
        self.cluster.get_or_insert_default();
        self.make_sure_of_map(desk, until)?;
        let protocol = self.identity.protocol;
        let slot = self.map().and_then(|map| channel.map(|channel| map.slot_of(channel)).or(map.slot_of_messages()));
        let place = self.place_of(slot).ok_or_else(|| unserved(slot, ""))?;
        Ok(self.shard(place).companion(protocol))
    }

    /// Runs a command at the shard of its slot, and goes where the nodes say that it belongs.
    fn run_at(
        &mut self,
        desk: &mut Desk,
        command: Option<&'static Command>,
        slot: Option<u16>,
        effect: Effect,
        sink: &mut dyn Sink,
        mut until: Deadline,
    ) -> Result<(), Box<Failure>> {
        let mut detour = self.detour();
        let mut place = self.place_of(slot);
        // What is queued, or what watches, belongs to the connection that is pinned: nobody else can take it.
        let stays = self.pins.multi || effect == Effect::Watch;
        let blocks = command.is_some_and(|row| row.blocking != Blocking::No);
        let (started, mut attempts) = (self.world.clock.coarse(), 0);
        loop {
            let Some(at) = place else {
                self.wait_for_change(desk, &mut detour, until, None, unserved(slot, ""))?;
                place = self.place_of(slot);
                continue;
            };
            let (now, stops) = (self.now(), if blocks { Deadline::NEVER } else { until });
            let epoch = self.shard(at).deployment.epoch();
            let result = self.run_on(at, desk, command, &mut Passed { sink }, stops, detour.patience(now));
            let Err(mut failure) = result else {
                self.look_again(desk, at, started, until);
                return Ok(());
            };
            attempts += failure.attempts;
            failure.attempts = attempts;
            failure.elapsed = self.now().since(started);
            if blocks {
                // What it waited by its own will is not time that it was kept from its node.
                until = self.end_of_command(desk);
            }
            let mut redirect = self.redirect_of(&failure, at);
            if redirect.is_some() && (stays || !self.is_meant(desk, command, at, epoch, until)) {
                return Err(failure);
            }
            let asks = redirect.as_ref().filter(|redirect| !redirect.moved && effect == Effect::None);
            let failure = match asks.map(|redirect| redirect.to.clone()) {
                None => failure,
                Some(node) => {
                    let Err(failure) = self.run_as_guest(desk, command, &node, sink, until) else { return Ok(()) };
                    redirect = redirect::of(&failure, &self.deployment.key().speaker(node));
                    failure
                }
            };
            if redirect.is_none() && !detour.may_have_moved(&failure) {
                return Err(failure);
            }
            COUNTERS.retries.increment();
            sink.reset();
            // What rode behind the command was for the node that turned it away.
            desk.frame.dismount();
            let moved = redirect.filter(|redirect| redirect.moved);
            let (now, slots) = (self.now(), self.deployment.slots());
            let known = moved.as_ref().is_some_and(|to| slots.assign(to.slot, &to.to, now));
            let asked = moved.as_ref().map(|redirect| redirect.to.clone());
            if !known || detour.count > 0 {
                self.wait_for_change(desk, &mut detour, until, asked.as_ref(), failure)?;
            }
            detour.count += 1;
            self.follow_map();
            // Where the server says, whatever we think of the command's keys.
            let told = asked.and_then(|node| self.map()?.shard_with(&node));
            place = told.or_else(|| self.place_of(slot));
        }
    }

    /// Runs the command in the desk's frame at one shard, whoever its primary is.
    fn run_on<S: Sink>(
        &mut self,
        place: usize,
        desk: &mut Desk,
        command: Option<&'static Command>,
        sink: &mut S,
        bound: Deadline,
        patience: Deadline,
    ) -> Result<(), Box<Failure>> {
        let shard = self.shard(place);
        shard.bound_by(bound, patience);
        let result = shard.run_alone(desk, command, sink);
        self.adopt_from(place);
        result.map_err(|failure| self.as_of_whole(place, failure))
    }

    /// Notes that a command has found out that this is a cluster. It goes on in what is left of its time.
    #[cold]
    pub(super) fn found_cluster(&mut self, failure: &Failure) {
        self.cluster.get_or_insert_default().spent = failure.elapsed;
    }

    /// When a command that begins now has to be over.
    fn end_of_command(&mut self, desk: &Desk) -> Deadline {
        let (now, policy) = (self.world.clock.coarse(), &self.configuration.policy);
        let spent = self.cluster.as_deref_mut().map_or(Duration::ZERO, |cluster| std::mem::take(&mut cluster.spent));
        let left = policy.command_timeout.map(|limit| limit.saturating_sub(spent));
        let until = Deadline::after(now, left).min(self.bound);
        let of_budget = policy.request_budget.map_or(Deadline::NEVER, |budget| self.budget_deadline(desk, now, budget));
        self.cluster.get_or_insert_default().ends_by_budget = until.min(of_budget) != until;
        until.min(of_budget)
    }

    /// A transaction or a watch went away with the shard that it was at.
    fn tell_torn(&mut self) -> Result<(), Box<Failure>> {
        let is_torn = self.cluster.as_deref_mut().is_some_and(|cluster| std::mem::take(&mut cluster.torn));
        if is_torn { Err(torn()) } else { Ok(()) }
    }

    /// The place of the shard that serves a slot; of any one if there is no key: one with a connection that is pinned, or
    /// the one that was used last.
    fn place_of(&self, slot: Option<u16>) -> Option<usize> {
        let cluster = self.cluster.as_deref()?;
        let map = cluster.map.as_ref()?;
        match slot {
            Some(slot) => map.shard_of(slot),
            None => Some(cluster.pinned.unwrap_or(0)),
        }
    }

    /// The client of a shard.
    fn shard(&mut self, place: usize) -> &mut Client {
        if self.cluster.as_deref().is_none_or(|cluster| cluster.shards[place].is_none()) {
            let made = self.make_shard(place);
            self.cluster.get_or_insert_default().shards[place] = Some(made);
        }
        let cluster = self.cluster.get_or_insert_default();
        cluster.shards[place].get_or_insert_with(|| unreachable!("it was made before"))
    }

    fn make_shard(&self, place: usize) -> Box<Client> {
        let map = self.map().unwrap_or_else(|| unreachable!("a place comes from the map"));
        let mut client = Client::new(self.world.clone(), configuration_at(&self.configuration, map, place));
        if !map.is_ring() {
            let shard = &map.shards()[place];
            self.deployment.slots().keep(shard.nodes(), &client.deployment);
            client.deployment.suppose(&shard.primary, &shard.replicas);
        }
        self.lend_pass(&mut client);
        Box::new(client)
    }

    /// Does something with all clients that this one has for the nodes of a cluster.
    pub(super) fn each_of_cluster(&mut self, mut change: impl FnMut(&mut Client)) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.shards.iter_mut().flatten().chain(cluster.guest.as_mut()).for_each(|client| change(client));
    }

    /// Where the shard's primary is, as far as is known.
    fn address_of(&self, place: usize) -> NodeAddress {
        let cluster = self.cluster.as_deref();
        let client = cluster.and_then(|cluster| cluster.shards.get(place)?.as_deref());
        let known = client.and_then(|client| client.deployment.knowledge().primary().cloned());
        let supposed = || cluster?.map.as_ref()?.shards().get(place).map(|shard| shard.primary.clone());
        known.or_else(supposed).unwrap_or_else(|| self.configuration.endpoints[0].address.clone())
    }

    fn map(&self) -> Option<&Arc<SlotMap>> {
        self.cluster.as_deref()?.map.as_ref()
    }

    /// The clients of the shards that this object has used.
    pub fn shard_clients(&self) -> impl Iterator<Item = &Client> {
        self.cluster.as_deref().into_iter().flat_map(|cluster| cluster.shards.iter().flatten()).map(|shard| &**shard)
    }

    /// Takes over what a shard's client has to tell.
    fn adopt_from(&mut self, place: usize) {
        self.attached = true;
        let Some(shard) = self.cluster.as_deref_mut().and_then(|cluster| cluster.shards[place].as_deref_mut()) else {
            return;
        };
        adopt_events(&mut self.events, shard);
    }

    /// Remembers which shard has a connection whose state belongs to this object.
    fn note_pin(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let pinned = cluster.shards.iter().position(|shard| shard.as_ref().is_some_and(|shard| shard.pins.any()));
        cluster.pinned = pinned;
        let pins = pinned.and_then(|place| cluster.shards[place].as_ref()).map(|shard| shard.pins).unwrap_or_default();
        self.watches += u64::from(pins.watch && !self.pins.watch);
        self.pins = pins;
    }

    fn is_pinned(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.pinned.is_some())
    }

    /// Lets go of everything that the shards have pinned.
    pub(super) fn leave_cluster(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.pinned = None;
        self.each_of_cluster(Client::be_oneself);
    }

    /// Forgets the iterations over all keys.
    pub(super) fn forget_walks(&mut self) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.walks.clear();
        }
    }

    /// Lets go of a transaction that nobody will finish.
    pub(super) fn abandon_in_cluster(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        for shard in cluster.shards.iter_mut().flatten() {
            shard.abandon_transaction();
        }
        self.note_pin();
    }
}

/// The failure of what was begun at a node that is no part of the cluster any more, or whose slot is not.
fn torn() -> Box<Failure> {
    let text = "the slot of the watched keys has moved to another node, and with it the transaction was given up: nothing of it was applied";
    Box::new(Failure { kind: Kind::AbortedTransaction, ..Failure::misuse("EXEC", text) })
}

/// Passes a reply on. So all that is about clusters is compiled once, and not for each kind of sink: the way of those who
/// have no cluster stays as short as it was.
struct Passed<'a> {
    sink: &'a mut dyn Sink,
}

pass_on!(Passed<'_>, sink; |_this| true);
