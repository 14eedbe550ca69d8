//! A table of host names that is loaded.

use std::net::IpAddr;

use gost_core::{
    error::Result,
    policy::{Answer, Asker, Family, HostMapper},
};
use gost_loader::{RedisKind, Reloading};

use crate::{Table, TableOptions};

/// A table of host names, some of which are loaded. Those that could not be loaded yet are not in
/// it.
#[derive(Debug)]
pub struct LoadedTable(Reloading<Table>);

impl LoadedTable {
    /// Loads a table. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// An entry of the configuration without a name or an IP address; a file that can't be read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let inline = Table::new(&options.mappings.0)?;
        let kinds = [RedisKind::Set, RedisKind::List];
        let table = Reloading::new(place, &options.sources, &kinds, move |loaded| {
            let mut table = inline.clone();
            for entry in loaded.entries() {
                if let Err(why) = table.add_line(entry.uncommented()) {
                    loaded.left_out(&entry, why);
                }
            }
            table
        });
        Ok(Self(table.await?))
    }
}

impl HostMapper for LoadedTable {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        _: &'a Asker,
    ) -> Answer<'a, Option<Vec<IpAddr>>> {
        Answer::Now(self.0.load().addresses(host, family))
    }
}
