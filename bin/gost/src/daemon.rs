//! The program at work: from flags to running services, until a signal ends it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use gost_config::{Config, Flags, Names, Nanos, Problem, Severity};
use gost_core::registry::Registry;
use gost_runtime::{Runtime, Workers};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::{
    log::{self, Log},
    reload::{Reloader, Trigger},
    signals::{End, Ends, Hangups},
    sources::{Input, Machine},
    threads,
};

/// How long connections may go on after the program was told to end.
const DRAIN: Duration = Duration::from_secs(3);

/// The exit status after `SIGQUIT`.
const QUIT: u8 = 2;

/// Runs what the flags name. Status 1 when it can't be started.
pub(crate) fn run(flags: &Flags, names: Names, components: Registry) -> ExitCode {
    let input = Input {
        flags: flags.clone(),
        names,
        sources: Machine::new(),
        components: Arc::new(components),
    };
    let (config, warnings) = match input.read() {
        Ok(read) => read,
        Err(refused) => {
            log::start_only(refused.log.as_deref());
            return refuse(&refused.problems);
        }
    };
    let log = log::start(&config);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_descriptor_limit();
    let runtime = match threads::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("start: {error}")),
    };
    let ended = runtime.block_on(serve(input, config, log));
    // Somebody else's web server or name server may still keep a thread waiting.
    runtime.shutdown_background();
    ended
}

async fn serve(input: Input, config: Config, log: Log) -> ExitCode {
    // Before anything starts, so that no signal finds the program half started.
    let (mut ends, mut hangups) = match Ends::take().and_then(|ends| Ok((ends, Hangups::take()?))) {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("signals: {error}")),
    };
    let mut runtime = match start(&config, input.components.clone()).await {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    drop(config);
    let mut ticks = ticks(input.flags.reload);
    let mut reloader = Reloader::new(input, log);
    gost_resident::give_back();
    let end = loop {
        let trigger = tokio::select! {
            end = ends.wait() => break end,
            () = runtime.finished() => break End::Orderly,
            () = hangups.wait() => Trigger::Signal,
            () = tick(ticks.as_mut()) => Trigger::Timer,
        };
        tokio::select! {
            () = reloader.reload(&mut runtime, trigger) => {}
            end = ends.wait() => break end,
        }
    };
    if end == End::AtOnce {
        tracing::error!("quit");
        return ExitCode::from(QUIT);
    }
    tracing::info!("shutting down");
    tokio::select! {
        () = runtime.stop(DRAIN) => {}
        _ = ends.wait() => {}
    }
    ExitCode::SUCCESS
}

async fn start(config: &Config, components: Arc<Registry>) -> Result<Runtime, ExitCode> {
    let others = threads::start_others().map_err(|e| fail(&format!("start a thread: {e}")))?;
    Runtime::start(config, components, &Workers::new(others))
        .await
        .map_err(|problems| refuse(&problems))
}

/// The times of regular reloads, if there are any.
fn ticks(period: Nanos) -> Option<Interval> {
    let period = period.positive()?;
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(ticks)
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// Says why the program does not start: one line for each mistake, on standard error too when the
/// log is elsewhere.
fn refuse(problems: &[Problem]) -> ExitCode {
    for problem in problems.iter().filter(|p| p.severity > Severity::Warning) {
        log::fatal(&problem.to_string());
    }
    ExitCode::FAILURE
}

fn fail(reason: &str) -> ExitCode {
    log::fatal(reason);
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
