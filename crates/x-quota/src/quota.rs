//! A quota: what was used of it, and what is left.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::{Duration, SystemTime},
};

use gost_core::{
    error::{Error, Result, Why},
    meter::{Allowance, Direction, Metering},
    policy::{Answer, Quota, QuotaState},
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    redis::RedisStore,
    store::{Record, Store, StoreError},
    window::Window,
};

/// How often it is looked whether the time of a quota has begun or ended.
const LOOK: Duration = Duration::from_secs(1);

/// A shared quota is stored early once this part of what is left was used here.
const EARLY: u64 = 20;

/// What a quota is about.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The name under which it is remembered.
    pub name: Arc<str>,
    /// Bytes there are; 0 only counts.
    pub limit: u64,
    /// When bytes count.
    pub window: Window,
    /// Which bytes count; `None` for both directions.
    pub direction: Option<Direction>,
    /// How often what was used is stored.
    pub flush: Duration,
}

/// What was used.
#[derive(Debug)]
pub(crate) struct Count {
    window: Window,
    /// What had been used when it was last stored.
    stored: AtomicU64,
    /// What has been used since.
    fresh: AtomicU64,
}

impl Count {
    pub(crate) fn new(window: Window, used: u64) -> Arc<Self> {
        Arc::new(Self {
            window,
            stored: AtomicU64::new(used),
            fresh: AtomicU64::new(0),
        })
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    fn used(&self) -> u64 {
        let fresh = self.fresh.load(Relaxed);
        self.stored.load(Relaxed).saturating_add(fresh)
    }

    fn set(&self, used: u64) {
        self.fresh.store(0, Relaxed);
        self.stored.store(used, Relaxed);
    }
}

/// A quota. What was used is stored from time to time, and when it is dropped.
pub struct Allotment {
    inner: Arc<Inner>,
    _task: JoinSet<()>,
}

struct Inner {
    terms: Terms,
    count: Arc<Count>,
    store: Store,
    /// What was used elsewhere is not known yet, and so not whether anything is left.
    unknown: AtomicBool,
    /// It was said that nothing is left.
    said: AtomicBool,
    /// The store failed, which was said.
    failing: AtomicBool,
    changed: Notify,
}

impl Allotment {
    /// A quota that begins where it is remembered; it looks after itself in the runtime that this
    /// is called in. One that is shared and can't be asked for yet counts as used up.
    pub async fn new(terms: Terms, store: Store) -> Result<Self> {
        let count = match &store {
            Store::File(file) => file.count(&terms),
            Store::Memory | Store::Redis(_) => Count::new(terms.window, 0),
        };
        let inner = Arc::new(Inner {
            unknown: AtomicBool::new(matches!(store, Store::Redis(_))),
            terms,
            count,
            store,
            said: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            changed: Notify::new(),
        });
        if matches!(inner.store, Store::Redis(_)) {
            inner.sync().await;
        }
        let mut task = JoinSet::new();
        task.spawn(inner.clone().look_after());
        Ok(Self { inner, _task: task })
    }
}

impl Drop for Allotment {
    fn drop(&mut self) {
        if let Store::File(file) = &self.inner.store
            && self.inner.count.fresh.load(Relaxed) > 0
        {
            let saved = file.save(&self.inner.terms.name, self.inner.settle());
            self.inner.note(saved);
        }
    }
}

impl Inner {
    /// True when bytes are limited now.
    fn is_limited(&self, now: SystemTime) -> bool {
        self.terms.limit > 0 && self.terms.window.has(now)
    }

    /// What is left, when that is limited now.
    fn left(&self) -> Option<u64> {
        if !self.is_limited(SystemTime::now()) {
            return None;
        }
        if self.unknown.load(Relaxed) {
            return Some(0);
        }
        Some(self.terms.limit.saturating_sub(self.count.used()))
    }

    fn counts(&self, direction: Direction) -> bool {
        self.terms.direction.is_none_or(|own| own == direction)
    }

    /// What is to be remembered; from here on all of it is known.
    fn settle(&self) -> Record {
        let fresh = self.count.fresh.swap(0, AcqRel);
        let before = self.count.stored.fetch_add(fresh, AcqRel);
        Record::new(&self.terms, before.saturating_add(fresh))
    }

    /// Says when the store begins to fail, and when it works again.
    fn note(&self, stored: std::result::Result<(), StoreError>) {
        let name = &self.terms.name;
        match stored {
            Ok(()) => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!(quota = %name, "what was used is stored again");
                }
            }
            Err(error) => {
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(quota = %name, "what was used can't be stored: {error}");
                }
            }
        }
    }

    /// Stores what was used.
    async fn flush(self: &Arc<Self>) {
        match &self.store {
            Store::Memory => {}
            Store::File(file) => {
                let (file, name, record) = (file.clone(), self.terms.name.clone(), self.settle());
                let saving = tokio::task::spawn_blocking(move || file.save(&name, record));
                if let Ok(saved) = saving.await {
                    self.note(saved);
                }
            }
            Store::Redis(_) => self.sync().await,
        }
    }

    /// Adds what was used here to what all have used, and learns how much that is.
    async fn sync(&self) {
        let Store::Redis(redis) = &self.store else {
            return;
        };
        let fresh = self.count.fresh.load(Relaxed);
        let added = self.add(redis, fresh, false).await;
        if let Ok(used) = added {
            self.count.fresh.fetch_sub(fresh, Relaxed);
            self.count.stored.store(used, Relaxed);
            if self.unknown.swap(false, Relaxed) || self.left() != Some(0) {
                self.changed.notify_waiters();
            }
        }
        self.note(added.map(drop));
    }

    async fn add(
        &self,
        redis: &RedisStore,
        bytes: u64,
        set: bool,
    ) -> std::result::Result<u64, StoreError> {
        let record = Record::new(&self.terms, bytes);
        redis.add(&self.terms.name, record, set).await
    }

    /// Stores what was used from time to time, and wakes those who wait when its time comes.
    async fn look_after(self: Arc<Self>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flushed = Instant::now();
        let mut was_limited = self.is_limited(SystemTime::now());
        loop {
            look.tick().await;
            let is_limited = self.is_limited(SystemTime::now());
            let has_turned = is_limited != was_limited;
            was_limited = is_limited;
            let fresh = self.count.fresh.load(Relaxed);
            let is_shared = matches!(self.store, Store::Redis(_));
            let is_early = is_shared
                && (self.unknown.load(Relaxed)
                    || self.left().is_some_and(|left| fresh > left / EARLY));
            // Others may have set back what is shared, or used it up.
            let is_due = flushed.elapsed() >= self.terms.flush && (fresh > 0 || is_shared);
            if has_turned || is_early || is_due {
                self.flush().await;
                flushed = Instant::now();
            }
            if has_turned {
                self.said.store(false, Relaxed);
                self.changed.notify_waiters();
            }
        }
    }
}

impl Metering for Allotment {
    fn count(&self, direction: Direction, bytes: usize) {
        let inner = &self.inner;
        if !inner.counts(direction) || !inner.terms.window.has(SystemTime::now()) {
            return;
        }
        inner.count.fresh.fetch_add(bytes as u64, Relaxed);
        if inner.left() == Some(0) && !inner.said.swap(true, Relaxed) {
            let (quota, limit) = (&inner.terms.name, inner.terms.limit);
            tracing::warn!(%quota, "all {limit} bytes are used up: no more connections");
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        match self.inner.left() {
            Some(0) => Allowance::Over,
            Some(left) if self.inner.counts(direction) => {
                Allowance::Bytes(want.min(usize::try_from(left).unwrap_or(usize::MAX)))
            }
            _ => Allowance::Bytes(want),
        }
    }
}

impl Quota for Allotment {
    fn state(&self) -> QuotaState {
        let (terms, now) = (&self.inner.terms, SystemTime::now());
        QuotaState {
            used: self.inner.count.used(),
            limit: terms.limit,
            starts: terms.window.starts,
            expires: terms.window.expires,
            direction: terms.direction,
            active: terms.window.has(now),
            expired: terms.window.is_over(now),
            blocked: self.is_blocked(),
        }
    }

    fn is_blocked(&self) -> bool {
        self.inner.left() == Some(0)
    }

    fn changed(&self) -> Answer<'_, ()> {
        Answer::later(self.inner.changed.notified())
    }

    fn reset(&self, used: u64) -> Answer<'_, Result<()>> {
        let inner = &self.inner;
        Answer::later(async move {
            let stored = match &inner.store {
                Store::Redis(redis) => inner.add(redis, used, true).await.map(drop),
                Store::Memory | Store::File(_) => Ok(()),
            };
            stored.map_err(|e| Error::new(Why::Other, e.to_string()))?;
            inner.count.set(used);
            inner.unknown.store(false, Relaxed);
            inner.said.store(false, Relaxed);
            inner.changed.notify_waiters();
            if let Store::File(file) = &inner.store {
                let saved = file.save(&inner.terms.name, inner.settle());
                saved.map_err(|e| Error::new(Why::Other, e.to_string()))?;
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Allotment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Allotment({})", self.inner.terms.name)
    }
}

#[cfg(test)]
mod tests;
