//! Where records go: files, TCP, URLs, redis.
//!
//! Each takes one record at a time and may be busy with several; whoever records puts a queue before
//! it.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_recorder::register(&mut registry);
//! assert_eq!(
//!     registry.names::<dyn gost_core::policy::Recorder>(),
//!     ["file", "redis", "tcp", "url"]
//! );
//! ```

mod file;
mod http;
mod redis;
mod tcp;

use std::{sync::Arc, time::Duration};

use gost_core::{build::Build, policy::Recorder, registry::Registry};

pub use file::{FileOptions, FileRecorder};
pub use http::{HttpOptions, HttpRecorder};
pub use redis::{Kind, RedisOptions, RedisRecorder};
pub use tcp::{TcpOptions, TcpRecorder};

/// How long a recorder tries when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time that was set, if one was.
const fn or_patience(timeout: Duration) -> Duration {
    if timeout.is_zero() { PATIENCE } else { timeout }
}

/// Adds the recorders `file`, `tcp`, `url` and `redis`; `http` is one that is a plugin.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Recorder, _, _>(&["file"], |options: FileOptions, _: Build| async move {
        Ok(Arc::new(FileRecorder::open(&options)?) as Arc<dyn Recorder>)
    });
    registry.add::<dyn Recorder, _, _>(&["tcp"], |options: TcpOptions, _: Build| async move {
        Ok(Arc::new(TcpRecorder::new(&options)?) as Arc<dyn Recorder>)
    });
    registry.add::<dyn Recorder, _, _>(&["url"], |options: HttpOptions, _: Build| async move {
        Ok(Arc::new(HttpRecorder::new(&options)?) as Arc<dyn Recorder>)
    });
    registry.add::<dyn Recorder, _, _>(&["redis"], |options: RedisOptions, _: Build| async move {
        Ok(Arc::new(RedisRecorder::new(&options)?) as Arc<dyn Recorder>)
    });
}
