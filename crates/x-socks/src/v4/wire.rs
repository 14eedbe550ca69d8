//! The messages of SOCKS4, with or without 4a, without I/O
//!
//! | | Bytes |
//! |---|---|
//! | request | `04` CMD PORT(2) IP(4) USER `00` |
//! | request of 4a | `04` CMD PORT(2) `00 00 00` X USER `00` NAME `00`, X not 0 |
//! | reply | `00` CODE and six bytes that nobody reads |
//!
//! Decoders take what has arrived so far. They give `None` while bytes are missing, an error as
//! soon as the bytes can't become a message, and otherwise the message and how many bytes it took.

use std::net::Ipv4Addr;

use thiserror::Error;

/// The first byte of a request.
pub const VERSION: u8 = 4;

/// The most bytes of a user id, and of a name, without the zero byte behind it.
pub const MAX_TEXT: usize = 255;

/// Bytes of a reply.
pub const REPLY_LEN: usize = 8;

/// Bytes in front of the user id.
const HEADER_LEN: usize = 8;

/// Why bytes are no message, or can't be part of one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// A request is not of version 4, or a reply not of version 0.
    #[error("version {0} is not supported")]
    Version(u8),
    /// A user id or a name exceeds [`MAX_TEXT`].
    #[error("a {0} of more than {MAX_TEXT} bytes")]
    TooLong(&'static str),
    /// A name is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// A zero byte would end a user id or name early.
    #[error("a {0} with a zero byte")]
    ZeroByte(&'static str),
    /// The first 255 addresses say that a name follows, and can't be asked for.
    #[error("{0} can't be asked for")]
    NoAddress(Ipv4Addr),
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection to the address.
    Connect,
    /// A connection from outside.
    Bind,
    /// Something else.
    Other(u8),
}

impl Command {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Bind => 2,
            Self::Other(code) => code,
        }
    }

    /// The command of a byte.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Connect,
            2 => Self::Bind,
            other => Self::Other(other),
        }
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCode(pub u8);

impl ReplyCode {
    /// It succeeded.
    pub const GRANTED: Self = Self(90);
    /// It failed.
    pub const FAILED: Self = Self(91);
    /// The standard means a missing identd; the original says by it that a rule forbids the target.
    pub const REJECTED: Self = Self(92);
    /// The user is unknown.
    pub const WRONG_USER: Self = Self(93);

    /// What it says, in words.
    pub const fn text(self) -> &'static str {
        match self.0 {
            90 => "granted",
            91 => "failed",
            92 => "rejected",
            93 => "user rejected",
            _ => "unknown reply code",
        }
    }
}

/// The host of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address.
    Ip(Ipv4Addr),
    /// A name, or whatever text stands for a host; of 4a.
    Name(&'a str),
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for.
    pub command: Command,
    /// At which host.
    pub host: Host<'a>,
    /// At which port.
    pub port: u16,
    /// Who asks, in bytes as they came.
    pub user: &'a [u8],
}

/// What a decoder gives: the message and its length, or `None` while bytes are missing.
pub type Decoded<T> = Result<Option<(T, usize)>, WireError>;

/// Appends a request.
///
/// # Errors
/// A text is too long or has a zero byte, or the address is one that can't be asked for. Nothing
/// is appended then.
pub fn encode_request(request: &Request<'_>, into: &mut Vec<u8>) -> Result<(), WireError> {
    check_text("user id", request.user)?;
    let (ip, name) = match request.host {
        Host::Ip(ip) if means_name(ip) => return Err(WireError::NoAddress(ip)),
        Host::Ip(ip) => (ip, None),
        Host::Name(name) => {
            check_text("name", name.as_bytes())?;
            (Ipv4Addr::new(0, 0, 0, 1), Some(name))
        }
    };
    into.extend_from_slice(&[VERSION, request.command.code()]);
    into.extend_from_slice(&request.port.to_be_bytes());
    into.extend_from_slice(&ip.octets());
    into.extend_from_slice(request.user);
    into.push(0);
    if let Some(name) = name {
        into.extend_from_slice(name.as_bytes());
        into.push(0);
    }
    Ok(())
}

/// Reads a request.
pub fn decode_request(bytes: &[u8]) -> Decoded<Request<'_>> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&other) => return Err(WireError::Version(other)),
        None => return Ok(None),
    }
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let &[_, command, high, low, a, b, c, d] = header;
    let ip = Ipv4Addr::new(a, b, c, d);
    let Some((user, rest)) = until_zero("user id", rest)? else {
        return Ok(None);
    };
    let (host, rest) = if means_name(ip) {
        let Some((name, rest)) = until_zero("name", rest)? else {
            return Ok(None);
        };
        let name = std::str::from_utf8(name).map_err(|_| WireError::NotUtf8)?;
        (Host::Name(name), rest)
    } else {
        (Host::Ip(ip), rest)
    };
    let request = Request {
        command: Command::from_code(command),
        host,
        port: u16::from_be_bytes([high, low]),
        user,
    };
    Ok(Some((request, bytes.len() - rest.len())))
}

/// A reply. Its address is always zero, as the original's is.
pub const fn reply(code: ReplyCode) -> [u8; REPLY_LEN] {
    [0, code.0, 0, 0, 0, 0, 0, 0]
}

/// Reads a reply.
pub fn decode_reply(bytes: &[u8]) -> Decoded<ReplyCode> {
    match *bytes {
        // The standard's version of a reply is 0; servers that send 4 are known.
        [version, ..] if version != 0 && version != VERSION => Err(WireError::Version(version)),
        [_, code, ..] if bytes.len() >= REPLY_LEN => Ok(Some((ReplyCode(code), REPLY_LEN))),
        _ => Ok(None),
    }
}

/// True for `0.0.0.1` to `0.0.0.255`.
const fn means_name(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [0, 0, 0, 1..=255])
}

/// A text and what lies behind it.
type Split<'a> = (&'a [u8], &'a [u8]);

fn check_text(what: &'static str, text: &[u8]) -> Result<(), WireError> {
    if text.contains(&0) {
        return Err(WireError::ZeroByte(what));
    }
    if text.len() > MAX_TEXT {
        return Err(WireError::TooLong(what));
    }
    Ok(())
}

/// Splits at the first zero byte, which must come within [`MAX_TEXT`] bytes.
fn until_zero<'a>(what: &'static str, bytes: &'a [u8]) -> Result<Option<Split<'a>>, WireError> {
    match bytes.iter().take(MAX_TEXT + 1).position(|&b| b == 0) {
        Some(end) => Ok(Some((&bytes[..end], &bytes[end + 1..]))),
        None if bytes.len() > MAX_TEXT => Err(WireError::TooLong(what)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(request: &Request<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_request(request, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_worked_example() {
        let request = Request {
            command: Command::Connect,
            host: Host::Name("example.com"),
            port: 443,
            user: b"user",
        };
        let bytes = bytes_of(&request);
        assert_eq!(
            hex::encode(&bytes),
            "040101bb000000017573657200\
             6578616d706c652e636f6d00"
        );
        assert_eq!(decode_request(&bytes), Ok(Some((request, bytes.len()))));
        assert_eq!(hex::encode(reply(ReplyCode::GRANTED)), "005a000000000000");
    }

    #[test]
    fn hostile_lengths_are_refused_before_they_are_complete() {
        let mut bytes = hex::decode("040100507f000001").unwrap();
        bytes.extend([b'u'; MAX_TEXT]);
        assert_eq!(decode_request(&bytes), Ok(None));
        bytes.push(b'u');
        assert_eq!(decode_request(&bytes), Err(WireError::TooLong("user id")));

        let mut bytes = hex::decode("04010050000000ff00").unwrap();
        bytes.extend([b'n'; MAX_TEXT]);
        assert_eq!(decode_request(&bytes), Ok(None));
        bytes.push(b'n');
        assert_eq!(decode_request(&bytes), Err(WireError::TooLong("name")));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let request = Request {
            command: Command::Connect,
            host: Host::Ip(Ipv4Addr::LOCALHOST),
            port: 1,
            user: b"",
        };
        let mut bytes = Vec::new();
        for bad in [
            Request {
                user: b"a\0b",
                ..request
            },
            Request {
                user: &[b'u'; MAX_TEXT + 1],
                ..request
            },
            Request {
                host: Host::Name("a\0b"),
                ..request
            },
            Request {
                host: Host::Ip(Ipv4Addr::new(0, 0, 0, 9)),
                ..request
            },
        ] {
            assert!(encode_request(&bad, &mut bytes).is_err(), "{bad:?}");
        }
        assert!(bytes.is_empty());
        assert!(encode_request(&request, &mut bytes).is_ok());
    }

    #[test]
    fn other_versions() {
        assert_eq!(decode_request(b"\x05"), Err(WireError::Version(5)));
        assert_eq!(decode_reply(b"\x05"), Err(WireError::Version(5)));
        let reply = hex::decode("045a000000000000").unwrap();
        assert_eq!(decode_reply(&reply), Ok(Some((ReplyCode::GRANTED, 8))));
    }

    proptest! {
        #[test]
        fn every_split(
            code: u8,
            port: u16,
            ip: [u8; 4],
            name in prop::option::of("[a-z.]{0,255}"),
            user in prop::collection::vec(1_u8.., 0..=MAX_TEXT),
        ) {
            let ip = Ipv4Addr::from(ip);
            prop_assume!(name.is_some() || !means_name(ip));
            let request = Request {
                command: Command::from_code(code),
                host: name.as_deref().map_or(Host::Ip(ip), Host::Name),
                port,
                user: &user,
            };
            let bytes = bytes_of(&request);
            for cut in 0..bytes.len() {
                prop_assert_eq!(decode_request(&bytes[..cut]), Ok(None));
            }
            let mut longer = bytes.clone();
            longer.extend_from_slice(b"behind");
            prop_assert_eq!(decode_request(&longer), Ok(Some((request, bytes.len()))));
        }
    }
}
