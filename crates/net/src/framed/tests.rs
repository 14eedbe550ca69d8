use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use gost_core::{
    addr::Addr,
    error::{Error, Why},
    packet::{Batch, Packet},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{Framed, SocksUdp};
use crate::udp::{
    FlowOptions, Flows, UdpConn, bind_at, connect,
    tests::{recv, recv_many, send},
};

/// "hello" to 8.8.8.8:53, then to `dns.google:53`, as the original sends them.
const TO_IP: &str = "0005ff0108080808003568656c6c6f";
const TO_NAME: &str = "0005ff030a646e732e676f6f676c65003568656c6c6f";

fn dns() -> Addr {
    Addr::parse("8.8.8.8:53").unwrap()
}

fn google() -> Addr {
    Addr::Name("dns.google".into(), 53)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn addressed(room: usize) -> (Framed, DuplexStream) {
    let (ours, theirs) = duplex(room);
    (Framed::addressed(Box::new(ours)), theirs)
}

#[tokio::test]
async fn the_bytes_are_those_of_the_original() {
    let (ours, mut theirs) = duplex(1000);
    let mut plain = Framed::connected(Box::new(ours));
    send(&mut plain, &[(b"hello", Addr::Any), (b"", Addr::Any)])
        .await
        .unwrap();
    let mut bytes = [0; 9];
    theirs.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"\x00\x05hello\x00\x00");

    let (mut framed, mut theirs) = addressed(1000);
    let datagrams = [(&b"hello"[..], dns()), (b"", dns()), (b"hello", google())];
    send(&mut framed, &datagrams).await.unwrap();
    let wanted = hex(&format!("{TO_IP}{TO_NAME}"));
    let mut bytes = vec![0; wanted.len()];
    theirs.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, wanted);
    assert_eq!(
        framed.dropped(),
        1,
        "there is no empty datagram in a stream"
    );
    drop(framed);
    assert_eq!(
        theirs.read(&mut [0]).await.unwrap(),
        0,
        "and nothing more was sent"
    );
}

#[tokio::test]
async fn frames_may_arrive_in_any_pieces() {
    let bytes = hex(&format!("{TO_IP}{TO_NAME}{TO_IP}"));
    for piece in 1..=bytes.len() {
        let (mut framed, mut theirs) = addressed(1000);
        let bytes = bytes.clone();
        let writer = tokio::spawn(async move {
            for part in bytes.chunks(piece) {
                theirs.write_all(part).await.unwrap();
                // Read before the next piece comes.
                tokio::task::yield_now().await;
            }
            theirs
        });
        let mut got = Vec::new();
        while got.len() < 3 {
            got.extend(recv(&mut framed).await);
        }
        let hello = b"hello".to_vec();
        assert_eq!(
            got,
            [
                (hello.clone(), dns()),
                (hello.clone(), google()),
                (hello, dns())
            ]
        );
        drop(writer.await.unwrap());
        assert!(
            recv(&mut framed).await.is_empty(),
            "the end between frames is an end in order"
        );
    }
}

#[tokio::test]
async fn a_name_in_a_frame_that_is_an_ip_address_is_one() {
    let (mut framed, mut theirs) = addressed(1000);
    theirs
        .write_all(&hex("0001ff0307382e382e382e38003561"))
        .await
        .unwrap();
    // Without length it is an empty datagram.
    theirs
        .write_all(&hex("0000ff01080808080035"))
        .await
        .unwrap();
    let mut got = recv(&mut framed).await;
    while got.len() < 2 {
        got.extend(recv(&mut framed).await);
    }
    assert_eq!(got, [(b"a".to_vec(), dns()), (Vec::new(), dns())]);
}

#[tokio::test]
async fn the_largest_frames_pass_a_narrow_stream_whole() {
    let (ours, theirs) = duplex(1000);
    let (mut near, mut far) = (
        Framed::addressed(Box::new(ours)),
        Framed::addressed(Box::new(theirs)),
    );
    let name = Addr::Name("n".repeat(255).into(), 65_535);
    let payloads: Vec<_> = (0..10u8).map(|i| vec![i; 65_535]).collect();
    let wanted = payloads.clone();
    let sender = tokio::spawn(async move {
        for payload in &payloads {
            send(&mut near, &[(payload, name.clone())]).await.unwrap();
        }
        near
    });
    assert!(recv_many(&mut far, 10).await == wanted);
    drop(sender.await.unwrap());
}

/// Counts writes and takes each whole.
struct Counting {
    inner: DuplexStream,
    writes: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

mod counting {
    use std::{
        pin::Pin,
        sync::atomic::Ordering::Relaxed,
        task::{Context, Poll},
    };

    use gost_core::stream::{RawStream, Stream};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::{Counting, io};

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writes.fetch_add(1, Relaxed);
            Pin::new(&mut self.inner).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_shutdown(cx)
        }
    }

    impl Stream for Counting {
        fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
            Err(self)
        }

        fn abort(self: Box<Self>) {}

        fn half_close(&self) -> bool {
            true
        }
    }
}

#[tokio::test]
async fn a_batch_is_one_write() {
    let (inner, _theirs) = duplex(1 << 20);
    let writes = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let mut framed = Framed::addressed(Box::new(Counting {
        inner,
        writes: writes.clone(),
    }));
    let payload = [1; 1000];
    let datagrams: Vec<_> = (0..30).map(|_| (&payload[..], dns())).collect();
    send(&mut framed, &datagrams).await.unwrap();
    assert_eq!(writes.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn hostile_frames_end_the_conversation_with_an_error() {
    for bytes in [
        // An unknown type of address.
        &b"\x00\x01\xff\x02\x01\x02\x03\x04\x00\x35x"[..],
        // A name that is no text.
        b"\x00\x01\xff\x03\x02\xff\xfe\x00\x35x",
    ] {
        let (mut framed, mut theirs) = addressed(1000);
        theirs.write_all(&hex(TO_IP)).await.unwrap();
        assert_eq!(recv_many(&mut framed, 1).await, [b"hello"]);
        theirs.write_all(bytes).await.unwrap();
        let mut batch = Batch::with_capacity(1 << 17);
        let error = std::future::poll_fn(|cx| framed.poll_recv(cx, &mut batch))
            .await
            .unwrap_err();
        assert_eq!(Error::from(error).why(), Why::BadInput);
        // Nothing that follows is believed.
        theirs.write_all(&hex(TO_IP)).await.unwrap();
        assert!(recv(&mut framed).await.is_empty());
    }
    let (mut framed, mut theirs) = addressed(1000);
    theirs.write_all(&hex(TO_IP)[..9]).await.unwrap();
    drop(theirs);
    let mut batch = Batch::with_capacity(1 << 17);
    let error = std::future::poll_fn(|cx| framed.poll_recv(cx, &mut batch))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn flows_of_a_stream_share_it_without_mixing_frames() {
    let (ours, theirs) = duplex(100);
    let framed = Box::new(Framed::addressed(Box::new(ours)));
    let mut flows = Flows::new(framed, Addr::Any, FlowOptions::default()).unwrap();
    let (mut inbound, mut far) = (Framed::addressed(Box::new(theirs)), Vec::new());
    let clients: Vec<Addr> = (1..=8)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())
        .collect();
    let question = vec![5; 300];
    let questions: Vec<_> = clients.iter().map(|c| (&question[..], c.clone())).collect();
    send(&mut inbound, &questions).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in &clients {
        let incoming = gost_core::listener::Listener::accept(&mut flows)
            .await
            .unwrap();
        let gost_core::listener::Accepted::One(conn) = incoming.finish().await.unwrap() else {
            panic!("one conversation each");
        };
        let (mut flow, meta) = conn.into_packet().unwrap();
        tasks.spawn(async move {
            let mark = meta.peer.port() as u8;
            for _ in 0..20 {
                send(&mut *flow, &[(&[mark; 333], Addr::Any)])
                    .await
                    .unwrap();
            }
            flow
        });
    }
    while far.len() < 8 * 20 {
        far.extend(recv(&mut inbound).await);
    }
    for (payload, addr) in &far {
        assert_eq!(*payload, [addr.port() as u8; 333]);
    }
    tasks.join_all().await;
}

fn socket() -> UdpConn {
    UdpConn::new(bind_at((Ipv4Addr::LOCALHOST, 0).into(), None).unwrap()).unwrap()
}

#[tokio::test]
async fn socks_datagrams_go_both_ways() {
    let inner = socket();
    let at = inner.local_addr().unwrap();
    let mut server = SocksUdp::server(Box::new(inner), Some(Ipv4Addr::LOCALHOST.into()));
    // Nobody to answer to yet.
    send(&mut server, &[(b"early", dns())]).await.unwrap();
    assert_eq!(server.dropped(), 1);
    let inner = connect(at).unwrap();
    let mut client = SocksUdp::client(Box::new(inner), Addr::Any);
    let datagrams = [(&b"one"[..], dns()), (b"", dns()), (b"two", google())];
    send(&mut client, &datagrams).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(recv(&mut server).await);
    }
    let wanted = datagrams.map(|(payload, addr)| (payload.to_vec(), addr));
    assert_eq!(got, wanted);
    let answers: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; 900]).collect();
    let datagrams: Vec<_> = answers.iter().map(|a| (&a[..], dns())).collect();
    send(&mut server, &datagrams).await.unwrap();
    assert_eq!(recv_many(&mut client, 100).await, answers);
}

#[tokio::test]
async fn bad_socks_datagrams_end_nothing() {
    let inner = socket();
    let at = inner.local_addr().unwrap();
    let mut server = SocksUdp::server(Box::new(inner), None);
    let mut client = connect(at).unwrap();
    let bad: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x00\x00\x00",
        b"\x00\x00\x00\x01\x08\x08",
        b"\x00\x00\x00\x02\x08\x08\x08\x08\x00\x35x",
        b"\x00\x00\x00\x03\xff",
        b"\x00\x00\x00\x03\x01\xff\x00\x35x",
        // A fragment.
        b"\x00\x00\x01\x01\x08\x08\x08\x08\x00\x35x",
    ];
    let good = b"\x00\x00\x00\x01\x08\x08\x08\x08\x00\x35hello";
    let mut datagrams: Vec<_> = bad.iter().map(|d| (*d, Addr::Any)).collect();
    datagrams.push((good, Addr::Any));
    send(&mut client, &datagrams).await.unwrap();
    assert_eq!(recv(&mut server).await, [(b"hello".to_vec(), dns())]);
    assert_eq!(server.dropped(), 8);
    // Answers have the same form.
    send(&mut server, &[(b"hello", dns())]).await.unwrap();
    assert_eq!(recv_many(&mut client, 1).await, [good]);
}

#[tokio::test]
async fn other_hosts_have_no_part_in_an_association() {
    let inner = socket();
    let at = inner.local_addr().unwrap();
    let mut server = SocksUdp::server(Box::new(inner), Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    let mut stranger = SocksUdp::client(Box::new(connect(at).unwrap()), Addr::Any);
    send(&mut stranger, &[(b"let me in", dns())]).await.unwrap();
    let friend = bind_at((Ipv4Addr::new(127, 0, 0, 2), 0).into(), None).unwrap();
    let mut friend = SocksUdp::client(Box::new(UdpConn::new(friend).unwrap()), at.into());
    send(&mut friend, &[(b"hello", dns())]).await.unwrap();
    assert_eq!(recv_many(&mut server, 1).await, [b"hello"]);
    assert_eq!(server.dropped(), 1);
    send(&mut server, &[(b"for you", dns())]).await.unwrap();
    assert_eq!(recv_many(&mut friend, 1).await, [b"for you"]);
}
