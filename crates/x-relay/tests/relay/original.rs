//! Ours with the original at the other end, where that is at hand (`gost-reference` on PATH).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::{
    addr::{Addr, Target},
    build::Door,
    listener::Accepted,
    outbound::{Ask, BindOptions, Outbound},
};
use gost_net::udp::FlowOptions;
use gost_service::{Service, Serving};
use gost_testbed::{Running, To};
use gost_testkit::soon;
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp::{Behaviour, Server},
    udp,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    time::Instant,
};

use crate::support::{client, read, read_all, server, way};

const PEER: &str = "gost-reference";
const NODELAY: [&str; 2] = ["nodelay=false", "nodelay=true"];

fn launch(arguments: &[&str]) -> Option<Process> {
    let program = peers::need(PEER)?;
    Some(Launch::new(program).args(arguments).spawn().unwrap())
}

/// A relay server of the original.
async fn original_server(options: &str) -> Option<(Process, SocketAddr)> {
    let port = ports::tcp();
    let mut process = launch(&["-L", &format!("relay://127.0.0.1:{port}?{options}")])?;
    process.ready(port).await.unwrap();
    Some((process, ([127, 0, 0, 1], port).into()))
}

/// A client of the original: a local port that leads to `target` through `node`.
async fn original_client(
    node: SocketAddr,
    target: SocketAddr,
    options: &str,
) -> Option<(Process, SocketAddr)> {
    let port = ports::tcp();
    let local = format!("tcp://127.0.0.1:{port}/{target}");
    let mut process = launch(&["-L", &local, "-F", &format!("relay://{node}?{options}")])?;
    process.ready(port).await.unwrap();
    Some((process, ([127, 0, 0, 1], port).into()))
}

async fn banner() -> Server {
    let behaviour = Behaviour::Banner("220 hello\r\n".into());
    Server::start(behaviour).await.unwrap()
}

async fn greeted(local: SocketAddr) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    assert_eq!(read(&mut stream, 11).await, b"220 hello\r\n");
}

async fn echoed(local: SocketAddr) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"ping");
    stream.write_all(b"pong").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"pong");
}

#[tokio::test]
async fn our_client_never_hangs_at_a_server_of_the_original() {
    let (banner, echo) = (
        banner().await,
        Server::start(Behaviour::Echo).await.unwrap(),
    );
    for theirs in NODELAY {
        let Some((_process, node)) = original_server(theirs).await else {
            return;
        };
        for ours in NODELAY {
            let started = Instant::now();
            let speaks_first = client(node, Target::tcp(banner.address().into()), &[ours]).await;
            greeted(speaks_first.addr).await;
            let speaks_second = client(node, Target::tcp(echo.address().into()), &[ours]).await;
            echoed(speaks_second.addr).await;
            let took = started.elapsed();
            assert!(took < Duration::from_secs(5), "{theirs} {ours}: {took:?}");
        }
    }
}

#[tokio::test]
async fn a_client_of_the_original_never_hangs_at_our_server() {
    let (banner, echo) = (
        banner().await,
        Server::start(Behaviour::Echo).await.unwrap(),
    );
    for ours in NODELAY {
        let server = server(&[ours]).await;
        for theirs in NODELAY {
            let Some((_process, local)) =
                original_client(server.addr, echo.address(), theirs).await
            else {
                return;
            };
            echoed(local).await;
            // Without nodelay it sends no request before it has data: no server can help that.
            if theirs == "nodelay=true" {
                let local = original_client(server.addr, banner.address(), theirs).await;
                greeted(local.unwrap().1).await;
            }
        }
    }
}

#[tokio::test]
async fn refusals_of_a_server_of_the_original_end_the_connection() {
    let Some((_process, node)) = original_server("nodelay=true").await else {
        return;
    };
    let dead = Target::tcp(Addr::from(SocketAddr::from(([127, 0, 0, 1], ports::tcp()))));
    for ours in NODELAY {
        let client = client(node, dead.clone(), &[ours]).await;
        let mut stream = TcpStream::connect(client.addr).await.unwrap();
        // It may be closed already.
        let _ = stream.write_all(b"ping").await;
        assert_eq!(read_all(&mut stream).await, b"");
    }
}

#[tokio::test]
async fn a_half_close_goes_on_to_a_server_of_the_original() {
    let sink = Server::start(Behaviour::Sink).await.unwrap();
    let Some((_process, node)) = original_server("").await else {
        return;
    };
    let client = client(node, Target::tcp(sink.address().into()), &[]).await;
    let mut stream = TcpStream::connect(client.addr).await.unwrap();
    stream.write_all(b"all of it").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"");
    assert_eq!(sink.ended().await.unwrap().received.len, 9);
}

/// A local UDP port of ours that leads to `target` through `node`.
async fn our_udp(node: SocketAddr, target: SocketAddr, options: &str) -> (Service, SocketAddr) {
    let out = Arc::new(way(node, &[options], None).await);
    let door = Door::default();
    let listener = gost_net::udp::listen("127.0.0.1:0", FlowOptions::default(), &door);
    let serving = Serving::new(Arc::new(To(Target::udp(target.into()))), out);
    let service = Service::start("udp", listener.await.unwrap(), serving);
    let address = service.addr().ip().unwrap();
    (service, address)
}

async fn datagrams_echoed(local: SocketAddr, largest: usize) {
    let client = udp::client(local).await.unwrap();
    for size in [1, 1000, largest] {
        let data = vec![size as u8; size];
        client.send(&data).await.unwrap();
        assert_eq!(udp::receive(&client, PATIENCE).await.unwrap(), data);
    }
}

#[tokio::test]
async fn datagrams_go_through_a_server_of_the_original() {
    let echo = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    for theirs in NODELAY {
        let Some((_process, node)) = original_server(theirs).await else {
            return;
        };
        for ours in NODELAY {
            let (_service, local) = our_udp(node, echo.address(), ours).await;
            datagrams_echoed(local, 4096).await;
        }
    }
}

#[tokio::test]
async fn datagrams_of_a_client_of_the_original_go_through_our_server() {
    let echo = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    for ours in NODELAY {
        let server = server(&[ours]).await;
        for theirs in NODELAY {
            let port = ports::udp();
            let local = format!("udp://127.0.0.1:{port}/{}?keepalive=true", echo.address());
            let node = format!("relay://{}?{theirs}", server.addr);
            let Some(mut process) = launch(&["-L", &local, "-F", &node]) else {
                return;
            };
            process.ready_udp(port).await.unwrap();
            datagrams_echoed(([127, 0, 0, 1], port).into(), 4096).await;
        }
    }
}

#[tokio::test]
async fn a_remote_udp_port_at_our_server_serves_a_client_of_the_original() {
    let echo = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let server: Running = server(&["bind=true"]).await;
    // Also with the host left out, which the original sends in a form that it does not understand.
    for host in ["127.0.0.1", ""] {
        let port = ports::udp();
        let remote = format!("rudp://{host}:{port}/{}", echo.address());
        let Some(mut process) = launch(&["-L", &remote, "-F", &format!("relay://{}", server.addr)])
        else {
            return;
        };
        process.ready_udp(port).await.unwrap();
        datagrams_echoed(([127, 0, 0, 1], port).into(), 4000).await;
    }
}

#[tokio::test]
async fn a_remote_udp_port_at_a_server_of_the_original_serves_us() {
    let Some((_process, node)) = original_server("bind=true").await else {
        return;
    };
    let through = way(node, &[], None).await;
    let (ask, how) = (Ask::default(), BindOptions::default());
    // Without a host, which the original's own client does not manage.
    let at = Target::udp(Addr::Name("".into(), ports::udp()));
    let mut listener = soon(through.bind(&at, &ask, &how)).await.unwrap();
    let bound = SocketAddr::from(([127, 0, 0, 1], listener.addr().port()));
    let socket: UdpSocket = udp::client(bound).await.unwrap();
    socket.send(b"hello").await.unwrap();
    let incoming = soon(listener.accept()).await.unwrap();
    assert_eq!(incoming.peer, socket.local_addr().unwrap().into());
    let Ok(Accepted::One(conn)) = incoming.finish().await else {
        panic!("a flow is one connection");
    };
    let (mut packet, _) = conn.into_packet().unwrap();
    assert_eq!(crate::udp::recv(&mut *packet).await.0, b"hello");
    crate::udp::send(&mut *packet, b"there", &Addr::Any).await;
    assert_eq!(udp::receive(&socket, PATIENCE).await.unwrap(), b"there");
}

#[tokio::test]
async fn a_remote_port_at_our_server_serves_a_client_of_the_original() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let banner = banner().await;
    for version in ["mux.version=1", "mux.version=2"] {
        let server = server(&["bind=true", version]).await;
        // Also with the host left out, which the original sends in a form that it does not
        // understand.
        for host in ["127.0.0.1", ""] {
            for target in [&echo, &banner] {
                let port = ports::tcp();
                let remote = format!("rtcp://{host}:{port}/{}", target.address());
                let node = format!("relay://{}?{version}", server.addr);
                let Some(mut process) = launch(&["-L", &remote, "-F", &node]) else {
                    return;
                };
                process.ready(port).await.unwrap();
                let bound = ([127, 0, 0, 1], port).into();
                if target.port() == echo.port() {
                    echoed(bound).await;
                } else {
                    greeted(bound).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_remote_port_at_a_server_of_the_original_serves_us() {
    for version in ["mux.version=1", "mux.version=2"] {
        let Some((_process, node)) = original_server(&format!("bind=true&{version}")).await else {
            return;
        };
        let through = way(node, &[version], None).await;
        let (ask, how) = (Ask::default(), BindOptions::default());
        let at = Target::tcp(Addr::Name("".into(), ports::tcp()));
        let mut listener = soon(through.bind(&at, &ask, &how)).await.unwrap();
        let bound = SocketAddr::from(([127, 0, 0, 1], listener.addr().port()));
        for _ in 0..3 {
            let mut outside = TcpStream::connect(bound).await.unwrap();
            outside.write_all(b"hello").await.unwrap();
            let incoming = soon(listener.accept()).await.unwrap();
            let Ok(Accepted::One(conn)) = soon(incoming.finish()).await else {
                panic!("a visitor is one connection");
            };
            assert_eq!(conn.meta.client, Some(outside.local_addr().unwrap()));
            let (mut inside, _) = conn.into_stream().unwrap();
            assert_eq!(read(&mut inside, 5).await, b"hello");
            inside.write_all(b"there").await.unwrap();
            assert_eq!(read(&mut outside, 5).await, b"there");
            inside.shutdown().await.unwrap();
            drop(inside);
            assert_eq!(read_all(&mut outside).await, b"");
        }
    }
}
