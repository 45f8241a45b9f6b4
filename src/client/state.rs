//! One client object: its configuration, its identity, and the connection that it has pinned, if any.

use std::sync::Arc;

use crate::config::{Configuration, ConfigurationError, NodeAddress, Protocol, Setting};
use crate::connection::{Errand, Identity, Network, SocketOptions, check_certificates};
use crate::discovery::SearchSettings;
use crate::failover::Lost;
use crate::pool::{Deployment, DeploymentKey, Lease, NodePool, Registry};
use crate::resp::Limits;
use crate::telemetry::EventQueue;
use crate::time::{Clock, Deadline};

use super::cluster::Cluster;
use super::desk::Desk;
use super::hearing::Hearing;
use super::pass::Pass;
use super::reads::ReadList;

/// What all clients of the process share.
pub struct World {
    /// Where connections come from.
    pub network: Box<dyn Network>,
    /// Where time comes from.
    pub clock: Box<dyn Clock>,
    /// The connections that outlive requests.
    pub registry: Registry,
    /// Whether the request is coming to its end, so that the reserve of its budget is open.
    pub is_ending: fn() -> bool,
    /// Whether the request is over but for what runs at its end: nothing that began before goes on.
    pub is_over: fn() -> bool,
    /// Whether PHP wants to do something else as soon as it can, such as to run the handler of a signal.
    pub is_interrupted: fn() -> bool,
}

/// One client object.
pub struct Client {
    pub(super) world: Arc<World>,
    pub(super) configuration: Configuration,
    pub(super) deployment: Arc<Deployment>,
    /// Who we are: the configuration says so at first, SELECT and AUTH change it.
    pub(super) identity: Identity,
    /// What the program says of who we are, if it has to be asked.
    pub(super) pass: Option<Box<Pass>>,
    /// The pool of the primary, and the epoch in which it was.
    pub(super) primary: Option<(u64, Arc<NodePool>)>,
    /// The pools of the nodes that reads may go to.
    pub(super) list: ReadList,
    /// The connection whose state belongs to this object.
    pub(super) pinned: Option<Lease>,
    pub(super) pins: Pins,
    /// How often keys began to be watched.
    pub(super) watches: u64,
    pub(super) attached: bool,
    /// Whether others have trouble, so that a success of ours is worth telling.
    pub(super) vouches: bool,
    /// What is known of the shards, if the deployment is a cluster.
    pub(super) cluster: Option<Box<Cluster>>,
    /// When a command has to be over that this client runs for another one.
    pub(super) bound: Deadline,
    /// Until when a search goes on, if that is sooner than the command's end.
    pub(super) patience: Deadline,
    pub(super) events: EventQueue,
    /// If its connection is to bring pushes: what is known of them.
    pub(super) hearing: Option<Box<Hearing>>,
}

/// What pins a connection to a client object (P4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// MULTI was answered, EXEC not yet.
    pub multi: bool,
    /// Keys are watched.
    pub watch: bool,
    /// State that cannot be undone but by closing.
    pub state: bool,
}

impl Pins {
    /// Whether anything pins.
    pub fn any(self) -> bool {
        self.multi || self.watch || self.state
    }
}

impl Client {
    /// A client for `configuration`, whose files are read.
    ///
    /// # Errors
    /// A file that an option names cannot be used.
    pub fn open(world: Arc<World>, configuration: Configuration) -> Result<Client, ConfigurationError> {
        let apart = configuration.apart.iter().filter_map(|node| node.tls.as_ref());
        for tls in configuration.tls.iter().chain(&configuration.sentinel.tls).chain(apart) {
            check_certificates(tls)?;
        }
        Ok(Client::new(world, configuration))
    }

    /// A client for `configuration`. Nothing is opened before it is needed.
    pub fn new(world: Arc<World>, configuration: Configuration) -> Client {
        let deployment = world.registry.deployment(DeploymentKey::of(&configuration));
        let identity = Identity {
            credentials: configuration.credentials.clone(),
            database: configuration.database,
            protocol: configuration.protocol,
            tls: configuration.tls.clone(),
            reads_replica: false,
        };
        Client::unused(world, configuration, deployment, identity)
    }

    fn unused(
        world: Arc<World>,
        configuration: Configuration,
        deployment: Arc<Deployment>,
        identity: Identity,
    ) -> Client {
        let cluster = (deployment.slots().edition() > 0).then(Box::default);
        let mut client = Client {
            world,
            configuration,
            deployment,
            cluster,
            pass: None,
            bound: Deadline::NEVER,
            patience: Deadline::NEVER,
            identity,
            primary: None,
            list: ReadList::default(),
            pinned: None,
            pins: Pins::default(),
            watches: 0,
            attached: false,
            vouches: false,
            events: EventQueue::default(),
            hearing: None,
        };
        client.pass = client.wanted_of_program().map(|_| Box::default());
        client
    }

    /// A client with another policy for the same deployment: it shares what is known, the pools, and who this one is at
    /// the moment; not its pinned connection, nor the events that wait.
    ///
    /// # Errors
    /// An option is wrong, or is none that can be changed for a call site.
    pub fn with_options(&self, options: &Setting) -> Result<Client, ConfigurationError> {
        Ok(self.alike(self.configuration.with_options(options)?))
    }

    /// A client that speaks this protocol, and is like this one in everything else.
    pub(super) fn companion(&self, protocol: Protocol) -> Client {
        let mut companion = self.alike(self.configuration.clone());
        companion.identity.protocol = protocol;
        companion.primary = None;
        companion
    }

    fn alike(&self, configuration: Configuration) -> Client {
        let (deployment, identity) = (self.deployment.clone(), self.identity.clone());
        let primary = self.primary.clone();
        let pass = self.pass.clone();
        Client { primary, pass, ..Client::unused(self.world.clone(), configuration, deployment, identity) }
    }

    /// A client of one node of the deployment, or of one of its sentinels, that talks to no other.
    pub fn at_node(&self, node: &NodeAddress, is_sentinel: bool) -> Client {
        // Of a ring each node, with its replicas, has parameters of its own.
        let place_in = |shards: Vec<crate::topology::Shard>| shards.iter().position(|shard| shard.includes(node));
        let place = self.slot_map().filter(|map| map.is_ring()).and_then(|_| place_in(self.shards()));
        let configuration = place.and_then(|place| self.configuration.apart.get(place)).unwrap_or(&self.configuration);
        let mut client = Client::new(self.world.clone(), configuration.at_node(node, is_sentinel));
        if !is_sentinel {
            self.lend_pass(&mut client);
        }
        client
    }

    /// The configuration as it was given.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// What is known of the deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Whether the object has used a connection since it was made or disconnected.
    pub fn is_connected(&self) -> bool {
        self.attached
    }

    /// Lets go of the pinned connection, which closes, and undoes what SELECT and AUTH changed.
    pub fn disconnect(&mut self, desk: &mut Desk) {
        desk.sweep();
        self.attached = false;
        self.primary = None;
        self.forget_list();
        self.be_oneself();
    }

    /// Goes on like a new client of the same configuration: without a connection of its own, without what SELECT and
    /// AUTH changed, and without events that nobody has taken. One whose connection brings pushes keeps it, for that is
    /// what it is for; only a transaction that was left open on it takes it away, and it is made again as it was.
    pub fn start_over(&mut self) {
        if self.hearing.is_none() || self.pins.multi || self.pins.watch {
            self.be_oneself();
        }
        self.forget_walks();
        self.events = EventQueue::default();
    }

    /// Lets go of what is pinned, of another identity, and of what the program has said of who we are.
    pub(super) fn be_oneself(&mut self) {
        self.leave_cluster();
        self.forget_pass();
        self.pinned = None;
        self.pins = self.lasting_pins();
        let (database, credentials) = (self.configuration.database, self.own_credentials());
        if self.identity.database != database || self.identity.credentials != *credentials {
            self.identity.credentials = credentials.clone();
            self.identity.database = database;
            self.primary = None;
            self.forget_list();
        }
    }

    /// Whether a transaction is open, so that commands are only queued.
    pub fn is_queueing(&self) -> bool {
        self.pins.multi
    }

    /// The watch that lasts on the connection that is pinned. One that ended, for whatever reason, does not come again:
    /// the next has another number.
    pub fn watch(&self) -> Option<u64> {
        self.pins.watch.then_some(self.watches)
    }

    /// Lets go of a transaction that nobody will finish: the connection that watches its keys closes.
    pub fn abandon_transaction(&mut self) {
        if self.pins.watch || self.pins.multi {
            self.pinned = None;
            self.pins = Pins::default();
            self.abandon_in_cluster();
        }
    }

    /// Bounds what this client does for another one: when a command has to be over, and until when a search goes on at the
    /// most. Said anew for each command.
    pub(super) fn bound_by(&mut self, bound: Deadline, patience: Deadline) {
        self.bound = bound;
        self.patience = patience;
    }

    /// The pool of `node` for this object.
    pub(super) fn pool_of(&self, node: &crate::config::NodeAddress) -> Arc<NodePool> {
        self.world.registry.pool(node, &self.identity)
    }

    pub(super) fn limits(&self) -> Limits {
        let limits = &self.configuration.limits;
        Limits { max_reply_size: limits.max_reply_size, max_depth: limits.max_depth }
    }

    /// How nodes are looked for and dialled.
    ///
    /// # Errors
    /// There are no keys to sign with who we are: nobody dials as somebody else instead.
    pub(super) fn search_settings(&self) -> Result<SearchSettings, Lost> {
        let policy = &self.configuration.policy;
        // One receive may wait for as long as silence is no reason for suspicion, and never past a limit.
        let brief = [Some(policy.suspect_after), policy.read_write_timeout, policy.command_timeout];
        let brief = brief.into_iter().flatten().min().unwrap_or(policy.suspect_after);
        let identity = self.identity_to_say()?.unwrap_or_else(|| self.identity.clone());
        Ok(SearchSettings {
            errand: Errand::Commands(identity),
            limits: self.limits(),
            sockets: SocketOptions { brief },
            timeout: policy.timeout,
            any_role: self.configuration.fixed,
            shard: self.configuration.shard,
            to_sentinels: self.credentials_for_sentinels().clone(),
            addresses: self.configuration.node_addresses.clone(),
        })
    }
}
