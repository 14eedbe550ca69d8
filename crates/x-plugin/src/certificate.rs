//! What a client's certificate says of it.

use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, X509Name},
};

/// The parts of a certificate that plugins are told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// The common name of the subject; empty without one.
    pub(crate) common_name: String,
    /// The subject's other names: of hosts first, then mail addresses, then URIs.
    pub(crate) names: Vec<String>,
    /// SHA-256 of the certificate as DER, in hexadecimal.
    pub(crate) fingerprint: String,
}

impl ClientCertificate {
    /// Reads a certificate, given as DER; `None` when it is none.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let others = certificate.subject_alternative_name().ok().flatten();
        let others = others.map_or(&[][..], |extension| &extension.value.general_names);
        let of = |pick: fn(&GeneralName<'_>) -> Option<String>| others.iter().filter_map(pick);
        let hosts = of(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let mail = of(|name| match name {
            GeneralName::RFC822Name(name) => Some((*name).to_owned()),
            _ => None,
        });
        let uris = of(|name| match name {
            GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        });
        Some(Self {
            common_name: common_name(certificate.subject()),
            names: hosts.chain(mail).chain(uris).collect(),
            fingerprint: hex::encode(Sha256::digest(der)),
        })
    }
}

fn common_name(subject: &X509Name<'_>) -> String {
    let mut names = subject.iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, SanType};

    use super::*;

    #[test]
    fn names_are_told_in_order_and_garbage_is_no_certificate() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "test-client");
        params.subject_alt_names = vec![
            SanType::URI("spiffe://a/b".try_into().unwrap()),
            SanType::Rfc822Name("a@example.com".try_into().unwrap()),
            SanType::DnsName("a.example.com".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
        ];
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let read = ClientCertificate::parse(&der).unwrap();
        assert_eq!(read.common_name, "test-client");
        assert_eq!(
            read.names,
            ["a.example.com", "a@example.com", "spiffe://a/b"]
        );
        assert_eq!(read.fingerprint, hex::encode(Sha256::digest(&der)));
        for end in 0..der.len() {
            assert_eq!(ClientCertificate::parse(&der[..end]), None, "{end}");
        }
    }
}
