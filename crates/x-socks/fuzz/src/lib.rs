//! What must hold for every input

use std::fmt::Debug;

use gost_x_socks::{v4, v5};

/// A decoder is asked at every length: it never panics, takes no more than there is and no more
/// than a message may have, and what it once said of a beginning stays true.
fn at_every_length<'a, T, E>(
    bytes: &'a [u8],
    longest: usize,
    decode: impl Fn(&'a [u8]) -> Result<Option<(T, usize)>, E>,
) -> Option<(T, usize)>
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let whole = decode(bytes);
    for cut in 0..bytes.len().min(longest) {
        match decode(&bytes[..cut]) {
            Ok(None) => {}
            earlier => assert_eq!(earlier, whole, "after {cut} bytes"),
        }
    }
    match whole {
        Ok(Some((message, len))) => {
            assert!(len <= bytes.len() && len <= longest);
            Some((message, len))
        }
        Ok(None) => {
            assert!(bytes.len() < longest, "an endless message");
            None
        }
        Err(_) => None,
    }
}

/// The longest message of SOCKS4: two texts with their ends behind the header.
const LONGEST_V4: usize = 8 + 2 * (v4::wire::MAX_TEXT + 1);

/// Any bytes at every decoder.
pub fn any_bytes(bytes: &[u8]) {
    use v5::wire as five;
    let longest = five::MAX_LEN;
    at_every_length(bytes, longest, five::decode_greeting);
    at_every_length(bytes, longest, five::decode_choice);
    at_every_length(bytes, longest, five::decode_user_status);
    if let Some((given, len)) = at_every_length(bytes, longest, five::decode_user) {
        let mut again = Vec::new();
        five::encode_user(&given, &mut again);
        assert_eq!(again, bytes[..len]);
    }
    // All but the reserved byte comes out as it went in.
    if let Some((request, len)) = at_every_length(bytes, longest, five::decode_request) {
        let mut again = Vec::new();
        five::encode_request(&request, &mut again);
        assert_eq!((&again[..2], &again[3..]), (&bytes[..2], &bytes[3..len]));
    }
    if let Some((reply, len)) = at_every_length(bytes, longest, five::decode_reply) {
        let mut again = Vec::new();
        five::encode_reply(&reply, &mut again);
        assert_eq!((&again[..2], &again[3..]), (&bytes[..2], &bytes[3..len]));
    }

    at_every_length(bytes, v4::wire::REPLY_LEN, v4::wire::decode_reply);
    if let Some((request, _)) = at_every_length(bytes, LONGEST_V4, v4::wire::decode_request) {
        socks4_survives(&request);
    }
}

/// A request that can be written is read as it was.
pub fn socks4_survives(request: &v4::wire::Request<'_>) {
    let mut bytes = Vec::new();
    if v4::wire::encode_request(request, &mut bytes).is_err() {
        assert!(bytes.is_empty());
        return;
    }
    let len = bytes.len();
    bytes.extend_from_slice(b"behind");
    let read = at_every_length(&bytes, LONGEST_V4, v4::wire::decode_request);
    assert_eq!(read, Some((*request, len)));
}
