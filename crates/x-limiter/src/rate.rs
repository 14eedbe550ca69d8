//! Connections per second.

use std::{collections::HashMap, net::IpAddr, time::Instant};

use gost_core::policy::RateLimiter;
use gost_loader::Reloading;
use parking_lot::Mutex;

use crate::{Limit, NotANumber, Rules, shards::Shards};

/// How many clients a part remembers before those are forgotten whose time has come.
const REMEMBERED: usize = 1024;

/// Connections per second; none for zero and less.
impl Limit for f64 {
    fn read(text: &str) -> Result<Option<Self>, NotANumber> {
        let number: Self = text.parse().map_err(|_| NotANumber)?;
        if number.is_nan() {
            return Err(NotANumber);
        }
        Ok((number > 0.0 && number.is_finite()).then_some(number))
    }
}

/// Limits connections per second, by buckets of tokens that hold one more than a second's worth.
pub struct Rates {
    rules: Reloading<Rules<f64>>,
    all: Mutex<Option<Bucket>>,
    each: Shards<IpAddr, Bucket>,
}

impl Rates {
    /// Limits by these rules.
    pub fn new(rules: Rules<f64>) -> Self {
        Self::with(Reloading::fixed(rules))
    }

    /// Limits by rules that are loaded. Buckets stay as full as they are when they change; as long
    /// as they are not known, nobody may come.
    pub fn with(rules: Reloading<Rules<f64>>) -> Self {
        Self {
            rules,
            all: Mutex::default(),
            each: Shards::default(),
        }
    }

    fn allow_at(&self, client: IpAddr, now: Instant) -> bool {
        let client = client.to_canonical();
        let rules = self.rules.load();
        let own = rules.of(client);
        if rules.is_shut || (own.is_none() && rules.all.is_none()) {
            return !rules.is_shut;
        }
        let mut each = own.map(|rate| (rate, self.each.of(&client)));
        // Nothing is taken from one when the other has nothing.
        let has = each.as_mut().is_none_or(|(rate, each)| {
            forget(each, *rate, now);
            let bucket = each
                .entry(client)
                .or_insert_with(|| Bucket::new(*rate, now));
            bucket.fill(*rate, now) >= 1.0
        });
        if !has {
            return false;
        }
        if let Some(rate) = rules.all {
            let mut all = self.all.lock();
            let bucket = all.get_or_insert_with(|| Bucket::new(rate, now));
            if bucket.fill(rate, now) < 1.0 {
                return false;
            }
            bucket.tokens -= 1.0;
        }
        if let Some((_, each)) = &mut each
            && let Some(bucket) = each.get_mut(&client)
        {
            bucket.tokens -= 1.0;
        }
        true
    }
}

/// Forgets full buckets once there are many: they are as good as new ones.
fn forget(each: &mut HashMap<IpAddr, Bucket>, rate: f64, now: Instant) {
    if each.len() >= REMEMBERED && each.len() == each.capacity() {
        each.retain(|_, bucket| bucket.fill(rate, now) < most(rate));
    }
}

impl RateLimiter for Rates {
    fn allow(&self, client: IpAddr) -> bool {
        self.allow_at(client, Instant::now())
    }
}

/// How many tokens fit.
fn most(rate: f64) -> f64 {
    rate.floor() + 1.0
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: f64, at: Instant) -> Self {
        Self {
            tokens: most(rate),
            at,
        }
    }

    /// What is there now.
    fn fill(&mut self, rate: f64, now: Instant) -> f64 {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.tokens = (self.tokens + more).min(most(rate));
        self.at = self.at.max(now);
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter(lines: &[&str]) -> Rates {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        Rates::new(Rules::parse(&lines).unwrap())
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limiter = limiter(&["$$ 2", "10.0.0.1 0.5"]);
        let start = Instant::now();
        let taken = |ip: [u8; 4], after: u64| {
            let now = start + Duration::from_secs(after);
            (0..10).filter(|_| limiter.allow_at(ip.into(), now)).count()
        };
        assert_eq!(taken([127, 0, 0, 1], 0), 3);
        assert_eq!(taken([127, 0, 0, 2], 0), 3);
        assert_eq!(taken([127, 0, 0, 1], 1), 2);
        assert_eq!(taken([127, 0, 0, 1], 100), 3);
        assert_eq!(taken([10, 0, 0, 1], 0), 1);
        assert_eq!(taken([10, 0, 0, 1], 1), 0);
        assert_eq!(taken([10, 0, 0, 1], 2), 1);
    }

    #[test]
    fn who_is_refused_by_one_has_used_up_nothing_of_the_other() {
        let limiter = limiter(&["$ 1", "$$ 10"]);
        let now = Instant::now();
        let (a, b) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let count = |ip, now| (0..50).filter(|_| limiter.allow_at(ip, now)).count();
        assert_eq!(count(a, now), 2);
        assert_eq!(count(b, now), 0);
        assert_eq!(count(b, now + Duration::from_secs(5)), 2);
        assert!((limiter.each.of(&b)[&b].tokens - 9.0).abs() < 0.01);
    }

    #[test]
    fn clients_who_are_gone_are_forgotten() {
        let limiter = limiter(&["$$ 1"]);
        let start = Instant::now();
        for n in 0..200_000_u32 {
            let now = start + Duration::from_millis(u64::from(n));
            assert!(limiter.allow_at(IpAddr::V4(n.into()), now));
        }
        assert!(limiter.each.len() < 60_000, "{}", limiter.each.len());
    }

    #[test]
    fn numbers() {
        assert_eq!(f64::read("1.5"), Ok(Some(1.5)));
        assert_eq!(f64::read("0"), Ok(None));
        assert_eq!(f64::read("-1"), Ok(None));
        assert_eq!(f64::read("+Inf"), Ok(None));
        assert_eq!(f64::read("x"), Err(NotANumber));
    }
}
