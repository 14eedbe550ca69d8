//! Who is tried next when something fails, and who is marked.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use gost_testkit::ports;

use super::{Way, hop, plain, proxy, server, socks, visits};
use crate::support::{Dead, Named, reload, start, until};

#[tokio::test]
async fn a_node_that_fails_costs_one_attempt_and_is_left_alone_afterwards() {
    let target = Named::start(b'T').await;
    let fifo = "\n    selector: {strategy: fifo, failTimeout: 10m}";
    for protocol in ["socks5", "http"] {
        let (_proxy, good) = server(protocol).await;
        let node = |addr| format!("{{name: n, addr: '{addr}', connector: {{type: {protocol}}}}}");
        let first = hop("", &[node(good)]);
        for (silent, before) in [(false, ""), (true, ""), (false, &*first), (true, &*first)] {
            let dead = if silent {
                Dead::silent().await
            } else {
                Dead::closing().await
            };
            let nodes = [node(dead.addr), node(good)];
            let mut way = Way::new(format!("{before}{}", hop(fifo, &nodes)));
            way.target = target.addr.to_string();
            way.service = "dialTimeout: 400ms";
            let (_runtime, addr) = way.start().await;
            let what = format!("{protocol}, silent {silent}, hops before: {before:?}");
            let start = Instant::now();
            assert_eq!(visits(addr, 1).await, "T", "{what}");
            let took = start.elapsed();
            assert_eq!(
                took > Duration::from_millis(300),
                silent,
                "{what}: {took:?}"
            );
            assert_eq!(dead.accepted(), 1, "{what}");
            assert_eq!(visits(addr, 5).await, "TTTTT", "{what}");
            assert_eq!(dead.accepted(), 1, "{what}: marked");
        }
    }
}

#[tokio::test]
async fn a_hop_that_has_nodes_is_never_passed_over_and_one_without_is() {
    let target = Named::start(b'T').await;
    let (_proxy, good) = socks().await;
    let dead = Dead::closing().await;
    let unfit = ", matcher: {rule: 'Host(`other.test`)'}";
    let rows = [
        ("all failed", hop("", &[proxy(dead.addr, "")]), "--"),
        (
            "all failed behind a hop",
            format!(
                "{}{}",
                hop("", &[proxy(good, "")]),
                hop("", &[proxy(dead.addr, "")])
            ),
            "--",
        ),
        ("none fits", hop("", &[proxy(good, unfit)]), "--"),
        (
            "none fits behind a hop",
            format!(
                "{}{}",
                hop("", &[proxy(good, "")]),
                hop("", &[proxy(good, unfit)])
            ),
            "--",
        ),
        ("no nodes", "  - {name: h, nodes: []}\n".to_owned(), "TT"),
        (
            "no nodes behind a hop",
            format!(
                "{}  - {{name: h2, nodes: []}}\n",
                hop("", &[proxy(good, "")])
            ),
            "TT",
        ),
        (
            "a direct node",
            hop(
                "",
                &[
                    "{name: n, addr: ':0', connector: {type: direct}, dialer: {type: direct}}"
                        .to_owned(),
                ],
            ),
            "TT",
        ),
    ];
    for (what, hops, expected) in rows {
        let mut way = Way::new(hops);
        way.target = target.addr.to_string();
        let (_runtime, addr) = way.start().await;
        let before = target.accepted();
        assert_eq!(visits(addr, 2).await, expected, "{what}");
        let direct = target.accepted() - before;
        assert_eq!(direct > 0, expected == "TT", "{what}");
    }
}

#[tokio::test]
async fn attempts_are_repeated_as_often_as_configured() {
    for (handler, silent, attempts) in [
        ("", false, 1),
        (", retries: 2", false, 3),
        (", retries: 2", true, 3),
    ] {
        let dead = if silent {
            Dead::silent().await
        } else {
            Dead::closing().await
        };
        let mut way = Way::new(hop("", &[proxy(dead.addr, "")]));
        (way.handler, way.service) = (handler, "dialTimeout: 150ms");
        let (_runtime, addr) = way.start().await;
        assert_eq!(visits(addr, 1).await, "-");
        assert_eq!(dead.accepted(), attempts, "{handler:?}, silent {silent}");
    }
}

#[tokio::test]
async fn a_target_that_refuses_is_no_failure_of_the_node() {
    let target = Named::start(b'T').await;
    let (_proxy, good) = socks().await;
    let second = Dead::closing().await;
    let nodes = [proxy(good, ""), proxy(second.addr, "")];
    let fifo = "\n    selector: {strategy: fifo}";
    let (port, refusing) = (ports::tcp(), ports::tcp());
    let mut way = Way::new(hop(fifo, &nodes));
    way.target = target.addr.to_string();
    let bad = format!(
        "services:
- name: bad
  addr: 127.0.0.1:{refusing}
  handler: {{type: tcp, chain: c}}
  forwarder: {{nodes: [{{name: t, addr: '127.0.0.1:1'}}]}}
"
    );
    let yaml = way.yaml(port).replace("services:\n", &bad);
    let _runtime = start(&yaml).await;
    for _ in 0..3 {
        assert_eq!(visits(([127, 0, 0, 1], refusing).into(), 1).await, "-");
        assert_eq!(visits(([127, 0, 0, 1], port).into(), 1).await, "T");
    }
    assert_eq!(second.accepted(), 0, "the first was never marked");
}

#[tokio::test]
async fn targets_of_a_forwarder_are_tried_in_turn_and_marked_and_not_for_the_chain() {
    let (a, b) = (Named::start(b'A').await, Named::start(b'B').await);
    let port = ports::tcp();
    let yaml = |chain: &str, first: &str| {
        format!(
            "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp{chain}}}
  forwarder:
    selector: {{strategy: fifo, failTimeout: 10m}}
    nodes:
    - {{name: one, addr: '{first}'}}
    - {{name: two, addr: '{}'}}
",
            b.addr
        )
    };
    let addr = ([127, 0, 0, 1], port).into();
    let mut runtime = start(&yaml("", "127.0.0.1:1")).await;
    assert_eq!(visits(addr, 2).await, "BB", "the first refuses");

    let dead = Dead::closing().await;
    let through = |node: SocketAddr| {
        let chain = yaml(", chain: c", &a.addr.to_string());
        format!(
            "{chain}chains:\n- name: c\n  hops:\n{}",
            hop("", &[proxy(node, "")])
        )
    };
    reload(&mut runtime, &through(dead.addr)).await;
    assert_eq!(visits(addr, 2).await, "--");
    assert_eq!(
        dead.accepted(),
        2,
        "one attempt each: the way is the same to every target"
    );
    let (_proxy, good) = socks().await;
    reload(&mut runtime, &through(good)).await;
    assert_eq!(
        visits(addr, 2).await,
        "AA",
        "the first was not marked for it"
    );
}

#[tokio::test]
async fn probes_mark_nodes_and_find_them_again() {
    let (a, b) = (Named::start(b'A').await, Named::start(b'B').await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alive");
    let probe = format!(
        ", probe: {{type: cmd, command: 'test -e {}', interval: 20ms, timeout: 5s}}",
        file.display()
    );
    let options = "\n    selector: {strategy: fifo, failTimeout: 10m}";
    let hops = hop(options, &[plain(a.addr, &probe), plain(b.addr, "")]);
    let (_runtime, addr) = Way::new(hops).start().await;
    until("marked", || async { visits(addr, 1).await == "B" }).await;
    std::fs::write(&file, "").unwrap();
    until("found again", || async { visits(addr, 1).await == "A" }).await;

    let (closed, port) = (SocketAddr::from(([127, 0, 0, 1], 1)), a.addr.port());
    let tcp =
        format!(", probe: {{type: tcp, addr: '127.0.0.1:{port}', interval: 20ms, timeout: 5s}}");
    let lowest = "\n    selector: {strategy: lowestlatency}";
    let hops = hop(lowest, &[plain(closed, ""), plain(b.addr, &tcp)]);
    let (_runtime, addr) = Way::new(hops).start().await;
    until("the quickest", || async { visits(addr, 3).await == "BBB" }).await;
}
