//! Name servers that lie: a server of our own in place of theirs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gost_testkit::ports;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::servers::{Gost, web_at};

/// 127.0.0.1 for questions of type A, nothing for others.
fn honest(question: &[u8]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|b| *b == 0).unwrap_or(0) + 5;
    let mut answer = question[..end].to_vec();
    let is_a = question[end - 3] == 1;
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_a.into(), 0, 0, 0, 0]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

/// An honest answer, but not to this question: the address is that of nobody.
fn forged(question: &[u8]) -> Vec<u8> {
    let mut answer = honest(question);
    answer[0] ^= 0x55;
    if let Some(last) = answer.last_mut() {
        *last = 99;
    }
    answer
}

/// What is sent in answer to a datagram, and to a question over TCP.
type Acts = (fn(&[u8]) -> Vec<Vec<u8>>, fn(&[u8]) -> Vec<u8>);

async fn name_server((datagrams, stream): Acts) -> Result<u16> {
    let port = ports::both();
    let socket = UdpSocket::bind(("127.0.0.1", port)).await?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            for answer in datagrams(&buffer[..n]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(over_tcp(client, stream));
        }
    });
    Ok(port)
}

async fn over_tcp(mut client: TcpStream, act: fn(&[u8]) -> Vec<u8>) -> Option<()> {
    loop {
        let mut question = vec![0; client.read_u16().await.ok()?.into()];
        client.read_exact(&mut question).await.ok()?;
        let answer = act(&question);
        client.write_u16(answer.len().try_into().ok()?).await.ok()?;
        client.write_all(&answer).await.ok()?;
    }
}

/// An answer whose first record has a name that points to itself.
fn circle(question: &[u8]) -> Vec<u8> {
    let mut answer = honest(question);
    if answer[7] == 1 {
        let at = answer.len() - 16;
        answer[at + 1] = u8::try_from(at).unwrap_or(12);
    }
    answer
}

/// As long as can be, with as many records as can be said.
fn enormous(question: &[u8]) -> Vec<u8> {
    let mut answer = honest(question);
    answer[6..12].fill(0xff);
    answer.resize(65_535, 0);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_are_passed_over_or_refused_in_time() -> Result<()> {
    let web = web_at("127.0.0.1", "found").await?;
    let truncated = |question: &[u8]| {
        let mut answer = honest(question);
        answer[2] |= 2;
        answer[7] = 0;
        vec![answer]
    };
    let cases: [(&str, &str, Acts, bool); 7] = [
        (
            "forged datagrams before the answer",
            "udp",
            (
                |question| {
                    vec![
                        forged(question),
                        vec![0; 3],
                        question.to_vec(),
                        honest(question),
                    ]
                },
                honest,
            ),
            true,
        ),
        (
            "forged datagrams alone",
            "udp",
            (|question| vec![forged(question); 20], honest),
            false,
        ),
        ("a truncated answer", "udp", (truncated, honest), true),
        (
            "a truncated answer, and lies over TCP",
            "udp",
            (truncated, forged),
            false,
        ),
        ("a forged answer", "tcp", (truncated, forged), false),
        ("an enormous answer", "tcp", (truncated, enormous), false),
        ("a name in a circle", "tcp", (truncated, circle), false),
    ];
    for (what, scheme, acts, found) in cases {
        let dns = name_server(acts).await?;
        let config = format!("{{addr: '{scheme}://127.0.0.1:{dns}', timeout: 2s}}");
        let mut gost = Gost::resolving(&config, None).await?;
        let start = Instant::now();
        let got = gost.get("echo.test", web).await?;
        ensure!((got == "found") == found, "{what}: {got}");
        ensure!(start.elapsed() < Duration::from_secs(8), "{what}");
        ensure!(gost.program.process.is_running(), "{what}");
        if !found {
            gost.program.process.line("resolve echo.test").await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_the_subnet_of_a_client() -> Result<()> {
    let web = web_at("127.0.0.1", "found").await?;
    let for_subnet = |question: &[u8]| {
        let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
        if question.ends_with(&subnet) {
            vec![honest(question)]
        } else {
            let mut nobody = question.to_vec();
            nobody[2..4].copy_from_slice(&[0x81, 0x83]);
            vec![nobody]
        }
    };
    let dns = name_server((for_subnet, honest)).await?;
    for (client, found) in [("192.0.2.77", "found"), ("''", ""), ("198.51.100.1", "")] {
        let config = format!("{{addr: '127.0.0.1:{dns}', clientIP: {client}}}");
        let gost = Gost::resolving(&config, None).await?;
        let got = gost.get("echo.test", web).await?;
        ensure!(got == found, "{client}: {got}");
    }
    Ok(())
}
