//! Chains of several nodes, of both kinds.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, Result};
use gost_testkit::{ports, process::Process};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    datagrams,
    nodes::{Config, Hop, part},
    streams,
    table::Program,
    targets::{Door, Targets},
};

use Program::{Ours, Reference};

/// A chain: who each node is, what it speaks, over what.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    hops: &'static [(Program, &'static str, &'static str)],
    /// Whether its last node carries datagrams.
    datagrams: bool,
}

/// Who may be at the entry.
pub(crate) static CLIENTS: [Program; 2] = [Ours, Reference];

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "relay-http-socks5",
        hops: &[
            (Ours, "relay", "tcp"),
            (Ours, "http", "tcp"),
            (Ours, "socks5", "mtcp"),
        ],
        datagrams: true,
    },
    Row {
        name: "mtcp-then-mtcp",
        hops: &[(Ours, "relay", "mtcp"), (Ours, "relay", "mtcp")],
        datagrams: true,
    },
    Row {
        name: "relay-then-reference-socks5",
        hops: &[(Ours, "relay", "tcp"), (Reference, "socks5", "tcp")],
        datagrams: true,
    },
    Row {
        name: "reference-http-then-relay-over-mtcp",
        hops: &[(Reference, "http", "tcp"), (Ours, "relay", "mtcp")],
        datagrams: true,
    },
    Row {
        name: "socks5-over-mtcp-then-reference-relay-then-socks4a",
        hops: &[
            (Ours, "socks5", "mtcp"),
            (Reference, "relay", "mtcp"),
            (Ours, "socks4a", "tcp"),
        ],
        datagrams: false,
    },
    Row {
        name: "reference-relay-then-http",
        hops: &[(Reference, "relay", "tcp"), (Ours, "http", "tcp")],
        datagrams: false,
    },
];

impl Row {
    pub(crate) fn needs_reference(&self, client: Program) -> bool {
        client == Reference || self.hops.iter().any(|(program, ..)| *program == Reference)
    }
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Reference => "reference",
        }
    }
}

/// Protocols of the nodes: type, whether a password is asked for, metadata of the handler.
const PROTOCOLS: [&str; 4] = ["relay", "socks5", "socks4a", "http"];
const CHANNELS: [&str; 2] = ["tcp", "mtcp"];

/// The nodes of all chains: one of each program, with every protocol over every channel.
pub(crate) struct Nodes {
    targets: Arc<OnceCell<Targets>>,
    ours: OnceCell<Result<Server, String>>,
    reference: OnceCell<Result<Server, String>>,
}

struct Server {
    _process: Process,
    _folder: TempDir,
    addrs: HashMap<(&'static str, &'static str), String>,
}

impl Server {
    async fn start(program: Program) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::default();
        let mut addrs = HashMap::new();
        for protocol in PROTOCOLS {
            for channel in CHANNELS {
                let addr = format!("127.0.0.1:{}", ports::tcp());
                let metadata = match protocol {
                    "socks5" | "http" => json!({"udp": true}),
                    _ => json!({}),
                };
                let handler = part(protocol, &metadata, auth(protocol));
                let listener = part(channel, &json!({}), None);
                config.service(&addr, handler, listener, None);
                addrs.insert((protocol, channel), addr);
            }
        }
        let process = config.run(program, folder.path(), "node").await?;
        Ok(Self {
            _process: process,
            _folder: folder,
            addrs,
        })
    }
}

fn auth(protocol: &str) -> Option<serde_json::Value> {
    let asks = protocol != "socks4a";
    asks.then(|| json!({"username": "alice", "password": "secret"}))
}

impl Nodes {
    pub(crate) fn new(targets: &Arc<OnceCell<Targets>>) -> Self {
        Self {
            targets: targets.clone(),
            ours: OnceCell::new(),
            reference: OnceCell::new(),
        }
    }

    async fn server(&self, program: Program) -> Result<&Server> {
        let cell = match program {
            Ours => &self.ours,
            Reference => &self.reference,
        };
        let start = || async {
            let server = Server::start(program).await;
            server.map_err(|error| format!("{error:#}"))
        };
        let server = cell.get_or_init(start).await.as_ref();
        server.map_err(|why| anyhow::anyhow!("{why}"))
    }

    /// Enters a chain, and does everything that its last node can.
    pub(crate) async fn run(&self, row: &Row, client: Program) -> Result<()> {
        let targets = self.targets.get_or_try_init(Targets::start).await?;
        let mut hops = Vec::new();
        for (program, protocol, channel) in row.hops {
            let server = self.server(*program).await?;
            let addr = server.addrs.get(&(*protocol, *channel));
            hops.push(Hop {
                addr: addr.context("no such node")?,
                connector: protocol,
                // As between a pair: the original loses sessions of smux with TLS inside.
                connector_metadata: match *protocol {
                    "socks5" => json!({"notls": *channel == "mtcp"}),
                    _ => json!({}),
                },
                auth: auth(protocol),
                dialer: channel,
                dialer_metadata: json!({}),
            });
        }
        let mut config = Config::default();
        config.chain("chain", &hops);
        let (tcp, udp, refused) = (ports::tcp(), ports::udp(), ports::tcp());
        config.tcp_door(tcp, &targets.address(Door::Echo), "chain");
        config.tcp_door(refused, &targets.address(Door::Refused), "chain");
        if row.datagrams {
            config.udp_door(udp, &targets.datagrams.address().to_string(), "chain");
        }
        let folder = tempfile::tempdir()?;
        let _entry = config.run(client, folder.path(), "entry").await?;
        streams::bytes_at(tcp).await?;
        streams::many_at(tcp).await?;
        streams::ends_empty(refused).await.context("refused")?;
        if row.datagrams {
            datagrams::clients(udp, 4, &[1, 1400]).await?;
        }
        Ok(())
    }
}
