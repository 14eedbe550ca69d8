//! What is written down about traffic, and where; caches and rewriters of HTTP.

use std::collections::BTreeMap;

use super::{Log, LogRotation, Plugin, schema};
use crate::scalar::{Nanos, Secret};

schema! {
    /// Where records go: the first of plugin, file, tcp, http, redis that is given.
    pub struct Recorder {
        /// Unique name.
        name: String => "name".always();
        /// Into a file.
        file: Option<FileRecorder> => "file";
        /// Over TCP.
        tcp: Option<TcpRecorder> => "tcp";
        /// To a URL.
        http: Option<HttpRecorder> => "http";
        /// Into redis.
        redis: Option<RedisRecorder> => "redis";
        /// To a plugin.
        plugin: Option<Plugin> => "plugin";
    }

    /// Records into a file.
    pub struct FileRecorder {
        /// Path.
        path: String => "path".always();
        /// Written after each record.
        sep: String => "sep";
        /// When the file is changed for a new one.
        rotation: Option<LogRotation> => "rotation";
    }

    /// Records over TCP, one connection each.
    pub struct TcpRecorder {
        /// Address.
        addr: String => "addr".always();
        /// How long it may take; 0 for no limit.
        timeout: Nanos => "timeout".always();
    }

    /// Records posted to a URL.
    pub struct HttpRecorder {
        /// URL.
        url: String => "url".always();
        /// How long it may take; 0 for no limit.
        timeout: Nanos => "timeout";
        /// Headers to send.
        header: BTreeMap<String, String> => "header";
    }

    /// Records into redis.
    pub struct RedisRecorder {
        /// Address.
        addr: String => "addr".always();
        /// Number of the database.
        db: i64 => "db";
        /// User name.
        username: String => "username";
        /// Password.
        password: Secret => "password";
        /// Key.
        key: String => "key";
        /// Type of the value: `set`, `list`, `sset`.
        r#type: String => "type";
    }

    /// A rewriter of HTTP bodies.
    pub struct Rewriter {
        /// Unique name.
        name: String => "name".always();
        /// The plugin that does it.
        plugin: Option<Plugin> => "plugin";
    }

    /// A cache of HTTP responses.
    pub struct Cache {
        /// Unique name.
        name: String => "name".always();
        /// In memory.
        memory: Option<MemoryCache> => "memory";
        /// In redis, when not in memory.
        redis: Option<RedisCache> => "redis";
    }

    /// A cache in memory.
    pub struct MemoryCache {
        /// How long entries stay; 0 for ever.
        ttl: Nanos => "ttl";
        /// The most entries; 0 for any number.
        max_size: i64 => "maxSize";
        /// The most bytes; 0 for any number.
        max_bytes: i64 => "maxBytes";
        /// How often old entries are looked for; 0 for never.
        cleanup_interval: Nanos => "cleanupInterval";
        /// Which entry goes first: `oldest` or `lru`.
        eviction: String => "eviction";
    }

    /// A cache in redis.
    pub struct RedisCache {
        /// Address.
        addr: String => "addr".always();
        /// Number of the database.
        db: i64 => "db";
        /// User name.
        username: String => "username";
        /// Password.
        password: Secret => "password";
        /// How long entries stay; 0 for ever.
        ttl: Nanos => "ttl";
        /// Prefix of keys; empty for `gost:cache:`.
        key: String => "key";
    }

    /// One who is told about events and statistics.
    pub struct Observer {
        /// Unique name.
        name: String => "name".always();
        /// The plugin that is told.
        plugin: Option<Plugin> => "plugin";
    }

    /// A logger that services may choose.
    pub struct Logger {
        /// Unique name.
        name: String => "name".always();
        /// How it logs.
        log: Option<Log> => "log";
    }
}
