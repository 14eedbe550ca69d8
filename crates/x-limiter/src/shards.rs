//! Something for each of many, without a lock that all share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

use parking_lot::{Mutex, MutexGuard};

const SHARDS: usize = 16;

/// Something for each of many keys.
pub(crate) struct Shards<K, T> {
    hasher: RandomState,
    shards: [Mutex<HashMap<K, T>>; SHARDS],
}

impl<K, T> Default for Shards<K, T> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<K: Hash, T> Shards<K, T> {
    /// The part in which a key is.
    pub(crate) fn of(&self, key: &K) -> MutexGuard<'_, HashMap<K, T>> {
        let place = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[place].lock()
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
