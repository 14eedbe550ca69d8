//! Policies, from configuration to objects, and the references to them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use gost_chain::bypass::DetourBypass;
use gost_config::{self as config, Place, Problem};
use gost_core::{
    build::Ref,
    policy::{
        Admission, Answer, Asker, Bypass, BypassQuery, ConnLimiter, ConnPermit, Family, HostMapper,
        RateLimiter,
    },
    registry::Kind,
    routing::Names,
    values::{Mark, Value, Values},
};

use crate::{builder::Builder, loaded::loaders};

/// The options of a component, from the fields of a section.
#[derive(Default)]
pub(crate) struct Fields(Values);

impl Fields {
    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        self.0.set(key, value, Mark::new("configuration".into(), 0));
        self
    }

    pub(crate) const fn values(&self) -> &Values {
        &self.0
    }

    fn texts(self, key: &str, texts: &[String]) -> Self {
        self.set(key, list(texts))
    }
}

fn list(texts: &[String]) -> Value {
    Value::List(texts.iter().cloned().map(Value::Text).collect())
}

impl Builder<'_> {
    /// Makes a policy with a name from a table, or finds the one that was made before.
    pub(crate) async fn policy<K>(
        &self,
        name: &str,
        wanted: impl PartialEq + Send + Sync + 'static,
        place: &Place,
        fields: Fields,
    ) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        self.policy_of::<K>("table", name, wanted, place, fields)
            .await
    }

    /// Makes a policy of a type with a name, or finds the one that was made before.
    pub(crate) async fn policy_of<K>(
        &self,
        r#type: &str,
        name: &str,
        wanted: impl PartialEq + Send + Sync + 'static,
        place: &Place,
        fields: Fields,
    ) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let at = format!("{} {name}", K::NAME);
        let make = async {
            let build = self.build(at.as_str().into(), "");
            let made = self.registry.make::<K>(r#type, &fields.0, build).await;
            made.map_err(|e| place.error("", e.to_string()))
        };
        self.keeper.keep(&at, wanted, &Values::new(), make).await
    }

    pub(crate) async fn bypass(&self, bypass: &config::Bypass) -> Result<Arc<dyn Bypass>, Problem> {
        if let Some(plugin) = &bypass.plugin {
            return self.plugin::<dyn Bypass>(&bypass.name, plugin).await;
        }
        let fields = Fields::default()
            .set("whitelist", Value::Bool(bypass.whitelist || bypass.reverse))
            .set("network", Value::Text(bypass.network.clone()))
            .texts("matchers", &bypass.matchers)
            .loaders(loaders!(bypass));
        self.policy::<dyn Bypass>(&bypass.name, bypass.clone(), &bypass.place, fields)
            .await
    }

    pub(crate) async fn admission(
        &self,
        admission: &config::Admission,
    ) -> Result<Arc<dyn Admission>, Problem> {
        if let Some(plugin) = &admission.plugin {
            return self.plugin::<dyn Admission>(&admission.name, plugin).await;
        }
        let whitelist = admission.whitelist || admission.reverse;
        let fields = Fields::default()
            .set("whitelist", Value::Bool(whitelist))
            .texts("matchers", &admission.matchers)
            .loaders(loaders!(admission));
        let (name, place) = (&admission.name, &admission.place);
        self.policy::<dyn Admission>(name, admission.clone(), place, fields)
            .await
    }

    pub(crate) async fn hosts(
        &self,
        hosts: &config::Hosts,
    ) -> Result<Arc<dyn HostMapper>, Problem> {
        if let Some(plugin) = &hosts.plugin {
            return self.plugin::<dyn HostMapper>(&hosts.name, plugin).await;
        }
        let mapping = |mapping: &config::HostMapping| {
            Value::Map(BTreeMap::from([
                ("hostname".to_owned(), Value::Text(mapping.hostname.clone())),
                ("ip".to_owned(), Value::Text(mapping.ip.clone())),
                ("aliases".to_owned(), list(&mapping.aliases)),
            ]))
        };
        let mappings = Value::List(hosts.mappings.iter().map(mapping).collect());
        let fields = Fields::default()
            .set("mappings", mappings)
            .loaders(loaders!(hosts));
        self.policy::<dyn HostMapper>(&hosts.name, hosts.clone(), &hosts.place, fields)
            .await
    }

    pub(crate) async fn limiter<K>(&self, limiter: &config::Limiter) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let fields = Fields::default()
            .texts("limits", &limiter.limits)
            .loaders(loaders!(limiter));
        self.policy::<K>(&limiter.name, limiter.clone(), &limiter.place, fields)
            .await
    }

    /// The limiter of connections that a service names.
    pub(crate) fn conn_limiter(
        &self,
        service: &config::Service,
    ) -> Result<Option<Arc<dyn ConnLimiter>>, Problem> {
        let found = self.by_name::<dyn ConnLimiter>(&service.climiter, &service.place, "climiter");
        Ok(found?.map(|named| Arc::new(NamedLimiter(named)) as Arc<dyn ConnLimiter>))
    }

    /// The limiter of connections per second that a service names.
    pub(crate) fn rate_limiter(
        &self,
        service: &config::Service,
    ) -> Result<Option<Arc<dyn RateLimiter>>, Problem> {
        let found = self.by_name::<dyn RateLimiter>(&service.rlimiter, &service.place, "rlimiter");
        Ok(found?.map(|named| Arc::new(NamedLimiter(named)) as Arc<dyn RateLimiter>))
    }

    /// What a key names; nothing when it is empty.
    pub(crate) fn by_name<K>(
        &self,
        name: &str,
        place: &Place,
        key: &str,
    ) -> Result<Option<Ref<K>>, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let name = name.trim();
        if name.is_empty() {
            return Ok(None);
        }
        let found = self.named.get::<K>(name);
        found.map(Some).map_err(|e| place.error(key, e.to_string()))
    }

    /// The admissions that a service names, all of which must admit.
    pub(crate) fn admissions(
        &self,
        service: &config::Service,
    ) -> Result<Vec<Arc<dyn Admission>>, Problem> {
        names(&service.admission, &service.admissions)
            .map(|name| {
                let found = self.named.get::<dyn Admission>(name);
                let found = found.map_err(|e| service.place.error("admission", e.to_string()))?;
                Ok(Arc::new(found) as Arc<dyn Admission>)
            })
            .collect()
    }

    /// Who turns names into addresses by a table, by its name.
    pub(crate) fn hosts_names(&self, hosts: &str, place: &Place) -> Result<Names, Problem> {
        let mut made = Names::default();
        let found = self.by_name::<dyn HostMapper>(hosts, place, "hosts")?;
        made.hosts = found.map(|named| Arc::new(NamedHosts(named)) as _);
        Ok(made)
    }

    /// The bypasses that a service names, as one.
    pub(crate) fn service_bypass(
        &self,
        service: &config::Service,
    ) -> Result<Option<Arc<dyn Bypass>>, Problem> {
        let names = BypassNames::new(&service.bypass, &service.bypasses);
        self.bypasses(&names, &service.place, |named| Arc::new(named))
    }

    /// The bypasses that a hop or a node names, as one: a match leads around it.
    pub(crate) fn detour(
        &self,
        names: &BypassNames,
        place: &Place,
    ) -> Result<Option<Arc<dyn Bypass>>, Problem> {
        self.bypasses(names, place, |named| Arc::new(DetourBypass(named)))
    }

    fn bypasses(
        &self,
        names: &BypassNames,
        place: &Place,
        member: impl Fn(Ref<dyn Bypass>) -> Arc<dyn Bypass>,
    ) -> Result<Option<Arc<dyn Bypass>>, Problem> {
        let mut members = Vec::with_capacity(names.0.len());
        for name in &names.0 {
            let found = self.named.get::<dyn Bypass>(name);
            members.push(member(
                found.map_err(|e| place.error("bypass", e.to_string()))?,
            ));
        }
        Ok(match members.len() {
            0 => None,
            1 => members.pop(),
            _ => Some(Arc::new(Bypasses(members))),
        })
    }
}

/// A table by its name. A removed one has no entries.
struct NamedHosts(Ref<dyn HostMapper>);

impl HostMapper for NamedHosts {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, Option<Vec<IpAddr>>> {
        let Ok(now) = self.0.get() else {
            return Answer::Now(None);
        };
        if let Answer::Now(known) = now.lookup(host, family, asker) {
            return Answer::Now(known);
        }
        Answer::later(async move { now.lookup(host, family, asker).await })
    }
}

/// A limiter by its name. A removed one lets nobody in.
struct NamedLimiter<K: Kind + ?Sized>(Ref<K>)
where
    K::Made: Clone + Sync;

impl ConnLimiter for NamedLimiter<dyn ConnLimiter> {
    fn admit(&self, client: IpAddr) -> Option<ConnPermit> {
        self.0.get().ok()?.admit(client)
    }
}

impl RateLimiter for NamedLimiter<dyn RateLimiter> {
    fn allow(&self, client: IpAddr) -> bool {
        self.0.get().is_ok_and(|now| now.allow(client))
    }
}

/// The names in a singular key and its plural.
pub(crate) fn names<'a>(one: &'a str, more: &'a [String]) -> impl Iterator<Item = &'a str> {
    let all = std::iter::once(one).chain(more.iter().map(String::as_str));
    all.map(str::trim).filter(|name| !name.is_empty())
}

/// The names of bypasses, singular and plural.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BypassNames(Vec<String>);

impl BypassNames {
    pub(crate) fn new(one: &str, more: &[String]) -> Self {
        Self(names(one, more).map(str::to_owned).collect())
    }
}

/// Several bypasses: what all whitelists keep out is kept out, and what any blacklist does.
struct Bypasses(Vec<Arc<dyn Bypass>>);

impl Bypass for Bypasses {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        Answer::later(async move {
            let (mut white, mut allowed) = (false, false);
            for member in self.0.iter().filter(|member| member.is_whitelist()) {
                white = true;
                if !member.contains(query, asker).await {
                    allowed = true;
                    break;
                }
            }
            if white && !allowed {
                return true;
            }
            for member in self.0.iter().filter(|member| !member.is_whitelist()) {
                if member.contains(query, asker).await {
                    return true;
                }
            }
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use gost_core::build::Named;

    use super::*;

    struct Fixed {
        whitelist: bool,
        contains: bool,
    }

    impl Bypass for Fixed {
        fn is_whitelist(&self) -> bool {
            self.whitelist
        }

        fn contains<'a>(&'a self, _: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
            Answer::Now(self.contains)
        }
    }

    #[tokio::test]
    async fn all_whitelists_or_any_blacklist() {
        const W1: (bool, bool) = (true, true);
        const W0: (bool, bool) = (true, false);
        const B1: (bool, bool) = (false, true);
        const B0: (bool, bool) = (false, false);
        for (members, wanted) in [
            (&[][..], false),
            (&[W1], true),
            (&[W1, W1], true),
            (&[W1, W0], false),
            (&[W0, B1], true),
            (&[B0, B1], true),
            (&[B0, B0], false),
            (&[W1, B0], true),
            (&[W1, W0, B0], false),
        ] {
            let member = |&(whitelist, contains): &(bool, bool)| {
                Arc::new(Fixed {
                    whitelist,
                    contains,
                }) as Arc<dyn Bypass>
            };
            let group = Bypasses(members.iter().map(member).collect());
            let (query, asker) = (BypassQuery::default(), Asker::default());
            assert_eq!(group.contains(&query, &asker).await, wanted, "{members:?}");
        }
    }

    #[tokio::test]
    async fn tables_and_limiters_that_were_removed_keep_shut() {
        fn gone<K: Kind + ?Sized>() -> Ref<K>
        where
            K::Made: Clone + Sync,
        {
            Named::default().keep("gone", &Named::default())
        }
        let (asker, client) = (Asker::default(), [127, 0, 0, 1].into());
        let hosts = NamedHosts(gone::<dyn HostMapper>());
        assert_eq!(hosts.lookup("a.test", Family::Any, &asker).await, None);
        let connections = NamedLimiter(gone::<dyn ConnLimiter>());
        assert!(connections.admit(client).is_none());
        let rates = NamedLimiter(gone::<dyn RateLimiter>());
        assert!(!rates.allow(client));
    }
}
