//! What each kind does with each way in which a plugin can fail. The plugins here speak HTTP; those
//! of the whole program's tests speak both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use gost_core::{
    addr::{Addr, Network},
    build::Build,
    error::Why,
    meter::{Allowance, Direction},
    policy::{
        Admission, Asker, Authenticator, Bypass, BypassQuery, Credentials, Discovered, Discovery,
        Event, Family, HostMapper, Ingress, LimitScope, Observer, OsRouter, Recorder, Resolver,
        Rewriter, TrafficLimiter,
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

/// What all kinds answer when they ask at a URL or target.
async fn check_failures(kind: &'static str, addr: &str, row: &str) {
    let asker = asker();
    let start = Instant::now();
    let auther = made::<dyn Authenticator>(kind, addr).await.unwrap();
    let given = Credentials::default();
    let id = auther.authenticate(&given, &asker).await;
    assert_eq!(id, None, "{row}: nobody is let in");
    let admission = made::<dyn Admission>(kind, addr).await.unwrap();
    let admitted = admission.admit(Network::Tcp, &asker.client, &asker);
    assert!(!admitted.await, "{row}: nobody is admitted");
    let bypass = made::<dyn Bypass>(kind, addr).await.unwrap();
    assert!(bypass.contains(&query(), &asker).await, "{row}: refused");
    assert!(
        !bypass.leads_around(&query(), &asker).await,
        "{row}: it stays on the chain"
    );
    let hosts = made::<dyn HostMapper>(kind, addr).await.unwrap();
    assert_eq!(hosts.lookup("a.test", Family::Any).await, None, "{row}");
    let resolver = made::<dyn Resolver>(kind, addr).await.unwrap();
    let error = resolver.resolve("a.test", Family::Any).await.unwrap_err();
    assert_eq!(error.why(), Why::Unresolved, "{row}");
    let ingress = made::<dyn Ingress>(kind, addr).await.unwrap();
    assert_eq!(ingress.rule("a.test").await, None, "{row}");
    assert!(!ingress.set_rule("a.test", "x").await, "{row}");
    let router = made::<dyn OsRouter>(kind, addr).await.unwrap();
    assert_eq!(router.route("10.0.0.1").await, None, "{row}");
    let nodes = made::<dyn NodeSource>(kind, addr).await.unwrap();
    let chosen = nodes.choose(&Request::default()).await;
    // What makes a node of it is who finds out whether it is one.
    let is_object = row == "another type";
    assert!(is_object || matches!(chosen, Err(_) | Ok(None)), "{row}");
    let observer = made::<dyn Observer>(kind, addr).await.unwrap();
    assert!(observer.observe(&stats()).await.is_err(), "{row}");
    let recorder = made::<dyn Recorder>(kind, addr).await.unwrap();
    let recorded = recorder.record(Bytes::from_static(b"x"), &"null".into());
    assert!(recorded.await.is_err(), "{row}");
    let limiter = made::<dyn TrafficLimiter>(kind, addr).await.unwrap();
    let meter = limiter.meter(LimitScope::Service, &asker);
    while meter.allow(Direction::In, 9) != Allowance::Bytes(9) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{row}: every answer has its time"
    );
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

/// More than any answer may have, without saying so first.
fn huge() -> Vec<u8> {
    let mut answer =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"ok\":true,\"ips\":[\"".to_vec();
    answer.resize(20 << 20, b'1');
    answer
}

#[tokio::test]
async fn what_a_failing_plugin_means() {
    let ok = r#"{"ok":true,"id":"x","ips":["10.0.0.1"],"endpoint":"e","dst":"d","in":1}"#;
    for (row, answer) in [
        ("500", answer("500 Internal Server Error", ok)),
        ("201", answer("201 Created", ok)),
        ("redirect", answer("302 Found\r\nLocation: /other", ok)),
        ("not JSON", answer("200 OK", "<html>")),
        ("not an object", answer("200 OK", "[true]")),
        (
            "another type",
            answer(
                "200 OK",
                r#"{"ok":"yes","ips":9,"endpoint":9,"dst":9,"in":"x"}"#,
            ),
        ),
        ("cut off", answer("200 OK", r#"{"ok":true"#)),
        ("nothing", answer("200 OK", "")),
        ("not HTTP", b"SSH-2.0-x\r\n\r\n".to_vec()),
        ("huge", huge()),
        ("silent", Vec::new()),
    ] {
        let peer = Peer::new(answer).await;
        check_failures("http", &peer.url(), row).await;
        let requests = peer.requests.lock().len();
        assert!(requests >= 11, "{row}: {requests} requests");
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_there_fails_in_the_same_way() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = gone.local_addr().unwrap().to_string();
    drop(gone);
    check_failures("http", &format!("http://{addr}/"), "down").await;
    check_failures("grpc", &addr, "down").await;
    let peer = Peer::new(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let at = format!("127.0.0.1:{}", peer.port);
    check_failures("grpc", &at, "not gRPC").await;
}

/// With an empty answer all is well, and nobody is told yes.
#[tokio::test]
async fn an_empty_answer_is_no() {
    let peer = Peer::saying("{}").await;
    let asker = asker();
    let given = Credentials::default();
    let auther = http::<dyn Authenticator>(&peer).await;
    assert_eq!(auther.authenticate(&given, &asker).await, None);
    let admission = http::<dyn Admission>(&peer).await;
    let admitted = admission.admit(Network::Tcp, &asker.client, &asker);
    assert!(!admitted.await);
    let bypass = http::<dyn Bypass>(&peer).await;
    assert!(!bypass.contains(&query(), &asker).await);
    assert!(
        http::<dyn HostMapper>(&peer)
            .await
            .lookup("a", Family::Any)
            .await
            .is_none()
    );
    let resolver = http::<dyn Resolver>(&peer).await;
    assert!(resolver.resolve("a", Family::Any).await.is_err());
    assert!(
        http::<dyn Observer>(&peer)
            .await
            .observe(&stats())
            .await
            .is_err()
    );
    let body = Bytes::from_static(b"body");
    let rewriter = http::<dyn Rewriter>(&peer).await;
    assert_eq!(rewriter.rewrite(body.clone(), &asker).await.unwrap(), body);
}

#[tokio::test]
async fn questions_are_those_of_the_protocol() {
    let asker = asker();
    let peer = Peer::saying(r#"{"OK":true,"ID":"bob"} rubbish"#).await;
    let auther = http::<dyn Authenticator>(&peer).await;
    let given = Credentials {
        username: "u".into(),
        password: "p".into(),
    };
    let id = auther.authenticate(&given, &asker).await;
    assert_eq!(id.as_deref(), Some("bob"));
    let (head, body) = peer.last();
    assert!(head.starts_with("POST /path HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{head}"
    );
    assert!(head.contains("\r\nauthorization: bearer secret"), "{head}");
    let wanted = serde_json::json!({
        "username": "u", "password": "p", "client": "127.0.0.9:999", "service": "s1"
    });
    assert_eq!(body, wanted);

    let bypass = http::<dyn Bypass>(&peer).await;
    assert!(bypass.contains(&query(), &asker).await);
    let wanted = serde_json::json!({
        "addr": "example.com:53", "network": "udp", "host": "sniffed.test", "path": "/p",
        "client": "alice", "service": "s1"
    });
    assert_eq!(peer.last().1, wanted);

    let ingress = http::<dyn Ingress>(&peer).await;
    ingress.rule("a.test:80").await;
    let (head, _) = peer.last();
    assert!(
        head.starts_with("GET /path?host=a%2Etest%3A80 HTTP/1.1"),
        "{head}"
    );
    assert!(ingress.set_rule("a.test", "e").await);
    assert!(peer.last().0.starts_with("PUT /path "));

    let service = Discovered {
        id: "1".into(),
        name: "n".into(),
        ..Discovered::default()
    };
    let wanted = serde_json::json!({
        "id": "1", "name": "n", "node": "", "network": "", "address": ""
    });
    let discovery = http::<dyn Discovery>(&peer).await;
    discovery.register(&service).await.unwrap();
    assert_eq!(peer.last().1, wanted);
    discovery.renew(&service).await.unwrap();
    assert!(peer.last().0.starts_with("PUT "));
    discovery.deregister(&service).await.unwrap();
    assert!(peer.last().0.starts_with("DELETE "));
    assert_eq!(peer.last().1, wanted);

    let observer = http::<dyn Observer>(&peer).await;
    observer.observe(&stats()).await.unwrap();
    let wanted = serde_json::json!({"events": [{
        "kind": "service", "service": "s1", "type": "stats",
        "stats": {"totalConns": 0, "currentConns": 0, "inputBytes": 7, "outputBytes": 0,
                  "totalErrs": 0}
    }]});
    assert_eq!(peer.last().1, wanted);
    let recorder = http::<dyn Recorder>(&peer).await;
    let recorded = recorder.record(Bytes::from_static(b"record"), &"null".into());
    recorded.await.unwrap();
    let wanted = serde_json::json!({"data": "cmVjb3Jk", "metadata": "bnVsbA=="});
    assert_eq!(peer.last().1, wanted);
}

#[tokio::test]
async fn answers_are_those_of_the_protocol() {
    let peer = Peer::saying(r#"{"ok":true,"ips":["10.0.0.1","no","::1",null]}"#).await;
    let hosts = http::<dyn HostMapper>(&peer).await;
    let v4 = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(hosts.lookup("a", Family::V4).await, Some(v4));
    assert_eq!(peer.last().1["network"], "ip4");
    let resolver = http::<dyn Resolver>(&peer).await;
    assert_eq!(resolver.resolve("a", Family::Any).await.unwrap().len(), 2);

    let services = r#"{"services":[null,{"id":"1","address":"a:1","more":{}}]}"#;
    let peer = Peer::saying(services).await;
    let found = http::<dyn Discovery>(&peer).await.find("n").await.unwrap();
    assert_eq!((found.len(), found[0].address.as_str()), (1, "a:1"));

    let peer = Peer::saying(r#"{"net":"10.0.0.0/8","gateway":"g"}"#).await;
    let route = http::<dyn OsRouter>(&peer).await.route("10.0.0.1").await;
    assert_eq!(route.unwrap().destination, "10.0.0.0/8");

    let peer = Peer::saying(r#"{"name":"n","addr":"127.0.0.1:1"}"#).await;
    let nodes = http::<dyn NodeSource>(&peer).await;
    let node = nodes.choose(&Request::default()).await.unwrap().unwrap();
    assert_eq!(&node[..], br#"{"name":"n","addr":"127.0.0.1:1"}"#);

    let peer = Peer::saying(r#"{"ok":true,"data":""}"#).await;
    let rewriter = http::<dyn Rewriter>(&peer).await;
    let body = rewriter.rewrite(Bytes::from_static(b"x"), &asker()).await;
    assert!(body.unwrap().is_empty(), "HTTP can say: nothing instead");
}

#[tokio::test]
async fn one_connection_serves_many_questions() {
    let peer = Peer::saying(r#"{"ok":true}"#).await;
    let admission = http::<dyn Admission>(&peer).await;
    let asker = asker();
    for _ in 0..20 {
        assert!(admission.admit(Network::Tcp, &asker.client, &asker).await);
    }
    assert_eq!(peer.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn a_limit_is_asked_for_once_and_shared() {
    let peer = Peer::saying(r#"{"in":1000,"out":0}"#).await;
    let limiter = http::<dyn TrafficLimiter>(&peer).await;
    let asker = asker();
    let first = limiter.meter(LimitScope::Client("alice"), &asker);
    assert!(matches!(first.allow(Direction::In, 1), Allowance::After(_)));
    let known = async {
        while matches!(first.allow(Direction::In, 1), Allowance::After(_)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), known)
        .await
        .unwrap();
    let second = limiter.meter(LimitScope::Client("alice"), &asker);
    second.count(Direction::In, 2000);
    assert!(matches!(first.allow(Direction::In, 1), Allowance::After(_)));
    assert_eq!(first.allow(Direction::Out, 5000), Allowance::Bytes(5000));
    assert_eq!(peer.requests.lock().len(), 1);
    let wanted = serde_json::json!({
        "network": "", "addr": "", "client": "alice", "src": "127.0.0.9:999", "service": "s1",
        "scope": "client"
    });
    assert_eq!(peer.last().1, wanted);
}

#[tokio::test]
async fn what_can_never_be_asked_is_an_error_at_once() {
    for (kind, addr) in [
        ("http", ""),
        ("http", "ftp://host/"),
        ("grpc", ""),
        ("grpc", "http://host:1/"),
    ] {
        let error = made::<dyn Admission>(kind, addr).await.err().unwrap();
        assert!(error.to_string().contains("addr"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
