//! What is asked and answered.

use super::*;

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
    ingress.rule("a.test:80", &asker).await;
    let (head, _) = peer.last();
    assert!(
        head.starts_with("GET /path?host=a%2Etest%3A80&service=s1 HTTP/1.1"),
        "{head}"
    );
    assert!(ingress.set_rule("a.test", "e", &asker).await);
    let (head, body) = peer.last();
    assert!(head.starts_with("PUT /path "));
    let wanted = serde_json::json!({"host": "a.test", "endpoint": "e", "service": "s1"});
    assert_eq!(body, wanted);
    let router = http::<dyn OsRouter>(&peer).await;
    for (id, wanted) in [
        ("", "?dst=10%2E0%2E0%2E1 "),
        ("t1", "?dst=10%2E0%2E0%2E1&id=t1 "),
    ] {
        router.route("10.0.0.1", id).await;
        let (head, _) = peer.last();
        assert!(head.starts_with(&format!("GET /path{wanted}")), "{head}");
    }

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
    check_bodies(&peer).await;
}

/// What a rewriter is told.
async fn check_bodies(peer: &Peer) {
    let rewriter = http::<dyn Rewriter>(peer).await;
    let end = EventPart {
        phase: EventPhase::End,
        index: 2,
        is_broken: true,
    };
    let of = |direction, event| BodyFacts {
        direction: Some(direction),
        uri: "/u".to_owned(),
        event,
        ..BodyFacts::default()
    };
    for (body, about, data, facts) in [
        (&b"x"[..], BodyFacts::default(), "eA==".into(), "{}"),
        (
            b"",
            of(Direction::In, None),
            "".into(),
            r#"{"direction":"request","uri":"/u"}"#,
        ),
        (
            b"",
            of(Direction::Out, Some(end)),
            serde_json::Value::Null,
            r#"{"direction":"response","event_index":2,"sse_phase":"end","stream_error":true,"uri":"/u"}"#,
        ),
    ] {
        rewriter
            .rewrite(Bytes::from_static(body), &about)
            .await
            .unwrap();
        let asked = peer.last().1;
        assert_eq!(asked["data"], data);
        let told = asked["metadata"].as_str().unwrap_or_default();
        let json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(
            json(&STANDARD.decode(told).unwrap()),
            json(facts.as_bytes())
        );
    }
}

#[tokio::test]
async fn answers_are_those_of_the_protocol() {
    let asker = asker();
    let peer = Peer::saying(r#"{"ok":true,"ips":["10.0.0.1","no","::1",null]}"#).await;
    let hosts = http::<dyn HostMapper>(&peer).await;
    let v4 = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(hosts.lookup("a", Family::V4, &asker).await, Some(v4));
    let asked = peer.last().1;
    assert_eq!(
        (&asked["network"], &asked["client"]),
        (&"ip4".into(), &"alice".into())
    );
    let resolver = http::<dyn Resolver>(&peer).await;
    assert_eq!(
        resolver
            .resolve("a", Family::Any, &asker)
            .await
            .unwrap()
            .len(),
        2
    );

    let services = r#"{"services":[null,{"id":"1","address":"a:1","more":{}}]}"#;
    let peer = Peer::saying(services).await;
    let found = http::<dyn Discovery>(&peer).await.find("n").await.unwrap();
    assert_eq!((found.len(), found[0].address.as_str()), (1, "a:1"));

    let peer = Peer::saying(r#"{"net":"10.0.0.0/8","gateway":"g"}"#).await;
    let route = http::<dyn OsRouter>(&peer)
        .await
        .route("10.0.0.1", "")
        .await;
    assert_eq!(route.unwrap().destination, "10.0.0.0/8");

    let peer = Peer::saying(r#"{"name":"n","addr":"127.0.0.1:1"}"#).await;
    let nodes = http::<dyn NodeSource>(&peer).await;
    let node = nodes.choose(&Request::default()).await.unwrap().unwrap();
    assert_eq!(&node[..], br#"{"name":"n","addr":"127.0.0.1:1"}"#);

    let peer = Peer::saying(r#"{"ok":true,"data":""}"#).await;
    let rewriter = http::<dyn Rewriter>(&peer).await;
    let body = rewriter
        .rewrite(Bytes::from_static(b"x"), &BodyFacts::default())
        .await;
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
    let target = gost_core::addr::Target::tcp(Addr::from_host("far.test", 80));
    let (name, target) = ("alice", Some(&target));
    let first = limiter.meter(LimitScope::Client { name, target }, &asker);
    assert!(matches!(first.allow(Direction::In, 1), Allowance::After(_)));
    let known = async {
        while matches!(first.allow(Direction::In, 1), Allowance::After(_)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), known)
        .await
        .unwrap();
    let target = None;
    let second = limiter.meter(LimitScope::Client { name, target }, &asker);
    second.count(Direction::In, 20_000);
    // What it was allowed before it may still move for a moment.
    let stopped = async {
        while !matches!(first.allow(Direction::In, 1), Allowance::After(_)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), stopped)
        .await
        .unwrap();
    assert_eq!(first.allow(Direction::Out, 5000), Allowance::Bytes(5000));
    assert_eq!(peer.requests.lock().len(), 1);
    let wanted = serde_json::json!({
        "network": "tcp", "addr": "far.test:80", "client": "alice", "src": "127.0.0.9:999", "service": "s1",
        "scope": "client"
    });
    assert_eq!(peer.last().1, wanted);
    // Who has no name is one client by the address, which the plugin is told anyway.
    let nobody = Asker {
        user: String::new(),
        ..asker
    };
    let name = "127.0.0.9";
    let _ = limiter.meter(LimitScope::Client { name, target }, &nobody);
    let asked = async {
        while peer.requests.lock().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .unwrap();
    assert_eq!(peer.last().1["client"], "");
}

#[tokio::test]
async fn a_limit_counts_for_as_long_as_is_said() {
    let peer = Peer::saying(r#"{"in":1000,"out":0}"#).await;
    let limiter = http::<dyn TrafficLimiter>(&peer).await;
    let (name, target) = ("alice", None);
    let (asker, scope) = (asker(), LimitScope::Client { name, target });
    let short = limiter.meter_kept(scope.clone(), &asker, Duration::from_millis(1));
    let asked = async {
        // Of less than a second there is none, so that all this takes as long.
        while peer.requests.lock().len() < 2 {
            let _ = short.allow(Direction::In, 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let start = Instant::now();
    tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    // Whoever comes by the same way later, and says something else, says it for all.
    let _long = limiter.meter_kept(scope, &asker, Duration::from_hours(1));
    assert_eq!(peer.requests.lock().len(), 2);
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
