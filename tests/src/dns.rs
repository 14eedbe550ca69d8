//! A name server for `dig` to ask.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

/// The address that every name has, as `dig +short` prints it.
pub const ADDRESS: &str = "192.0.2.33\n";

/// Starts a server that gives every name one address, over UDP and TCP on one port of this
/// machine, for as long as the runtime of the test lasts.
///
/// # Errors
/// When no port can be bound.
pub async fn name_server() -> Result<SocketAddr> {
    let address = SocketAddr::from(([127, 0, 0, 1], gost_testkit::ports::both()));
    let socket = UdpSocket::bind(address).await?;
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(&buffer[..n]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(over_tcp(stream));
        }
    });
    Ok(address)
}

/// Over TCP a message follows its length.
async fn over_tcp(mut stream: TcpStream) -> Option<()> {
    loop {
        let mut query = vec![0; stream.read_u16().await.ok()?.into()];
        stream.read_exact(&mut query).await.ok()?;
        let answer = answer(&query)?;
        let mut message = u16::try_from(answer.len()).ok()?.to_be_bytes().to_vec();
        message.extend(answer);
        stream.write_all(&message).await.ok()?;
    }
}

/// Header, the question again, and one record of type A.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|byte| *byte == 0)?;
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend(query.get(12..12 + name + 5)?);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 33]);
    Some(answer)
}
