//! A client of SOCKS5 UDP associations, written from RFC 1928 and RFC 1929 alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use gost_testkit::{PATIENCE, udp::MAX_DATAGRAM};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const ASSOCIATE: u8 = 3;
const IPV4: u8 = 1;
const IPV6: u8 = 4;

/// An association: a connection that keeps it open, and a socket for its datagrams.
#[derive(Debug)]
pub struct Association {
    control: TcpStream,
    socket: UdpSocket,
}

impl Association {
    /// Associates at a server, with a user's name and password or without.
    ///
    /// # Errors
    /// When the server refuses or says what no server may, or nothing in time.
    pub async fn open(server: SocketAddr, login: Option<(&str, &str)>) -> Result<Self> {
        timeout(PATIENCE, Self::negotiate(server, login))
            .await
            .context("the SOCKS5 server is silent")?
    }

    async fn negotiate(server: SocketAddr, login: Option<(&str, &str)>) -> Result<Self> {
        let mut control = TcpStream::connect(server).await?;
        let method = if login.is_some() { PASSWORD } else { NO_LOGIN };
        control.write_all(&[VERSION, 1, method]).await?;
        let mut chosen = [0; 2];
        control.read_exact(&mut chosen).await?;
        ensure!(chosen == [VERSION, method], "method: {chosen:?}");
        if let Some((user, password)) = login {
            let mut message = vec![1, u8::try_from(user.len())?];
            message.extend_from_slice(user.as_bytes());
            message.push(u8::try_from(password.len())?);
            message.extend_from_slice(password.as_bytes());
            control.write_all(&message).await?;
            let mut status = [0; 2];
            control.read_exact(&mut status).await?;
            ensure!(status == [1, 0], "login: {status:?}");
        }
        let request = [VERSION, ASSOCIATE, 0, IPV4, 0, 0, 0, 0, 0, 0];
        control.write_all(&request).await?;
        let mut head = [0; 3];
        control.read_exact(&mut head).await?;
        ensure!(head == [VERSION, 0, 0], "reply: {head:?}");
        let mut relay = read_address(&mut control).await?;
        if relay.ip().is_unspecified() {
            relay.set_ip(server.ip());
        }
        let socket = UdpSocket::bind((server.ip(), 0)).await?;
        socket.connect(relay).await?;
        Ok(Self { control, socket })
    }

    /// Sends a datagram to a target.
    ///
    /// # Errors
    /// When the system refuses to send it.
    pub async fn send(&self, to: SocketAddr, data: &[u8]) -> Result<()> {
        let mut datagram = vec![0, 0, 0];
        match to.ip() {
            IpAddr::V4(ip) => {
                datagram.push(IPV4);
                datagram.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                datagram.push(IPV6);
                datagram.extend_from_slice(&ip.octets());
            }
        }
        datagram.extend_from_slice(&to.port().to_be_bytes());
        datagram.extend_from_slice(data);
        self.socket.send(&datagram).await?;
        Ok(())
    }

    /// Sends bytes as they are, which may be no datagram of SOCKS5 at all.
    ///
    /// # Errors
    /// When the system refuses to send them.
    pub async fn send_raw(&self, bytes: &[u8]) -> Result<()> {
        self.socket.send(bytes).await?;
        Ok(())
    }

    /// The next datagram, and the target that it came from.
    ///
    /// # Errors
    /// When none comes in time, the association ends, or what comes is none.
    pub async fn receive(&mut self) -> Result<(SocketAddr, Vec<u8>)> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut byte = [0];
        let size = tokio::select! {
            size = timeout(PATIENCE, self.socket.recv(&mut buffer)) => {
                size.context("no datagram came")??
            }
            _ = self.control.read(&mut byte) => bail!("the association has ended"),
        };
        let mut rest = &buffer[..size];
        let mut head = [0; 3];
        rest.read_exact(&mut head).await?;
        ensure!(head == [0; 3], "head of a datagram: {head:?}");
        let from = read_address(&mut rest).await?;
        Ok((from, rest.to_vec()))
    }
}

async fn read_address(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<SocketAddr> {
    let ip: IpAddr = match from.read_u8().await? {
        IPV4 => Ipv4Addr::from(from.read_u32().await?).into(),
        IPV6 => Ipv6Addr::from(from.read_u128().await?).into(),
        kind => bail!("an address of type {kind}"),
    };
    Ok((ip, from.read_u16().await?).into())
}
