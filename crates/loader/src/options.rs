//! The keys of a component that is loaded.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use gost_core::{
    options,
    policy::Credentials,
    values::{FromValue, Value},
};

/// The shortest time between two loads.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

options! {
    /// Where the entries of a table are loaded from, beside those that are written in the
    /// configuration.
    pub struct SourceOptions {
        /// How often redis and the URL are asked again; 0 for once. A file is read again when it
        /// changes, whatever this says.
        reload: Duration = Duration::ZERO, "reload";
        /// Entries from a file: a map with `path`.
        file: Option<FileSource> = None, "file";
        /// Entries from redis: a map with `addr`, `db`, `username`, `password`, `key` and `type`.
        redis: Option<RedisSource> = None, "redis";
        /// Entries from a URL: a map with `url` and `timeout`.
        http: Option<HttpSource> = None, "http";
    }
}

impl SourceOptions {
    /// True when nothing is loaded.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.redis.is_none() && self.http.is_none()
    }

    /// The time between two loads: a second at least; `None` for once.
    pub fn period(&self) -> Option<Duration> {
        (!self.reload.is_zero()).then(|| self.reload.max(SHORTEST))
    }
}

/// A file of entries, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// The path.
    pub path: PathBuf,
}

/// A URL of entries, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSource {
    /// The URL, perhaps with credentials.
    pub url: String,
    /// How long it may take; zero for the default.
    pub timeout: Duration,
}

/// A key of a redis server that holds entries. Printing it does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSource {
    /// Host and port.
    pub addr: String,
    /// The number of the database.
    pub db: i64,
    /// The user to log in as.
    pub login: Credentials,
    /// The key; empty for `gost`.
    pub key: String,
    /// What the value of the key is; empty for what the component takes by default.
    pub kind: String,
}

impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RedisSource({}, {}, {:?})",
            self.addr, self.key, self.login
        )
    }
}

/// What the value of a redis key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisKind {
    /// A text of lines.
    Text,
    /// A set of entries.
    Set,
    /// A list of entries.
    List,
    /// A hash of entries with a field and a value.
    Hash,
}

impl RedisKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "string" => Self::Text,
            "set" => Self::Set,
            "list" => Self::List,
            "hash" => Self::Hash,
            _ => return None,
        })
    }
}

/// The text of a key, empty where there is none.
fn text(map: &BTreeMap<String, Value>, key: &str) -> Option<String> {
    map.get(key).map_or(Some(String::new()), String::from_value)
}

fn map(value: &Value) -> Option<&BTreeMap<String, Value>> {
    match value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

impl FromValue for FileSource {
    const KIND: &'static str = "a map with path";

    fn from_value(value: &Value) -> Option<Self> {
        let path = text(map(value)?, "path")?.into();
        Some(Self { path })
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl FromValue for HttpSource {
    const KIND: &'static str = "a map with url and timeout";

    fn from_value(value: &Value) -> Option<Self> {
        let map = map(value)?;
        let timeout = map.get("timeout");
        Some(Self {
            url: text(map, "url")?,
            timeout: timeout.map_or(Some(Duration::ZERO), Duration::from_value)?,
        })
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl FromValue for RedisSource {
    const KIND: &'static str = "a map with addr, db, username, password, key and type";

    fn from_value(value: &Value) -> Option<Self> {
        let map = map(value)?;
        Some(Self {
            addr: text(map, "addr")?,
            db: map.get("db").map_or(Some(0), i64::from_value)?,
            login: Credentials {
                username: text(map, "username")?,
                password: text(map, "password")?,
            },
            key: text(map, "key")?,
            kind: text(map, "type")?,
        })
    }

    fn show(&self) -> String {
        String::new()
    }
}
