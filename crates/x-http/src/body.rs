//! Bodies of HTTP/1 messages: where they end.
//!
//! The bytes of a body pass through unchanged, chunk sizes and trailers too; this only finds the
//! end, and refuses what others might read differently. Source: RFC 9112, sections 6 and 7.

use thiserror::Error;

use crate::head::{Header, values};

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A number of bytes, often none.
    Length(u64),
    /// Chunks, the last of which is empty.
    Chunked,
    /// All that comes until the connection ends; only responses have it.
    UntilClose,
}

impl Framing {
    /// No body.
    pub const EMPTY: Self = Self::Length(0);
}

/// What is wrong with a body or with what says how long it is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BodyError {
    /// Its length is said in two ways or in none that is known.
    #[error("ambiguous body length: {0}")]
    Ambiguous(&'static str),
    /// Its chunks break the grammar.
    #[error("malformed chunk: {0}")]
    Chunk(&'static str),
    /// It ended too early.
    #[error("the body was cut off")]
    Truncated,
}

/// How the body of a request ends. Source: RFC 9112, section 6.3.
///
/// Lengths that contradict each other, a length beside a transfer coding and codings other than
/// `chunked` are refused: a server behind us could end the body elsewhere.
pub fn of_request(headers: &[Header<'_>], old: bool) -> Result<Framing, BodyError> {
    let bad = BodyError::Ambiguous;
    let length = content_length(headers)?;
    let mut codings = values(headers, "Transfer-Encoding");
    let Some(coding) = codings.next() else {
        return Ok(length.map_or(Framing::EMPTY, Framing::Length));
    };
    if length.is_some() {
        return Err(bad("Content-Length beside Transfer-Encoding"));
    }
    if old {
        return Err(bad("Transfer-Encoding in HTTP/1.0"));
    }
    if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(bad("Transfer-Encoding other than chunked"));
    }
    Ok(Framing::Chunked)
}

/// How the body of a response ends. Source: RFC 9112, section 6.3.
///
/// `head` says that the request was one for the head alone.
pub fn of_response(headers: &[Header<'_>], status: u16, head: bool) -> Result<Framing, BodyError> {
    if head || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::EMPTY);
    }
    let mut last: Option<&[u8]> = None;
    let mut chunked = 0;
    for coding in values(headers, "Transfer-Encoding").flat_map(|value| value.split(|b| *b == b','))
    {
        let coding = coding.trim_ascii();
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked += 1;
        }
        if !coding.is_empty() {
            last = Some(coding);
        }
    }
    match (last, chunked) {
        // A coding says where the body ends, whatever a length beside it says.
        (Some(last), 1) if last.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Some(_), 0) => Ok(Framing::UntilClose),
        (Some(_), _) => Err(BodyError::Ambiguous("chunked more than once or not last")),
        (None, _) => Ok(content_length(headers)?.map_or(Framing::UntilClose, Framing::Length)),
    }
}

/// The length that all `Content-Length` items agree on.
fn content_length(headers: &[Header<'_>]) -> Result<Option<u64>, BodyError> {
    let mut length = None;
    for item in values(headers, "Content-Length").flat_map(|value| value.split(|b| *b == b',')) {
        let number = number(item.trim_ascii()).ok_or(BodyError::Ambiguous("not a length"))?;
        if length.replace(number).is_some_and(|other| other != number) {
            return Err(BodyError::Ambiguous("lengths that differ"));
        }
    }
    Ok(length)
}

/// Digits alone: no sign, no blank, no overflow.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A body that passes by.
#[derive(Clone, Copy, Debug)]
pub struct Body(State);

#[derive(Clone, Copy, Debug)]
enum State {
    Left(u64),
    Chunks(Chunks),
    UntilClose,
}

/// What the next bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many bytes they are.
    pub len: usize,
    /// False for chunk sizes and trailers.
    pub payload: bool,
}

impl Body {
    /// A body of which nothing has come yet.
    pub const fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::Chunks(Chunks::new()),
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// True when all of it has passed.
    pub const fn is_done(&self) -> bool {
        match &self.0 {
            State::Left(left) => *left == 0,
            State::Chunks(chunks) => matches!(chunks.at, At::Done),
            State::UntilClose => false,
        }
    }

    /// Takes what belongs to the body off the front of `bytes`: all of them, unless it ends
    /// within. Returns how many.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            taken += self.next_piece(&bytes[taken..])?.len;
        }
        Ok(taken)
    }

    /// The next bytes of one sort at the front of `bytes`. Of length 0 only when there are none,
    /// or when the body is done.
    pub fn next_piece(&mut self, bytes: &[u8]) -> Result<Piece, BodyError> {
        let piece = match &mut self.0 {
            State::Left(left) => {
                let len = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= len as u64;
                Piece { len, payload: true }
            }
            State::Chunks(chunks) => chunks.next_piece(bytes)?,
            State::UntilClose => Piece {
                len: bytes.len(),
                payload: true,
            },
        };
        Ok(piece)
    }

    /// The connection ended: an error unless that is how the body ends.
    pub const fn end(&mut self) -> Result<(), BodyError> {
        match self.0 {
            State::UntilClose => {
                self.0 = State::Left(0);
                Ok(())
            }
            State::Left(0) => Ok(()),
            _ => Err(BodyError::Truncated),
        }
    }
}

/// How long all that is no payload may be: extensions of one chunk, or the trailers.
const MAX_EXTENSION: u32 = 4 * 1024;
const MAX_TRAILERS: u32 = 16 * 1024;

/// The reader of a chunked body.
#[derive(Clone, Copy, Debug)]
struct Chunks {
    at: At,
    /// Bytes left of the chunk.
    left: u64,
    /// Digits of the size so far.
    digits: u8,
    /// Bytes of extension or trailers so far.
    extra: u32,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Size,
    Blank,
    Extension,
    SizeEnd,
    Payload,
    PayloadCr,
    PayloadLf,
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

impl Chunks {
    const fn new() -> Self {
        Self {
            at: At::Size,
            left: 0,
            digits: 0,
            extra: 0,
        }
    }

    fn next_piece(&mut self, bytes: &[u8]) -> Result<Piece, BodyError> {
        if matches!(self.at, At::Payload) {
            let len = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            self.left -= len as u64;
            if self.left == 0 {
                self.at = At::PayloadCr;
            }
            return Ok(Piece { len, payload: true });
        }
        let mut len = 0;
        for byte in bytes {
            if matches!(self.at, At::Payload | At::Done) {
                break;
            }
            self.step(*byte)?;
            len += 1;
        }
        Ok(Piece {
            len,
            payload: false,
        })
    }

    fn step(&mut self, byte: u8) -> Result<(), BodyError> {
        let bad = |what| Err(BodyError::Chunk(what));
        self.at = match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => {
                if self.digits == 15 {
                    return bad("the size is too large");
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                self.digits += 1;
                At::Size
            }
            (At::Size, _) if self.digits == 0 => return bad("no size"),
            (At::Size | At::Blank, b' ' | b'\t') => self.counted(MAX_EXTENSION, At::Blank)?,
            (At::Size | At::Blank, b';') => At::Extension,
            (At::Size | At::Blank | At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.counted(MAX_EXTENSION, At::Extension)?
            }
            (At::SizeEnd, b'\n') => {
                self.digits = 0;
                self.extra = 0;
                if self.left == 0 {
                    At::Trailer
                } else {
                    At::Payload
                }
            }
            (At::PayloadCr, b'\r') => At::PayloadLf,
            (At::PayloadLf, b'\n') => At::Size,
            (At::Trailer, b'\r') => At::LastLf,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::Trailer | At::TrailerName, _) if is_token(byte) => {
                self.counted(MAX_TRAILERS, At::TrailerName)?
            }
            (At::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.counted(MAX_TRAILERS, At::TrailerValue)?
            }
            (At::TrailerValue, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => At::Trailer,
            (At::LastLf, b'\n') => At::Done,
            (At::Size | At::Blank | At::Extension | At::SizeEnd, _) => return bad("no size line"),
            (At::PayloadCr | At::PayloadLf, _) => return bad("no line end behind it"),
            _ => return bad("no trailer"),
        };
        Ok(())
    }

    fn counted(&mut self, most: u32, at: At) -> Result<At, BodyError> {
        self.extra += 1;
        if self.extra > most {
            return Err(BodyError::Chunk("too much beside the payload"));
        }
        Ok(at)
    }
}

/// A character of a header's name. Source: RFC 9110, section 5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests;
