//! Keyed hashes: how a record is found without saying whose it is, and how its contents are known to be whole.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// The random keys of one board. They stand in the processes' own memory, never in the mapping.
#[derive(Debug)]
pub struct Keys {
    name: RandomState,
    seal: RandomState,
}

/// What belongs to one deployment's record: the name under which it is found and the key of its checksums.
#[derive(Clone, Debug)]
pub struct Seal {
    name: u64,
    secret: u64,
    hasher: RandomState,
}

impl Keys {
    /// Keys that nobody else has.
    pub fn random() -> Keys {
        Keys { name: RandomState::new(), seal: RandomState::new() }
    }

    /// The seal of `key`'s record. Endpoints, user and credentials go into a keyed hash (SipHash), so that a password
    /// cannot be read or guessed from the mapping.
    pub fn seal<K: Hash>(&self, key: &K) -> Seal {
        // A name is never zero: that is what an unused record carries.
        Seal { name: self.name.hash_one(key).max(1), secret: self.seal.hash_one(key), hasher: self.seal.clone() }
    }
}

impl Seal {
    /// The seal of a further record about the same, by its number.
    pub fn part(&self, number: usize) -> Seal {
        let mut hasher = self.hasher.build_hasher();
        (self.secret, number).hash(&mut hasher);
        let secret = hasher.finish();
        self.name.hash(&mut hasher);
        Seal { name: hasher.finish().max(1), secret, hasher: self.hasher.clone() }
    }

    /// The name of the record in its arena.
    pub fn name(&self) -> u64 {
        self.name
    }

    /// The checksum of what a record says under `stamp`. Two deployments whose names collide cannot read each other:
    /// their checksums differ.
    pub fn checksum(&self, stamp: u64, bytes: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(self.secret);
        hasher.write_u64(stamp);
        hasher.write(bytes);
        hasher.finish()
    }
}
