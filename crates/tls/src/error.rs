//! What goes wrong with files and handshakes, in words.

use std::{io, path::PathBuf};

use gost_core::error::{Error, Phase, Why};
use rustls::{AlertDescription, CertificateError, Error as Rustls};

/// A mistake in TLS settings, or in the files that they name.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A setting makes no sense.
    #[error("{key}: {what}")]
    Setting {
        /// The key in the configuration.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// Something that is nobody's mistake, such as a system without certificates to trust.
    #[error("{0}")]
    Other(String),
}

impl TlsError {
    pub(crate) fn unreadable(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            why: error.to_string(),
        }
    }

    pub(crate) fn content(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Content {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(crate) fn setting(key: &'static str, what: impl Into<String>) -> Self {
        Self::Setting {
            key,
            what: what.into(),
        }
    }

    pub(crate) fn rustls(error: &Rustls) -> Self {
        Self::Other(describe(error))
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        let why = match error {
            TlsError::Other(_) => Why::Other,
            _ => Why::BadInput,
        };
        Self::new(why, "tls").caused_by(error)
    }
}

/// Why a handshake has failed. `peer` is what the other end is called: the server, the client.
pub(crate) fn handshake(error: io::Error, peer: &str) -> Error {
    let told = match error.get_ref().and_then(|e| e.downcast_ref::<Rustls>()) {
        Some(error) => Error::new(why(error), format!("tls: {}", describe_of(error, peer))),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let what = format!("tls: the {peer} closed the connection in the handshake");
            Error::new(Why::Closed, what)
        }
        None => Error::from(error).context("tls"),
    };
    told.phase(Phase::Handshake)
}

/// Why a connection has ended that had been agreed upon.
pub(crate) fn relay(error: io::Error, peer: &str) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let what = format!("tls: the {peer} ended the connection without close_notify");
        return Error::new(Why::Closed, what).phase(Phase::Relay);
    }
    match error.get_ref().and_then(|e| e.downcast_ref::<Rustls>()) {
        Some(error) => {
            Error::new(why(error), format!("tls: {}", describe_of(error, peer))).phase(Phase::Relay)
        }
        None => error.into(),
    }
}

fn why(error: &Rustls) -> Why {
    match error {
        Rustls::InvalidCertificate(_)
        | Rustls::NoCertificatesPresented
        | Rustls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => Why::Auth,
        Rustls::AlertReceived(_) => Why::Refused,
        _ => Why::BadInput,
    }
}

fn describe(error: &Rustls) -> String {
    describe_of(error, "other end")
}

fn describe_of(error: &Rustls, peer: &str) -> String {
    match error {
        Rustls::InvalidMessage(_) => format!("the {peer} does not speak TLS"),
        Rustls::InvalidCertificate(error) => {
            format!("the certificate of the {peer} {}", certificate(error))
        }
        Rustls::NoCertificatesPresented => format!("the {peer} showed no certificate"),
        Rustls::AlertReceived(alert) => format!("the {peer} refused: {}", alert_words(*alert)),
        Rustls::PeerIncompatible(why) => format!("nothing in common with the {peer}: {why:?}"),
        Rustls::NoApplicationProtocol => {
            format!("the {peer} offers none of the protocols in alpn")
        }
        // Words of ours.
        Rustls::General(what) => what.clone(),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "is not valid yet".to_owned(),
        E::UnknownIssuer => "is of an unknown issuer".to_owned(),
        E::NotValidForName => "is for another name".to_owned(),
        E::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "is not for {:?} but for {}",
            expected.to_str(),
            presented
                .iter()
                // Each is `DnsName("name")`.
                .map(|name| name.split('"').nth(1).unwrap_or(name))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        other => format!("is not good: {other}"),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it wants a certificate of ours".to_owned(),
        AlertDescription::UnknownCA => "it does not know who issued our certificate".to_owned(),
        AlertDescription::BadCertificate => "our certificate is not good".to_owned(),
        AlertDescription::CertificateExpired => "our certificate has expired".to_owned(),
        AlertDescription::UnrecognisedName => "it does not serve the name".to_owned(),
        AlertDescription::ProtocolVersion => "it has no version in common with us".to_owned(),
        AlertDescription::NoApplicationProtocol => {
            "it has no protocol in common with our alpn".to_owned()
        }
        other => format!("{other:?}"),
    }
}
