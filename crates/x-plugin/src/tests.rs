//! Every kind of plugin, and the ways in which it can fail. The plugins here speak HTTP; those of the
//! whole program's tests speak both.

mod failing;
mod protocol;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use gost_core::{
    addr::{Addr, Network},
    build::Build,
    error::Why,
    meter::{Allowance, Direction},
    policy::{
        Admission, Asker, Authenticator, BodyFacts, Bypass, BypassQuery, Credentials, Discovered,
        Discovery, Event, EventPart, EventPhase, Family, HostMapper, Ingress, LimitScope, Observer,
        OsRouter, Recorder, Resolver, Rewriter, TrafficLimiter,
    },
    registry::{Kind, Registry},
    routing::{NodeSource, Request},
    values::Values,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// How long the plugins of these tests may take.
const TIMEOUT: &str = "300ms";

/// A server that answers every request with the same bytes, and keeps the requests.
struct Peer {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    async fn new(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (peer.requests.clone(), peer.connections.clone());
        let answer: Arc<[u8]> = answer.into();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Relaxed);
                let (requests, answer) = (requests.clone(), answer.clone());
                tokio::spawn(async move {
                    while let Some(request) = request(&mut stream).await {
                        requests.lock().push(request);
                        if stream.write_all(&answer).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        peer
    }

    async fn saying(body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::new(format!("{head}{body}").into()).await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/path", self.port)
    }

    /// The last request: its head and its body.
    fn last(&self) -> (String, serde_json::Value) {
        let requests = self.requests.lock();
        let (head, body) = requests.last().unwrap().split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str(body).unwrap_or_default();
        (head.to_owned(), body)
    }
}

async fn request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read_buf(&mut got).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn made<K: Kind + ?Sized>(kind: &str, addr: &str) -> gost_core::Result<K::Made> {
    let mut registry = Registry::new();
    crate::register(&mut registry);
    let registry = Arc::new(registry);
    let values = Values::new()
        .with("addr", addr)
        .with("timeout", TIMEOUT)
        .with("token", "secret");
    let build = Build::new(registry.clone());
    registry.make::<K>(kind, &values, build).await
}

async fn http<K: Kind + ?Sized>(peer: &Peer) -> K::Made {
    made::<K>("http", &peer.url()).await.unwrap()
}

fn asker() -> Asker {
    Asker {
        service: "s1".into(),
        client: Addr::parse("127.0.0.9:999").unwrap(),
        user: "alice".into(),
        ..Asker::default()
    }
}

fn query() -> BypassQuery {
    BypassQuery {
        target: gost_core::addr::Target::udp(Addr::parse("example.com:53").unwrap()),
        host: Addr::parse("sniffed.test:80"),
        path: Some("/p".to_owned()),
    }
}

fn stats() -> [Event; 1] {
    [Event::Stats {
        service: "s1".into(),
        client: None,
        stats: gost_core::policy::Stats {
            input_bytes: 7,
            ..Default::default()
        },
    }]
}
