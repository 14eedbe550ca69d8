//! The decision.

use std::net::{Ipv4Addr, Ipv6Addr};

use gost_core::{
    addr::{Addr, Network},
    policy::BypassQuery,
};
use gost_matcher::PatternSet;

/// What a list means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The list says what the way is for, instead of what it is not for.
    pub whitelist: bool,
    /// Other networks are none of its business.
    pub network: Option<Network>,
}

impl Rules {
    /// True when the way is not for what is asked about.
    ///
    /// | network set | fits | patterns | one matches | blacklist | whitelist |
    /// | --- | --- | --- | --- | --- | --- |
    /// | yes | no | | | no | no |
    /// | yes | yes | none | | yes | no |
    /// | no | | none | | no | no |
    /// | | | some | yes | yes | no |
    /// | | | some | no | no | yes |
    ///
    /// What is asked about is the target, and the name that it had before it was resolved: of a
    /// name that was found to be good the addresses are good, of one that was not none is.
    pub fn keep_out(self, patterns: &PatternSet, query: &BypassQuery) -> bool {
        if !self.is_about(query) {
            return false;
        }
        if patterns.is_empty() {
            return self.network.is_some() && !self.whitelist;
        }
        let hosts = std::iter::once(&query.target.addr).chain(&query.host);
        let hosts = hosts.filter(|host| **host != Addr::Any);
        let mut asked = false;
        let matched = hosts
            .inspect(|_| asked = true)
            .any(|host| self.matches(patterns, host));
        asked && matched != self.whitelist
    }

    /// True when the network that is asked about is meant.
    pub fn is_about(self, query: &BypassQuery) -> bool {
        self.network.is_none_or(|own| own == query.target.network)
    }

    /// True when a pattern matches. A host that names no other machine is this one: it is matched
    /// as the loopback addresses and `localhost`, too.
    fn matches(self, patterns: &PatternSet, host: &Addr) -> bool {
        if patterns.matches(host) {
            return true;
        }
        if !host.is_unspecified() {
            return false;
        }
        let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let port = host.port();
        let v6_asked = host.ip().is_some_and(|addr| addr.is_ipv6());
        let here = |addr: Addr| patterns.matches(&addr);
        // What is not allowed by one of its names is not allowed; what is, has to be by its own.
        here(Addr::Name("localhost".into(), port))
            || ((!self.whitelist || !v6_asked) && here(Addr::Ip((v4, port).into())))
            || ((!self.whitelist || v6_asked) && here(Addr::Ip((v6, port).into())))
    }
}

#[cfg(test)]
mod tests {
    use gost_core::addr::Target;
    use gost_matcher::Pattern;

    use super::*;

    const BLACK: Rules = Rules {
        whitelist: false,
        network: None,
    };
    const WHITE: Rules = Rules {
        whitelist: true,
        network: None,
    };
    const BLACK_UDP: Rules = Rules {
        whitelist: false,
        network: Some(Network::Udp),
    };
    const WHITE_UDP: Rules = Rules {
        whitelist: true,
        network: Some(Network::Udp),
    };

    fn addr(text: &str) -> Addr {
        Addr::parse(text).unwrap()
    }

    #[test]
    fn decisions() {
        let tcp = |text| Target::tcp(addr(text));
        let udp = |text| Target::udp(addr(text));
        for (rules, patterns, target, host, kept_out) in [
            // Nothing listed.
            (BLACK, &[][..], tcp("a.org:80"), "", false),
            (WHITE, &[], tcp("a.org:80"), "", false),
            (BLACK_UDP, &[], udp("a.org:53"), "", true),
            (BLACK_UDP, &[], tcp("a.org:53"), "", false),
            (WHITE_UDP, &[], udp("a.org:53"), "", false),
            // Something listed.
            (BLACK, &["a.org"], tcp("a.org:80"), "", true),
            (BLACK, &["a.org"], tcp("b.org:80"), "", false),
            (WHITE, &["a.org"], tcp("a.org:80"), "", false),
            (WHITE, &["a.org"], tcp("b.org:80"), "", true),
            (BLACK_UDP, &["a.org"], udp("a.org:80"), "", true),
            (BLACK_UDP, &["a.org"], tcp("a.org:80"), "", false),
            (WHITE_UDP, &["a.org"], udp("b.org:80"), "", true),
            (WHITE_UDP, &["a.org"], tcp("b.org:80"), "", false),
            // After resolution.
            (BLACK, &["10.0.0.0/8"], tcp("10.1.1.1:80"), "a.org:80", true),
            (
                BLACK,
                &["10.0.0.0/8"],
                tcp("11.1.1.1:80"),
                "a.org:80",
                false,
            ),
            (BLACK, &["a.org"], tcp("11.1.1.1:80"), "a.org:80", true),
            (WHITE, &["a.org"], tcp("11.1.1.1:80"), "a.org:80", false),
            (
                WHITE,
                &["11.0.0.0/8"],
                tcp("11.1.1.1:80"),
                "a.org:80",
                false,
            ),
            (WHITE, &["b.org"], tcp("11.1.1.1:80"), "a.org:80", true),
            // This machine, by whatever name.
            (BLACK, &["127.0.0.0/8"], tcp("0.0.0.0:80"), "", true),
            (BLACK, &["127.0.0.0/8"], tcp("[::]:80"), "", true),
            (BLACK, &["127.0.0.0/8"], tcp(":80"), "", true),
            (BLACK, &["::1"], tcp(":80"), "", true),
            (BLACK, &["::1"], tcp("0.0.0.0:80"), "", true),
            (BLACK, &["localhost:80"], tcp("[::]:80"), "", true),
            (BLACK, &["localhost:81"], tcp("[::]:80"), "", false),
            (BLACK, &["127.0.0.1"], tcp("[::ffff:0.0.0.0]:80"), "", true),
            (
                BLACK,
                &["127.0.0.1"],
                tcp("[::ffff:127.0.0.1]:80"),
                "",
                true,
            ),
            (BLACK, &["10.0.0.0/8"], tcp(":80"), "", false),
            (WHITE, &["127.0.0.1"], tcp("0.0.0.0:80"), "", false),
            (WHITE, &["127.0.0.1"], tcp("[::]:80"), "", true),
            (WHITE, &["::1"], tcp("[::]:80"), "", false),
            (WHITE, &["10.0.0.0/8"], tcp(":80"), "", true),
            // Nowhere in particular.
            (BLACK, &["*"], udp(""), "", false),
            (WHITE, &["a.org"], udp(""), "", false),
        ] {
            let set = patterns.iter().map(|text| Pattern::parse(text).unwrap());
            let query = BypassQuery {
                target,
                host: (!host.is_empty()).then(|| addr(host)),
                path: None,
            };
            let got = rules.keep_out(&set.collect(), &query);
            assert_eq!(got, kept_out, "{rules:?} {patterns:?} {query:?}");
        }
    }
}
