//! Documents from URLs.

use std::{io::Read as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use ureq::Agent;

use crate::{HttpSource, LoadError, MAX_SIZE, file::text};

/// How long everything may take when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What it is, as the server says.
    pub content_type: Option<String>,
    /// The document; when it is longer than was asked for, its beginning.
    pub body: Vec<u8>,
}

pub(crate) async fn load(source: &HttpSource) -> Result<String, LoadError> {
    let url = source.url.trim().to_owned();
    let timeout = match source.timeout {
        Duration::ZERO => PATIENCE,
        timeout => timeout,
    };
    let fetching = tokio::task::spawn_blocking(move || get(&url, timeout, MAX_SIZE + 1));
    let page = fetching.await.map_err(|e| LoadError::Http(e.to_string()))?;
    let body = page.map_err(LoadError::Http)?.body;
    if body.len() > MAX_SIZE {
        return Err(LoadError::TooLong);
    }
    Ok(text(body))
}

/// A URL without credentials and query, for messages.
pub(crate) fn shown(url: &str) -> String {
    let (url, _) = without_credentials(url.trim());
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url[..end].to_owned()
}

/// The document at an `http` or `https` URL, or the first `most` bytes of it, within `timeout`.
/// Redirects are followed, and the proxies of the environment used. It blocks.
///
/// # Errors
/// Any status but 200, and whatever goes wrong on the way: a reason without the URL.
pub fn get(url: &str, timeout: Duration, most: usize) -> Result<Page, String> {
    let (url, authorization) = without_credentials(url);
    let mut request = agent(&url, timeout)?.get(&url);
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let mut response = request.call().map_err(|e| e.to_string())?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()));
    }
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    let reader = response.body_mut().as_reader();
    reader
        .take(most as u64)
        .read_to_end(&mut body)
        .map_err(|e| e.to_string())?;
    Ok(Page { content_type, body })
}

/// The URL without user and password, and the header that has them instead.
pub fn without_credentials(url: &str) -> (String, Option<String>) {
    let plain = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else {
        return plain();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((userinfo, _)) = rest[..end].rsplit_once('@') else {
        return plain();
    };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let pair: Vec<u8> = percent_decode_str(user)
        .chain(*b":")
        .chain(percent_decode_str(password))
        .collect();
    let url = format!("{scheme}://{}", &rest[userinfo.len() + 1..]);
    (url, Some(format!("Basic {}", STANDARD.encode(pair))))
}

/// What asks for URLs like this one, within `timeout`; statuses are no errors.
///
/// # Errors
/// Without TLS none can be made for `https`.
pub fn agent(url: &str, timeout: Duration) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false);
    let scheme = url.get(..6);
    #[cfg(feature = "tls")]
    let config = if scheme.is_some_and(|s| s.eq_ignore_ascii_case("https:")) {
        config.tls_config(tls()?)
    } else {
        config
    };
    #[cfg(not(feature = "tls"))]
    if scheme.is_some_and(|s| s.eq_ignore_ascii_case("https:")) {
        return Err("this program was built without TLS: use http or a file".to_owned());
    }
    Ok(config.build().into())
}

/// TLS as everybody does it, with the issuers that the system trusts.
#[cfg(feature = "tls")]
fn tls() -> Result<ureq::tls::TlsConfig, String> {
    use std::sync::Arc;

    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("the system has no trusted certificates".to_owned());
    }
    let roots: Vec<_> = found
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build())
}
