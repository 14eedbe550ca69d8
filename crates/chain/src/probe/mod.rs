//! Looking after nodes, chains and hops at regular times, whether or not somebody uses them.

mod http;

use std::{fmt, process::Stdio, sync::Arc, time::Duration};

use gost_core::{
    addr::{Addr, Target},
    conn::{Conn, Io},
    error::{Error, Phase, Result, Side, Why},
    outbound::{Ask, Outbound},
    routing::{Chain, Choice, Hop, Marker, Node, Request},
};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

pub use self::http::HttpProbe;
use crate::{
    deadline::now,
    node,
    route::{self, Trail},
};

/// What counts as healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProbeKind {
    /// A connection comes about.
    #[default]
    Tcp,
    /// A connection comes about and answers a request over HTTP.
    Http(HttpProbe),
    /// `sh -c` with this text exits with status 0.
    Command(String),
}

/// What to probe, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeOptions {
    /// What counts as healthy.
    pub kind: ProbeKind,
    /// What to connect to through a chain, and the host that an HTTP request names. A probe of a
    /// node or hop connects to the node itself.
    pub addr: Addr,
    /// The time from one probe to the next; zero for 30 seconds.
    pub interval: Duration,
    /// How long a probe may take; zero for 10 seconds.
    pub timeout: Duration,
}

/// What is probed.
#[derive(Clone)]
pub enum Subject {
    /// A node: it is dialed. One without a transport is connected to as a target.
    Node(Arc<Node>),
    /// A chain: a connection is made through it.
    Chain(Arc<dyn Chain>),
    /// A hop: the node it chooses is dialed.
    Hop(Arc<dyn Hop>),
}

/// Probes at once and then again and again until it is dropped; tells a marker what it finds.
pub struct Probe {
    task: JoinHandle<()>,
}

impl Probe {
    /// Begins to probe, in a task of its own. `sockets` are those for nodes that have none of
    /// their own, and for chains that go direct.
    pub fn start(
        options: ProbeOptions,
        subject: Subject,
        marker: Arc<Marker>,
        sockets: Arc<dyn Outbound>,
    ) -> Self {
        Self {
            task: tokio::spawn(run(options, subject, marker, sockets)),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    options: ProbeOptions,
    subject: Subject,
    marker: Arc<Marker>,
    sockets: Arc<dyn Outbound>,
) {
    let or = |time: Duration, default| {
        if time.is_zero() {
            Duration::from_secs(default)
        } else {
            time
        }
    };
    let timeout = or(options.timeout, 10);
    let mut ticks = tokio::time::interval(or(options.interval, 30));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let start = Instant::now();
        let probe = tokio::time::timeout(timeout, once(&options, &subject, &sockets, timeout));
        let found = match probe.await {
            Ok(Ok(())) => Some(start.elapsed()),
            Ok(Err(error)) => {
                tracing::debug!("probe of {subject}: {error}");
                None
            }
            Err(_) => {
                tracing::debug!("probe of {subject}: timed out");
                None
            }
        };
        marker.probed(found);
    }
}

/// One probe.
async fn once(
    options: &ProbeOptions,
    subject: &Subject,
    sockets: &Arc<dyn Outbound>,
    timeout: Duration,
) -> Result<()> {
    if let ProbeKind::Command(command) = &options.kind {
        return run_command(command).await;
    }
    let ask = Ask {
        deadline: Some(now() + timeout),
        ..Ask::default()
    };
    let conn = connect(subject, &options.addr, sockets, &ask).await?;
    let Io::Stream(mut stream) = conn.io else {
        // That there is a connection says all that datagrams can say.
        return Ok(());
    };
    let result = match &options.kind {
        ProbeKind::Http(http) => http.exchange(&mut *stream, &options.addr).await,
        ProbeKind::Tcp | ProbeKind::Command(_) => Ok(()),
    };
    // The result stands, however the end of the connection is taken.
    let _ = stream.shutdown().await;
    result
}

async fn connect(
    subject: &Subject,
    addr: &Addr,
    sockets: &Arc<dyn Outbound>,
    ask: &Ask,
) -> Result<Conn> {
    let target = Target::tcp(addr.clone());
    let request = Request {
        host: Some(addr.clone()),
        ..Request::new(&target, ask)
    };
    match subject {
        Subject::Node(node) => node::dial(node, sockets, ask).await,
        Subject::Hop(hop) => match hop.select(&request, &[]).await? {
            Choice::Node(node) => node::dial(&node, sockets, ask).await,
            Choice::Race(nodes) => match nodes.first() {
                Some(node) => node::dial(node, sockets, ask).await,
                None => Err(nothing("an empty choice")),
            },
            Choice::Skip => Err(nothing("its bypass keeps the probe out")),
        },
        Subject::Chain(_) if *addr == Addr::Any => Err(nothing("no address to connect to")),
        Subject::Chain(chain) => {
            let route = chain.route(&request, &[]).await?;
            let trail = Arc::new(Trail::default());
            let way = route::fold(&route.steps, sockets, &trail);
            way.as_ref().unwrap_or(sockets).connect(&target, ask).await
        }
    }
}

fn nothing(what: &str) -> Error {
    Error::new(Why::NoRoute, what).phase(Phase::Route)
}

/// Ends with the future: a command that outlives its time is killed.
async fn run_command(command: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|e| Error::from(e).context("sh"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(Why::Other, format!("the command ended with {status}")).side(Side::Target))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node {}", node.addr),
            Self::Chain(_) => f.write_str("a chain"),
            Self::Hop(_) => f.write_str("a hop"),
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
