//! Network namespaces of a test's own.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
};
use tempfile::TempDir;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace of the test's own, which ends with it.
#[derive(Debug)]
pub struct Namespace {
    /// What `ip netns` and gost know it by.
    pub name: String,
}

impl Namespace {
    /// `None` where namespaces can't be made; says why.
    pub fn new() -> Option<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gost-test-{}-{count}", std::process::id());
        match ip(&["netns", "add", &name]) {
            Ok(()) => {}
            Err(reason) => {
                eprintln!("skipped: no network namespaces here: {reason:#}");
                return None;
            }
        }
        let made = Self { name };
        match made.ip(&["link", "set", "lo", "up"]) {
            Ok(()) => Some(made),
            Err(reason) => {
                eprintln!("skipped: no network namespaces here: {reason:#}");
                None
            }
        }
    }

    /// Connects two namespaces; the first is then 10.99.0.1 and the other 10.99.0.2.
    pub fn link(one: &Self, other: &Self) -> Result<()> {
        ip(&[
            "link",
            "add",
            "veth",
            "netns",
            &one.name,
            "type",
            "veth",
            "peer",
            "name",
            "veth",
            "netns",
            &other.name,
        ])?;
        for (end, address) in [(one, "10.99.0.1/24"), (other, "10.99.0.2/24")] {
            end.ip(&["addr", "add", address, "dev", "veth"])?;
            end.ip(&["link", "set", "veth", "up"])?;
        }
        Ok(())
    }

    /// Runs `ip` on what is inside.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        let mut all = vec!["-n", &self.name];
        all.extend(args);
        ip(&all)
    }

    /// A program that runs inside.
    pub fn launch(&self, program: &str, args: &[&str]) -> Launch {
        Launch::new("ip")
            .args(["netns", "exec", &self.name, program])
            .args(args)
    }

    /// gost, inside.
    pub async fn gost(&self, args: &[&str]) -> Result<Process> {
        let gost = peers::gost_bin()?;
        let process = self.launch(&gost.to_string_lossy(), args).spawn()?;
        process.line("listening on").await?;
        Ok(process)
    }

    /// A web server inside, with the files of a folder.
    pub async fn web(&self, folder: &TempDir) -> Result<(Process, u16)> {
        let port = ports::tcp();
        let folder = folder.path().to_string_lossy();
        let port_text = port.to_string();
        let args = [
            "-u",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "-d",
            &folder,
            &port_text,
        ];
        let process = self.launch("python3", &args).spawn()?;
        process.line("Serving HTTP").await?;
        Ok((process, port))
    }

    /// What curl prints when it runs inside.
    pub async fn curl(&self, args: &[&str]) -> Result<String> {
        text(
            tokio::process::Command::new("ip")
                .args(["netns", "exec", &self.name, "curl", "-sS", "-m", "15"])
                .args(args),
        )
        .await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("run ip")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {error}", args.join(" "));
    Ok(())
}

/// What a command prints.
pub async fn text(command: &mut tokio::process::Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
