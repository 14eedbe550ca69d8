//! The HTTP/1.1 heads that turn a connection into a WebSocket. Source: RFC 6455, section 4.

mod headers;
mod key;
mod request;
mod response;

pub use headers::{HeaderError, Headers};
pub use key::{Key, accept};
pub use request::{Refusal, Request, RequestHead};
pub use response::{Response, ResponseError, ResponseHead};

/// How many bytes a head may have.
pub const MAX_HEAD: usize = 64 * 1024;

/// How many header lines a head may have.
const MAX_HEADERS: usize = 128;

/// A head that is incomplete and has no room left.
const fn is_too_long(bytes: &[u8]) -> bool {
    bytes.len() >= MAX_HEAD
}

/// True when one of the values of a header, each a list, has a word, whatever its case.
fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &[u8]) -> bool {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(token))
}

/// The value of a header; the first one if there are several.
fn value<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value.trim_ascii())
}
