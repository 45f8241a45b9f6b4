//! Which shard serves which slot, as the whole process knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::config::NodeAddress;
use crate::topology::SlotMap;

/// The map of a deployment that turned out to be a cluster; empty while it did not.
#[derive(Debug, Default)]
pub struct Slots {
    map: Mutex<Option<Arc<SlotMap>>>,
    /// Counts the maps; 0 while there is none.
    edition: AtomicU64,
}

impl Slots {
    /// Counts the maps that there were; 0 while there is none. To be compared without a lock.
    #[inline]
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The map, and its edition.
    pub fn map(&self) -> Option<(Arc<SlotMap>, u64)> {
        let map = self.map.lock();
        map.clone().map(|map| (map, self.edition()))
    }

    /// Learns what a node has told.
    pub fn learn(&self, learned: SlotMap) {
        let mut map = self.map.lock();
        *map = Some(Arc::new(learned));
        self.edition.fetch_add(1, Ordering::AcqRel);
    }

    /// Learns that a slot is served by the shard of that node. False if no shard is known to have it.
    pub fn assign(&self, slot: u16, node: &NodeAddress) -> bool {
        let mut map = self.map.lock();
        let Some(known) = map.as_mut() else { return false };
        let Some(shard) = known.shard_with(node) else { return false };
        if known.shard_of(slot) != Some(shard) {
            // Copied once, while somebody has the former map in hand, and not for each slot.
            Arc::make_mut(known).assign(slot, shard);
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
        true
    }
}
