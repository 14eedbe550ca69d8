//! Command-line URLs with their secrets hidden, for messages.

/// The URL with the password, and the value of an `auth` parameter, replaced by `***`.
///
/// Works on malformed URLs too, and hides rather too much than too little: a password with a `/`,
/// `?` or `#` in it is no part of a well-formed URL, but a secret all the same.
pub fn redact(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (head, rest) = url.split_at(start);
    let query = rest.find('?').unwrap_or(rest.len());
    let colon = rest.find(':');
    let at = match rest[..query].rfind('@') {
        Some(at) => Some(at),
        // No userinfo before the query; but a "port" that is none may be half a password.
        None => colon
            .filter(|colon| {
                let port = rest[colon + 1..].chars().next();
                !port.is_some_and(|c| c.is_ascii_digit())
            })
            .and_then(|_| rest.rfind('@')),
    };
    let mut shown = head.to_owned();
    let tail = match (at, colon) {
        (Some(at), Some(colon)) if colon < at => {
            shown.push_str(&rest[..=colon]);
            shown.push_str("***");
            &rest[at..]
        }
        // Schemes of Shadowsocks and ssh put both parts into one base64 text.
        (Some(at), _) if head.starts_with("ss") && at > 0 => {
            shown.push_str("***");
            &rest[at..]
        }
        _ => rest,
    };
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    shown.push_str(path);
    if let Some(query) = query {
        for (at, pair) in query.split('&').enumerate() {
            shown.push(if at == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((key, _)) if is_secret(key) => {
                    shown.push_str(key);
                    shown.push_str("=***");
                }
                _ => shown.push_str(pair),
            }
        }
    }
    // A terminal must not be told anything by a message.
    shown.replace(char::is_control, "?")
}

/// Parameters that hold secrets.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let name = key.rsplit('.').next().unwrap_or(&key);
    key == "kcp.key"
        || [
            "auth",
            "password",
            "passphrase",
            "secret",
            "token",
            "cipherkey",
        ]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_even_in_malformed_urls() {
        for (url, shown) in [
            ("http://:8080", "http://:8080"),
            ("http://u:secret@h:1", "http://u:***@h:1"),
            ("http://u:se@cret@h:1", "http://u:***@h:1"),
            ("http://u:se/cret@h:1", "http://u:***@h:1"),
            ("http://u:se?cret@h:1", "http://u:***@h:1"),
            ("http://u:se#cret@h:1", "http://u:***@h:1"),
            ("u:secret@h:1", "u:***@h:1"),
            ("http://u@h:1", "http://u@h:1"),
            ("ss://c2VjcmV0@h:1", "ss://***@h:1"),
            ("http://h:1?a=b&Auth=c2VjcmV0", "http://h:1?a=b&Auth=***"),
            ("tun://:1?passphrase=x", "tun://:1?passphrase=***"),
            ("tcp://:1/h:2?a=b", "tcp://:1/h:2?a=b"),
            ("http://h:1?bypass=a@b", "http://h:1?bypass=a@b"),
        ] {
            assert_eq!(redact(url), shown, "{url}");
        }
    }
}
