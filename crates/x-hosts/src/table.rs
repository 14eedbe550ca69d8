//! A table of host names.

use std::{collections::HashMap, net::IpAddr};

use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::Family,
    values::{FromValue, Value},
};
use gost_loader::SourceOptions;
use gost_matcher::normalized;

options! {
    /// Options of the table.
    pub struct TableOptions {
        /// The entries: a list of `hostname`, `ip` and `aliases`.
        mappings: Mappings = Mappings::default(), "mappings";
        ..sources: SourceOptions;
    }
}

/// An address and the names that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The name. With a dot in front it stands for itself and all names under it; a lone dot
    /// stands for all names.
    pub hostname: String,
    /// The address.
    pub ip: String,
    /// More names.
    pub aliases: Vec<String>,
}

/// The entries of a table, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings(pub Vec<Mapping>);

impl FromValue for Mappings {
    const KIND: &'static str = "a list of maps with hostname, ip and aliases";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else {
            return None;
        };
        let mapping = |item: &Value| {
            let Value::Map(map) = item else { return None };
            let text = |key| map.get(key).map_or(Some(String::new()), String::from_value);
            let aliases = map.get("aliases");
            Some(Mapping {
                hostname: text("hostname")?,
                ip: text("ip")?,
                aliases: aliases.map_or(Some(Vec::new()), Vec::from_value)?,
            })
        };
        items.iter().map(mapping).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// A table of host names.
#[derive(Clone, Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Vec<IpAddr>>,
    /// Names that stand for all under them, too; the empty one for all there are.
    domains: HashMap<Box<str>, Vec<IpAddr>>,
}

impl Table {
    /// A table. A name may have several addresses, in the order of the entries.
    ///
    /// # Errors
    /// An entry without a name, or with something that is no IP address.
    pub fn new(mappings: &[Mapping]) -> Result<Self> {
        let mut table = Self::default();
        for mapping in mappings {
            let wrong = |what: String| Error::new(Why::BadInput, format!("mappings: {what}"));
            let ip: IpAddr = mapping.ip.trim().parse().map_err(|_| {
                wrong(format!(
                    "{}: {:?} is not an IP address",
                    mapping.hostname, mapping.ip
                ))
            })?;
            if mapping.hostname.trim().is_empty() {
                return Err(wrong(format!("{ip} has no hostname")));
            }
            let names = std::iter::once(&mapping.hostname).chain(&mapping.aliases);
            for name in names
                .map(|name| name.trim())
                .filter(|name| !name.is_empty())
            {
                table.add(name, ip);
            }
        }
        Ok(table)
    }

    /// Adds a line as in `/etc/hosts`: an address and names.
    ///
    /// # Errors
    /// A line that does not begin with an IP address, or has nothing else.
    pub fn add_line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let Some(ip) = words.next() else {
            return Ok(());
        };
        let addr = ip
            .parse()
            .map_err(|_| format!("begins with {ip:?}, which is not an IP address"))?;
        let mut names = words.peekable();
        if names.peek().is_none() {
            return Err("has no name".to_owned());
        }
        names.for_each(|name| self.add(name, addr));
        Ok(())
    }

    fn add(&mut self, name: &str, ip: IpAddr) {
        let (names, name) = match name.strip_prefix('.') {
            Some(domain) => (&mut self.domains, domain),
            None => (&mut self.exact, name),
        };
        let addresses = names.entry((*normalized(name)).into()).or_default();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }

    /// The addresses of the most specific entry.
    fn find(&self, host: &str) -> Option<&Vec<IpAddr>> {
        let host = normalized(host);
        if let Some(found) = self.exact.get(&*host) {
            return Some(found);
        }
        if self.domains.is_empty() {
            return None;
        }
        let mut domain = &*host;
        loop {
            if let Some(found) = self.domains.get(domain) {
                return Some(found);
            }
            if domain.is_empty() {
                return None;
            }
            domain = domain.split_once('.').map_or("", |(_, parent)| parent);
        }
    }

    /// The addresses of a host, of one family; `None` when there are none.
    pub fn addresses(&self, host: &str, family: Family) -> Option<Vec<IpAddr>> {
        let fits = |ip: &IpAddr| match family {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        };
        let found = self
            .find(host)
            .map(|all| all.iter().copied().filter(fits).collect::<Vec<_>>());
        found.filter(|found| !found.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(hostname: &str, ip: &str, aliases: &[&str]) -> Mapping {
        Mapping {
            hostname: hostname.into(),
            ip: ip.into(),
            aliases: aliases.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_most_specific_entry_has_the_addresses() {
        let table = Table::new(&[
            mapping("a.org", "1.1.1.1", &["alias", ".under.alias"]),
            mapping("A.org", "1.1.1.2", &[]),
            mapping("a.org", "::1", &[]),
            mapping("a.org", "1.1.1.1", &[]),
            mapping(".b.org", "2.2.2.2", &[]),
            mapping("x.b.org", "3.3.3.3", &[]),
            mapping(".x.b.org", "4.4.4.4", &[]),
        ])
        .unwrap();
        for (host, family, wanted) in [
            ("a.org", Family::Any, "1.1.1.1 1.1.1.2 ::1"),
            ("a.org.", Family::V6, "::1"),
            ("A.ORG", Family::V4, "1.1.1.1 1.1.1.2"),
            ("alias", Family::Any, "1.1.1.1"),
            ("z.under.alias", Family::Any, "1.1.1.1"),
            ("b.org", Family::Any, "2.2.2.2"),
            ("y.z.b.org", Family::Any, "2.2.2.2"),
            ("x.b.org", Family::Any, "3.3.3.3"),
            ("w.x.b.org", Family::Any, "4.4.4.4"),
            ("xb.org", Family::Any, ""),
            ("y.b.org", Family::V6, ""),
            ("org", Family::Any, ""),
        ] {
            let found = table.addresses(host, family).unwrap_or_default();
            let found: Vec<_> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found.join(" "), wanted, "{host} {family:?}");
        }
        let all = Table::new(&[mapping(".", "5.5.5.5", &[])]).unwrap();
        assert!(all.addresses("anything.at.all", Family::Any).is_some());
    }

    #[test]
    fn lines_are_those_of_etc_hosts() {
        let mut table = Table::default();
        table.add_line("127.0.0.1\ta.org  alias").unwrap();
        table.add_line("").unwrap();
        for host in ["a.org", "alias"] {
            assert!(table.addresses(host, Family::V4).is_some(), "{host}");
        }
        for bad in ["a.org 127.0.0.1", "127.0.0.1"] {
            assert!(table.add_line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entries_that_say_nothing_are_errors() {
        for (hostname, ip) in [("a.org", "1.1.1"), ("a.org", ""), ("", "1.1.1.1")] {
            assert!(
                Table::new(&[mapping(hostname, ip, &[])]).is_err(),
                "{hostname} {ip}"
            );
        }
    }
}
