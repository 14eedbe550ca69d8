//! PROXY protocol headers: who the client of a relayed connection is.
//!
//! Source: <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use gost_core::{
    conn::{Conn, Io},
    error::{Error, Result, Why},
    stream::{Prefixed, Stream},
};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;

/// How long a header may take; afterwards the connection counts as one without.
const WAIT: Duration = Duration::from_secs(10);

/// The longest header that is taken: a v2 header has 16 bytes and up to 536 are ever seen.
const LONGEST: usize = 16 + 1024;

/// The longest line of version 1, by its specification.
const LONGEST_LINE: usize = 107;

/// A header of version 1 or 2 (anything above 1 is 2).
pub fn encode(version: u8, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (client, local) = same_family(client, local);
    if version == 1 {
        return v1::Addresses::from((client, local))
            .to_string()
            .into_bytes();
    }
    let addresses = v2::Addresses::from((client, local));
    v2::Builder::with_addresses(
        v2::Version::Two | v2::Command::Proxy,
        v2::Protocol::Stream,
        addresses,
    )
    .build()
    // Only TLVs can make a header too long, and there are none.
    .unwrap_or_default()
}

/// A header knows one family: when they differ, IPv4 is written as IPv6.
fn same_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (canonical_a, canonical_b) = (a.ip().to_canonical(), b.ip().to_canonical());
    if canonical_a.is_ipv4() == canonical_b.is_ipv4() {
        return (
            SocketAddr::new(canonical_a, a.port()),
            SocketAddr::new(canonical_b, b.port()),
        );
    }
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        v6 @ IpAddr::V6(_) => v6,
    };
    (
        SocketAddr::new(mapped(a.ip()), a.port()),
        SocketAddr::new(mapped(b.ip()), b.port()),
    )
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
    if let Ok(header) = header {
        meta.client = header?;
    }
    Ok(Conn {
        io: Io::Stream(Prefixed::new(buffer.freeze(), stream)),
        meta,
    })
}

/// The client's address; what was read past the header stays in `buffer`.
async fn read(stream: &mut dyn Stream, buffer: &mut BytesMut) -> Result<Option<SocketAddr>> {
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
        if !matches!(buffer.first(), Some(b'P' | b'\r')) {
            return Ok(None);
        }
        // A line of version 1 can be judged only as a whole.
        let is_line = buffer.starts_with(b"PROXY ");
        let is_whole_line = buffer.contains(&b'\n') || buffer.len() >= LONGEST_LINE;
        let is_begun = b"PROXY ".starts_with(buffer) || (is_line && !is_whole_line);
        if is_begun {
            continue;
        }
        let header = HeaderResult::parse(buffer);
        if header.is_incomplete() && !is_line && buffer.len() < LONGEST {
            continue;
        }
        let (client, length) = match &header {
            HeaderResult::V1(Ok(header)) => (v1_client(&header.addresses), header.header.len()),
            HeaderResult::V2(Ok(header)) => (v2_client(header), header.len()),
            // Something else that begins with one of the two letters.
            HeaderResult::V1(Err(_)) if !is_line => return Ok(None),
            HeaderResult::V2(Err(_)) if !buffer.starts_with(v2::PROTOCOL_PREFIX) => {
                return Ok(None);
            }
            HeaderResult::V1(Err(error)) => return Err(broken(error)),
            HeaderResult::V2(Err(error)) => return Err(broken(error)),
        };
        let _ = buffer.split_to(length);
        return Ok(client);
    }
}

fn broken(error: &dyn std::fmt::Display) -> Error {
    Error::bad_input(format!("PROXY header: {error}")).why_set(Why::BadInput)
}

fn v1_client(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Tcp4(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Tcp6(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

fn v2_client(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(a)) => {
            Some((a.source_address, a.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(a)) => {
            Some((a.source_address, a.source_port).into())
        }
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
        assert_eq!(
            encode(1, client, local),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 8443\r\n"
        );
        let v2 =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xc8\x22\x20\xfb";
        assert_eq!(encode(2, client, local), v2);
        let mixed = String::from_utf8(encode(1, client, addr("[2001:db8::1]:1"))).unwrap();
        assert!(
            mixed.starts_with("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 "),
            "{mixed}"
        );
    }

    /// Sends `sent` byte by byte and returns the client that was noted, and what was left.
    async fn received(sent: &[u8]) -> Result<(Option<SocketAddr>, Vec<u8>)> {
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
        Ok((meta.client, rest))
    }

    #[tokio::test]
    async fn headers_are_taken_off_in_any_pieces() {
        let (client, local) = (addr("192.0.2.1:51234"), addr("198.51.100.2:8443"));
        for version in [1, 2] {
            let mut sent = encode(version, client, local);
            sent.extend_from_slice(b"hello");
            assert_eq!(
                received(&sent).await.unwrap(),
                (Some(client), b"hello".to_vec())
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
        assert!(received(b"PROXY TCP4 nonsense\r\n").await.is_err());
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
