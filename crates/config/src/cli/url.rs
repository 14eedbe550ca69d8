//! URLs as Go's `net/url` reads them, which is what command lines have always been read with.

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    /// In lower case.
    pub(crate) scheme: String,
    /// User and password, decoded; present though empty when there was an `@`.
    pub(crate) user: Option<(String, Option<String>)>,
    /// Host and port, decoded.
    pub(crate) host: String,
    /// The path, percent-encoded.
    pub(crate) path: String,
    /// The query, as written.
    pub(crate) query: String,
    /// True when there was a fragment (it has no meaning).
    pub(crate) fragment: bool,
}

/// Cuts the host out of a service URL: between the userinfo and the first `/` or `?`.
///
/// Service URLs may have port ranges and other texts there that no URL has. The text must contain
/// `://`.
pub(crate) fn cut_host(text: &str) -> (String, String) {
    let start = text.find(':').map_or(0, |at| (at + 3).min(text.len()));
    let Some(rest) = text.get(start..) else {
        return (String::new(), text.to_owned());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    let remain = format!("{}{}", &text[..start + host], &rest[end..]);
    (rest[host..end].to_owned(), remain)
}

/// Adds the scheme `auto` where there is none.
pub(crate) fn with_scheme(text: &str) -> String {
    if text.starts_with(':') || !text.contains("://") {
        format!("auto://{text}")
    } else {
        text.to_owned()
    }
}

/// Parses a URL that has a scheme (see [`with_scheme`]).
///
/// # Errors
/// A message that says what to write instead; it never shows a part of the password.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err("control character in the URL".to_owned());
    }
    let (text, fragment) = match text.split_once('#') {
        Some((text, fragment)) => (text, Some(fragment)),
        None => (text, None),
    };
    let (scheme, rest) = split_scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest
        .strip_prefix("//")
        .ok_or_else(|| "expected // after the scheme".to_owned())?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    // Half a password looks like a port.
    for (sign, escape, tail) in [
        ('#', "%23", fragment),
        ('/', "%2F", Some(path)),
        ('?', "%3F", Some(query)),
    ] {
        let is_cut = tail.is_some_and(|tail| tail.contains('@'));
        if is_cut && !has_port_or_none(host) {
            return Err(format!("write {sign} in the password as {escape}"));
        }
    }
    let host = parse_host(host)?;
    let user = userinfo.map(parse_userinfo).transpose()?;
    Ok(Url {
        scheme: if scheme == "https" {
            "http+tls".to_owned()
        } else {
            scheme
        },
        user,
        host,
        path: encoded_path(path)?,
        query: query.to_owned(),
        fragment: fragment.is_some(),
    })
}

fn split_scheme(text: &str) -> Result<(String, &str), String> {
    let (scheme, rest) = text
        .split_once(':')
        .ok_or_else(|| "missing scheme".to_owned())?;
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(format!(
            "{scheme:?} is not a scheme: a scheme starts with a letter"
        ));
    }
    if !scheme
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(format!(
            "{scheme:?} is not a scheme: letters, digits, + - . only"
        ));
    }
    Ok((scheme.to_ascii_lowercase(), rest))
}

fn has_port_or_none(host: &str) -> bool {
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    port.bytes().all(|b| b.is_ascii_digit())
}

/// Checks and decodes a host, or a list of them.
fn parse_host(host: &str) -> Result<String, String> {
    if host.contains('[') {
        // Several bracketed addresses are no URL, but a list of nodes all the same.
        for member in host.split(',') {
            bracketed(member)?;
        }
    } else {
        for (at, member) in host.split(',').enumerate() {
            if let Some((name, port)) = member.rsplit_once(':') {
                if name.contains(':') {
                    return Err("write IPv6 addresses in brackets: [2001:db8::1]:80".to_owned());
                }
                check_port(port)?;
            }
            let is_list_of_ports = at > 0 && host.contains(':');
            if member.is_empty() && is_list_of_ports {
                return Err("empty member in the address list".to_owned());
            }
        }
    }
    decode_host(host)
}

fn bracketed(member: &str) -> Result<(), String> {
    let Some(rest) = member.strip_prefix('[') else {
        return if member.contains('[') {
            Err(format!("{member:?} is not an address"))
        } else {
            member
                .rsplit_once(':')
                .map_or(Ok(()), |(_, port)| check_port(port))
        };
    };
    let (address, port) = rest
        .rsplit_once(']')
        .ok_or_else(|| "missing ] in the address".to_owned())?;
    let without_zone = address.split("%25").next().unwrap_or(address);
    if without_zone.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(format!("{address:?} is not an IPv6 address"));
    }
    match port.strip_prefix(':') {
        Some(port) => check_port(port),
        None if port.is_empty() => Ok(()),
        None => Err(format!("expected : and a port after ], not {port:?}")),
    }
}

fn check_port(port: &str) -> Result<(), String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if port.is_empty() || digits(port) {
        return Ok(());
    }
    Err(match port.split_once('-') {
        Some((first, last)) if digits(first) && digits(last) => {
            "a node takes one port, not a range".to_owned()
        }
        Some(("", last)) if digits(last) => format!("port {port} out of range"),
        _ => format!("port {port:?} is not a number"),
    })
}

/// Percent-decodes a host: only bytes outside ASCII, and `%25` for a zone, may be escaped.
fn decode_host(host: &str) -> Result<String, String> {
    for (at, _) in host.match_indices('%') {
        match host.get(at + 1..at + 3) {
            Some("25") => {}
            Some("20") => return Err("blank in host name".to_owned()),
            Some(hex) => match u8::from_str_radix(hex, 16) {
                Ok(0x80..) => {}
                Ok(_) => {
                    return Err("escapes of ASCII letters are not allowed in host names".to_owned());
                }
                Err(_) => return Err(format!("%{hex} is not a percent escape")),
            },
            None => return Err("% at the end is not a percent escape".to_owned()),
        }
    }
    let odd = |c: char| {
        c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    match host.chars().find(|c| odd(*c)) {
        Some(' ') => Err("blank in host name".to_owned()),
        Some(c) => Err(format!("character {c:?} in host name")),
        None => Ok(percent_decode_str(host).decode_utf8_lossy().into_owned()),
    }
}

fn parse_userinfo(text: &str) -> Result<(String, Option<String>), String> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let user = decode_user(user, "user name")?;
    let password = password.map(|text| decode_user(text, "password"));
    Ok((user, password.transpose()?))
}

fn decode_user(text: &str, part: &str) -> Result<String, String> {
    let odd = |c: &char| !c.is_ascii_alphanumeric() && !"-._:~!$&'()*+,;=%@".contains(*c);
    match text.chars().find(odd) {
        None => {}
        Some(' ') => return Err(format!("write the blank in the {part} as %20")),
        Some(c) if !c.is_ascii() => {
            return Err(format!(
                "write letters outside ASCII in the {part} percent-encoded"
            ));
        }
        Some(c) => {
            return Err(format!("write {c} in the {part} as %{:02X}", u32::from(c)));
        }
    }
    decode(text)
        .ok_or_else(|| format!("the {part} has a % that starts no percent escape; write % as %25"))
}

/// Percent-decodes; `None` for a bad escape. Bytes that are no UTF-8 are replaced.
fn decode(text: &str) -> Option<String> {
    let is_good = text.match_indices('%').all(|(at, _)| {
        let hex = text.as_bytes().get(at + 1..at + 3);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    is_good.then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// The path as it goes on: as written when that is proper, else encoded anew.
fn encoded_path(path: &str) -> Result<String, String> {
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b',')
        .remove(b'/')
        .remove(b':')
        .remove(b';')
        .remove(b'=')
        .remove(b'@');
    let decoded = decode(path).ok_or_else(|| {
        let bad = path
            .match_indices('%')
            .map(|(at, _)| path.get(at..at + 3).unwrap_or(&path[at..]));
        let bad = bad.into_iter().find(|bad| decode(bad).is_none());
        format!("{} is not a percent escape", bad.unwrap_or("%"))
    })?;
    let is_proper = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:@[]%/".contains(c);
    if path.chars().all(is_proper) {
        Ok(path.to_owned())
    } else {
        Ok(utf8_percent_encode(&decoded, PATH).to_string())
    }
}

/// The pairs of a query, decoded, in order; and why others were dropped.
pub(crate) fn query_pairs(query: &str) -> (Vec<(String, String)>, Vec<String>) {
    let mut pairs = Vec::new();
    let mut dropped = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pair.contains(';') {
            let key = key.split(';').next().unwrap_or(key);
            dropped.push(format!(
                "{key}: use & between parameters, and %3B for a semicolon; this one is dropped"
            ));
            continue;
        }
        let plus = |text: &str| decode(&text.replace('+', "%20"));
        match (plus(key), plus(value)) {
            (Some(key), Some(value)) => pairs.push((key, value)),
            _ => dropped.push(format!(
                "{key}: a % that starts no percent escape; write % as %25; the parameter is dropped"
            )),
        }
    }
    (pairs, dropped)
}

/// The host name of host and port: without port and brackets.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[')
        && let Some((name, _)) = rest.split_once(']')
    {
        return name;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Control characters, for text that a message repeats.
pub(crate) fn printable(text: &str) -> String {
    utf8_percent_encode(text, CONTROLS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart_as_in_go() {
        let url = parse("HTTPS://us%20er:p%3Aw@[::1]:80/a%20b?x=1#f").expect("a URL");
        assert_eq!(url.scheme, "http+tls");
        assert_eq!(url.user, Some(("us er".into(), Some("p:w".into()))));
        assert_eq!(
            (url.host.as_str(), url.path.as_str()),
            ("[::1]:80", "/a%20b")
        );
        assert_eq!((url.query.as_str(), url.fragment), ("x=1", true));
        let url = parse("http://@h,h:2/\u{e4} b").expect("a URL");
        assert_eq!(url.user, Some((String::new(), None)));
        assert_eq!(
            (url.host.as_str(), url.path.as_str()),
            ("h,h:2", "/%C3%A4%20b")
        );
    }

    #[test]
    fn the_host_of_a_service_is_cut_out_verbatim() {
        for (text, host, remain) in [
            ("tcp://:1-2/x:1?a=b", ":1-2", "tcp:///x:1?a=b"),
            ("tcp://u:p@q@h:1", "h:1", "tcp://u:p@q@"),
            ("a:b", "", "a:b"),
            ("a:x\u{e4}://", "", "a:x\u{e4}://"),
        ] {
            assert_eq!(
                cut_host(text),
                (host.to_owned(), remain.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_pairs_of_a_query_are_dropped_with_a_reason() {
        let (pairs, dropped) = query_pairs("a=1+2%20&&b&c;d=1&e=%zz&a=3");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "1 2 "), ("b", ""), ("a", "3")]);
        assert!(dropped[0].contains("use & between") && dropped[1].starts_with("e:"));
    }
}
