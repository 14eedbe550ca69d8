//! Lines of bytes per second.

use std::collections::HashMap;

use gost_core::size::Size;
use gost_pace::Rate;

use crate::{
    Rules,
    lines::{self, Lines, RuleError},
};

/// The rates of one key: from clients, and to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) input: Option<Rate>,
    pub(crate) output: Option<Rate>,
}

/// Which rates are whose.
#[derive(Clone, Debug, Default)]
pub struct TrafficRules {
    pub(crate) addresses: Rules<Rates>,
    pub(crate) users: HashMap<String, Rates>,
    /// Some rules could not be loaded yet: nobody knows how much may move.
    pub(crate) is_shut: bool,
}

impl TrafficRules {
    /// Reads lines of a key, a rate from clients, and perhaps one to them and a size of bursts; `#`
    /// begins a comment. Of two lines for one key the later counts. Sizes are as [`Size`] has them,
    /// 0 is no limit. A key that is neither `$`, `$$`, an address nor a network is a user's name.
    ///
    /// # Errors
    /// A line without a rate, or with something that is no size.
    pub fn parse(lines: &[String]) -> Result<Self, RuleError> {
        lines::parse(lines)
    }
}

impl Lines for TrafficRules {
    fn set_line(&mut self, key: &str, words: &[&str]) -> Result<(), String> {
        if words.len() > 3 {
            return Err("has more than two limits and a burst".to_owned());
        }
        let mut sizes = [0; 3];
        for (size, word) in sizes.iter_mut().zip(words) {
            *size = Size::parse(word)?.bytes;
        }
        let [input, output, burst] = sizes;
        let rates = Rates {
            input: Rate::new(input, burst),
            output: Rate::new(output, burst),
        };
        if self.addresses.set(key, Some(rates)).is_none() {
            if key.contains(['/', ':', '$']) {
                let what = "is not about $, $$, an address, a network or a user";
                return Err(what.to_owned());
            }
            self.users.insert(key.to_owned(), rates);
        }
        Ok(())
    }

    fn shut(&mut self, is_shut: bool) {
        self.is_shut = is_shut;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> Result<TrafficRules, RuleError> {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        TrafficRules::parse(&lines)
    }

    #[test]
    fn lines_are_in_out_and_burst() {
        let rules = rules(&[
            "# all",
            "$ 100MB 200MB",
            "$$\t10MB # each",
            "192.0.2.1  512KB 1MB 2MB",
            "192.0.2.0/24 -1 1000",
            "bob 1KB",
            "",
        ])
        .unwrap();
        let rates = |input, output, burst| Rates {
            input: Rate::new(input, burst),
            output: Rate::new(output, burst),
        };
        let addresses = &rules.addresses;
        assert_eq!(addresses.all, Some(rates(100 << 20, 200 << 20, 0)));
        assert_eq!(addresses.each, Some(rates(10 << 20, 0, 0)));
        let of = |ip: &str| addresses.own(ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), Some(rates(512 << 10, 1 << 20, 2 << 20)));
        assert_eq!(of("192.0.2.2"), Some(rates(0, 1000, 0)));
        assert_eq!(of("192.0.3.2"), None);
        assert_eq!(rules.users["bob"], rates(1024, 0, 0));
    }

    #[test]
    fn lines_that_are_no_limits_are_errors() {
        for line in [
            "$",
            "$ x",
            "$ 10M",
            "10.0.0.0/33 1MB",
            "$ 1MB 1MB 1MB 1MB",
            "$$$ 1MB",
        ] {
            assert!(rules(&[line]).is_err(), "{line}");
        }
    }
}
