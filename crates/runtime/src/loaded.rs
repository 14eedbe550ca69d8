//! The loaders of a section, as the options of a component.

use std::collections::BTreeMap;

use gost_config::{FileLoader, HttpLoader, Nanos, RedisLoader};
use gost_core::{duration::format_go, values::Value};

use crate::policies::Fields;

/// The loaders that an item of a section has.
#[derive(Clone, Copy)]
pub(crate) struct Loaders<'a> {
    pub(crate) file: Option<&'a FileLoader>,
    pub(crate) redis: Option<&'a RedisLoader>,
    pub(crate) http: Option<&'a HttpLoader>,
    pub(crate) reload: Nanos,
}

/// The [`Loaders`] of an item that has the keys.
macro_rules! loaders {
    ($item:expr) => {
        $crate::loaded::Loaders {
            file: $item.file.as_ref(),
            redis: $item.redis.as_ref(),
            http: $item.http.as_ref(),
            reload: $item.reload,
        }
    };
}
pub(crate) use loaders;

impl Fields {
    /// Adds what is loaded.
    pub(crate) fn loaders(mut self, loaders: Loaders<'_>) -> Self {
        if let Some(file) = loaders.file {
            self = self.set("file", map([("path", &file.path)]));
        }
        if let Some(redis) = loaders.redis {
            let texts = [
                ("addr", &*redis.addr),
                ("db", &redis.db.to_string()),
                ("username", &redis.username),
                ("password", &redis.password),
                ("key", &redis.key),
                ("type", &redis.r#type),
            ];
            self = self.set("redis", map(texts));
        }
        if let Some(http) = loaders.http {
            let timeout = format_go(http.timeout.positive().unwrap_or_default());
            self = self.set("http", map([("url", &*http.url), ("timeout", &timeout)]));
        }
        let reload = loaders.reload.positive().unwrap_or_default();
        self.set("reload", Value::Text(format_go(reload)))
    }
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> Value {
    let entry = |(key, text): (&str, &str)| (key.to_owned(), Value::Text(text.to_owned()));
    Value::Map(BTreeMap::from(entries.map(entry)))
}
