//! `gost A -- B`: a process for each group of arguments.

use std::{
    collections::HashMap,
    io,
    process::{ExitCode, ExitStatus},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    task::{self, JoinSet},
};

use crate::signals::{End, Ends, Hangups};

/// Runs a process for each group until all have ended.
///
/// When one fails the others are ended too, and so are all when this process is told to end: a
/// worker without its parent would be nobody's. They are told to reload when this process is.
pub(crate) fn run(groups: &[Vec<String>]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(supervise(groups)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn supervise(groups: &[Vec<String>]) -> anyhow::Result<()> {
    let (mut ends, mut hangups) = (Ends::take()?, Hangups::take()?);
    let mut workers = Workers::default();
    for (id, args) in groups.iter().enumerate() {
        workers.start(id, args)?;
    }
    loop {
        tokio::select! {
            goes_on = workers.next() => if !goes_on? {
                return Ok(());
            },
            () = hangups.wait() => workers.tell(Signal::SIGHUP),
            end = ends.wait() => match end {
                End::Orderly => break,
                End::AtOnce => return Ok(()),
            },
        }
    }
    workers.tell(Signal::SIGTERM);
    tokio::select! {
        ended = workers.all() => ended,
        _ = ends.wait() => Ok(()),
    }
}

/// The processes that run. Dropping it kills them.
#[derive(Default)]
struct Workers {
    waits: JoinSet<io::Result<ExitStatus>>,
    /// The ids of those that have not ended; an id of one that has may be somebody else's.
    ids: HashMap<task::Id, Pid>,
}

impl Workers {
    fn start(&mut self, id: usize, args: &[String]) -> anyhow::Result<()> {
        let mut worker = start(id, args)?;
        let process = worker.id().and_then(|id| i32::try_from(id).ok());
        let task = self.waits.spawn(async move { worker.wait().await });
        self.ids
            .extend(process.map(|id| (task.id(), Pid::from_raw(id))));
        Ok(())
    }

    /// Waits until one has ended; false when none was left. An error when it failed.
    async fn next(&mut self) -> anyhow::Result<bool> {
        let Some(ended) = self.waits.join_next_with_id().await else {
            return Ok(false);
        };
        let (task, status) = ended?;
        self.ids.remove(&task);
        let status = status?;
        anyhow::ensure!(status.success(), "worker: {status}");
        Ok(true)
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        while self.next().await? {}
        Ok(())
    }

    fn tell(&self, signal: Signal) {
        for process in self.ids.values() {
            // One that has just ended need not be told.
            let _ = kill(*process, signal);
        }
    }
}

fn start(id: usize, args: &[String]) -> anyhow::Result<Child> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program)
        .args(args)
        .env("_GOST_ID", id.to_string())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}
