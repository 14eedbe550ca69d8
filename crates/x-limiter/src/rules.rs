//! Which limit is whose.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;

/// A line that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} {why}")]
pub struct RuleError {
    line: String,
    why: &'static str,
}

/// A limit that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

/// Limits by what they are about.
#[derive(Clone, Debug)]
pub struct Rules<T> {
    /// That of all clients together.
    pub(crate) all: Option<T>,
    /// That of each address without another one.
    each: Option<T>,
    addresses: HashMap<IpAddr, T>,
    /// Networks by length, the longest first.
    nets: Vec<(u8, HashMap<IpNet, T>)>,
}

impl<T: Copy> Rules<T> {
    /// Reads lines of a key and a value; `#` begins a comment. Of two lines for one key the later
    /// counts. `value` gives nothing for a value that means no limit.
    ///
    /// # Errors
    /// A line that has no key, or a value that is none.
    pub fn parse(
        lines: &[String],
        value: impl Fn(&str) -> Result<Option<T>, NotANumber>,
    ) -> Result<Self, RuleError> {
        let mut rules = Self {
            all: None,
            each: None,
            addresses: HashMap::new(),
            nets: Vec::new(),
        };
        for line in lines {
            let error = |why| RuleError {
                line: line.clone(),
                why,
            };
            let text = line.split('#').next().unwrap_or_default();
            let mut words = text.split_whitespace();
            let Some(key) = words.next() else { continue };
            let given = words.next().ok_or_else(|| error("has no limit"))?;
            if words.next().is_some() {
                return Err(error("has more than one limit"));
            }
            let limit = value(given).map_err(|_| error("has a limit that is not a number"))?;
            rules
                .set(key, limit)
                .ok_or_else(|| error("is not about $, $$, an address or a network"))?;
        }
        rules
            .nets
            .sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        Ok(rules)
    }

    fn set(&mut self, key: &str, limit: Option<T>) -> Option<()> {
        match key {
            "$" => self.all = limit,
            "$$" => self.each = limit,
            key => {
                if let Ok(ip) = key.parse::<IpAddr>() {
                    set_in(&mut self.addresses, ip.to_canonical(), limit);
                } else {
                    let net = key.parse::<IpNet>().ok()?.trunc();
                    let length = net.prefix_len();
                    let place = self.nets.iter().position(|(own, _)| *own == length);
                    let place = place.unwrap_or_else(|| {
                        self.nets.push((length, HashMap::new()));
                        self.nets.len() - 1
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
        let of_net = || {
            self.nets.iter().find_map(|(length, nets)| {
                let net = IpNet::new(ip, *length).ok()?.trunc();
                nets.get(&net).copied()
            })
        };
        let own = self.addresses.get(&ip).copied();
        own.or_else(of_net).or(self.each)
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

    fn rules(lines: &[&str]) -> Result<Rules<u32>, RuleError> {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        let value = |text: &str| {
            let number = text.parse().map_err(|_| NotANumber)?;
            Ok((number > 0).then_some(number))
        };
        Rules::parse(&lines, value)
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
