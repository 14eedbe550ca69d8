//! What is said about services in redis: a hash for each name, with the instances of that name.
//!
//! A field is the id of an instance; its value says until when it is valid, in milliseconds of
//! redis' clock, and after a blank where it is, as JSON.

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use gost_core::{
    error::{Error, Result, Why},
    policy::{Answer, Discovered, Discovery},
};
use gost_loader::RedisSource;
use parking_lot::Mutex;
use redis::Script;
use serde::{Deserialize, Serialize};

use crate::link::{Link, LinkError};

/// What the names of keys begin with when nothing is configured.
const PREFIX: &str = "gost:sd";

/// The shortest time for which a service is found.
const SHORTEST: Duration = Duration::from_secs(1);

/// Of how many names it is remembered what redis has said.
const REMEMBERED: usize = 4096;

/// The beginning of each script: what time it is.
const NOW: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function put(id, text, ttl)
  redis.call('HSET', KEYS[1], id, string.format('%.0f', now + ttl) .. ' ' .. text)
  if redis.call('PTTL', KEYS[1]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[1], ttl) end
end
";

/// Makes an instance known.
const REGISTER: &str = "put(ARGV[1], ARGV[2], ARGV[3])";

/// Makes it known for longer; 0 when it is not known.
const RENEW: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
local text = old and string.match(old, '^%d+ (.*)$')
if not text then return 0 end
put(ARGV[1], text, ARGV[2])
return 1
";

/// Makes it known no longer.
const DEREGISTER: &str = "redis.call('HDEL', KEYS[1], ARGV[1])";

/// Ids and places of the instances that are valid; of very many some.
const FIND: &str = r"
local found, all = {}, redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local ends, text = string.match(all[at + 1], '^(%d+) (.*)$')
  if not ends or tonumber(ends) <= now then
    redis.call('HDEL', KEYS[1], all[at])
  elseif #found < 2048 then
    found[#found + 1], found[#found + 2] = all[at], text
  end
end
return found
";

/// Where an instance is.
#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Place {
    node: String,
    network: String,
    address: String,
}

/// Services in redis, which all daemons find that use the same server and key.
///
/// Those that are registered here are registered anew when redis has forgotten them and they are
/// renewed. As long as redis does not answer, what it said before counts.
pub struct RedisDiscovery {
    what: String,
    link: Link,
    ttl: Duration,
    scripts: Scripts,
    /// What was registered here, by name and id.
    ours: Mutex<HashMap<(String, String), Discovered>>,
    /// What was found last, by name.
    known: Mutex<HashMap<String, Vec<Discovered>>>,
    is_away: AtomicBool,
}

struct Scripts {
    register: Script,
    renew: Script,
    deregister: Script,
    find: Script,
}

impl RedisDiscovery {
    /// Services of a server. Nothing is opened yet. `place` says whose they are, for the log; a
    /// service that is not renewed is found for so long.
    pub fn new(place: &str, server: RedisSource, ttl: Duration) -> Self {
        let script = |text: &str| Script::new(&format!("{NOW}{text}"));
        Self {
            what: format!("{place}: redis {}", server.addr),
            link: Link::new(server),
            ttl: ttl.max(SHORTEST),
            scripts: Scripts {
                register: script(REGISTER),
                renew: script(RENEW),
                deregister: script(DEREGISTER),
                find: script(FIND),
            },
            ours: Mutex::default(),
            known: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    fn key(&self, name: &str) -> String {
        match self.link.prefix() {
            "" => format!("{PREFIX}:{name}"),
            prefix => format!("{prefix}:{name}"),
        }
    }

    fn ttl(&self) -> String {
        self.ttl.as_millis().to_string()
    }

    async fn put(&self, service: &Discovered) -> Result<(), LinkError> {
        let place = Place {
            node: service.node.clone(),
            network: service.network.clone(),
            address: service.address.clone(),
        };
        let place = serde_json::to_string(&place).map_err(|e| LinkError::Redis(e.to_string()))?;
        let words = [service.id.as_str(), &place, &self.ttl()];
        let key = self.key(&service.name);
        self.link.run(&self.scripts.register, &key, &words).await
    }

    async fn renewed(&self, service: &Discovered) -> Result<(), LinkError> {
        let words = [service.id.as_str(), &self.ttl()];
        let key = self.key(&service.name);
        let is_known: bool = self.link.run(&self.scripts.renew, &key, &words).await?;
        if is_known {
            return Ok(());
        }
        let of = (service.name.clone(), service.id.clone());
        let ours = self.ours.lock().get(&of).cloned();
        // It was started anew, or has not heard of us for too long.
        self.put(ours.as_ref().unwrap_or(service)).await
    }

    async fn found(&self, name: &str) -> Result<Vec<Discovered>, LinkError> {
        let key = self.key(name);
        let found: Vec<(String, String)> = self.link.run(&self.scripts.find, &key, &[]).await?;
        let service = |(id, text): (String, String)| {
            let place: Place = serde_json::from_str(&text).ok()?;
            Some(Discovered {
                id,
                name: name.to_owned(),
                node: place.node,
                network: place.network,
                address: place.address,
            })
        };
        let found: Vec<_> = found.into_iter().filter_map(service).collect();
        let mut known = self.known.lock();
        if found.is_empty() {
            known.remove(name);
        } else {
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(name.to_owned(), found.clone());
        }
        Ok(found)
    }

    /// Says once that redis is away, and once that it is there again.
    fn note<T>(&self, done: Result<T, LinkError>) -> Result<T> {
        match &done {
            Ok(_) if self.is_away.swap(false, Relaxed) => {
                tracing::info!("{}: is there again", self.what);
            }
            Err(error) if !self.is_away.swap(true, Relaxed) => {
                tracing::warn!("{}: {error}: what it said before counts", self.what);
            }
            _ => {}
        }
        done.map_err(|e| Error::new(Why::Unreachable, format!("{}: {e}", self.what)))
    }
}

impl Discovery for RedisDiscovery {
    fn register<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        Answer::later(async move {
            let of = (service.name.clone(), service.id.clone());
            self.ours.lock().insert(of, service.clone());
            self.note(self.put(service).await)
        })
    }

    fn deregister<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        Answer::later(async move {
            let of = (service.name.clone(), service.id.clone());
            self.ours.lock().remove(&of);
            let (script, key) = (&self.scripts.deregister, self.key(&service.name));
            self.note(self.link.run(script, &key, &[&service.id]).await)
        })
    }

    fn renew<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        Answer::later(async move { self.note(self.renewed(service).await) })
    }

    fn find<'a>(&'a self, name: &'a str) -> Answer<'a, Result<Vec<Discovered>>> {
        Answer::later(async move {
            let found = self.note(self.found(name).await);
            let before = || self.known.lock().get(name).cloned();
            found.or_else(|error| before().ok_or(error))
        })
    }
}

impl fmt::Debug for RedisDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisDiscovery({})", self.link.addr())
    }
}
