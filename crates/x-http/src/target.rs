//! What a request asks for: request targets, authorities, and the hidden names of old clients.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gost_core::addr::Addr;

/// Where a request goes and what it asks for there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// `CONNECT host:port`
    Authority(&'a str),
    /// `GET http://host:port/path`: the authority, and the path with its query.
    Absolute(&'a str, &'a str),
    /// `GET /path` or `OPTIONS *`: the host stands in a header.
    Origin(&'a str),
    /// A scheme that is not forwarded, or nothing that has a meaning.
    Other,
}

impl<'a> Form<'a> {
    /// Reads a request target. Source: RFC 9112, section 3.2.
    pub(crate) fn parse(method: &str, target: &'a str) -> Self {
        if method == "CONNECT" {
            return Self::Authority(target);
        }
        if target.starts_with('/') || target == "*" {
            return Self::Origin(target);
        }
        let Some(rest) = strip_scheme(target) else {
            return Self::Other;
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // A user in front of the host is for the client's own use: RFC 9110, section 4.2.4.
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Self::Absolute(host, path)
    }
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_at_checked("http://".len())?;
    scheme.eq_ignore_ascii_case("http://").then_some(rest)
}

/// The address of an authority, with port 80 where it has none; `None` when there is no host or
/// it is none.
///
/// An empty host would mean this machine: nobody is let through to that by leaving out a name.
pub(crate) fn address(authority: &str) -> Option<Addr> {
    let addr = Addr::parse(authority)?;
    let addr = if addr.port() == 0 {
        addr.with_port(80)
    } else {
        addr
    };
    match &addr {
        Addr::Ip(_) => Some(addr),
        Addr::Name(name, _) if is_host(name) => Some(addr),
        _ => None,
    }
}

/// True for what may stand for a host: nothing that ends a host in a URL or that only looks like
/// an IP literal.
fn is_host(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.bytes().any(|b| {
            b <= b' '
                || b == 0x7f
                || matches!(
                    b,
                    b':' | b'/'
                        | b'\\'
                        | b'?'
                        | b'#'
                        | b'@'
                        | b'['
                        | b']'
                        | b'%'
                        | b'"'
                        | b'<'
                        | b'>'
                )
        })
}

/// True for what a request without an address of its own may name in its `Host` line: an IP
/// address, or a name of letters, digits, `-` and `_`.
pub(crate) fn is_plain_host(addr: &Addr) -> bool {
    let Addr::Name(name, _) = addr else {
        return matches!(addr, Addr::Ip(_));
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

/// The name hidden in a `Gost-Target` header. Source: `wire-protocols.md` 10: the base64 of a
/// checksum of the name and of the base64 of the name.
pub(crate) fn reveal(hidden: &str) -> Option<String> {
    let outer = URL_SAFE_NO_PAD.decode(hidden).ok()?;
    let (sum, inner) = outer.split_first_chunk::<4>()?;
    let name = URL_SAFE_NO_PAD.decode(inner).ok()?;
    if crc32fast::hash(&name) != u32::from_be_bytes(*sum) {
        return None;
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_request_targets() {
        use Form::{Absolute, Authority, Origin, Other};
        for (method, target, form) in [
            ("CONNECT", "a:1", Authority("a:1")),
            ("CONNECT", "", Authority("")),
            ("GET", "/a?b", Origin("/a?b")),
            ("OPTIONS", "*", Origin("*")),
            ("GET", "http://a:1/b?c", Absolute("a:1", "/b?c")),
            ("GET", "HTTP://a", Absolute("a", "")),
            ("GET", "http://a?b/c", Absolute("a", "?b/c")),
            ("GET", "http://u:p@a/b@c", Absolute("a", "/b@c")),
            ("GET", "http:///b", Absolute("", "/b")),
            ("GET", "https://a/", Other),
            ("GET", "ftp://a/", Other),
            ("GET", "a:1", Other),
            ("GET", "httpé//", Other),
        ] {
            assert_eq!(Form::parse(method, target), form, "{target}");
        }
    }

    #[test]
    fn addresses_of_authorities() {
        for (authority, addr) in [
            ("a", "a:80"),
            ("a:", "a:80"),
            ("a:443", "a:443"),
            ("10.0.0.1", "10.0.0.1:80"),
            ("[::1]", "[::1]:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("::1", "[::1]:80"),
            ("a_b-c.example.", "a_b-c.example.:80"),
            ("bücher.example", "bücher.example:80"),
        ] {
            let found = address(authority).map(|addr| addr.to_string());
            assert_eq!(found.as_deref(), Some(addr), "{authority}");
        }
        for authority in [
            "", ":80", "a:b", "a:70000", "a:-1", "1:2:3", "[::1", "[a]b", "a/b", "a b", "a@b",
            "a#b", "a%00",
        ] {
            assert_eq!(address(authority), None, "{authority}");
        }
    }

    #[test]
    fn hidden_names() {
        for (hidden, name) in [
            ("tvpOuVpYaGhiWEJzWlM1amIyMA", Some("example.com")),
            ("LtZCu2QzZDNMbVY0WVcxd2JHVXVZMjl0", Some("www.example.com")),
            ("7GZA7k1USTNMakF1TUM0eE9qTTJNVEEx", Some("127.0.0.1:36105")),
            ("tvpOulpYaGhiWEJzWlM1amIyMA", None),
            ("tvpO", None),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(reveal(hidden).as_deref(), name, "{hidden}");
        }
    }
}
