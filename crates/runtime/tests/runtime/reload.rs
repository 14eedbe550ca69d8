//! What stays the same object through a reload, and what does not.

use std::time::Duration;

use gost_testkit::ports;
use tokio::net::{TcpStream, UdpSocket};

use crate::support::{
    Client, Dead, Named, config, name_at, refused, reload, soon, start, text, until,
};

/// A service that goes out through the chain `c`.
fn entry(port: u16, target: &Named) -> String {
    format!(
        "services:
- name: entry
  addr: 127.0.0.1:{port}
  handler: {{type: tcp, chain: c}}
  forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}
",
        target.addr
    )
}

/// One service more.
fn another(port: u16) -> String {
    format!("- {{name: another, addr: '127.0.0.1:{port}', handler: {{type: socks5}}}}\n")
}

#[tokio::test]
async fn a_failed_node_is_still_known_to_have_failed() {
    let (dead, target) = (Dead::closing().await, Named::start(b'A').await);
    let (port, node, other) = (ports::tcp(), ports::tcp(), ports::tcp());
    let chain = |nodes: &str| {
        format!(
            "- {{name: node, addr: '127.0.0.1:{node}', handler: {{type: socks5}}}}
chains:
- name: c
  hops:
  - name: h
    selector: {{strategy: fifo, maxFails: 1, failTimeout: 10m}}
    nodes:
    - {{name: dead, addr: '{}', connector: {{type: socks5}}}}
    - {{name: good, addr: '127.0.0.1:{node}', connector: {{type: socks5}}}}
{nodes}",
            dead.addr
        )
    };
    let entry = entry(port, &target);
    let mut runtime = start(&format!("{entry}{}", chain(""))).await;
    let at = ([127, 0, 0, 1], port).into();
    assert_eq!(name_at(at).await, Some(b'A'));
    assert_eq!(dead.accepted(), 1, "it is the first, and is tried");
    assert_eq!(name_at(at).await, Some(b'A'));
    assert_eq!(dead.accepted(), 1);

    let more = format!("{entry}{}{}", another(other), chain(""));
    let changes = reload(&mut runtime, &more).await;
    assert_eq!(changes.started, ["another"]);
    assert_eq!(changes.unchanged, 2);
    assert_eq!(name_at(at).await, Some(b'A'));
    assert_eq!(dead.accepted(), 1, "a chain that did not change");

    let third = "    - {name: third, addr: '127.0.0.1:9', connector: {type: socks5}}\n";
    reload(&mut runtime, &format!("{entry}{}", chain(third))).await;
    refused(([127, 0, 0, 1], other).into()).await;
    assert_eq!(name_at(at).await, Some(b'A'));
    assert_eq!(dead.accepted(), 1, "a node of a hop that did change");

    let renewed = chain("").replace("name: dead", "name: reborn");
    reload(&mut runtime, &format!("{entry}{renewed}")).await;
    assert_eq!(name_at(at).await, Some(b'A'));
    assert_eq!(dead.accepted(), 2, "another node starts anew");
}

#[tokio::test]
async fn sessions_of_a_node_that_did_not_change_carry_on_and_others_end_with_their_last_stream() {
    let (target, node) = (Named::start(b'A').await, ports::tcp());
    // Counts the connections to the node.
    let (port, counted) = (ports::tcp(), ports::tcp());
    let yaml = |metadata: &str, more: &str| {
        format!(
            "{}- {{name: node, addr: '127.0.0.1:{node}', handler: {{type: relay}}, listener: {{type: mtcp}}}}
{more}chains:
- name: c
  hops:
  - name: h
    nodes:
    - name: n
      addr: '127.0.0.1:{node}'
      connector: {{type: relay}}
      dialer: {{type: mtcp, metadata: {{{metadata}}}}}
",
            entry(port, &target)
        )
    };
    let mut runtime = start(&yaml("mux.maxStreams: 100", "")).await;
    let sessions = |runtime: &gost_runtime::Runtime| {
        let services = runtime.services();
        let node = services.iter().find(|s| s.name() == "node").unwrap();
        node.connections()
    };
    let at = ([127, 0, 0, 1], port).into();
    let (mut first, name) = Client::connect(at).await.unwrap();
    assert_eq!(name, Some(b'A'));
    assert_eq!(sessions(&runtime), 2, "a session and its stream");

    reload(
        &mut runtime,
        &yaml("mux.maxStreams: 100", &another(counted)),
    )
    .await;
    let (mut second, _) = Client::connect(at).await.unwrap();
    assert_eq!(sessions(&runtime), 3, "another stream of the session");

    reload(&mut runtime, &yaml("mux.maxStreams: 99", "")).await;
    let (mut third, name) = Client::connect(at).await.unwrap();
    assert_eq!(name, Some(b'A'));
    assert_eq!(sessions(&runtime), 5, "a session of the new node");
    assert!(first.is_alive().await && second.is_alive().await && third.is_alive().await);
    drop((first, second));
    until("the old session has ended", || async {
        sessions(&runtime) == 2
    })
    .await;
    assert!(third.is_alive().await);
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_every_mistake() {
    let (target, port, new) = (Named::start(b'A').await, ports::tcp(), ports::tcp());
    let service = |name: &str, port: u16, more: &str| {
        format!(
            "- name: {name}
  addr: 127.0.0.1:{port}
  handler: {{type: tcp{more}}}
  forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}
",
            target.addr
        )
    };
    let good = format!("services:\n{}", service("s", port, ""));
    let mut runtime = start(&good).await;
    let at = ([127, 0, 0, 1], port).into();
    let (mut client, _) = Client::connect(at).await.unwrap();

    let bad = format!(
        "services:
{}{}{}- {{name: x, addr: '127.0.0.1:0', handler: {{type: nosuch}}}}
",
        service("new", new, ""),
        service("s", new, ", metadata: {idleTimeout: never}"),
        service("y", port, ", metadata: {readTimeout: long}")
    );
    let problems = runtime.reload(&config(&bad), Duration::ZERO).await;
    let said = text(&problems.unwrap_err());
    assert!(
        said.contains("test.yaml:8: idleTimeout: expected a duration")
            && said.contains("test.yaml:12: readTimeout: expected a duration")
            && said.contains("test.yaml:14: services[3].handler.type: unknown handler \"nosuch\""),
        "{said}"
    );
    // What is found only when sockets are opened.
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().port();
    let _held = std::net::TcpListener::bind(("127.0.0.1", taken));
    let bad = format!(
        "services:\n{}{}",
        service("new", new, ""),
        service("s", taken, "")
    );
    let problems = runtime.reload(&config(&bad), Duration::ZERO).await;
    let said = text(&problems.unwrap_err());
    assert!(said.contains("in use"), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", new)).await.is_err());
    assert!(client.is_alive().await);
    assert_eq!(name_at(at).await, Some(b'A'));
    let changes = reload(&mut runtime, &good).await;
    assert_eq!((changes.unchanged, changes.changed.len()), (1, 0));
}

#[tokio::test]
async fn a_service_under_another_name_takes_over_the_port() {
    let (target, port) = (Named::start(b'A').await, ports::tcp());
    let yaml = |name: &str| {
        entry(port, &target)
            .replace("entry", name)
            .replace(", chain: c", "")
    };
    let mut runtime = start(&yaml("one")).await;
    let changes = reload(&mut runtime, &yaml("two")).await;
    assert_eq!(
        (&*changes.started, &*changes.stopped),
        (&["two".to_owned()][..], &["one".to_owned()][..])
    );
    for _ in 0..20 {
        assert_eq!(name_at(([127, 0, 0, 1], port).into()).await, Some(b'A'));
    }
}

#[tokio::test]
async fn connections_of_a_removed_service_have_until_the_deadline() {
    let (target, port) = (Named::start(b'A').await, ports::tcp());
    let yaml = entry(port, &target).replace(", chain: c", "");
    let mut runtime = start(&yaml).await;
    let at = ([127, 0, 0, 1], port).into();
    let (mut client, _) = Client::connect(at).await.unwrap();
    let drain = Duration::from_mins(10);
    let changed = runtime.reload(&config("services: []\n"), drain).await;
    assert_eq!(changed.unwrap().stopped, ["entry"]);
    refused(at).await;
    assert!(client.is_alive().await);
    // The end of the program has a deadline of its own.
    soon(runtime.stop(Duration::ZERO)).await;
    while client.is_alive().await {}
}

#[tokio::test]
async fn users_that_changed_count_at_once_and_a_handler_that_did_not_stays() {
    let (target, port) = (Named::start(b'A').await, ports::tcp());
    let node = ports::tcp();
    let yaml = |password: &str| {
        format!(
            "{}- {{name: node, addr: '127.0.0.1:{node}', handler: {{type: relay, auther: users}}}}
chains:
- name: c
  hops:
  - name: h
    nodes:
    - name: n
      addr: '127.0.0.1:{node}'
      connector: {{type: relay, auth: {{username: u, password: first}}}}
authers:
- {{name: users, auths: [{{username: u, password: {password}}}]}}
",
            entry(port, &target)
        )
    };
    let mut runtime = start(&yaml("first")).await;
    let at = ([127, 0, 0, 1], port).into();
    let (mut client, name) = Client::connect(at).await.unwrap();
    assert_eq!(name, Some(b'A'));
    let changes = reload(&mut runtime, &yaml("second")).await;
    assert_eq!((changes.unchanged, changes.changed.len()), (2, 0));
    assert_eq!(name_at(at).await, None);
    assert!(client.is_alive().await, "it was let in before");
    reload(&mut runtime, &yaml("first")).await;
    assert_eq!(name_at(at).await, Some(b'A'));
}

#[tokio::test]
async fn a_udp_service_answers_on_its_port_through_a_change() {
    let echo = gost_testkit::udp::Server::start(gost_testkit::udp::Behaviour::Echo)
        .await
        .unwrap();
    let port = ports::udp();
    let yaml = |ttl: u16| {
        format!(
            "services:
- name: u
  addr: 127.0.0.1:{port}
  handler: {{type: udp}}
  listener: {{type: udp, metadata: {{ttl: {ttl}s}}}}
  forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}
",
            echo.address()
        )
    };
    let mut runtime = start(&yaml(60)).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(("127.0.0.1", port)).await.unwrap();
    for round in 0..6_u16 {
        let changes = reload(&mut runtime, &yaml(60 + round / 2)).await;
        assert_eq!(
            changes.changed.len(),
            usize::from(round % 2 == 0 && round > 0)
        );
        // The flow ends with its listener, and a datagram may be lost on the way.
        let mut text = [0; 2];
        until("an answer", || async {
            client.send(&round.to_be_bytes()).await.unwrap();
            let mut answer = [0; 2];
            let answer = client.recv(&mut answer);
            let answer = tokio::time::timeout(Duration::from_millis(200), answer).await;
            matches!(answer, Ok(Ok(2)))
        })
        .await;
        while client.try_recv(&mut text).is_ok() {}
    }
}

#[tokio::test]
async fn a_certificate_or_password_file_that_changed_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    std::fs::write(&file, "u good\n").unwrap();
    let (target, port, node) = (Named::start(b'A').await, ports::tcp(), ports::tcp());
    let yaml = format!(
        "{}- {{name: node, addr: '127.0.0.1:{node}', handler: {{type: socks5, auth: {{username: u, password: good}}}}}}
chains:
- name: c
  hops:
  - name: h
    nodes:
    - name: n
      addr: '127.0.0.1:{node}'
      connector: {{type: socks5, auth: {{file: '{}'}}}}
",
        entry(port, &target),
        file.display()
    );
    let mut runtime = start(&yaml).await;
    let at = ([127, 0, 0, 1], port).into();
    assert_eq!(name_at(at).await, Some(b'A'));
    std::fs::write(&file, "u bad\n").unwrap();
    assert_eq!(name_at(at).await, Some(b'A'), "it was read at the start");
    reload(&mut runtime, &yaml).await;
    assert_eq!(name_at(at).await, None);
}

#[tokio::test]
async fn keys_that_nobody_knows_are_said_again_and_those_of_kept_objects_are_known() {
    let (target, port) = (Named::start(b'A').await, ports::tcp());
    let yaml = entry(port, &target)
        .replace(
            "type: tcp, chain: c",
            "type: auto2, metadata: {proxyAgent: x, nosuch: 1, bind: true}",
        )
        .replace("auto2", "http");
    let warned = |warnings: &[gost_config::Problem]| {
        let keys: Vec<_> = warnings.iter().map(|warning| warning.key.clone()).collect();
        keys.join(" ")
    };
    let mut runtime = start(&yaml).await;
    for _ in 0..2 {
        let changes = reload(&mut runtime, &yaml).await;
        assert_eq!(warned(&changes.warnings), "nosuch bind");
        let of_others = changes.warnings[1].to_string();
        assert!(of_others.contains("only other components"), "{of_others}");
    }
}
