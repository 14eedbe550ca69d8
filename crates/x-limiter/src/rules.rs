//! Which limit is whose.

use std::{collections::HashMap, net::IpAddr};

use gost_core::error::{Error, Result, Why};
use gost_loader::{RedisKind, Reloading};
use ipnet::IpNet;

use crate::LimiterOptions;

/// A line that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} {why}")]
pub struct RuleError {
    pub(crate) line: String,
    pub(crate) why: String,
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

/// Reads the value of a line; nothing for one that means no limit.
type Value<T> = fn(&str) -> Result<Option<T>, NotANumber>;

impl<T: Copy + Send + Sync + 'static> Rules<T> {
    /// Loads rules: of those for one key the loaded one counts. `place` says whose they are, for
    /// the log.
    ///
    /// # Errors
    /// A line of the configuration that is no limit; a file that can't be read.
    pub(crate) async fn load(
        place: &str,
        options: &LimiterOptions,
        value: Value<T>,
    ) -> Result<Reloading<Self>> {
        let inline = Self::parse(&options.limits, value)
            .map_err(|e| Error::new(Why::BadInput, format!("limits: {e}")))?;
        let kinds = [RedisKind::Set, RedisKind::List];
        let make = move |loaded: &gost_loader::Loaded| {
            let mut rules = inline.clone();
            for entry in loaded.entries() {
                if let Err(why) = rules.add(entry.uncommented(), value) {
                    loaded.left_out(&entry, why);
                }
            }
            rules.is_shut = !loaded.is_whole();
            rules
        };
        Reloading::new(place, &options.sources, &kinds, make).await
    }
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
        let mut rules = Self::default();
        for line in lines {
            rules.add(line, &value)?;
        }
        Ok(rules)
    }

    /// Adds a line.
    fn add(
        &mut self,
        line: &str,
        value: impl Fn(&str) -> Result<Option<T>, NotANumber>,
    ) -> Result<(), RuleError> {
        let error = |why: &str| RuleError {
            line: line.to_owned(),
            why: why.to_owned(),
        };
        let text = line.split('#').next().unwrap_or_default();
        let mut words = text.split_whitespace();
        let Some(key) = words.next() else {
            return Ok(());
        };
        let given = words.next().ok_or_else(|| error("has no limit"))?;
        if words.next().is_some() {
            return Err(error("has more than one limit"));
        }
        let limit = value(given).map_err(|_| error("has a limit that is not a number"))?;
        self.set(key, limit)
            .ok_or_else(|| error("is not about $, $$, an address or a network"))
    }

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
