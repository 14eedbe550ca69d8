//! What else plugins can find: services of other processes, routes of virtual networks, nodes.

use std::sync::Arc;

use bytes::Bytes;
use gost_core::{
    addr::Addr,
    error::Result,
    policy::{Answer, Discovered, Discovery, OsRoute, OsRouter},
    routing::{NodeSource, Request},
};

use crate::{
    client::Client,
    messages::{
        DeregisterRequest, GetRouteRequest, GetServiceRequest, RegisterRequest, RenewRequest,
        SelectRequest, ServiceRecord,
    },
};

/// Services that a plugin knows. One that does not answer is an error.
pub(crate) struct PluginDiscovery(pub(crate) Arc<Client>);

fn record(service: &Discovered) -> ServiceRecord {
    ServiceRecord {
        id: service.id.clone(),
        name: service.name.clone(),
        node: service.node.clone(),
        network: service.network.clone(),
        address: service.address.clone(),
    }
}

impl Discovery for PluginDiscovery {
    fn register<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        let service = Some(record(service));
        Answer::later(async move {
            let reply = self.0.ask(RegisterRequest { service }).await;
            reply.map(drop)
        })
    }

    fn deregister<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        let service = Some(record(service));
        Answer::later(async move {
            let reply = self.0.ask(DeregisterRequest { service }).await;
            reply.map(drop)
        })
    }

    fn renew<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>> {
        let service = Some(record(service));
        Answer::later(async move {
            let reply = self.0.ask(RenewRequest { service }).await;
            reply.map(drop)
        })
    }

    fn find<'a>(&'a self, name: &'a str) -> Answer<'a, Result<Vec<Discovered>>> {
        Answer::later(async move {
            let name = name.to_owned();
            let reply = self.0.ask(GetServiceRequest { name }).await?;
            let found = reply.services.into_iter().map(|record| Discovered {
                id: record.id,
                name: record.name,
                node: record.node,
                network: record.network,
                address: record.address,
            });
            Ok(found.collect())
        })
    }
}

/// Routes that a plugin knows. One that does not answer knows none.
pub(crate) struct PluginRouter(pub(crate) Arc<Client>);

impl OsRouter for PluginRouter {
    fn route<'a>(&'a self, destination: &'a str, id: &'a str) -> Answer<'a, Option<OsRoute>> {
        Answer::later(async move {
            let question = GetRouteRequest {
                dst: destination.to_owned(),
                id: id.to_owned(),
            };
            let reply = self.0.call(question).await.ok()?;
            (!reply.dst.is_empty()).then_some(OsRoute {
                destination: reply.dst,
                gateway: reply.gateway,
            })
        })
    }
}

/// Nodes that a plugin chooses.
pub(crate) struct PluginNodes(pub(crate) Arc<Client>);

/// A host as the client named it: with a port, where there is one.
fn named(host: &Addr) -> String {
    match host.port() {
        0 => host.host(),
        _ => host.to_string(),
    }
}

impl NodeSource for PluginNodes {
    fn choose<'a>(&'a self, request: &'a Request) -> Answer<'a, Result<Option<Bytes>>> {
        Answer::later(async move {
            let http = request.http.as_ref();
            let question = SelectRequest {
                network: request.target.network.to_string(),
                addr: request.target.addr.to_string(),
                host: request.host.as_ref().map(named).unwrap_or_default(),
                client: request.asker.user.clone(),
                path: http.map(|http| http.path.clone()).unwrap_or_default(),
                src: request.asker.client.to_string(),
            };
            let reply = self.0.ask(question).await?;
            Ok((!reply.node.is_empty()).then_some(reply.node))
        })
    }
}
