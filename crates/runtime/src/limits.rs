//! How much: limiters of traffic and quotas, from configuration to objects, and the references to
//! them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gost_config::{self as config, Place, Problem, Severity};
use gost_core::{
    addr::{Network, Target},
    build::Ref,
    error::Result as CoreResult,
    meter::{Allowance, Direction, Meter, Metering},
    options,
    policy::{Answer, Asker, LimitScope, Quota, QuotaState, TrafficLimiter},
    values::{FromValue as _, Value, Values},
};

use crate::{
    builder::{Builder, read},
    policies::Fields,
};

options! {
    /// Keys of whoever names a limiter of traffic.
    pub struct LimiterKeys {
        /// Limit only what is of this scope: `service` for all together, `conn` for each
        /// connection and address, `client` for what a handler limits.
        scope: String = String::new(), "limiter.scope";
        /// For how long a plugin's answer counts before it is asked again; a second at least. The
        /// limits of a table count at once when they change.
        refresh: Duration = Duration::from_secs(30), "limiter.refreshInterval";
        /// How long what nobody uses may be remembered. It is forgotten anyway.
        cleanup: Duration = Duration::from_mins(1), "limiter.cleanupInterval";
    }
}

/// What may be limited alone; the first is all.
const SCOPES: [&str; 4] = ["", "service", "conn", "client"];

/// What is odd about limits: those that limit nobody where they are named.
pub(crate) fn check(config: &config::Config, problems: &mut Vec<Problem>) {
    let keys_of = |name: &str| -> Option<Vec<&str>> {
        let limiter = config
            .limiters
            .iter()
            .find(|limiter| limiter.name == name)?;
        let is_loaded = limiter.file.is_some() || limiter.redis.is_some() || limiter.http.is_some();
        if is_loaded || limiter.plugin.is_some() {
            return None;
        }
        Some(
            limiter
                .lines()
                .filter_map(|words| words.first().copied())
                .collect(),
        )
    };
    for service in &config.services {
        let of_handler = service.handler.iter().map(|handler| &handler.metadata);
        for values in of_handler.chain([&service.metadata]) {
            let Some(entry) = values.find("limiter.scope") else {
                continue;
            };
            let scope = String::from_value(&entry.value).unwrap_or_default();
            if !SCOPES.contains(&scope.trim()) {
                // It would limit nothing.
                problems.push(Problem::new(
                    Severity::Error,
                    entry.mark.to_string(),
                    entry.key.clone(),
                    format!("{scope:?} is none of service, conn and client"),
                ));
            }
        }
        let Some(handler) = &service.handler else {
            continue;
        };
        let is_of_clients = |key: &&str| *key != "$" && !key.contains(['.', ':', '/']);
        if let Some(keys) = keys_of(handler.limiter.trim())
            && !keys.iter().any(is_of_clients)
        {
            let name = handler.limiter.trim();
            let message = format!(
                "{name:?} limits nobody here: a handler's limiter is for $$, which is each client, \
                 and for users by name; name it as limiter of the service"
            );
            problems.push(handler.place.warning("limiter", message));
        }
    }
}

impl Builder<'_> {
    /// Makes limiters of traffic and quotas.
    pub(crate) async fn limits(&self, problems: &mut Vec<Problem>) {
        for limiter in &self.config.limiters {
            match self.traffic_limiter(limiter).await {
                Ok(made) => self.fill::<dyn TrafficLimiter>(&limiter.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for quota in &self.config.quotas {
            match self.quota(quota).await {
                Ok(made) => self.fill::<dyn Quota>(&quota.name, made),
                Err(problem) => problems.push(problem),
            }
        }
    }

    async fn traffic_limiter(
        &self,
        limiter: &config::Limiter,
    ) -> Result<Arc<dyn TrafficLimiter>, Problem> {
        if let Some(plugin) = &limiter.plugin {
            return self
                .plugin::<dyn TrafficLimiter>(&limiter.name, plugin)
                .await;
        }
        self.limiter::<dyn TrafficLimiter>(limiter).await
    }

    async fn quota(&self, quota: &config::Quota) -> Result<Arc<dyn Quota>, Problem> {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut fields = Fields::default()
            .set("name", text(&quota.name))
            .set("limit", text(&quota.limit))
            .set("startsAt", text(&quota.starts_at))
            .set("expiresAt", text(&quota.expires_at))
            .set("direction", text(&quota.direction));
        if !quota.flush.trim().is_empty() {
            fields = fields.set("flush", text(quota.flush.trim()));
        }
        let store = quota.store.clone().unwrap_or_default();
        fields = fields.set("file", text(&store.file));
        if let Some(redis) = &store.redis {
            let server = [
                ("addr", text(&redis.addr)),
                ("db", Value::Int(redis.db.into())),
                ("username", text(&redis.username)),
                ("password", Value::Text(redis.password.to_string())),
                ("key", text(&redis.key)),
            ];
            let server = server.map(|(key, value)| (key.to_owned(), value));
            fields = fields.set("redis", Value::Map(BTreeMap::from(server)));
        }
        let kind = match store.r#type.trim() {
            "" => "file".to_owned(),
            kind => kind.to_ascii_lowercase(),
        };
        let at = format!("quota {}", quota.name);
        let make = async {
            let build = self.build(at.as_str().into(), "");
            let made = self
                .registry
                .make::<dyn Quota>(&kind, fields.values(), build);
            made.await.map_err(|e| quota.place.error("", e.to_string()))
        };
        let mut wanted = quota.clone();
        wanted.status = None;
        self.keeper.keep(&at, wanted, &Values::new(), make).await
    }

    /// What limits all that comes in to a service together.
    pub(crate) fn door_meter(
        &self,
        service: &config::Service,
        keys: &LimiterKeys,
    ) -> Result<Meter, Problem> {
        let found = self.traffic(&service.limiter, &service.place, keys)?;
        let network = match &service.listener {
            Some(listener) if listener.is_on_udp() => Network::Udp,
            _ => Network::Tcp,
        };
        let asker = Asker {
            service: service.name.as_str().into(),
            ..Asker::default()
        };
        Ok(found
            .filter(|_| keys.has("service"))
            .map(|limiter| limiter.meter(LimitScope::Service(network), &asker))
            .unwrap_or_default())
    }

    /// What limits each connection of a service.
    pub(crate) fn conn_traffic(
        &self,
        service: &config::Service,
        keys: &LimiterKeys,
    ) -> Result<Option<Arc<dyn TrafficLimiter>>, Problem> {
        let found = self.traffic(&service.limiter, &service.place, keys)?;
        Ok(found.filter(|_| keys.has("conn")))
    }

    /// What limits each client of a service.
    pub(crate) fn client_traffic(
        &self,
        handler: &config::Handler,
    ) -> Result<Option<Arc<dyn TrafficLimiter>>, Problem> {
        let keys: LimiterKeys = read(&handler.metadata);
        let found = self.traffic(&handler.limiter, &handler.place, &keys)?;
        Ok(found.filter(|_| keys.has("client")))
    }

    fn traffic(
        &self,
        name: &str,
        place: &Place,
        keys: &LimiterKeys,
    ) -> Result<Option<Arc<dyn TrafficLimiter>>, Problem> {
        let found = self.by_name::<dyn TrafficLimiter>(name, place, "limiter")?;
        let time = keys.refresh;
        Ok(found.map(|named| Arc::new(NamedTraffic { named, time }) as _))
    }

    /// The quotas that a service names, none of which may be used up.
    pub(crate) fn quotas(&self, service: &config::Service) -> Result<Vec<Arc<dyn Quota>>, Problem> {
        let mut quotas: Vec<Arc<dyn Quota>> = Vec::with_capacity(service.quotas.len());
        for name in &service.quotas {
            if let Some(named) = self.by_name::<dyn Quota>(name, &service.place, "quotas")? {
                quotas.push(Arc::new(NamedQuota(named)));
            }
        }
        Ok(quotas)
    }
}

impl LimiterKeys {
    /// True when this scope is limited.
    fn has(&self, scope: &str) -> bool {
        let only = self.scope.trim();
        only.is_empty() || only == scope
    }
}

/// A limiter of traffic by its name.
#[derive(Clone)]
struct NamedTraffic {
    named: Ref<dyn TrafficLimiter>,
    /// For how long the answer of a plugin counts.
    time: Duration,
}

impl TrafficLimiter for NamedTraffic {
    fn meter(&self, scope: LimitScope<'_>, asker: &Asker) -> Meter {
        Meter::new(Arc::new(Current {
            limiter: self.clone(),
            scope: Scope::from(scope),
            asker: asker.clone(),
            held: Mutex::default(),
        }))
    }
}

/// The meter of whatever limiter has the name now. Who is under one that is removed stays under
/// it; who comes later moves nothing.
struct Current {
    limiter: NamedTraffic,
    scope: Scope,
    asker: Asker,
    /// Of one connection, so that nobody waits for it; made and dropped with each, which an
    /// `ArcSwap` is too dear for.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The version of the name when it was looked up last; none at first.
    version: Option<u64>,
    now: Option<(Arc<dyn TrafficLimiter>, Meter)>,
}

impl Held {
    fn is_of(&self, limiter: &Arc<dyn TrafficLimiter>) -> bool {
        let now = self.now.as_ref();
        now.is_some_and(|(of, _)| Arc::ptr_eq(of, limiter))
    }
}

/// A scope of its own.
#[derive(Clone)]
enum Scope {
    Service(Network),
    Conn(SocketAddr),
    Client(Box<str>, Option<Box<Target>>),
}

impl From<LimitScope<'_>> for Scope {
    fn from(scope: LimitScope<'_>) -> Self {
        match scope {
            LimitScope::Service(network) => Self::Service(network),
            LimitScope::Conn(addr) => Self::Conn(addr),
            LimitScope::Client { name, target } => {
                Self::Client(name.into(), target.cloned().map(Box::new))
            }
        }
    }
}

impl Scope {
    fn borrow(&self) -> LimitScope<'_> {
        match self {
            Self::Service(network) => LimitScope::Service(*network),
            Self::Conn(addr) => LimitScope::Conn(*addr),
            Self::Client(name, target) => LimitScope::Client {
                name,
                target: target.as_deref(),
            },
        }
    }
}

impl Current {
    /// Does something with the meter; nothing where there is none.
    fn with<T>(&self, what: impl FnOnce(&Meter) -> T) -> Option<T> {
        let named = &self.limiter.named;
        let version = Some(named.version());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.version != version {
            // Who is under a limiter that is removed stays under it.
            if let Some(now) = named.load().as_ref().filter(|now| !held.is_of(now)) {
                let (scope, time) = (self.scope.borrow(), self.limiter.time);
                let meter = now.meter_kept(scope, &self.asker, time);
                held.now = Some((Arc::clone(&**now), meter));
            }
            held.version = version;
        }
        held.now.as_ref().map(|(_, meter)| what(meter))
    }
}

impl Metering for Current {
    fn count(&self, direction: Direction, bytes: usize) {
        self.with(|meter| meter.count(direction, bytes));
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        let allowed = self.with(|meter| meter.allow(direction, want));
        allowed.unwrap_or(Allowance::Over)
    }

    fn of_one(&self) -> Option<Meter> {
        Some(self.limiter.meter(self.scope.borrow(), &self.asker))
    }
}

/// A quota by its name. While there is none, no connection is taken, and those that are there go
/// on.
struct NamedQuota(Ref<dyn Quota>);

impl NamedQuota {
    fn get(&self) -> Option<Arc<dyn Quota>> {
        self.0.get().ok()
    }
}

impl Metering for NamedQuota {
    fn count(&self, direction: Direction, bytes: usize) {
        if let Some(now) = self.get() {
            now.count(direction, bytes);
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        match self.get() {
            Some(now) => now.allow(direction, want),
            None => Allowance::Bytes(want),
        }
    }
}

impl Quota for NamedQuota {
    fn state(&self) -> QuotaState {
        self.get().map(|now| now.state()).unwrap_or_default()
    }

    fn is_blocked(&self) -> bool {
        self.get().is_none_or(|now| now.is_blocked())
    }

    fn changed(&self) -> Answer<'_, ()> {
        match self.get() {
            Some(now) => Answer::later(async move { now.changed().await }),
            None => Answer::later(std::future::pending()),
        }
    }

    fn reset(&self, used: u64) -> Answer<'_, CoreResult<()>> {
        match self.0.get() {
            Ok(now) => Answer::later(async move { now.reset(used).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use gost_core::build::Named;

    use super::*;

    /// A limiter under which everything moves.
    struct Free;

    impl TrafficLimiter for Free {
        fn meter(&self, _: LimitScope<'_>, _: &Asker) -> Meter {
            Meter::default()
        }
    }

    #[test]
    fn who_was_under_a_limiter_that_is_removed_goes_on_and_others_move_nothing() {
        let named = Named::default().put::<dyn TrafficLimiter>("l", Arc::new(Free));
        let limiter = NamedTraffic {
            named: named.clone(),
            time: Duration::ZERO,
        };
        let meter = || limiter.meter(LimitScope::Service(Network::Tcp), &Asker::default());
        let before = meter();
        let one = Allowance::Bytes(1);
        assert_eq!(before.allow(Direction::In, 1), one);
        named.set(None);
        assert_eq!(before.allow(Direction::In, 1), one);
        assert_eq!(meter().allow(Direction::In, 1), Allowance::Over);
        named.set(Some(Arc::new(Free)));
        assert_eq!(meter().allow(Direction::In, 1), one);
    }

    #[test]
    fn a_quota_that_is_removed_lets_nobody_in_and_those_who_are_there_go_on() {
        let gone = Named::default().keep::<dyn Quota>("gone", &Named::default());
        let quota = NamedQuota(gone);
        assert!(quota.is_blocked());
        assert_eq!(quota.allow(Direction::Out, 7), Allowance::Bytes(7));
    }
}
