//! Quotas: amounts of bytes that the clients of services may use up together.
//!
//! What was used is remembered in a file, in a redis server that several daemons share, or not at
//! all.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_quota::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Quota>("file"));
//! ```

mod file;
mod quota;
mod redis;
mod store;
mod window;

use std::{path::PathBuf, sync::Arc, time::Duration};

use gost_core::{
    error::{Error, Result, Why},
    meter::Direction,
    options,
    policy::Quota,
    registry::Registry,
    size::Size,
};
use gost_loader::RedisSource;

pub use quota::{Allotment, Terms};
pub use store::{Record, Store, StoreError};
pub use window::Window;

options! {
    /// Options of a quota.
    pub struct QuotaOptions {
        /// The name under which it is remembered.
        name: String = String::new(), "name";
        /// The amount, such as `10GB`; none or 0 only counts.
        limit: String = String::new(), "limit";
        /// When counting begins, in RFC 3339.
        starts_at: String = String::new(), "startsAt";
        /// When counting ends, in RFC 3339.
        expires_at: String = String::new(), "expiresAt";
        /// Which bytes count: `in` from clients, `out` to them, or `total`.
        direction: String = String::new(), "direction";
        /// How often what was used is stored.
        flush: Duration = Duration::from_secs(10), "flush";
    }
}

impl QuotaOptions {
    /// What the options mean.
    fn terms(&self) -> Result<Terms> {
        let wrong = |key: &str, why: &str| Error::new(Why::BadInput, format!("{key}: {why}"));
        let limit = match self.limit.trim() {
            "" => 0,
            text => Size::parse(text).map_err(|e| wrong("limit", &e))?.bytes,
        };
        let direction = match self.direction.trim().to_ascii_lowercase().as_str() {
            "" | "total" => None,
            "in" => Some(Direction::In),
            "out" => Some(Direction::Out),
            other => {
                let why = format!("{other:?} is none of in, out and total");
                return Err(wrong("direction", &why));
            }
        };
        let time = |key: &str, text: &str| window::parse(text).map_err(|e| wrong(key, &e));
        Ok(Terms {
            name: self.name.as_str().into(),
            limit,
            window: Window {
                starts: time("startsAt", &self.starts_at)?,
                expires: time("expiresAt", &self.expires_at)?,
            },
            direction,
            flush: if self.flush.is_zero() {
                Self::default().flush
            } else {
                self.flush
            },
        })
    }
}

options! {
    /// Options of a quota that is remembered in a file.
    pub struct FileOptions {
        ..quota: QuotaOptions;
        /// The path of the file.
        file: String = String::new(), "file";
    }
}

options! {
    /// Options of a quota that is remembered in redis, and shared by all who use the same key there.
    pub struct RedisOptions {
        ..quota: QuotaOptions;
        /// The server: a map with `addr`, `db`, `username`, `password` and `key`.
        redis: Option<RedisSource> = None, "redis";
    }
}

/// The file of quotas that name none, in the working directory.
const FILE: &str = "gost-quota.json";

/// Adds the quotas `file`, `redis` and `memory`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Quota, _, _>(&["memory"], |options: QuotaOptions, _| async move {
        let terms = options.terms()?;
        let made = Allotment::new(terms, Store::Memory).await?;
        Ok(Arc::new(made) as Arc<dyn Quota>)
    });
    registry.add::<dyn Quota, _, _>(&["file"], |options: FileOptions, _| async move {
        let terms = options.quota.terms()?;
        let path = match options.file.trim() {
            "" => FILE,
            path => path,
        };
        let store = file::FileStore::open(&PathBuf::from(path));
        let store = store.map_err(|e| Error::new(Why::BadInput, format!("{path}: {e}")))?;
        let made = Allotment::new(terms, Store::File(store)).await?;
        Ok(Arc::new(made) as Arc<dyn Quota>)
    });
    registry.add::<dyn Quota, _, _>(&["redis"], |options: RedisOptions, _| async move {
        let terms = options.quota.terms()?;
        let server = options
            .redis
            .ok_or_else(|| Error::new(Why::BadInput, "redis: no server"))?;
        let store = Store::Redis(redis::RedisStore::new(server));
        let made = Allotment::new(terms, store).await?;
        Ok(Arc::new(made) as Arc<dyn Quota>)
    });
}
