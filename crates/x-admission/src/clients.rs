//! Clients, from their matchers.

use std::{net::IpAddr, time::Duration};

use futures_util::{StreamExt as _, stream};
use gost_loader::Loaded;
use gost_matcher::{IpRange, IpSet};

/// How long the system may take to find the addresses of a host.
const RESOLVE: Duration = Duration::from_secs(5);

/// How many hosts are looked up at once.
const AT_ONCE: usize = 32;

/// Addresses, and hosts whose addresses are still to be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    ranges: Vec<IpRange>,
    hosts: Vec<String>,
}

impl Clients {
    /// Adds a matcher: an address, a network, a range, or the name of a host.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let text = text.trim();
        if let Ok(range) = text.parse() {
            self.ranges.push(range);
        } else if text.is_empty() || text.contains(['/', '*', '?', ':', ' ']) {
            return Err("is neither an address, a network nor a host");
        } else {
            self.hosts.push(text.to_owned());
        }
        Ok(())
    }

    /// Adds those that were loaded.
    pub(crate) fn add_all(&mut self, loaded: &Loaded) {
        for entry in loaded.entries() {
            let text = entry.uncommented();
            if !text.is_empty()
                && let Err(why) = self.add(text)
            {
                loaded.left_out(&entry, format_args!("{text:?} {why}"));
            }
        }
    }

    /// True when there are names, whose addresses may change.
    pub(crate) fn has_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// All addresses. A host that has none is left out, with a warning.
    pub(crate) async fn addresses(self) -> IpSet {
        let looking = self.hosts.into_iter().map(look_up);
        let found = stream::iter(looking).buffer_unordered(AT_ONCE);
        let found: Vec<_> = found.collect().await;
        let found = found.into_iter().flatten().map(IpRange::from);
        self.ranges.into_iter().chain(found).collect()
    }
}

async fn look_up(host: String) -> Vec<IpAddr> {
    let looking = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((&*host, 0)));
    match looking.await {
        Ok(Ok(found)) => return found.map(|addr| addr.ip()).collect(),
        Ok(Err(e)) => tracing::warn!("admission: {host}: {e}: left out"),
        Err(_) => tracing::warn!("admission: {host}: no answer in time: left out"),
    }
    Vec::new()
}
