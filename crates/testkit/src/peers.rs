//! Programs on this machine: the `gost` under test and other people's
//! programs to test against, which are optional.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// The program called `name` on PATH, if there is one.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

/// As [`peer`]; when it is missing, says so and counts it.
///
/// A test that needs a peer begins with
/// `let Some(peer) = peers::need("haproxy") else { return };`.
pub fn need(name: &str) -> Option<PathBuf> {
    let found = peer(name);
    if found.is_none() {
        skip(name);
    }
    found
}

/// Says that something was skipped for want of `name`, and how many were so
/// far in this process.
pub fn skip(name: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("skipped: no {name} ({count} skipped so far)");
}

/// How often [`skip`] was called in this process.
pub fn skipped() -> usize {
    SKIPPED.load(Ordering::Relaxed)
}

/// The `gost` binary under test.
///
/// In this order: the file that `GOST_BIN` names; the one that cargo built for
/// this test (`CARGO_BIN_EXE_gost`); `gost` in the target directory from which
/// this test runs; and if there is none yet, cargo is asked to build it there.
/// A binary that is found is not built again: one that was built before the
/// last change of its source is used as it is.
///
/// # Errors
/// When there is none and it cannot be built.
pub fn gost_bin() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| locate_gost().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn locate_gost() -> Result<PathBuf> {
    for variable in ["GOST_BIN", "CARGO_BIN_EXE_gost"] {
        if let Some(path) = env::var_os(variable).map(PathBuf::from) {
            if is_program(&path) {
                return Ok(path);
            }
            bail!("{variable} names {}, which is no program", path.display());
        }
    }
    let test = env::current_exe().context("find this test's own path")?;
    let dir = profile_dir(&test).context("this test runs outside a target directory")?;
    let gost = dir.join("gost");
    if !is_program(&gost) {
        build(dir).with_context(|| format!("build {}", gost.display()))?;
    }
    Ok(gost)
}

/// `target/debug` for `target/debug/deps/test-123`, `target/debug/examples/x`
/// and `target/debug/x`.
fn profile_dir(test: &Path) -> Option<&Path> {
    let dir = test.parent()?;
    match dir.file_name()?.to_str()? {
        "deps" | "examples" => dir.parent(),
        _ => Some(dir),
    }
}

fn build(profile_dir: &Path) -> Result<()> {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        // Cargo's one directory that is not named after its profile.
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("no profile directory"),
    };
    let target = profile_dir.parent().context("no target directory")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package",
        "gost",
        "--bin",
        "gost",
        "--profile",
        profile,
    ]);
    // The manifest's folder is inside the workspace, wherever the test runs.
    command
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().context("run cargo")?;
    if !status.success() {
        bail!("cargo build ended with {status}");
    }
    Ok(())
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_path_are_found_and_others_counted() {
        assert!(is_program(&peer("sh").unwrap()));
        assert!(need("sh").is_some());
        let before = skipped();
        assert_eq!(need("no-such-program-anywhere"), None);
        assert_eq!(skipped(), before + 1);
    }

    #[test]
    fn a_folder_and_a_text_file_are_no_programs() {
        assert!(!is_program(Path::new("/")));
        assert!(!is_program(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_profile_directory_is_above_every_kind_of_test() {
        for test in [
            "/t/debug/deps/test-12ab",
            "/t/debug/examples/embed",
            "/t/debug/gost-bench",
        ] {
            assert_eq!(profile_dir(Path::new(test)), Some(Path::new("/t/debug")));
        }
    }
}
