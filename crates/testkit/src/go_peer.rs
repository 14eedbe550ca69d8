//! Go libraries as peers: small programs of our own around them, in `tests/peers`.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

/// Builds the program `tests/peers/NAME`, which is made of `module`, in a folder; `None`, with the
/// reason printed, where there is no Go or the module can't be had. In each process it is built
/// once.
///
/// # Errors
/// When there is all that is needed and it still can't be built.
pub fn build(name: &str, module: &str, folder: &str) -> Result<Option<PathBuf>> {
    static BUILT: Mutex<Option<HashMap<String, Option<PathBuf>>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(known) = built.get(name) {
        return Ok(known.clone());
    }
    let program = build_now(name, module, folder)?;
    built.insert(name.to_owned(), program.clone());
    Ok(program)
}

fn build_now(name: &str, module: &str, folder: &str) -> Result<Option<PathBuf>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers");
    let source = source.join(name);
    let go = |args: &[&OsStr]| {
        let mut command = Command::new("go");
        command.args(args).current_dir(&source).output()
    };
    match go(&["mod".as_ref(), "download".as_ref()]) {
        Err(_) => {
            crate::peers::skip("go");
            return Ok(None);
        }
        Ok(output) if !output.status.success() => {
            crate::peers::skip(&format!("Go module {module}"));
            return Ok(None);
        }
        Ok(_) => {}
    }
    let program = Path::new(folder).join(format!("{name}-peer"));
    let output = go(&[
        "build".as_ref(),
        "-o".as_ref(),
        program.as_ref(),
        ".".as_ref(),
    ])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "go build {name}: {errors}");
    Ok(Some(program))
}

/// Such a program while it runs; dropping this ends it.
#[derive(Debug)]
pub struct GoPeer(pub Child);

impl GoPeer {
    /// Starts it. What it prints is for the caller to read.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        let child = command.args(args).stdout(Stdio::piped()).spawn();
        Ok(Self(child.context("start the peer")?))
    }

    /// Where it listens, by the first line that it prints.
    ///
    /// # Errors
    /// When it prints something else.
    pub fn listening(&mut self) -> Result<std::net::SocketAddr> {
        let stdout = self.0.stdout.as_mut().context("asked before")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("listening ");
        Ok(addr.context("the peer does not listen")?.parse()?)
    }
}

impl Drop for GoPeer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
