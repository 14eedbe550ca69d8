//! The program with a configuration file of its own.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gost_testkit::{
    PATIENCE, peers,
    process::{Launch, Process, Signal},
};
use tempfile::TempDir;

/// A running program with a configuration file in a folder of its own.
pub struct Gost {
    /// The program.
    pub process: Process,
    /// Where its configuration is, and what it writes.
    pub folder: TempDir,
}

impl Gost {
    /// Starts it, and waits until it listens on a port. `{folder}` in the configuration stands for
    /// its folder.
    pub async fn start(config: &str, ready: u16) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, config, ready).await
    }

    /// Starts it in a folder that is there.
    pub async fn start_in(folder: TempDir, config: &str, ready: u16) -> Result<Self> {
        Self::start_with(folder, config, ready, |launch| launch).await
    }

    /// Starts it in a folder that is there; `edit` adds to how it is launched.
    pub async fn start_with(
        folder: TempDir,
        config: &str,
        ready: u16,
        edit: impl FnOnce(Launch) -> Launch,
    ) -> Result<Self> {
        let file = write(config, &folder)?;
        let launch = Launch::new(peers::gost_bin()?).arg("-C").arg(&file);
        let mut process = edit(launch).spawn()?;
        process.ready(ready).await?;
        Ok(Self { process, folder })
    }

    /// Runs with another configuration.
    pub async fn reload(&self, config: &str) -> Result<()> {
        let before = self.reloads();
        write(config, &self.folder)?;
        self.process.signal(Signal::SIGHUP)?;
        let done = async {
            while self.reloads() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done)
            .await
            .with_context(|| format!("no reload: {:?}", self.process.lines()))
    }

    fn reloads(&self) -> usize {
        let lines = self.process.lines();
        let done = |line: &&String| line.contains("unchanged");
        lines.iter().filter(done).count()
    }

    /// Ends it in order, and gives its folder.
    pub async fn stop(mut self) -> Result<TempDir> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.exit(PATIENCE).await?;
        Ok(self.folder)
    }
}

fn write(config: &str, folder: &TempDir) -> Result<std::path::PathBuf> {
    let file = folder.path().join("gost.yaml");
    let config = config.replace("{folder}", &folder.path().to_string_lossy());
    std::fs::write(&file, config)?;
    Ok(file)
}
