//! Records in a file.

use std::{collections::VecDeque, fmt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{Answer, Recorder},
};
use gost_rotate::{Appender, Rotation};
use parking_lot::Mutex;
use tokio::sync::oneshot;

options! {
    /// Options of the file recorder.
    pub struct FileOptions {
        /// The file; folders that lead to it are made.
        path: String = String::new(), "path";
        /// What is written after each record.
        separator: String = String::new(), "sep";
        /// Change the file for a new one when it is full.
        rotation: bool = false, "rotation";
        /// Megabytes that a file may have; 0 for 100.
        max_size: u64 = 0, "maxSize";
        /// Days that old files stay; 0 for ever.
        max_age: u64 = 0, "maxAge";
        /// How many old files stay; 0 for all.
        max_backups: usize = 0, "maxBackups";
        /// Name old files by local time instead of UTC.
        local_time: bool = false, "localTime";
        /// Compress old files.
        compress: bool = false, "compress";
    }
}

/// The most that is written at once.
const CHUNK: usize = 256 * 1024;

/// Appends records to a file, in the order in which they come. Writing may block, and has a thread
/// for as long as there is something to write.
pub struct FileRecorder(Arc<Shared>);

struct Shared {
    path: PathBuf,
    separator: Bytes,
    rotation: Option<Rotation>,
    file: Mutex<Appender>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<(Bytes, oneshot::Sender<Result<()>>)>,
    /// A thread is writing, and looks here before it ends.
    busy: bool,
}

impl FileRecorder {
    /// Opens the file. An error says why that can't be done.
    pub fn open(options: &FileOptions) -> Result<Self> {
        let rotation = options.rotation.then_some(Rotation {
            max_size: options.max_size,
            max_age: options.max_age,
            max_backups: options.max_backups,
            local_time: options.local_time,
            compress: options.compress,
        });
        if options.path.is_empty() {
            return Err(Error::new(Why::BadInput, "the file has no path"));
        }
        let path = PathBuf::from(&options.path);
        let file = Appender::open(&path, rotation.as_ref())
            .map_err(|e| Error::from(e).context(&options.path))?;
        Ok(Self(Arc::new(Shared {
            path,
            separator: Bytes::from(options.separator.clone()),
            rotation,
            file: Mutex::new(file),
            waiting: Mutex::default(),
        })))
    }
}

impl Recorder for FileRecorder {
    fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
        let (done, wait) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        waiting.records.push_back((record, done));
        if !std::mem::replace(&mut waiting.busy, true) {
            let shared = self.0.clone();
            tokio::task::spawn_blocking(move || shared.write_all());
        }
        drop(waiting);
        Answer::later(async {
            let gone = |_| Err(Error::new(Why::Other, "the writing thread is gone"));
            wait.await.unwrap_or_else(gone)
        })
    }
}

impl Shared {
    /// Writes what waits, until nothing does.
    fn write_all(&self) {
        let mut file = self.file.lock();
        // The file may have been moved away to make room for a new one.
        if file.is_moved(&self.path)
            && let Ok(new) = Appender::open(&self.path, self.rotation.as_ref())
        {
            *file = new;
        }
        let (mut chunk, mut dones) = (Vec::new(), Vec::new());
        loop {
            {
                let mut waiting = self.waiting.lock();
                while let Some((record, _)) = waiting.records.front() {
                    let full = chunk.len() + record.len() + self.separator.len() > CHUNK;
                    // Where files are counted, each record is one write.
                    if !chunk.is_empty() && (full || !file.is_plain()) {
                        break;
                    }
                    let Some((record, done)) = waiting.records.pop_front() else {
                        break;
                    };
                    chunk.extend_from_slice(&record);
                    chunk.extend_from_slice(&self.separator);
                    dones.push(done);
                }
                if dones.is_empty() {
                    waiting.busy = false;
                    return;
                }
            }
            let result = file.write(&chunk).map_err(Error::from);
            chunk.clear();
            for done in dones.drain(..) {
                // Whoever gave up waiting need not be told.
                let _ = done.send(result.clone());
            }
        }
    }
}

impl fmt::Debug for FileRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRecorder({})", self.0.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn options(path: &std::path::Path) -> FileOptions {
        FileOptions {
            path: path.to_string_lossy().into_owned(),
            separator: "\n".into(),
            ..FileOptions::default()
        }
    }

    #[tokio::test]
    async fn records_are_written_in_order_with_the_separator() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/records");
        let recorder = FileRecorder::open(&options(&path)).unwrap();
        let nothing = "null".into();
        let answers: Vec<_> = (0..1000)
            .map(|n| recorder.record(n.to_string().into(), &nothing))
            .collect();
        for answer in answers {
            answer.await.unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        let expected = (0..1000).map(|n| n.to_string());
        assert!(written.lines().eq(expected) && written.ends_with('\n'));

        // As logrotate does it.
        fs::rename(&path, folder.path().join("old")).unwrap();
        recorder.record("next".into(), &nothing).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "next\n");
    }

    #[tokio::test]
    async fn a_full_file_is_put_aside_between_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let recorder = FileRecorder::open(&FileOptions {
            rotation: true,
            max_size: 1,
            ..options(&path)
        })
        .unwrap();
        let record = Bytes::from(vec![b'x'; 400 * 1024 - 1]);
        for _ in 0..5 {
            let written = recorder.record(record.clone(), &"null".into());
            written.await.unwrap();
        }
        let too_large = recorder.record(vec![0; 1 << 21].into(), &"null".into());
        assert!(too_large.await.is_err());
        let mut sizes: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [409_600, 819_200, 819_200]);
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileRecorder::open(&options(folder.path())).unwrap_err();
        let path = folder.path().display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
    }
}
