//! The older way to say which requests a node takes: host, protocol, path.

use gost_core::routing::Request;

/// Which requests a node takes; an empty field takes all. A matcher takes its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    host: String,
    protocol: String,
    path: String,
}

impl Filter {
    /// A filter as configured. `*.example.com` and `*example.com` both mean `.example.com`.
    pub fn new(host: &str, protocol: &str, path: &str) -> Self {
        let host = match host.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') => rest.to_owned(),
            Some(rest) => format!(".{rest}"),
            None => host.to_owned(),
        };
        Self {
            host,
            protocol: protocol.to_owned(),
            path: path.to_owned(),
        }
    }

    /// True when the node takes the request.
    pub fn matches(&self, request: &Request) -> bool {
        self.matches_host(request)
            && (self.protocol.is_empty() || request.protocol.is_some_and(|p| p == self.protocol))
            && (self.path.is_empty()
                || request
                    .http
                    .as_ref()
                    .is_some_and(|http| http.path.starts_with(&self.path)))
    }

    /// A leading dot stands for any beginning, even in the middle of a label: `.example.com` takes
    /// `notexample.com` too, as it always did in configurations with this filter. The rule
    /// `Host` of a matcher respects the dot.
    fn matches_host(&self, request: &Request) -> bool {
        if self.host.is_empty() {
            return true;
        }
        let Some(host) = request.host.as_ref().map(gost_core::addr::Addr::host) else {
            return false;
        };
        !host.is_empty()
            && (host == self.host
                || self
                    .host
                    .strip_prefix('.')
                    .is_some_and(|end| host.ends_with(end)))
    }
}
