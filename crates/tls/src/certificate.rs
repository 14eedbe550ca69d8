//! The certificate of servers that have none of their own: from the program's settings, from the
//! places where the original looks, or generated.

use std::{
    env, fmt, fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gost_core::{
    build::{Build, TlsSettings},
    registry::Kind,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use time::OffsetDateTime;

use crate::{TlsError, files, protocol, verify};

/// Life of a generated certificate.
const VALIDITY: Duration = Duration::from_hours(365 * 24);

/// The certificate of servers that have none of their own. One for the whole program: it is found
/// under its kind in [`Build::named`](gost_core::build::Build).
///
/// In order: the files in the program's settings; `cert.pem` and `key.pem` in the working
/// directory; `auto-ca-cert.pem` and `auto-ca-key.pem` in `.gost` in the home directory; or one
/// that is generated and put there. Source: `config.md` 8.1.
pub struct DefaultCertificate {
    settings: TlsSettings,
    /// Pairs of files to look at, the last of which is where a generated one is put.
    places: Vec<(PathBuf, PathBuf)>,
    generated: Mutex<Option<Arc<CertifiedKey>>>,
}

/// A certificate, and whom clients must have one from.
pub(crate) type Identity = (Arc<CertifiedKey>, Option<Arc<RootCertStore>>);

impl DefaultCertificate {
    /// One by the program's settings, with the usual places.
    pub fn new(settings: TlsSettings) -> Self {
        let home = env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.map(PathBuf::from).unwrap_or_default();
        Self::in_places(settings, Path::new(""), &home)
    }

    /// One by settings, with a working directory and a home directory.
    pub fn in_places(settings: TlsSettings, work: &Path, home: &Path) -> Self {
        let home = home.join(".gost");
        Self {
            settings,
            places: vec![
                (work.join("cert.pem"), work.join("key.pem")),
                (home.join("auto-ca-cert.pem"), home.join("auto-ca-key.pem")),
            ],
            generated: Mutex::default(),
        }
    }

    /// The one of the program that `build` belongs to.
    pub(crate) fn of(build: &Build) -> Arc<Self> {
        build
            .named::<Self>("")
            .and_then(|slot| slot.get())
            .unwrap_or_else(|_| {
                let settings = build.default_tls.as_deref().cloned().unwrap_or_default();
                let made = Arc::new(Self::new(settings));
                build.named.put::<Self>("", made.clone());
                made
            })
    }

    fn is_configured(&self) -> bool {
        let settings = &self.settings;
        ![&settings.cert_file, &settings.key_file, &settings.ca_file]
            .iter()
            .all(|file| file.is_empty())
    }

    /// Every file that it depends on and that others change.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if self.is_configured() {
            return files_of(&self.settings);
        }
        // The generated one is ours alone.
        self.places
            .first()
            .map(|(cert, key)| vec![cert.clone(), key.clone()])
            .unwrap_or_default()
    }

    /// Says what is wrong with the files in the settings, if there are any.
    pub(crate) fn check(&self) -> Result<(), TlsError> {
        if self.is_configured() {
            self.load()?;
        }
        Ok(())
    }

    /// Loads or generates it. This reads files, and may take some 50 ms.
    pub(crate) fn load(&self) -> Result<Identity, TlsError> {
        if self.is_configured() {
            return identity(&self.settings);
        }
        for (cert, key) in &self.places {
            if !cert.exists() || !key.exists() {
                continue;
            }
            match files::pair(cert, key) {
                Ok(pair) if verify::is_expired(&pair) => {
                    tracing::warn!("{}: the certificate has expired; not used", cert.display());
                }
                Ok(pair) => return Ok((pair, None)),
                Err(error) => tracing::warn!("{error}; not used"),
            }
        }
        // Held while generating, so that all servers of the program share one.
        let mut generated = self
            .generated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = &*generated {
            return Ok((pair.clone(), None));
        }
        let (pair, cert, key) = generate(&self.settings)?;
        if let Some((cert_file, key_file)) = self.places.last()
            && let Err(error) = save(cert_file, &cert, key_file, &key)
        {
            let file = cert_file.display();
            tracing::warn!("{file}: {error}: the generated certificate is not kept");
        }
        *generated = Some(pair.clone());
        Ok((pair, None))
    }
}

impl fmt::Debug for DefaultCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultCertificate")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl Kind for DefaultCertificate {
    type Made = Arc<Self>;
    const NAME: &'static str = "certificate";
}

/// The files that settings name.
pub(crate) fn files_of(settings: &TlsSettings) -> Vec<PathBuf> {
    [&settings.cert_file, &settings.key_file, &settings.ca_file]
        .into_iter()
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// The certificate that settings name, and the issuers of clients' certificates.
pub(crate) fn identity(settings: &TlsSettings) -> Result<Identity, TlsError> {
    let pair = own_pair(settings)?
        .ok_or_else(|| TlsError::setting("caFile", "without certFile and keyFile"))?;
    Ok((pair, trusted(settings)?))
}

/// The certificate and key that settings name, if they do.
pub(crate) fn own_pair(settings: &TlsSettings) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    match (&*settings.cert_file, &*settings.key_file) {
        ("", "") => Ok(None),
        (_, "") => Err(TlsError::setting("certFile", "without keyFile")),
        ("", _) => Err(TlsError::setting("keyFile", "without certFile")),
        (cert, key) => files::pair(cert.as_ref(), key.as_ref()).map(Some),
    }
}

/// The issuers that settings name, if they do.
pub(crate) fn trusted(settings: &TlsSettings) -> Result<Option<Arc<RootCertStore>>, TlsError> {
    match &*settings.ca_file {
        "" => Ok(None),
        file => files::roots(file.as_ref()).map(|roots| Some(Arc::new(roots))),
    }
}

/// A certificate that signs itself, like the original's; and certificate and key in PEM.
fn generate(settings: &TlsSettings) -> Result<(Arc<CertifiedKey>, String, String), TlsError> {
    let or = |text: &str, default: &str| if text.is_empty() { default } else { text }.to_owned();
    let failed = |e: rcgen::Error| TlsError::Other(format!("generate a certificate: {e}"));
    let name = or(&settings.common_name, "gost.run");
    let mut params = CertificateParams::new([name.clone()]).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, or(&settings.organization, "GOST"));
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial)
        .map_err(|_| TlsError::Other("the system gives no random numbers".to_owned()))?;
    // A serial number is positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let validity = if settings.validity.is_zero() {
        VALIDITY
    } else {
        settings.validity
    };
    params.not_before = OffsetDateTime::now_utc();
    params.not_after = params
        .not_before
        .checked_add(validity.try_into().unwrap_or(time::Duration::MAX))
        .ok_or_else(|| TlsError::setting("validity", "is too long"))?;

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let cert = params.self_signed(&key).map_err(failed)?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![CertificateDer::from(cert.der().to_vec())];
    let pair = CertifiedKey::from_der(chain, private, &protocol::provider())
        .map_err(|e| TlsError::rustls(&e))?;
    Ok((Arc::new(pair), cert.pem(), key.serialize_pem()))
}

/// Puts them where the next start finds them: the key for our eyes only. Each is complete from
/// the moment that it is there.
fn save(cert_file: &Path, cert: &str, key_file: &Path, key: &str) -> std::io::Result<()> {
    if let Some(folder) = cert_file.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    for (file, text, mode) in [(key_file, key, 0o600), (cert_file, cert, 0o644)] {
        let new = file.with_extension(format!("{}.new", std::process::id()));
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        let written = out.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| fs::rename(&new, file)) {
            // Half a file is no use to anybody.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
    }
    Ok(())
}
