//! Ours with the original at the other end, where that is at hand (`gost-reference` on PATH).

use std::net::SocketAddr;

use gost_testbed::Targets;
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
};

use crate::support::{LEN, client, server};

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
    let to = Targets::start(LEN).await;
    for query in QUERIES {
        let port = ports::udp();
        let place = format!("relay+kcp://127.0.0.1:{port}?{query}");
        let Some(mut process) = launch(&["-L", &place]) else {
            return;
        };
        process.ready_udp(port).await.unwrap();
        let node = SocketAddr::from(([127, 0, 0, 1], port));
        for target in to.all() {
            let local = client(node, target.address(), query).await;
            to.carried(local.addr, target).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_original_at_our_server() {
    let to = Targets::start(LEN).await;
    for query in QUERIES {
        let node = server(query).await;
        for target in to.all() {
            let port = ports::tcp();
            let local = format!("tcp://127.0.0.1:{port}/{}", target.address());
            // Without nodelay it sends no request before it has data.
            let node = format!("relay+kcp://{}?nodelay=true&{query}", node.addr);
            let Some(mut process) = launch(&["-L", &local, "-F", &node]) else {
                return;
            };
            process.ready(port).await.unwrap();
            to.carried(([127, 0, 0, 1], port).into(), target).await;
        }
    }
}
