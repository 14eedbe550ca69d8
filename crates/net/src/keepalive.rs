//! Signs of life that the kernel sends over TCP connections.

use std::{io, time::Duration};

use gost_core::{
    conn::{Conn, Io},
    error::Result,
    options,
    outbound::{NodeAddr, Upgrade},
    stream::{Prefixed, Socket, Stream},
};
use socket2::{SockRef, TcpKeepalive};

use crate::Metered;

options! {
    /// Keys of whoever has a TCP socket. Those of a dialer count for the first node of a route
    /// only: beyond it there is no socket.
    pub struct KeepaliveOptions {
        /// Set TCP keep-alive with the three keys below; without it they have their defaults.
        keepalive: bool = false, "keepalive";
        /// How long a connection is idle before the first probe.
        keepalive_idle: Duration = Duration::from_secs(15), "keepalive.idle";
        /// Time between probes.
        keepalive_interval: Duration = Duration::from_secs(15), "keepalive.interval";
        /// Probes without an answer that end the connection.
        keepalive_count: u32 = 9, "keepalive.count";
    }
}

/// What every TCP socket has unless its keys say otherwise, as in the original: a peer that is gone
/// without a word is missed after two and a half minutes, and a tunnel then made anew.
///
/// The count of nine probes is that of the system.
pub(crate) const fn usual() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(15))
}

impl KeepaliveOptions {
    /// Sets the options of the socket below a connection, if there is one and if they say so.
    pub fn apply(&self, conn: Conn) -> io::Result<Conn> {
        let Some(keepalive) = self.of_socket() else {
            return Ok(conn);
        };
        let Conn { io, meta } = conn;
        let io = match io {
            Io::Stream(stream) => Io::Stream(apply_to(stream, &keepalive)?),
            other => other,
        };
        Ok(Conn { io, meta })
    }

    /// What a socket is told, if the options say so. Zero stands for the default.
    pub(crate) fn of_socket(&self) -> Option<TcpKeepalive> {
        let default = Self::default();
        // The kernel counts in whole seconds.
        let wait = |wait: Duration, default: Duration| {
            let wait = if wait.is_zero() { default } else { wait };
            wait.max(Duration::from_secs(1))
        };
        self.keepalive.then(|| {
            TcpKeepalive::new()
                .with_time(wait(self.keepalive_idle, default.keepalive_idle))
                .with_interval(wait(self.keepalive_interval, default.keepalive_interval))
                .with_retries(match self.keepalive_count {
                    0 => default.keepalive_count,
                    count => count,
                })
        })
    }
}

fn apply_to(stream: Box<dyn Stream>, keepalive: &TcpKeepalive) -> io::Result<Box<dyn Stream>> {
    let raw = match stream.into_raw() {
        Ok(raw) => raw,
        Err(stream) => return Ok(stream),
    };
    if let Socket::Tcp(socket) = &raw.socket {
        SockRef::from(socket).set_tcp_keepalive(keepalive)?;
    }
    let stream = Metered::put_back(Box::new(raw.socket), raw.meter);
    Ok(Prefixed::new(raw.ahead, stream))
}

/// A step of a dialer, as which it can stand before TLS and the like.
#[async_trait::async_trait]
impl Upgrade for KeepaliveOptions {
    async fn client(&self, conn: Conn, _: &NodeAddr) -> Result<Conn> {
        Ok(self.apply(conn)?)
    }

    async fn server(&self, conn: Conn) -> Result<Conn> {
        Ok(self.apply(conn)?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gost_core::conn::Meta;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn reaches_the_socket_through_what_is_around_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let stream = Prefixed::new(Bytes::from_static(b"x"), Box::new(socket));
        let conn = Conn {
            io: Io::Stream(stream),
            meta: Box::new(Meta::default()),
        };
        let options = KeepaliveOptions {
            keepalive: true,
            keepalive_idle: Duration::from_secs(40),
            keepalive_count: 0,
            ..KeepaliveOptions::default()
        };
        let (stream, _) = options.apply(conn).unwrap().into_stream().unwrap();
        let raw = stream.into_raw().ok().unwrap();
        assert_eq!(&raw.ahead[..], b"x");
        let Socket::Tcp(socket) = &raw.socket else {
            panic!("no TCP")
        };
        let socket = SockRef::from(socket);
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(40)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(15)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 9);
    }
}
