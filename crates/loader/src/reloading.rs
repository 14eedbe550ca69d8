//! Something that is made of what sources hold, and made again when that changes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use futures_util::future::join_all;
use gost_core::{
    error::{Error, Result, Why},
    listener::BoxFuture,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};

use crate::{
    Content, LoadError, Loaded, RedisKind, SourceOptions, kept::KeptSource, options::SHORTEST,
    source::Source,
};

/// How long a program that starts waits for redis and URLs. Who has not answered by then is asked
/// again in the background.
const FIRST: Duration = Duration::from_secs(5);

/// Something that is made of what sources hold, and made again when that changes.
///
/// Whoever asks gets a whole one, without waiting. It is loaded by a task of the runtime that made
/// it, which ends when this is dropped.
pub struct Reloading<T> {
    now: Arc<Now<T>>,
    _task: Option<JoinSet<()>>,
}

/// What there is now, and how often there has been another.
struct Now<T> {
    made: ArcSwap<T>,
    version: AtomicU64,
    changed: Notify,
}

impl<T> Now<T> {
    fn new(made: T) -> Arc<Self> {
        Arc::new(Self {
            made: ArcSwap::from_pointee(made),
            version: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    fn set(&self, made: T) {
        self.made.store(Arc::new(made));
        self.version.fetch_add(1, Release);
        self.changed.notify_waiters();
    }
}

impl<T: Send + Sync + 'static> Reloading<T> {
    /// Something that stays as it is.
    pub fn fixed(made: T) -> Self {
        Self {
            now: Now::new(made),
            _task: None,
        }
    }

    /// Loads the sources and makes something of them. `make` gets what is loaded and adds what is
    /// written in the configuration; it may compute, on a thread for that. `place` says whose it
    /// is, for the log; `kinds` are what may be in redis, the default first.
    ///
    /// A source that can't be read at first is asked again and again; until then
    /// [`Loaded::is_whole`] is false. One that can't be read later leaves all as it was.
    ///
    /// # Errors
    /// A file that can't be read at first; a redis `type` that is not among `kinds`.
    pub async fn new(
        place: &str,
        options: &SourceOptions,
        kinds: &[RedisKind],
        make: impl Fn(&Loaded) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        let make = Arc::new(make);
        let on_a_thread = move |loaded: Arc<Loaded>| -> BoxFuture<'static, Result<T>> {
            let make = make.clone();
            let making = tokio::task::spawn_blocking(move || make(&loaded));
            Box::pin(async {
                making
                    .await
                    .map_err(|e| Error::new(Why::Other, e.to_string()))
            })
        };
        Self::with(place, options, kinds, on_a_thread).await
    }

    /// As [`Self::new`], for what can't be made at once. Where it fails, the sources that have
    /// changed count as if they could not be read; without them it must not fail.
    ///
    /// # Errors
    /// As for [`Self::new`]; and what can't be made at first.
    pub async fn with(
        place: &str,
        options: &SourceOptions,
        kinds: &[RedisKind],
        make: impl Fn(Arc<Loaded>) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let sources = Source::all(options, kinds)?;
        let kept = |source| KeptSource::new(source, options.period());
        let mut maker = Maker {
            place: place.into(),
            sources: sources.into_iter().map(kept).collect(),
            make: Box::new(make),
            again: None,
        };
        let made = maker.first().await?;
        if maker.next().is_none() {
            return Ok(Self::fixed(made));
        }
        let now = Now::new(made);
        let mut task = JoinSet::new();
        task.spawn(maker.run(now.clone()));
        Ok(Self {
            now,
            _task: Some(task),
        })
    }

    /// What there is now.
    pub fn load(&self) -> Guard<Arc<T>> {
        self.now.made.load()
    }

    /// Another number when there is something else than before. Whoever asks for it first and then
    /// [loads](Self::load) has something at least as new.
    pub fn version(&self) -> u64 {
        self.now.version.load(Acquire)
    }

    /// Waits until there is something else than at `version`.
    pub async fn newer_than(&self, version: u64) {
        let mut changed = std::pin::pin!(self.now.changed.notified());
        loop {
            changed.as_mut().enable();
            if self.version() != version {
                return;
            }
            changed.as_mut().await;
            changed.set(self.now.changed.notified());
        }
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloading")
    }
}

type Make<T> = dyn Fn(Arc<Loaded>) -> BoxFuture<'static, Result<T>> + Send + Sync;

/// Looks after the sources.
struct Maker<T> {
    place: Box<str>,
    sources: Vec<KeptSource>,
    make: Box<Make<T>>,
    /// When it is to be made again, whatever the sources hold.
    again: Option<Instant>,
}

impl<T: Send + Sync + 'static> Maker<T> {
    /// What is made at first.
    async fn first(&mut self) -> Result<T> {
        let place = &self.place;
        let refused = |source: &Source, e: &dyn fmt::Display| {
            Error::new(Why::BadInput, format!("{source}: {e}"))
        };
        let loading = self.sources.iter_mut().map(async |kept| {
            // A file answers at once; a name server that does not is no reason not to start.
            let loaded = match tokio::time::timeout(FIRST, kept.refresh()).await {
                Ok(loaded) => loaded,
                Err(_) => Err(LoadError::TimedOut),
            };
            match loaded {
                Err(error) if kept.source.is_file() => Err(refused(&kept.source, &error)),
                Err(error) => {
                    if let Some(text) = kept.fail(&error) {
                        tracing::warn!("{place}: {text}");
                    }
                    Ok(())
                }
                Ok(_) => Ok(()),
            }
        });
        for loaded in join_all(loading).await {
            loaded?;
        }
        let made = match self.make().await {
            Ok(made) => Ok(made),
            Err(error) => {
                if let Some(file) = self.sources.iter().find(|kept| kept.source.is_file()) {
                    return Err(refused(&file.source, &error));
                }
                self.revert(&vec![None; self.sources.len()], &error);
                self.make().await
            }
        };
        self.settle();
        made
    }

    /// Says of what sources can be read again.
    fn settle(&mut self) {
        for kept in &mut self.sources {
            if kept.settle() {
                tracing::info!("{}: {}: is there again", self.place, kept.source);
            }
        }
    }

    /// Makes it of what is known of the sources.
    async fn make(&mut self) -> Result<T> {
        let known = |kept: &KeptSource| (kept.source.clone(), kept.content.clone());
        let loaded = Arc::new(Loaded::new(self.sources.iter().map(known).collect()));
        let made = (self.make)(loaded.clone()).await?;
        let again = loaded.again();
        self.again = again.map(|delay| Instant::now() + delay.max(SHORTEST));
        if let Some(complaint) = loaded.complaint() {
            tracing::warn!("{}: {complaint}", self.place);
        }
        Ok(made)
    }

    /// Takes back what nothing can be made of.
    fn revert(&mut self, before: &[Option<Arc<Content>>], error: &Error) {
        for (kept, before) in self.sources.iter_mut().zip(before) {
            if kept.content != *before {
                kept.content.clone_from(before);
                if let Some(text) = kept.fail(&LoadError::Bad(error.to_string())) {
                    tracing::warn!("{}: {text}", self.place);
                }
            }
        }
    }

    /// When something is to be done.
    fn next(&self) -> Option<Instant> {
        let sources = self.sources.iter().map(|kept| kept.next);
        sources.chain([self.again]).flatten().min()
    }

    /// Loads for as long as somebody is there to ask.
    async fn run(mut self, now: Arc<Now<T>>) {
        while let Some(next) = self.next() {
            tokio::time::sleep_until(next).await;
            let before: Vec<_> = self
                .sources
                .iter()
                .map(|kept| kept.content.clone())
                .collect();
            let started = Instant::now();
            let loaded = join_all(self.sources.iter_mut().map(KeptSource::refresh)).await;
            let mut is_new = false;
            for (kept, loaded) in self.sources.iter_mut().zip(loaded) {
                match loaded {
                    Ok(changed) => is_new |= changed,
                    Err(error) => {
                        if let Some(text) = kept.fail(&error) {
                            tracing::warn!("{}: {text}", self.place);
                        }
                    }
                }
            }
            if is_new || self.again.take_if(|again| *again <= started).is_some() {
                match self.make().await {
                    Ok(made) => {
                        now.set(made);
                        if is_new {
                            let took = started.elapsed().as_millis();
                            tracing::info!("{}: loaded again in {took} ms", self.place);
                        }
                    }
                    Err(error) => self.revert(&before, &error),
                }
            }
            self.settle();
        }
    }
}
