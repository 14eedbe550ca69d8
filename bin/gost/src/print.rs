//! What is printed instead of run: the version, the configuration.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use gost_config::{Flags, Format, Names, load};

use crate::sources::Machine;

/// `gost 0.1.0 (rust linux/amd64)`.
pub(crate) fn version() -> ExitCode {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    say(&format!(
        "gost {} (rust {}/{arch})\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS
    ))
}

/// The merged configuration; what is wrong with it goes to standard error.
pub(crate) fn config(flags: &Flags, names: &Names) -> ExitCode {
    let loaded = match load(flags, &Machine::new(), names) {
        Ok(loaded) => loaded,
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    for problem in &loaded.problems {
        eprintln!("{problem}");
    }
    let format = if flags.output.as_deref() == Some("json") {
        Format::Json
    } else {
        Format::Yaml
    };
    let code = match loaded.config.print(format) {
        Ok(text) => say(&text),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    };
    // The process ends: giving back a large configuration piece by piece would take its time.
    std::mem::forget(loaded);
    code
}

fn say(text: &str) -> ExitCode {
    // A reader that went away is not our failure.
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
