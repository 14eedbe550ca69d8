//! Where configurations come from: files, standard input, URLs, and the environment.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::formats::MAX_BYTES;

/// A document fetched from a URL.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The `Content-Type`, if any.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The most bytes to read from a URL.
pub const MAX_FETCHED: usize = 10 << 20;

/// The outside world as far as configurations come from it.
pub trait Sources {
    /// The contents of a file, which may be cut off behind 16 MiB and a byte.
    ///
    /// # Errors
    /// Those of the file system; `NotFound` and `IsADirectory` matter in the search for a default
    /// file.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Standard input to its end, with the same bound.
    ///
    /// # Errors
    /// Those of reading.
    fn stdin(&self) -> io::Result<Vec<u8>>;

    /// The document at an `http` or `https` URL: a GET with the credentials of the URL, within
    /// 30 s, status 200, of at most [`MAX_FETCHED`] bytes.
    ///
    /// # Errors
    /// The reason, without the URL.
    fn fetch(&self, url: &str) -> Result<Fetched, String>;

    /// An environment variable; none when unset.
    fn env(&self, name: &str) -> Option<String>;
}

/// The files, standard input and environment of this machine; URLs are fetched by `F`.
#[derive(Debug)]
pub struct Local<F>(
    /// What fetches URLs; see [`Sources::fetch`].
    pub F,
);

impl<F: Fn(&str) -> Result<Fetched, String>> Sources for Local<F> {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        bounded(file)
    }

    fn stdin(&self) -> io::Result<Vec<u8>> {
        bounded(io::stdin().lock())
    }

    fn fetch(&self, url: &str) -> Result<Fetched, String> {
        (self.0)(url)
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

fn bounded(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than allowed, so that the reader sees that it is too much.
    from.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that are tried when nothing says what to run.
pub(crate) fn default_files(sources: &dyn Sources) -> Vec<PathBuf> {
    let home = sources.env("HOME").filter(|home| !home.is_empty());
    let mut folders = vec![PathBuf::from("/etc/gost")];
    folders.extend(home.map(|home| Path::new(&home).join(".gost")));
    folders.push(PathBuf::new());
    let extensions = [
        "json",
        "toml",
        "yaml",
        "yml",
        "properties",
        "props",
        "prop",
        "hcl",
        "tfvars",
        "dotenv",
        "env",
        "ini",
    ];
    folders
        .iter()
        .flat_map(|folder| extensions.map(|extension| folder.join(format!("gost.{extension}"))))
        .collect()
}
