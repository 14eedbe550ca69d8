//! Ingresses, routers, service discovery and rewriters: sections that only tunnels, virtual networks
//! and whatever changes HTTP messages refer to.

use std::sync::Arc;

use gost_config::{self as config, Problem};
use gost_core::{
    duration::format_go,
    policy::{Discovery, Ingress, OsRouter, Rewriter},
    values::Value,
};

use crate::{builder::Builder, loaded::loaders, policies::Fields};

impl Builder<'_> {
    /// Makes all of them.
    pub(crate) async fn tables(&self, problems: &mut Vec<Problem>) {
        for ingress in &self.config.ingresses {
            match self.ingress(ingress).await {
                Ok(made) => self.fill::<dyn Ingress>(&ingress.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for router in &self.config.routers {
            match self.os_router(router).await {
                Ok(made) => {
                    self.fill::<dyn OsRouter>(&router.name, made.clone());
                    self.when_committed(move || made.take_effect());
                }
                Err(problem) => problems.push(problem),
            }
        }
        for sd in &self.config.sds {
            match self.discovery(sd).await {
                Ok(made) => self.fill::<dyn Discovery>(&sd.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for rewriter in &self.config.rewriters {
            let plugin = rewriter.plugin.as_ref();
            let made = self.only_plugin::<dyn Rewriter>(&rewriter.name, plugin, &rewriter.place);
            match made.await {
                Ok(made) => self.fill::<dyn Rewriter>(&rewriter.name, made),
                Err(problem) => problems.push(problem),
            }
        }
    }

    async fn discovery(&self, sd: &config::Sd) -> Result<Arc<dyn Discovery>, Problem> {
        if let Some(plugin) = &sd.plugin {
            return self.plugin::<dyn Discovery>(&sd.name, plugin).await;
        }
        let Some(redis) = &sd.redis else {
            let what = "it is nothing without a plugin or redis";
            return Err(sd.place.error("plugin", what));
        };
        let (db, password) = (redis.db.to_string(), redis.password.to_string());
        let server = map([
            ("addr", &redis.addr),
            ("db", &db),
            ("username", &redis.username),
            ("password", &password),
            ("key", &redis.key),
        ]);
        let mut fields = Fields::default().set("redis", server);
        if let Some(ttl) = redis.ttl.positive() {
            fields = fields.set("ttl", Value::Text(format_go(ttl)));
        } else if !redis.ttl.is_zero() {
            return Err(redis.place.error("ttl", "is less than nothing"));
        }
        self.policy_of::<dyn Discovery>("redis", &sd.name, sd.clone(), &redis.place, fields)
            .await
    }

    async fn ingress(&self, ingress: &config::Ingress) -> Result<Arc<dyn Ingress>, Problem> {
        let name = &ingress.name;
        if let Some(plugin) = &ingress.plugin {
            return self.plugin::<dyn Ingress>(name, plugin).await;
        }
        let rules = ingress.rules.iter();
        let rules =
            rules.map(|rule| map([("hostname", &rule.hostname), ("endpoint", &rule.endpoint)]));
        let fields = Fields::default()
            .set("rules", Value::List(rules.collect()))
            .loaders(loaders!(ingress));
        self.policy::<dyn Ingress>(name, ingress.clone(), &ingress.place, fields)
            .await
    }

    async fn os_router(&self, router: &config::Router) -> Result<Arc<dyn OsRouter>, Problem> {
        let name = &router.name;
        if let Some(plugin) = &router.plugin {
            return self.plugin::<dyn OsRouter>(name, plugin).await;
        }
        let routes = router.routes.iter().map(|route| {
            map([
                ("dst", &route.dst),
                ("net", &route.net),
                ("gateway", &route.gateway),
            ])
        });
        let fields = Fields::default()
            .set("routes", Value::List(routes.collect()))
            .loaders(loaders!(router));
        self.policy::<dyn OsRouter>(name, router.clone(), &router.place, fields)
            .await
    }
}

fn map<const N: usize>(entries: [(&str, &String); N]) -> Value {
    let entry = |(key, text): (&str, &String)| (key.to_owned(), Value::Text(text.clone()));
    Value::Map(entries.map(entry).into())
}
