use std::{
    future::poll_fn,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gost_core::{
    addr::Addr,
    packet::{Batch, MIN_ROOM, Packet},
};
use gost_testkit::soon;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    Client, Listening, Server, open,
    segment::{ACK, PSH, SYN, Segment},
};

/// False where raw sockets are not allowed; says so.
fn is_allowed() -> bool {
    match open(Domain::IPV4) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

fn listening(at: &str) -> (Listening, SocketAddr) {
    let listening = Listening::bind(at.parse().unwrap(), Arc::new(open)).unwrap();
    let at = listening.local_addr().unwrap();
    (listening, at)
}

fn server(at: &str) -> (Server, SocketAddr) {
    let (listening, at) = listening(at);
    (listening.serve().unwrap(), at)
}

async fn client(to: SocketAddr) -> Client {
    let domain = Domain::for_address(to);
    let tcp = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).unwrap();
    let raw = open(domain).unwrap();
    soon(Client::connect(raw, tcp, to)).await.unwrap()
}

async fn send(from: &mut impl Packet, to: Addr, data: &[u8]) {
    let mut batch = Batch::with_capacity(MIN_ROOM);
    assert!(batch.push(data, to));
    soon(poll_fn(|cx| from.poll_send(cx, &mut batch)))
        .await
        .unwrap();
    assert!(batch.is_empty());
}

/// What comes first, and from whom; `None` at the end of the conversation.
async fn next(at: &mut impl Packet) -> std::io::Result<Option<(Vec<u8>, Addr)>> {
    let mut batch = Batch::with_capacity(MIN_ROOM);
    soon(poll_fn(|cx| at.poll_recv(cx, &mut batch))).await?;
    Ok(batch
        .front()
        .map(|(data, from)| (data.to_vec(), from.clone())))
}

async fn received(at: &mut impl Packet) -> (Vec<u8>, Addr) {
    next(at).await.unwrap().expect("a datagram")
}

/// There and back, at a server that answers nobody else meanwhile.
async fn exchange(server: &mut Server, client: &mut Client, text: &[u8]) {
    send(client, Addr::Any, text).await;
    let (data, from) = received(server).await;
    assert_eq!((&data[..], from.ip()), (text, Some(client.local_addr())));
    send(server, from, &[text, b"!"].concat()).await;
    assert_eq!(received(client).await.0, [text, b"!"].concat());
}

#[tokio::test]
async fn datagrams_go_both_ways_whatever_their_length() {
    if !is_allowed() {
        return;
    }
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let (mut server, at) = server(at);
        let (mut one, mut two) = (client(at).await, client(at).await);
        for length in [1, 2, 3, 100, 1399, 1400, 1460] {
            exchange(&mut server, &mut one, &vec![7; length]).await;
            exchange(&mut server, &mut two, &vec![8; length]).await;
        }
    }
}

#[tokio::test]
async fn a_wildcard_takes_both_families() {
    if !is_allowed() {
        return;
    }
    let (mut server, at) = server("[::]:0");
    for ip in ["127.0.0.1", "127.0.0.7", "::1"] {
        let to = SocketAddr::new(ip.parse().unwrap(), at.port());
        exchange(&mut server, &mut client(to).await, b"hello").await;
    }
}

/// The headers of all segments to and from a port that a raw socket has taken so far.
fn seen(tap: &mut Socket, port: u16) -> Vec<Segment> {
    let mut packet = [0; 4096];
    let mut all = Vec::new();
    while let Ok(len) = tap.read(&mut packet) {
        let start = usize::from(packet[0] & 15) * 4;
        let segment = Segment::parse(&packet[start..len]).unwrap();
        if segment.source == port || segment.destination == port {
            all.push(segment);
        }
    }
    all
}

#[tokio::test]
async fn on_the_wire_it_is_a_handshake_and_then_data_in_order() {
    if !is_allowed() {
        return;
    }
    let mut tap = open(Domain::IPV4).unwrap();
    let (mut server, at) = server("127.0.0.1:0");
    let mut client = client(at).await;
    for text in [b"one", b"two"] {
        exchange(&mut server, &mut client, text).await;
    }
    let all = seen(&mut tap, at.port());
    let flags: Vec<_> = all.iter().map(|segment| segment.flags).collect();
    let data = PSH | ACK;
    assert_eq!(flags, [SYN, SYN | ACK, ACK, data, data, data, data]);
    // Each goes on where the one before it in its direction has ended, and acknowledges all that
    // came: the systems say nothing of their own.
    let (mut client_next, mut server_next) = (all[0].end(), all[1].end());
    for (i, segment) in all[3..].iter().enumerate() {
        let (own, other) = if i % 2 == 0 {
            (&mut client_next, &mut server_next)
        } else {
            (&mut server_next, &mut client_next)
        };
        assert_eq!((segment.seq, segment.ack), (*own, *other), "{i}");
        *own = segment.end();
    }
}

#[tokio::test]
async fn each_end_hears_when_the_other_is_gone() {
    if !is_allowed() {
        return;
    }
    let (mut server, at) = server("127.0.0.1:0");
    let mut one = client(at).await;
    exchange(&mut server, &mut one, b"hello").await;
    drop(server);
    assert!(!matches!(next(&mut one).await, Ok(Some(_))));

    let (mut server, at) = self::server("127.0.0.1:0");
    let mut one = client(at).await;
    exchange(&mut server, &mut one, b"hello").await;
    assert_eq!(server.flows(), 1);
    drop(one);
    let mut batch = Batch::with_capacity(MIN_ROOM);
    soon(poll_fn(|cx| {
        assert!(server.poll_recv(cx, &mut batch).is_pending());
        cx.waker().wake_by_ref();
        if server.flows() > 0 {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    }))
    .await;
}

#[tokio::test]
async fn datagrams_to_strangers_are_dropped() {
    if !is_allowed() {
        return;
    }
    let (mut server, at) = server("127.0.0.1:0");
    let stranger = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 9);
    send(&mut server, stranger.into(), b"hello").await;
    send(&mut server, Addr::Any, b"hello").await;
    exchange(&mut server, &mut client(at).await, b"hello").await;
}

#[tokio::test]
async fn one_who_speaks_tcp_harms_nobody() {
    if !is_allowed() {
        return;
    }
    let (mut server, at) = server("127.0.0.1:0");
    let mut tcp = std::net::TcpStream::connect(at).unwrap();
    // The system leaves the checksum of what it sends over loopback to a device that is not there,
    // so this is dropped; whoever comes next is served all the same.
    std::io::Write::write_all(&mut tcp, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    exchange(&mut server, &mut client(at).await, b"hello").await;
    let here = tcp.local_addr().unwrap();
    send(&mut server, here.into(), b"nothing was heard of it").await;
    tcp.set_nonblocking(true).unwrap();
    assert!(tcp.read(&mut [0; 9]).is_err());
}

#[tokio::test]
async fn nobody_listens_twice_and_nobody_connects_to_nobody() {
    if !is_allowed() {
        return;
    }
    let (_held, at) = listening("127.0.0.1:0");
    assert!(Listening::bind(at, Arc::new(open)).is_err());
    let free = gost_testkit::ports::tcp();
    let to = SocketAddr::from(([127, 0, 0, 1], free));
    let tcp = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    let refused = soon(Client::connect(open(Domain::IPV4).unwrap(), tcp, to)).await;
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}
