//! Tables that are loaded from files, URLs and redis, and again when they change.
//!
//! A component includes [`SourceOptions`] among its options and keeps what it makes of them in a
//! [`Reloading`]: whoever asks it sees a whole table, the old one or the new one. A load that fails
//! changes nothing and is said once.
//!
//! ```
//! use gost_loader::{Entry, RedisKind, Reloading, SourceOptions};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let options = SourceOptions::default();
//! let words = Reloading::new("words", &options, &[RedisKind::Set], |loaded| {
//!     let loaded = loaded.entries().map(|entry| entry.uncommented().to_owned());
//!     std::iter::once("inline".to_owned()).chain(loaded).collect::<Vec<_>>()
//! });
//! assert_eq!(**words.await?.load(), ["inline"]);
//! # Ok::<_, gost_core::Error>(())
//! # }).unwrap();
//! ```

mod bounded;
mod content;
mod file;
mod http;
mod kept;
mod options;
mod redis;
mod reloading;
mod source;

#[cfg(test)]
mod tests;

pub use content::{Content, Entry, Loaded};
pub use http::{Page, agent, get, without_credentials};
pub use options::{FileSource, HttpSource, RedisKind, RedisSource, SourceOptions};
pub use redis::redis_login;
pub use reloading::Reloading;
pub use source::{LoadError, MAX_SIZE};
