//! The address encoding of SOCKS5 (RFC 1928, section 5), which relay shares
//!
//! | ATYP | ADDR | PORT |
//! |---|---|---|
//! | `01` | 4 bytes | 2 |
//! | `03` | length byte and that many bytes | 2 |
//! | `04` | 16 bytes | 2 |
//!
//! Used for the address feature, both UDP framings with addresses, and by
//! SOCKS5 itself for its requests and replies.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{Buf, BufMut};

use crate::address::{AddressRef, Host};
use crate::error::{DecodeError, EncodeError};

/// The most bytes that an encoded address takes.
pub const MAX_LEN: usize = 1 + 1 + 255 + 2;

const IPV4: u8 = 0x01;
const DOMAIN: u8 = 0x03;
const IPV6: u8 = 0x04;

/// How many bytes [`encode`] writes.
pub fn encoded_len<'a>(address: impl Into<AddressRef<'a>>) -> usize {
    match address.into().host() {
        Host::V4(_) => 1 + 4 + 2,
        Host::Domain(name) => 1 + 1 + name.len() + 2,
        Host::V6(_) => 1 + 16 + 2,
    }
}

/// Appends an address.
///
/// # Errors
/// The buffer is too small; it is unchanged then.
pub fn encode<'a>(
    address: impl Into<AddressRef<'a>>,
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    let address = address.into();
    check_room(into, encoded_len(address))?;
    put(address, into);
    Ok(())
}

/// Reads an address off the front of `bytes`, and says how many bytes it took.
/// `None` means that bytes are missing.
///
/// # Errors
/// The type is unknown, or a name is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Option<(AddressRef<'_>, usize)>, DecodeError> {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let split = match kind {
        IPV4 => split_ip(rest).map(|(ip, rest)| (Host::V4(Ipv4Addr::from(ip)), rest)),
        IPV6 => split_ip(rest).map(|(ip, rest)| (Host::V6(Ipv6Addr::from(ip)), rest)),
        DOMAIN => split_name(rest)?.map(|(name, rest)| (Host::Domain(name), rest)),
        other => return Err(DecodeError::AddressType(other)),
    };
    let Some((host, mut rest)) = split else {
        return Ok(None);
    };
    let Ok(port) = rest.try_get_u16() else {
        return Ok(None);
    };
    let used = bytes.len() - rest.len();
    Ok(Some((AddressRef::from_wire(host, port), used)))
}

/// Appends an address to a buffer that is known to have room.
pub(crate) fn put(address: AddressRef<'_>, into: &mut impl BufMut) {
    match address.host() {
        Host::V4(ip) => {
            into.put_u8(IPV4);
            into.put_slice(&ip.octets());
        }
        Host::V6(ip) => {
            into.put_u8(IPV6);
            into.put_slice(&ip.octets());
        }
        Host::Domain(name) => {
            into.put_u8(DOMAIN);
            into.put_u8(name.len() as u8);
            into.put_slice(name.as_bytes());
        }
    }
    into.put_u16(address.port());
}

/// Refuses a write that would not fit, since `BufMut` panics then.
pub(crate) fn check_room(into: &impl BufMut, needed: usize) -> Result<(), EncodeError> {
    let room = into.remaining_mut();
    if room < needed {
        return Err(EncodeError::NoRoom { needed, room });
    }
    Ok(())
}

fn split_ip<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (ip, rest) = bytes.split_first_chunk()?;
    Some((*ip, rest))
}

fn split_name(bytes: &[u8]) -> Result<Option<(&str, &[u8])>, DecodeError> {
    let Some((&len, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let Some((name, rest)) = rest.split_at_checked(usize::from(len)) else {
        return Ok(None);
    };
    let name = std::str::from_utf8(name).map_err(|_| DecodeError::Text("domain name"))?;
    Ok(Some((name, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    const EXAMPLES: &[(&str, &str)] = &[
        ("8.8.8.8:53", "01080808080035"),
        ("0.0.0.0:0", "01000000000000"),
        (
            "[2001:db8::1]:8080",
            "0420010db80000000000000000000000011f90",
        ),
        ("dns.google:53", "030a646e732e676f6f676c650035"),
        (":0", "03000000"),
    ];

    #[test]
    fn both_ways() {
        for (text, hex) in EXAMPLES {
            let address = AddressRef::parse(text).unwrap();
            let mut bytes = BytesMut::new();
            encode(address, &mut bytes).unwrap();
            assert_eq!(hex::encode(&bytes), *hex);
            assert_eq!(encoded_len(address), bytes.len());
            bytes.extend_from_slice(b"behind");
            assert_eq!(decode(&bytes), Ok(Some((address, hex.len() / 2))));
        }
    }

    #[test]
    fn every_prefix_is_incomplete() {
        for (_, hex) in EXAMPLES {
            let bytes = hex::decode(hex).unwrap();
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), Ok(None), "{cut} bytes of {hex}");
            }
        }
    }

    #[test]
    fn bad_bytes() {
        for kind in [0, 2, 5, 0x80, 0xff] {
            assert_eq!(decode(&[kind]), Err(DecodeError::AddressType(kind)));
        }
        let latin1 = hex::decode("0304ff6363630050").unwrap();
        assert_eq!(decode(&latin1), Err(DecodeError::Text("domain name")));
    }

    #[test]
    fn a_small_buffer_stays_untouched() {
        let mut array = [0xaa; 6];
        let address = AddressRef::parse("8.8.8.8:53").unwrap();
        assert_eq!(
            encode(address, &mut &mut array[..]),
            Err(EncodeError::NoRoom { needed: 7, room: 6 })
        );
        assert_eq!(array, [0xaa; 6]);
    }

    #[test]
    fn the_longest_name() {
        let name = "n".repeat(255);
        let address = AddressRef::new(Host::Domain(&name), 1).unwrap();
        let mut array = [0; MAX_LEN];
        encode(address, &mut &mut array[..]).unwrap();
        assert_eq!(decode(&array), Ok(Some((address, MAX_LEN))));
    }
}
