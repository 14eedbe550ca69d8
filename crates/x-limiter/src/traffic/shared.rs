//! The buckets of addresses and users.

use std::{hash::Hash, sync::Arc};

use gost_pace::Buckets;

use crate::shards::Shards;

/// How many a part remembers before those are forgotten that are as good as new.
const REMEMBERED: usize = 64;

/// Buckets by key, for as long as somebody uses them or they are in debt.
pub(super) struct Shared<K>(Shards<K, Arc<Buckets>>);

impl<K> Default for Shared<K> {
    fn default() -> Self {
        Self(Shards::default())
    }
}

impl<K: Hash + Eq + Clone> Shared<K> {
    /// The buckets of a key.
    pub(super) fn of(&self, key: &K, now: u64) -> Arc<Buckets> {
        let mut shard = self.0.of(key);
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
        self.0.len()
    }
}
