//! Who may, and where to: users, admissions, bypasses.

use std::sync::Arc;

use gost_core::{
    addr::{Addr, Network},
    policy::{Admission, Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials},
};

use crate::{
    certificate::ClientCertificate,
    client::Client,
    messages::{AdmissionRequest, AuthenticateRequest, BypassRequest},
};

/// Users that a plugin knows. One that does not answer lets nobody in.
pub(crate) struct PluginAuther(pub(crate) Arc<Client>);

impl Authenticator for PluginAuther {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let question = AuthenticateRequest {
            username: given.username.clone(),
            password: given.password.clone(),
            client: asker.client.to_string(),
            service: asker.service.to_string(),
            ..certificate(asker)
        };
        Answer::later(async move {
            let reply = self.0.call(question).await.ok()?;
            reply.ok.then_some(reply.id)
        })
    }
}

/// The question about a client, with what its verified certificate says, if it has shown one.
fn certificate(asker: &Asker) -> AuthenticateRequest {
    let facts = asker.tls.as_ref();
    facts
        .and_then(|facts| facts.client_certificate.as_deref())
        .and_then(ClientCertificate::parse)
        .map(|certificate| AuthenticateRequest {
            client_cn: certificate.common_name,
            client_san: certificate.names,
            client_cert_fingerprint: certificate.fingerprint,
            ..AuthenticateRequest::default()
        })
        .unwrap_or_default()
}

/// Addresses that a plugin admits. One that does not answer admits nobody.
pub(crate) struct PluginAdmission(pub(crate) Arc<Client>);

impl Admission for PluginAdmission {
    fn admit<'a>(&'a self, network: Network, from: &'a Addr, asker: &'a Asker) -> Answer<'a, bool> {
        let question = AdmissionRequest {
            addr: from.to_string(),
            service: asker.service.to_string(),
            network: network.to_string(),
        };
        Answer::later(async move { self.0.call(question).await.is_ok_and(|reply| reply.ok) })
    }
}

/// Targets that a plugin keeps out. One that does not answer keeps everything out of a service, and
/// everything on a chain.
pub(crate) struct PluginBypass(pub(crate) Arc<Client>);

impl PluginBypass {
    async fn contains_or(&self, query: &BypassQuery, asker: &Asker, otherwise: bool) -> bool {
        let question = BypassRequest {
            addr: query.target.addr.to_string(),
            client: asker.user.clone(),
            network: query.target.network.to_string(),
            host: query.host.as_ref().map(Addr::host).unwrap_or_default(),
            path: query.path.clone().unwrap_or_default(),
            service: asker.service.to_string(),
        };
        let reply = self.0.call(question).await;
        reply.map_or(otherwise, |reply| reply.ok)
    }
}

impl Bypass for PluginBypass {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        Answer::later(self.contains_or(query, asker, true))
    }

    fn leads_around<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        Answer::later(self.contains_or(query, asker, false))
    }
}
