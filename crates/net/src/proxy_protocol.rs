//! PROXY protocol headers: who the client of a relayed connection is.
//!
//! Source: <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use gost_core::{
    addr::Network,
    conn::{Conn, Io},
    error::{Error, Result, Why},
    packet::Batch,
    stream::{Prefixed, Stream},
};
use ppp::{PartialResult, v1, v2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a header may take; afterwards the connection counts as one without.
const WAIT: Duration = Duration::from_secs(10);

/// The longest header that is taken: a v2 header has 16 bytes and up to 536 are ever seen.
const LONGEST: usize = 16 + 1024;

/// What a header of version 1 begins with.
const LINE_PREFIX: &[u8] = b"PROXY ";

/// The longest line of version 1, by its specification.
const LONGEST_LINE: usize = 107;

/// A header of version 1 or 2 (anything above 1 is 2), for a connection that carries what
/// `network` does. Without the two addresses, the client's and the one that it connected to, it
/// says that they are unknown; so does version 1 of datagrams, for which it has no word.
pub fn encode(
    version: u8,
    network: Network,
    addresses: Option<(SocketAddr, SocketAddr)>,
) -> Vec<u8> {
    let addresses = addresses.map(|(client, local)| same_family(client, local));
    if version == 1 {
        let known = addresses.filter(|_| network != Network::Udp);
        let addresses = known.map_or(v1::Addresses::Unknown, v1::Addresses::from);
        return addresses.to_string().into_bytes();
    }
    let builder = match addresses {
        Some(addresses) => v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Proxy,
            match network {
                Network::Udp => v2::Protocol::Datagram,
                _ => v2::Protocol::Stream,
            },
            addresses,
        ),
        None => v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Local,
            v2::Protocol::Unspecified,
            v2::Addresses::Unspecified,
        ),
    };
    // Only TLVs can make a header too long, and there are none.
    builder.build().unwrap_or_default()
}

/// Sends a header in front of everything else: as the first bytes of a stream, or as a datagram.
pub async fn send(conn: &mut Conn, header: &[u8]) -> io::Result<()> {
    match &mut conn.io {
        Io::Stream(stream) => {
            stream.write_all(header).await?;
            stream.flush().await
        }
        Io::Packet(packet) => {
            let mut batch = Batch::with_capacity(header.len());
            batch.push(header, conn.meta.peer.clone());
            std::future::poll_fn(|cx| packet.poll_send(cx, &mut batch)).await
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A header knows one family: when they differ, IPv4 is written as IPv6. A wildcard is one in
/// every family.
fn same_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let (mut a, mut b) = (canonical(a), canonical(b));
    if a.is_ipv4() == b.is_ipv4() {
        return (a, b);
    }
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        v6 @ IpAddr::V6(_) => v6,
    };
    let wildcard = |like: SocketAddr| match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    if b.ip().is_unspecified() {
        b.set_ip(wildcard(a));
    } else if a.ip().is_unspecified() {
        a.set_ip(wildcard(b));
    } else {
        a.set_ip(mapped(a.ip()));
        b.set_ip(mapped(b.ip()));
    }
    (a, b)
}

/// Reads the header in front of a connection, if there is one, and notes what it says.
///
/// A silent client counts as one without a header after ten seconds; a broken header is an error.
pub async fn accept(conn: Conn) -> Result<Conn> {
    let Conn {
        io: Io::Stream(mut stream),
        mut meta,
    } = conn
    else {
        return Ok(conn);
    };
    let mut buffer = BytesMut::new();
    let header = tokio::time::timeout(WAIT, read(&mut *stream, &mut buffer)).await;
    if let Ok(header) = header
        && let Some((client, original)) = header?
    {
        meta.client = Some(client);
        meta.original = Some(original);
    }
    Ok(Conn {
        io: Io::Stream(Prefixed::new(buffer.freeze(), stream)),
        meta,
    })
}

/// The addresses of a header: the client's, and the one that it connected to.
type Addresses = (SocketAddr, SocketAddr);

/// What a header says; what was read past it stays in `buffer`.
async fn read(stream: &mut dyn Stream, buffer: &mut BytesMut) -> Result<Option<Addresses>> {
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
        if !matches!(buffer.first(), Some(b'P' | b'\r')) {
            return Ok(None);
        }
        if LINE_PREFIX.starts_with(buffer) || v2::PROTOCOL_PREFIX.starts_with(buffer) {
            continue;
        }
        let (addresses, length) = if buffer.starts_with(LINE_PREFIX) {
            // A line can be judged only as a whole.
            if !buffer.contains(&b'\n') && buffer.len() < LONGEST_LINE {
                continue;
            }
            let header = v1::Header::try_from(&**buffer).map_err(|e| broken(&e))?;
            (v1_addresses(&header.addresses), header.header.len())
        } else if buffer.starts_with(v2::PROTOCOL_PREFIX) {
            match v2::Header::try_from(&**buffer) {
                Ok(header) => (v2_addresses(&header), header.len()),
                Err(error) if error.is_incomplete() && buffer.len() < LONGEST => continue,
                Err(error) => return Err(broken(&error)),
            }
        } else {
            // Something else that begins with one of the two letters.
            return Ok(None);
        };
        let _ = buffer.split_to(length);
        return Ok(addresses);
    }
}

fn broken(error: &dyn std::fmt::Display) -> Error {
    Error::bad_input(format!("PROXY header: {error}")).why_set(Why::BadInput)
}

fn v1_addresses(addresses: &v1::Addresses) -> Option<Addresses> {
    match addresses {
        v1::Addresses::Tcp4(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        v1::Addresses::Tcp6(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        v1::Addresses::Unknown => None,
    }
}

fn v2_addresses(header: &v2::Header<'_>) -> Option<Addresses> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(a)) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        (v2::Command::Proxy, v2::Addresses::IPv6(a)) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gost_core::conn::Meta;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn headers_are_those_of_the_specification() {
        let (client, local) = (addr("192.0.2.1:51234"), addr("198.51.100.2:8443"));
        let both = Some((client, local));
        assert_eq!(
            encode(1, Network::Tcp, both),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 8443\r\n"
        );
        let v2 =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xc8\x22\x20\xfb";
        assert_eq!(encode(2, Network::Tcp, both), v2);
        let v2 =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xc8\x22\x20\xfb";
        assert_eq!(encode(2, Network::Udp, both), v2);
        for (local, written) in [
            ("[2001:db8::1]:1", "TCP6 ::ffff:192.0.2.1 2001:db8::1 "),
            ("[::]:1", "TCP4 192.0.2.1 0.0.0.0 "),
            ("[::ffff:192.0.2.9]:1", "TCP4 192.0.2.1 192.0.2.9 "),
        ] {
            let header = encode(1, Network::Tcp, Some((client, addr(local))));
            let header = String::from_utf8(header).unwrap();
            assert_eq!(header, format!("PROXY {written}51234 1\r\n"));
        }
    }

    #[test]
    fn what_a_header_can_not_say_is_unknown() {
        let both = Some((addr("192.0.2.1:51234"), addr("198.51.100.2:8443")));
        for (network, addresses) in [(Network::Udp, both), (Network::Unix, None)] {
            assert_eq!(encode(1, network, addresses), b"PROXY UNKNOWN\r\n");
        }
        assert_eq!(
            encode(2, Network::Unix, None),
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
        );
    }

    /// Sends `sent` byte by byte and returns the addresses that were noted, and what was left.
    async fn received(sent: &[u8]) -> Result<(Option<Addresses>, Vec<u8>)> {
        let (mut near, far) = tokio::io::duplex(1);
        let sent = sent.to_vec();
        let writer = tokio::spawn(async move {
            // The reader may have given up.
            let _ = near.write_all(&sent).await;
        });
        let conn = accept(Conn::stream(far, Meta::default())).await?;
        let (mut stream, meta) = conn.into_stream()?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await?;
        writer.await.unwrap();
        Ok((meta.client.zip(meta.original), rest))
    }

    #[tokio::test]
    async fn headers_are_taken_off_in_any_pieces() {
        let known = Some((addr("192.0.2.1:51234"), addr("198.51.100.2:8443")));
        for (version, addresses) in [(1, known), (2, known), (1, None), (2, None)] {
            let mut sent = encode(version, Network::Tcp, addresses);
            sent.extend_from_slice(b"hello");
            assert_eq!(
                received(&sent).await.unwrap(),
                (addresses, b"hello".to_vec())
            );
        }
        for other in [
            &b"hello"[..],
            b"POST / HTTP/1.1\r\n\r\n",
            b"\r\nx",
            b"P",
            b"",
        ] {
            assert_eq!(received(other).await.unwrap(), (None, other.to_vec()));
        }
        // A header that is begun right and broken then is not taken for data.
        let signature = v2::PROTOCOL_PREFIX;
        for broken in [
            &b"PROXY TCP4 nonsense\r\n"[..],
            &[
                signature,
                b"\x31\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xc8\x22\x20\xfb",
            ]
            .concat(),
            &[signature, b"\x21\x11\0\x04\xc0\0\x02\x01hello"].concat(),
        ] {
            assert!(received(broken).await.is_err(), "{broken:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_counts_as_one_without_a_header() {
        let (mut near, far) = tokio::io::duplex(64);
        let conn = accept(Conn::stream(far, Meta::default())).await.unwrap();
        near.write_all(b"late").await.unwrap();
        drop(near);
        let mut rest = String::new();
        conn.into_stream()
            .unwrap()
            .0
            .read_to_string(&mut rest)
            .await
            .unwrap();
        assert_eq!(rest, "late");
    }
}
