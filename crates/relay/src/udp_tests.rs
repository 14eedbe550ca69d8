use super::*;
use crate::address::Host;
use bytes::BytesMut;

fn addr(text: &str) -> AddressRef<'_> {
    AddressRef::parse(text).unwrap()
}

#[test]
fn frames() {
    for (payload, hex) in [
        (&b"hello"[..], "000568656c6c6f"),
        (b"", "0000"),
        // A router packet: the first bytes of an IPv4 header.
        (&[0x45, 0x00, 0x00, 0x14], "000445000014"),
    ] {
        let mut bytes = BytesMut::new();
        encode_frame(payload, &mut bytes).unwrap();
        assert_eq!(hex::encode(&bytes), hex);
        for cut in 0..bytes.len() {
            assert_eq!(decode_frame(&bytes[..cut]), None);
        }
        let len = bytes.len();
        bytes.extend_from_slice(b"next");
        assert_eq!(decode_frame(&bytes), Some((payload, len)));
    }
    assert_eq!(frame_header(0x1234), Ok([0x12, 0x34]));
}

#[test]
fn tunnel_datagrams() {
    for (to, hex) in [
        ("8.8.8.8:53", "0005ff0108080808003568656c6c6f"),
        (
            "dns.google:53",
            "0005ff030a646e732e676f6f676c65003568656c6c6f",
        ),
        (
            "[2001:db8::1]:53",
            "0005ff0420010db8000000000000000000000001003568656c6c6f",
        ),
    ] {
        let mut bytes = BytesMut::new();
        encode_tunnel(addr(to), b"hello", &mut bytes).unwrap();
        assert_eq!(hex::encode(&bytes), hex);
        for cut in 0..bytes.len() {
            assert_eq!(
                decode_tunnel(&bytes[..cut]),
                Ok(None),
                "{cut} bytes of {to}"
            );
        }
        let expected = Datagram {
            address: addr(to),
            payload: b"hello",
            frag: 0xff,
            len: bytes.len(),
        };
        let mut header = BytesMut::new();
        encode_tunnel_header(addr(to), 5, &mut header).unwrap();
        assert_eq!(header, bytes[..bytes.len() - 5]);

        bytes.extend_from_slice(b"next");
        assert_eq!(decode_tunnel(&bytes), Ok(Some(expected)));
    }
}

#[test]
fn tunnel_datagram_without_length_is_empty() {
    let bytes = hex::decode("0000ff01080808080035aabb").unwrap();
    let datagram = decode_tunnel(&bytes).unwrap().unwrap();
    assert_eq!(datagram.payload, b"");
    assert_eq!(datagram.len, 10, "what follows is the next datagram");
}

#[test]
fn third_byte_of_a_tunnel_datagram_is_reported_only() {
    let bytes = hex::decode("000100010808080800350a").unwrap();
    let datagram = decode_tunnel(&bytes).unwrap().unwrap();
    assert_eq!((datagram.frag, datagram.payload), (0, &[0x0a][..]));
}

#[test]
fn malformed_tunnel_datagrams() {
    for (hex, error) in [
        ("ffffff00", DecodeError::AddressType(0)),
        ("0005ff09", DecodeError::AddressType(9)),
        // Interleaved writes of the original's rudp.
        ("000dff000dff", DecodeError::AddressType(0)),
        ("0001ff0301ff003561", DecodeError::Text("domain name")),
    ] {
        let bytes = hex::decode(hex).unwrap();
        assert_eq!(decode_tunnel(&bytes), Err(error), "{hex}");
    }
}

#[test]
fn what_cannot_be_sent() {
    let mut bytes = BytesMut::new();
    let (to, long) = (addr("8.8.8.8:53"), vec![0; MAX_PAYLOAD + 1]);
    let too_long = Err(EncodeError::DatagramLength(MAX_PAYLOAD + 1));
    assert_eq!(
        encode_tunnel(to, b"", &mut bytes),
        Err(EncodeError::EmptyDatagram)
    );
    assert_eq!(
        encode_tunnel_header(to, 0, &mut bytes),
        Err(EncodeError::EmptyDatagram)
    );
    assert_eq!(encode_tunnel(to, &long, &mut bytes), too_long);
    assert_eq!(encode_tunnel_header(to, long.len(), &mut bytes), too_long);
    assert_eq!(encode_frame(&long, &mut bytes), too_long);
    assert!(bytes.is_empty());

    let mut array = [0xaa; 14];
    let no_room = Err(EncodeError::NoRoom {
        needed: 15,
        room: 14,
    });
    assert_eq!(encode_tunnel(to, b"hello", &mut &mut array[..]), no_room);
    assert_eq!(encode_socks(to, b"hello", &mut &mut array[..]), no_room);
    assert_eq!(
        encode_frame(b"1234567890123", &mut &mut array[..]),
        Err(EncodeError::NoRoom {
            needed: 15,
            room: 14
        })
    );
    assert_eq!(array, [0xaa; 14]);
}

#[test]
fn the_longest_datagrams() {
    let payload = vec![0x5a; MAX_PAYLOAD];
    let name = "n".repeat(255);
    let to = AddressRef::new(Host::Domain(&name), 65_535).unwrap();

    let mut bytes = BytesMut::new();
    encode_tunnel(to, &payload, &mut bytes).unwrap();
    assert_eq!(bytes.len(), MAX_HEADER_LEN + MAX_PAYLOAD);
    let datagram = decode_tunnel(&bytes).unwrap().unwrap();
    assert_eq!((datagram.address, datagram.payload), (to, &payload[..]));

    bytes.clear();
    encode_frame(&payload, &mut bytes).unwrap();
    assert_eq!(
        decode_frame(&bytes),
        Some((&payload[..], FRAME_HEADER_LEN + MAX_PAYLOAD))
    );
}

#[test]
fn socks_datagrams() {
    for payload in [&b"hello"[..], b""] {
        let mut bytes = BytesMut::new();
        encode_socks(addr("8.8.8.8:53"), payload, &mut bytes).unwrap();
        let header = hex::decode("00000001080808080035").unwrap();
        assert_eq!(bytes[..10], header);
        assert_eq!(
            decode_socks(&bytes),
            Ok(Datagram {
                address: addr("8.8.8.8:53"),
                payload,
                frag: 0,
                len: 10 + payload.len(),
            })
        );
        let mut alone = BytesMut::new();
        encode_socks_header(addr("8.8.8.8:53"), &mut alone).unwrap();
        assert_eq!(alone, header);
    }
}

#[test]
fn malformed_socks_datagrams() {
    let whole = hex::decode("0000000308646e732e7465737400350a").unwrap();
    assert_eq!(decode_socks(&whole).unwrap().payload, [0x0a]);
    for cut in 0..15 {
        assert_eq!(
            decode_socks(&whole[..cut]),
            Err(DecodeError::ShortDatagram),
            "{cut} bytes"
        );
    }
    let unknown = hex::decode("00000007080808080035").unwrap();
    assert_eq!(decode_socks(&unknown), Err(DecodeError::AddressType(7)));
    let fragment = hex::decode("000002010808080800350a").unwrap();
    assert_eq!(decode_socks(&fragment).unwrap().frag, 2);
}
