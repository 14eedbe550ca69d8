//! TLS for connections that we accepted.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    build::{Build, TlsSettings},
    conn::{Conn, Io},
    error::{Error, Phase, Result, Side, Why},
    outbound::{NodeAddr, Upgrade},
};
use rustls::{ServerConfig, crypto::aws_lc_rs::Ticketer, server::Acceptor, sign::SingleCertAndKey};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, server::TlsStream};

use crate::{
    TlsError,
    certificate::{self, DefaultCertificate, Identity},
    error::handshake,
    protocol::Protocol,
    read_ahead::ReadAhead,
    reload::Reloaded,
    stream,
    verify::Clients,
};

/// TLS for connections that we accepted.
pub struct ServerTls {
    config: Arc<Reloaded<ServerConfig>>,
    /// The names that are served; `None` for all, and for clients that name none.
    names: Option<Vec<String>>,
}

impl ServerTls {
    /// By the settings of a component; without a certificate of its own it has the program's.
    ///
    /// Files that are named are read now, so that what is wrong with them is known at start. What
    /// needs random numbers waits for [`prepare`](Self::prepare) or the first client.
    ///
    /// # Errors
    /// [`TlsError`] that names the file or key.
    pub fn new(
        settings: &TlsSettings,
        default: Arc<DefaultCertificate>,
    ) -> Result<(Self, Vec<String>), TlsError> {
        let (protocol, mut warnings) = Protocol::new(settings)?;
        let names = settings
            .reject_unknown_sni
            .then(|| settings.server_names.clone());
        if names.is_none() && !settings.server_names.is_empty() {
            warnings.push("serverNames: means nothing without rejectUnknownSNI".to_owned());
        }
        let config = if settings.cert_file.is_empty() && settings.key_file.is_empty() {
            if !settings.ca_file.is_empty() {
                let what =
                    "without certFile and keyFile: clients would not be asked for a certificate";
                return Err(TlsError::setting("caFile", what));
            }
            default.check()?;
            Reloaded::new(default.files(), move || config(&protocol, default.load()?))
        } else {
            certificate::identity(settings)?;
            let files = certificate::files_of(settings);
            let settings = settings.clone();
            Reloaded::new(files, move || {
                config(&protocol, certificate::identity(&settings)?)
            })
        };
        let made = Self {
            config: Arc::new(config),
            names,
        };
        Ok((made, warnings))
    }

    /// Makes in the background what the first client would have to wait for, such as a
    /// certificate. To be called once the socket listens: it takes time, and the start should not.
    pub fn prepare(&self) {
        let config = self.config.clone();
        // What fails is told to the first client's handshake again, and logged there.
        tokio::spawn(async move { drop(config.get().await) });
    }

    pub(crate) async fn accept(&self, io: ReadAhead) -> Result<TlsStream<ReadAhead>> {
        let config = self.config.get().await?;
        let Some(names) = &self.names else {
            let accept = TlsAcceptor::from(config).accept(io);
            return accept.await.map_err(|e| handshake(e, "client"));
        };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await;
        let mut hello = hello.map_err(|e| handshake(e, "client"))?;
        let refused = match hello.client_hello().server_name() {
            None => Some("tls: the client names no server".to_owned()),
            Some(_) if names.is_empty() => None,
            Some(name) if names.iter().any(|n| n.eq_ignore_ascii_case(name)) => None,
            Some(name) => Some(format!(
                "tls: the client asks for {name:?}, which is not served"
            )),
        };
        if let Some(why) = refused {
            stream::alert(&mut hello.io, stream::UNRECOGNIZED_NAME).await;
            return Err(Error::new(Why::Denied, why));
        }
        let accept = hello.into_stream(config);
        accept.await.map_err(|e| handshake(e, "client"))
    }
}

#[async_trait]
impl Upgrade for ServerTls {
    async fn client(&self, _: Conn, _: &NodeAddr) -> Result<Conn> {
        Err(Error::new(Why::Unsupported, "tls: this is a server's"))
    }

    async fn server(&self, conn: Conn) -> Result<Conn> {
        let (stream, mut meta) = conn.into_stream()?;
        let accepted = self.accept(ReadAhead::new(stream)).await;
        let stream = accepted.map_err(|e| e.phase(Phase::Handshake).side(Side::Client))?;
        meta.tls = Some(Arc::new(stream::server_facts(stream.get_ref().1)));
        Ok(Conn {
            io: Io::Stream(Box::new(stream::Tls::new(stream.into()))),
            meta,
        })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

fn config(protocol: &Protocol, (pair, issuers): Identity) -> Result<ServerConfig, TlsError> {
    let failed = |e: rustls::Error| TlsError::rustls(&e);
    let builder = ServerConfig::builder_with_provider(protocol.provider.clone())
        .with_protocol_versions(&protocol.versions)
        .map_err(failed)?;
    let builder = match issuers {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let clients = Clients::new(roots, protocol.provider.clone())?;
            builder.with_client_cert_verifier(Arc::new(clients))
        }
    };
    let pair = SingleCertAndKey::from(Arc::unwrap_or_clone(pair));
    let mut config = builder.with_cert_resolver(Arc::new(pair));
    config.alpn_protocols.clone_from(&protocol.alpn);
    // Sessions live in tickets, so that many clients cost no memory here. The key is new with the
    // certificates: a client whose issuer is trusted no more does not resume.
    config.ticketer = Ticketer::new().map_err(failed)?;
    Ok(config)
}

/// TLS for what a listener accepts, or for the inside of a protocol, by the component's settings.
/// Warnings are logged.
///
/// # Errors
/// [`Why::BadInput`], naming the file or key.
pub fn listener_upgrade(build: &Build) -> Result<Arc<ServerTls>> {
    let settings = build.tls.as_deref().cloned().unwrap_or_default();
    let (made, warnings) = ServerTls::new(&settings, DefaultCertificate::of(build))?;
    for warning in warnings {
        tracing::warn!("{}: tls: {warning}", build.place);
    }
    Ok(Arc::new(made))
}
