//! Plugins that are asked over HTTP.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use gost_core::{addr::Target, build::TlsSettings};
use gost_tls::ClientTls;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::{
    connect::{Connector, host_and_port},
    error::PluginError,
    messages::Call,
};

/// How long a connection is kept that nobody uses: less than most servers do, so that no question
/// is sent just when they close it.
const IDLE: Duration = Duration::from_secs(4);
/// How many of them are kept.
const MAX_IDLE: usize = 8;

/// A plugin with a URL.
pub(crate) struct HttpPlugin {
    client: Client<Connector, Full<Bytes>>,
    url: Uri,
    /// The value of `Authorization`.
    authorization: Option<HeaderValue>,
}

/// A URL taken apart.
pub(crate) struct Url {
    uri: Uri,
    authority: Authority,
    user: Option<String>,
}

impl Url {
    /// Reads a URL with the scheme `http` or `https`; one without a scheme has `http`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let wrong = |why: String| format!("not a URL of http or https: {why}");
        let uri: Uri = whole.parse().map_err(|e| wrong(format!("{e}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("another scheme".to_owned()));
        }
        let authority = uri.authority().ok_or_else(|| wrong("no host".to_owned()))?;
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => {
                let user = percent_decode_str(user).decode_utf8_lossy().into_owned();
                (Some(user), host)
            }
            None => (None, authority.as_str()),
        };
        let authority: Authority = host.parse().map_err(|e| wrong(format!("{e}")))?;
        let mut parts = uri.clone().into_parts();
        parts.authority = Some(authority.clone());
        let uri = Uri::from_parts(parts).map_err(|e| wrong(format!("{e}")))?;
        Ok(Self {
            uri,
            authority,
            user,
        })
    }

    /// True for `https`.
    pub(crate) fn has_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Where to connect to.
    pub(crate) fn target(&self) -> Result<Target, String> {
        let port = if self.has_tls() { 443 } else { 80 };
        host_and_port(self.authority.as_str(), port)
            .map(Target::tcp)
            .ok_or_else(|| "not a URL of http or https: no host and port".to_owned())
    }

    /// The URL without what is secret in it.
    pub(crate) fn shown(&self) -> String {
        format!(
            "{}://{}{}",
            self.uri.scheme_str().unwrap_or_default(),
            self.authority,
            self.uri.path()
        )
    }
}

/// The TLS settings toward a URL: the given ones, or a server that must prove who it is.
pub(crate) fn tls_settings(given: Option<&TlsSettings>) -> TlsSettings {
    let mut settings = given.cloned().unwrap_or_else(|| TlsSettings {
        secure: true,
        ..TlsSettings::default()
    });
    settings.alpn.get_or_insert_with(|| vec!["http/1.1".into()]);
    settings
}

impl HttpPlugin {
    /// A plugin at a URL. Nothing is connected yet.
    pub(crate) fn new(
        url: Url,
        token: &str,
        tls: Option<Arc<ClientTls>>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let connector = Connector::new(url.target()?, tls, timeout);
        let secret = if token.is_empty() {
            let basic = |user| format!("Basic {}", STANDARD.encode(user));
            url.user.map(basic)
        } else {
            Some(format!("Bearer {token}"))
        };
        let authorization = secret
            .map(|text| HeaderValue::from_str(&text))
            .transpose()
            .map_err(|_| "the token can't be sent in a header".to_owned())?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self {
            client,
            url: url.uri,
            authorization,
        })
    }

    /// Asks. The status must be 200.
    pub(crate) async fn call<C: Call>(&self, question: &C) -> Result<C::Reply, PluginError> {
        let question = serde_json::to_value(question)
            .map_err(|e| PluginError::NotUnderstood(e.to_string()))?;
        let (url, body) = if C::VERB == Method::GET {
            (with_query(&self.url, &question)?, Bytes::new())
        } else {
            (self.url.clone(), question.to_string().into())
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = C::VERB;
        *request.uri_mut() = url;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(value) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|e| PluginError::transport(&e))?;
        if answer.status() != StatusCode::OK {
            return Err(PluginError::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), C::MOST).collect().await;
        let body = body.map_err(|e| {
            if e.is::<LengthLimitError>() {
                PluginError::TooLong(C::MOST)
            } else {
                PluginError::transport(&*e)
            }
        })?;
        C::answer(&body.to_bytes())
    }
}

/// The URL with the texts of a question added to its query.
fn with_query(url: &Uri, question: &Value) -> Result<Uri, PluginError> {
    let fields = question.as_object().into_iter().flatten();
    let fields = fields.map(|(key, value)| {
        let text = value.as_str().unwrap_or_default();
        format!("{key}={}", utf8_percent_encode(text, NON_ALPHANUMERIC))
    });
    let query: Vec<_> = url
        .query()
        .map(str::to_owned)
        .into_iter()
        .chain(fields)
        .collect();
    let mut parts = url.clone().into_parts();
    let path = format!("{}?{}", url.path(), query.join("&"));
    let wrong = |e: &dyn std::error::Error| PluginError::Transport(e.to_string());
    parts.path_and_query = Some(path.parse().map_err(|e: http::uri::InvalidUri| wrong(&e))?);
    Uri::from_parts(parts).map_err(|e| wrong(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_secrets() {
        for (text, target, shown) in [
            (
                "http://127.0.0.1:8000/auth?a=b",
                "127.0.0.1:8000",
                "http://127.0.0.1:8000/auth",
            ),
            (
                "https://plugin.test",
                "plugin.test:443",
                "https://plugin.test/",
            ),
            ("[::1]:81/x", "[::1]:81", "http://[::1]:81/x"),
            ("http://u:p%20w@host/", "host:80", "http://host/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.target().unwrap().addr.to_string(), target);
            assert_eq!(url.shown(), shown);
        }
        let url = Url::parse("http://u:p%20w@host/").unwrap();
        assert_eq!(url.user.as_deref(), Some("u:p w"));
        for text in [
            "",
            "ftp://host/",
            "http://",
            "http://ho st/",
            "http://host:x/",
        ] {
            let target = Url::parse(text).and_then(|url| url.target());
            assert!(target.is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_is_added_to_the_one_there_is() {
        let question = serde_json::json!({"host": "a b:80&c"});
        let url = with_query(&"http://h/p?x=1".parse().unwrap(), &question).unwrap();
        assert_eq!(url, "http://h/p?x=1&host=a%20b%3A80%26c");
        let url = with_query(&"http://h".parse().unwrap(), &question).unwrap();
        assert_eq!(url.query(), Some("host=a%20b%3A80%26c"));
    }
}
