//! A place to load entries from.

use std::{fmt, io};

use gost_core::error::{Error, Result, Why};

use crate::{
    Content, FileSource, HttpSource, RedisKind, RedisSource, SourceOptions, file, http, redis,
};

/// The most bytes that a source may hold.
pub const MAX_SIZE: usize = 64 << 20;

/// Why a source was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The URL did not answer with a document.
    #[error("{0}")]
    Http(String),
    /// Redis did not answer with what was asked for.
    #[error("{0}")]
    Redis(String),
    /// It holds more than [`MAX_SIZE`] bytes.
    #[error("holds more than {} MiB", MAX_SIZE >> 20)]
    TooLong,
    /// Nothing was heard in time.
    #[error("no answer in time")]
    TimedOut,
    /// What it holds is not what it should be.
    #[error("{0}")]
    Bad(String),
}

/// A place to load entries from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(FileSource),
    Redis(RedisSource, RedisKind),
    Http(HttpSource),
}

impl Source {
    /// The sources of a component, in the order in which later ones count. `kinds` are what it
    /// takes from redis, its default first; with a single one `type` does not matter.
    pub(crate) fn all(options: &SourceOptions, kinds: &[RedisKind]) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        if let Some(file) = &options.file
            && !file.path.as_os_str().is_empty()
        {
            sources.push(Self::File(file.clone()));
        }
        if let Some(redis) = &options.redis
            && !redis.addr.trim().is_empty()
        {
            let kind = redis.kind.trim();
            let known = kinds
                .first()
                .filter(|_| kind.is_empty() || kinds.len() == 1)
                .copied();
            let known =
                known.or_else(|| RedisKind::parse(kind).filter(|kind| kinds.contains(kind)));
            let known = known.ok_or_else(|| {
                Error::new(
                    Why::BadInput,
                    format!("redis.type: {kind:?} is not possible here"),
                )
            })?;
            sources.push(Self::Redis(redis.clone(), known));
        }
        if let Some(http) = &options.http
            && !http.url.trim().is_empty()
        {
            sources.push(Self::Http(http.clone()));
        }
        Ok(sources)
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    pub(crate) async fn load(&self) -> Result<Content, LoadError> {
        match self {
            Self::File(file) => file::read(file).await.map(Content::Text),
            Self::Redis(redis, kind) => redis::load(redis, *kind).await,
            Self::Http(http) => http::load(http).await.map(Content::Text),
        }
    }
}

/// What to call it in messages: without credentials, and without the query of a URL.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "file {}", file.path.display()),
            Self::Redis(redis, _) => write!(f, "redis {} {}", redis.addr, redis::key(redis)),
            Self::Http(http) => f.write_str(&http::shown(&http.url)),
        }
    }
}
