//! Entries from redis.

use std::{io, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use gost_core::policy::Credentials;
use redis::{FromRedisValue, RedisConnectionInfo, RedisError, aio::MultiplexedConnection};
use tokio::net::TcpStream;

use crate::{Content, LoadError, MAX_SIZE, RedisKind, RedisSource, bounded::Bounded, file::text};

/// How long everything may take, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(15);

/// The port of a server that is named without one.
const PORT: &str = "6379";

/// The key to ask for.
pub(crate) fn key(source: &RedisSource) -> &str {
    match source.key.trim() {
        "" => "gost",
        key => key,
    }
}

/// What is said at the beginning of a connection to redis: the number of the database, and who we
/// are where there is a password.
pub fn redis_login(db: i64, login: &Credentials) -> RedisConnectionInfo {
    let info = RedisConnectionInfo::default()
        .set_db(db)
        .set_skip_set_lib_name();
    if login.password.is_empty() {
        return info;
    }
    let info = info.set_password(&login.password);
    if login.username.is_empty() {
        info
    } else {
        info.set_username(&login.username)
    }
}

impl RedisSource {
    /// Connects to the server, at the usual port where none is named. The caller sets the deadline.
    ///
    /// # Errors
    /// Those of the sockets, and of looking up the name.
    pub async fn dial(&self) -> io::Result<TcpStream> {
        let addr = self.addr.trim();
        if addr.ends_with(']') || !addr.contains(':') {
            TcpStream::connect(format!("{addr}:{PORT}")).await
        } else {
            TcpStream::connect(addr).await
        }
    }
}

/// Loads all entries, over a connection of its own: between two loads there may be hours.
pub(crate) async fn load(source: &RedisSource, kind: RedisKind) -> Result<Content, LoadError> {
    let loading = async {
        let stream = source.dial().await;
        let stream = Bounded {
            stream: stream.map_err(|e| LoadError::Redis(e.to_string()))?,
            left: MAX_SIZE,
        };
        let info = redis_login(source.db, &source.login);
        // The deadline is the one around all this.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await?;
        let asking = pin!(ask(connection, key(source), kind));
        match select(asking, pin!(driver)).await {
            Either::Left((content, _)) => content,
            Either::Right(_) => Err(LoadError::Redis("the connection was closed".into())),
        }
    };
    match tokio::time::timeout(PATIENCE, loading).await {
        Ok(loaded) => loaded,
        Err(_) => Err(LoadError::TimedOut),
    }
}

async fn ask(
    mut connection: MultiplexedConnection,
    key: &str,
    kind: RedisKind,
) -> Result<Content, LoadError> {
    let connection = &mut connection;
    Ok(match kind {
        RedisKind::Text => {
            let found: Option<Vec<u8>> = query(connection, &["GET", key]).await?;
            let found = found.ok_or_else(|| LoadError::Redis("there is no such key".into()))?;
            Content::Text(text(found))
        }
        RedisKind::Set => {
            let found: Vec<Vec<u8>> = query(connection, &["SMEMBERS", key]).await?;
            let mut items: Vec<_> = found.into_iter().map(text).collect();
            // It has no order; with one, the same set is the same.
            items.sort_unstable();
            Content::Items(items)
        }
        RedisKind::List => {
            let found: Vec<Vec<u8>> = query(connection, &["LRANGE", key, "0", "-1"]).await?;
            Content::Items(found.into_iter().map(text).collect())
        }
        RedisKind::Hash => {
            let found: Vec<(Vec<u8>, Vec<u8>)> = query(connection, &["HGETALL", key]).await?;
            let pair = |(field, value)| (text(field), text(value));
            let mut pairs: Vec<_> = found.into_iter().map(pair).collect();
            pairs.sort_unstable();
            Content::Pairs(pairs)
        }
    })
}

async fn query<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> Result<T, LoadError> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    Ok(command.query_async(connection).await?)
}

impl From<RedisError> for LoadError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error.to_string())
    }
}
