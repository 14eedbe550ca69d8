//! Files of entries.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::{FileSource, LoadError, MAX_SIZE};

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: (u64, u64),
}

/// The state of a file now; nothing when there is none.
pub(crate) async fn stamp(file: &FileSource) -> Option<Stamp> {
    let path = file.path.clone();
    let look = tokio::task::spawn_blocking(move || {
        let meta = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: (meta.mtime(), meta.mtime_nsec()),
            length: meta.len(),
            inode: (meta.dev(), meta.ino()),
        })
    });
    look.await.ok().flatten()
}

/// The text of a file. Bytes that are no UTF-8 become replacement characters, which no entry has.
pub(crate) async fn read(file: &FileSource) -> Result<String, LoadError> {
    let path = file.path.clone();
    let reading = tokio::task::spawn_blocking(move || read_now(&path));
    let bytes = reading
        .await
        .map_err(|e| LoadError::File(io::Error::other(e)))??;
    Ok(text(bytes))
}

fn read_now(path: &Path) -> Result<Vec<u8>, LoadError> {
    let file = File::open(path)?;
    // A pipe or a device might never end.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a file").into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_SIZE {
        return Err(LoadError::TooLong);
    }
    Ok(bytes)
}

/// A text of whatever bytes, without the mark that some editors begin one with.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
