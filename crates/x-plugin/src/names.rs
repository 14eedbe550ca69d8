//! From names to addresses and tunnels: hosts, resolvers, ingresses.

use std::{net::IpAddr, sync::Arc};

use gost_core::{
    error::{Error, Phase, Result, Why},
    policy::{Answer, Asker, Family, HostMapper, Ingress, Resolver},
};

use crate::{
    client::{Client, Protocol},
    messages::{GetRuleRequest, LookupRequest, ResolveRequest, SetRuleRequest},
};

/// The most addresses that are taken of an answer.
const MOST: usize = 64;

/// What an answer has of a family; what is no address is left out.
fn addresses(texts: &[String], family: Family) -> Vec<IpAddr> {
    let ips = texts.iter().filter_map(|text| text.trim().parse().ok());
    let fits = |ip: &IpAddr| match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    };
    ips.filter(fits).take(MOST).collect()
}

fn network(family: Family) -> String {
    let name = match family {
        Family::Any => "ip",
        Family::V4 => "ip4",
        Family::V6 => "ip6",
    };
    name.to_owned()
}

/// Names that a plugin knows. One that does not answer knows none.
pub(crate) struct PluginHosts(pub(crate) Arc<Client>);

impl HostMapper for PluginHosts {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, Option<Vec<IpAddr>>> {
        Answer::later(async move {
            let question = LookupRequest {
                network: network(family),
                host: host.to_owned(),
                client: asker.user.clone(),
            };
            // The original does not look at `ok` either.
            let found = addresses(&self.0.call(question).await.ok()?.ips, family);
            (!found.is_empty()).then_some(found)
        })
    }
}

/// Resolves by a plugin. One that does not answer is an error.
pub(crate) struct PluginResolver(pub(crate) Arc<Client>);

impl Resolver for PluginResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, Result<Vec<IpAddr>>> {
        Answer::later(async move {
            let question = ResolveRequest {
                network: network(family),
                host: host.to_owned(),
                client: asker.user.clone(),
            };
            let reply = self.0.ask(question).await;
            let reply = reply.map_err(|e| e.why_set(Why::Unresolved).phase(Phase::Resolve))?;
            // Over gRPC the original does not look at it, and plugins may not set it.
            let ok = reply.ok || self.0.protocol() == Protocol::Grpc;
            let found = if ok {
                addresses(&reply.ips, family)
            } else {
                Vec::new()
            };
            if found.is_empty() {
                let what = format!("resolve {host}: the plugin has no address for it");
                return Err(Error::new(Why::Unresolved, what).phase(Phase::Resolve));
            }
            Ok(found)
        })
    }
}

/// Rules that a plugin has. One that does not answer has none and takes none.
pub(crate) struct PluginIngress(pub(crate) Arc<Client>);

impl Ingress for PluginIngress {
    fn rule<'a>(&'a self, host: &'a str, asker: &'a Asker) -> Answer<'a, Option<String>> {
        Answer::later(async move {
            let question = GetRuleRequest {
                host: host.to_owned(),
                service: asker.service.to_string(),
            };
            let reply = self.0.call(question).await.ok()?;
            (!reply.endpoint.is_empty()).then_some(reply.endpoint)
        })
    }

    fn set_rule<'a>(
        &'a self,
        host: &'a str,
        endpoint: &'a str,
        asker: &'a Asker,
    ) -> Answer<'a, bool> {
        Answer::later(async move {
            let question = SetRuleRequest {
                host: host.to_owned(),
                endpoint: endpoint.to_owned(),
                service: asker.service.to_string(),
            };
            self.0.call(question).await.is_ok_and(|reply| reply.ok)
        })
    }
}
