//! A connection to redis that is kept, and opened anew once it is gone.

use std::{sync::Arc, time::Duration};

use gost_loader::{RedisSource, redis_login};
use parking_lot::Mutex;
use redis::{FromRedisValue, RedisError, Script, aio::MultiplexedConnection};
use tokio::task::JoinSet;

/// How long everything may take, from the name to the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why redis did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// It could not be reached, or says no.
    #[error("{0}")]
    Redis(String),
    /// It takes too long.
    #[error("no answer in time")]
    TimedOut,
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error.to_string())
    }
}

/// A server, and the connection to it.
pub(crate) struct Link {
    server: RedisSource,
    open: Mutex<Option<Open>>,
}

/// A connection, which others may use at the same time.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    /// Moves its bytes; ends with the last who uses it.
    driver: Arc<JoinSet<()>>,
}

impl Link {
    pub(crate) const fn new(server: RedisSource) -> Self {
        Self {
            server,
            open: Mutex::new(None),
        }
    }

    /// What the keys of the server begin with; perhaps empty.
    pub(crate) fn prefix(&self) -> &str {
        self.server.key.trim()
    }

    /// The address of the server.
    pub(crate) fn addr(&self) -> &str {
        &self.server.addr
    }

    /// Runs a script about a key, which may be run twice.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        words: &[&str],
    ) -> Result<T, LinkError> {
        let running = async {
            let kept = self.open.lock().clone();
            if let Some(open) = kept {
                // One that nobody has used for long may be gone without a word.
                match invoke(&open, script, key, words).await {
                    Err(error) if is_lost(&error) => self.forget(&open),
                    done => return Ok(done?),
                }
            }
            let open = self.connect().await?;
            *self.open.lock() = Some(open.clone());
            let done = invoke(&open, script, key, words).await;
            if done.as_ref().is_err_and(is_lost) {
                self.forget(&open);
            }
            Ok(done?)
        };
        if let Ok(done) = tokio::time::timeout(PATIENCE, running).await {
            return done;
        }
        // Whoever has not answered is not asked over the same connection again.
        self.open.lock().take();
        Err(LinkError::TimedOut)
    }

    async fn connect(&self) -> Result<Open, LinkError> {
        let stream = self.server.dial().await;
        let stream = stream.map_err(|e| LinkError::Redis(e.to_string()))?;
        // The deadline is the one around all this.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let info = redis_login(self.server.db, &self.server.login);
        let (connection, moving) =
            MultiplexedConnection::new_with_config(&info, stream, config).await?;
        let mut driver = JoinSet::new();
        driver.spawn(moving);
        Ok(Open {
            connection,
            driver: Arc::new(driver),
        })
    }

    fn forget(&self, lost: &Open) {
        let mut open = self.open.lock();
        let is_lost = |now: &Open| Arc::ptr_eq(&now.driver, &lost.driver);
        if open.as_ref().is_some_and(is_lost) {
            *open = None;
        }
    }
}

async fn invoke<T: FromRedisValue>(
    open: &Open,
    script: &Script,
    key: &str,
    words: &[&str],
) -> Result<T, RedisError> {
    let mut call = script.key(key);
    for word in words {
        call.arg(*word);
    }
    call.invoke_async(&mut open.connection.clone()).await
}

fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped()
}
