//! Resolvers, from configuration to objects, and who uses them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use gost_config::{self as config, Place, Problem};
use gost_core::{
    build::Ref,
    policy::{Answer, Asker, Family, Resolver},
    routing::Names,
    values::{Mark, Value, Values},
};

use crate::{builder::Builder, check::or};

impl Builder<'_> {
    pub(crate) async fn resolver(
        &self,
        resolver: &config::Resolver,
    ) -> Result<Arc<dyn Resolver>, Problem> {
        if let Some(plugin) = &resolver.plugin {
            return self.plugin::<dyn Resolver>(&resolver.name, plugin).await;
        }
        let servers = resolver.nameservers.iter().map(nameserver).collect();
        let mut values = Values::new();
        let mark = Mark::new("configuration".into(), 0);
        values.set("nameservers", Value::List(servers), mark);
        let at = format!("resolver {}", resolver.name);
        let make = async {
            let build = self.build(at.as_str().into(), "");
            let made = self
                .registry
                .make::<dyn Resolver>("nameservers", &values, build);
            made.await
                .map_err(|e| resolver.place.error("nameservers", e.to_string()))
        };
        self.keeper
            .keep(&at, resolver.clone(), &Values::new(), make)
            .await
    }

    /// Who turns names into addresses: a table and a resolver, by their names.
    pub(crate) fn names(&self, names: &NamesOf<'_>, place: &Place) -> Result<Names, Problem> {
        let mut made = self.hosts_names(names.hosts, place)?;
        let found = self.by_name::<dyn Resolver>(names.resolver, place, "resolver")?;
        made.resolver = found.map(|named| Arc::new(NamedResolver(named)) as _);
        Ok(made)
    }
}

/// The names of a table and a resolver.
pub(crate) struct NamesOf<'a> {
    pub(crate) hosts: &'a str,
    pub(crate) resolver: &'a str,
}

impl<'a> NamesOf<'a> {
    /// Those of a service.
    pub(crate) fn service(service: &'a config::Service) -> Self {
        Self {
            hosts: &service.hosts,
            resolver: &service.resolver,
        }
    }

    /// Those of a node, or else of its hop.
    pub(crate) fn node(node: &'a config::Node, hop_hosts: &'a str, hop_resolver: &'a str) -> Self {
        Self {
            hosts: or(&node.hosts, hop_hosts),
            resolver: or(&node.resolver, hop_resolver),
        }
    }

    /// As something to compare.
    pub(crate) fn wanted(&self) -> (String, String) {
        (self.hosts.to_owned(), self.resolver.to_owned())
    }
}

fn nameserver(server: &config::Nameserver) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let fields = [
        ("addr", text(&server.addr)),
        ("chain", text(&server.chain)),
        ("prefer", text(&server.prefer)),
        ("only", text(&server.only)),
        ("clientIP", text(&server.client_ip)),
        ("hostname", text(&server.hostname)),
        ("ttl", text(&server.ttl.to_string())),
        ("timeout", text(&server.timeout.to_string())),
        ("async", Value::Bool(server.r#async)),
    ];
    Value::Map(BTreeMap::from(
        fields.map(|(key, value)| (key.to_owned(), value)),
    ))
}

/// A resolver by its name. A removed one resolves nothing.
struct NamedResolver(Ref<dyn Resolver>);

impl Resolver for NamedResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, gost_core::Result<Vec<IpAddr>>> {
        match self.0.get() {
            Ok(now) => Answer::later(async move { now.resolve(host, family, asker).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use gost_core::build::Named;

    use super::*;

    #[tokio::test]
    async fn one_that_was_removed_resolves_nothing() {
        let gone = Named::default().keep::<dyn Resolver>("gone", &Named::default());
        let (resolver, asker) = (NamedResolver(gone), Asker::default());
        let error = resolver.resolve("localhost", Family::Any, &asker).await;
        assert!(error.is_err_and(|e| e.to_string().contains("gone")));
    }
}
