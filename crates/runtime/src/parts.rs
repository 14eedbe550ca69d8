//! Small parts of a configuration in the form that components take.

use std::sync::Arc;

use gost_config::{Auth, Problem, Tls};
use gost_core::{build::TlsSettings, policy::Credentials};

/// The credentials of a client, or of a handler's only user; none without a name. Those of a file
/// come first, as far as it has any: in its first line the name, a blank and the password, which may
/// have blanks itself.
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
            let (name, password) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            return Ok(Some(Credentials {
                username: name.to_owned(),
                password: password.trim_start().to_owned(),
            }));
        }
    }
    Ok((!auth.username.is_empty()).then(|| Credentials {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_a_name_and_those_of_a_file_come_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |text: &str| {
            let path = folder.path().join("auth.txt");
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let of = |username: &str, password: &str, file: String| {
            let auth = Auth {
                username: username.to_owned(),
                password: password.to_owned().into(),
                file,
                ..Auth::default()
            };
            let found = credentials(Some(&auth)).expect("readable");
            found.map(|found| format!("{}:{}", found.username, found.password))
        };
        for (name, password, text, expected) in [
            ("u", "p", None, Some("u:p")),
            ("u", "", None, Some("u:")),
            ("", "p", None, None),
            ("", "", None, None),
            (
                "u",
                "p",
                Some("# staff\n\n  bob  a  b\nann x\n"),
                Some("bob:a  b"),
            ),
            ("u", "p", Some("bob\tx\n"), Some("bob:x")),
            ("", "", Some("bob\n"), Some("bob:")),
            ("u", "p", Some("\n# nobody\n"), Some("u:p")),
            ("", "", Some(""), None),
        ] {
            let file = text.map(file).unwrap_or_default();
            assert_eq!(of(name, password, file).as_deref(), expected, "{text:?}");
        }
    }
}
