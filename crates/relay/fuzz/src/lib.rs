//! What must hold for every input, shared by the fuzz targets and the tests

use bytes::BytesMut;
use gost_relay::{Address, AddressRef, ConnectorId, Request, Response, message_len};
use gost_relay::{socks_addr, udp};

/// Any bytes: no decoder panics, reads past the end or disagrees with itself.
pub fn any_bytes(bytes: &[u8]) {
    let request = Request::parse(bytes);
    let mut buffer = BytesMut::from(bytes);
    let decoded = Request::decode(&mut buffer);
    if let Ok(Some((request, len))) = &request {
        assert_eq!(message_len(bytes), Ok(Some(*len)));
        assert_eq!(decoded.as_ref(), Ok(&Some(request.clone())));
        assert_eq!(buffer, bytes[*len..]);
        request_survives(request, bytes);
    } else {
        assert_eq!(decoded, request.map(|_| None));
        assert_eq!(buffer, bytes);
    }

    if let Ok(Some((response, len))) = Response::parse(bytes) {
        let again = response.to_vec().expect("decoded messages can be encoded");
        assert!(again.len() <= len);
        let again_len = again.len();
        assert_eq!(Response::parse(&again), Ok(Some((response, again_len))));
    }

    if let Some((payload, len)) = udp::decode_frame(bytes) {
        let mut again = Vec::new();
        udp::encode_frame(payload, &mut again).expect("the length was in two bytes");
        assert_eq!(again, bytes[..len]);
    }
    if let Ok(Some(datagram)) = udp::decode_tunnel(bytes) {
        let mut again = Vec::new();
        let sent = udp::encode_tunnel(datagram.address, datagram.payload, &mut again);
        assert_eq!(sent.is_err(), datagram.payload.is_empty());
        if sent.is_ok() {
            assert_eq!(again[3..], bytes[3..datagram.len]);
        }
    }
    if let Ok(datagram) = udp::decode_socks(bytes) {
        let mut again = Vec::new();
        udp::encode_socks(datagram.address, datagram.payload, &mut again)
            .expect("a vector has room");
        assert_eq!(again[3..], bytes[3..]);
    }
    if let Ok(Some((address, len))) = socks_addr::decode(bytes) {
        assert_eq!(socks_addr::encoded_len(address), len);
        assert_eq!(AddressRef::from(&address.into_owned()), address);
    }

    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(address) = text.parse::<Address>() {
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            let normal = address.repair_bind().normalized();
            assert_eq!(normal.clone().normalized(), normal);
        }
        if let Ok(id) = text.parse::<ConnectorId>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}

/// A decoded request encodes to no more bytes, which mean the same.
fn request_survives(request: &Request, bytes: &[u8]) {
    let again = request.to_vec().expect("decoded messages can be encoded");
    assert!(again.len() <= bytes.len());
    let len = again.len();
    assert_eq!(Request::parse(&again), Ok(Some((request.clone(), len))));
}

/// A request that can be encoded arrives as it was, whatever pieces its bytes
/// come in (`cuts` are the sizes of the first ones) and whatever follows.
pub fn any_request(request: &Request, cuts: &[u8], behind: &[u8]) {
    let mut wire = Vec::new();
    if request.encode(&mut wire).is_err() {
        assert!(wire.is_empty());
        return;
    }
    assert_eq!(wire.len(), request.encoded_len());
    let message = wire.len();
    wire.extend_from_slice(behind);

    let mut buffer = BytesMut::new();
    let mut rest = wire.as_slice();
    let sizes = cuts.iter().map(|&cut| usize::from(cut));
    for size in sizes.chain(std::iter::once(usize::MAX)) {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        buffer.extend_from_slice(piece);
        let complete = buffer.len() >= message;
        let decoded = Request::decode(&mut buffer).expect("these bytes are a request");
        assert_eq!(decoded.is_some(), complete);
        if let Some(decoded) = decoded {
            assert_eq!(&decoded, request);
            break;
        }
    }
    buffer.extend_from_slice(rest);
    assert_eq!(buffer, behind);
}
