//! What can be wrong with bytes, with values and with text

use thiserror::Error;

/// Why bytes from a peer are not a message, an address or a datagram.
///
/// On a stream every variant is final: the boundary of the next message is
/// lost, so the connection must be closed. Bytes that are merely missing are
/// not an error; decoders answer `Ok(None)` to them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first byte is not the version of this protocol. Nothing may be
    /// answered, since the peer does not speak relay.
    #[error("relay version {0} is not supported")]
    Version(u8),
    /// The feature list ends inside the three header bytes of a record.
    #[error("the feature list ends inside a record header")]
    FeatureHeader,
    /// A feature record claims more bytes than the list has left.
    #[error("feature {kind:#04x} announces {len} bytes, the list has {left} left")]
    FeatureOverrun {
        /// Type byte of the record.
        kind: u8,
        /// Length that the record announces, in bytes.
        len: usize,
        /// Bytes that follow the record header in the list.
        left: usize,
    },
    /// The data of a known feature is shorter than its own content demands.
    #[error("feature {kind:#04x} is cut short")]
    FeatureShort {
        /// Type byte of the record.
        kind: u8,
    },
    /// More than [`MAX_FEATURES`](crate::MAX_FEATURES) records in one message.
    #[error("more than {} features in one message", crate::MAX_FEATURES)]
    TooManyFeatures,
    /// The address type is none of IPv4, domain and IPv6.
    #[error("unknown address type {0:#04x}")]
    AddressType(u8),
    /// A metadata key or value exceeds 255 bytes.
    #[error("metadata text of {0} bytes, the limit is 255")]
    MetadataLength(usize),
    /// A name, user or password is not UTF-8.
    #[error("the {0} is not UTF-8")]
    Text(&'static str),
    /// A datagram ends inside its own header.
    #[error("the datagram is shorter than its header")]
    ShortDatagram,
}

/// Why a message or a datagram cannot be written. Nothing was written then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The feature list exceeds the 65 535 bytes that its length field counts.
    #[error("features of {0} bytes, the limit is 65535")]
    FeaturesLength(usize),
    /// More than [`MAX_FEATURES`](crate::MAX_FEATURES) features in one message.
    #[error("more than {} features in one message", crate::MAX_FEATURES)]
    TooManyFeatures,
    /// The payload exceeds the 65 535 bytes that its length field counts.
    #[error("datagram of {0} bytes, the limit is 65535")]
    DatagramLength(usize),
    /// An empty datagram, which the addressed framing cannot express: the
    /// original takes a length of zero for "as much as one read returns".
    #[error("an empty datagram cannot be sent over a stream")]
    EmptyDatagram,
    /// The buffer given by the caller is too small.
    #[error("{needed} bytes do not fit the {room} bytes of the buffer")]
    NoRoom {
        /// Bytes to be written.
        needed: usize,
        /// Bytes that the buffer takes.
        room: usize,
    },
}

/// Why a value cannot be part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A text or blob exceeds its length field or its agreed limit.
    #[error("{what} of {len} bytes, the limit is {max}")]
    TooLong {
        /// What the value is, such as "domain name".
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// More than [`Metadata::MAX_PAIRS`](crate::Metadata::MAX_PAIRS) pairs.
    #[error("more than {} metadata pairs", crate::Metadata::MAX_PAIRS)]
    TooManyPairs,
    /// An opaque feature with the type byte of a known one.
    #[error("feature type {0:#04x} is not an opaque one")]
    KnownFeature(u8),
}

impl ValueError {
    /// Passes a length through that does not exceed `max`.
    pub(crate) fn check(what: &'static str, len: usize, max: usize) -> Result<(), Self> {
        if len > max {
            return Err(Self::TooLong { what, len, max });
        }
        Ok(())
    }
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// The text is empty.
    #[error("empty address")]
    Empty,
    /// The part behind the last colon is not a number from 0 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// Brackets that do not enclose the host.
    #[error("misplaced bracket in {0:?}")]
    Brackets(String),
    /// The host does not fit an address.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// The text is not the UUID form of an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a UUID")]
pub struct ParseIdError(pub(crate) String);
