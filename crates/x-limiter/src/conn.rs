//! Connections at once.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use gost_core::policy::{ConnLimiter, ConnPermit};
use gost_loader::Reloading;

use crate::{Limit, NotANumber, Rules, shards::Shards};

/// A number of connections; none for zero and less.
impl Limit for u64 {
    fn read(text: &str) -> Result<Option<Self>, NotANumber> {
        let number: i64 = text.parse().map_err(|_| NotANumber)?;
        Ok(Self::try_from(number).ok().filter(|n| *n > 0))
    }
}

/// Limits connections at once.
pub struct Connections {
    rules: Reloading<Rules<u64>>,
    open: Arc<Open>,
}

/// What is open.
#[derive(Default)]
struct Open {
    all: AtomicU64,
    each: Shards<IpAddr, u64>,
}

impl Connections {
    /// Limits by these rules.
    pub fn new(rules: Rules<u64>) -> Self {
        Self::with(Reloading::fixed(rules))
    }

    /// Limits by rules that are loaded. What is open goes on to count when they change; as long as
    /// they are not known, nobody gets a place.
    pub fn with(rules: Reloading<Rules<u64>>) -> Self {
        Self {
            rules,
            open: Arc::default(),
        }
    }
}

impl ConnLimiter for Connections {
    fn admit(&self, client: IpAddr) -> Option<ConnPermit> {
        let client = client.to_canonical();
        let rules = self.rules.load();
        if rules.is_shut {
            return None;
        }
        let mut permit = Permit {
            open: self.open.clone(),
            of: None,
            all: false,
        };
        if let Some(limit) = rules.of(client) {
            let mut each = self.open.each.of(&client);
            let open = each.entry(client).or_default();
            if *open >= limit {
                return None;
            }
            *open += 1;
            permit.of = Some(client);
        }
        if let Some(limit) = rules.all {
            let one_more = |open| (open < limit).then_some(open + 1);
            // What was taken before is given back with the permit.
            self.open
                .all
                .fetch_update(Relaxed, Relaxed, one_more)
                .ok()?;
            permit.all = true;
        }
        Some(Box::new(permit))
    }
}

/// A place; dropping it gives it back.
struct Permit {
    open: Arc<Open>,
    of: Option<IpAddr>,
    all: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.all {
            self.open.all.fetch_sub(1, Relaxed);
        }
        if let Some(ip) = self.of {
            let mut each = self.open.each.of(&ip);
            if let Some(open) = each.get_mut(&ip) {
                *open -= 1;
                if *open == 0 {
                    each.remove(&ip);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(lines: &[&str]) -> Connections {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        Connections::new(Rules::parse(&lines).unwrap())
    }

    #[test]
    fn a_place_is_taken_until_it_is_given_back() {
        let limiter = limiter(&["$ 3", "$$ 2", "10.0.0.1 1"]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (a, b) = (ip("127.0.0.1"), ip("10.0.0.1"));
        let first = limiter.admit(a).unwrap();
        let second = limiter.admit(ip("::ffff:127.0.0.1")).unwrap();
        assert!(limiter.admit(a).is_none());
        let third = limiter.admit(b).unwrap();
        assert!(limiter.admit(b).is_none());
        // Three of three: what the address would still have is not lost by the refusal.
        assert!(limiter.admit(ip("10.0.0.2")).is_none());
        drop(third);
        let other = limiter.admit(ip("10.0.0.2")).unwrap();
        drop((first, second, other));
        assert_eq!(limiter.open.each.len(), 0);
        assert_eq!(limiter.open.all.load(Relaxed), 0);
    }

    #[test]
    fn no_rule_is_no_limit() {
        let limiter = limiter(&["$ 0", "10.0.0.0/8 1"]);
        let kept: Vec<_> = (0..100)
            .map(|_| limiter.admit([127, 0, 0, 1].into()).unwrap())
            .collect();
        assert_eq!(kept.len(), 100);
        assert_eq!(limiter.open.each.len(), 0);
    }

    #[tokio::test]
    async fn what_is_open_goes_on_to_count_when_rules_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limits");
        std::fs::write(&path, "$$ 2\n").unwrap();
        let mut options = crate::LimiterOptions::default();
        options.sources.file = Some(gost_loader::FileSource { path: path.clone() });
        let rules = crate::lines::load("test", &[], &options.sources);
        let rules: Reloading<Rules<u64>> = rules.await.unwrap();
        let limiter = Connections::with(rules);
        let client = [127, 0, 0, 1].into();
        let _two = [
            limiter.admit(client).unwrap(),
            limiter.admit(client).unwrap(),
        ];
        assert!(limiter.admit(client).is_none());
        std::fs::write(&path, "$$ 3\n# three in all\n").unwrap();
        let waiting = async {
            while limiter.rules.load().of(client) != Some(3) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let patience = std::time::Duration::from_secs(30);
        tokio::time::timeout(patience, waiting).await.unwrap();
        let _third = limiter.admit(client).unwrap();
        assert!(limiter.admit(client).is_none());
    }

    #[test]
    fn many_threads_get_no_more_than_there_is() {
        let limiter = limiter(&["$ 50"]);
        let admitted = AtomicU64::new(0);
        let kept = parking_lot::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for n in 0..4_u8 {
                let (limiter, admitted, kept) = (&limiter, &admitted, &kept);
                scope.spawn(move || {
                    for _ in 0..100 {
                        if let Some(permit) = limiter.admit([127, 0, 0, n].into()) {
                            admitted.fetch_add(1, Relaxed);
                            kept.lock().push(permit);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 50);
    }
}
