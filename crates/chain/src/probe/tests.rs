use async_trait::async_trait;
use gost_core::{
    conn::Meta,
    listener::Listener,
    outbound::{BindOptions, NodeAddr, PathId},
    routing::Probed,
};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;

use super::*;
use crate::testing::{Act, World, chain, hop};

const S: Duration = Duration::from_secs(1);

fn tcp(addr: &str) -> ProbeOptions {
    ProbeOptions {
        addr: Addr::parse(addr).unwrap(),
        ..ProbeOptions::default()
    }
}

/// Lets the probe do all that is due now.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn probes_at_once_and_then_at_each_interval_until_dropped() {
    let world = World::default();
    let node = world.node("n1");
    let options = ProbeOptions {
        interval: 5 * S,
        ..tcp("any:1")
    };
    let subject = Subject::Node(node.clone());
    let probe = Probe::start(options, subject, node.marker.clone(), world.sockets());
    settle().await;
    // The node itself is dialed, whatever the address.
    assert_eq!(world.log(), ["socket n1.test:1", "dial n1"]);
    assert!(matches!(node.marker.latency(), Probed::Took(_)));

    world.when("dial n1", Act::Fail(Why::Reset, Side::Node));
    tokio::time::sleep(5 * S).await;
    assert_eq!(world.log().len(), 2);
    // It counts once.
    assert_eq!(
        (node.marker.latency(), node.marker.fails()),
        (Probed::Failed, 1)
    );

    world.when("dial n1", Act::Succeed);
    tokio::time::sleep(5 * S).await;
    assert_eq!(node.marker.fails(), 0);

    drop(probe);
    world.log();
    tokio::time::sleep(60 * S).await;
    assert!(world.log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_usual_interval_and_timeout() {
    let world = World::default();
    world.when("dial n1", Act::Hang);
    let node = world.node("n1");
    let subject = Subject::Node(node.clone());
    let _probe = Probe::start(tcp("any:1"), subject, node.marker.clone(), world.sockets());
    tokio::time::sleep(9 * S).await;
    assert_eq!(node.marker.latency(), Probed::Never);
    tokio::time::sleep(2 * S).await;
    assert_eq!(node.marker.latency(), Probed::Failed);
    world.log();
    tokio::time::sleep(18 * S).await;
    assert!(world.log().is_empty());
    tokio::time::sleep(2 * S).await;
    assert_eq!(world.log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_probed_up_to_the_address() {
    for (act, healthy) in [
        (Act::Succeed, true),
        (Act::Fail(Why::Refused, Side::Target), false),
        (Act::Hang, false),
    ] {
        let world = World::default();
        world.when("n1 connect check:80", act);
        let marker = Arc::new(Marker::default());
        let subject = Subject::Chain(chain(&[&[&world.node("n1")]]));
        let _probe = Probe::start(tcp("check:80"), subject, marker.clone(), world.sockets());
        tokio::time::sleep(10 * S).await;
        settle().await;
        assert_eq!(world.log().last().unwrap(), "n1 connect check:80");
        assert_eq!(
            matches!(marker.latency(), Probed::Took(_)),
            healthy,
            "{act:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_without_nodes_is_probed_directly_and_never_without_an_address() {
    let world = World::default();
    let marker = Arc::new(Marker::default());
    let start = |addr| {
        Probe::start(
            tcp(addr),
            Subject::Chain(chain(&[])),
            marker.clone(),
            world.sockets(),
        )
    };
    let _probe = start("check:80");
    settle().await;
    assert_eq!(world.log(), ["socket check:80"]);
    assert!(matches!(marker.latency(), Probed::Took(_)));
    let _probe = start("");
    settle().await;
    assert!(world.log().is_empty());
    assert_eq!(marker.latency(), Probed::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_hop_is_probed_at_the_node_it_chooses_and_a_target_directly() {
    let world = World::default();
    let target = NodeAddr::new(Addr::parse("target:80").unwrap());
    let target = Arc::new(Node::new(target));
    for (node, log) in [
        (world.node("n1"), &["socket n1.test:1", "dial n1"][..]),
        (target, &["socket target:80"]),
    ] {
        let marker = Arc::new(Marker::default());
        let subject = Subject::Hop(hop("h", &[&node]));
        let _probe = Probe::start(tcp(""), subject, marker.clone(), world.sockets());
        settle().await;
        assert_eq!(world.log(), log);
        assert!(matches!(marker.latency(), Probed::Took(_)));
    }
    let empty = Arc::new(Marker::default());
    let subject = Subject::Hop(hop("h", &[]));
    let _probe = Probe::start(tcp(""), subject, empty.clone(), world.sockets());
    settle().await;
    assert_eq!(empty.latency(), Probed::Failed);
}

/// Sockets at whose other end somebody answers every request with the same bytes.
struct Server {
    answer: &'static [u8],
    seen: Arc<Mutex<String>>,
}

#[async_trait]
impl Outbound for Server {
    async fn connect(&self, _: &Target, _: &Ask) -> Result<Conn> {
        let (near, mut far) = tokio::io::duplex(4096);
        let (answer, seen) = (self.answer, self.seen.clone());
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if far.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            *seen.lock() = String::from_utf8(request).unwrap();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            let _ = far.write_all(answer).await;
        });
        Ok(Conn::stream(near, Meta::default()))
    }

    async fn bind(&self, _: &Target, _: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
        Err(Error::new(Why::Unsupported, "bind"))
    }

    fn path(&self) -> PathId {
        PathId::direct()
    }
}

/// Whether an answer counts as healthy, and what was asked.
async fn http(probe: HttpProbe, answer: &'static [u8]) -> (bool, String) {
    let seen = Arc::default();
    let sockets: Arc<dyn Outbound> = Arc::new(Server {
        answer,
        seen: Arc::clone(&seen),
    });
    let marker = Arc::new(Marker::default());
    let options = ProbeOptions {
        kind: ProbeKind::Http(probe),
        ..tcp("check.test:8080")
    };
    let subject = Subject::Chain(chain(&[]));
    let _probe = Probe::start(options, subject, marker.clone(), sockets);
    // Silence is a failure too, so that there is a result in any case.
    tokio::time::sleep(11 * S).await;
    assert_ne!(marker.latency(), Probed::Never);
    let request = seen.lock().clone();
    (matches!(marker.latency(), Probed::Took(_)), request)
}

#[tokio::test(start_paused = true)]
async fn http_probes_look_at_the_status() {
    let expecting = |status| HttpProbe {
        status,
        ..HttpProbe::default()
    };
    for (status, answer, healthy) in [
        (0, &b"HTTP/1.1 200 OK\r\n\r\n"[..], true),
        (0, b"HTTP/1.0 200\n", true),
        (0, b"HTTP/1.1 204 No Content\r\n\r\n", false),
        (204, b"HTTP/1.1 204 No Content\r\n\r\n", true),
        (204, b"HTTP/1.1 200 OK\r\n\r\n", false),
        (0, b"HTTP/1.1 2000 OK\r\n\r\n", false),
        (0, b"HTTP/1.1\r\n\r\n", false),
        (0, b"SSH-2.0-x 200\r\n", false),
        (0, b"\xff\xff\n", false),
        (0, b"HTTP/1.1 200 OK", false),
        (0, &[b'x'; 3000], false),
        (0, b"", false),
    ] {
        let (found, _) = http(expecting(status), answer).await;
        assert_eq!(found, healthy, "{status} {}", answer.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn http_probes_ask_for_what_is_configured() {
    let ok = b"HTTP/1.1 200 OK\r\n\r\n";
    let (_, request) = http(HttpProbe::default(), ok).await;
    assert_eq!(
        request,
        "GET / HTTP/1.1\r\nHost: check.test:8080\r\nConnection: close\r\n\r\n"
    );
    let probe = HttpProbe {
        path: "/health".into(),
        host: "example.com".into(),
        headers: vec![("X-Probe".into(), "1".into())],
        status: 200,
    };
    let (_, request) = http(probe, ok).await;
    assert_eq!(
        request,
        "GET /health HTTP/1.1\r\nHost: example.com\r\nX-Probe: 1\r\nConnection: close\r\n\r\n"
    );
}

/// The result of a probe by command; waits for it in real time, since the command does.
async fn command(text: &str, timeout: Duration) -> Probed {
    let marker = Arc::new(Marker::default());
    let world = World::default();
    let options = ProbeOptions {
        kind: ProbeKind::Command(text.into()),
        timeout,
        ..ProbeOptions::default()
    };
    let subject = Subject::Chain(chain(&[]));
    let _probe = Probe::start(options, subject, marker.clone(), world.sockets());
    let found = async {
        while marker.latency() == Probed::Never {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        marker.latency()
    };
    let found = tokio::time::timeout(20 * S, found).await.unwrap();
    assert!(world.log().is_empty());
    found
}

#[tokio::test]
async fn commands_say_it_by_their_status() {
    assert!(matches!(command("true", 10 * S).await, Probed::Took(_)));
    assert!(matches!(
        command("test 1 = 1 && exit 0", 10 * S).await,
        Probed::Took(_)
    ));
    assert_eq!(command("exit 3", 10 * S).await, Probed::Failed);
    assert_eq!(
        command("no-such-command-here", 10 * S).await,
        Probed::Failed
    );
    assert_eq!(command("exec sleep 30", S / 10).await, Probed::Failed);
}
