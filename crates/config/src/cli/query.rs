//! The parameters of a command-line URL.
//!
//! Lookups ignore letter case, removals do not, and of an item given twice the first counts. Each
//! item has one mark, which all its copies share.

use std::sync::Arc;

use gost_core::{
    duration::parse_go_nanos,
    values::{FromValue as _, Mark, Value, Values},
};

use super::url::query_pairs;
use crate::{Nanos, Problem, Severity};

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) mark: Arc<Mark>,
}

/// The parameters of one URL, and what is wrong with them.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) items: Vec<Item>,
    source: Arc<str>,
}

impl Query {
    pub(crate) fn parse(query: &str, source: &Arc<str>, problems: &mut Vec<Problem>) -> Self {
        let (pairs, dropped) = query_pairs(query);
        for message in dropped {
            problems.push(Problem::new(Severity::Error, &**source, "", message));
        }
        let mut items: Vec<Item> = Vec::new();
        for (key, text) in pairs {
            if let Some(old) = items
                .iter()
                .find(|item| item.key.eq_ignore_ascii_case(&key))
            {
                let message = "given twice: only the first counts";
                problems.push(Problem::new(Severity::Warning, &**source, &key, message));
                if old.key == key {
                    continue;
                }
            }
            items.push(Item {
                key,
                value: Value::Text(text),
                mark: Mark::new(source.clone(), 0),
            });
        }
        Self {
            items,
            source: source.clone(),
        }
    }

    /// A problem with a parameter.
    pub(crate) fn problem(
        &self,
        severity: Severity,
        key: &str,
        message: impl Into<String>,
    ) -> Problem {
        Problem::new(severity, &*self.source, key, message)
    }

    /// The first listed name that is present, in any letter case; it counts as read.
    pub(crate) fn find(&self, names: &[&str]) -> Option<&Item> {
        let found = names.iter().find_map(|name| {
            let mut items = self.items.iter();
            items.find(|item| item.key.eq_ignore_ascii_case(name))
        });
        for item in &self.items {
            if names.iter().any(|name| item.key.eq_ignore_ascii_case(name)) {
                item.mark.read();
            }
        }
        found
    }

    /// Text; empty when absent.
    pub(crate) fn text(&self, names: &[&str]) -> String {
        self.find(names)
            .and_then(|item| String::from_value(&item.value))
            .unwrap_or_default()
    }

    /// A whole decimal number above 0; 0 for any other, which is reported.
    pub(crate) fn positive(&self, names: &[&str], problems: &mut Vec<Problem>) -> i64 {
        let Some(Item { key, value, .. }) = self.find(names) else {
            return 0;
        };
        let text = String::from_value(value).unwrap_or_default();
        match text.parse::<i64>() {
            Ok(n) => n.max(0),
            Err(_) if text.is_empty() => 0,
            Err(_) => {
                let message = format!("not a whole number: {text}");
                problems.push(self.problem(Severity::Error, key, message));
                0
            }
        }
    }

    /// A truth value; false for what is none, which is reported.
    pub(crate) fn truth(
        &self,
        names: &[&str],
        otherwise: &str,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let Some(Item { key, value, .. }) = self.find(names) else {
            return false;
        };
        bool::from_value(value).unwrap_or_else(|| {
            let text = String::from_value(value).unwrap_or_default();
            let message = format!("{text:?} is not a truth value; {otherwise}");
            problems.push(self.problem(Severity::Error, key, message));
            false
        })
    }

    /// A duration, or whole seconds; 0 for what is none, which is reported.
    pub(crate) fn duration(&self, names: &[&str], problems: &mut Vec<Problem>) -> Nanos {
        let Some(Item { key, value, .. }) = self.find(names) else {
            return Nanos(0);
        };
        let text = String::from_value(value).unwrap_or_default();
        let seconds = || text.parse::<i64>().ok()?.checked_mul(1_000_000_000);
        let nanos = parse_go_nanos(&text).filter(|n| *n != 0).or_else(seconds);
        if nanos.is_none() && !text.is_empty() {
            let message = format!("not a duration: {text}");
            problems.push(self.problem(Severity::Error, key, message));
        }
        Nanos(nanos.unwrap_or_default())
    }

    /// Takes out the items spelt exactly so.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.items
            .retain(|item| !names.contains(&item.key.as_str()));
    }

    /// Puts a value under a new key, in place of what stood there; it shares the mark of the item
    /// it came from.
    pub(crate) fn put(&mut self, key: &str, value: Value, mark: Arc<Mark>) {
        self.remove(&[key]);
        self.items.push(Item {
            key: key.to_owned(),
            value,
            mark,
        });
    }

    /// Distributes the items: one that begins with a prefix goes there alone, without the prefix,
    /// any other goes everywhere.
    pub(crate) fn distribute<const N: usize>(&self, prefixes: [&str; N]) -> [Self; N] {
        let mut scopes = prefixes.map(|_| Self {
            items: Vec::new(),
            source: self.source.clone(),
        });
        for item in &self.items {
            let mut scoped = prefixes.iter().enumerate();
            let scoped = scoped.find_map(|(at, prefix)| Some((at, item.key.strip_prefix(prefix)?)));
            match scoped {
                Some((at, key)) => scopes[at].put(key, item.value.clone(), item.mark.clone()),
                None => {
                    for scope in &mut scopes {
                        scope.put(&item.key, item.value.clone(), item.mark.clone());
                    }
                }
            }
        }
        scopes
    }

    /// The items as metadata.
    pub(crate) fn values(&self) -> Values {
        let mut values = Values::new();
        for item in &self.items {
            values.set(&*item.key, item.value.clone(), item.mark.clone());
        }
        values
    }
}
