//! A connection: its bytes or datagrams, and beside them what is known about it.

use std::{any::Any, fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;

use crate::{
    addr::Addr,
    error::{Error, Result, Why},
    packet::Packet,
    stream::{Prefixed, Stream},
};

/// What flows over a connection.
#[non_exhaustive]
pub enum Io {
    /// Bytes.
    Stream(Box<dyn Stream>),
    /// Datagrams.
    Packet(Box<dyn Packet>),
    /// Something of a family's own: a listener hands it to a handler that knows the type.
    Other(Box<dyn Any + Send>),
}

/// What is known of a connection. It is data, so that a wrapper need not pass it on and can't
/// hide it.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Our address on the connection.
    pub local: Addr,
    /// The address of the other end.
    pub peer: Addr,
    /// The client's address as a PROXY header or a node told it, when it isn't the peer.
    pub client: Option<SocketAddr>,
    /// Where the client wanted to go before it was diverted to us.
    pub original: Option<SocketAddr>,
    /// The host that a visitor of a tunnel asked for.
    pub host: Option<Addr>,
    /// What a TLS handshake found out.
    pub tls: Option<Arc<TlsFacts>>,
    /// The way that was taken to the other end: nodes and target, for logs and records.
    pub route: Option<Arc<str>>,
}

impl Meta {
    /// What a socket knows of itself.
    pub fn new(local: Addr, peer: Addr) -> Self {
        Self {
            local,
            peer,
            ..Self::default()
        }
    }

    /// The address of the one behind the connection, as far as it is known.
    pub fn source(&self) -> Addr {
        self.client.map_or_else(|| self.peer.clone(), Addr::from)
    }
}

/// What a TLS handshake found out about the other end.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// The server name that the client asked for.
    pub server_name: Option<String>,
    /// The protocol that was agreed on.
    pub alpn: Option<String>,
    /// The verified certificate of the client, as DER.
    pub client_certificate: Option<Bytes>,
}

/// A connection.
pub struct Conn {
    /// Its bytes or datagrams.
    pub io: Io,
    /// What is known of it.
    pub meta: Box<Meta>,
}

impl Conn {
    /// A connection that carries bytes.
    pub fn stream(stream: impl Stream, meta: Meta) -> Self {
        Self {
            io: Io::Stream(Box::new(stream)),
            meta: Box::new(meta),
        }
    }

    /// A connection that carries datagrams.
    pub fn packet(packet: impl Packet, meta: Meta) -> Self {
        Self {
            io: Io::Packet(Box::new(packet)),
            meta: Box::new(meta),
        }
    }

    /// The byte stream and what is known of it; an error for anything else.
    pub fn into_stream(self) -> Result<(Box<dyn Stream>, Box<Meta>)> {
        match self.io {
            Io::Stream(stream) => Ok((stream, self.meta)),
            other => Err(mismatch("a byte stream", &other)),
        }
    }

    /// The datagrams and what is known of them; an error for anything else.
    pub fn into_packet(self) -> Result<(Box<dyn Packet>, Box<Meta>)> {
        match self.io {
            Io::Packet(packet) => Ok((packet, self.meta)),
            other => Err(mismatch("datagrams", &other)),
        }
    }

    /// The same connection with bytes in front that were read too far. Only streams have such.
    #[must_use]
    pub fn prefixed(self, ahead: Bytes) -> Self {
        match self.io {
            Io::Stream(stream) => Self {
                io: Io::Stream(Prefixed::new(ahead, stream)),
                meta: self.meta,
            },
            _ => self,
        }
    }

    /// Ends the connection as an error, where it has a way to say so.
    pub fn abort(self) {
        if let Io::Stream(stream) = self.io {
            stream.abort();
        }
    }
}

fn mismatch(wanted: &str, found: &Io) -> Error {
    Error::new(
        Why::Unsupported,
        format!("the connection carries {found:?}, not {wanted}"),
    )
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "a byte stream",
            Self::Packet(_) => "datagrams",
            Self::Other(_) => "something of its own",
        })
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("io", &self.io)
            .field("meta", &self.meta)
            .finish()
    }
}
