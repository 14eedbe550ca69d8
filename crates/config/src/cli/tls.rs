//! TLS parameters of URLs.

use std::sync::Arc;

use super::{build::Builder, query::Query, service::PLAIN_LISTENERS, url::host_name};
use crate::{Place, Severity, Tls, cli::scheme::secure};

const CERT: [&str; 3] = ["tls.certFile", "certFile", "cert"];
const KEY: [&str; 3] = ["tls.keyFile", "keyFile", "key"];
const CA: [&str; 3] = ["tls.caFile", "caFile", "ca"];
const SECURE: [&str; 2] = ["tls.secure", "secure"];
const SERVER_NAME: [&str; 2] = ["tls.servername", "servername"];

/// Dialers that never do TLS.
const PLAIN_DIALERS: [&str; 11] = [
    "tcp", "udp", "unix", "serial", "mtcp", "ws", "mws", "h2c", "pht", "direct", "virtual",
];

fn files(query: &mut Query, source: &Arc<str>) -> Tls {
    let tls = Tls {
        cert_file: query.text(&CERT),
        key_file: query.text(&KEY),
        ca_file: query.text(&CA),
        place: Place::flag(source, "tls"),
        ..Tls::default()
    };
    for keys in [CERT, KEY, CA] {
        query.remove(&keys);
    }
    tls
}

/// The certificate of a service; none without a certificate file.
pub(crate) fn server(
    query: &mut Query,
    listener: &str,
    builder: &mut Builder<'_>,
    source: &Arc<str>,
) -> Option<Tls> {
    let tls = files(query, source);
    if tls.cert_file.is_empty() {
        if !tls.ca_file.is_empty() {
            let message = "without certFile it is dropped: clients would not be asked for a \
                           certificate";
            builder.say(Severity::Error, source, "caFile", message);
        }
        if !tls.key_file.is_empty() {
            builder.say(
                Severity::Error,
                source,
                "keyFile",
                "without certFile it is dropped",
            );
        }
        return None;
    }
    if PLAIN_LISTENERS.contains(&listener) {
        let hint = match listener {
            "tcp" => "; did you mean https, or +tls?".to_owned(),
            plain => secure(plain).map_or_else(String::new, |s| format!("; did you mean {s}?")),
        };
        let message = format!("the {listener} listener does not use certificates{hint}");
        builder.say(Severity::Warning, source, "certFile", message);
    }
    Some(tls)
}

/// The TLS block of a node; there is one whenever there is a host.
pub(crate) fn client(
    query: &mut Query,
    dialer: &str,
    host: &str,
    builder: &mut Builder<'_>,
    source: &Arc<str>,
) -> Option<Tls> {
    let mut tls = files(query, source);
    let otherwise = "the certificate would not be verified";
    tls.secure = query.truth(&SECURE, otherwise, &mut builder.problems);
    tls.server_name = query.text(&SERVER_NAME);
    // Only these spellings are taken out; `servername` stays, as ever.
    query.remove(&["tls.secure", "secure", "tls.servername", "serverName"]);
    if PLAIN_DIALERS.contains(&dialer)
        && (tls.secure || !tls.cert_file.is_empty() || !tls.ca_file.is_empty())
    {
        let hint = secure(dialer).map_or_else(String::new, |s| format!("; did you mean {s}?"));
        builder.warn(
            source,
            format!("the {dialer} dialer does not use TLS{hint}"),
        );
    }
    if tls.server_name.is_empty() {
        host_name(host).clone_into(&mut tls.server_name);
    }
    let is_needed = tls.secure
        || !tls.cert_file.is_empty()
        || !tls.ca_file.is_empty()
        || !tls.server_name.is_empty();
    is_needed.then_some(tls)
}
