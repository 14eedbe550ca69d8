//! Who may do what, and how much.

use super::{Auth, FileLoader, HttpLoader, Plugin, RedisLoader, schema};
use crate::{
    List,
    scalar::{Nanos, Secret},
};

schema! {
    /// Users that may log in.
    pub struct Auther {
        /// Unique name.
        name: String => "name".always();
        /// The users.
        auths: List<Auth> => "auths";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More users from a file.
        file: Option<FileLoader> => "file";
        /// More users from redis.
        redis: Option<RedisLoader> => "redis";
        /// More users from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// Client addresses that may connect, or may not.
    pub struct Admission {
        /// Unique name.
        name: String => "name".always();
        /// Deprecated: `whitelist`.
        reverse: bool => "reverse";
        /// Only what matches is admitted, instead of only what does not.
        whitelist: bool => "whitelist";
        /// Addresses, networks and host names.
        matchers: Vec<String> => "matchers";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More matchers from a file.
        file: Option<FileLoader> => "file";
        /// More matchers from redis.
        redis: Option<RedisLoader> => "redis";
        /// More matchers from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// Targets that are kept from a way out, or that alone may take it.
    pub struct Bypass {
        /// Unique name.
        name: String => "name".always();
        /// Deprecated: `whitelist`.
        reverse: bool => "reverse";
        /// Everything but what matches is bypassed.
        whitelist: bool => "whitelist";
        /// Only for this network, such as `udp`.
        network: String => "network";
        /// Addresses, networks, names and patterns.
        matchers: Vec<String> => "matchers";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More matchers from a file.
        file: Option<FileLoader> => "file";
        /// More matchers from redis.
        redis: Option<RedisLoader> => "redis";
        /// More matchers from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// Limits: bytes per second, connections, or requests per second, after its section.
    pub struct Limiter {
        /// Unique name in its section.
        name: String => "name".always();
        /// Lines such as `$ 10MB 20MB` (bytes) or `$$ 100` (connections, requests).
        limits: Vec<String> => "limits";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More limits from a file.
        file: Option<FileLoader> => "file";
        /// More limits from redis.
        redis: Option<RedisLoader> => "redis";
        /// More limits from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides; for bytes per second only.
        plugin: Option<Plugin> => "plugin";
    }

    /// An amount of bytes that services may use up together.
    pub struct Quota {
        /// Unique name.
        name: String => "name".always();
        /// The amount, such as `10GB`.
        limit: String => "limit";
        /// When counting begins, in RFC 3339.
        starts_at: String => "startsAt";
        /// When counting ends, in RFC 3339.
        expires_at: String => "expiresAt";
        /// `in`, `out` or `total`.
        direction: String => "direction";
        /// How often the count is stored, as text; empty for 10 s.
        flush: String => "flush";
        /// Where the count is stored.
        store: Option<QuotaStore> => "store";
        /// What the web API once reported; without effect.
        status: Option<QuotaStatus> => "status";
    }

    /// Where the count of a quota is stored.
    pub struct QuotaStore {
        /// `file` or `redis`.
        r#type: String => "type".always();
        /// Path; empty for `gost-quota.json`.
        file: String => "file";
        /// The redis server.
        redis: Option<QuotaRedis> => "redis";
    }

    /// A redis server that stores the count of a quota.
    pub struct QuotaRedis {
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
    }

    /// What the web API reports about a quota.
    pub struct QuotaStatus {
        /// Bytes used.
        used: u64 => "used".always();
        /// Bytes allowed.
        limit: u64 => "limit".always();
        /// Begin of its time, in seconds since 1970.
        starts_at: i64 => "startsAt";
        /// End of its time, in seconds since 1970.
        expires_at: i64 => "expiresAt";
        /// True inside its time.
        active: bool => "active".always();
        /// True after its time.
        expired: bool => "expired";
        /// True when used up.
        blocked: bool => "blocked".always();
        /// Which bytes count.
        direction: String => "direction";
    }
}
