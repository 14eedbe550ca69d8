//! TLS for connections that we opened.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use gost_core::{
    addr::Addr,
    build::{Build, TlsSettings},
    conn::{Conn, Io},
    error::{Error, Phase, Result, Side, Why},
    options,
    options::Options as _,
    outbound::{NodeAddr, Upgrade},
    registry::Kind,
};
use rustls::{
    ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName, sign::SingleCertAndKey,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    TlsError, certificate,
    error::handshake,
    protocol::Protocol,
    read_ahead::ReadAhead,
    reload::Reloaded,
    stream,
    verify::{Pin, Proof, Servers},
};

options! {
    /// Keys of a client beside those of its `tls` section. Whoever builds a [`ClientTls`] from a
    /// component's `Build` includes them in the component's options, to have them in its table.
    pub struct ClientOptions {
        /// What the server's certificate must be, whoever issued it: `sha256//BASE64` of its
        /// public key, or its SHA-256 fingerprint in hex; several with commas between.
        pin: String = String::new(), "tls.pin";
    }
}

/// The issuers that the system trusts, read when they are first needed. One for the whole
/// program, found under its kind in [`Build::named`](gost_core::build::Build).
#[derive(Debug, Default)]
pub struct SystemRoots(OnceLock<Arc<RootCertStore>>);

impl Kind for SystemRoots {
    type Made = Arc<Self>;
    const NAME: &'static str = "trusted issuers";
}

impl SystemRoots {
    /// Those of the program that a component is built for.
    pub fn of(build: &Build) -> Arc<Self> {
        build
            .named::<Self>("")
            .and_then(|slot| slot.get())
            .unwrap_or_else(|_| {
                let made = Arc::<Self>::default();
                build.named.put::<Self>("", made.clone());
                made
            })
    }

    fn load(&self) -> Result<Arc<RootCertStore>, TlsError> {
        if let Some(roots) = self.0.get() {
            return Ok(roots.clone());
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|e| format!(": {e}"));
            return Err(TlsError::Other(format!(
                "the system has no trusted certificates{}; name some with caFile",
                why.unwrap_or_default()
            )));
        }
        Ok(self.0.get_or_init(|| Arc::new(roots)).clone())
    }
}

/// TLS for connections that we opened.
pub struct ClientTls {
    config: Reloaded<ClientConfig>,
    /// What to call the server; `None` for what the node is called.
    name: Option<ServerName<'static>>,
    proof: Proof,
    is_pinned: bool,
}

impl ClientTls {
    /// By the settings of a component.
    ///
    /// # Errors
    /// [`TlsError`] that names the file or key.
    pub fn new(
        settings: &TlsSettings,
        options: &ClientOptions,
        system: Arc<SystemRoots>,
    ) -> Result<(Self, Vec<String>), TlsError> {
        let (protocol, warnings) = Protocol::new(settings)?;
        let proof = match (settings.secure, settings.ca_file.is_empty()) {
            (true, _) => Proof::IssuerAndName,
            (false, false) => Proof::Issuer,
            (false, true) => Proof::Nothing,
        };
        let pins: Vec<Pin> = options
            .pin
            .split(',')
            .map(str::trim)
            .filter(|pin| !pin.is_empty())
            .map(Pin::parse)
            .collect::<Result<_, _>>()?;
        let name = match &*settings.server_name {
            "" => None,
            text => Some(name(text).map_err(|what| TlsError::setting("serverName", what))),
        };
        // A name that can't be one is never sent by the original; it matters where it is verified.
        let name = match name {
            Some(Err(error)) if proof == Proof::IssuerAndName => return Err(error),
            name => name.and_then(Result::ok),
        };
        certificate::own_pair(settings)?;
        certificate::trusted(settings)?;
        let is_pinned = !pins.is_empty();
        let files = certificate::files_of(settings);
        let settings = settings.clone();
        let config = Reloaded::new(files, move || {
            config(&protocol, &settings, proof, &pins, &system)
        });
        let made = Self {
            config,
            name,
            proof,
            is_pinned,
        };
        Ok((made, warnings))
    }

    /// True when whoever is in between could pass for the server.
    pub fn is_insecure(&self) -> bool {
        self.proof == Proof::Nothing && !self.is_pinned
    }

    pub(crate) async fn connect(
        &self,
        io: ReadAhead,
        node: &NodeAddr,
    ) -> Result<TlsStream<ReadAhead>> {
        let name = self.name_of(node)?;
        let config = self.config.get().await?;
        let connect = TlsConnector::from(config).connect(name, io);
        connect.await.map_err(|e| handshake(e, "server"))
    }

    fn name_of(&self, node: &NodeAddr) -> Result<ServerName<'static>> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let host = match &node.host {
            Addr::Name(host, _) => host.to_string(),
            Addr::Ip(ip) => return Ok(ip.ip().into()),
            Addr::Path(_) | Addr::Any => String::new(),
        };
        match name(&host) {
            Ok(name) => Ok(name),
            // No name is sent, and none is looked at.
            Err(_) if self.proof != Proof::IssuerAndName => Ok(nameless()),
            Err(what) => Err(Error::new(
                Why::BadInput,
                format!("tls: serverName: {what}"),
            )),
        }
    }
}

/// Stands for a server that has no name: addresses are not sent.
fn nameless() -> ServerName<'static> {
    std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED).into()
}

/// What a text can mean as the name of a server.
fn name(text: &str) -> Result<ServerName<'static>, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| format!("{text:?} can't be the name of a server"))
}

#[async_trait]
impl Upgrade for ClientTls {
    async fn client(&self, conn: Conn, node: &NodeAddr) -> Result<Conn> {
        let (stream, mut meta) = conn.into_stream()?;
        let connected = self.connect(ReadAhead::new(stream), node).await;
        let stream = connected.map_err(|e| e.phase(Phase::Handshake).side(Side::Node))?;
        meta.tls = Some(Arc::new(stream::client_facts(stream.get_ref().1)));
        Ok(Conn {
            io: Io::Stream(Box::new(stream::Tls::new(stream.into()))),
            meta,
        })
    }

    async fn server(&self, _: Conn) -> Result<Conn> {
        Err(Error::new(Why::Unsupported, "tls: this is a client's"))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("name", &self.name)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

fn config(
    protocol: &Protocol,
    settings: &TlsSettings,
    proof: Proof,
    pins: &[Pin],
    system: &SystemRoots,
) -> Result<ClientConfig, TlsError> {
    let failed = |e: rustls::Error| TlsError::rustls(&e);
    let roots = match certificate::trusted(settings)? {
        Some(roots) => roots,
        None if proof == Proof::Nothing => Arc::new(RootCertStore::empty()),
        None => system.load()?,
    };
    let servers = Servers {
        proof,
        roots,
        pins: pins.to_vec(),
        algorithms: protocol.provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(protocol.provider.clone())
        .with_protocol_versions(&protocol.versions)
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(servers));
    let mut config = match certificate::own_pair(settings)? {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let pair = SingleCertAndKey::from(Arc::unwrap_or_clone(pair));
            builder.with_client_cert_resolver(Arc::new(pair))
        }
    };
    config.alpn_protocols.clone_from(&protocol.alpn);
    // A dialer is for one node: a few names at most.
    config.resumption = Resumption::in_memory_sessions(8);
    Ok(config)
}

/// TLS for what a dialer opens, by the component's settings and the [`ClientOptions`] among its
/// options. Warnings are logged, one of them where the server is not verified at all.
///
/// # Errors
/// [`Why::BadInput`], naming the file or key.
pub fn dialer_upgrade(build: &Build) -> Result<Arc<ClientTls>> {
    let made = quiet_dialer_upgrade(build)?;
    if made.is_insecure() {
        tracing::warn!(
            "{}: tls: the server is not verified; set secure=true, caFile or tls.pin",
            build.place
        );
    }
    Ok(Arc::new(made))
}

pub(crate) fn quiet_dialer_upgrade(build: &Build) -> Result<ClientTls> {
    let mut errors = Vec::new();
    let options = ClientOptions::read(&build.values, &mut errors);
    if let Some(error) = errors.first() {
        return Err(Error::new(Why::BadInput, error.to_string()));
    }
    let settings = build.tls.as_deref().cloned().unwrap_or_default();
    let (made, warnings) = ClientTls::new(&settings, &options, SystemRoots::of(build))?;
    for warning in warnings {
        tracing::warn!("{}: tls: {warning}", build.place);
    }
    Ok(made)
}
