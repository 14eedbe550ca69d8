//! Ours with the original at the other end, where that is at hand (`gost-reference` on PATH).

use std::net::SocketAddr;

use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
};

use crate::support::{Targets, client, downloaded, many, server, uploaded};

/// The defaults, and what must agree.
const QUERIES: [&str; 4] = [
    "",
    "kcp.key=gost&kcp.crypt=aes-128&kcp.mode=fast&kcp.nocomp=true",
    "kcp.crypt=xor&kcp.mtu=1000&kcp.sndwnd=256&kcp.rcvwnd=256&kcp.mode=fast3",
    "kcp.crypt=none&kcp.smuxver=2&kcp.mode=fast2",
];

fn launch(arguments: &[&str]) -> Option<Process> {
    let program = peers::need("gost-reference")?;
    Some(Launch::new(program).args(arguments).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_at_a_server_of_the_original() {
    let to = Targets::start().await;
    for query in QUERIES {
        let port = ports::udp();
        let place = format!("relay+kcp://127.0.0.1:{port}?{query}");
        let Some(mut process) = launch(&["-L", &place]) else {
            return;
        };
        process.ready_udp(port).await.unwrap();
        let node = SocketAddr::from(([127, 0, 0, 1], port));
        many(client(node, to.echo.address(), query).await.address).await;
        downloaded(client(node, to.source.address(), query).await.address).await;
        let up = client(node, to.sink.address(), query).await;
        uploaded(up.address, &to.sink).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_original_at_our_server() {
    let to = Targets::start().await;
    for query in QUERIES {
        let node = server(query).await;
        for target in [&to.echo, &to.source, &to.sink] {
            let port = ports::tcp();
            let local = format!("tcp://127.0.0.1:{port}/{}", target.address());
            // Without nodelay it sends no request before it has data.
            let node = format!("relay+kcp://{}?nodelay=true&{query}", node.address);
            let Some(mut process) = launch(&["-L", &local, "-F", &node]) else {
                return;
            };
            process.ready(port).await.unwrap();
            let local = SocketAddr::from(([127, 0, 0, 1], port));
            if target.port() == to.echo.port() {
                many(local).await;
            } else if target.port() == to.source.port() {
                downloaded(local).await;
            } else {
                uploaded(local, target).await;
            }
        }
    }
}
