//! What building needs at every step.

use std::{collections::HashMap, sync::Arc};

use gost_config::{Config, Problem};
use gost_core::{
    build::{Build, HeldSockets, Named, TlsSettings},
    options::Options,
    policy::{
        Admission, Authenticator, Bypass, ConnLimiter, Discovery, HostMapper, Ingress, Observer,
        OsRouter, Quota, RateLimiter, Recorder, Resolver, Rewriter, TrafficLimiter,
    },
    registry::{Kind, Registry},
    routing::{Chain, Hop},
    values::Values,
};
use gost_service::Queue;
use parking_lot::Mutex;

use crate::{
    hops::Content,
    kept::{Keeper, Kept},
    parts,
};

/// Makes objects of configurations, or finds those that were made before. Nothing that it makes
/// does anything yet, and nothing that runs is touched.
pub(crate) struct Builder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) registry: Arc<Registry>,
    pub(crate) keeper: Keeper<'a>,
    /// The names of this configuration.
    pub(crate) named: Arc<Named>,
    /// The sockets that are open.
    pub(crate) held: HeldSockets,
    /// The hops that have names.
    pub(crate) hops: HashMap<String, Arc<dyn Hop>>,
    /// The chains, with what they are made of.
    pub(crate) chains: HashMap<String, Content>,
    /// The certificate of servers that have none of their own.
    pub(crate) default_tls: Option<Arc<TlsSettings>>,
    /// Puts the new objects in the places of the old.
    fills: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    /// The queues of the recorders.
    pub(crate) queues: Mutex<Vec<Arc<Queue>>>,
    before: Arc<Named>,
}

/// What a builder leaves behind.
pub(crate) struct Built {
    pub(crate) default_tls: Option<Arc<TlsSettings>>,
    pub(crate) named: Arc<Named>,
    pub(crate) kept: Kept,
    pub(crate) queues: Vec<Arc<Queue>>,
    /// Puts the new objects in the places of the old.
    pub(crate) fills: Vec<Box<dyn FnOnce() + Send>>,
}

/// Reads options whose mistakes the check has reported.
pub(crate) fn read<O: Options>(values: &Values) -> O {
    O::read(values, &mut Vec::new())
}

impl<'a> Builder<'a> {
    /// A builder for a configuration, that finds what was `kept` of another, with its names.
    pub(crate) fn new(
        config: &'a Config,
        registry: Arc<Registry>,
        kept: &'a Kept,
        before: Arc<Named>,
        default_tls_before: Option<&Arc<TlsSettings>>,
        held: HeldSockets,
    ) -> Self {
        let named = Named::default();
        let default_tls = parts::tls(config.tls.as_ref());
        // What components share is made by the settings of all.
        if default_tls.as_ref() == default_tls_before {
            named.keep_shared(&before);
        }
        for auther in &config.authers {
            named.keep::<dyn Authenticator>(&auther.name, &before);
        }
        for admission in &config.admissions {
            named.keep::<dyn Admission>(&admission.name, &before);
        }
        for limiter in &config.climiters {
            named.keep::<dyn ConnLimiter>(&limiter.name, &before);
        }
        for limiter in &config.rlimiters {
            named.keep::<dyn RateLimiter>(&limiter.name, &before);
        }
        for limiter in &config.limiters {
            named.keep::<dyn TrafficLimiter>(&limiter.name, &before);
        }
        for quota in &config.quotas {
            named.keep::<dyn Quota>(&quota.name, &before);
        }
        for hosts in &config.hosts {
            named.keep::<dyn HostMapper>(&hosts.name, &before);
        }
        for resolver in &config.resolvers {
            named.keep::<dyn Resolver>(&resolver.name, &before);
        }
        for bypass in &config.bypasses {
            named.keep::<dyn Bypass>(&bypass.name, &before);
        }
        for ingress in &config.ingresses {
            named.keep::<dyn Ingress>(&ingress.name, &before);
        }
        for router in &config.routers {
            named.keep::<dyn OsRouter>(&router.name, &before);
        }
        for sd in &config.sds {
            named.keep::<dyn Discovery>(&sd.name, &before);
        }
        for recorder in &config.recorders {
            named.keep::<dyn Recorder>(&recorder.name, &before);
        }
        for observer in &config.observers {
            named.keep::<dyn Observer>(&observer.name, &before);
        }
        for rewriter in &config.rewriters {
            named.keep::<dyn Rewriter>(&rewriter.name, &before);
        }
        for hop in &config.hops {
            named.keep::<dyn Hop>(&hop.name, &before);
        }
        for chain in &config.chains {
            named.keep::<dyn Chain>(&chain.name, &before);
        }
        Self {
            config,
            registry,
            keeper: Keeper::new(kept),
            named: Arc::new(named),
            held,
            hops: HashMap::new(),
            chains: HashMap::new(),
            default_tls,
            fills: Mutex::default(),
            queues: Mutex::default(),
            before,
        }
    }

    /// A builder of parts for what runs already, whose names they know.
    pub(crate) fn for_parts(
        config: &'a Config,
        registry: Arc<Registry>,
        kept: &'a Kept,
        named: Arc<Named>,
        default_tls: Option<Arc<TlsSettings>>,
    ) -> Self {
        Self {
            config,
            registry,
            keeper: Keeper::new(kept),
            held: HeldSockets::default(),
            hops: HashMap::new(),
            chains: HashMap::new(),
            default_tls,
            fills: Mutex::default(),
            queues: Mutex::default(),
            before: named.clone(),
            named,
        }
    }

    pub(crate) fn finish(self) -> Built {
        Built {
            default_tls: self.default_tls,
            named: self.named,
            kept: self.keeper.into_kept(),
            queues: self.queues.into_inner(),
            fills: self.fills.into_inner(),
        }
    }

    /// What a component is built from; more is set by the caller.
    pub(crate) fn build(&self, place: Arc<str>, addr: &str) -> Build {
        let mut build = Build::new(self.registry.clone());
        build.place = place;
        build.addr = addr.into();
        build.named = self.named.clone();
        build.default_tls.clone_from(&self.default_tls);
        build
    }

    /// The objects that have names, those first that others refer to.
    pub(crate) async fn named_objects(&mut self, problems: &mut Vec<Problem>) {
        for auther in &self.config.authers {
            match self.auther(auther).await {
                Ok(made) => self.fill::<dyn Authenticator>(&auther.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for admission in &self.config.admissions {
            match self.admission(admission).await {
                Ok(made) => self.fill::<dyn Admission>(&admission.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for limiter in &self.config.climiters {
            match self.limiter::<dyn ConnLimiter>(limiter).await {
                Ok(made) => self.fill::<dyn ConnLimiter>(&limiter.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for limiter in &self.config.rlimiters {
            match self.limiter::<dyn RateLimiter>(limiter).await {
                Ok(made) => self.fill::<dyn RateLimiter>(&limiter.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for hosts in &self.config.hosts {
            match self.hosts(hosts).await {
                Ok(made) => self.fill::<dyn HostMapper>(&hosts.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for resolver in &self.config.resolvers {
            match self.resolver(resolver).await {
                Ok(made) => self.fill::<dyn Resolver>(&resolver.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for bypass in &self.config.bypasses {
            match self.bypass(bypass).await {
                Ok(made) => self.fill::<dyn Bypass>(&bypass.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        self.tables(problems).await;
        self.limits(problems).await;
        self.observing(problems).await;
        for hop in &self.config.hops {
            match self.hop(&format!("hop {}", hop.name), hop).await {
                Ok(made) => {
                    self.hops.insert(hop.name.clone(), made.clone());
                    self.fill::<dyn Hop>(&hop.name, made);
                }
                Err(problem) => problems.push(problem),
            }
        }
        for chain in &self.config.chains {
            match self.chain(chain).await {
                Ok(made) => {
                    self.fill::<dyn Chain>(&chain.name, made.chain.clone());
                    self.chains.insert(chain.name.clone(), made);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }

    /// Does something once nothing can fail any more.
    pub(crate) fn when_committed(&self, then: impl FnOnce() + Send + 'static) {
        self.fills.lock().push(Box::new(then));
    }

    /// Puts an object into the slot of its name: at once when nothing that runs knows the name.
    pub(crate) fn fill<K: Kind + ?Sized>(&self, name: &str, made: K::Made)
    where
        K::Made: Clone + Sync,
    {
        // The builder has the names of its configuration.
        let Ok(slot) = self.named.get::<K>(name) else {
            return;
        };
        if self.before.get::<K>(name).is_ok() {
            self.when_committed(move || slot.set(Some(made)));
        } else {
            slot.set(Some(made));
        }
    }
}
