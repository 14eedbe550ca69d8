//! What building needs at every step.

use std::{collections::BTreeMap, sync::Arc};

use gost_config::{Config, Problem};
use gost_core::{
    build::{Build, Named},
    options::Options,
    policy::Authenticator,
    registry::Registry,
    routing::{Chain, Hop},
    values::{Mark, Value, Values},
};

/// Makes objects of configurations. Nothing that it makes does anything yet.
pub(crate) struct Builder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) registry: Arc<Registry>,
    pub(crate) named: Arc<Named>,
}

/// Reads options whose mistakes the check has reported.
pub(crate) fn read<O: Options>(values: &Values) -> O {
    O::read(values, &mut Vec::new())
}

impl<'a> Builder<'a> {
    pub(crate) fn new(config: &'a Config, registry: Arc<Registry>) -> Self {
        Self {
            config,
            registry,
            named: Arc::default(),
        }
    }

    /// What a component is built from; more is set by the caller.
    pub(crate) fn build(&self, place: Arc<str>, addr: &str) -> Build {
        let mut build = Build::new(self.registry.clone());
        build.place = place;
        build.addr = addr.into();
        build.named = self.named.clone();
        build
    }

    /// The objects that have names, those first that others refer to.
    pub(crate) async fn named_objects(&self, problems: &mut Vec<Problem>) {
        for auther in &self.config.authers {
            match self.auther(auther).await {
                Ok(made) => drop(self.named.put::<dyn Authenticator>(&auther.name, made)),
                Err(problem) => problems.push(problem),
            }
        }
        for hop in &self.config.hops {
            match self.inline_hop(hop).await {
                Ok(made) => drop(self.named.put::<dyn Hop>(&hop.name, made)),
                Err(problem) => problems.push(problem),
            }
        }
        for chain in &self.config.chains {
            match self.chain(chain).await {
                Ok(made) => drop(self.named.put::<dyn Chain>(&chain.name, made)),
                Err(problem) => problems.push(problem),
            }
        }
    }

    async fn auther(
        &self,
        auther: &gost_config::Auther,
    ) -> Result<Arc<dyn Authenticator>, Problem> {
        let users: Vec<_> = auther
            .auths
            .iter()
            .map(|auth| (auth.username.clone(), auth.password.to_string()))
            .collect();
        self.users(&users, &auther.name)
            .await
            .map_err(|e| auther.place.error("", e.to_string()))
    }

    /// An authenticator that knows these users.
    pub(crate) async fn users(
        &self,
        users: &[(String, String)],
        name: &str,
    ) -> gost_core::Result<Arc<dyn Authenticator>> {
        let user = |(name, password): &(String, String)| {
            let text = |text: &str| Value::Text(text.to_owned());
            let map = [
                ("username".to_owned(), text(name)),
                ("password".to_owned(), text(password)),
            ];
            Value::Map(BTreeMap::from(map))
        };
        let mut values = Values::new();
        let list = users.iter().map(user).collect();
        values.set("auths", Value::List(list), Mark::new("auther".into(), 0));
        let build = self.build(format!("auther {name}").into(), "");
        self.registry
            .make::<dyn Authenticator>("table", &values, build)
            .await
    }
}
