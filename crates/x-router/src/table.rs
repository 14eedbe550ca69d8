//! A table of routes.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{Answer, OsRoute, OsRouter},
    values::{FromValue, Value},
};
use gost_loader::{RedisKind, Reloading, SourceOptions};
use ipnet::IpNet;
use tokio::task::JoinSet;

use crate::system::{self, SystemRoute};

options! {
    /// Options of the table.
    pub struct TableOptions {
        /// The routes: a list of `dst` (or `net`) and `gateway`. The first that fits counts.
        routes: Routes = Routes::default(), "routes";
        ..sources: SourceOptions;
    }
}

/// The routes of a table, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(pub Vec<OsRoute>);

impl FromValue for Routes {
    const KIND: &'static str = "a list of maps with dst and gateway";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else {
            return None;
        };
        let route = |item: &Value| {
            let Value::Map(map) = item else { return None };
            let text = |key| map.get(key).map_or(Some(String::new()), String::from_value);
            let destination = Some(text("dst")?).filter(|dst| !dst.trim().is_empty());
            Some(OsRoute {
                destination: destination.map_or_else(|| text("net"), Some)?,
                gateway: text("gateway")?,
            })
        };
        items.iter().map(route).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// Routes in order. The first fits whose destination is the same text, or a network that has the
/// address in it. The gateway may be any text.
#[derive(Clone, Debug, Default)]
pub struct Table {
    routes: Vec<(Option<IpNet>, OsRoute)>,
}

impl Table {
    /// A table of routes.
    ///
    /// # Errors
    /// [`Why::BadInput`] for a route without a destination or a gateway.
    pub fn new(routes: &[OsRoute]) -> Result<Self> {
        let mut table = Self::default();
        for route in routes {
            if !table.add(&route.destination, &route.gateway) {
                let what = format!(
                    "routes: {:?} by {:?}: a destination and a gateway are needed",
                    route.destination, route.gateway
                );
                return Err(Error::new(Why::BadInput, what));
            }
        }
        Ok(table)
    }

    /// Adds a route; false when something of it is missing.
    fn add(&mut self, destination: &str, gateway: &str) -> bool {
        let (destination, gateway) = (destination.trim(), gateway.trim());
        let is_whole = !destination.is_empty() && !gateway.is_empty();
        if is_whole {
            let route = OsRoute {
                destination: destination.to_owned(),
                gateway: gateway.to_owned(),
            };
            self.routes.push((destination.parse().ok(), route));
        }
        is_whole
    }

    /// The route to a destination.
    pub fn find(&self, destination: &str) -> Option<&OsRoute> {
        let ip: Option<IpAddr> = destination.parse().ok();
        let fits = |(network, route): &&(Option<IpNet>, OsRoute)| {
            route.destination == destination
                || network
                    .zip(ip)
                    .is_some_and(|(network, ip)| network.contains(&ip))
        };
        self.routes.iter().find(fits).map(|(_, route)| route)
    }

    /// The routes that a system can have: networks by the address of a gateway.
    fn of_the_system(&self) -> Vec<SystemRoute> {
        let routes = self.routes.iter().filter_map(|(network, route)| {
            Some(SystemRoute {
                network: network.as_ref()?.trunc(),
                gateway: route.gateway.parse().ok()?,
            })
        });
        routes.collect()
    }
}

/// A table of routes, some of which are loaded.
#[derive(Debug)]
pub struct LoadedTable {
    place: Arc<str>,
    table: Arc<Reloading<Table>>,
    /// How often the routes are put into the system again, if they are.
    period: Option<Duration>,
    /// Puts the routes into the system for as long as the table is there.
    installing: OnceLock<JoinSet<()>>,
}

impl LoadedTable {
    /// Loads a table. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// A route of the configuration without a destination or a gateway; a file that can't be read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let inline = Table::new(&options.routes.0)?;
        let kinds = [RedisKind::Hash, RedisKind::List, RedisKind::Set];
        let table = Reloading::new(place, &options.sources, &kinds, move |loaded| {
            let mut table = inline.clone();
            for entry in loaded.entries() {
                let Some((destination, gateway)) = entry.pair() else {
                    continue;
                };
                let gateway = gateway.split('#').next().unwrap_or_default();
                if !table.add(destination, gateway) {
                    loaded.left_out(&entry, "has no destination or no gateway");
                }
            }
            table
        });
        Ok(Self {
            place: place.into(),
            table: Arc::new(table.await?),
            period: options.sources.period(),
            installing: OnceLock::new(),
        })
    }
}

/// Has the routes in the system at once, whenever the table is another, and each `period`: somebody
/// may have taken them away. What can't be had is said once.
async fn install(place: Arc<str>, table: Arc<Reloading<Table>>, period: Option<Duration>) {
    let mut said = None;
    loop {
        let version = table.version();
        let routes = table.load().of_the_system();
        let failed = system::replace(&place, &routes).await.err();
        if let Some(error) = failed.as_ref().filter(|_| said != failed) {
            tracing::warn!("{place}: {error}");
        }
        said = failed;
        let newer = table.newer_than(version);
        match period {
            Some(period) => {
                let _ = tokio::time::timeout(period, newer).await;
            }
            None => newer.await,
        }
    }
}

impl OsRouter for LoadedTable {
    fn route<'a>(&'a self, destination: &'a str, _: &'a str) -> Answer<'a, Option<OsRoute>> {
        Answer::Now(self.table.load().find(destination).cloned())
    }

    fn take_effect(&self) {
        self.installing.get_or_init(|| {
            let mut task = JoinSet::new();
            task.spawn(install(self.place.clone(), self.table.clone(), self.period));
            task
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn route(destination: &str, gateway: &str) -> OsRoute {
        OsRoute {
            destination: destination.into(),
            gateway: gateway.into(),
        }
    }

    #[test]
    fn the_first_route_that_fits_counts() {
        let table = Table::new(&[
            route("192.168.1.0/24", "10.0.0.1"),
            route("192.168.0.0/16", "10.0.0.2"),
            route("fd00::/8", "::1"),
            route("name.test", "peer"),
            route("192.168.1.0/24", "never"),
        ])
        .unwrap();
        for (destination, gateway) in [
            ("192.168.1.9", Some("10.0.0.1")),
            ("192.168.2.9", Some("10.0.0.2")),
            ("192.168.1.0/24", Some("10.0.0.1")),
            ("fd12::1", Some("::1")),
            ("name.test", Some("peer")),
            ("10.0.0.9", None),
            ("other.test", None),
            ("", None),
        ] {
            let found = table.find(destination);
            let found = found.map(|route| &*route.gateway);
            assert_eq!(found, gateway, "{destination}");
        }
    }

    #[tokio::test]
    async fn lines_of_a_file_come_after_the_routes_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes");
        let text = "# routes\n\n10.0.0.0/8 file # and why\n192.168.0.0/16\tfile\nlonely\n";
        std::fs::write(&path, text).unwrap();
        let mut options = TableOptions::default();
        options.sources.file = Some(gost_loader::FileSource { path });
        options.routes.0 = vec![route("10.1.0.0/16", "inline")];
        let table = LoadedTable::new("router r", &options).await.unwrap();
        for (destination, gateway) in [
            ("10.1.0.1", Some("inline")),
            ("10.2.0.1", Some("file")),
            ("192.168.0.1", Some("file")),
            ("lonely", None),
        ] {
            let found = table.route(destination, "").await;
            let found = found.map(|route| route.gateway);
            assert_eq!(found.as_deref(), gateway, "{destination}");
        }
    }

    #[test]
    fn a_route_needs_a_destination_and_a_gateway() {
        assert!(Table::new(&[route("", "x")]).is_err());
        assert!(Table::new(&[route("10.0.0.0/8", "")]).is_err());
    }

    #[test]
    fn net_is_what_dst_was_called_once() {
        let map = |entries: &[(&str, &str)]| {
            let entry =
                |(key, value): &(&str, &str)| ((*key).to_owned(), Value::Text((*value).to_owned()));
            Value::Map(entries.iter().map(entry).collect::<BTreeMap<_, _>>())
        };
        let list = Value::List(vec![
            map(&[("net", "10.0.0.0/8"), ("gateway", "a")]),
            map(&[("net", "10.0.0.0/8"), ("dst", "b.test"), ("gateway", "a")]),
        ]);
        let wanted = vec![route("10.0.0.0/8", "a"), route("b.test", "a")];
        assert_eq!(Routes::from_value(&list), Some(Routes(wanted)));
        assert_eq!(Routes::from_value(&Value::Bool(true)), None);
    }
}
