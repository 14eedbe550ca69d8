//! Versions, suites and application protocols.

use std::sync::Arc;

use gost_core::build::TlsSettings;
use rustls::{
    SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{cipher_suite as suite, default_provider, kx_group},
    },
    version::{TLS12, TLS13},
};

use crate::TlsError;

/// What both sides of a connection are made with.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// The suites of version 1.2 by their names in Go, in our order of preference.
const SUITES_12: [(&str, SupportedCipherSuite); 6] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The suites of version 1.3. SHA-256 has instructions of its own in most processors, which makes
/// handshakes with the first a good deal cheaper than with the second.
const SUITES_13: [SupportedCipherSuite; 3] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// The cryptography, with everything that it can do in our order of preference.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: SUITES_13
            .into_iter()
            .chain(SUITES_12.iter().map(|(_, suite)| *suite))
            .collect(),
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    }
}

impl Protocol {
    /// What the settings say, and warnings about what they ask for and can't have.
    pub(crate) fn new(settings: &TlsSettings) -> Result<(Self, Vec<String>), TlsError> {
        let mut warnings = Vec::new();
        let min = version(&settings.min_version, "minVersion")?.unwrap_or(12);
        let max = version(&settings.max_version, "maxVersion")?.unwrap_or(13);
        if max < 12 {
            let what = "versions below 1.2 are not secure, and not supported";
            return Err(TlsError::setting("maxVersion", what));
        }
        if min > max {
            let what = format!("{:?} leaves no version", settings.min_version);
            return Err(TlsError::setting("minVersion", what));
        }
        if min < 12 {
            warnings.push(format!(
                "minVersion: {} is not supported; the lowest version is VersionTLS12",
                settings.min_version
            ));
        }
        let versions = [(&TLS13, 13), (&TLS12, 12)]
            .into_iter()
            .filter(|(_, number)| (min..=max).contains(number))
            .map(|(version, _)| version)
            .collect();

        let mut provider = provider();
        // The names of version 1.3 choose nothing, as in Go.
        let names = settings.cipher_suites.iter().map(|name| name.trim());
        let names: Vec<_> = names.filter(|name| !is_of_13(name)).collect();
        if !names.is_empty() {
            let chosen = suites(&names, &mut warnings);
            if chosen.is_empty() && max == 12 {
                let what = "none of them is supported, and maxVersion leaves no others";
                return Err(TlsError::setting("cipherSuites", what));
            }
            provider.cipher_suites = SUITES_13.into_iter().chain(chosen).collect();
        }
        let alpn = settings.alpn.iter().flatten();
        let protocol = Self {
            provider: Arc::new(provider),
            versions,
            alpn: alpn.map(|name| name.as_bytes().to_vec()).collect(),
        };
        Ok((protocol, warnings))
    }
}

fn is_of_13(name: &str) -> bool {
    [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ]
    .iter()
    .any(|suite| suite.eq_ignore_ascii_case(name))
}

/// The chosen suites of version 1.2.
fn suites(names: &[&str], warnings: &mut Vec<String>) -> Vec<SupportedCipherSuite> {
    for name in names {
        if !SUITES_12
            .iter()
            .any(|(suite, _)| suite.eq_ignore_ascii_case(name))
        {
            warnings.push(format!(
                "cipherSuites: {name} is not supported, and left out"
            ));
        }
    }
    SUITES_12
        .iter()
        .filter(|(suite, _)| names.iter().any(|name| suite.eq_ignore_ascii_case(name)))
        .map(|(_, suite)| *suite)
        .collect()
}

fn version(text: &str, key: &'static str) -> Result<Option<u8>, TlsError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "versiontls10" => Ok(Some(10)),
        "versiontls11" => Ok(Some(11)),
        "versiontls12" => Ok(Some(12)),
        "versiontls13" => Ok(Some(13)),
        _ => {
            let what = format!("{text:?} is none of VersionTLS10 to VersionTLS13");
            Err(TlsError::setting(key, what))
        }
    }
}
