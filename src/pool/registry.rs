//! The registry itself: every pool and every deployment of the process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::board::Board;
use crate::config::NodeAddress;
use crate::connection::Identity;
use crate::time::Instant;

use super::{Deployment, DeploymentKey, NodePool, PoolStatus};

/// Every pool and deployment that this process has used.
#[derive(Debug)]
pub struct Registry {
    board: Arc<Board>,
    deployments: Mutex<HashMap<DeploymentKey, Arc<Deployment>>>,
    pools: Mutex<HashMap<(NodeAddress, Identity), Arc<NodePool>>>,
}

impl Registry {
    /// A registry whose deployments share what they learn on `board`.
    pub fn new(board: Arc<Board>) -> Registry {
        Registry { board, deployments: Mutex::default(), pools: Mutex::default() }
    }

    /// Where what is learned is shared.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The deployment of that key, known to all who ask for it.
    pub fn deployment(&self, key: DeploymentKey) -> Arc<Deployment> {
        let mut deployments = self.deployments.lock();
        let new = |key: DeploymentKey| {
            // Who talks to one node finds nothing out that others wait for, and records are few.
            let place = if key.fixed { self.board.own_place(&key) } else { self.board.place(&key) };
            let volume = self.board.volume(&key);
            Arc::new(Deployment::new(key, place, volume))
        };
        deployments.entry(key.clone()).or_insert_with(|| new(key)).clone()
    }

    /// The pool of connections to `node` under `identity`.
    pub fn pool(&self, node: &NodeAddress, identity: &Identity) -> Arc<NodePool> {
        let mut pools = self.pools.lock();
        let key = (node.clone(), identity.clone());
        pools.entry(key).or_insert_with(|| Arc::new(NodePool::new(node.clone(), identity.clone()))).clone()
    }

    /// Has connections that wait under `former` wait under `identity`, which has proved to be the same user.
    pub fn succeed(&self, former: &Identity, identity: &Identity) {
        let of_former: Vec<Arc<NodePool>> = {
            let pools = self.pools.lock();
            pools.values().filter(|pool| pool.identity() == former).cloned().collect()
        };
        for pool in of_former {
            let heir = self.pool(pool.node(), identity);
            pool.hand_over(&heir);
        }
    }

    /// Closes what is idle at a node, under every identity.
    pub fn forget_node(&self, node: &NodeAddress) {
        for (_, pool) in self.pools.lock().iter().filter(|((at, _), _)| at == node) {
            pool.clear();
        }
    }

    /// Closes connections that were idle for longer than their `max_idle_time`: nobody has come for them.
    pub fn tidy(&self, now: Instant) {
        for pool in self.pools.lock().values() {
            pool.tidy(now);
        }
    }

    /// Closes all idle connections and forgets all that was learned, as if the process had just started. Leases stay
    /// with their holders, are counted, and close when they are done.
    pub fn reset(&self) {
        self.deployments.lock().clear();
        self.pools.lock().retain(|_, pool| !pool.retire());
    }

    /// The numbers of all pools, in the order of their nodes.
    pub fn status(&self) -> Vec<PoolStatus> {
        let mut all: Vec<PoolStatus> = self.pools.lock().values().map(|pool| pool.status()).collect();
        all.sort_by(|one, other| (&one.node, one.database).cmp(&(&other.node, other.database)));
        all
    }
}
