//! Several addresses of one name, with real sockets.

use std::{net::SocketAddr, time::Duration};

use gost_core::{
    addr::{Addr, Target},
    error::Why,
    outbound::{Ask, Outbound as _},
    race::race,
    routing::Names,
};
use gost_net::sockets::{SocketOptions, Sockets};
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpListener, time::Instant};

/// A listener that takes nobody in and says nothing, as an address that drops everything does.
struct Silent {
    addr: SocketAddr,
    _sockets: Vec<Socket>,
}

impl Silent {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![socket];
        // Those that fill the queue.
        for _ in 0..4 {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&addr.into());
            sockets.push(filler);
        }
        Self {
            addr,
            _sockets: sockets,
        }
    }
}

fn targets(addresses: &[SocketAddr]) -> Vec<Target> {
    let target = |addr: &SocketAddr| Target::tcp((*addr).into());
    addresses.iter().map(target).collect()
}

fn sockets(interface: &str) -> Sockets {
    let options = SocketOptions {
        interface: interface.to_owned(),
        ..SocketOptions::default()
    };
    Sockets::new(options, Names::default())
}

async fn listener(host: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[tokio::test]
async fn a_silent_address_costs_its_head_start() {
    let silent = Silent::new();
    let (_live, live) = listener("::1").await;
    let (sockets, ask) = (sockets(""), Ask::default());
    let start = Instant::now();
    let all = targets(&[silent.addr, live]);
    let conn = race(&all, async |to| sockets.connect(&to, &ask).await);
    assert_eq!(conn.await.unwrap().meta.peer, live.into());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn only_addresses_that_the_interface_reaches_are_taken() {
    let ((_v6, v6), (v4, v4_addr)) = (listener("::1").await, listener("127.0.0.1").await);
    let (sockets, ask) = (sockets("127.0.0.7"), Ask::default());
    let all = targets(&[v6, v4_addr]);
    let conn = race(&all, async |to| sockets.connect(&to, &ask).await);
    assert_eq!(conn.await.unwrap().meta.peer, v4_addr.into());
    let (_, from) = v4.accept().await.unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.7");

    let conn = sockets.connect(&targets(&[v6])[0], &ask).await;
    assert_eq!(conn.err().map(|e| e.why()), Some(Why::Unreachable));
}

#[tokio::test]
async fn an_association_has_the_family_of_its_interface() {
    for (interface, ip) in [("127.0.0.7", "127.0.0.7"), ("::1", "::1")] {
        let any = Target::udp(Addr::Any);
        let conn = sockets(interface).connect(&any, &Ask::default()).await;
        assert_eq!(conn.unwrap().meta.local.host(), ip);
    }
}

#[tokio::test]
async fn what_became_of_every_address_is_said() {
    let ((first, a), (second, b)) = (listener("127.0.0.1").await, listener("::1").await);
    drop((first, second));
    let (sockets, ask) = (sockets(""), Ask::default());
    let all = targets(&[a, b]);
    let conn = race(&all, async |to| sockets.connect(&to, &ask).await);
    let error = conn.await.err().unwrap();
    assert_eq!(error.why(), Why::Refused);
    let text = error.to_string();
    let says_both = text.contains(&a.to_string()) && text.contains(&b.to_string());
    assert!(says_both, "{text}");
}
