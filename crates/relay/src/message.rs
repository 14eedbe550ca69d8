//! Requests and responses
//!
//! | VER | CMD and flags, or STATUS | FEALEN | FEATURES |
//! |---|---|---|---|
//! | 1 | 1 | 2, big-endian | FEALEN bytes |

use bytes::{Buf, BufMut, BytesMut};

use crate::address::Address;
use crate::auth::UserAuth;
use crate::error::{DecodeError, EncodeError};
use crate::feature::{Feature, Features};
use crate::id::{ConnectorId, NetworkId, TunnelId};
use crate::metadata::Metadata;
use crate::socks_addr::check_room;
use crate::status::Status;

/// The version of the protocol, the first byte of every message.
pub const VERSION: u8 = 0x01;

/// Bytes in front of the feature list.
pub const HEADER_LEN: usize = 4;

/// The most bytes that a message can have.
pub const MAX_MESSAGE_LEN: usize = HEADER_LEN + 65_535;

const COMMAND_MASK: u8 = 0x0f;
const UDP_FLAG: u8 = 0x80;

/// How many bytes the message has that `bytes` begins with, once the header is
/// there. Lets a reader take exactly the message and leave the payload behind it.
///
/// # Errors
/// The first byte is not [`VERSION`]; told as soon as that byte is there.
pub fn message_len(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    match *bytes {
        [version, ..] if version != VERSION => Err(DecodeError::Version(version)),
        [_, _, high, low, ..] => {
            let features = usize::from(u16::from_be_bytes([high, low]));
            Ok(Some(HEADER_LEN + features))
        }
        _ => Ok(None),
    }
}

/// What a request asks for, the low four bits of its second byte.
///
/// An open set: values without a constant are kept as they came, and servers
/// answer them with [`Status::BAD_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Command(u8);

impl Command {
    /// Nothing said; relay servers take it as [`CONNECT`](Self::CONNECT).
    pub const UNSPECIFIED: Self = Self(0x00);
    /// Connect to the address.
    pub const CONNECT: Self = Self(0x01);
    /// Listen on the address; over UDP with `0.0.0.0:0` this is an association.
    pub const BIND: Self = Self(0x02);
    /// Join a router. Not an association of the relay protocol, which binds.
    pub const ASSOCIATE: Self = Self(0x03);

    /// The command in the low four bits of a byte.
    pub const fn from_u8(byte: u8) -> Self {
        Self(byte & COMMAND_MASK)
    }

    /// The value, 0 to 15.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// Whether relay servers connect on it, said or not.
    pub const fn is_connect(self) -> bool {
        matches!(self, Self::UNSPECIFIED | Self::CONNECT)
    }
}

/// What a client asks of a relay, tunnel or router server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    command: Command,
    flags: u8,
    features: Features,
}

impl Request {
    /// A request without flags and features.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            flags: 0,
            features: Features::default(),
        }
    }

    /// A request to connect.
    pub fn connect() -> Self {
        Self::new(Command::CONNECT)
    }

    /// A request to listen, or for an association.
    pub fn bind() -> Self {
        Self::new(Command::BIND)
    }

    /// A request to join a router.
    pub fn associate() -> Self {
        Self::new(Command::ASSOCIATE)
    }

    /// Sets the UDP flag. Clients of the original send the network feature as
    /// well, so add [`NetworkId::UDP`] too.
    #[must_use]
    pub fn with_udp_flag(mut self) -> Self {
        self.flags |= UDP_FLAG;
        self
    }

    /// Appends a feature. Those of a message are sent in the order of the calls.
    #[must_use]
    pub fn with_feature(mut self, feature: impl Into<Feature>) -> Self {
        self.features.push(feature.into());
        self
    }

    /// Appends credentials.
    #[must_use]
    pub fn with_auth(self, auth: UserAuth) -> Self {
        self.with_feature(auth)
    }

    /// Appends an address.
    #[must_use]
    pub fn with_address(self, address: impl Into<Address>) -> Self {
        self.with_feature(address.into())
    }

    /// Appends a network.
    #[must_use]
    pub fn with_network(self, network: NetworkId) -> Self {
        self.with_feature(network)
    }

    /// Appends the identifier of a tunnel or router.
    #[must_use]
    pub fn with_tunnel_id(self, id: TunnelId) -> Self {
        self.with_feature(id)
    }

    /// Appends pairs of texts.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        self.with_feature(metadata)
    }

    /// The command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// Whether the UDP flag is set.
    pub fn has_udp_flag(&self) -> bool {
        self.flags & UDP_FLAG != 0
    }

    /// Command and flags as the wire has them.
    pub fn command_byte(&self) -> u8 {
        self.flags | self.command.0
    }

    /// All features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The network to serve: UDP if the flag says so, else the network feature,
    /// where unknown networks and none count as TCP.
    pub fn network(&self) -> NetworkId {
        if self.has_udp_flag() {
            return NetworkId::UDP;
        }
        self.features
            .network()
            .map_or(NetworkId::TCP, NetworkId::or_tcp)
    }

    /// The credentials; a server that wants some takes none for empty ones.
    pub fn auth(&self) -> Option<&UserAuth> {
        self.features.auth()
    }

    /// The first address, the source in the tunnel and router protocols.
    pub fn first_address(&self) -> Option<&Address> {
        self.features.addresses().next()
    }

    /// The last address, the target in the relay protocol.
    pub fn last_address(&self) -> Option<&Address> {
        self.features.addresses().next_back()
    }

    /// The tunnel or router.
    pub fn tunnel_id(&self) -> Option<TunnelId> {
        self.features.tunnel().map(TunnelId::from_bytes)
    }

    /// The pairs of texts.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.features.metadata()
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.features.encoded_len()
    }

    /// Appends the request to a buffer.
    ///
    /// # Errors
    /// There are too many features, or too long ones, or the buffer is too
    /// small; it is unchanged then. A growing buffer and the features of a
    /// normal request (one or two addresses, credentials, id, network,
    /// metadata) never fail.
    pub fn encode(&self, into: &mut impl BufMut) -> Result<(), EncodeError> {
        encode(self.command_byte(), &self.features, into)
    }

    /// The request as bytes of its own.
    ///
    /// # Errors
    /// See [`encode`](Self::encode).
    pub fn to_vec(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes a request off the front of a read buffer, exactly as long as it
    /// is: the payload behind it stays. `None` means that bytes are missing;
    /// nothing is taken then.
    ///
    /// # Errors
    /// The bytes are not a request. A wrong version is told by the first byte.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, DecodeError> {
        take(buffer, Self::parse)
    }

    /// Like [`decode`](Self::decode), but leaves the bytes and says how many
    /// of them are the request.
    ///
    /// # Errors
    /// See [`decode`](Self::decode).
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((second, features, len)) = parse(bytes)? else {
            return Ok(None);
        };
        let request = Self {
            command: Command::from_u8(second),
            flags: second & !COMMAND_MASK,
            features,
        };
        Ok(Some((request, len)))
    }
}

/// What a server answers, or says in front of a stream that it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: Status,
    features: Features,
}

impl Response {
    /// A response without features, which is all that a refusal needs.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            features: Features::default(),
        }
    }

    /// A response that grants the request.
    pub fn ok() -> Self {
        Self::new(Status::OK)
    }

    /// Appends a feature. Those of a message are sent in the order of the calls.
    #[must_use]
    pub fn with_feature(mut self, feature: impl Into<Feature>) -> Self {
        self.features.push(feature.into());
        self
    }

    /// Appends an address: the one listened on, or the peer of a stream.
    #[must_use]
    pub fn with_address(self, address: impl Into<Address>) -> Self {
        self.with_feature(address.into())
    }

    /// Appends the identifier of a connector.
    #[must_use]
    pub fn with_connector_id(self, id: ConnectorId) -> Self {
        self.with_feature(id)
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// All features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The first address: the one listened on, or the peer of a stream.
    pub fn first_address(&self) -> Option<&Address> {
        self.features.addresses().next()
    }

    /// The address behind the first, the host that a tunnel's visitor asked for.
    pub fn second_address(&self) -> Option<&Address> {
        self.features.addresses().nth(1)
    }

    /// The connector.
    pub fn connector_id(&self) -> Option<ConnectorId> {
        self.features.tunnel().map(ConnectorId::from_bytes)
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.features.encoded_len()
    }

    /// Appends the response to a buffer.
    ///
    /// # Errors
    /// See [`Request::encode`].
    pub fn encode(&self, into: &mut impl BufMut) -> Result<(), EncodeError> {
        encode(self.status.as_u8(), &self.features, into)
    }

    /// The response as bytes of its own.
    ///
    /// # Errors
    /// See [`Request::encode`].
    pub fn to_vec(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes a response off the front of a read buffer, see [`Request::decode`].
    ///
    /// # Errors
    /// The bytes are not a response.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, DecodeError> {
        take(buffer, Self::parse)
    }

    /// Like [`decode`](Self::decode), but leaves the bytes and says how many
    /// of them are the response.
    ///
    /// # Errors
    /// The bytes are not a response.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((second, features, len)) = parse(bytes)? else {
            return Ok(None);
        };
        let status = Status::from_u8(second);
        Ok(Some((Self { status, features }, len)))
    }
}

fn encode(second: u8, features: &Features, into: &mut impl BufMut) -> Result<(), EncodeError> {
    let len = features.checked_len()?;
    check_room(into, HEADER_LEN + usize::from(len))?;
    into.put_u8(VERSION);
    into.put_u8(second);
    into.put_u16(len);
    features.put(into);
    Ok(())
}

/// Reads the second byte, the features and the length of a message.
fn parse(bytes: &[u8]) -> Result<Option<(u8, Features, usize)>, DecodeError> {
    let Some(len) = message_len(bytes)? else {
        return Ok(None);
    };
    let Some(features) = bytes.get(HEADER_LEN..len) else {
        return Ok(None);
    };
    Ok(Some((bytes[1], Features::decode(features)?, len)))
}

type Parsed<T> = Result<Option<(T, usize)>, DecodeError>;

/// Parses the front of a buffer and removes what was parsed.
fn take<T>(buffer: &mut BytesMut, parse: fn(&[u8]) -> Parsed<T>) -> Result<Option<T>, DecodeError> {
    let Some((message, len)) = parse(buffer)? else {
        return Ok(None);
    };
    buffer.advance(len);
    Ok(Some(message))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
