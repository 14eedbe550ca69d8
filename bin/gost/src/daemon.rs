//! The program at work: from flags to running services, until a signal ends it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use gost_config::{Config, Fetched, Flags, Loaded, Local, Names, Severity, Sources, load};
use gost_core::registry::Registry;
use gost_runtime::{Runtime, Workers};

use crate::{log, signals::Ends, threads};

/// How long connections may go on after the program was told to end.
const DRAIN: Duration = Duration::from_secs(3);

/// Files, standard input and environment of this machine.
pub(crate) fn sources() -> impl Sources {
    Local(|_: &str| -> Result<Fetched, String> {
        Err("this version reads no configuration from URLs; fetch it to a file first".to_owned())
    })
}

/// Runs what the flags name. Status 1 when it can't be started.
pub(crate) fn run(flags: &Flags, names: &Names, components: Registry) -> ExitCode {
    let loaded = match load(flags, &sources(), names) {
        Ok(loaded) => loaded,
        Err(failure) => {
            log::start(None);
            return refuse(
                failure
                    .problems
                    .iter()
                    .filter(|p| p.severity > Severity::Warning),
            );
        }
    };
    log::start(loaded.config.log.as_ref());
    for warning in loaded
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Warning)
    {
        tracing::warn!("{warning}");
    }
    if !loaded.is_good() {
        return refuse(
            loaded
                .problems
                .iter()
                .filter(|p| p.severity > Severity::Warning),
        );
    }
    raise_descriptor_limit();
    let runtime = match threads::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return refuse([format!("start: {error}")]),
    };
    runtime.block_on(serve(loaded, components))
}

async fn serve(loaded: Loaded, components: Registry) -> ExitCode {
    // Before anything starts, so that no signal finds the program half started.
    let mut ends = match Ends::take() {
        Ok(ends) => ends,
        Err(error) => return refuse([format!("signals: {error}")]),
    };
    let Loaded { config, .. } = loaded;
    let runtime = match start(&config, components).await {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    tokio::select! {
        () = ends.wait() => {}
        () = runtime.finished() => {}
    }
    tracing::info!("shutting down");
    tokio::select! {
        () = runtime.stop(DRAIN) => {}
        () = ends.wait() => {}
    }
    ExitCode::SUCCESS
}

async fn start(config: &Config, components: Registry) -> Result<Runtime, ExitCode> {
    let others = threads::start_others().map_err(|e| refuse([format!("start a thread: {e}")]))?;
    Runtime::start(config, Arc::new(components), &Workers::new(others))
        .await
        .map_err(|problems| refuse(problems.iter().filter(|p| p.severity > Severity::Warning)))
}

/// Says why the program does not start: one line for each mistake, on standard error too when the
/// log is elsewhere.
fn refuse(reasons: impl IntoIterator<Item = impl std::fmt::Display>) -> ExitCode {
    for reason in reasons {
        log::fatal(&reason.to_string());
    }
    ExitCode::FAILURE
}

/// A proxy needs two descriptors for each connection: takes as many as the system allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // The lower limit is enough to run with.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
