//! Which node gets a request, who is tried next, and who is marked: as tables of configurations.

mod binding;
mod choice;
mod failures;

use std::net::SocketAddr;

use gost_testkit::ports;

use crate::support::{name_at, start};

/// A chain of hops, and services that go through it.
struct Way {
    /// Metadata of the entry.
    service: &'static str,
    /// The entry's handler, beside its chain.
    handler: &'static str,
    target: String,
    hops: String,
}

impl Way {
    fn new(hops: impl Into<String>) -> Self {
        Self {
            service: "",
            handler: "",
            target: "t.test:80".to_owned(),
            hops: hops.into(),
        }
    }

    fn yaml(&self, port: u16) -> String {
        let Self {
            service,
            handler,
            target,
            hops,
        } = self;
        format!(
            "services:
- name: entry
  addr: 127.0.0.1:{port}
  handler: {{type: tcp, chain: c{handler}}}
  forwarder: {{nodes: [{{name: t, addr: '{target}'}}]}}
  metadata: {{{service}}}
chains:
- name: c
  hops:
{hops}"
        )
    }

    async fn start(&self) -> (gost_runtime::Runtime, SocketAddr) {
        let port = ports::tcp();
        let runtime = start(&self.yaml(port)).await;
        (runtime, ([127, 0, 0, 1], port).into())
    }
}

/// A hop of which the nodes are lines of their own.
fn hop(options: &str, nodes: &[String]) -> String {
    let nodes: Vec<_> = nodes.iter().map(|node| format!("    - {node}\n")).collect();
    format!("  - name: h{options}\n    nodes:\n{}", nodes.concat())
}

/// A node that is itself what is reached.
fn plain(server: SocketAddr, more: &str) -> String {
    format!("{{name: n, addr: '{server}', connector: {{type: forward}}{more}}}")
}

/// A node that is asked for the target.
fn proxy(addr: SocketAddr, more: &str) -> String {
    format!("{{name: n, addr: '{addr}', connector: {{type: socks5}}{more}}}")
}

/// A proxy on a port of its own.
async fn socks() -> (gost_runtime::Runtime, SocketAddr) {
    server("socks5").await
}

/// A proxy that speaks some protocol.
async fn server(protocol: &str) -> (gost_runtime::Runtime, SocketAddr) {
    let port = ports::tcp();
    let service = format!("{{name: p, addr: '127.0.0.1:{port}', handler: {{type: {protocol}}}}}");
    let yaml = format!("services:\n- {service}\n");
    (start(&yaml).await, ([127, 0, 0, 1], port).into())
}

fn names(reached: &[Option<u8>]) -> String {
    let name = |reached: &Option<u8>| reached.map_or('-', char::from);
    reached.iter().map(name).collect()
}

async fn visits(addr: SocketAddr, count: usize) -> String {
    let mut reached = Vec::new();
    for _ in 0..count {
        reached.push(name_at(addr).await);
    }
    names(&reached)
}
