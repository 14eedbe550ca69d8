//! A redis of a test's own.

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
};
use tempfile::TempDir;
use tokio::process::Command;

/// A redis server that keeps nothing.
pub struct Redis {
    process: Option<Process>,
    folder: TempDir,
    /// The port that it listens on.
    pub port: u16,
}

impl Redis {
    /// Starts one; nothing where redis is not installed.
    pub async fn start() -> Result<Option<Self>> {
        if peers::need("redis-server").is_none() {
            return Ok(None);
        }
        let mut redis = Self {
            process: None,
            folder: tempfile::tempdir()?,
            port: ports::tcp(),
        };
        redis.again().await?;
        Ok(Some(redis))
    }

    /// Starts it again, with nothing in it.
    pub async fn again(&mut self) -> Result<()> {
        let port = self.port.to_string();
        let args = ["--port", &port, "--save", "", "--appendonly", "no"];
        let launch = Launch::new("redis-server").args(args);
        let mut process = launch.dir(self.folder.path()).spawn()?;
        process.ready(self.port).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.process = None;
    }

    /// Runs a command.
    pub async fn run(&self, command: &[&str]) -> Result<()> {
        let port = self.port.to_string();
        let run = Command::new("redis-cli")
            .args(["-p", &port])
            .args(command)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, run)
            .await
            .context("redis-cli does not end")??;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && !text.contains("ERR"),
            "{command:?}: {text}"
        );
        Ok(())
    }
}
