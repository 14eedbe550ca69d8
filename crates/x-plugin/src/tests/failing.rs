//! What each kind does with each way in which a plugin can fail.

use super::*;

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
    assert_eq!(
        hosts.lookup("a.test", Family::Any, &asker).await,
        None,
        "{row}"
    );
    let resolver = made::<dyn Resolver>(kind, addr).await.unwrap();
    let error = resolver
        .resolve("a.test", Family::Any, &asker)
        .await
        .unwrap_err();
    assert_eq!(error.why(), Why::Unresolved, "{row}");
    let ingress = made::<dyn Ingress>(kind, addr).await.unwrap();
    assert_eq!(ingress.rule("a.test", &asker).await, None, "{row}");
    assert!(!ingress.set_rule("a.test", "x", &asker).await, "{row}");
    let router = made::<dyn OsRouter>(kind, addr).await.unwrap();
    assert_eq!(router.route("10.0.0.1", "").await, None, "{row}");
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
    let discovery = made::<dyn Discovery>(kind, addr).await.unwrap();
    let found = discovery.find("web").await;
    assert!(is_object || found.is_err(), "{row}");
    let rewriter = made::<dyn Rewriter>(kind, addr).await.unwrap();
    let body = Bytes::from_static(b"body");
    let rewritten = rewriter.rewrite(body.clone(), &BodyFacts::default()).await;
    // An HTTP status other than 200 leaves the body as it is; whatever else fails ends the exchange.
    if ["500", "201", "redirect"].contains(&row) {
        assert_eq!(rewritten.unwrap(), body, "{row}");
    } else {
        assert!(rewritten.is_err(), "{row}: {rewritten:?}");
    }
    let limiter = made::<dyn TrafficLimiter>(kind, addr).await.unwrap();
    let meter = limiter.meter(LimitScope::Service(Network::Tcp), &asker);
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
            .lookup("a", Family::Any, &asker)
            .await
            .is_none()
    );
    let resolver = http::<dyn Resolver>(&peer).await;
    assert!(resolver.resolve("a", Family::Any, &asker).await.is_err());
    assert!(
        http::<dyn Observer>(&peer)
            .await
            .observe(&stats())
            .await
            .is_err()
    );
    let body = Bytes::from_static(b"body");
    let rewriter = http::<dyn Rewriter>(&peer).await;
    assert_eq!(
        rewriter
            .rewrite(body.clone(), &BodyFacts::default())
            .await
            .unwrap(),
        body
    );
}
