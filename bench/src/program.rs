//! Starting what is measured.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use gost_testkit::peers;
use gost_testkit::ports;
use gost_testkit::process::{Launch, Process};
use gost_testkit::usage::Usage;
use tempfile::TempDir;

use crate::scenario::{Contestant, Entry, Hop, Program, Scenario};

/// Pause between two looks whether a program listens: the resolution of its
/// starting time.
const LOOK: Duration = Duration::from_micros(200);

/// Finds programs, and knows how to start them.
#[derive(Debug)]
pub(crate) struct Programs {
    gost: Option<PathBuf>,
    nginx_stream: String,
    logs: Option<PathBuf>,
}

impl Programs {
    /// `gost` is our binary; without it, the one beside this program.
    pub(crate) fn new(gost: Option<PathBuf>, logs: Option<PathBuf>) -> Result<Self> {
        let gost = match gost {
            Some(path) => Some(
                path.canonicalize()
                    .with_context(|| path.display().to_string())?,
            ),
            None => match peers::gost_bin() {
                Ok(path) => Some(path),
                Err(error) => {
                    eprintln!("no gost of ours: {error:#}");
                    None
                }
            },
        };
        if let Some(logs) = &logs {
            fs::create_dir_all(logs).with_context(|| logs.display().to_string())?;
        }
        Ok(Self {
            gost,
            nginx_stream: nginx_stream(),
            logs,
        })
    }

    /// Where the program is, if it is there.
    pub(crate) fn find(&self, program: Program) -> Option<PathBuf> {
        match program {
            Program::Ours => self.gost.clone(),
            Program::Peer(name) => peers::peer(name),
            Program::Pair(far, near) => self.find(*far).and(self.find(*near)),
        }
    }

    /// Tells which binary of ours is measured, and how old it is: it may have
    /// been built before the last change.
    pub(crate) fn introduce(&self) {
        let Some(gost) = &self.gost else { return };
        let built = gost.metadata().and_then(|meta| meta.modified()).ok();
        let age = built
            .and_then(|built| built.elapsed().ok())
            .unwrap_or_default();
        eprintln!(
            "ours: {}, built {} min ago",
            gost.display(),
            age.as_secs() / 60
        );
    }

    /// What the program says of its version, on one line.
    pub(crate) fn version(&self, program: Program) -> Option<String> {
        let arg = match program {
            Program::Ours | Program::Peer("gost-reference") => "-V",
            Program::Peer("haproxy" | "nginx") => "-v",
            Program::Peer("realm" | "wstunnel") => "--version",
            Program::Peer(_) | Program::Pair(..) => return None,
        };
        let output = Command::new(self.find(program)?).arg(arg).output().ok()?;
        // nginx says it on its standard error.
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .map(str::to_owned)
    }

    /// Starts every process of `contestant` towards `target` and waits until
    /// all of them listen.
    pub(crate) fn start(
        &self,
        scenario: &Scenario,
        contestant: &Contestant,
        target: SocketAddr,
    ) -> Result<Running> {
        let dir = tempfile::Builder::new().prefix("gost-bench-").tempdir()?;
        let fresh = match scenario.entry {
            Entry::Datagrams => ports::udp,
            Entry::Forward | Entry::Socks5 | Entry::HttpConnect => ports::tcp,
        };
        let hop = match scenario.hop {
            Hop::Udp => ports::udp(),
            Hop::None | Hop::Tcp => ports::tcp(),
        };
        let listen = fresh();
        let places = Places {
            dir: dir.path(),
            listen,
            hop,
            target,
        };
        for (name, content) in contestant.files {
            fs::write(dir.path().join(name), self.fill_in(content, &places))?;
        }
        let started = Instant::now();
        let mut processes = Vec::new();
        for (number, command) in contestant.commands.iter().enumerate() {
            let program = contestant.program.of_process(number);
            let path = self.find(program).context("not found")?;
            let args = command.iter().map(|arg| self.fill_in(arg, &places));
            let launch = Launch::new(&path).args(args).dir(dir.path());
            let launch = match &self.logs {
                Some(logs) => launch.log_to(logs.join(log_name(scenario, contestant))),
                None => launch.quiet(),
            };
            processes.push(launch.spawn()?);
        }
        let mut running = Running {
            processes,
            listen: (Ipv4Addr::LOCALHOST, listen).into(),
            start: Duration::ZERO,
            _dir: dir,
        };
        running.wait_until_ready(scenario, hop)?;
        running.start = started.elapsed();
        Ok(running)
    }

    fn fill_in(&self, text: &str, places: &Places<'_>) -> String {
        text.replace("{nginx_stream}", &self.nginx_stream)
            .replace("{dir}", &places.dir.to_string_lossy())
            .replace("{listen}", &places.listen.to_string())
            .replace("{hop}", &places.hop.to_string())
            .replace("{target}", &places.target.port().to_string())
    }
}

struct Places<'a> {
    dir: &'a Path,
    listen: u16,
    hop: u16,
    target: SocketAddr,
}

/// The processes of one contestant; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    processes: Vec<Process>,
    /// Where the load goes.
    pub(crate) listen: SocketAddr,
    /// From the first start to the last open port.
    pub(crate) start: Duration,
    _dir: TempDir,
}

impl Running {
    fn wait_until_ready(&mut self, scenario: &Scenario, hop: u16) -> Result<()> {
        let listen = self.listen;
        let Some((near, far)) = self.processes.split_last_mut() else {
            return Ok(());
        };
        for process in far {
            match scenario.hop {
                Hop::None => {}
                Hop::Tcp => process.wait_ready((Ipv4Addr::LOCALHOST, hop).into(), LOOK)?,
                Hop::Udp => process.wait_ready_udp(hop, LOOK)?,
            }
        }
        match scenario.entry {
            Entry::Datagrams => near.wait_ready_udp(listen.port(), LOOK),
            Entry::Forward | Entry::Socks5 | Entry::HttpConnect => near.wait_ready(listen, LOOK),
        }
    }

    /// CPU time of all processes so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Memory of all processes in bytes (PSS).
    pub(crate) fn memory(&self) -> u64 {
        self.processes
            .iter()
            .map(Process::usage)
            .map(|Usage { pss, .. }| pss)
            .sum()
    }
}

fn log_name(scenario: &Scenario, contestant: &Contestant) -> String {
    let label = contestant.label.replace([' ', ','], "-");
    format!("{}.{label}.log", scenario.name)
}

/// The line that makes nginx load its stream module; empty where it is built
/// in, or where there is no nginx.
fn nginx_stream() -> String {
    let Ok(output) = Command::new("nginx").arg("-V").output() else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut words = text.split_ascii_whitespace();
    let folder = words.find_map(|word| word.strip_prefix("--modules-path="));
    match folder {
        Some(folder) if text.contains("--with-stream=dynamic") => {
            format!("load_module {folder}/ngx_stream_module.so;")
        }
        _ => String::new(),
    }
}
