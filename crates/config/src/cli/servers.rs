//! The values of `-api` and `-metrics`.

use std::sync::Arc;

use super::{
    query::Query,
    redact::redact,
    url::{self, Url, with_scheme},
};
use crate::{Api, Auth, Metrics, Place, Problem, Severity};

struct Server {
    addr: String,
    auth: Option<Auth>,
    query: Query,
    place: Place,
    path: String,
}

/// Reads the value as a URL; what is none is taken for an address.
fn server(flag: &str, text: &str, problems: &mut Vec<Problem>) -> Server {
    let source: Arc<str> = format!("{flag} {}", redact(text)).into();
    let place = Place::flag(&source, "");
    let parsed = url::parse(&with_scheme(text.trim()));
    let url = parsed.unwrap_or_else(|_| Url {
        host: text.to_owned(),
        ..Url::default()
    });
    let is_socket = url.scheme == "unix" && url.host.is_empty() && !url.path.is_empty();
    Server {
        addr: if is_socket {
            format!("unix://{}", url.path)
        } else {
            url.host
        },
        auth: url.user.map(|(username, password)| Auth {
            username,
            password: password.unwrap_or_default().into(),
            place: place.clone(),
            ..Auth::default()
        }),
        query: Query::parse(&url.query, &source, problems),
        place,
        path: if is_socket { String::new() } else { url.path },
    }
}

/// A path in the URL is not the path of the server.
fn ignored_path(server: &Server, key: &str, problems: &mut Vec<Problem>) {
    let path = server.path.trim_end_matches('/');
    if !path.is_empty() {
        let message = format!("the path is ignored; did you mean ?{key}={path}");
        problems.push(server.place.problem(Severity::Warning, "", message));
    }
}

/// The web API section that `-api` stands for.
pub(crate) fn api(text: &str, problems: &mut Vec<Problem>) -> Api {
    let server = server("-api", text, problems);
    ignored_path(&server, "pathPrefix", problems);
    Api {
        path_prefix: server.query.text(&["pathPrefix"]),
        accesslog: server
            .query
            .truth(&["accesslog"], "false is used", problems),
        addr: server.addr,
        auth: server.auth,
        auther: String::new(),
        place: server.place,
    }
}

/// The metrics section that `-metrics` stands for.
pub(crate) fn metrics(text: &str, problems: &mut Vec<Problem>) -> Metrics {
    let server = server("-metrics", text, problems);
    ignored_path(&server, "path", problems);
    Metrics {
        path: server.query.text(&["path"]),
        addr: server.addr,
        auth: server.auth,
        auther: String::new(),
        place: server.place,
    }
}
