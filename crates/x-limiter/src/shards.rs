//! Something for each client, without a lock that all share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use parking_lot::{Mutex, MutexGuard};

const SHARDS: usize = 16;

/// Something for each of many addresses.
pub(crate) struct Shards<T> {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, T>>; SHARDS],
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T> Shards<T> {
    /// The part in which an address is.
    pub(crate) fn of(&self, ip: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, T>> {
        let place = self.hasher.hash_one(ip) as usize % SHARDS;
        self.shards[place].lock()
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
