//! Tables of names.

use std::collections::HashMap;

use crate::Ports;

/// Names and domains, each with its ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameTable(HashMap<Box<str>, Rule>);

#[derive(Clone, Debug, Default)]
struct Rule {
    /// The ports at which the name itself is meant.
    itself: Ports,
    /// The ports at which names under it are meant.
    below: Ports,
}

impl NameTable {
    pub(crate) fn add(&mut self, name: Box<str>, itself: bool, below: bool, ports: &Ports) {
        let rule = self.0.entry(name).or_default();
        if itself {
            rule.itself.add(ports);
        }
        if below {
            rule.below.add(ports);
        }
    }

    /// True when the name, or one that it is under, is in the table.
    pub(crate) fn matches(&self, name: &str, port: u16) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let found = |name| self.0.get(name);
        found(name).is_some_and(|rule| rule.itself.contain(port))
            || parents(name).any(|name| found(name).is_some_and(|rule| rule.below.contain(port)))
    }
}

/// `b.c` and `c` of `a.b.c`.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        rest = rest.split_once('.')?.1;
        Some(rest)
    })
}
