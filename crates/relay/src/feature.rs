//! Features: the typed records that requests and responses are made of

use std::fmt;

use bytes::BufMut;

use crate::address::{Address, AddressRef};
use crate::auth::UserAuth;
use crate::error::{DecodeError, EncodeError, ValueError};
use crate::id::{Id, NetworkId};
use crate::metadata::Metadata;
use crate::socks_addr;

/// The most features that a message may have. Real ones have six at most; the
/// limit keeps 65 535 bytes of empty records from becoming a megabyte of them.
pub const MAX_FEATURES: usize = 256;

/// Bytes in front of each record: type (1), length of the data (2).
const RECORD_HEADER: usize = 3;

/// One record of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Credentials of the client (type 1).
    UserAuth(UserAuth),
    /// A target, a source, or an address listened on (type 2).
    Address(Address),
    /// A [`TunnelId`](crate::TunnelId) in requests, a
    /// [`ConnectorId`](crate::ConnectorId) in responses (type 3).
    Tunnel([u8; 20]),
    /// The network that the addresses are about (type 4).
    Network(NetworkId),
    /// Pairs of texts (type 5).
    Metadata(Metadata),
    /// A record of a type that this crate does not know, kept for whoever does.
    Opaque(Opaque),
}

impl Feature {
    pub(crate) const USER_AUTH: u8 = 0x01;
    pub(crate) const ADDRESS: u8 = 0x02;
    pub(crate) const TUNNEL: u8 = 0x03;
    pub(crate) const NETWORK: u8 = 0x04;
    pub(crate) const METADATA: u8 = 0x05;

    /// The type byte.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::UserAuth(_) => Self::USER_AUTH,
            Self::Address(_) => Self::ADDRESS,
            Self::Tunnel(_) => Self::TUNNEL,
            Self::Network(_) => Self::NETWORK,
            Self::Metadata(_) => Self::METADATA,
            Self::Opaque(opaque) => opaque.kind,
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::UserAuth(auth) => auth.data_len(),
            Self::Address(address) => socks_addr::encoded_len(address),
            Self::Tunnel(id) => id.len(),
            Self::Network(_) => 2,
            Self::Metadata(metadata) => metadata.data_len(),
            Self::Opaque(opaque) => opaque.data.len(),
        }
    }

    fn put(&self, into: &mut impl BufMut) {
        into.put_u8(self.kind());
        // Every kind of data is limited to less than 65 536 bytes when it is made.
        into.put_u16(self.data_len() as u16);
        match self {
            Self::UserAuth(auth) => auth.put(into),
            Self::Address(address) => socks_addr::put(address.into(), into),
            Self::Tunnel(id) => into.put_slice(id),
            Self::Network(network) => into.put_u16(network.as_u16()),
            Self::Metadata(metadata) => metadata.put(into),
            Self::Opaque(opaque) => into.put_slice(&opaque.data),
        }
    }

    /// Reads the data of a record. Data behind the content of a known feature
    /// is ignored, as the original does.
    fn decode(kind: u8, data: &[u8]) -> Result<Self, DecodeError> {
        let short = DecodeError::FeatureShort { kind };
        match kind {
            Self::USER_AUTH => UserAuth::decode(data).map(Self::UserAuth),
            Self::ADDRESS => {
                let (address, _) = socks_addr::decode(data)?.ok_or(short)?;
                Ok(Self::Address(address.into_owned()))
            }
            Self::TUNNEL => data.first_chunk().map(|id| Self::Tunnel(*id)).ok_or(short),
            Self::NETWORK => data
                .first_chunk()
                .map(|id| Self::Network(NetworkId::from_u16(u16::from_be_bytes(*id))))
                .ok_or(short),
            Self::METADATA => Metadata::decode(data).map(Self::Metadata),
            _ => Ok(Self::Opaque(Opaque {
                kind,
                data: data.into(),
            })),
        }
    }
}

impl From<UserAuth> for Feature {
    fn from(auth: UserAuth) -> Self {
        Self::UserAuth(auth)
    }
}

impl From<Address> for Feature {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl From<AddressRef<'_>> for Feature {
    fn from(address: AddressRef<'_>) -> Self {
        Self::Address(address.into_owned())
    }
}

impl<K> From<Id<K>> for Feature {
    fn from(id: Id<K>) -> Self {
        Self::Tunnel(id.to_bytes())
    }
}

impl From<NetworkId> for Feature {
    fn from(network: NetworkId) -> Self {
        Self::Network(network)
    }
}

impl From<Metadata> for Feature {
    fn from(metadata: Metadata) -> Self {
        Self::Metadata(metadata)
    }
}

impl From<Opaque> for Feature {
    fn from(opaque: Opaque) -> Self {
        Self::Opaque(opaque)
    }
}

/// A record of an unknown type. `Debug` shows its length only, since nobody
/// knows how secret the data is.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque {
    kind: u8,
    data: Box<[u8]>,
}

impl Opaque {
    /// A record of a type other than those known to this crate.
    ///
    /// # Errors
    /// The type is a known one, or the data exceeds 65 535 bytes.
    pub fn new(kind: u8, data: impl Into<Box<[u8]>>) -> Result<Self, ValueError> {
        if (Feature::USER_AUTH..=Feature::METADATA).contains(&kind) {
            return Err(ValueError::KnownFeature(kind));
        }
        let data = data.into();
        ValueError::check("feature data", data.len(), usize::from(u16::MAX))?;
        Ok(Self { kind, data })
    }

    /// The type byte.
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// The data.
    pub const fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({:#04x}, {} bytes)", self.kind, self.data.len())
    }
}

/// The feature list of a message, in the order of the wire.
///
/// Where a feature occurs more than once the accessors answer what servers of
/// the original act on, which is the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    list: Vec<Feature>,
}

impl Features {
    /// The credentials.
    pub fn auth(&self) -> Option<&UserAuth> {
        self.last(|feature| match feature {
            Feature::UserAuth(auth) => Some(auth),
            _ => None,
        })
    }

    /// All addresses. In the tunnel protocol the first is the source and the
    /// last of the others the destination.
    pub fn addresses(&self) -> impl DoubleEndedIterator<Item = &Address> {
        self.list.iter().filter_map(|feature| match feature {
            Feature::Address(address) => Some(address),
            _ => None,
        })
    }

    /// The 20 bytes of the tunnel feature.
    pub fn tunnel(&self) -> Option<[u8; 20]> {
        self.last(|feature| match feature {
            Feature::Tunnel(id) => Some(*id),
            _ => None,
        })
    }

    /// The network as it was sent; see [`Request::network`](crate::Request::network)
    /// for the one to serve.
    pub fn network(&self) -> Option<NetworkId> {
        self.last(|feature| match feature {
            Feature::Network(network) => Some(*network),
            _ => None,
        })
    }

    /// The pairs of texts.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.last(|feature| match feature {
            Feature::Metadata(metadata) => Some(metadata),
            _ => None,
        })
    }

    /// All features.
    pub fn as_slice(&self) -> &[Feature] {
        &self.list
    }

    /// How many features there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no features.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn last<'a, T>(&'a self, pick: impl FnMut(&'a Feature) -> Option<T>) -> Option<T> {
        self.list.iter().rev().find_map(pick)
    }

    pub(crate) fn push(&mut self, feature: Feature) {
        self.list.push(feature);
    }

    /// Bytes of the encoded list.
    pub(crate) fn encoded_len(&self) -> usize {
        self.list
            .iter()
            .map(|feature| RECORD_HEADER + feature.data_len())
            .sum()
    }

    /// [`encoded_len`](Self::encoded_len) if the list may be sent.
    pub(crate) fn checked_len(&self) -> Result<u16, EncodeError> {
        if self.list.len() > MAX_FEATURES {
            return Err(EncodeError::TooManyFeatures);
        }
        let len = self.encoded_len();
        u16::try_from(len).map_err(|_| EncodeError::FeaturesLength(len))
    }

    pub(crate) fn put(&self, into: &mut impl BufMut) {
        for feature in &self.list {
            feature.put(into);
        }
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut list = Vec::new();
        while !bytes.is_empty() {
            let Some((&[kind, high, low], rest)) = bytes.split_first_chunk() else {
                return Err(DecodeError::FeatureHeader);
            };
            let len = usize::from(u16::from_be_bytes([high, low]));
            let Some((data, rest)) = rest.split_at_checked(len) else {
                let left = rest.len();
                return Err(DecodeError::FeatureOverrun { kind, len, left });
            };
            if list.len() == MAX_FEATURES {
                return Err(DecodeError::TooManyFeatures);
            }
            list.push(Feature::decode(kind, data)?);
            bytes = rest;
        }
        Ok(Self { list })
    }
}
