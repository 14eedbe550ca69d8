//! `gost A -- B`: a process for each group of arguments.

use std::process::ExitCode;

use tokio::{
    process::{Child, Command},
    task::JoinSet,
};

use crate::signals::Ends;

/// Runs a process for each group until all have ended.
///
/// When one fails, or this process is told to end, the others are ended too: a worker without its
/// parent would be nobody's.
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
    let mut ends = Ends::take()?;
    let mut workers = JoinSet::new();
    for (id, args) in groups.iter().enumerate() {
        let mut worker = start(id, args)?;
        workers.spawn(async move { worker.wait().await });
    }
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                None => return Ok(()),
                Some(status) => {
                    let status = status??;
                    // Dropping the set ends the others: they are killed with their handles.
                    anyhow::ensure!(status.success(), "worker: {status}");
                }
            },
            () = ends.wait() => return Ok(()),
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
