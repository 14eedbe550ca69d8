//! Files that are changed for new ones when they have grown: logs and records.
//!
//! What is written goes to a file of a fixed name. When it has grown too large it is renamed after
//! the time, `gost-2006-01-02T15-04-05.000.log`, and a new one begun; old ones are compressed and
//! removed by a thread of their own. Keys and names are those of the original, and so of lumberjack.

mod backups;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::backups::Backups;

/// Megabytes that a file may have unless set otherwise.
const MAX_SIZE: u64 = 100;

const MEGABYTE: u64 = 1024 * 1024;

/// When a file is changed for a new one, and which old ones stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Megabytes that a file may have; 0 for 100.
    pub max_size: u64,
    /// Days that old files stay; 0 for ever.
    pub max_age: u64,
    /// How many old files stay; 0 for all.
    pub max_backups: usize,
    /// Name old files by local time instead of UTC.
    pub local_time: bool,
    /// Compress old files.
    pub compress: bool,
}

impl Rotation {
    fn limit(&self) -> u64 {
        match self.max_size {
            0 => MAX_SIZE,
            size => size,
        }
        .saturating_mul(MEGABYTE)
    }
}

/// A file that is appended to, and may be rotated.
#[derive(Debug)]
pub struct Appender {
    file: File,
    rotating: Option<Rotating>,
}

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    limit: u64,
    size: u64,
    backups: Arc<Backups>,
}

impl Appender {
    /// Opens a file, with the folders that lead to it, and goes on at its end. A file that is rotated
    /// is made for its owner alone, as the original makes it.
    pub fn open(path: impl AsRef<Path>, rotation: Option<&Rotation>) -> io::Result<Self> {
        let path = path.as_ref();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(path, rotation.is_some())?;
        let rotating = match rotation {
            None => None,
            Some(rotation) => Some(Rotating {
                path: path.to_owned(),
                limit: rotation.limit(),
                size: file.metadata()?.len(),
                backups: Arc::new(Backups::new(path, rotation)),
            }),
        };
        if let Some(rotating) = &rotating {
            rotating.backups.tidy_aside();
        }
        Ok(Self { file, rotating })
    }

    /// Writes bytes that belong together: into one file, a new one if they don't fit into the
    /// present one.
    ///
    /// # Errors
    /// Those of the system. Bytes that fit into no file are refused.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(rotating) = &mut self.rotating {
            let length = bytes.len() as u64;
            if length > rotating.limit {
                let what = "more than a file may have";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            if rotating.size + length > rotating.limit {
                fs::rename(&rotating.path, rotating.backups.next())?;
                self.file = append(&rotating.path, true)?;
                rotating.size = 0;
                rotating.backups.tidy_aside();
            }
            rotating.size += length;
        }
        (&self.file).write_all(bytes)
    }

    /// True when the file only grows.
    pub const fn is_plain(&self) -> bool {
        self.rotating.is_none()
    }

    /// True when the file has been moved away from `path`, where it was opened.
    pub fn is_moved(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let id = |found: fs::Metadata| (found.dev(), found.ino());
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(ours), Ok(there)) => id(ours) != id(there),
            (Ok(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), _) => false,
        }
    }
}

fn append(path: &Path, private: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    if private {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// The files of a folder with their sizes, those that are compressed unpacked.
    fn files(folder: &Path) -> Vec<(String, usize)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let mut bytes = fs::read(entry.path()).unwrap();
                if name.rsplit_once('.').is_some_and(|(_, end)| end == "gz") {
                    let packed = std::mem::take(&mut bytes);
                    GzDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
                }
                (name, bytes.len())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_that_is_full_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/a.log");
        let rotation = Rotation {
            max_size: 1,
            max_backups: 2,
            compress: true,
            ..Rotation::default()
        };
        let half = vec![b'x'; 600 * 1024];
        for _ in 0..3 {
            // What is opened again goes on where it was.
            let mut file = Appender::open(&path, Some(&rotation)).unwrap();
            file.write(&half).unwrap();
            file.write(&half[..10]).unwrap();
            assert!(!file.is_plain());
            file.rotating.unwrap().backups.tidy();
        }
        let mut file = Appender::open(&path, Some(&rotation)).unwrap();
        file.write(&half).unwrap();
        assert!(file.write(&vec![0; 1024 * 1024 + 1]).is_err());
        file.rotating.unwrap().backups.tidy();
        let found = files(path.parent().unwrap());
        let sizes: Vec<_> = found.iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes, [614_410, 614_410, 614_400], "{found:?}");
        for (name, _) in &found[..2] {
            assert_eq!(
                name.len(),
                "a-2006-01-02T15-04-05.000.log.gz".len(),
                "{name}"
            );
            assert!(
                name.starts_with("a-20") && name.ends_with(".log.gz"),
                "{name}"
            );
        }
        assert_eq!(found[2].0, "a.log");
    }

    #[test]
    fn a_plain_file_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for _ in 0..2 {
            Appender::open(&path, None)
                .unwrap()
                .write(b"line\n")
                .unwrap();
        }
        assert_eq!(files(folder.path()), [("a".to_owned(), 10)]);
    }
}
