//! Which limit is whose.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;

use crate::lines::{self, Lines, RuleError};

/// A limit that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

/// Limits by what they are about.
#[derive(Clone, Debug)]
pub struct Rules<T> {
    /// That of all clients together.
    pub(crate) all: Option<T>,
    /// That of each address without another one.
    pub(crate) each: Option<T>,
    addresses: HashMap<IpAddr, T>,
    /// Networks by length, the longest first.
    nets: Vec<(u8, HashMap<IpNet, T>)>,
    /// Some rules could not be loaded yet: nobody knows who may come.
    pub(crate) is_shut: bool,
}

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self {
            all: None,
            each: None,
            addresses: HashMap::new(),
            nets: Vec::new(),
            is_shut: false,
        }
    }
}

/// What a line limits a key to.
pub trait Limit: Copy + Send + Sync + 'static {
    /// Reads it; nothing for what means no limit.
    ///
    /// # Errors
    /// What is not a number.
    fn read(text: &str) -> Result<Option<Self>, NotANumber>;
}

impl<T: Limit> Rules<T> {
    /// Reads lines of a key and a number; `#` begins a comment. Of two lines for one key the later
    /// counts.
    ///
    /// # Errors
    /// A line that has no key, or a number that is none.
    pub fn parse(lines: &[String]) -> Result<Self, RuleError> {
        lines::parse(lines)
    }
}

impl<T: Limit> Lines for Rules<T> {
    fn set_line(&mut self, key: &str, words: &[&str]) -> Result<(), String> {
        let [word] = words else {
            return Err("has more than one limit".to_owned());
        };
        let limit = T::read(word).map_err(|_| "has a limit that is not a number".to_owned())?;
        self.set(key, limit)
            .ok_or_else(|| "is not about $, $$, an address or a network".to_owned())
    }

    fn shut(&mut self, is_shut: bool) {
        self.is_shut = is_shut;
    }
}

impl<T: Copy> Rules<T> {
    /// Sets the limit of a key; nothing when it is none.
    pub(crate) fn set(&mut self, key: &str, limit: Option<T>) -> Option<()> {
        match key {
            "$" => self.all = limit,
            "$$" => self.each = limit,
            key => {
                if let Ok(ip) = key.parse::<IpAddr>() {
                    set_in(&mut self.addresses, ip.to_canonical(), limit);
                } else {
                    let net = key.parse::<IpNet>().ok()?.trunc();
                    let length = net.prefix_len();
                    let place = self.nets.binary_search_by(|(own, _)| length.cmp(own));
                    let place = place.unwrap_or_else(|place| {
                        self.nets.insert(place, (length, HashMap::new()));
                        place
                    });
                    set_in(&mut self.nets[place].1, net, limit);
                }
            }
        }
        Some(())
    }

    /// The limit of one address: its own, or else that of the smallest network it is in, or else
    /// that of each.
    pub(crate) fn of(&self, ip: IpAddr) -> Option<T> {
        self.own(ip).or(self.each)
    }

    /// The limit of one address: its own, or else that of the smallest network it is in.
    pub(crate) fn own(&self, ip: IpAddr) -> Option<T> {
        let of_net = || {
            self.nets.iter().find_map(|(length, nets)| {
                let net = IpNet::new(ip, *length).ok()?.trunc();
                nets.get(&net).copied()
            })
        };
        let own = self.addresses.get(&ip).copied();
        own.or_else(of_net)
    }
}

fn set_in<K: std::hash::Hash + Eq, T>(map: &mut HashMap<K, T>, key: K, limit: Option<T>) {
    match limit {
        Some(limit) => map.insert(key, limit),
        None => map.remove(&key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> Result<Rules<u64>, RuleError> {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        Rules::parse(&lines)
    }

    #[test]
    fn the_most_specific_line_counts() {
        let rules = rules(&[
            "# all together",
            "$ 100",
            "$$\t10 # each",
            "10.0.0.0/8 5",
            "10.1.0.0/16 6",
            "10.1.2.3 7",
            "10.1.2.4 1",
            "10.1.2.4 0",
            "2001:db8::/32 8",
            "",
        ])
        .unwrap();
        assert_eq!(rules.all, Some(100));
        for (ip, wanted) in [
            ("10.1.2.3", 7),
            ("10.1.2.4", 6),
            ("10.2.2.2", 5),
            ("11.1.1.1", 10),
            ("2001:db8::1", 8),
            ("::1", 10),
        ] {
            assert_eq!(rules.of(ip.parse().unwrap()), Some(wanted), "{ip}");
        }
    }

    #[test]
    fn lines_that_are_no_limits_are_errors() {
        for line in ["$", "$ x", "host 1", "10.0.0.0/33 1", "$ 1 2"] {
            assert!(rules(&[line]).is_err(), "{line}");
        }
        let none = rules(&["$ 0"]).unwrap();
        assert!(none.all.is_none() && none.of("1.1.1.1".parse().unwrap()).is_none());
    }
}
