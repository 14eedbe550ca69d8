//! A table of host names.

use std::collections::HashMap;

use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
    options,
    policy::{Answer, Asker, Ingress},
    values::{FromValue, Value},
};
use gost_loader::{Entry, RedisKind, Reloading, SourceOptions};

options! {
    /// Options of the table.
    pub struct TableOptions {
        /// The rules: a list of `hostname` and `endpoint`. A name that begins with a dot, or with
        /// `*.`, is about that domain and all below it.
        rules: Rules = Rules::default(), "rules";
        ..sources: SourceOptions;
    }
}

/// A rule as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// A host name; with a dot in front, also everything below it.
    pub hostname: String,
    /// The tunnel that it leads to.
    pub endpoint: String,
}

/// The rules of a table, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

impl FromValue for Rules {
    const KIND: &'static str = "a list of maps with hostname and endpoint";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else {
            return None;
        };
        let rule = |item: &Value| {
            let Value::Map(map) = item else { return None };
            let text = |key| map.get(key).map_or(Some(String::new()), String::from_value);
            Some(Rule {
                hostname: text("hostname")?,
                endpoint: text("endpoint")?,
            })
        };
        items.iter().map(rule).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// Host names, compared without regard to case.
///
/// A host's own rule comes first, then that of the nearest domain above it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    endpoints: HashMap<String, String>,
}

impl Table {
    /// A table of rules; of two for one name the later counts.
    ///
    /// # Errors
    /// [`Why::BadInput`] for a rule without a name or an endpoint.
    pub fn new(rules: &[Rule]) -> Result<Self> {
        let mut table = Self::default();
        for rule in rules {
            if !table.add(&rule.hostname, &rule.endpoint) {
                let what = format!(
                    "rules: {:?} to {:?}: a host name and an endpoint are needed",
                    rule.hostname, rule.endpoint
                );
                return Err(Error::new(Why::BadInput, what));
            }
        }
        Ok(table)
    }

    /// Adds a rule; false when something of it is missing.
    fn add(&mut self, name: &str, endpoint: &str) -> bool {
        let (name, endpoint) = (name.trim().trim_start_matches('*'), endpoint.trim());
        let is_whole = !name.trim_start_matches('.').is_empty() && !endpoint.is_empty();
        if is_whole {
            self.endpoints.insert(lower(name), endpoint.to_owned());
        }
        is_whole
    }

    /// The endpoint of a host, with or without a port.
    pub fn find(&self, host: &str) -> Option<&str> {
        let host = Addr::parse(host).map_or_else(|| host.to_owned(), |addr| addr.host());
        let host = lower(&host);
        if host.is_empty() {
            return None;
        }
        if let Some(own) = self.endpoints.get(&host) {
            return Some(own.as_str());
        }
        let dotted = format!(".{host}");
        let dots = dotted.match_indices('.');
        dots.map(|(at, _)| &dotted[at..])
            .find_map(|domain| self.endpoints.get(domain).map(String::as_str))
    }
}

fn lower(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A table of host names, some of which are loaded. It can't be written.
#[derive(Debug)]
pub struct LoadedTable(Reloading<Table>);

impl LoadedTable {
    /// Loads a table. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// A rule of the configuration without a name or an endpoint; a file that can't be read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let inline = Table::new(&options.rules.0)?;
        let kinds = [RedisKind::Hash, RedisKind::Set];
        let table = Reloading::new(place, &options.sources, &kinds, move |loaded| {
            let mut table = inline.clone();
            for entry in loaded.entries() {
                let Some((name, endpoint)) = halves(&entry) else {
                    continue;
                };
                if !table.add(name, endpoint) {
                    loaded.left_out(&entry, "has no host name or no endpoint");
                }
            }
            table
        });
        Ok(Self(table.await?))
    }
}

/// Host name and endpoint of an entry, which may be followed by a comment.
fn halves<'a>(entry: &Entry<'a>) -> Option<(&'a str, &'a str)> {
    let (name, endpoint) = entry.pair()?;
    Some((name, endpoint.split('#').next().unwrap_or_default()))
}

impl Ingress for LoadedTable {
    fn rule<'a>(&'a self, host: &'a str, _: &'a Asker) -> Answer<'a, Option<String>> {
        Answer::Now(self.0.load().find(host).map(str::to_owned))
    }

    fn set_rule<'a>(&'a self, _: &'a str, _: &'a str, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rules: &[(&str, &str)]) -> Result<Table> {
        let rule = |(hostname, endpoint): &(&str, &str)| Rule {
            hostname: (*hostname).into(),
            endpoint: (*endpoint).into(),
        };
        Table::new(&rules.iter().map(rule).collect::<Vec<_>>())
    }

    #[test]
    fn the_own_rule_comes_before_those_of_the_domains_above() {
        let table = table(&[
            ("example.com", "own"),
            ("*.example.com", "below"),
            (".deep.Example.com", "deep"),
            ("10.0.0.1", "ip"),
            ("twice.test", "first"),
            ("twice.test", "second"),
        ])
        .unwrap();
        for (host, wanted) in [
            ("example.com", Some("own")),
            ("EXAMPLE.com.:443", Some("own")),
            ("www.example.com", Some("below")),
            ("a.b.example.com:80", Some("below")),
            ("deep.example.com", Some("deep")),
            ("x.deep.example.com", Some("deep")),
            ("10.0.0.1:80", Some("ip")),
            ("twice.test", Some("second")),
            ("badexample.com", None),
            ("com", None),
            ("", None),
            (":80", None),
        ] {
            assert_eq!(table.find(host), wanted, "{host}");
        }
    }

    #[tokio::test]
    async fn lines_of_a_file_come_after_the_rules_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules");
        let text = "# rules\n\n.file.test\tloaded # and why\nboth.test file\nlonely.test\n";
        std::fs::write(&path, text).unwrap();
        let mut options = TableOptions::default();
        options.sources.file = Some(gost_loader::FileSource { path });
        let inline = |hostname: &str| Rule {
            hostname: hostname.into(),
            endpoint: "inline".into(),
        };
        options.rules.0 = vec![inline("both.test"), inline("inline.test")];
        let table = LoadedTable::new("ingress i", &options).await.unwrap();
        let asker = Asker::default();
        for (host, wanted) in [
            ("www.file.test", Some("loaded")),
            ("both.test", Some("file")),
            ("inline.test:80", Some("inline")),
            ("lonely.test", None),
        ] {
            assert_eq!(table.rule(host, &asker).await.as_deref(), wanted, "{host}");
        }
        assert!(!table.set_rule("new.test", "x", &asker).await);
        assert_eq!(table.rule("new.test", &asker).await, None);
    }

    #[test]
    fn a_rule_needs_a_name_and_an_endpoint() {
        for rule in [("", "x"), ("*.", "x"), ("*", "x"), ("a.test", " ")] {
            assert!(table(&[rule]).is_err(), "{rule:?}");
        }
    }
}
