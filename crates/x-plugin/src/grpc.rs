//! Plugins that are asked over gRPC.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use gost_core::{
    addr::{Addr, Network, Target},
    build::TlsSettings,
};
use gost_tls::ClientTls;
use http::{Uri, uri::PathAndQuery};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tonic::{
    Code, Request,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
};
use tonic_prost::ProstCodec;

use crate::{
    connect::{Connector, host_and_port},
    error::{PluginError, printable},
    messages::Call,
};

/// The port of a target that names none.
const PORT: u16 = 443;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(5);

/// A connection for all questions; it is opened anew once it is gone.
pub(crate) type Http2 = Client<Connector, tonic::body::Body>;

/// A plugin with a gRPC target.
pub(crate) struct GrpcPlugin {
    connector: Connector,
    client: ArcSwap<Http2>,
    origin: Uri,
    token: Option<MetadataValue<Ascii>>,
}

/// Reads a target: `host:port`, also with `dns:` or `passthrough:` in front of it, or `unix:path`.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(Target {
            network: Network::Unix,
            addr: Addr::Path(PathBuf::from(path).into()),
        });
    }
    let schemes = ["dns:///", "dns:", "passthrough:///", "passthrough:"];
    let bare = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = bare.unwrap_or(text);
    let addr = host_and_port(bare, PORT).filter(|addr| !addr.host().contains('/'));
    addr.map(Target::tcp)
        .ok_or_else(|| format!("{text:?} is not a gRPC target, such as 127.0.0.1:8000"))
}

/// The TLS settings toward a plugin.
pub(crate) fn tls_settings(given: &TlsSettings) -> TlsSettings {
    let mut settings = given.clone();
    settings.alpn.get_or_insert_with(|| vec!["h2".into()]);
    settings
}

impl GrpcPlugin {
    /// A plugin at a target. Nothing is connected yet. `name` is what the server is called when
    /// that isn't its address.
    pub(crate) fn new(
        target: Target,
        token: &str,
        tls: Option<Arc<ClientTls>>,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, String> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let authority = match &target.addr {
            _ if !name.is_empty() => name.to_owned(),
            Addr::Path(_) => "localhost".to_owned(),
            addr => addr.to_string(),
        };
        let origin = format!("{scheme}://{authority}");
        let origin = origin
            .parse()
            .map_err(|e| format!("{authority:?} can't be the name of a server: {e}"))?;
        let token = (!token.is_empty())
            .then(|| token.parse())
            .transpose()
            .map_err(|_| "the token can't be sent as metadata".to_owned())?;
        let connector = Connector::new(target, tls, timeout);
        Ok(Self {
            client: ArcSwap::from_pointee(client(connector.clone())),
            connector,
            origin,
            token,
        })
    }

    /// The connection to ask over, which may have to be opened first.
    pub(crate) fn connection(&self) -> Arc<Http2> {
        self.client.load_full()
    }

    /// Uses another connection from now on: one that has no answer may be dead.
    pub(crate) fn abandon(&self, connection: &Arc<Http2>) {
        let new = Arc::new(client(self.connector.clone()));
        // Of those who waited together the first one does it.
        self.client.compare_and_swap(connection, new);
    }

    /// Asks. The status must be `OK`.
    pub(crate) async fn call<C: Call>(
        &self,
        connection: &Http2,
        question: C,
    ) -> Result<C::Reply, PluginError> {
        let mut grpc = Grpc::with_origin(connection.clone(), self.origin.clone())
            .max_decoding_message_size(C::MOST);
        grpc.ready().await.map_err(|e| PluginError::transport(&e))?;
        let mut request = Request::new(question);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        let path = PathAndQuery::from_static(C::METHOD);
        let codec = ProstCodec::<C, C::Reply>::default();
        match grpc.unary(request, path, codec).await {
            Ok(answer) => Ok(answer.into_inner()),
            // Nothing but the bound on its length makes tonic give up on an answer in this way.
            Err(status) if status.code() == Code::OutOfRange => Err(PluginError::TooLong(C::MOST)),
            Err(status) => match std::error::Error::source(&status) {
                Some(cause) => Err(PluginError::transport(cause)),
                None => Err(PluginError::Grpc {
                    code: status.code().into(),
                    text: printable(status.message()),
                }),
            },
        }
    }
}

fn client(connector: Connector) -> Http2 {
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_grpc() {
        for (text, wanted) in [
            ("127.0.0.1:8000", "127.0.0.1:8000/tcp"),
            ("plugin.test", "plugin.test:443/tcp"),
            ("dns:///plugin.test:1", "plugin.test:1/tcp"),
            ("passthrough:///[::1]:2", "[::1]:2/tcp"),
            ("unix:///run/p.sock", "/run/p.sock/unix"),
            ("unix:p.sock", "p.sock/unix"),
        ] {
            assert_eq!(target(text).unwrap().to_string(), wanted);
        }
        for text in ["", ":80", "http://host:1/x", "xds:///a", "host:x", "a b:1"] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
