//! Our connectors: what they send, held against recordings of the original's, and what they make
//! of the answers.

use gost_core::{packet::Batch, prelude::*};
use gost_testbed::{OneUser, Through, serve};
use gost_testkit::soon;
use gost_testkit::{
    tcp::{Behaviour, Server},
    udp,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::support::{handler, open, transcripts, unhex, via};

const SOCKS5: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/socks5.json"
));
const SOCKS4: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/socks4.json"
));

/// A server that says what a recorded one said, once the client has said what a recorded one said.
async fn recorded(transcript: Value) -> (std::net::SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let replay = tokio::spawn(async move {
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        for event in transcript["events"].as_array().unwrap() {
            if event["kind"] != "data" {
                continue;
            }
            let bytes = unhex(event["hex"].as_str().unwrap());
            if event["dir"] == "s2c" {
                stream.write_all(&bytes).await.unwrap();
            } else {
                let mut got = vec![0; bytes.len()];
                soon(stream.read_exact(&mut got)).await.unwrap();
                assert_eq!(
                    hex::encode(got),
                    hex::encode(bytes),
                    "{}",
                    transcript["name"]
                );
            }
        }
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(
            hex::encode(rest),
            "",
            "{}: more than recorded",
            transcript["name"]
        );
    });
    (addr, replay)
}

fn transcript(json: &str, name: &str) -> Value {
    let all = transcripts(json);
    let found = all
        .into_iter()
        .find(|transcript| transcript["name"] == name);
    found.unwrap_or_else(|| panic!("no transcript {name}"))
}

async fn connect(via: &Through, to: &str) -> Result<Conn> {
    soon(via.connect(&Target::tcp(Addr::parse(to).unwrap()), &Ask::default())).await
}

/// Plays the client's part of a recorded conversation: `Err` is what became of the request.
async fn play(
    connector: &str,
    json: &str,
    name: &str,
    query: &str,
    auth: Option<(&str, &str)>,
    to: &str,
) -> Result<()> {
    let (addr, replay) = recorded(transcript(json, name)).await;
    let way = via(connector, query, auth, addr).await;
    let result = match connect(&way, to).await {
        Ok(conn) => {
            let (mut stream, _) = conn.into_stream()?;
            for (say, hear) in [(b"ping1", b"PING1"), (b"ping2", b"PING2")] {
                stream.write_all(say).await.unwrap();
                let mut got = [0; 5];
                soon(stream.read_exact(&mut got)).await.unwrap();
                assert_eq!(&got, hear);
            }
            stream.shutdown().await.unwrap();
            Ok(())
        }
        Err(error) => Err(error),
    };
    replay.await.unwrap();
    result
}

#[tokio::test]
async fn socks5_says_what_the_original_says() {
    let to = "127.0.0.1:41237";
    let user = Some(("user", "pass"));
    let five = |name, auth, to| play("socks5", SOCKS5, name, "notls=true", auth, to);
    five("notls client, no credentials", None, to)
        .await
        .unwrap();
    five("notls client, user/password", user, to).await.unwrap();

    let wrong = Some(("user", "bad"));
    let error = five("notls client, wrong password", wrong, to)
        .await
        .unwrap_err();
    assert_eq!((error.why(), error.at_side()), (Why::Auth, Side::Node));
    let name = "notls client without credentials against auth";
    let error = five(name, None, to).await.unwrap_err();
    assert_eq!((error.why(), error.at_side()), (Why::Auth, Side::Node));
    let error = five("target refuses", None, "127.0.0.1:1")
        .await
        .unwrap_err();
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::Unreachable, Side::Target)
    );
}

#[tokio::test]
async fn socks4_says_what_the_original_says() {
    let to = "127.0.0.1:41237";
    let four = |name, query, user, to| play("socks4", SOCKS4, name, query, user, to);
    four("default client, IPv4 literal target", "", None, to)
        .await
        .unwrap();
    four("socks4a, name target", "", None, "localhost:41237")
        .await
        .unwrap();
    four("disable4a", "disable4a=true", None, "localhost:41237")
        .await
        .unwrap();
    four("user id", "", Some(("user", "")), to).await.unwrap();

    let error = four("wrong user id", "", Some(("eve", "")), to)
        .await
        .unwrap_err();
    assert_eq!((error.why(), error.at_side()), (Why::Auth, Side::Node));
    let error = four("refused", "", None, "127.0.0.1:1").await.unwrap_err();
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::Unreachable, Side::Target)
    );
    let error = four("bypass", "", None, to).await.unwrap_err();
    assert_eq!((error.why(), error.at_side()), (Why::Denied, Side::Target));
}

#[tokio::test]
async fn the_udp_tunnel_says_what_the_original_says() {
    let name = "UDP tunnel (command f3, port 0): udp forward through socks5";
    let (addr, replay) = recorded(transcript(SOCKS5, name)).await;
    let way = via("socks5", "notls=true", None, addr).await;
    // The port of the target in the recording.
    let to = Target::udp(Addr::parse("127.0.0.1:39045").unwrap());
    let conn = soon(way.connect(&to, &Ask::default())).await.unwrap();
    let (mut packet, _) = conn.into_packet().unwrap();
    for (say, hear) in [("one", "ONE"), ("two", "TWO"), ("three", "THREE")] {
        assert_eq!(
            ask(&mut *packet, say.as_bytes(), Addr::Any).await,
            hear.as_bytes()
        );
    }
    drop(packet);
    replay.await.unwrap();

    let name = "UDP tunnel refused (udp not enabled)";
    let (addr, replay) = recorded(transcript(SOCKS5, name)).await;
    let way = via("socks5", "notls=true", None, addr).await;
    let error = soon(way.connect(&to, &Ask::default())).await.unwrap_err();
    assert_eq!((error.why(), error.at_side()), (Why::Denied, Side::Target));
    replay.await.unwrap();
}

/// Sends a datagram and gives the next one that comes.
pub(crate) async fn ask(packet: &mut dyn Packet, say: &[u8], to: Addr) -> Vec<u8> {
    let mut batch = Batch::with_capacity(gost_core::packet::MIN_ROOM);
    assert!(batch.push(say, to));
    soon(std::future::poll_fn(|cx| packet.poll_send(cx, &mut batch)))
        .await
        .unwrap();
    batch.clear();
    soon(std::future::poll_fn(|cx| packet.poll_recv(cx, &mut batch)))
        .await
        .unwrap();
    let (payload, _) = batch.front().expect("an answer");
    payload.to_vec()
}

#[tokio::test]
async fn our_two_sides_understand_each_other() {
    let target = Server::start(Behaviour::Banner(b"hello"[..].into()))
        .await
        .unwrap();
    let to = target.address().to_string();
    for (connector, query) in [("socks5", ""), ("socks4", ""), ("socks4", "disable4a=true")] {
        let server = open(connector, "").await;
        let way = via(connector, query, None, server.addr).await;
        // The target speaks first: its words may come with the reply.
        let conn = connect(&way, &to).await.unwrap();
        let (mut stream, meta) = conn.into_stream().unwrap();
        let mut banner = [0; 5];
        soon(stream.read_exact(&mut banner)).await.unwrap();
        assert_eq!(&banner, b"hello");
        assert_eq!(meta.peer, server.addr.into());
    }
}

#[tokio::test]
async fn an_empty_host_is_the_nodes_own() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let to = format!(":{}", target.port());
    for connector in ["socks5", "socks4"] {
        let server = open(connector, "").await;
        let way = via(connector, "", None, server.addr).await;
        connect(&way, &to).await.unwrap();
    }
}

#[tokio::test]
async fn chained_servers_carry_datagrams_both_ways() {
    let target = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let far = open("socks5", "udp=true").await;
    for relay in ["", "relay=udp"] {
        let out = via("socks5", relay, None, far.addr).await;
        let near = serve(handler("socks5", "udp=true").await, |serving| {
            serving.out = std::sync::Arc::new(out);
        })
        .await;
        let way = via("socks5", relay, None, near.addr).await;
        let association = Target::udp(Addr::Any);
        let conn = soon(way.connect(&association, &Ask::default()))
            .await
            .unwrap();
        let (mut packet, _) = conn.into_packet().unwrap();
        let big = vec![7; 20_000];
        for payload in [&b"first"[..], &big, b"last"] {
            let to = target.address().into();
            assert_eq!(ask(&mut *packet, payload, to).await, payload, "{relay:?}");
        }
    }
}

/// A server that reads a greeting and then does something else.
async fn answers(hex: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 64];
        let _ = stream.read(&mut greeting).await;
        stream.write_all(&unhex(hex)).await.unwrap();
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    addr
}

#[tokio::test]
async fn broken_nodes_are_to_blame_and_targets_are_not_theirs() {
    for (connector, answer, why, side) in [
        ("socks5", "", Why::Closed, Side::Node),
        ("socks5", "05", Why::Closed, Side::Node),
        ("socks5", "4854", Why::BadInput, Side::Node),
        ("socks5", "0502", Why::BadInput, Side::Node),
        ("socks5", "0580", Why::BadInput, Side::Node),
        ("socks5", "0500040000", Why::BadInput, Side::Node),
        ("socks5", "05000500000900", Why::BadInput, Side::Node),
        (
            "socks5",
            "0500050100010000000000000000",
            Why::Other,
            Side::Target,
        ),
        (
            "socks5",
            "0500050200010000000000000000",
            Why::Denied,
            Side::Target,
        ),
        (
            "socks5",
            "0500050300010000000000000000",
            Why::Unreachable,
            Side::Target,
        ),
        (
            "socks5",
            "0500050400010000000000000000",
            Why::Unreachable,
            Side::Target,
        ),
        (
            "socks5",
            "0500050500010000000000000000",
            Why::Refused,
            Side::Target,
        ),
        (
            "socks5",
            "0500050600010000000000000000",
            Why::Unreachable,
            Side::Target,
        ),
        (
            "socks5",
            "0500055500010000000000000000",
            Why::BadInput,
            Side::Node,
        ),
        ("socks4", "", Why::Closed, Side::Node),
        ("socks4", "48", Why::BadInput, Side::Node),
        ("socks4", "0001000000000000", Why::Other, Side::Node),
    ] {
        let way = via(connector, "", None, answers(answer).await).await;
        let error = connect(&way, "192.0.2.1:1").await.unwrap_err();
        assert_eq!(
            (error.why(), error.at_side()),
            (why, side),
            "{connector} {answer}: {error}"
        );
    }
}

#[tokio::test]
async fn silence_ends_by_the_connectors_own_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    for connector in ["socks5", "socks4"] {
        let way = via(connector, "timeout=100ms", None, addr).await;
        let error = connect(&way, "192.0.2.1:1").await.unwrap_err();
        assert_eq!((error.why(), error.at_side()), (Why::TimedOut, Side::Node));
    }
}

#[tokio::test]
async fn credentials_that_no_request_can_carry_fail_at_once() {
    let registry = crate::support::registry();
    for name in ["socks5", "socks4"] {
        let mut build = Build::new(registry.clone());
        build.auth = Some(gost_core::policy::Credentials {
            username: "u".repeat(256),
            password: String::new(),
        });
        let values = gost_core::values::Values::new();
        let made = registry.make::<dyn Connector>(name, &values, build).await;
        assert_eq!(made.err().unwrap().why(), Why::BadInput);
    }
}

#[tokio::test]
async fn a_user_is_sent_only_to_who_asks() {
    // A server without users chooses the method without any.
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "").await;
    let way = via("socks5", "", Some(("user", "pass")), server.addr).await;
    connect(&way, &target.address().to_string()).await.unwrap();

    let guarded = serve(handler("socks5", "").await, |serving| {
        serving.policies.auther = Some(std::sync::Arc::new(OneUser("user", "pass")));
    })
    .await;
    let way = via("socks5", "", Some(("user", "pass")), guarded.addr).await;
    connect(&way, &target.address().to_string()).await.unwrap();
}

#[tokio::test]
async fn a_question_ends_with_its_answer_and_in_order() {
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let way = via("socks5", "notls=true", None, node.local_addr().unwrap()).await;
    let target = |network, addr: &str| Target {
        network,
        addr: Addr::parse(addr).unwrap(),
    };
    for (asked, request, answer) in [
        (
            target(Network::Resolve, "example.com:0"),
            "05f000030b6578616d706c652e636f6d0000",
            "05000001090909090000",
        ),
        (
            target(Network::ResolvePtr, "9.9.9.9:0"),
            "05f10001090909090000",
            "05000003036e732e0000",
        ),
    ] {
        let served = async {
            let (mut stream, _) = node.accept().await.unwrap();
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let mut got = vec![0; request.len() / 2];
            stream.read_exact(&mut got).await.unwrap();
            stream.write_all(&unhex(answer)).await.unwrap();
            let mut rest = Vec::new();
            // A reset would be an error.
            stream.read_to_end(&mut rest).await.unwrap();
            (hex::encode(got), rest)
        };
        let ask = Ask::default();
        let (conn, (got, rest)) =
            soon(async { tokio::join!(way.connect(&asked, &ask), served) }).await;
        assert!(matches!(conn.unwrap().io, Io::Other(_)));
        assert_eq!((&*got, rest.len()), (request, 0));
    }
}
