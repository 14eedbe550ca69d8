//! A list of client addresses.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use gost_core::{
    addr::{Addr, Network},
    error::{Error, Result, Why},
    listener::BoxFuture,
    options,
    policy::{Admission, Answer, Asker},
};
use gost_loader::{Loaded, RedisKind, Reloading, SourceOptions};
use gost_matcher::IpSet;

use crate::clients::Clients;

options! {
    /// Options of the list.
    pub struct TableOptions {
        /// Only those on the list are admitted, instead of all others.
        whitelist: bool = false, "whitelist" | "reverse";
        /// Addresses, networks, ranges of addresses, and names of hosts.
        matchers: Vec<String> = Vec::new(), "matchers";
        ..sources: SourceOptions;
    }
}

/// A list of clients that are not admitted, or that alone are.
///
/// Names of hosts stand for the addresses that they have when the list is made, and again at each
/// reload. A client without an address, as on a Unix socket, is admitted by a list of those who
/// are not, and by no other. As long as a part of the list could not be loaded, nobody is admitted
/// but those who are known to be on a list of those who are.
#[derive(Debug)]
pub struct Table {
    whitelist: bool,
    list: Reloading<List>,
}

/// The addresses there are now.
#[derive(Debug)]
struct List {
    clients: IpSet,
    /// Nothing is missing.
    is_whole: bool,
    /// No other list has it.
    version: u64,
}

/// How many lists there have been.
static LISTS: AtomicU64 = AtomicU64::new(0);

impl Table {
    /// Loads a list; its host names are resolved by the system. One without addresses is left out,
    /// with a warning. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// What is neither an address, a network, a range nor the name of a host; a file that can't be
    /// read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let mut inline = Clients::default();
        for text in &options.matchers {
            inline.add(text).map_err(|why| {
                Error::new(Why::BadInput, format!("matchers: {:?} {why}", text.trim()))
            })?;
        }
        let reload = options.sources.reload;
        let make = move |loaded: Arc<Loaded>| -> BoxFuture<'static, Result<List>> {
            let mut clients = inline.clone();
            Box::pin(async move {
                let reading = tokio::task::spawn_blocking(move || {
                    clients.add_all(&loaded);
                    if clients.has_hosts() {
                        loaded.make_again_after(reload);
                    }
                    (clients, loaded.is_whole())
                });
                let (clients, is_whole) = reading
                    .await
                    .map_err(|e| Error::new(Why::Other, e.to_string()))?;
                Ok(List {
                    clients: clients.addresses().await,
                    is_whole,
                    version: LISTS.fetch_add(1, Relaxed) + 1,
                })
            })
        };
        let list = Reloading::with(place, &options.sources, &[RedisKind::Set], make);
        Ok(Self {
            whitelist: options.whitelist,
            list: list.await?,
        })
    }

    fn admits(&self, client: Option<IpAddr>) -> bool {
        let list = self.list.load();
        if !list.is_whole && !self.whitelist {
            return false;
        }
        let is_listed = client.is_some_and(|ip| list.clients.contains(ip));
        is_listed == self.whitelist
    }
}

impl Admission for Table {
    fn admit<'a>(&'a self, _: Network, from: &'a Addr, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(self.admits(from.ip().map(|addr| addr.ip())))
    }

    fn version(&self) -> u64 {
        self.list.load().version
    }

    fn lets_stay(&self, client: IpAddr) -> bool {
        self.admits(Some(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn table(whitelist: bool, matchers: &[&str]) -> Result<Table> {
        let matchers = matchers.iter().map(|text| (*text).to_owned()).collect();
        let options = TableOptions {
            whitelist,
            matchers,
            ..TableOptions::default()
        };
        Table::new("test", &options).await
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
            let from = Addr::parse(from).unwrap().ip().map(|addr| addr.ip());
            assert_eq!(
                table(false, listed).await.unwrap().admits(from),
                !is_listed,
                "{from:?}"
            );
            assert_eq!(
                table(true, listed).await.unwrap().admits(from),
                is_listed,
                "{from:?}"
            );
            assert!(table(false, &[]).await.unwrap().admits(from));
            assert!(!table(true, &[]).await.unwrap().admits(from));
        }
    }

    #[tokio::test]
    async fn every_list_has_another_version() {
        let (one, other) = (table(false, &[]).await, table(false, &[]).await);
        let (one, other) = (one.unwrap().version(), other.unwrap().version());
        assert!(one != 0 && other != 0 && one != other);
    }

    #[tokio::test]
    async fn names_stand_for_their_addresses() {
        let local = table(true, &["localhost"]).await.unwrap();
        assert!(local.admits(Some([127, 0, 0, 1].into())));
        for bad in ["10.0.0.0/33", "*.example.com", "1.2.3.4:80", "", "a b"] {
            assert!(table(false, &[bad]).await.is_err(), "{bad}");
        }
    }
}
