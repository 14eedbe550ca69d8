//! PEM files, and noticing that they have changed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};

use crate::{TlsError, protocol};

/// Larger files are not certificates.
const MOST: u64 = 16 * 1024 * 1024;

/// A certificate with its key, read and found to belong together.
///
/// # Errors
/// [`TlsError`] that names the file and what is wrong with it.
pub(crate) fn pair(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(cert)?;
    let private = private_key(key)?;
    CertifiedKey::from_der(chain, private, &protocol::provider())
        .map(Arc::new)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::content(
                key,
                format!(
                    "the key does not belong to the certificate in {}",
                    cert.display()
                ),
            ),
            rustls::Error::InvalidCertificate(e) => TlsError::content(cert, format!("{e}")),
            e => TlsError::content(key, format!("{e}")),
        })
}

/// The certificates to trust. Those that can't be parsed are left out with a warning.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (good, bad) = roots.add_parsable_certificates(certificates(path)?);
    if good == 0 {
        return Err(TlsError::content(
            path,
            "holds no certificate that can be parsed",
        ));
    }
    if bad > 0 {
        let path = path.display();
        tracing::warn!("{path}: {bad} certificates can't be parsed and are not trusted");
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |e| TlsError::unreadable(path, &e);
    if fs::metadata(path).map_err(failed)?.len() > MOST {
        return Err(TlsError::content(path, "is too large for a PEM file"));
    }
    fs::read(path).map_err(failed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let data = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&data)
        .collect::<Result<_, _>>()
        .map_err(|e| TlsError::content(path, format!("is damaged: {e}")))?;
    if chain.is_empty() {
        let what = if contains(&data, "PRIVATE KEY-----") {
            "holds a key but no certificate"
        } else {
            "holds no certificate in PEM format"
        };
        return Err(TlsError::content(path, what));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let data = read(path)?;
    PrivateKeyDer::from_pem_slice(&data).map_err(|error| {
        let what = match error {
            pem::Error::NoItemsFound if contains(&data, "ENCRYPTED PRIVATE KEY-----") => {
                "the key is encrypted; gost reads keys without a password only".to_owned()
            }
            pem::Error::NoItemsFound if contains(&data, "BEGIN CERTIFICATE-----") => {
                "holds a certificate but no key".to_owned()
            }
            pem::Error::NoItemsFound => "holds no private key in PEM format".to_owned(),
            e => format!("is damaged: {e}"),
        };
        TlsError::content(path, what)
    })
}

fn contains(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What tells a file from what it was before; `None` for one that is not there.
pub(crate) type Stamp = Option<(SystemTime, u64, u64)>;

/// The stamps of files.
pub(crate) fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| -> Stamp {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    };
    files.iter().map(stamp).collect()
}
