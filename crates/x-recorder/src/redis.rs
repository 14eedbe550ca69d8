//! Records in redis.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{Answer, Credentials, Recorder},
};
use gost_loader::redis_login;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

use crate::PATIENCE;

/// The port of a server that is named without one.
const PORT: u16 = 6379;

options! {
    /// Options of the redis recorder.
    pub struct RedisOptions {
        /// The server.
        addr: String = String::new(), "addr";
        /// The number of the database.
        db: i64 = 0, "db";
        /// The user.
        username: String = String::new(), "username";
        /// The password.
        password: String = String::new(), "password";
        /// The key.
        key: String = String::new(), "key";
        /// What is there: a `set` of records, a `list` with the newest first, or an `sset`, which
        /// counts how often each came.
        kind: String = "set".into(), "type";
    }
}

/// What is under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A set.
    Set,
    /// A list, the newest first.
    List,
    /// A sorted set that counts how often each record came.
    SortedSet,
}

/// Puts records under a key, over one connection for all.
pub struct RedisRecorder(Arc<Shared>);

struct Shared {
    client: Client,
    key: String,
    kind: Kind,
    /// The connection, once there was a record.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl RedisRecorder {
    /// A recorder for a server, which is connected to when there is something to record. An error
    /// names the option that is wrong.
    pub fn new(options: &RedisOptions) -> Result<Self> {
        let bad = |what: String| Error::new(Why::BadInput, what);
        if options.key.is_empty() {
            return Err(bad("the key is empty".into()));
        }
        let kind = match options.kind.trim() {
            "" | "set" => Kind::Set,
            "list" => Kind::List,
            "sset" => Kind::SortedSet,
            other => return Err(bad(format!("type {other:?}: expected set, list or sset"))),
        };
        let (host, port) = host_and_port(options.addr.trim())
            .ok_or_else(|| bad(format!("{:?} is no address", options.addr)))?;
        let login = Credentials {
            username: options.username.clone(),
            password: options.password.clone(),
        };
        let login = redis_login(options.db, &login);
        let info = (host, port)
            .into_connection_info()
            .map_err(|e| failed(&e))?;
        Ok(Self(Arc::new(Shared {
            client: Client::open(info.set_redis_settings(login)).map_err(|e| failed(&e))?,
            key: options.key.clone(),
            kind,
            connection: Mutex::default(),
        })))
    }
}

fn host_and_port(addr: &str) -> Option<(&str, u16)> {
    let (host, port) = match addr.rsplit_once(':') {
        Some((host, port)) if !addr.ends_with(']') => (host, port.parse().ok()?),
        _ => (addr, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((if host.is_empty() { "127.0.0.1" } else { host }, port))
}

fn failed(error: &RedisError) -> Error {
    Error::new(Why::Other, error.to_string())
}

impl Shared {
    /// The connection, which is made if there is none.
    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = &self.client;
        let made = client.get_multiplexed_async_connection_with_config(&config);
        Ok(kept.insert(made.await?).clone())
    }

    async fn put(&self, record: &[u8]) -> Result<(), RedisError> {
        let mut connection = self.connection().await?;
        let mut command = match self.kind {
            Kind::Set => redis::cmd("SADD"),
            Kind::List => redis::cmd("LPUSH"),
            Kind::SortedSet => redis::cmd("ZADD"),
        };
        command.arg(&self.key);
        if self.kind == Kind::SortedSet {
            command.arg("INCR").arg(1);
        }
        command.arg(record).exec_async(&mut connection).await
    }
}

impl Recorder for RedisRecorder {
    fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
        let shared = self.0.clone();
        Answer::later(async move {
            let result = shared.put(&record).await;
            // A server that was away is connected to again, and asked once more.
            let result = match result {
                Err(error) if error.is_unrecoverable_error() && !error.is_timeout() => {
                    *shared.connection.lock().await = None;
                    shared.put(&record).await
                }
                other => other,
            };
            if result
                .as_ref()
                .is_err_and(RedisError::is_unrecoverable_error)
            {
                *shared.connection.lock().await = None;
            }
            result.map_err(|e| failed(&e))
        })
    }
}

impl fmt::Debug for RedisRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisRecorder({:?} {})", self.0.kind, self.0.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (addr, expected) in [
            ("r.test", Some(("r.test", 6379))),
            ("r.test:1", Some(("r.test", 1))),
            (":1", Some(("127.0.0.1", 1))),
            ("[::1]:1", Some(("::1", 1))),
            ("[::1]", Some(("::1", 6379))),
            ("a:b", None),
        ] {
            assert_eq!(host_and_port(addr), expected, "{addr}");
        }
    }

    #[test]
    fn what_can_not_be_is_an_error_and_passwords_are_not_shown() {
        let options = RedisOptions {
            addr: "127.0.0.1:1".into(),
            key: "k".into(),
            password: "secret".into(),
            ..RedisOptions::default()
        };
        let recorder = RedisRecorder::new(&options).unwrap();
        assert_eq!(format!("{recorder:?}"), "RedisRecorder(Set k)");
        for wrong in [
            RedisOptions {
                key: String::new(),
                ..options.clone()
            },
            RedisOptions {
                kind: "hash".into(),
                ..options.clone()
            },
            RedisOptions {
                addr: "a:b".into(),
                ..options.clone()
            },
        ] {
            assert!(RedisRecorder::new(&wrong).is_err());
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_an_error() {
        let recorder = RedisRecorder::new(&RedisOptions {
            addr: "127.0.0.1:1".into(),
            key: "k".into(),
            ..RedisOptions::default()
        })
        .unwrap();
        assert!(recorder.record("x".into(), &"null".into()).await.is_err());
    }
}
