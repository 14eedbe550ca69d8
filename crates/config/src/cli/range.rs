//! Port ranges in addresses: `:8000-8010`.

use crate::Severity;

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The addresses, at least one.
    pub(crate) addrs: Vec<String>,
    /// What is wrong with the port, if anything.
    pub(crate) problem: Option<(Severity, String)>,
}

/// Expands a port range. Text that is not of the form `host:port` stays as it is.
///
/// What cannot be read becomes port 0, as in the original; but it is an error here, because a
/// random port is never what was meant.
pub(crate) fn expand(text: &str) -> Expanded {
    let unchanged = |problem| Expanded {
        addrs: vec![text.to_owned()],
        problem,
    };
    if text.contains("://") {
        return unchanged(None);
    }
    let Some((host, port)) = split(text) else {
        return unchanged(None);
    };
    let join = |port: i64| {
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    };
    let zero = |message: String| Expanded {
        addrs: vec![join(0)],
        problem: Some((Severity::Error, message)),
    };
    let bounds: Vec<&str> = port.split('-').collect();
    match bounds[..] {
        [""] => zero("port missing; a random port would be used".to_owned()),
        [_] => match number(port) {
            Some(n @ 0..=65535) => Expanded {
                addrs: vec![join(n)],
                problem: None,
            },
            Some(_) => zero(format!(
                "port {port} out of range; a random port would be used"
            )),
            None => zero(format!(
                "port {port:?} is not a number; a random port would be used"
            )),
        },
        [first, last] => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => unchanged(Some((
                Severity::Error,
                format!("range {first}-{last} runs backwards"),
            ))),
            (Some(first), Some(last)) if last - first > 65535 => unchanged(Some((
                Severity::Unreadable,
                format!("range {first}-{last}: ports above 65535 do not exist"),
            ))),
            (Some(first), Some(last)) => Expanded {
                addrs: (first..=last).map(join).collect(),
                problem: (last > 65535).then(|| {
                    let message = "ports above 65535 do not exist".to_owned();
                    (Severity::Error, message)
                }),
            },
            (Some(_), None) if last.is_empty() => zero(format!(
                "range {port} has no end; a random port would be used"
            )),
            (None, Some(_)) if first.is_empty() => zero(format!(
                "port {port} out of range; a random port would be used"
            )),
            _ => zero(format!(
                "port {port:?} is not a number; a random port would be used"
            )),
        },
        _ => zero(format!(
            "{port:?} is not a port range; a random port would be used"
        )),
    }
}

fn number(text: &str) -> Option<i64> {
    // One sign is fine, as ever.
    text.parse().ok()
}

/// Host (without brackets) and port; `None` where Go finds none.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let is_clean = !host.contains(['[', ']']) && !port.contains(['[', ']']);
    is_clean.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand_and_nonsense_is_said() {
        for (text, addrs, says) in [
            (":8000-8002", vec![":8000", ":8001", ":8002"], None),
            ("[::1]:80", vec!["[::1]:80"], None),
            ("h:080", vec!["h:80"], None),
            ("::1", vec!["::1"], None),
            ("8080", vec!["8080"], None),
            ("tls://h:1-2", vec!["tls://h:1-2"], None),
            (":x", vec![":0"], Some("not a number")),
            ("h:99999", vec!["h:0"], Some("out of range")),
            (":8000-", vec![":0"], Some("no end")),
            (":9-8", vec![":9-8"], Some("backwards")),
            (":0-9999999", vec![":0-9999999"], Some("do not exist")),
        ] {
            let expanded = expand(text);
            assert_eq!(expanded.addrs, addrs, "{text}");
            let problem = expanded.problem.map(|(_, message)| message);
            assert_eq!(problem.is_some(), says.is_some(), "{text}: {problem:?}");
            if let (Some(problem), Some(says)) = (problem, says) {
                assert!(problem.contains(says), "{text}: {problem}");
            }
        }
    }
}
