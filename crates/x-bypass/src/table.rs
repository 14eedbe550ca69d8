//! A list of targets.

use gost_core::{
    addr::Network,
    error::{Error, Result, Why},
    options,
    policy::{Answer, Asker, Bypass, BypassQuery},
};
use gost_matcher::{Pattern, PatternSet};

use crate::Rules;

options! {
    /// Options of the list.
    pub struct TableOptions {
        /// The list says what the way is for, instead of what it is not for.
        whitelist: bool = false, "whitelist" | "reverse";
        /// Only targets on this network are meant: `tcp`, `udp`, ...; empty for all.
        network: String = String::new(), "network";
        /// Addresses, networks, ranges, names, `.domains` and wildcards, perhaps with ports.
        matchers: Vec<String> = Vec::new(), "matchers";
    }
}

/// A list of targets that a way is not for, or that alone it is for.
#[derive(Debug)]
pub struct Table {
    rules: Rules,
    patterns: PatternSet,
}

impl Table {
    /// A list.
    ///
    /// # Errors
    /// A matcher that can never match, or a network that there is not.
    pub fn new(options: &TableOptions) -> Result<Self> {
        let network = match options.network.trim() {
            "" => None,
            text => Some(Network::parse(text).ok_or_else(|| {
                Error::new(Why::BadInput, format!("network: {text:?} is not a network"))
            })?),
        };
        let parse = |text: &String| {
            Pattern::parse(text).map_err(|e| Error::new(Why::BadInput, format!("matchers: {e}")))
        };
        Ok(Self {
            rules: Rules {
                whitelist: options.whitelist,
                network,
            },
            patterns: options.matchers.iter().map(parse).collect::<Result<_>>()?,
        })
    }
}

impl Bypass for Table {
    fn is_whitelist(&self) -> bool {
        self.rules.whitelist
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(self.rules.keep_out(&self.patterns, query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_match_is_an_error() {
        let table = |network: &str, matcher: &str| {
            Table::new(&TableOptions {
                network: network.into(),
                matchers: vec![matcher.into()],
                ..TableOptions::default()
            })
        };
        assert!(table("udp", "a.org").is_ok());
        let errors =
            [table("", "10.0.0.0/99"), table("upd", "a.org")].map(|r| r.unwrap_err().to_string());
        assert!(errors[0].contains("10.0.0.0/99"), "{}", errors[0]);
        assert!(errors[1].contains("upd"), "{}", errors[1]);
    }
}
