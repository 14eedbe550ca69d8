//! Which node gets a request, and how it is reached.

use std::net::SocketAddr;

use gost_testkit::ports;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, UnixStream},
};

use super::{Way, hop, plain, proxy, socks, visits};
use crate::support::{Client, Named, soon, start};

#[tokio::test]
async fn a_node_is_chosen_by_strategy_rule_filter_priority_and_backup() {
    let (a, b) = (Named::start(b'A').await, Named::start(b'B').await);
    let strategy = |name: &str| format!("\n    selector: {{strategy: {name}}}");
    let rule = |rule: &str, more: &str| format!(", matcher: {{rule: 'Host(`{rule}`)'{more}}}");
    let rows = [
        ("in turn", String::new(), "", "", "ABAB"),
        ("in turn by name", strategy("rr"), "", "", "ABAB"),
        ("the first", strategy("fifo"), "", "", "AAAA"),
        ("the first, as ha", strategy("ha"), "", "", "AAAA"),
        (
            "backup waits",
            strategy("fifo"),
            ", metadata: {backup: true}",
            "",
            "BBBB",
        ),
        (
            "only backups",
            strategy("fifo"),
            ", metadata: {backup: true}",
            ", metadata: {backup: 'true'}",
            "AAAA",
        ),
        (
            "a rule that fits counts for more",
            String::new(),
            "",
            &rule("t.test", ""),
            "BBBB",
        ),
        (
            "a rule that does not fit",
            String::new(),
            &rule("other.test", ""),
            "",
            "BBBB",
        ),
        (
            "rules of domains",
            String::new(),
            &rule("*.test", ""),
            &rule("*.other", ""),
            "AAAA",
        ),
        (
            "equal priorities",
            String::new(),
            &rule("t.test", ", priority: 5"),
            &rule("*.test", ", priority: 5"),
            "ABAB",
        ),
        (
            "a higher priority",
            String::new(),
            &rule("t.test", ", priority: 1"),
            &rule("*.test", ", priority: 5"),
            "BBBB",
        ),
        (
            "a priority of a backup waits",
            String::new(),
            &format!(
                "{}, metadata: {{backup: true}}",
                rule("t.test", ", priority: 5")
            ),
            &rule("*.test", ", priority: 1"),
            "BBBB",
        ),
        (
            "not and and",
            String::new(),
            ", matcher: {rule: '!Host(`t.test`) && Network(`tcp`)'}",
            "",
            "BBBB",
        ),
        (
            "a filter",
            String::new(),
            ", filter: {host: other.test}",
            ", filter: {host: .test}",
            "BBBB",
        ),
        (
            "a filter of a protocol that is not known here",
            String::new(),
            ", filter: {protocol: http}",
            "",
            "BBBB",
        ),
        (
            "no chance for one of two by hash",
            strategy("hash"),
            "",
            ", matcher: {rule: 'Host(`x`)'}",
            "AAAA",
        ),
        (
            "nobody fits",
            String::new(),
            &rule("other.test", ""),
            &rule("x", ""),
            "----",
        ),
        (
            "no filter fits",
            String::new(),
            ", filter: {host: other.test}",
            ", filter: {path: /}",
            "----",
        ),
    ];
    for (what, options, first, second, expected) in rows {
        let hops = hop(&options, &[plain(a.addr, first), plain(b.addr, second)]);
        let (_runtime, addr) = Way::new(hops).start().await;
        assert_eq!(visits(addr, 4).await, expected, "{what}");
    }
    for name in ["random", "hash"] {
        let nodes = [plain(a.addr, ", metadata: {weight: 3}"), plain(b.addr, "")];
        let (_runtime, addr) = Way::new(hop(&strategy(name), &nodes)).start().await;
        let mut reached = String::new();
        // By chance one of them may be missing for a while.
        while reached.len() < 20 || (name == "random" && is_one(&reached) && reached.len() < 400) {
            reached += &visits(addr, 4).await;
        }
        assert!(!reached.contains('-'), "{name}: {reached}");
        assert_eq!(is_one(&reached), name == "hash", "{name}: {reached}");
    }
}

/// Only one of the servers was reached.
fn is_one(reached: &str) -> bool {
    !(reached.contains('A') && reached.contains('B'))
}

#[tokio::test]
async fn the_first_of_several_to_answer_is_taken() {
    let target = Named::start(b'T').await;
    let (_proxy, good) = socks().await;
    // A node that can't be reached at all, and one that can.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let parallel = "\n    selector: {strategy: parallel}";
    let mut way = Way::new(hop(parallel, &[proxy(nowhere, ""), proxy(good, "")]));
    way.target = target.addr.to_string();
    let (_runtime, addr) = way.start().await;
    assert_eq!(visits(addr, 3).await, "TTT");
}

#[tokio::test]
async fn a_node_is_dialed_from_the_interface_that_is_set_nearest_to_it() {
    let server = Named::start(b'A').await;
    let node = ", interface: 127.0.0.4, metadata: {interface: 127.0.0.5}";
    let rows = [
        ("", "", [127, 0, 0, 1]),
        ("\n    interface: 127.0.0.2", "", [127, 0, 0, 2]),
        (
            "\n    interface: 127.0.0.2\n    metadata: {interface: 127.0.0.3}",
            "",
            [127, 0, 0, 3],
        ),
        (
            "\n    metadata: {interface: 127.0.0.3}",
            ", interface: 127.0.0.4",
            [127, 0, 0, 4],
        ),
        (
            "\n    metadata: {interface: 127.0.0.3}",
            node,
            [127, 0, 0, 5],
        ),
    ];
    for (options, node, from) in rows {
        let (_runtime, addr) = Way::new(hop(options, &[plain(server.addr, node)]))
            .start()
            .await;
        let (_client, name) = Client::connect(addr).await.unwrap();
        assert_eq!(name, Some(b'A'), "{options}{node}");
        assert_eq!(
            server.last_peer().ip(),
            std::net::IpAddr::from(from),
            "{options}{node}"
        );
    }
    // The settings of the service are for the direct way alone.
    for (hops, from) in [
        (hop("", &[plain(server.addr, "")]), 1),
        ("  - {name: h, nodes: []}\n".to_owned(), 6),
    ] {
        let mut way = Way::new(hops);
        (way.service, way.target) = ("interface: 127.0.0.6", server.addr.to_string());
        let (_runtime, addr) = way.start().await;
        let (_client, _) = Client::connect(addr).await.unwrap();
        assert_eq!(
            server.last_peer().ip(),
            std::net::IpAddr::from([127, 0, 0, from])
        );
    }
    // What can't be obeyed is an error, and never the way without it.
    let before = server.accepted();
    for bad in [
        ", metadata: {netns: nosuch}",
        ", netns: nosuch",
        ", interface: nosuch!",
        ", interface: nosuch",
    ] {
        let (_runtime, addr) = Way::new(hop("", &[plain(server.addr, bad)])).start().await;
        assert_eq!(visits(addr, 1).await, "-", "{bad}");
    }
    assert_eq!(server.accepted(), before);
}

#[tokio::test]
async fn a_group_gives_each_request_the_chain_that_is_for_it() {
    let (a, b, t) = (
        Named::start(b'A').await,
        Named::start(b'B').await,
        Named::start(b'T').await,
    );
    let rule = |host: &str| format!(", matcher: {{rule: 'Host(`{host}`)'}}");
    let any = String::new();
    for (first, second, expected) in [
        (rule("127.0.0.1"), rule("other.test"), "AAAA"),
        (rule("other.test"), rule("127.0.0.1"), "BBBB"),
        (any.clone(), any.clone(), "ABAB"),
        (rule("other.test"), any.clone(), "BBBB"),
        // A group is how one says "everything else directly".
        (rule("other.test"), rule("x.test"), "TTTT"),
    ] {
        let port = ports::tcp();
        let yaml = format!(
            "services:
- name: entry
  addr: 127.0.0.1:{port}
  handler:
    type: tcp
    chainGroup: {{chains: [{{chain: a{first}}}, {{chain: b{second}}}]}}
  forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}
chains:
- name: a
  hops:
{}- name: b
  hops:
{}",
            t.addr,
            hop("", &[plain(a.addr, "")]),
            hop("", &[plain(b.addr, "")])
        );
        let _runtime = start(&yaml).await;
        let reached = visits(([127, 0, 0, 1], port).into(), 4).await;
        assert_eq!(reached, expected, "{first} {second}");
    }
}

#[tokio::test]
async fn an_entry_of_a_group_that_names_nothing_is_passed_over() {
    let b = Named::start(b'B').await;
    for (handler, forwarder) in [
        (
            "chainGroup: {chains: [{chain: ''}, {chain: b}]}",
            "{nodes: [{name: t, addr: 't.test:80'}]}",
        ),
        ("metadata: {}", "{hopGroup: {hops: [{hop: ''}, {hop: b}]}}"),
    ] {
        let port = ports::tcp();
        let yaml = format!(
            "services:
- name: entry
  addr: 127.0.0.1:{port}
  handler: {{type: tcp, {handler}}}
  forwarder: {forwarder}
chains:
- name: b
  hops: [{{name: b}}]
hops:
- name: b
  nodes: [{}]
",
            plain(b.addr, "")
        );
        let _runtime = start(&yaml).await;
        let reached = visits(([127, 0, 0, 1], port).into(), 3).await;
        assert_eq!(reached, "BBB", "{handler}");
    }
}

#[tokio::test]
async fn a_forwarder_that_hashes_hosts_it_does_not_know_hashes_clients() {
    let (a, b, c) = (
        Named::start(b'A').await,
        Named::start(b'B').await,
        Named::start(b'C').await,
    );
    let port = ports::tcp();
    let yaml = format!(
        "services:
- name: entry
  addr: 127.0.0.1:{port}
  handler: {{type: tcp, metadata: {{hash: host}}}}
  forwarder:
    selector: {{strategy: hash}}
    nodes:
    - {{name: a, addr: '{}'}}
    - {{name: b, addr: '{}'}}
    - {{name: c, addr: '{}'}}
",
        a.addr, b.addr, c.addr
    );
    let _runtime = start(&yaml).await;
    let mut reached = String::new();
    for last in 1..=3 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, last], 0).into()).expect("bound");
        let connecting = socket.connect(([127, 0, 0, 1], port).into());
        let mut stream = soon(connecting).await.expect("connected");
        let name = soon(stream.read_u8()).await.expect("a name");
        reached.push(name.into());
    }
    // CRC-32 of the addresses modulo 3.
    assert_eq!(reached, "CAB");
}

#[tokio::test]
async fn a_unix_service_leads_to_sockets_of_both_kinds() {
    let server = Named::start(b'A').await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let service = |addr: &str, target: &str| {
        format!(
            "- name: '{addr}'
  addr: '{addr}'
  handler: {{type: unix}}
  listener: {{type: unix}}
  forwarder: {{nodes: [{{name: t, addr: '{target}'}}]}}
"
        )
    };
    let (first, second) = (path("first.sock"), path("second.sock"));
    let services = [
        service(&first, &server.addr.to_string()),
        service(&second, &first),
    ];
    let _runtime = start(&format!("services:\n{}", services.concat())).await;
    for path in [first, second] {
        let connecting = UnixStream::connect(&path);
        let mut stream = soon(connecting).await.expect("connected");
        assert_eq!(soon(stream.read_u8()).await.ok(), Some(b'A'), "{path}");
    }
}
