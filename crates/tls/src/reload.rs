//! Something made of files, and made again when they change.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    TlsError,
    files::{Stamp, stamps},
};

/// How often the files are looked at, at most.
const EVERY: Duration = Duration::from_secs(1);

type Make<T> = dyn Fn() -> Result<T, TlsError> + Send + Sync;

/// A `T` that is made of files when it is first wanted, and again when they have changed.
///
/// The files are looked at when it is wanted: where nobody comes, nothing runs.
pub(crate) struct Reloaded<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    current: ArcSwapOption<T>,
    /// What the files were like when it was made. Whoever holds this looks and makes.
    stamps: Arc<Mutex<Vec<Stamp>>>,
    born: Instant,
    /// When the files are to be looked at again, in milliseconds since `born`.
    next: AtomicU64,
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    pub(crate) fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                files,
                make: Box::new(make),
                current: ArcSwapOption::empty(),
                stamps: Arc::default(),
                born: Instant::now(),
                next: AtomicU64::new(0),
            }),
        }
    }

    /// What there is, made if need be. An error only where there never was a good one: when files
    /// have become bad, what was made of the good ones goes on.
    pub(crate) async fn get(&self) -> Result<Arc<T>, TlsError> {
        let inner = &self.inner;
        let current = inner.current.load_full();
        let guard = match &current {
            Some(current) if !inner.is_due() => return Ok(current.clone()),
            Some(current) => match inner.stamps.clone().try_lock_owned() {
                Ok(guard) => guard,
                // Somebody is looking already.
                Err(_) => return Ok(current.clone()),
            },
            None => inner.stamps.clone().lock_owned().await,
        };
        let inner = inner.clone();
        let work = tokio::task::spawn_blocking(move || inner.look(guard));
        work.await
            .unwrap_or_else(|e| Err(TlsError::Other(e.to_string())))
    }
}

impl<T> Inner<T> {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_due(&self) -> bool {
        !self.files.is_empty() && self.elapsed() >= self.next.load(Ordering::Relaxed)
    }

    /// Makes it where there is none, or where the files have changed.
    fn look(&self, mut known: OwnedMutexGuard<Vec<Stamp>>) -> Result<Arc<T>, TlsError> {
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        self.next.store(self.elapsed() + every, Ordering::Relaxed);
        let now = stamps(&self.files);
        let current = self.current.load_full();
        if let Some(current) = &current
            && now == *known
        {
            return Ok(current.clone());
        }
        let made = (self.make)();
        *known = now;
        match (made, current) {
            (Ok(made), before) => {
                let made = Arc::new(made);
                self.current.store(Some(made.clone()));
                if before.is_some() {
                    tracing::info!("certificates read again: {:?}", self.files);
                }
                Ok(made)
            }
            (Err(error), Some(current)) => {
                tracing::warn!("{error}: the certificates of before are used");
                Ok(current)
            }
            (Err(error), None) => Err(error),
        }
    }
}
