//! The messages of SOCKS5, without I/O (RFC 1928, RFC 1929)
//!
//! Decoders take what has arrived so far. They give `None` while bytes are missing, an error as
//! soon as the bytes can't become a message, and otherwise the message and how many bytes it
//! took: what lies behind is the beginning of the next thing. The longest message has
//! [`MAX_LEN`] bytes.
//!
//! Beside the standard the original has TLS inside the conversation ([`Method::Tls`],
//! [`Method::TlsUser`]), multiplexed binding and datagrams over the stream
//! ([`Command::MuxBind`], [`Command::UdpTunnel`]), and Tor's name queries.

use std::{fmt, net::SocketAddr};

use bytes::BufMut;
use gost_relay::{AddressRef, DecodeError, socks_addr};
use thiserror::Error;

/// The first byte of greetings, choices, requests and replies.
pub const VERSION: u8 = 5;

/// The first byte of a user and password, and of the answer.
const AUTH_VERSION: u8 = 1;

/// The most bytes of any message: a user and a password of 255 bytes each.
pub const MAX_LEN: usize = 3 + 255 + 255;

/// Why bytes are no message, or can't be part of one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// The version is not 5.
    #[error("version {0} instead of 5")]
    Version(u8),
    /// The version of a user and password is not 1.
    #[error("authentication version {0} instead of 1")]
    AuthVersion(u8),
    /// The address is malformed.
    #[error(transparent)]
    Address(#[from] DecodeError),
    /// One byte can't count what is to be sent.
    #[error("a {0} of more than 255 bytes")]
    TooLong(&'static str),
}

/// A way to begin, offered by the client and chosen by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// Nothing to prove.
    Plain = 0x00,
    /// User and password.
    User = 0x02,
    /// TLS inside the connection, then nothing to prove. Of the original.
    Tls = 0x80,
    /// TLS inside the connection, then user and password. Of the original.
    TlsUser = 0x82,
    /// The server's answer when no method suits it.
    Unacceptable = 0xff,
}

impl Method {
    /// The method of a code; `None` for those that nobody here speaks.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x00 => Self::Plain,
            0x02 => Self::User,
            0x80 => Self::Tls,
            0x82 => Self::TlsUser,
            0xff => Self::Unacceptable,
            _ => return None,
        })
    }

    /// True when a TLS handshake comes next.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::TlsUser)
    }

    /// True when user and password are sent, inside TLS if that was chosen too.
    pub const fn asks_user(self) -> bool {
        matches!(self, Self::User | Self::TlsUser)
    }
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection to the address.
    Connect,
    /// One connection from outside, to the address.
    Bind,
    /// Datagrams over UDP, for as long as the connection lives.
    Associate,
    /// The address of a name. Of Tor.
    Resolve,
    /// The name of an address. Of Tor.
    ResolvePtr,
    /// Many connections from outside, each a stream of a multiplexed session. Of the original.
    MuxBind,
    /// Datagrams over the connection itself. Of the original.
    UdpTunnel,
    /// Something else.
    Other(u8),
}

impl Command {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Connect => 0x01,
            Self::Bind => 0x02,
            Self::Associate => 0x03,
            Self::Resolve => 0xf0,
            Self::ResolvePtr => 0xf1,
            Self::MuxBind => 0xf2,
            Self::UdpTunnel => 0xf3,
            Self::Other(code) => code,
        }
    }

    /// The command of a byte.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0x01 => Self::Connect,
            0x02 => Self::Bind,
            0x03 => Self::Associate,
            0xf0 => Self::Resolve,
            0xf1 => Self::ResolvePtr,
            0xf2 => Self::MuxBind,
            0xf3 => Self::UdpTunnel,
            other => Self::Other(other),
        }
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCode(pub u8);

impl ReplyCode {
    /// It succeeded.
    pub const SUCCEEDED: Self = Self(0);
    /// It failed, and no other code fits.
    pub const FAILURE: Self = Self(1);
    /// Rules forbid it, or the feature is switched off.
    pub const NOT_ALLOWED: Self = Self(2);
    /// The network can't be reached; the original's answer to every target that can't be dialed.
    pub const NETWORK_UNREACHABLE: Self = Self(3);
    /// The host can't be reached.
    pub const HOST_UNREACHABLE: Self = Self(4);
    /// The target refused.
    pub const REFUSED: Self = Self(5);
    /// It took too many hops, or too long.
    pub const TTL_EXPIRED: Self = Self(6);
    /// There is no such command here.
    pub const COMMAND_UNSUPPORTED: Self = Self(7);
    /// There is no such type of address here.
    pub const ADDRESS_UNSUPPORTED: Self = Self(8);

    /// What it says, in words.
    pub const fn text(self) -> &'static str {
        match self.0 {
            0 => "succeeded",
            1 => "general failure",
            2 => "not allowed",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "TTL expired",
            7 => "command not supported",
            8 => "address type not supported",
            _ => "unknown reply code",
        }
    }
}

/// A request: command and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for.
    pub command: Command,
    /// For or at which address.
    pub address: AddressRef<'a>,
}

/// A reply: code and the address that was bound or that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// How it went.
    pub code: ReplyCode,
    /// The address; `0.0.0.0:0` where there is none.
    pub address: AddressRef<'a>,
}

/// A user and a password, bytes as they came. Printing it shows neither.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserPassword<'a> {
    user: &'a [u8],
    password: &'a [u8],
}

impl<'a> UserPassword<'a> {
    /// A user and a password to be sent.
    ///
    /// # Errors
    /// One of them has more than 255 bytes.
    pub fn new(user: &'a [u8], password: &'a [u8]) -> Result<Self, WireError> {
        match (user.len(), password.len()) {
            (256.., _) => Err(WireError::TooLong("user name")),
            (_, 256..) => Err(WireError::TooLong("password")),
            _ => Ok(Self { user, password }),
        }
    }

    /// The user's name.
    pub const fn user(&self) -> &'a [u8] {
        self.user
    }

    /// The password.
    pub const fn password(&self) -> &'a [u8] {
        self.password
    }
}

impl fmt::Debug for UserPassword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserPassword(***)")
    }
}

/// What a decoder gives: the message and its length, or `None` while bytes are missing.
pub type Decoded<T> = Result<Option<(T, usize)>, WireError>;

// === Greeting and choice ===

/// Appends the greeting of a client: the methods that it offers, in its order of preference.
pub fn encode_greeting(methods: &[Method], into: &mut Vec<u8>) {
    // There are five methods, so their number fits a byte; more would be cut off.
    let count = u8::try_from(methods.len()).unwrap_or(u8::MAX);
    into.extend_from_slice(&[VERSION, count]);
    into.extend(methods.iter().take(count.into()).map(|&m| m as u8));
}

/// Reads a greeting: the codes of the methods offered, possibly none.
pub fn decode_greeting(bytes: &[u8]) -> Decoded<&[u8]> {
    let Some(rest) = after_version(bytes)? else {
        return Ok(None);
    };
    Ok(counted(rest).map(|(methods, _)| (methods, 2 + methods.len())))
}

/// The two bytes by which a server chooses.
pub const fn choice(method: Method) -> [u8; 2] {
    [VERSION, method as u8]
}

/// Reads a server's choice: the code of the method.
pub fn decode_choice(bytes: &[u8]) -> Decoded<u8> {
    let rest = after_version(bytes)?;
    Ok(rest.and_then(<[u8]>::first).map(|&code| (code, 2)))
}

// === User and password ===

/// Appends a user and a password.
pub fn encode_user(given: &UserPassword<'_>, into: &mut Vec<u8>) {
    into.push(AUTH_VERSION);
    for text in [given.user, given.password] {
        // A `UserPassword` holds at most 255 bytes of either.
        into.push(text.len() as u8);
        into.extend_from_slice(text);
    }
}

/// Reads a user and a password.
pub fn decode_user(bytes: &[u8]) -> Decoded<UserPassword<'_>> {
    let Some((&version, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if version != AUTH_VERSION {
        return Err(WireError::AuthVersion(version));
    }
    let Some((user, rest)) = counted(rest) else {
        return Ok(None);
    };
    Ok(counted(rest).map(|(password, _)| {
        let len = 3 + user.len() + password.len();
        (UserPassword { user, password }, len)
    }))
}

/// The two bytes by which a server answers a user and password.
pub const fn user_status(accepted: bool) -> [u8; 2] {
    [AUTH_VERSION, if accepted { 0 } else { 1 }]
}

/// Reads the answer to a user and password: true when it was accepted.
pub fn decode_user_status(bytes: &[u8]) -> Decoded<bool> {
    match *bytes {
        // Some servers answer with the version of the protocol around it.
        [version, ..] if version != AUTH_VERSION && version != VERSION => {
            Err(WireError::AuthVersion(version))
        }
        [_, status, ..] => Ok(Some((status == 0, 2))),
        _ => Ok(None),
    }
}

// === Request and reply ===

/// Appends a request.
pub fn encode_request(request: &Request<'_>, into: &mut Vec<u8>) {
    encode_message(request.command.code(), request.address, into);
}

/// Reads a request.
pub fn decode_request(bytes: &[u8]) -> Decoded<Request<'_>> {
    let message = decode_message(bytes)?;
    Ok(message.map(|(code, address, len)| {
        let command = Command::from_code(code);
        (Request { command, address }, len)
    }))
}

/// Appends a reply.
pub fn encode_reply(reply: &Reply<'_>, into: &mut Vec<u8>) {
    encode_message(reply.code.0, reply.address, into);
}

/// The reply that has nothing to tell but a code.
pub const fn bare_reply(code: ReplyCode) -> [u8; 10] {
    [VERSION, code.0, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// Reads a reply.
pub fn decode_reply(bytes: &[u8]) -> Decoded<Reply<'_>> {
    let message = decode_message(bytes)?;
    Ok(message.map(|(code, address, len)| {
        let code = ReplyCode(code);
        (Reply { code, address }, len)
    }))
}

/// The address `0.0.0.0:0`, where a message must have one but has none to tell.
pub fn nowhere() -> AddressRef<'static> {
    SocketAddr::from(([0, 0, 0, 0], 0)).into()
}

fn encode_message(code: u8, address: AddressRef<'_>, into: &mut Vec<u8>) {
    into.put_slice(&[VERSION, code, 0]);
    let encoded = socks_addr::encode(address, into);
    debug_assert!(encoded.is_ok(), "a vector has room");
}

/// Requests and replies have one form: VER, code, RSV, address. RSV is not looked at.
fn decode_message(bytes: &[u8]) -> Result<Option<(u8, AddressRef<'_>, usize)>, WireError> {
    let Some(rest) = after_version(bytes)? else {
        return Ok(None);
    };
    let Some((&[code, _], rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let address = socks_addr::decode(rest)?;
    Ok(address.map(|(address, len)| (code, address, 3 + len)))
}

fn after_version(bytes: &[u8]) -> Result<Option<&[u8]>, WireError> {
    match bytes.split_first() {
        None => Ok(None),
        Some((&VERSION, rest)) => Ok(Some(rest)),
        Some((&other, _)) => Err(WireError::Version(other)),
    }
}

/// Splits off bytes that one byte in front of them counts.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(len))
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
