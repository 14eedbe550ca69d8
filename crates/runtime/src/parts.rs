//! Small parts of a configuration in the form that components take.

use std::sync::Arc;

use gost_config::{Auth, Problem, Tls};
use gost_core::{build::TlsSettings, policy::Credentials};

/// The credentials of a client, or of a handler's only user. Those of a file come first, as far
/// as it has any.
pub(crate) fn credentials(auth: Option<&Auth>) -> Result<Option<Credentials>, Problem> {
    let Some(auth) = auth else { return Ok(None) };
    if !auth.file.is_empty() {
        let text = std::fs::read_to_string(&auth.file)
            .map_err(|e| auth.place.error("file", e.to_string()))?;
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        if let Some(line) = line {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_default().to_owned();
            return Ok(Some(Credentials {
                username: word(),
                password: word(),
            }));
        }
    }
    Ok(Some(Credentials {
        username: auth.username.clone(),
        password: auth.password.to_string(),
    }))
}

/// The TLS settings of a component.
pub(crate) fn tls(tls: Option<&Tls>) -> Option<Arc<TlsSettings>> {
    let tls = tls?;
    let options = tls.options.as_ref();
    Some(Arc::new(TlsSettings {
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        ca_file: tls.ca_file.clone(),
        secure: tls.secure,
        server_name: tls.server_name.clone(),
        min_version: options.map(|o| o.min_version.clone()).unwrap_or_default(),
        max_version: options.map(|o| o.max_version.clone()).unwrap_or_default(),
        cipher_suites: options.map(|o| o.cipher_suites.clone()).unwrap_or_default(),
        alpn: options.map(|o| o.alpn.clone()),
        reject_unknown_sni: tls.reject_unknown_sni,
        server_names: tls.server_names.clone(),
        validity: tls.validity.positive().unwrap_or_default(),
        common_name: tls.common_name.clone(),
        organization: tls.organization.clone(),
    }))
}
