//! Datagrams: two framings for streams, and the SOCKS5 header for real UDP
//!
//! | | Bytes | Used by |
//! |---|---|---|
//! | frame | LEN(2) PAYLOAD | UDP connect and forwarding, tunnels, routers |
//! | tunnel datagram | LEN(2) `ff` ATYP ADDR PORT PAYLOAD | UDP bind and association, SOCKS5 UDP tunnel |
//! | SOCKS datagram | `00 00` `00` ATYP ADDR PORT PAYLOAD | SOCKS5 over UDP (RFC 1928) |
//!
//! Nothing here allocates per datagram: decoders lend slices of the buffer
//! they are given, encoders append to the caller's. On a stream write header
//! and payload at once, and only one writer at a time: frames that interleave
//! end the conversation.

use bytes::BufMut;

use crate::address::AddressRef;
use crate::error::{DecodeError, EncodeError};
use crate::socks_addr::{self, check_room};

/// The most payload bytes that a length field can count.
pub const MAX_PAYLOAD: usize = 65_535;

/// Bytes in front of the payload of a frame.
pub const FRAME_HEADER_LEN: usize = 2;

/// The most bytes in front of the payload of a tunnel or SOCKS datagram.
pub const MAX_HEADER_LEN: usize = RSV_FRAG_LEN + socks_addr::MAX_LEN;

/// Bytes of RSV and FRAG.
const RSV_FRAG_LEN: usize = 3;

/// FRAG of a tunnel datagram. Receivers ignore it.
const TUNNEL_FRAG: u8 = 0xff;

/// A datagram with an address: its destination when a client sends it, its
/// source when a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it goes to or comes from. Names are resolved by the side that
    /// owns the UDP socket.
    pub address: AddressRef<'a>,
    /// The payload, always the last bytes of the datagram.
    pub payload: &'a [u8],
    /// The third header byte. The original ignores it when receiving.
    pub frag: u8,
    /// Bytes of header and payload together: how far to go to the next one.
    pub len: usize,
}

// === Frames ===

/// The header of a frame, for callers that have the payload elsewhere.
///
/// # Errors
/// The payload exceeds [`MAX_PAYLOAD`].
pub fn frame_header(payload_len: usize) -> Result<[u8; FRAME_HEADER_LEN], EncodeError> {
    payload_u16(payload_len).map(u16::to_be_bytes)
}

/// Appends a frame. An empty payload is an empty datagram.
///
/// # Errors
/// The payload is too long, or the buffer too small; it is unchanged then.
pub fn encode_frame(payload: &[u8], into: &mut impl BufMut) -> Result<(), EncodeError> {
    let header = frame_header(payload.len())?;
    check_room(into, header.len() + payload.len())?;
    into.put_slice(&header);
    into.put_slice(payload);
    Ok(())
}

/// Reads a frame off the front of `bytes`: its payload, and the bytes of
/// header and payload together. `None` means that bytes are missing.
pub fn decode_frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (header, rest) = bytes.split_first_chunk()?;
    let payload = rest.get(..usize::from(u16::from_be_bytes(*header)))?;
    Some((payload, header.len() + payload.len()))
}

// === Tunnel datagrams ===

/// Appends the header of a tunnel datagram, for callers that append the
/// payload themselves.
///
/// # Errors
/// The payload is empty or too long, or the buffer has no room for the header;
/// it is unchanged then.
pub fn encode_tunnel_header<'a>(
    address: impl Into<AddressRef<'a>>,
    payload_len: usize,
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    if payload_len == 0 {
        return Err(EncodeError::EmptyDatagram);
    }
    put_header(
        payload_u16(payload_len)?,
        TUNNEL_FRAG,
        address.into(),
        0,
        into,
    )
}

/// Appends a tunnel datagram.
///
/// # Errors
/// The payload is empty or too long, or the buffer too small; it is unchanged
/// then.
pub fn encode_tunnel<'a>(
    address: impl Into<AddressRef<'a>>,
    payload: &[u8],
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    if payload.is_empty() {
        return Err(EncodeError::EmptyDatagram);
    }
    let rsv = payload_u16(payload.len())?;
    put_header(rsv, TUNNEL_FRAG, address.into(), payload.len(), into)?;
    into.put_slice(payload);
    Ok(())
}

/// Reads a tunnel datagram off the front of `bytes`. `None` means that bytes
/// are missing. A length of zero is an empty datagram, which peers should not
/// send but do.
///
/// # Errors
/// The address is malformed. The stream cannot be followed any further.
pub fn decode_tunnel(bytes: &[u8]) -> Result<Option<Datagram<'_>>, DecodeError> {
    let Some((&[high, low, frag], rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let Some((address, used)) = socks_addr::decode(rest)? else {
        return Ok(None);
    };
    let payload_len = usize::from(u16::from_be_bytes([high, low]));
    let payload = rest.get(used..used + payload_len);
    Ok(payload.map(|payload| Datagram {
        address,
        payload,
        frag,
        len: RSV_FRAG_LEN + used + payload.len(),
    }))
}

// === SOCKS datagrams ===

/// Appends the header of a SOCKS datagram, for callers that append the payload
/// themselves.
///
/// # Errors
/// The buffer has no room for the header; it is unchanged then.
pub fn encode_socks_header<'a>(
    address: impl Into<AddressRef<'a>>,
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    put_header(0, 0, address.into(), 0, into)
}

/// Appends a SOCKS datagram. Its payload may be empty.
///
/// # Errors
/// The buffer is too small; it is unchanged then.
pub fn encode_socks<'a>(
    address: impl Into<AddressRef<'a>>,
    payload: &[u8],
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    put_header(0, 0, address.into(), payload.len(), into)?;
    into.put_slice(payload);
    Ok(())
}

/// Reads a whole SOCKS datagram. RSV and FRAG are not inspected, as the
/// original does; whoever wants to refuse fragments has
/// [`frag`](Datagram::frag).
///
/// # Errors
/// The header is cut short or malformed. Drop the datagram and go on.
pub fn decode_socks(datagram: &[u8]) -> Result<Datagram<'_>, DecodeError> {
    let Some((&[_, _, frag], rest)) = datagram.split_first_chunk() else {
        return Err(DecodeError::ShortDatagram);
    };
    let (address, used) = socks_addr::decode(rest)?.ok_or(DecodeError::ShortDatagram)?;
    Ok(Datagram {
        address,
        payload: &rest[used..],
        frag,
        len: datagram.len(),
    })
}

/// Appends RSV, FRAG and address if they and `more` bytes have room.
fn put_header(
    rsv: u16,
    frag: u8,
    address: AddressRef<'_>,
    more: usize,
    into: &mut impl BufMut,
) -> Result<(), EncodeError> {
    let header = RSV_FRAG_LEN + socks_addr::encoded_len(address);
    check_room(into, header + more)?;
    into.put_u16(rsv);
    into.put_u8(frag);
    socks_addr::put(address, into);
    Ok(())
}

fn payload_u16(len: usize) -> Result<u16, EncodeError> {
    u16::try_from(len).map_err(|_| EncodeError::DatagramLength(len))
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
