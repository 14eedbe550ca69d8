//! Answers of the proxy itself.

use std::{fmt::Write as _, time::SystemTime};

use gost_core::error::{Error, Why};

/// What an answer of the proxy says of the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    /// What the proxy calls itself.
    pub(crate) agent: String,
    /// The realm to log in to.
    pub(crate) realm: String,
    /// Further header lines.
    pub(crate) header: Vec<(String, String)>,
}

/// Lines that say how a message ends, or what we say ourselves.
pub(crate) const OWN_LINES: [&str; 4] = [
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Proxy-Authenticate",
];

impl Voice {
    /// The answer to CONNECT, exactly as the original words it.
    pub(crate) fn established(&self) -> String {
        format!(
            "HTTP/1.1 200 Connection established\r\nProxy-Agent: {}\r\n\r\n",
            self.agent
        )
    }

    /// The answer to a request for datagrams.
    pub(crate) fn datagrams(&self) -> String {
        let mut text = String::from("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
        self.lines(&mut text);
        text + "\r\n"
    }

    /// A refusal, which ends the connection.
    ///
    /// Like the original, it tells what the proxy is called only who asked for something and may.
    pub(crate) fn refusal(&self, status: u16) -> String {
        let mut text = head(status);
        if !is_anonymous(status) {
            if !self.names_agent() {
                let _ = write!(text, "Proxy-Agent: {}\r\n", self.agent);
            }
            self.lines(&mut text);
        }
        text + "\r\n"
    }

    /// A refusal that does not tell who refuses.
    pub(crate) fn hidden(status: u16) -> String {
        format!(
            "HTTP/1.1 {status} {}\r\nDate: {}\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            reason(status),
            httpdate::fmt_http_date(SystemTime::now()),
        )
    }

    /// The refusal of a client that did not prove who it is.
    pub(crate) fn unauthorized(&self, proxy_keep_alive: bool) -> String {
        let mut text = head(407);
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "Proxy-Authenticate: Basic realm=\"{}\"\r\n",
            self.realm
        );
        if proxy_keep_alive {
            text += "Proxy-Connection: close\r\n";
        }
        text + "\r\n"
    }

    fn lines(&self, text: &mut String) {
        for (name, value) in &self.header {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }

    fn names_agent(&self) -> bool {
        self.header
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Proxy-Agent"))
    }
}

/// True for an answer that does not tell what the proxy is called.
pub(crate) const fn is_anonymous(status: u16) -> bool {
    matches!(status, 400 | 407 | 431)
}

fn head(status: u16) -> String {
    format!(
        "HTTP/1.1 {status} {}\r\nConnection: close\r\nContent-Length: 0\r\n",
        reason(status)
    )
}

/// The status for a target that could not be opened.
pub(crate) fn status_of(error: &Error) -> u16 {
    match error.why() {
        Why::Denied => 403,
        _ => 503,
    }
}

/// The words for a status. Source: the registry of RFC 9110, section 15.
pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(header: &[(&str, &str)]) -> Voice {
        Voice {
            agent: "gost/3.0".into(),
            realm: "gost".into(),
            header: header
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        }
    }

    #[test]
    fn answers_are_complete() {
        assert_eq!(
            voice(&[]).refusal(403),
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\nProxy-Agent: gost/3.0\r\n\r\n"
        );
        assert_eq!(
            voice(&[]).unauthorized(true),
            "HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\nContent-Length: 0\r\n\
             Proxy-Authenticate: Basic realm=\"gost\"\r\nProxy-Connection: close\r\n\r\n"
        );
        assert_eq!(
            voice(&[("X-A", "b")]).refusal(400),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            voice(&[("X-A", "b"), ("proxy-agent", "other")]).refusal(503),
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nX-A: b\r\nproxy-agent: other\r\n\r\n"
        );
    }
}
