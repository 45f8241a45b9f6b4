//! The registry itself: every pool and every deployment of the process.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::board::Board;
use crate::config::NodeAddress;
use crate::connection::Identity;
use crate::time::Instant;

use super::{Deployment, DeploymentKey, NodePool, PoolStatus};

/// Every pool and deployment that this process uses.
#[derive(Debug)]
pub struct Registry {
    board: Arc<Board>,
    deployments: Mutex<HashMap<DeploymentKey, Arc<Deployment>>>,
    /// Single nodes, and shards of clusters. They come and go with the nodes.
    parts: Mutex<Shelf<DeploymentKey, Deployment>>,
    pools: Mutex<Shelf<(NodeAddress, Identity), NodePool>>,
}

/// Things that come and go. Now and then those are let go of that nobody has in hand, so that a process that lives long
/// does not keep all that there ever was.
#[derive(Debug)]
struct Shelf<K, V> {
    all: HashMap<K, Arc<V>>,
    /// With so many one looks who is still needed.
    full: usize,
}

/// So few are no burden, whether they are needed or not.
const FEW: usize = 128;

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Shelf { all: HashMap::new(), full: FEW }
    }
}

impl<K: Eq + Hash + Clone, V> Shelf<K, V> {
    fn get(&mut self, key: K, new: impl FnOnce(K) -> V) -> Arc<V> {
        if let Some(known) = self.all.get(&key) {
            return known.clone();
        }
        if self.all.len() >= self.full {
            self.all.retain(|_, one| Arc::strong_count(one) > 1);
            self.full = (self.all.len() * 2).max(FEW);
        }
        let made = Arc::new(new(key.clone()));
        self.all.insert(key, made.clone());
        made
    }
}

impl Registry {
    /// A registry whose deployments share what they learn on `board`.
    pub fn new(board: Arc<Board>) -> Registry {
        Registry { board, deployments: Mutex::default(), parts: Mutex::default(), pools: Mutex::default() }
    }

    /// Where what is learned is shared.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The deployment of that key, known to all who ask for it.
    pub fn deployment(&self, key: DeploymentKey) -> Arc<Deployment> {
        let new = |key: DeploymentKey| {
            // Who talks to one node finds nothing out that others wait for, and records are few.
            let place = if key.fixed { self.board.own_place(&key) } else { self.board.place(&key) };
            let volume = self.board.volume(&key);
            Deployment::new(key, place, volume)
        };
        if key.fixed || key.shard {
            return self.parts.lock().get(key, new);
        }
        let mut deployments = self.deployments.lock();
        deployments.entry(key.clone()).or_insert_with(|| Arc::new(new(key))).clone()
    }

    /// The pool of connections to `node` under `identity`. What is idle there has it in hand.
    pub fn pool(&self, node: &NodeAddress, identity: &Identity) -> Arc<NodePool> {
        let new = |(node, identity)| NodePool::new(node, identity);
        self.pools.lock().get((node.clone(), identity.clone()), new)
    }

    /// Has connections to `node` that wait under `former` wait under `identity`, which has proved to be the same user there.
    pub fn succeed(&self, node: &NodeAddress, former: &Identity, identity: &Identity) {
        let of_former = self.pools.lock().all.get(&(node.clone(), former.clone())).cloned();
        if let Some(pool) = of_former {
            pool.hand_over(&self.pool(node, identity));
        }
    }

    /// Closes what is idle at a node, under every identity.
    pub fn forget_node(&self, node: &NodeAddress) {
        for (_, pool) in self.pools.lock().all.iter().filter(|((at, _), _)| at == node) {
            pool.clear();
        }
    }

    /// Closes connections that were idle for longer than their `max_idle_time`: nobody has come for them.
    pub fn tidy(&self, now: Instant) {
        for pool in self.pools.lock().all.values() {
            pool.tidy(now);
        }
    }

    /// Closes all idle connections and forgets all that was learned, as if the process had just started. Leases stay
    /// with their holders, are counted, and close when they are done.
    pub fn reset(&self) {
        self.deployments.lock().clear();
        self.parts.lock().all.clear();
        self.pools.lock().all.retain(|_, pool| !pool.retire());
    }

    /// The numbers of all pools, in the order of their nodes.
    pub fn status(&self) -> Vec<PoolStatus> {
        let mut all: Vec<PoolStatus> = self.pools.lock().all.values().map(|pool| pool.status()).collect();
        all.sort_by(|one, other| (&one.node, one.database).cmp(&(&other.node, other.database)));
        all
    }
}

impl Drop for Registry {
    /// Connections on a shelf know their pool, which would keep both for ever.
    fn drop(&mut self) {
        self.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_in_hand_any_more_is_let_go_of() {
        let mut shelf: Shelf<usize, String> = Shelf::default();
        let kept: Vec<_> = (0..100).map(|key| shelf.get(key, |key| key.to_string())).collect();
        for key in 100..10_000 {
            shelf.get(key, |key| key.to_string());
            assert!(shelf.all.len() <= 2 * kept.len() + 1, "{}", shelf.all.len());
        }
        assert!(kept.iter().enumerate().all(|(key, one)| Arc::ptr_eq(one, &shelf.get(key, |_| unreachable!()))));
    }
}
