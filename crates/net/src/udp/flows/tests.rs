use std::{
    collections::HashMap,
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::{
    addr::Addr,
    error::Why,
    listener::{Accepted, Listener},
    meter::{Direction, Meter, Metering},
    packet::{Batch, Packet, RawPacket},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{FlowOptions, Flows};
use crate::udp::{
    RelayOptions, UdpConn, connect, relay,
    tests::{PATIENCE, echo, localhost, open, recv, recv_many, send},
};

fn listen(at: SocketAddr, options: FlowOptions) -> (Flows, SocketAddr) {
    let socket = open(at);
    let local = socket.local_addr().unwrap();
    let flows = Flows::new(Box::new(socket), local.into(), options).unwrap();
    (flows, local)
}

/// The next flow, with the address of its client.
async fn accept(flows: &mut Flows) -> (Box<dyn Packet>, Addr) {
    let incoming = timeout(PATIENCE, flows.accept())
        .await
        .expect("no flow in time")
        .unwrap();
    let Accepted::One(conn) = incoming.finish().await.unwrap() else {
        panic!("a flow is one connection");
    };
    let (packet, meta) = conn.into_packet().unwrap();
    (packet, meta.peer)
}

/// Relays every flow to an address.
async fn forward(mut flows: Flows, to: SocketAddr) {
    loop {
        let (flow, _) = accept(&mut flows).await;
        let upstream = Box::new(connect(to).unwrap());
        tokio::spawn(relay(flow, upstream, RelayOptions::default()));
    }
}

/// Datagrams by hand, which leave on request.
struct Pipe {
    incoming: mpsc::UnboundedReceiver<(Vec<u8>, Addr)>,
    outgoing: mpsc::UnboundedSender<(Vec<u8>, Addr)>,
}

impl Packet for Pipe {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        self.incoming.poll_recv(cx).map(|datagram| {
            if let Some((payload, addr)) = datagram {
                assert!(into.push(&payload, addr));
            }
            Ok(())
        })
    }

    fn poll_send(&mut self, _: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        for (payload, addr) in from.iter() {
            let sent = self.outgoing.send((payload.to_vec(), addr.clone()));
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        from.clear();
        Poll::Ready(Ok(()))
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

type Near = mpsc::UnboundedSender<(Vec<u8>, Addr)>;
type Far = mpsc::UnboundedReceiver<(Vec<u8>, Addr)>;

fn pipe(options: FlowOptions) -> (Flows, Near, Far) {
    let (near, incoming) = mpsc::unbounded_channel();
    let (outgoing, far) = mpsc::unbounded_channel();
    let pipe = Box::new(Pipe { incoming, outgoing });
    let flows = Flows::new(pipe, Addr::wildcard(1), options).unwrap();
    (flows, near, far)
}

fn client(n: u16) -> Addr {
    Addr::from(SocketAddr::from(([10, 0, 0, 1], n)))
}

fn options(ttl: u64) -> FlowOptions {
    FlowOptions {
        ttl: Duration::from_secs(ttl),
        ..FlowOptions::default()
    }
}

#[tokio::test]
async fn bursts_of_many_clients_come_back_whole() {
    let (target, _echo) = echo().await;
    let (flows, entry) = listen(localhost(), FlowOptions::default());
    let forward = tokio::spawn(forward(flows, target));
    let mut clients: Vec<UdpConn> = (0..20).map(|_| connect(entry).unwrap()).collect();
    for burst in 0u8..5 {
        for (n, client) in (0u8..).zip(&mut clients) {
            let payloads: Vec<_> = (0..20).map(|i| vec![n, burst, i, 9, 9]).collect();
            let datagrams: Vec<_> = payloads.iter().map(|p| (&p[..], Addr::Any)).collect();
            send(client, &datagrams).await.unwrap();
        }
        for (n, client) in (0u8..).zip(&mut clients) {
            let mut got = recv_many(client, 20).await;
            got.sort();
            let wanted: Vec<_> = (0..20).map(|i| vec![n, burst, i, 9, 9]).collect();
            assert_eq!(got, wanted);
        }
    }
    forward.abort();
}

#[tokio::test]
async fn a_thousand_flows_at_once_are_all_served() {
    let (target, _echo) = echo().await;
    let (flows, entry) = listen(localhost(), FlowOptions::default());
    let forward = tokio::spawn(forward(flows, target));
    let mut clients: Vec<UdpConn> = (0..1000).map(|_| connect(entry).unwrap()).collect();
    for (n, client) in (0u16..).zip(&mut clients) {
        send(client, &[(&n.to_be_bytes(), Addr::Any)])
            .await
            .unwrap();
    }
    for (n, client) in (0u16..).zip(&mut clients) {
        assert_eq!(recv_many(client, 1).await, [n.to_be_bytes()]);
    }
    forward.abort();
}

#[tokio::test]
async fn the_largest_datagrams_pass_and_ipv6_too() {
    let (target, _echo) = echo().await;
    let (flows, entry) = listen((Ipv6Addr::UNSPECIFIED, 0).into(), FlowOptions::default());
    let forward = tokio::spawn(forward(flows, target));
    for host in ["127.0.0.1", "::1"] {
        let to = SocketAddr::new(host.parse().unwrap(), entry.port());
        let mut client = connect(to).unwrap();
        for len in [65_507, 0, 1] {
            let payload = vec![3; len];
            send(&mut client, &[(&payload, Addr::Any)]).await.unwrap();
            assert!(
                recv_many(&mut client, 1).await == [payload],
                "{host}: {len}"
            );
        }
    }
    forward.abort();
}

#[tokio::test]
async fn flows_are_split_by_address_and_answer_to_it() {
    let (mut flows, near, mut far) = pipe(options(60));
    for (payload, from) in [(b"a1", 1), (b"b1", 2), (b"a2", 1)] {
        near.send((payload.to_vec(), client(from))).unwrap();
    }
    let (mut a, peer) = accept(&mut flows).await;
    assert_eq!(peer, client(1));
    let (mut b, _) = accept(&mut flows).await;
    assert_eq!(recv_many(&mut *a, 2).await, [b"a1", b"a2"]);
    assert_eq!(recv(&mut *b).await, [(b"b1".to_vec(), client(2))]);
    send(&mut *b, &[(b"answer", Addr::Any)]).await.unwrap();
    assert_eq!(far.recv().await, Some((b"answer".to_vec(), client(2))));
    // A flow that was given up makes room for a new one of the same address.
    drop(a);
    near.send((b"a3".to_vec(), client(1))).unwrap();
    let (mut again, peer) = accept(&mut flows).await;
    assert_eq!(
        (peer, recv_many(&mut *again, 1).await),
        (client(1), vec![b"a3".to_vec()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_flow_lives_while_it_is_used_in_either_direction() {
    let (mut flows, near, _far) = pipe(options(60));
    near.send((b"x".to_vec(), client(1))).unwrap();
    let began = Instant::now();
    let (mut flow, _) = accept(&mut flows).await;
    recv(&mut *flow).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    near.send((b"y".to_vec(), client(1))).unwrap();
    recv(&mut *flow).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    send(&mut *flow, &[(b"z", Addr::Any)]).await.unwrap();
    let mut batch = Batch::with_capacity(100);
    std::future::poll_fn(|cx| flow.poll_recv(cx, &mut batch))
        .await
        .unwrap();
    assert!(batch.is_empty(), "the flow should be over");
    assert_eq!(began.elapsed().as_secs(), 160);
    // Its address begins anew.
    near.send((b"again".to_vec(), client(1))).unwrap();
    let (mut flow, _) = accept(&mut flows).await;
    assert_eq!(recv_many(&mut *flow, 1).await, [b"again"]);
}

#[tokio::test(start_paused = true)]
async fn the_flow_idle_for_longest_makes_room() {
    let (mut flows, near, _far) = pipe(FlowOptions {
        max: 3,
        ..options(1000)
    });
    let mut open = HashMap::new();
    for n in 1..=3 {
        near.send((b"x".to_vec(), client(n))).unwrap();
        let (mut flow, peer) = accept(&mut flows).await;
        recv(&mut *flow).await;
        open.insert(peer, flow);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // The first is used again, so the second is the oldest now.
    near.send((b"x".to_vec(), client(1))).unwrap();
    recv(&mut **open.get_mut(&client(1)).unwrap()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    near.send((b"x".to_vec(), client(4))).unwrap();
    let _fourth = accept(&mut flows).await;
    assert!(
        recv(&mut **open.get_mut(&client(2)).unwrap())
            .await
            .is_empty()
    );
    for n in [1, 3] {
        near.send((b"still".to_vec(), client(n))).unwrap();
        let flow = open.get_mut(&client(n)).unwrap();
        assert_eq!(recv_many(&mut **flow, 1).await, [b"still"]);
    }
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let (mut flows, near, _far) = pipe(FlowOptions {
        queue: 3,
        backlog: 2,
        ..options(60)
    });
    for n in 0..5 {
        near.send((vec![n], client(1))).unwrap();
    }
    for n in 2..=4 {
        near.send((vec![9], client(n))).unwrap();
    }
    let (mut first, _) = accept(&mut flows).await;
    let (mut second, _) = accept(&mut flows).await;
    assert_eq!(recv_many(&mut *first, 3).await, [[0], [1], [2]]);
    recv(&mut *second).await;
    // Two beyond the queue, two beyond the backlog.
    near.send((vec![5], client(1))).unwrap();
    assert_eq!(recv_many(&mut *first, 1).await, [[5]]);
    assert_eq!(flows.dropped(), 4);
}

#[tokio::test(start_paused = true)]
async fn stateless_flows_read_one_datagram_and_answer_until_their_time_is_up() {
    let (mut flows, near, mut far) = pipe(FlowOptions {
        stateless: true,
        ..options(5)
    });
    for n in 0..2 {
        near.send((vec![n], client(1))).unwrap();
    }
    let (mut first, _) = accept(&mut flows).await;
    let (mut second, peer) = accept(&mut flows).await;
    assert_eq!(peer, client(1));
    assert_eq!(recv(&mut *second).await, [(vec![1], client(1))]);
    assert_eq!(recv(&mut *first).await, [(vec![0], client(1))]);
    for answer in [b"one", b"two"] {
        send(&mut *first, &[(answer, Addr::Any)]).await.unwrap();
        assert_eq!(far.recv().await, Some((answer.to_vec(), client(1))));
    }
    assert!(recv(&mut *first).await.is_empty());
}

#[tokio::test]
async fn all_ends_with_the_source_or_the_listener() {
    let (mut flows, near, _far) = pipe(options(60));
    near.send((b"x".to_vec(), client(1))).unwrap();
    let (mut flow, _) = accept(&mut flows).await;
    drop(near);
    let error = timeout(PATIENCE, flows.accept())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.why(), Why::Closed);
    // What had arrived can still be read.
    assert_eq!(recv_many(&mut *flow, 1).await, [b"x"]);
    assert!(recv(&mut *flow).await.is_empty());

    let (mut flows, near, _far) = pipe(options(60));
    near.send((b"x".to_vec(), client(1))).unwrap();
    let (mut flow, _) = accept(&mut flows).await;
    recv(&mut *flow).await;
    drop(flows);
    assert!(recv(&mut *flow).await.is_empty());
}

/// Takes nothing until it is told to, and remembers only the last who wants to send.
struct Stuck {
    open: Arc<std::sync::atomic::AtomicBool>,
    waker: Arc<futures_util::task::AtomicWaker>,
    inner: Pipe,
}

impl Packet for Stuck {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        self.inner.poll_recv(cx, into)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        self.waker.register(cx.waker());
        if !from.is_empty() && !self.open.load(std::sync::atomic::Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.inner.poll_send(cx, from)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

#[derive(Default)]
struct Counted(std::sync::Mutex<[usize; 2]>);

impl Metering for Counted {
    fn count(&self, direction: Direction, bytes: usize) {
        self.0.lock().unwrap()[usize::from(direction == Direction::Out)] += bytes;
    }
}

#[tokio::test]
async fn bytes_are_counted_once_even_when_they_have_to_wait() {
    let (near, incoming) = mpsc::unbounded_channel();
    let (outgoing, mut far) = mpsc::unbounded_channel();
    let (open, waker, counted) = (Arc::default(), Arc::default(), Arc::<Counted>::default());
    let stuck = Stuck {
        open: Arc::clone(&open),
        waker: Arc::clone(&waker),
        inner: Pipe { incoming, outgoing },
    };
    let options = FlowOptions {
        meter: Meter::new(counted.clone()),
        ..options(60)
    };
    let mut flows = Flows::new(Box::new(stuck), Addr::Any, options).unwrap();
    near.send((b"question".to_vec(), client(1))).unwrap();
    let (mut flow, _) = accept(&mut flows).await;
    let mut batch = Batch::with_capacity(9);
    batch.push(b"answer", Addr::Any);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        let sent = flow.poll_send(cx, &mut batch);
        if polls == 1 {
            open.store(true, std::sync::atomic::Ordering::SeqCst);
            waker.wake();
        }
        sent
    })
    .await
    .unwrap();
    assert_eq!(
        (polls, far.recv().await.unwrap().0),
        (2, b"answer".to_vec())
    );
    assert_eq!(*counted.0.lock().unwrap(), [8, 6]);
}

#[tokio::test]
async fn every_flow_that_waits_to_send_is_woken() {
    let (near, incoming) = mpsc::unbounded_channel();
    let (outgoing, mut far) = mpsc::unbounded_channel();
    let (open, waker) = (Arc::default(), Arc::default());
    let stuck = Stuck {
        open: Arc::clone(&open),
        waker: Arc::clone(&waker),
        inner: Pipe { incoming, outgoing },
    };
    let mut flows = Flows::new(Box::new(stuck), Addr::Any, options(60)).unwrap();
    let (began, mut senders) = mpsc::unbounded_channel();
    for n in 1..=5 {
        near.send((b"x".to_vec(), client(n))).unwrap();
        let (mut flow, _) = accept(&mut flows).await;
        let began = began.clone();
        tokio::spawn(async move {
            let mut batch = Batch::with_capacity(9);
            batch.push(b"answer", Addr::Any);
            std::future::poll_fn(|cx| {
                let sent = flow.poll_send(cx, &mut batch);
                let _ = began.send(());
                sent
            })
            .await
        });
        senders.recv().await.unwrap();
    }
    open.store(true, std::sync::atomic::Ordering::SeqCst);
    waker.wake();
    for _ in 0..5 {
        let answer = timeout(PATIENCE, far.recv()).await.unwrap().unwrap();
        assert_eq!(answer.0, b"answer");
    }
}
