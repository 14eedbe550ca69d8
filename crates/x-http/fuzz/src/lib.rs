//! What must hold for any bytes, whoever feeds them.

use gost_x_http::{
    body::{Body, Framing, of_request, of_response},
    head::{RequestHead, RequestScan, ResponseHead, ResponseScan, room},
};

/// Any bytes as a request: found alike whole and byte by byte, and read without ambiguity.
pub fn request(bytes: &[u8]) {
    let whole = RequestScan::default().find(bytes);
    let mut scan = RequestScan::default();
    let mut steps = Ok(None);
    for end in 0..=bytes.len() {
        steps = scan.find(&bytes[..end]);
        if !matches!(steps, Ok(None)) {
            break;
        }
    }
    assert_eq!(whole, steps);
    let Ok(Some(end)) = whole else { return };
    let mut room = room();
    let Ok(head) = RequestHead::parse(&bytes[..end], &mut room) else {
        return;
    };
    assert!(head.headers.iter().all(|header| {
        !header.name.is_empty() && !header.value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
    }));
    if let Ok(framing) = of_request(head.headers, head.old) {
        // A length and chunks never stand side by side in a request that is taken.
        let has = |name: &str| {
            head.headers
                .iter()
                .any(|header| header.name.eq_ignore_ascii_case(name))
        };
        assert!(!(has("Content-Length") && has("Transfer-Encoding")));
        let _ = Body::new(framing).take(&bytes[end..]);
    }
}

/// Any bytes as a response.
pub fn response(bytes: &[u8]) {
    let Ok(Some(end)) = ResponseScan::default().find(bytes) else {
        return;
    };
    let mut room = room();
    let Ok(head) = ResponseHead::parse(&bytes[..end], &mut room) else {
        return;
    };
    for alone in [false, true] {
        if let Ok(framing) = of_response(head.headers, head.status, alone) {
            let _ = Body::new(framing).take(&bytes[end..]);
        }
    }
}

/// Any bytes as chunks: they end at one place, however they are cut.
pub fn chunks(bytes: &[u8]) {
    let whole = Body::new(Framing::Chunked).take(bytes);
    let mut body = Body::new(Framing::Chunked);
    let mut taken = 0;
    for byte in bytes.chunks(1) {
        match body.take(byte) {
            Ok(n) => taken += n,
            Err(error) => return assert_eq!(whole, Err(error)),
        }
    }
    assert_eq!(whole, Ok(taken));
}
