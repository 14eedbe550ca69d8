//! The names of handlers, listeners, connectors and dialers.
//!
//! A URL names both parts of a service or node by its scheme, and an unknown part falls back to a
//! default: so the grammar needs to know what names there are.

use std::collections::BTreeSet;

use crate::suggest::did_you_mean;

const HANDLERS: &str = "api auto dns file forward http http2 http3 masque metrics red redir \
    redirect redu relay router rtcp rudp runix serial sni socks socks4 socks4a socks5 ss sshd ssu \
    tap tcp tun tungo tunnel udp unix";

const LISTENERS: &str = "dns dtls ftcp grpc h2 h2c h3 http2 http3 icmp icmp6 kcp mtcp mtls mws mwss \
    ohttp otls pht phts quic red redir redirect redu rtcp rudp runix serial ssh sshd stdio tap tcp \
    tls tun tungo udp unix ws wss wt";

const CONNECTORS: &str = "direct forward http http2 masque relay router serial sni socks socks4 \
    socks4a socks5 ss sshd ssu tcp tunnel unix virtual";

const DIALERS: &str = "direct dtls ftcp grpc h2 h2c h3 h3-masque http2 http3 icmp icmp6 kcp mtcp \
    mtls mws mwss ohttp ohttps otls pht phts quic serial ssh sshd tcp tls udp unix utls virtual ws \
    wss wt";

/// A kind of component that a scheme names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a service speaks.
    Handler,
    /// What a service listens on.
    Listener,
    /// What is spoken with a node.
    Connector,
    /// How a node is reached.
    Dialer,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Listener => "listener",
            Self::Connector => "connector",
            Self::Dialer => "dialer",
        }
    }
}

/// The component names that schemes may use.
///
/// By default all that the original has, whether or not this build can make them: a name that
/// exists there must never turn into something else. An embedder adds the names of its own.
#[derive(Clone, Debug)]
pub struct Names([BTreeSet<String>; 4]);

impl Names {
    /// Adds a name.
    pub fn add(&mut self, kind: Kind, name: &str) {
        self.0[kind as usize].insert(name.to_owned());
    }

    /// True when the name is known.
    pub fn has(&self, kind: Kind, name: &str) -> bool {
        self.0[kind as usize].contains(name)
    }

    /// The message for a type that a file names and no component has: what was meant, if that can
    /// be guessed, or that this program cannot make it.
    pub fn unknown(&self, kind: Kind, name: &str) -> String {
        let word = kind.word();
        let lower = name.to_ascii_lowercase();
        if self.has(kind, name) {
            format!("this build has no {word} {name:?}")
        } else if name == "tproxy" {
            "unknown listener \"tproxy\"; did you mean redirect with metadata tproxy: true?"
                .to_owned()
        } else if self.has(kind, &lower) {
            format!("unknown {word} {name:?}; names are lower-case: {lower}")
        } else {
            let near = did_you_mean(name, self.of(kind));
            format!("unknown {word} {name:?}{near}")
        }
    }

    /// All names of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.0[kind as usize].iter().map(String::as_str)
    }
}

impl Default for Names {
    fn default() -> Self {
        let set = |names: &str| names.split_whitespace().map(str::to_owned).collect();
        Self([HANDLERS, LISTENERS, CONNECTORS, DIALERS].map(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_the_original_are_there() {
        let names = Names::default();
        let count = |kind| names.of(kind).count();
        assert_eq!(
            [Kind::Handler, Kind::Listener, Kind::Connector, Kind::Dialer].map(count),
            [35, 42, 20, 35]
        );
    }

    #[test]
    fn an_unknown_type_is_told_from_one_that_is_not_built_in() {
        let names = Names::default();
        for (kind, name, says) in [
            (
                Kind::Handler,
                "htp",
                "unknown handler \"htp\"; did you mean http?",
            ),
            (Kind::Listener, "tpc", "did you mean tcp?"),
            (Kind::Handler, "HTTP", "names are lower-case: http"),
            (Kind::Listener, "tproxy", "redirect with metadata tproxy"),
            (Kind::Dialer, "quic", "this build has no dialer \"quic\""),
        ] {
            let message = names.unknown(kind, name);
            assert!(message.contains(says), "{message}");
        }
    }
}
