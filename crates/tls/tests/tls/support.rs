//! Certificates, and a meeting of the two sides.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use gost_core::{
    addr::Addr,
    build::TlsSettings,
    conn::{Conn, Meta},
    error::{Error, Result},
    outbound::{NodeAddr, Upgrade as _},
    stream::Stream,
};
use gost_tls::{ClientOptions, ClientTls, DefaultCertificate, ServerTls, SystemRoots, TlsError};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// A folder of files that goes when it does.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A default certificate that looks and is kept here.
    pub(crate) fn default(&self, settings: TlsSettings) -> Arc<DefaultCertificate> {
        let (work, home) = (self.path("work"), self.path("home"));
        Arc::new(DefaultCertificate::in_places(settings, &work, &home))
    }

    /// A certificate and its key, in files.
    pub(crate) fn pair(&self, name: &str, (cert, key): &(String, String)) -> TlsSettings {
        TlsSettings {
            cert_file: self.write(&format!("{name}.pem"), cert),
            key_file: self.write(&format!("{name}.key"), key),
            ..TlsSettings::default()
        }
    }
}

/// An issuer.
pub(crate) struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The issuer's own certificate and key.
    pub(crate) fn pair(&self) -> (String, String) {
        (self.0.pem(), self.0.key().serialize_pem())
    }

    /// A certificate for a name, with its key.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        self.issue_until(name, 4000)
    }

    /// The same, good until the end of a year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        (cert.pem(), key.serialize_pem())
    }
}

/// A server's side.
pub(crate) fn server(settings: &TlsSettings) -> Result<ServerTls, TlsError> {
    let nowhere = Folder::new().default(TlsSettings::default());
    ServerTls::new(settings, nowhere).map(|(made, _)| made)
}

/// A client's side.
pub(crate) fn client(settings: &TlsSettings, pin: &str) -> Result<ClientTls, TlsError> {
    let options = ClientOptions {
        pin: pin.to_owned(),
    };
    ClientTls::new(settings, &options, Arc::<SystemRoots>::default()).map(|(made, _)| made)
}

/// Bounds what a test waits for.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("in time")
}

/// Two ends of a TCP connection.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    (accepted.unwrap().0, client.unwrap())
}

pub(crate) fn conn(stream: impl Stream) -> Conn {
    Conn::stream(stream, Meta::default())
}

/// The node that clients believe they talk to.
pub(crate) fn node(host: &str) -> NodeAddr {
    NodeAddr::new(Addr::from_host(host, 443))
}

/// A handshake of both over TCP, as the client of a node of that name.
pub(crate) async fn meet(
    server: &ServerTls,
    client: &ClientTls,
    host: &str,
) -> (Result<Conn>, Result<Conn>) {
    let (near, far) = sockets().await;
    let node = node(host);
    let both = async { tokio::join!(server.server(conn(near)), client.client(conn(far), &node)) };
    soon(both).await
}

/// Both streams of a good handshake.
pub(crate) async fn streams(
    server: &ServerTls,
    client: &ClientTls,
) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let (near, far) = meet(server, client, "server.test").await;
    (
        near.unwrap().into_stream().unwrap().0,
        far.unwrap().into_stream().unwrap().0,
    )
}

/// The text of what should have failed.
pub(crate) fn text(result: Result<Conn>) -> String {
    result.map_err(|e: Error| e.to_string()).unwrap_err()
}
