//! The nonce of a handshake and the answer that proves that it was understood.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// Source: RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Key` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of 16 random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(STANDARD.encode(random))
    }

    /// The key that a client sent; `None` if it is not one.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if STANDARD.decode(text).ok()?.len() != 16 {
            return None;
        }
        String::from_utf8(text.to_vec()).ok().map(Self)
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `Sec-WebSocket-Accept` that answers a key.
pub fn accept(key: &Key) -> String {
    let digest = Sha1::new()
        .chain_update(key.as_str())
        .chain_update(GUID)
        .finalize();
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::new(*b"the sample nonce"));
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_has_sixteen_bytes() {
        for bad in [
            "",
            "AAAA",
            "dGhlIHNhbXBsZSBub25jZQ",
            "not base64!",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Key::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
