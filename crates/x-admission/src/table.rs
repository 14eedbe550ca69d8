//! A list of client addresses.

use std::time::Duration;

use gost_core::{
    addr::{Addr, Network},
    error::{Error, Result, Why},
    options,
    policy::{Admission, Answer, Asker},
};
use gost_matcher::{IpRange, IpSet};

options! {
    /// Options of the list.
    pub struct TableOptions {
        /// Only those on the list are admitted, instead of all others.
        whitelist: bool = false, "whitelist" | "reverse";
        /// Addresses, networks, ranges of addresses, and names of hosts.
        matchers: Vec<String> = Vec::new(), "matchers";
    }
}

/// How long the system may take to find the addresses of a host.
const RESOLVE: Duration = Duration::from_secs(5);

/// A list of clients that are not admitted, or that alone are.
///
/// Names of hosts stand for the addresses that they have when the list is made. A client without
/// an address, as on a Unix socket, is admitted by a list of those who are not, and by no other.
#[derive(Debug)]
pub struct Table {
    whitelist: bool,
    clients: IpSet,
}

impl Table {
    /// A list; its host names are resolved by the system. One without addresses is left out, with
    /// a warning.
    ///
    /// # Errors
    /// What is neither an address, a network, a range nor the name of a host.
    pub async fn new(options: &TableOptions) -> Result<Self> {
        let mut ranges = Vec::with_capacity(options.matchers.len());
        for text in &options.matchers {
            let text = text.trim();
            if let Ok(range) = text.parse::<IpRange>() {
                ranges.push(range);
                continue;
            }
            if text.is_empty() || text.contains(['/', '*', '?', ':', ' ']) {
                let what =
                    format!("matchers: {text:?} is neither an address, a network nor a host");
                return Err(Error::new(Why::BadInput, what));
            }
            let looking = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((text, 0)));
            match looking.await {
                Ok(Ok(found)) => ranges.extend(found.map(|addr| IpRange::from(addr.ip()))),
                Ok(Err(e)) => tracing::warn!("admission: {text}: {e}: left out"),
                Err(_) => tracing::warn!("admission: {text}: no answer in time: left out"),
            }
        }
        Ok(Self {
            whitelist: options.whitelist,
            clients: ranges.into_iter().collect(),
        })
    }

    fn admits(&self, from: &Addr) -> bool {
        let listed = from
            .ip()
            .is_some_and(|addr| self.clients.contains(addr.ip()));
        listed == self.whitelist
    }
}

impl Admission for Table {
    fn admit<'a>(&'a self, _: Network, from: &'a Addr, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(self.admits(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn table(whitelist: bool, matchers: &[&str]) -> Result<Table> {
        let matchers = matchers.iter().map(|text| (*text).to_owned()).collect();
        Table::new(&TableOptions {
            whitelist,
            matchers,
        })
        .await
    }

    #[tokio::test]
    async fn who_is_admitted() {
        let listed = &["127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::ffff:1.2.3.4"][..];
        for (from, is_listed) in [
            ("127.0.0.1:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.9.8.7:1", true),
            ("[2001:db8::5]:1", true),
            ("1.2.3.4:1", true),
            ("127.0.0.2:1", false),
            ("[::1]:1", false),
            ("", false),
        ] {
            let from = Addr::parse(from).unwrap();
            assert_eq!(
                table(false, listed).await.unwrap().admits(&from),
                !is_listed,
                "{from}"
            );
            assert_eq!(
                table(true, listed).await.unwrap().admits(&from),
                is_listed,
                "{from}"
            );
            assert!(table(false, &[]).await.unwrap().admits(&from));
            assert!(!table(true, &[]).await.unwrap().admits(&from));
        }
    }

    #[tokio::test]
    async fn names_stand_for_their_addresses() {
        let local = table(true, &["localhost"]).await.unwrap();
        assert!(local.admits(&Addr::parse("127.0.0.1:1").unwrap()));
        for bad in ["10.0.0.0/33", "*.example.com", "1.2.3.4:80", "", "a b"] {
            assert!(table(false, &[bad]).await.is_err(), "{bad}");
        }
    }
}
