//! A table of users that is loaded.

use gost_core::{
    error::Result,
    policy::{Answer, Asker, Authenticator, Credentials},
};
use gost_loader::{RedisKind, Reloading};

use crate::{Table, TableOptions};

/// A table of users, some of whom are loaded; of two entries for one name the loaded one counts.
/// Users who could not be loaded yet are not let in.
#[derive(Debug)]
pub struct LoadedTable(Reloading<Table>);

impl LoadedTable {
    /// Loads a table. `place` says whose it is, for the log.
    ///
    /// # Errors
    /// A file that can't be read.
    pub async fn new(place: &str, options: &TableOptions) -> Result<Self> {
        let inline = Table::new(options.auths.0.iter().cloned());
        let table = Reloading::new(place, &options.sources, &[RedisKind::Hash], move |loaded| {
            let mut table = inline.clone();
            for entry in loaded.entries() {
                if let Err(why) = table.add_entry(&entry) {
                    loaded.left_out(&entry, why);
                }
            }
            table
        });
        Ok(Self(table.await?))
    }
}

impl Authenticator for LoadedTable {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        _: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let is_known = self.0.load().knows(given);
        Answer::Now(is_known.then(|| given.username.clone()))
    }
}
