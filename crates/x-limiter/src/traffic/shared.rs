//! The buckets of addresses and users, without a lock that all share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;

use super::Buckets;

const SHARDS: usize = 16;

/// How many a part remembers before those are forgotten that are as good as new.
const REMEMBERED: usize = 64;

/// Buckets by key, for as long as somebody uses them or they are in debt.
pub(super) struct Shared<K> {
    hasher: RandomState,
    shards: [Mutex<HashMap<K, Arc<Buckets>>>; SHARDS],
}

impl<K> Default for Shared<K> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<K: Hash + Eq + Clone> Shared<K> {
    /// The buckets of a key.
    pub(super) fn of(&self, key: &K, now: u64) -> Arc<Buckets> {
        let place = self.hasher.hash_one(key) as usize % SHARDS;
        let mut shard = self.shards[place].lock();
        if let Some(buckets) = shard.get(key) {
            return buckets.clone();
        }
        if shard.len() >= REMEMBERED && shard.len() == shard.capacity() {
            shard.retain(|_, buckets| Arc::strong_count(buckets) > 1 || !buckets.is_full(now));
        }
        shard.entry(key.clone()).or_default().clone()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
