//! Exchanges with servers that do what they should not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use gost_core::error::{Error, Result, Side, Why};
use gost_net::sockets::Sockets;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Instant,
};

use crate::{
    Exchanger, Server,
    message::{self, Kind},
};

/// What a server does with a question, of which it knows the number, over TCP or not.
type Act = fn(number: usize, question: &[u8], over_tcp: bool) -> Vec<Vec<u8>>;

struct Peer {
    addr: SocketAddr,
    /// Connections so far.
    connections: Arc<AtomicUsize>,
}

/// Starts a server on one port of both protocols. It closes a connection without an answer.
async fn peer(act: Act) -> Peer {
    let (socket, listener) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Somebody may have the port for datagrams.
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let peer = Peer {
        addr: listener.local_addr().unwrap(),
        connections: Arc::default(),
    };
    let number = Arc::new(AtomicUsize::new(0));
    let numbers = number.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        loop {
            let (n, from) = socket.recv_from(&mut buffer).await.unwrap();
            for answer in act(numbers.fetch_add(1, Relaxed), &buffer[..n], false) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    let connections = peer.connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Relaxed);
            tokio::spawn(serve(stream, act, number.clone()));
        }
    });
    peer
}

async fn serve(mut stream: TcpStream, act: Act, numbers: Arc<AtomicUsize>) -> Option<()> {
    loop {
        let mut question = vec![0; stream.read_u16().await.ok()?.into()];
        stream.read_exact(&mut question).await.ok()?;
        let answers = act(numbers.fetch_add(1, Relaxed), &question, true);
        if answers.is_empty() {
            return None;
        }
        for answer in answers {
            let length = u16::try_from(answer.len()).unwrap();
            stream.write_u16(length).await.ok()?;
            stream.write_all(&answer).await.ok()?;
        }
    }
}

/// The answer to a question: 192.0.2.1, unless it is said to be truncated.
fn good(question: &[u8], truncated: bool) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2..4].copy_from_slice(&[if truncated { 0x83 } else { 0x81 }, 0x80]);
    if !truncated {
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    answer
}

fn exchanger(scheme: &str, peer: &Peer) -> Exchanger {
    let server = Server::parse(&format!("{scheme}://{}", peer.addr)).unwrap();
    Exchanger::new(server, Arc::new(Sockets::default()), None).unwrap()
}

async fn ask_within(exchanger: &Exchanger, time: Duration) -> Result<usize> {
    let question = message::question("t.test", Kind::V4, None)?;
    let deadline = (Instant::now() + time).into_std();
    let answer = exchanger.exchange(&question, deadline).await?;
    Ok(message::read(&answer, Kind::V4)?.addresses.len())
}

async fn ask(exchanger: &Exchanger) -> Result<usize> {
    ask_within(exchanger, Duration::from_secs(20)).await
}

fn forge(question: &[u8]) -> Vec<u8> {
    let mut forged = good(question, false);
    forged[0] ^= 0xff;
    forged
}

#[tokio::test]
async fn forged_datagrams_are_passed_over() {
    let peer = peer(|_, question, _| {
        let mut other = good(question, false);
        other[13] ^= 1;
        let reflected = question.to_vec();
        vec![
            forge(question),
            other,
            reflected,
            vec![],
            good(question, false),
        ]
    })
    .await;
    assert_eq!(ask(&exchanger("udp", &peer)).await.unwrap(), 1);
}

#[tokio::test]
async fn too_many_forged_datagrams_are_an_attack() {
    let peer = peer(|_, question, _| vec![forge(question); 150]).await;
    let error = ask(&exchanger("udp", &peer)).await.unwrap_err();
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::Unresolved, Side::Target)
    );
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let peer = peer(|number, question, _| match number {
        0 => vec![],
        _ => vec![good(question, false)],
    })
    .await;
    let start = Instant::now();
    assert_eq!(ask(&exchanger("udp", &peer)).await.unwrap(), 1);
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let peer = peer(|_, _, _| vec![]).await;
    let start = Instant::now();
    let error = ask_within(&exchanger("udp", &peer), Duration::from_millis(300)).await;
    assert_eq!(error.unwrap_err().why(), Why::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let whole = peer(|_, question, over_tcp| vec![good(question, !over_tcp)]).await;
    assert_eq!(ask(&exchanger("udp", &whole)).await.unwrap(), 1);
    assert_eq!(whole.connections.load(Relaxed), 1);
    // Where that is impossible there is no address, and that is not an empty answer.
    let cut = peer(|_, question, over_tcp| {
        let once = usize::from(!over_tcp);
        vec![good(question, true); once]
    })
    .await;
    let error = ask(&exchanger("udp", &cut)).await.unwrap_err();
    assert_eq!(error.why(), Why::Unresolved);
}

#[tokio::test]
async fn a_connection_is_used_again_until_the_server_closes_it() {
    // Questions 0 and 1 are answered; 2 finds the connection closed and is asked again as 3.
    let peer = peer(|number, question, _| match number {
        2 => vec![],
        _ => vec![good(question, false)],
    })
    .await;
    let exchanger = exchanger("tcp", &peer);
    for connections in [1, 1, 2, 2] {
        assert_eq!(ask(&exchanger).await.unwrap(), 1);
        assert_eq!(peer.connections.load(Relaxed), connections);
    }
}

#[tokio::test]
async fn what_a_stream_brings_is_an_answer_or_an_error() {
    let hostile: [Act; 4] = [
        |_, question, _| vec![forge(question)],
        |_, question, _| {
            // As long as can be, and nothing but zeros behind the question.
            let mut answer = good(question, false);
            answer[6..8].copy_from_slice(&[0xff, 0xff]);
            answer.resize(65_535, 0);
            vec![answer]
        },
        |_, _, _| vec![vec![]],
        |_, question, _| {
            let mut answer = good(question, false);
            let at = question.len();
            answer[at + 1] = u8::try_from(at).unwrap();
            vec![answer]
        },
    ];
    for act in hostile {
        let peer = peer(act).await;
        let error: Error = ask(&exchanger("tcp", &peer)).await.unwrap_err();
        assert_eq!(error.why(), Why::Unresolved, "{error}");
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_needs_tls() {
    for server in ["tls://127.0.0.1", "https://127.0.0.1"] {
        let server = Server::parse(server).unwrap();
        let made = Exchanger::new(server, Arc::new(Sockets::default()), None);
        assert_eq!(made.err().map(|e| e.why()), Some(Why::BadInput));
    }
}
