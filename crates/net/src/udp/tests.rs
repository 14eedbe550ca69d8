use std::{
    future::poll_fn,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
    meter::{Allowance, Direction, Meter, Metering},
    packet::{Batch, MAX_DATAGRAM, MIN_ROOM, Packet},
    policy::Answer,
};
use tokio::{net::UdpSocket, time::timeout};

use super::{Filtered, RelayOptions, Resolve, UdpConn, bind_at, connect, lease, relay};

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// An unconnected conversation on loopback.
pub(super) fn open(at: SocketAddr) -> UdpConn {
    UdpConn::new(bind_at(at, None).unwrap()).unwrap()
}

/// Receives at least one datagram.
pub(crate) async fn recv(packet: &mut (impl Packet + ?Sized)) -> Vec<(Vec<u8>, Addr)> {
    let mut batch = Batch::with_capacity(2 * MIN_ROOM);
    timeout(PATIENCE, poll_fn(|cx| packet.poll_recv(cx, &mut batch)))
        .await
        .expect("nothing came in time")
        .unwrap();
    batch
        .iter()
        .map(|(payload, addr)| (payload.to_vec(), addr.clone()))
        .collect()
}

pub(crate) async fn recv_many(packet: &mut (impl Packet + ?Sized), n: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < n {
        let some = recv(packet).await;
        assert!(!some.is_empty(), "over after {} of {n}", all.len());
        all.extend(some.into_iter().map(|(payload, _)| payload));
    }
    all
}

pub(crate) async fn send(
    packet: &mut (impl Packet + ?Sized),
    datagrams: &[(&[u8], Addr)],
) -> std::io::Result<()> {
    let mut batch = Batch::with_capacity(datagrams.iter().map(|(p, _)| p.len()).sum());
    for (payload, addr) in datagrams {
        assert!(batch.push(payload, addr.clone()));
    }
    timeout(PATIENCE, poll_fn(|cx| packet.poll_send(cx, &mut batch)))
        .await
        .expect("not sent in time")
}

/// Sends back what it receives.
pub(super) async fn echo() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let mut conn = open(localhost());
    let addr = conn.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            for (payload, from) in recv_forever(&mut conn).await {
                let _ = send(&mut conn, &[(&payload, from)]).await;
            }
        }
    });
    (addr, task)
}

async fn recv_forever(conn: &mut UdpConn) -> Vec<(Vec<u8>, Addr)> {
    let mut batch = lease();
    poll_fn(|cx| conn.poll_recv(cx, &mut batch)).await.unwrap();
    batch.iter().map(|(p, a)| (p.to_vec(), a.clone())).collect()
}

#[tokio::test]
async fn lengths_of_all_kinds_arrive_in_order_and_whole() {
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let mut receiver = open(SocketAddr::new(ip, 0));
        let mut sender = connect(receiver.local_addr().unwrap()).unwrap();
        let from = Addr::from(sender.local_addr().unwrap());
        let lengths = [
            5,
            5,
            5,
            3,
            0,
            0,
            1400,
            1400,
            1400,
            1,
            9000,
            9000,
            MAX_DATAGRAM,
            2,
            2,
        ];
        let sent: Vec<Vec<u8>> = (0u8..).zip(lengths).map(|(i, len)| vec![i; len]).collect();
        let datagrams: Vec<_> = sent.iter().map(|p| (&p[..], Addr::Any)).collect();
        send(&mut sender, &datagrams).await.unwrap();
        let mut got = Vec::new();
        while got.len() < sent.len() {
            got.extend(recv(&mut receiver).await);
        }
        assert!(got.iter().all(|(_, addr)| *addr == from));
        let got: Vec<_> = got.into_iter().map(|(payload, _)| payload).collect();
        assert!(
            got == sent,
            "{ip}: {:?}",
            got.iter().map(Vec::len).collect::<Vec<_>>()
        );
        assert_eq!(sender.dropped(), 0);
    }
}

#[tokio::test]
async fn a_receiver_without_segmentation_gets_single_datagrams() {
    let receiver = UdpSocket::bind(localhost()).await.unwrap();
    let mut sender = connect(receiver.local_addr().unwrap()).unwrap();
    let payloads: Vec<Vec<u8>> = (0u8..100).map(|i| vec![i; 700]).collect();
    let datagrams: Vec<_> = payloads.iter().map(|p| (&p[..], Addr::Any)).collect();
    send(&mut sender, &datagrams).await.unwrap();
    let mut buffer = vec![0; 65_536];
    for payload in &payloads {
        let n = timeout(PATIENCE, receiver.recv(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&buffer[..n], payload);
    }
}

#[tokio::test]
async fn each_datagram_goes_to_its_own_address() {
    let mut receivers = [open(localhost()), open(localhost()), open(localhost())];
    let to: Vec<Addr> = receivers
        .iter()
        .map(|r| r.local_addr().unwrap().into())
        .collect();
    let mut sender = open(localhost());
    let payloads: Vec<[u8; 2]> = (0u8..90).map(|i| [i % 3, i]).collect();
    let datagrams: Vec<_> = payloads
        .iter()
        .map(|p| (&p[..], to[usize::from(p[0])].clone()))
        .collect();
    send(&mut sender, &datagrams).await.unwrap();
    for (i, receiver) in (0u8..).zip(&mut receivers) {
        let got = recv_many(receiver, 30).await;
        let wanted: Vec<Vec<u8>> = (0..30).map(|n| vec![i, n * 3 + i]).collect();
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn a_dual_stack_socket_shows_and_takes_ipv4_addresses() {
    let mut both = open((Ipv6Addr::UNSPECIFIED, 0).into());
    let port = both.local_addr().unwrap().port();
    let mut v4 = connect((Ipv4Addr::LOCALHOST, port).into()).unwrap();
    send(&mut v4, &[(b"question", Addr::Any)]).await.unwrap();
    let got = recv(&mut both).await;
    let from = Addr::from(v4.local_addr().unwrap());
    assert_eq!(got, [(b"question".to_vec(), from.clone())]);
    send(&mut both, &[(b"answer", from)]).await.unwrap();
    assert_eq!(recv_many(&mut v4, 1).await, [b"answer"]);
    // The other way round there is no such form.
    let mut v4 = open(localhost());
    let v6 = Addr::from(SocketAddr::from((Ipv6Addr::LOCALHOST, 9)));
    send(&mut v4, &[(b"lost", v6)]).await.unwrap();
    assert_eq!(v4.dropped(), 1);
}

#[tokio::test]
async fn a_closed_port_ends_nothing() {
    let probe = StdSocket::bind(localhost()).unwrap();
    let addr = probe.local_addr().unwrap();
    drop(probe);
    let mut conn = connect(addr).unwrap();
    for _ in 0..5 {
        send(&mut conn, &[(b"anybody?", Addr::Any)]).await.unwrap();
    }
    let mut late = open(addr);
    // Whatever ICMP errors are on their way are in the way of receiving and sending alike.
    send(&mut conn, &[(b"now", Addr::Any)]).await.unwrap();
    let (payload, from) = recv(&mut late).await.remove(0);
    assert_eq!(payload, b"now");
    send(&mut late, &[(b"yes", from)]).await.unwrap();
    assert_eq!(recv_many(&mut conn, 1).await, [b"yes"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_dropped_and_counted() {
    let mut receiver = open(localhost());
    let to = Addr::from(receiver.local_addr().unwrap());
    let mut sender = open(localhost());
    let long = vec![0; MAX_DATAGRAM + 1];
    send(
        &mut sender,
        &[
            (&long, to.clone()),
            (b"nowhere", Addr::Any),
            (b"no resolver", Addr::Name("localhost".into(), to.port())),
            (b"good", to),
        ],
    )
    .await
    .unwrap();
    assert_eq!(recv_many(&mut receiver, 1).await, [b"good"]);
    assert_eq!(sender.dropped(), 3);
}

#[tokio::test]
async fn names_are_resolved_once_while_their_datagrams_wait() {
    let mut receiver = open(localhost());
    let to = receiver.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let resolve: Resolve = Arc::new(move |addr| {
        let known = addr.host() == "there";
        count.fetch_add(1, Relaxed);
        Box::pin(async move {
            tokio::task::yield_now().await;
            if known {
                Ok(to)
            } else {
                Err(Error::new(Why::Unresolved, "x"))
            }
        })
    });
    let sender = open(localhost()).with_resolver(resolve);
    let there = Addr::Name("there".into(), to.port());
    let nowhere = Addr::Name("nowhere".into(), 1);
    let mut sender: Box<dyn Packet> = Box::new(sender);
    // It keeps its wrapper, which a bare socket could not do without.
    sender = sender.into_raw().unwrap_err();
    send(
        &mut *sender,
        &[
            (b"1", there.clone()),
            (b"lost", nowhere.clone()),
            (b"2", there.clone()),
        ],
    )
    .await
    .unwrap();
    // Whoever relays always reads too, and so the answer is seen.
    let mut batch = lease();
    let mut got = Vec::new();
    while got.len() < 2 {
        tokio::select! {
            more = recv(&mut receiver) => got.extend(more),
            _ = poll_fn(|cx| sender.poll_recv(cx, &mut batch)) => unreachable!("nobody answers"),
        }
    }
    let payloads: Vec<_> = got.into_iter().map(|(payload, _)| payload).collect();
    assert_eq!(payloads, [b"1", b"2"]);
    send(&mut *sender, &[(b"lost", nowhere), (b"3", there)])
        .await
        .unwrap();
    assert_eq!(recv_many(&mut receiver, 1).await, [b"3"]);
    assert_eq!(asked.load(Relaxed), 2);
}

#[tokio::test]
async fn a_name_that_is_never_resolved_holds_little() {
    let resolve: Resolve = Arc::new(|_| Box::pin(std::future::pending()));
    let mut sender = open(localhost()).with_resolver(resolve);
    let datagram = vec![0; 1000];
    for port in 0..100 {
        let to = Addr::Name("x".into(), port);
        let datagrams: Vec<_> = (0..100).map(|_| (&datagram[..], to.clone())).collect();
        send(&mut sender, &datagrams).await.unwrap();
    }
    // 16 names with 32 datagrams each may wait.
    assert_eq!(sender.dropped(), 100 * 100 - 16 * 32);
}

/// Allows what goes to or comes from even ports, at once or later.
fn even_ports(later: bool) -> super::Check {
    Arc::new(move |addr| {
        let pass = addr.port() % 2 == 0;
        if later {
            Answer::later(async move {
                tokio::task::yield_now().await;
                pass
            })
        } else {
            Answer::Now(pass)
        }
    })
}

/// A socket on a port of the wanted parity.
fn open_parity(odd: u16) -> UdpConn {
    (0..1000)
        .map(|_| open(localhost()))
        .find(|conn| conn.local_addr().unwrap().port() % 2 == odd)
        .unwrap()
}

#[tokio::test]
async fn forbidden_addresses_are_dropped_both_ways() {
    for later in [false, true] {
        let (mut even, mut odd) = (open_parity(0), open_parity(1));
        let even_addr = Addr::from(even.local_addr().unwrap());
        let odd_addr = Addr::from(odd.local_addr().unwrap());
        let inner = open(localhost());
        let local = Addr::from(inner.local_addr().unwrap());
        let mut filtered = Filtered::new(Box::new(inner), even_ports(later));
        let datagrams = [(&b"no"[..], odd_addr), (&b"yes"[..], even_addr)];
        send(&mut filtered, &datagrams).await.unwrap();
        let mut batch = lease();
        let got = tokio::select! {
            got = recv(&mut even) => got,
            _ = poll_fn(|cx| filtered.poll_recv(cx, &mut batch)) => unreachable!("silence"),
        };
        assert_eq!(got[0].0, b"yes");
        send(&mut odd, &[(b"no", local.clone())]).await.unwrap();
        send(&mut even, &[(b"answer", local)]).await.unwrap();
        assert_eq!(recv_many(&mut filtered, 1).await, [b"answer"]);
    }
}

struct Limit(std::sync::Mutex<usize>);

impl Metering for Limit {
    fn count(&self, _: Direction, bytes: usize) {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(bytes);
    }

    fn allow(&self, _: Direction, want: usize) -> Allowance {
        match *self.0.lock().unwrap() {
            0 => Allowance::After(Duration::from_secs(1)),
            left => Allowance::Bytes(left.min(want)),
        }
    }
}

#[tokio::test]
async fn a_relay_moves_both_ways_and_counts() {
    let (echo, _task) = echo().await;
    let mut far = open(localhost());
    let client = open(localhost());
    let entry = client.local_addr().unwrap();
    drop(client);
    let near = StdSocket::bind(entry).unwrap();
    near.connect(far.local_addr().unwrap()).unwrap();
    let near = UdpConn::new(near).unwrap();
    let meter = Meter::new(Arc::new(Limit(std::sync::Mutex::new(2500))));
    let options = RelayOptions {
        idle: Some(Duration::from_millis(200)),
        meter,
        check: None,
    };
    let task = tokio::spawn(relay(
        Box::new(near),
        Box::new(connect(echo).unwrap()),
        options,
    ));
    let payload = [7; 1000];
    send(&mut far, &[(&payload, entry.into())]).await.unwrap();
    assert_eq!(recv_many(&mut far, 1).await, [payload]);
    // 500 bytes are left of the limit: one datagram may still overdraw it.
    send(
        &mut far,
        &[(&payload, entry.into()), (&payload, entry.into())],
    )
    .await
    .unwrap();
    let outcome = timeout(PATIENCE, task).await.unwrap().unwrap();
    assert!(outcome.error.is_none());
    assert_eq!((outcome.input.packets, outcome.input.bytes), (2, 2000));
    assert_eq!((outcome.output.packets, outcome.output.dropped), (1, 1));
    assert_eq!(outcome.input.dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_relay_is_over_when_idle_and_small_while_it_waits() {
    let options = RelayOptions {
        idle: Some(Duration::from_mins(1)),
        ..RelayOptions::default()
    };
    let began = tokio::time::Instant::now();
    let future = relay(
        Box::new(open(localhost())),
        Box::new(open(localhost())),
        options,
    );
    assert!(size_of_val(&future) <= 256, "{}", size_of_val(&future));
    let outcome = future.await;
    assert_eq!(outcome.input, super::Tally::default());
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn listen_addresses_choose_the_family() -> Result<()> {
    let door = gost_core::build::Door::default();
    for (at, v6) in [
        (":0", true),
        ("[::1]:0", true),
        ("127.0.0.1:0", false),
        ("localhost:0", false),
    ] {
        let local = super::bind(at, &door).await?.local_addr()?;
        assert_eq!(local.is_ipv6(), v6, "{at}");
    }
    for at in ["127.0.0.1:x", "host:70000"] {
        assert_eq!(
            super::bind(at, &door).await.unwrap_err().why(),
            Why::BadInput
        );
    }
    let taken = super::bind("127.0.0.1:0", &door).await?;
    let again = super::bind(&taken.local_addr()?.to_string(), &door).await;
    assert_eq!(again.unwrap_err().why(), Why::InUse);
    Ok(())
}
