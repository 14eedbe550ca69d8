//! A child process that always ends: when dropped, when the test fails, and
//! when the test itself is killed.

mod guard;
mod output;
mod sockets;

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
pub use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use self::output::Output;
pub use self::sockets::{tcp_is_listened_to, udp_is_bound};
use crate::PATIENCE;
use crate::usage::{self, Usage};

/// Pause between two looks at a process or port.
const POLL: Duration = Duration::from_millis(2);

/// What to start and what becomes of its output.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use gost_testkit::process::Launch;
///
/// let port = gost_testkit::ports::tcp();
/// let mut server = Launch::new("haproxy").args(["-db", "-f", "haproxy.cfg"]).spawn()?;
/// server.ready(port).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Launch {
    command: Command,
    sink: Sink,
    interactive: bool,
}

#[derive(Debug)]
enum Sink {
    Lines,
    Null,
    File(PathBuf),
}

impl Launch {
    /// Prepares `program`, a path or a name on PATH, with its output captured
    /// line by line and nothing to read from its standard input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            sink: Sink::Lines,
            interactive: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Throws the output away, so that reading it costs nothing.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.sink = Sink::Null;
        self
    }

    /// Appends the output to the file at `path`.
    #[must_use]
    pub fn log_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.sink = Sink::File(path.into());
        self
    }

    /// Makes standard input and output pipes for [`Process::take_stdin`] and
    /// [`Process::take_stdout`].
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Starts the process as the leader of a process group of its own.
    ///
    /// # Errors
    /// When the program cannot be run or the log file cannot be opened.
    pub fn spawn(mut self) -> Result<Process> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let (stdout, stderr) = match &self.sink {
            Sink::Lines => (Stdio::piped(), Stdio::piped()),
            Sink::Null => (Stdio::null(), Stdio::null()),
            Sink::File(path) => {
                let open = || File::options().create(true).append(true).open(path);
                let file = open().with_context(|| format!("open {}", path.display()))?;
                (file.try_clone()?.into(), file.into())
            }
        };
        self.command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        if self.interactive {
            self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        let started = Instant::now();
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("start {name}"))?;
        guard::started(child.id());
        let output = Arc::new(Output::default());
        if !self.interactive
            && let Some(stdout) = child.stdout.take()
        {
            output.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr);
        }
        Ok(Process {
            name,
            child,
            started,
            output,
        })
    }
}

/// A running child process and its process group, killed and waited for when
/// dropped.
pub struct Process {
    name: String,
    child: Child,
    started: Instant,
    output: Arc<Output>,
}

impl Process {
    /// The process id, which is also the id of its process group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Every line of standard output and error so far, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines()
    }

    /// The writing end of its standard input, once, if it is interactive.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The reading end of its standard output, once, if it is interactive.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until a line of the output contains `part`, and returns the first
    /// such line, which may be an old one.
    ///
    /// # Errors
    /// When the output ended or [`PATIENCE`] passed without it; the text has
    /// the last lines.
    pub async fn line(&self, part: &str) -> Result<String> {
        self.line_within(part, PATIENCE).await
    }

    /// As [`Process::line`], with a deadline of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn line_within(&self, part: &str, patience: Duration) -> Result<String> {
        match self.output.find(part, patience).await {
            Some(line) => Ok(line),
            None => bail!(
                "{}: no line with {part:?}; {}",
                self.name,
                self.output.tail()
            ),
        }
    }

    /// Waits until something accepts TCP connections on `port` of 127.0.0.1.
    ///
    /// # Errors
    /// When the process ended or [`PATIENCE`] passed first; the text has the
    /// last lines of its output.
    pub async fn ready(&mut self, port: u16) -> Result<()> {
        self.ready_at((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// As [`Process::ready`], at any address.
    ///
    /// # Errors
    /// As there.
    pub async fn ready_at(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if connects(address) {
                return Ok(());
            }
            self.still_coming(deadline, address)?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until somebody listens on TCP `port`, at any address, without connecting: for programs
    /// to which one more client makes a difference.
    ///
    /// # Errors
    /// As [`Process::ready`].
    pub async fn listening(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !tcp_is_listened_to(port) {
            self.still_coming(deadline, port)?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until a UDP socket is bound to `port`, on any address.
    ///
    /// # Errors
    /// As [`Process::ready`].
    pub async fn ready_udp(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if udp_is_bound(port) {
                return Ok(());
            }
            self.still_coming(deadline, port)?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// As [`Process::ready_at`] for a caller without a runtime, looking every
    /// `pause`.
    ///
    /// # Errors
    /// As there.
    pub fn wait_ready(&mut self, address: SocketAddr, pause: Duration) -> Result<()> {
        self.wait_until(address, pause, || connects(address))
    }

    /// As [`Process::ready_udp`] for a caller without a runtime.
    ///
    /// # Errors
    /// As there.
    pub fn wait_ready_udp(&mut self, port: u16, pause: Duration) -> Result<()> {
        self.wait_until(port, pause, || udp_is_bound(port))
    }

    fn wait_until(
        &mut self,
        what: impl fmt::Display + Copy,
        pause: Duration,
        is_ready: impl Fn() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready() {
            self.still_coming(deadline, what)?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    fn still_coming(&mut self, deadline: Instant, what: impl fmt::Display) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}; {}", self.name, self.output.tail());
        }
        if Instant::now() >= deadline {
            bail!(
                "{} does not listen on {what}; {}",
                self.name,
                self.output.tail()
            );
        }
        Ok(())
    }

    /// Sends `signal` to the process itself, not to its group.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        nix::sys::signal::kill(pid(self.id()), signal)
            .with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of the process itself.
    ///
    /// # Errors
    /// When it runs on after `patience`.
    pub async fn exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} still runs after {patience:?}; {}",
                    self.name,
                    self.output.tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the process and all others of its group use.
    pub fn usage(&self) -> Usage {
        Usage::sum(self.group())
    }

    /// CPU time of the process and all others of its group.
    pub fn cpu(&self) -> Duration {
        self.group()
            .into_iter()
            .filter_map(|pid| usage::cpu(pid).ok())
            .sum()
    }

    fn group(&self) -> Vec<u32> {
        // An unreadable /proc leaves at least the leader.
        usage::group(self.id()).unwrap_or_else(|_| vec![self.id()])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group may outlive its leader; an empty one is an error to ignore.
        let _ = killpg(pid(self.id()), Signal::SIGKILL);
        let _ = self.child.wait();
        guard::ended(self.id());
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

fn connects(address: SocketAddr) -> bool {
    // Loopback answers at once: the deadline is for addresses that do not.
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

fn pid(id: u32) -> Pid {
    // Linux gives no pid above 2^22.
    Pid::from_raw(i32::try_from(id).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
