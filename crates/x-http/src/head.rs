//! Heads of HTTP/1 messages: where one ends, and what stands in it.
//!
//! Requests are read strictly, because a byte that two programs read differently lets one client
//! speak in the name of another. Responses are read as leniently as browsers do, and written
//! afresh. Source: RFC 9112, sections 2 to 5.

use thiserror::Error;

/// How many bytes a head may have. One that is longer is refused before it is complete.
pub const MAX_HEAD: usize = 64 * 1024;

/// How many header lines a head may have.
pub const MAX_HEADERS: usize = 128;

/// How long a method may be; the longest that is registered has 17 letters.
const MAX_METHOD: usize = 32;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HeadError {
    /// It has more bytes or lines than are taken.
    #[error("the header is too large")]
    TooLarge,
    /// It breaks the grammar, or could be read in two ways.
    #[error("malformed header: {0}")]
    Malformed(&'static str),
}

/// A header line.
pub type Header<'a> = httparse::Header<'a>;

/// Room for the header lines of a head, on the stack of the one who parses it.
pub type Room<'a> = [Header<'a>; MAX_HEADERS];

/// Empty room for header lines.
pub const fn room<'a>() -> Room<'a> {
    [httparse::EMPTY_HEADER; MAX_HEADERS]
}

/// Looks for the end of a request's head in bytes that keep coming.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestScan {
    /// What was looked at before.
    seen: usize,
    /// Where the line begins that is being looked at.
    line: usize,
}

impl RequestScan {
    /// The length of the head once it is complete.
    ///
    /// Bytes that no request can begin with, and lines that end in a bare LF, are refused at once:
    /// their sender may never send what would complete them.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        check_method(bytes)?;
        while let Some(at) = bytes[self.seen..].iter().position(|b| *b == b'\n') {
            let lf = self.seen + at;
            if lf == 0 || bytes[lf - 1] != b'\r' {
                return Err(HeadError::Malformed("a line ends without CR"));
            }
            let empty = lf - 1 == self.line;
            self.seen = lf + 1;
            self.line = self.seen;
            if empty {
                return limited(self.seen).map(Some);
            }
        }
        self.seen = bytes.len();
        limited(self.seen).map(|_| None)
    }
}

/// Looks for the end of a response's head in bytes that keep coming.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseScan {
    seen: usize,
    line: usize,
}

impl ResponseScan {
    /// The length of the head once it is complete; lines may end in a bare LF.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        while let Some(at) = bytes[self.seen..].iter().position(|b| *b == b'\n') {
            let lf = self.seen + at;
            let empty = matches!(&bytes[self.line..lf], b"" | b"\r");
            self.seen = lf + 1;
            self.line = self.seen;
            if empty {
                return limited(self.seen).map(Some);
            }
        }
        self.seen = bytes.len();
        limited(self.seen).map(|_| None)
    }
}

const fn limited(length: usize) -> Result<usize, HeadError> {
    if length > MAX_HEAD {
        return Err(HeadError::TooLarge);
    }
    Ok(length)
}

/// A method is upper-case here: that of a TLS hello, of another protocol or of `get` is not.
fn check_method(bytes: &[u8]) -> Result<(), HeadError> {
    for (i, byte) in bytes.iter().take(MAX_METHOD + 1).enumerate() {
        match byte {
            b' ' if i > 0 => return Ok(()),
            b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'$' | b'~' => {}
            _ => return Err(HeadError::Malformed("no method")),
        }
    }
    if bytes.len() > MAX_METHOD {
        return Err(HeadError::Malformed("no method"));
    }
    Ok(())
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method.
    pub method: &'b str,
    /// The request target as it was sent; empty only with CONNECT.
    pub target: &'b str,
    /// True for HTTP/1.0.
    pub old: bool,
    /// The header lines in the order sent.
    pub headers: &'h [Header<'b>],
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// Reads a head that [`RequestScan`] found to be complete.
    pub fn parse(bytes: &'b [u8], room: &'h mut Room<'b>) -> Result<Self, HeadError> {
        let bad = HeadError::Malformed;
        check_method(bytes)?;
        let end = bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .ok_or(bad("incomplete"))?;
        let line = std::str::from_utf8(&bytes[..end]).map_err(|_| bad("not text"))?;
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("no request line"));
        };
        if target.bytes().any(|b| b < 0x21 || b == 0x7f) {
            return Err(bad("control characters in the request target"));
        }
        if target.is_empty() && method != "CONNECT" {
            return Err(bad("no request target"));
        }
        let old = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return Err(bad("unknown version")),
        };
        let headers = match httparse::parse_headers(&bytes[end + 2..], room) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Ok(httparse::Status::Partial) => return Err(bad("incomplete")),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(_) => return Err(bad("not a header line")),
        };
        Ok(Self {
            method,
            target,
            old,
            headers,
        })
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'h, 'b> {
    /// The status code, from 100 to 999.
    pub status: u16,
    /// What stands behind it.
    pub reason: &'b str,
    /// True for HTTP/1.0.
    pub old: bool,
    /// The header lines in the order sent. Values may hold line folds.
    pub headers: &'h [Header<'b>],
}

impl<'h, 'b> ResponseHead<'h, 'b> {
    /// Reads a head that [`ResponseScan`] found to be complete.
    pub fn parse(bytes: &'b [u8], room: &'h mut Room<'b>) -> Result<Self, HeadError> {
        let mut response = httparse::Response::new(room);
        let complete = httparse::ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .parse_response(&mut response, bytes);
        match complete {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HeadError::Malformed("incomplete")),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            Err(_) => return Err(HeadError::Malformed("not a response")),
        }
        let (Some(status @ 100..), Some(version)) = (response.code, response.version) else {
            return Err(HeadError::Malformed("no status line"));
        };
        Ok(Self {
            status,
            reason: response.reason.unwrap_or_default(),
            old: version == 0,
            headers: response.headers,
        })
    }
}

/// The values of the header lines of a name, whatever its case.
pub fn values<'h>(headers: &'h [Header<'_>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// The value of the first header line of a name, when it is text.
pub fn first<'h>(headers: &'h [Header<'_>], name: &'h str) -> Option<&'h str> {
    let value = values(headers, name).next()?;
    std::str::from_utf8(value).ok().map(str::trim_ascii)
}

/// True when the lists under a name hold an item, whatever its case: `Connection: close, TE`.
pub fn lists(headers: &[Header<'_>], name: &str, item: &str) -> bool {
    values(headers, name).any(|value| {
        value
            .split(|b| *b == b',')
            .any(|one| one.trim_ascii().eq_ignore_ascii_case(item.as_bytes()))
    })
}

#[cfg(test)]
mod tests;
