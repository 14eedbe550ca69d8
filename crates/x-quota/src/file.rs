//! A file of quotas: a JSON object of names.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::{
    quota::{Count, Terms},
    store::{Record, StoreError},
};

/// The files in use. There is one of each path, whoever names it, so that none overwrites what
/// another has counted.
static FILES: Mutex<Option<HashMap<PathBuf, Weak<FileStore>>>> = Mutex::new(None);

/// A file of quotas.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<String, Record>,
    /// Those that are being counted: a quota that is configured anew goes on where it was.
    counts: HashMap<String, Weak<Count>>,
}

impl FileStore {
    /// Opens a file, which need not exist.
    ///
    /// # Errors
    /// It can't be read, or is not a file of quotas.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        let path = std::path::absolute(path)?;
        let mut files = FILES.lock();
        let files = files.get_or_insert_default();
        files.retain(|_, file| file.strong_count() > 0);
        if let Some(file) = files.get(&path).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let records = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        let file = Arc::new(Self {
            path: path.clone(),
            state: Mutex::new(State {
                records,
                ..State::default()
            }),
        });
        files.insert(path, Arc::downgrade(&file));
        Ok(file)
    }

    /// What has been counted of a quota: by another one of the name, or else as it is remembered,
    /// if that was in the same time.
    pub(crate) fn count(&self, terms: &Terms) -> Arc<Count> {
        let mut state = self.state.lock();
        let running = state.counts.get(&*terms.name).and_then(Weak::upgrade);
        if let Some(count) = running.filter(|count| count.window() == terms.window) {
            return count;
        }
        let record = state.records.get(&*terms.name);
        let used = record.filter(|record| record.is_of(&terms.window));
        let count = Count::new(terms.window, used.map_or(0, |record| record.used));
        let name = terms.name.to_string();
        state.counts.insert(name, Arc::downgrade(&count));
        count
    }

    /// Remembers what was used. Blocks while the file is written.
    pub(crate) fn save(&self, name: &str, record: Record) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.records.insert(name.to_owned(), record);
        let text = serde_json::to_vec_pretty(&state.records)?;
        let mut new = self.path.clone().into_os_string();
        new.push(".tmp");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)?;
        Ok(())
    }
}
