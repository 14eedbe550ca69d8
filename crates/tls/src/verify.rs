//! Who the other end is.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use subtle::ConstantTimeEq as _;

use crate::TlsError;

/// What a server has to prove beside owning the key of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing.
    Nothing,
    /// That its certificate is of an issuer whom we trust.
    Issuer,
    /// That, and that the certificate is for the name that we asked for.
    IssuerAndName,
}

/// A certificate or a key that the server must have.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pin {
    /// SHA-256 of the certificate.
    Certificate([u8; 32]),
    /// SHA-256 of the public key with its algorithm.
    Key([u8; 32]),
}

impl Pin {
    /// Reads `sha256//BASE64`, the hash of a public key as curl writes it, or the fingerprint of a
    /// certificate as openssl prints it: hex, with or without colons and `sha256:` before it.
    pub(crate) fn parse(text: &str) -> Result<Self, TlsError> {
        let wrong = || {
            let what = format!(
                "{text:?} is neither sha256//BASE64 of a key nor the SHA-256 fingerprint of a certificate"
            );
            TlsError::setting("tls.pin", what)
        };
        if let Some(key) = text.strip_prefix("sha256//") {
            let hash = BASE64_STANDARD.decode(key).map_err(|_| wrong())?;
            return hash.try_into().map(Self::Key).map_err(|_| wrong());
        }
        let hex = text
            .strip_prefix("sha256:")
            .unwrap_or(text)
            .replace(':', "");
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self::Certificate(hash))
    }

    fn is_of(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let (data, wanted) = match self {
            Self::Certificate(hash) => (certificate.to_vec(), hash),
            Self::Key(hash) => {
                let parsed = ParsedCertificate::try_from(certificate)?;
                (parsed.subject_public_key_info().to_vec(), hash)
            }
        };
        let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &data);
        Ok(found.as_ref().ct_eq(wanted).into())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(_) => "Certificate",
            Self::Key(_) => "Key",
        })
    }
}

/// Verifies servers.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) proof: Proof,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl Servers {
    fn issuer(
        &self,
        parsed: &ParsedCertificate<'_>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let found = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match found {
            Err(error) if is_trusted_itself(&error, end_entity, &self.roots) => Ok(()),
            found => found,
        }
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.proof != Proof::Nothing {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            self.issuer(&parsed, end_entity, intermediates, now)?;
            if self.proof == Proof::IssuerAndName {
                verify_server_name(&parsed, server_name)?;
            }
        }
        if self.pins.is_empty() {
            return Ok(ServerCertVerified::assertion());
        }
        for pin in &self.pins {
            if pin.is_of(end_entity)? {
                return Ok(ServerCertVerified::assertion());
            }
        }
        Err(Error::General(
            "the certificate of the server is none of those in tls.pin".to_owned(),
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies clients: each must have a certificate of an issuer whom we trust.
#[derive(Debug)]
pub(crate) struct Clients {
    usual: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
}

impl Clients {
    pub(crate) fn new(
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let usual = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider)
            .build()
            .map_err(|e| TlsError::setting("caFile", e.to_string()))?;
        Ok(Self { usual, roots })
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.usual.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self
            .usual
            .verify_client_cert(end_entity, intermediates, now)
        {
            Err(error) if is_trusted_itself(&error, end_entity, &self.roots) => {
                Ok(ClientCertVerified::assertion())
            }
            found => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// True for an issuer's certificate that is used by the issuer itself, as the generated one is:
/// webpki refuses such, Go does not. The refusal comes after the dates were found good, so that
/// owning the very key that is trusted is all that is left to ask.
fn is_trusted_itself(
    error: &Error,
    end_entity: &CertificateDer<'_>,
    roots: &RootCertStore,
) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    if other.0.downcast_ref::<webpki::Error>() != Some(&webpki::Error::CaUsedAsEndEntity) {
        return false;
    }
    let Ok(itself) = webpki::anchor_from_trusted_cert(end_entity) else {
        return false;
    };
    roots.roots.contains(&itself)
}

/// True when the life of a certificate of ours is over.
pub(crate) fn is_expired(pair: &CertifiedKey) -> bool {
    let expired = || {
        let certificate = pair.end_entity_cert().ok()?;
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let algorithms = crate::protocol::provider().signature_verification_algorithms;
        // Nobody is trusted, so that there always is an error: the first comes from the dates.
        let error = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &RootCertStore::empty(),
            &[],
            UnixTime::now(),
            algorithms.all,
        )
        .err()?;
        Some(matches!(
            error,
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            )
        ))
    };
    expired().unwrap_or(false)
}
