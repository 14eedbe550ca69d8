//! The keys of the handler and of the connector.

use std::{collections::BTreeMap, time::Duration};

use gost_core::{
    error::{Error, Result, Why},
    options,
};

use crate::body::is_token;

options! {
    /// Options of the http handler.
    pub struct HttpOptions {
        /// How long a request's header may take once it has begun, and how long the target may
        /// take to answer a request that was sent whole; 0 for the default.
        read_timeout: Duration = READ_TIMEOUT, "readTimeout" | "read.timeout";
        /// End a connection on which nothing has moved for so long; 0 for never, except that a
        /// client which could send another request is waited for five minutes.
        idle_timeout: Duration = Duration::ZERO, "idleTimeout";
        /// Header lines to add to answers of the proxy itself.
        header: BTreeMap<String, String> = BTreeMap::new(), "http.header" | "header";
        /// Keep connections to targets for further requests of the same client.
        keepalive: bool = false, "http.keepalive" | "keepalive";
        /// Accepted for compatibility: the encodings that a client asks for are passed on as they
        /// are.
        compression: bool = false, "http.compression" | "compression";
        /// What clients without credentials get to see: `code:STATUS`, `web:URL`, `host:ADDRESS`
        /// or `file:PATH`.
        probe_resist: String = String::new(), "probeResist" | "probe_resist";
        /// Hosts which tell clients without credentials that this is a proxy.
        knock: Vec<String> = Vec::new(), "knock";
        /// Relay datagrams for clients that ask for it.
        udp: bool = false, "udp";
        /// Accepted for compatibility: datagrams of any length pass.
        udp_buffer_size: usize = 4096, "udp.bufferSize" | "udpBufferSize";
        /// The realm that a client is asked to log in to.
        realm: String = "gost".into(), "authBasicRealm";
        /// What the proxy calls itself.
        proxy_agent: String = "gost/3.0".into(), "http.proxyAgent" | "proxyAgent";
    }
}

options! {
    /// Options of the http connector.
    pub struct HttpConnectorOptions {
        /// How long the node may take to answer; 0 for as long as the whole attempt may take.
        timeout: Duration = Duration::ZERO, "timeout";
        /// Header lines to add to requests.
        header: BTreeMap<String, String> = BTreeMap::new(), "header";
    }
}

/// How long a header may take, and an answer to a request.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may be silent between requests, or stop in the middle of a body.
const CLIENT_IDLE: Duration = Duration::from_mins(5);

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A header that has begun; the answer to a request.
    pub(crate) header: Duration,
    /// A client between requests or in the middle of a body.
    pub(crate) client: Duration,
    /// A response in the middle of its body; `None` for as long as the client waits.
    pub(crate) body: Option<Duration>,
}

impl HttpOptions {
    pub(crate) fn limits(&self) -> Limits {
        let or = |duration: Duration, default| {
            if duration.is_zero() {
                default
            } else {
                duration
            }
        };
        Limits {
            header: or(self.read_timeout, READ_TIMEOUT),
            client: or(self.idle_timeout, CLIENT_IDLE),
            body: (!self.idle_timeout.is_zero()).then_some(self.idle_timeout),
        }
    }
}

/// Checks header lines from the configuration, and leaves out those named in `own`: they are
/// written by us and say how long a message is.
pub(crate) fn header_lines(
    header: &BTreeMap<String, String>,
    own: &[&str],
) -> Result<Vec<(String, String)>> {
    let mut lines = Vec::with_capacity(header.len());
    for (name, value) in header {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong(format!(
                "header: {name:?} is not the name of a header"
            )));
        }
        check_value("header", value)?;
        if !own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            lines.push((name.clone(), value.trim().to_owned()));
        }
    }
    Ok(lines)
}

/// Checks text that is to stand in a header line.
pub(crate) fn check_value(key: &str, value: &str) -> Result<()> {
    if value.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
        return Err(wrong(format!("{key}: a control character in a header")));
    }
    Ok(())
}

pub(crate) fn wrong(what: String) -> Error {
    Error::new(Why::BadInput, what)
}

#[cfg(test)]
mod tests {
    use gost_core::{options::Options as _, values::Values};

    use super::*;

    #[test]
    fn keys_have_their_aliases_and_defaults() {
        let values = Values::new()
            .with("probe_resist", "code:404")
            .with("knock", "a.example, b.example")
            .with("udpBufferSize", "8192")
            .with("keepalive", "true")
            .with("proxyAgent", "agent/9")
            .with("readTimeout", "-1s");
        let mut errors = Vec::new();
        let options = HttpOptions::read(&values, &mut errors);
        assert!(errors.is_empty());
        assert_eq!(options.probe_resist, "code:404");
        assert_eq!(options.knock, ["a.example", "b.example"]);
        assert_eq!((options.udp_buffer_size, options.keepalive), (8192, true));
        assert_eq!(options.proxy_agent, "agent/9");
        assert_eq!(options.realm, "gost");
        // A wait without an end is not had even by asking for it.
        assert_eq!(options.limits().header, READ_TIMEOUT);
        assert_eq!(options.limits().body, None);
    }

    #[test]
    fn header_lines_that_would_break_a_message_are_refused() {
        let map = |name: &str, value: &str| BTreeMap::from([(name.into(), value.into())]);
        let own = &["Content-Length"];
        assert_eq!(
            header_lines(&map("X-A", " b "), own).unwrap(),
            [("X-A".to_owned(), "b".to_owned())]
        );
        assert!(
            header_lines(&map("content-length", "9"), own)
                .unwrap()
                .is_empty()
        );
        for (name, value) in [
            ("X A", "b"),
            ("", "b"),
            ("X:", "b"),
            ("X", "a\r\nY: b"),
            ("X", "a\0"),
        ] {
            assert!(
                header_lines(&map(name, value), own).is_err(),
                "{name:?} {value:?}"
            );
        }
    }
}
