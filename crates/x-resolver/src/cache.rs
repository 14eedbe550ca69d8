//! What servers said, for as long as it holds and a while longer.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

/// How many names are kept of each server and type.
const ROOM: usize = 4096;

/// How long an answer is kept after it has expired, to be given while the server is asked again
/// (RFC 8767, section 4, proposes one to three days).
const STALE: Duration = Duration::from_hours(24);

/// The addresses of a name; none for one that has none.
pub(crate) type Addresses = Arc<[IpAddr]>;

/// The addresses of names, of one type.
#[derive(Debug, Default)]
pub(crate) struct Cache(HashMap<Box<str>, Entry>);

#[derive(Debug)]
struct Entry {
    addresses: Addresses,
    expires: Instant,
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This.
    Fresh(Addresses),
    /// This was said once.
    Stale(Addresses),
    /// Nothing.
    Nothing,
}

impl Cache {
    pub(crate) fn get(&self, host: &str) -> Known {
        let now = Instant::now();
        match self.0.get(host) {
            Some(entry) if now < entry.expires => Known::Fresh(entry.addresses.clone()),
            Some(entry) if now < entry.expires + STALE => Known::Stale(entry.addresses.clone()),
            _ => Known::Nothing,
        }
    }

    /// Keeps what was said. When there is no room, what has expired goes, and then what expires
    /// first.
    pub(crate) fn put(&mut self, host: &str, addresses: Addresses, ttl: Duration) {
        let now = Instant::now();
        if self.0.len() >= ROOM && !self.0.contains_key(host) {
            self.0.retain(|_, entry| now < entry.expires);
            if self.0.len() >= ROOM {
                let first = self.0.iter().min_by_key(|(_, entry)| entry.expires);
                if let Some(first) = first.map(|(host, _)| host.clone()) {
                    self.0.remove(&first);
                }
            }
        }
        let expires = now.checked_add(ttl).unwrap_or(now);
        self.0.insert(host.into(), Entry { addresses, expires });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Addresses {
        Arc::new([IpAddr::from([10, 0, 0, 1])])
    }

    #[tokio::test(start_paused = true)]
    async fn answers_grow_old_and_are_forgotten() {
        let mut cache = Cache::default();
        cache.put("a", one(), Duration::from_secs(10));
        assert_eq!(cache.get("a"), Known::Fresh(one()));
        assert_eq!(cache.get("b"), Known::Nothing);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(cache.get("a"), Known::Stale(one()));
        tokio::time::advance(STALE).await;
        assert_eq!(cache.get("a"), Known::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_many() {
        let mut cache = Cache::default();
        cache.put("first", one(), Duration::from_secs(1));
        for i in 0..ROOM - 1 {
            cache.put(&i.to_string(), one(), Duration::from_secs(2));
        }
        cache.put("one more", one(), Duration::from_secs(3));
        assert_eq!(cache.get("first"), Known::Nothing);
        assert_eq!(cache.0.len(), ROOM);
        tokio::time::advance(Duration::from_secs(2)).await;
        cache.put("another", one(), Duration::from_secs(3));
        assert_eq!(cache.0.len(), 2);
    }
}
