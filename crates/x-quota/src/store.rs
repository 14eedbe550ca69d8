//! Where what was used is remembered.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    file::FileStore,
    quota::Terms,
    redis::RedisStore,
    window::{Window, nanos},
};

/// Why something could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not one of quotas.
    #[error("not a file of quotas: {0}")]
    Form(#[from] serde_json::Error),
    /// The redis server failed.
    #[error("redis: {0}")]
    Redis(String),
}

/// What is remembered of a quota; times are nanoseconds since 1970, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Bytes used.
    pub used: u64,
    /// Bytes there are.
    pub limit: u64,
    /// When counting begins.
    pub starts_at: i64,
    /// When counting ends.
    pub expires_at: i64,
    /// When this was stored.
    pub updated_at: i64,
}

impl Record {
    /// So much used of a quota, now.
    pub(crate) fn new(terms: &Terms, used: u64) -> Self {
        Self {
            used,
            limit: terms.limit,
            starts_at: nanos(terms.window.starts),
            expires_at: nanos(terms.window.expires),
            updated_at: nanos(Some(SystemTime::now())),
        }
    }

    /// What was used in the given time is not what was used in another.
    pub(crate) fn is_of(&self, window: &Window) -> bool {
        self.starts_at == nanos(window.starts) && self.expires_at == nanos(window.expires)
    }
}

/// Where what was used is remembered.
#[derive(Clone, Debug)]
pub enum Store {
    /// Nowhere.
    Memory,
    /// In a file.
    File(Arc<FileStore>),
    /// In a redis server, where others count too.
    Redis(RedisStore),
}
