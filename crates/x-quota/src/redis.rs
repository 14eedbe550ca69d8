//! A quota in a redis server, which several daemons use up together.
//!
//! It is a hash with the fields of a [`Record`](crate::store::Record). Each daemon adds what it has
//! counted since it last did, and learns how much all have.

use std::{fmt, time::Duration};

use gost_loader::{RedisSource, redis_login};
use redis::{RedisError, Script, aio::MultiplexedConnection};

use crate::store::{Record, StoreError};

/// How long everything may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Adds to what was used in this time, or begins anew for another one; `set` sets it instead.
const ADD: &str = r"
local key = KEYS[1]
local starts, expires = redis.call('HGET', key, 'startsAt'), redis.call('HGET', key, 'expiresAt')
if starts ~= ARGV[3] or expires ~= ARGV[4] or ARGV[6] == 'set' then
  redis.call('HSET', key, 'used', '0', 'startsAt', ARGV[3], 'expiresAt', ARGV[4])
end
redis.call('HSET', key, 'limit', ARGV[2], 'updatedAt', ARGV[5])
return redis.call('HINCRBY', key, 'used', ARGV[1])
";

/// A redis server with quotas.
#[derive(Clone)]
pub struct RedisStore {
    server: RedisSource,
}

impl RedisStore {
    /// Quotas of a server. Nothing is opened yet.
    pub const fn new(server: RedisSource) -> Self {
        Self { server }
    }

    /// Adds to what was used, and says how much that is now. `record` has what is to be added in
    /// `used`; with `set` that is all.
    pub(crate) async fn add(
        &self,
        name: &str,
        record: Record,
        set: bool,
    ) -> Result<u64, StoreError> {
        let adding = async {
            // A connection of its own, for what is stored is stored seldom; the deadline is the
            // one around all this.
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
            let stream = self.server.dial().await;
            let stream = stream.map_err(|e| StoreError::Redis(e.to_string()))?;
            let info = redis_login(self.server.db, &self.server.login);
            let (mut connection, driver) =
                MultiplexedConnection::new_with_config(&info, stream, config).await?;
            let script = Script::new(ADD);
            let mut call = script.key(self.key(name));
            call.arg(record.used)
                .arg(record.limit)
                .arg(record.starts_at)
                .arg(record.expires_at)
                .arg(record.updated_at)
                .arg(if set { "set" } else { "add" });
            let used: Result<u64, RedisError> = tokio::select! {
                used = call.invoke_async(&mut connection) => used,
                () = driver => {
                    return Err(StoreError::Redis("the connection was closed".into()));
                }
            };
            Ok(used?)
        };
        match tokio::time::timeout(PATIENCE, adding).await {
            Ok(added) => added,
            Err(_) => Err(StoreError::Redis("no answer in time".into())),
        }
    }

    fn key(&self, name: &str) -> String {
        match self.server.key.trim() {
            "" => format!("gost:quota:{name}"),
            key => format!("{key}:{name}"),
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error.to_string())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.server.addr)
    }
}
