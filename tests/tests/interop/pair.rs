//! Two nodes with a channel between them, and everything that can be asked of them.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, Result};
use gost_testkit::{ports, process::Process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    nodes::{Config, Hop, part, with_chain},
    table::{Addresses, Channel, Datagrams, HalfClose, Login, PROTOCOLS, Pairing, Place, Protocol},
    targets::{Door, Targets},
};

/// A pair that starts with the first trial that needs it, and ends with the last one.
pub(crate) struct Pair {
    pub(crate) channel: &'static Channel,
    pub(crate) pairing: Pairing,
    targets: Arc<OnceCell<Targets>>,
    nodes: OnceCell<Result<Nodes, String>>,
}

/// The running nodes of a pair, and where they are reached.
pub(crate) struct Nodes {
    _server: Process,
    pub(crate) client: Process,
    _folder: TempDir,
    doors: HashMap<(&'static str, Door), u16>,
    others: HashMap<(&'static str, Other), u16>,
    servers: HashMap<&'static str, String>,
}

/// The ports of a pair that do not lead to one TCP target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Other {
    /// A UDP port of the client node that leads to the target.
    Datagrams,
    /// A SOCKS5 port of the client node.
    Socks5,
    /// A TCP port of the server node that leads back to the target.
    RemoteTcp,
    /// A UDP port of the server node that leads back to the target.
    RemoteUdp,
}

impl Nodes {
    pub(crate) fn door(&self, protocol: &Protocol, door: Door) -> Result<u16> {
        let port = self.doors.get(&(protocol.name, door)).copied();
        port.with_context(|| format!("no door {door:?}"))
    }

    pub(crate) fn other(&self, protocol: &Protocol, other: Other) -> Result<u16> {
        let port = self.others.get(&(protocol.name, other)).copied();
        port.with_context(|| format!("no port {other:?}"))
    }

    /// Where the server node itself speaks a protocol.
    pub(crate) fn server(&self, protocol: &Protocol) -> Result<&str> {
        let addr = self.servers.get(protocol.name);
        Ok(addr.context("no such server")?)
    }
}

impl Pair {
    pub(crate) fn new(
        channel: &'static Channel,
        pairing: Pairing,
        targets: &Arc<OnceCell<Targets>>,
    ) -> Self {
        Self {
            channel,
            pairing,
            targets: targets.clone(),
            nodes: OnceCell::new(),
        }
    }

    /// The targets and the nodes, started if they were not yet.
    pub(crate) async fn get(&self) -> Result<(&Targets, &Nodes)> {
        let targets = self.targets.get_or_try_init(Targets::start).await?;
        let start = || async {
            self.start(targets)
                .await
                .map_err(|error| format!("{error:#}"))
        };
        let nodes = self.nodes.get_or_init(start).await;
        let nodes = nodes.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
        Ok((targets, nodes))
    }

    async fn start(&self, targets: &Targets) -> Result<Nodes> {
        let folder = tempfile::tempdir()?;
        let mut setup = Setup {
            channel: self.channel,
            pairing: self.pairing,
            folder: &folder,
            targets,
            server: Config::default(),
            client: Config::default(),
            places: 0,
            doors: HashMap::new(),
            others: HashMap::new(),
            servers: HashMap::new(),
        };
        for protocol in PROTOCOLS {
            if protocol.addresses == Addresses::Fixed {
                setup.add_fixed(protocol)?;
            } else {
                setup.add(protocol)?;
            }
        }
        let Setup {
            server,
            client,
            doors,
            others,
            servers,
            ..
        } = setup;
        let server = server
            .run(self.pairing.server(), folder.path(), "server")
            .await
            .context("server node")?;
        let client = client
            .run(self.pairing.client(), folder.path(), "client")
            .await
            .context("client node")?;
        Ok(Nodes {
            _server: server,
            client,
            _folder: folder,
            doors,
            others,
            servers,
        })
    }
}

struct Setup<'a> {
    channel: &'static Channel,
    pairing: Pairing,
    folder: &'a TempDir,
    targets: &'a Targets,
    server: Config,
    client: Config,
    places: usize,
    doors: HashMap<(&'static str, Door), u16>,
    others: HashMap<(&'static str, Other), u16>,
    servers: HashMap<&'static str, String>,
}

impl Setup<'_> {
    /// An address for one more service of the server node.
    fn place(&mut self) -> Result<String> {
        self.places += 1;
        Ok(match self.channel.place {
            Place::Tcp => format!("127.0.0.1:{}", ports::tcp()),
            Place::Udp => format!("127.0.0.1:{}", ports::udp()),
            Place::Path => {
                let file = self.folder.path().join(format!("{}.sock", self.places));
                file.to_str().context("no text")?.to_owned()
            }
        })
    }

    fn channel_metadata(&self) -> Result<Value> {
        Ok(serde_json::from_str(self.channel.metadata)?)
    }

    /// A chain of the client node to one place of the server node.
    fn chain(
        &mut self,
        name: &str,
        protocol: &Protocol,
        addr: &str,
        auth: Option<Value>,
    ) -> Result<()> {
        let hop = Hop {
            addr,
            connector: protocol.connector,
            connector_metadata: protocol.connector_metadata(
                self.channel.half_close == HalfClose::No,
                self.pairing.needs_reference(),
            )?,
            auth,
            dialer: self.channel.name,
            dialer_metadata: self.channel_metadata()?,
        };
        self.client.chain(name, &[hop]);
        Ok(())
    }

    /// A protocol whose client says where it wants to go.
    fn add(&mut self, protocol: &'static Protocol) -> Result<()> {
        let addr = self.place()?;
        let handler = part(
            protocol.handler,
            &protocol.handler_metadata(),
            protocol.auth(true),
        );
        let listener = part(self.channel.name, &self.channel_metadata()?, None);
        self.server.service(&addr, handler, listener, None);
        self.servers.insert(protocol.name, addr.clone());
        let right = protocol.name;
        self.chain(right, protocol, &addr, protocol.auth(true))?;
        let wrong = format!("{right}-wrong");
        self.chain(&wrong, protocol, &addr, protocol.auth(false))?;
        for door in Door::ALL {
            let reaches = match door {
                Door::EchoByName => protocol.addresses != Addresses::Ipv4,
                Door::EchoByIpv6 => protocol.addresses == Addresses::All,
                Door::Secret => protocol.login != Login::None,
                _ => true,
            };
            if reaches {
                let chain = if door == Door::Secret { &wrong } else { right };
                let port = self.new_door(protocol, door);
                let target = self.targets.address(door);
                self.client.tcp_door(port, &target, chain);
            }
        }
        if protocol.datagrams != Datagrams::None {
            let target = self.targets.datagrams.address().to_string();
            let port = ports::udp();
            self.others.insert((protocol.name, Other::Datagrams), port);
            self.client.udp_door(port, &target, right);
            let port = ports::tcp();
            self.others.insert((protocol.name, Other::Socks5), port);
            let handler = part("socks5", &json!({"udp": true}), None);
            self.client.service(
                &format!("127.0.0.1:{port}"),
                with_chain(handler, right),
                part("tcp", &json!({}), None),
                None,
            );
        }
        if protocol.bind {
            let tcp = self.targets.echo.address().to_string();
            let udp = self.targets.datagrams.address().to_string();
            self.add_remote(protocol, Other::RemoteTcp, "rtcp", ports::tcp(), &tcp);
            self.add_remote(protocol, Other::RemoteUdp, "rudp", ports::udp(), &udp);
        }
        Ok(())
    }

    fn add_remote(
        &mut self,
        protocol: &'static Protocol,
        other: Other,
        kind: &str,
        port: u16,
        target: &str,
    ) {
        self.others.insert((protocol.name, other), port);
        self.client.remote(
            &format!("127.0.0.1:{port}"),
            part(kind, &json!({}), None),
            with_chain(part(kind, &json!({}), None), protocol.name),
            Some(target),
        );
    }

    /// A protocol whose server knows where everybody goes.
    fn add_fixed(&mut self, protocol: &'static Protocol) -> Result<()> {
        for door in Door::ALL {
            if matches!(door, Door::EchoByName | Door::EchoByIpv6 | Door::Secret) {
                continue;
            }
            let addr = self.place()?;
            let target = self.targets.address(door);
            let handler = part(protocol.handler, &json!({}), None);
            let listener = part(self.channel.name, &self.channel_metadata()?, None);
            self.server.service(&addr, handler, listener, Some(&target));
            let chain = format!("{}-{door:?}", protocol.name);
            self.chain(&chain, protocol, &addr, None)?;
            let port = self.new_door(protocol, door);
            self.client.tcp_door(port, &target, &chain);
        }
        Ok(())
    }

    fn new_door(&mut self, protocol: &'static Protocol, door: Door) -> u16 {
        let port = ports::tcp();
        self.doors.insert((protocol.name, door), port);
        port
    }
}
