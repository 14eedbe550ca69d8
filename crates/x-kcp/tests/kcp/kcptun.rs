//! Ours with kcptun at the other end, where that is at hand.

use std::net::SocketAddr;

use gost_testbed::Targets;
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
};
use tokio::task::JoinSet;

use crate::support::{tunnel_client, tunnel_server};

/// Some of the ciphers are slow when they are built for debugging.
const SOME: usize = 128 << 10;

/// Arguments of kcptun, our keys for the same, and what to put into a file because there is no
/// key for it.
type Pair = (&'static str, &'static str, &'static str);

const PAIRS: &[Pair] = &[
    ("", "kcp.key=it's a secrect&kcp.mode=fast", "{}"),
    (
        "--key k --crypt aes-128 --mode fast2 --nocomp",
        "kcp.key=k&kcp.crypt=aes-128&kcp.mode=fast2&kcp.nocomp=true",
        "{}",
    ),
    (
        "--key k --crypt aes-192 --mode normal --smuxver 2",
        "kcp.key=k&kcp.crypt=aes-192&kcp.mode=normal&kcp.smuxver=2",
        "{}",
    ),
    (
        "--key k --crypt salsa20 --mode fast3 --ds 0 --ps 0",
        "kcp.mode=fast3",
        r#"{"key":"k","crypt":"salsa20","datashard":0,"parityshard":0}"#,
    ),
    (
        "--key k --crypt blowfish --ds 4 --ps 2",
        "kcp.mode=fast",
        r#"{"key":"k","crypt":"blowfish","datashard":4,"parityshard":2}"#,
    ),
    (
        "--key k --crypt twofish --ds 5 --ps 5",
        "kcp.key=k&kcp.crypt=twofish&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt cast5",
        "kcp.key=k&kcp.crypt=cast5&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt 3des",
        "kcp.key=k&kcp.crypt=3des&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt tea",
        "kcp.key=k&kcp.crypt=tea&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt xtea",
        "kcp.key=k&kcp.crypt=xtea&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt xor",
        "kcp.key=k&kcp.crypt=xor&kcp.mode=fast",
        "{}",
    ),
    (
        "--key k --crypt sm4",
        "kcp.key=k&kcp.crypt=sm4&kcp.mode=fast",
        "{}",
    ),
    (
        "--crypt none --mtu 900",
        "",
        r#"{"crypt":"none","mtu":900,"mode":"manual","nodelay":1,"interval":20,"resend":2,"nc":1}"#,
    ),
];

fn launch(program: &str, arguments: &[String]) -> Option<Process> {
    let program = peers::need(program)?;
    Some(Launch::new(program).args(arguments).spawn().unwrap())
}

fn arguments(local: &str, remote: (&str, SocketAddr), more: &str) -> Vec<String> {
    let fixed = [
        "-l".into(),
        local.into(),
        remote.0.into(),
        remote.1.to_string(),
    ];
    let more = more.split_whitespace().map(str::to_owned);
    fixed
        .into_iter()
        .chain(more)
        .chain(["--quiet".into()])
        .collect()
}

/// A file with settings, and the query that names it.
fn query(keys: &str, file: &str) -> (tempfile::NamedTempFile, String) {
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), file).unwrap();
    let query = format!("{keys}&c={}", kept.path().display());
    (kept, query)
}

/// Tries some pairs at a time, since a stream whose writer has ended waits for silence.
async fn each<F>(one: fn(&'static Pair) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for some in PAIRS.chunks(5) {
        let mut all: JoinSet<()> = some.iter().map(one).collect();
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    }
}

async fn at_their_server((theirs, keys, file): &'static Pair) {
    let to = Targets::start(SOME).await;
    let (_file, query) = query(keys, file);
    for target in to.all() {
        let port = ports::udp();
        let place = format!("127.0.0.1:{port}");
        let arguments = arguments(&place, ("-t", target.address()), theirs);
        let Some(mut process) = launch("kcptun-server", &arguments) else {
            return;
        };
        process.ready_udp(port).await.unwrap();
        let client = tunnel_client(([127, 0, 0, 1], port).into(), &query).await;
        to.carried(client.addr, target).await;
    }
}

async fn at_our_server((theirs, keys, file): &'static Pair) {
    let to = Targets::start(SOME).await;
    let (_file, query) = query(keys, file);
    for target in to.all() {
        let node = tunnel_server(target.address(), &query).await;
        let port = ports::tcp();
        let place = format!("127.0.0.1:{port}");
        let arguments = arguments(&place, ("-r", node.addr), theirs);
        let Some(mut process) = launch("kcptun-client", &arguments) else {
            return;
        };
        process.ready(port).await.unwrap();
        to.carried(([127, 0, 0, 1], port).into(), target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_at_a_server_of_kcptun() {
    each(at_their_server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_kcptun_at_our_server() {
    each(at_our_server).await;
}
