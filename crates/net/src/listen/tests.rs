use std::time::Duration;

use gost_core::{build::Door, listener::Listener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixStream},
    time::timeout,
};

use super::*;
use crate::udp::{self, FlowOptions};

const PATIENCE: Duration = Duration::from_secs(10);

async fn accepted(listener: &mut dyn Listener) -> Conn {
    let incoming = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    match incoming.finish().await.unwrap() {
        Accepted::One(conn) => conn,
        Accepted::Many(_) => panic!("a session"),
    }
}

/// A door and a listener at a port of the system's choice, which the door's table knows.
async fn at_some_port() -> (Door, TcpDoor, String) {
    loop {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = free.local_addr().unwrap().to_string();
        drop(free);
        let door = Door::default();
        // Somebody may have taken it meanwhile.
        if let Ok(listener) = tcp(&at, &TcpOptions::default(), &door).await {
            return (door, listener, at);
        }
    }
}

#[tokio::test]
async fn a_listener_takes_over_the_socket_with_those_who_wait_in_it() {
    let (door, first, at) = at_some_port().await;
    let mut waiting = TcpStream::connect(&at).await.unwrap();
    let mut second = tcp(&at, &TcpOptions::default(), &door).await.unwrap();
    drop(first);
    let conn = accepted(&mut second).await;
    let (mut stream, _) = conn.into_stream().unwrap();
    waiting.write_all(b"hello").await.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    drop(second);
    assert!(TcpStream::connect(&at).await.is_err(), "the socket is gone");
}

#[tokio::test]
async fn ipv6_addresses_may_have_a_zone_and_may_stand_for_others() {
    for (text, at) in [
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ("[fe80::1%lo]:80", "[fe80::1%1]:80"),
    ] {
        assert_eq!(listen_addr(text).await.unwrap().to_string(), at);
    }
    assert!(listen_addr("[fe80::1%nosuch0]:80").await.is_err());
}

#[tokio::test]
async fn another_program_does_not_share_a_port_with_us() {
    let (_door, _listener, at) = at_some_port().await;
    let error = tcp(&at, &TcpOptions::default(), &Door::default()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
}

#[tokio::test]
async fn a_listener_moves_between_one_address_and_all() {
    let (door, one, at) = at_some_port().await;
    let all_at = format!(":{}", at.rsplit_once(':').unwrap().1);
    let mut all = tcp(&all_at, &TcpOptions::default(), &door).await.unwrap();
    let other = tcp(&all_at, &TcpOptions::default(), &Door::default()).await;
    assert!(
        other.is_err(),
        "the port is shared for no longer than it takes"
    );
    drop(one);
    let client = TcpStream::connect(&at).await.unwrap();
    accepted(&mut all).await;
    drop(client);
    let mut one = tcp(&at, &TcpOptions::default(), &door).await.unwrap();
    drop(all);
    let _client = TcpStream::connect(&at).await.unwrap();
    accepted(&mut one).await;
}

#[tokio::test]
async fn a_unix_socket_is_taken_over_with_its_file() {
    let path = std::env::temp_dir().join(format!("gost-listen-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let door = Door::default();
    let first = unix(path, None, &door).unwrap();
    let mut second = unix(path, Some(0o600), &door).unwrap();
    drop(first);
    let _client = UnixStream::connect(path).await.unwrap();
    accepted(&mut *second).await;
    drop(second);
    assert!(!std::path::Path::new(path).exists());
}

#[tokio::test]
async fn a_udp_socket_is_taken_over_and_read_by_one_alone() {
    let door = Door::default();
    let (mut first, at) = loop {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = free.local_addr().unwrap().to_string();
        drop(free);
        if let Ok(listener) = udp::listen(&at, FlowOptions::default(), &door).await {
            break (listener, at);
        }
    };
    let mut second = udp::listen(&at, FlowOptions::default(), &door)
        .await
        .unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(&at).await.unwrap();
    for _ in 0..3 {
        client.send(b"x").await.unwrap();
    }
    accepted(&mut *first).await;
    drop(first);
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    other.connect(&at).await.unwrap();
    // The first listener's task may still read once while it ends: datagrams may be lost.
    let told = async {
        loop {
            other.send(b"y").await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = told => {}
        conn = accepted(&mut *second) => {
            assert_eq!(conn.meta.peer, other.local_addr().unwrap().into());
        }
    }
}
