//! Identifiers: networks, tunnels and connectors

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::ParseIdError;

/// The network that a request is about, two bytes on the wire.
///
/// An open set: ids without a constant are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(u16);

impl NetworkId {
    /// Byte streams over TCP, which is also meant when nothing is said.
    pub const TCP: Self = Self(0x0000);
    /// Datagrams over UDP.
    pub const UDP: Self = Self(0x0001);
    /// Whole IP packets, used by the router protocol.
    pub const IP: Self = Self(0x0002);
    /// A unix socket; the address is a domain holding the path, with port 0.
    pub const UNIX: Self = Self(0x0010);
    /// A serial port; the address is a domain holding the device, with port 0.
    pub const SERIAL: Self = Self(0x0011);

    /// The network of an id.
    pub const fn from_u16(id: u16) -> Self {
        Self(id)
    }

    /// The id of the network.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The network itself if it has a name, TCP otherwise, as servers take it.
    #[must_use]
    pub const fn or_tcp(self) -> Self {
        match self {
            Self::UDP | Self::IP | Self::UNIX | Self::SERIAL => self,
            _ => Self::TCP,
        }
    }

    /// The name of the network; `tcp` for unknown ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UDP => "udp",
            Self::IP => "ip",
            Self::UNIX => "unix",
            Self::SERIAL => "serial",
            _ => "tcp",
        }
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Marks the identifier of a tunnel.
#[derive(Clone, Copy, Debug)]
pub enum Tunnel {}

/// Marks the identifier of a connector, one client that serves a tunnel.
#[derive(Clone, Copy, Debug)]
pub enum Connector {}

/// Names a tunnel; a visitor and the clients behind the tunnel both send it.
pub type TunnelId = Id<Tunnel>;

/// Names one connection of a tunnel; servers choose and answer it.
pub type ConnectorId = Id<Connector>;

/// The 20 bytes of a tunnel feature: a UUID (16), flags (1), zero (2), weight (1).
///
/// Equality, hash and [`is_zero`](Self::is_zero) look at the UUID alone, and
/// the text form is the UUID alone: flags and weight say how to treat the
/// thing, not which thing it is.
pub struct Id<K> {
    bytes: [u8; 20],
    kind: PhantomData<K>,
}

const FLAGS: usize = 16;
const WEIGHT: usize = 19;

impl<K> Id<K> {
    /// The identifier of a UUID, without flags and with weight 0.
    pub fn new(uuid: [u8; 16]) -> Self {
        let mut bytes = [0; 20];
        bytes[..FLAGS].copy_from_slice(&uuid);
        Self::from_bytes(bytes)
    }

    /// The identifier as the wire has it.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The identifier as the wire has it.
    pub const fn to_bytes(self) -> [u8; 20] {
        self.bytes
    }

    /// The UUID alone.
    pub fn uuid(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.bytes[..FLAGS]);
        uuid
    }

    /// Whether the UUID is all zeros, which stands for "none".
    pub fn is_zero(&self) -> bool {
        self.uuid() == [0; 16]
    }

    /// The weight in the choice among connectors; 0 is treated as 1, and 255
    /// leaves out all lower ones.
    pub const fn weight(&self) -> u8 {
        self.bytes[WEIGHT]
    }

    /// The same identifier with another weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: u8) -> Self {
        self.bytes[WEIGHT] = weight;
        self
    }

    const fn flag(&self, mask: u8) -> bool {
        self.bytes[FLAGS] & mask != 0
    }

    const fn with_flag(mut self, mask: u8, on: bool) -> Self {
        if on {
            self.bytes[FLAGS] |= mask;
        } else {
            self.bytes[FLAGS] &= !mask;
        }
        self
    }
}

impl TunnelId {
    const PRIVATE: u8 = 0x80;

    /// Whether public entrypoints must not lead to the tunnel.
    pub const fn is_private(&self) -> bool {
        self.flag(Self::PRIVATE)
    }

    /// The same tunnel, private or not.
    #[must_use]
    pub const fn with_private(self, private: bool) -> Self {
        self.with_flag(Self::PRIVATE, private)
    }
}

impl ConnectorId {
    const UDP: u8 = 0x01;

    /// Whether the connector carries datagrams.
    pub const fn is_udp(&self) -> bool {
        self.flag(Self::UDP)
    }

    /// The same connector, for datagrams or not.
    #[must_use]
    pub const fn with_udp(self, udp: bool) -> Self {
        self.with_flag(Self::UDP, udp)
    }
}

// Derived forms would demand the same traits of the marker.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> Default for Id<K> {
    fn default() -> Self {
        Self::from_bytes([0; 20])
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid() == other.uuid()
    }
}

impl<K> Eq for Id<K> {}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid().hash(state);
    }
}

impl<K> fmt::Display for Id<K> {
    /// The UUID in lower case, 8-4-4-4-12.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.uuid()).as_hyphenated().fmt(f)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flags, weight) = (self.bytes[FLAGS], self.weight());
        write!(f, "Id({self} flags {flags:02x} weight {weight})")
    }
}

impl<K> FromStr for Id<K> {
    type Err = ParseIdError;

    /// Reads a UUID in either case, with or without hyphens, braces or `urn:uuid:`.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let uuid = Uuid::parse_str(text).map_err(|_| ParseIdError(text.to_owned()))?;
        Ok(Self::new(uuid.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const TEXT: &str = "4d21094e-b74c-4916-86c1-d9fa36ea677b";
    const HEX: &str = "4d21094eb74c491686c1d9fa36ea677b";

    fn tunnel() -> TunnelId {
        TEXT.parse().unwrap()
    }

    #[test]
    fn text_form() {
        assert_eq!(tunnel().to_string(), TEXT);
        assert_eq!(hex::encode(tunnel().to_bytes()), format!("{HEX}00000000"));
        for text in [
            HEX.to_owned(),
            TEXT.to_uppercase(),
            format!("{{{TEXT}}}"),
            format!("urn:uuid:{TEXT}"),
        ] {
            assert_eq!(text.parse(), Ok(tunnel()), "{text}");
        }
        for text in ["", "4d21094e", "4d21094e-b74c-4916-86c1-d9fa36ea677", "$"] {
            assert_eq!(
                text.parse::<TunnelId>(),
                Err(ParseIdError(text.to_owned())),
                "{text}"
            );
        }
        assert!(format!("{HEX}0").parse::<TunnelId>().is_err());
        assert!(
            "zz21094eb74c491686c1d9fa36ea677b"
                .parse::<TunnelId>()
                .is_err()
        );
    }

    #[test]
    fn setters_return_new_values() {
        let plain = tunnel();
        let changed = plain.with_private(true).with_weight(7);
        assert!(!plain.is_private());
        assert_eq!(plain.weight(), 0);
        assert_eq!(hex::encode(changed.to_bytes()), format!("{HEX}80000007"));
        assert!(changed.is_private());
        assert_eq!(
            changed.with_private(false).with_weight(0).to_bytes(),
            plain.to_bytes()
        );

        let connector = ConnectorId::new(plain.uuid()).with_udp(true);
        assert_eq!(hex::encode(connector.to_bytes()), format!("{HEX}01000000"));
        assert!(connector.is_udp());
        assert!(!connector.with_udp(false).is_udp());
    }

    #[test]
    fn only_the_uuid_identifies() {
        let other = tunnel().with_private(true).with_weight(9);
        assert_eq!(other, tunnel());
        assert_eq!(HashSet::from([other, tunnel()]).len(), 1);
        assert_eq!(other.to_string(), TEXT);

        let mut bytes = tunnel().to_bytes();
        bytes[15] ^= 1;
        assert_ne!(TunnelId::from_bytes(bytes), tunnel());

        assert!(
            TunnelId::default()
                .with_private(true)
                .with_weight(1)
                .is_zero()
        );
        assert!(!tunnel().is_zero());
    }

    #[test]
    fn networks() {
        for (id, name) in [
            (0, "tcp"),
            (1, "udp"),
            (2, "ip"),
            (0x10, "unix"),
            (0x11, "serial"),
        ] {
            let network = NetworkId::from_u16(id);
            assert_eq!(network.to_string(), name);
            assert_eq!(network.or_tcp(), network);
        }
        let unknown = NetworkId::from_u16(0x7777);
        assert_eq!(unknown.as_u16(), 0x7777);
        assert_ne!(unknown, NetworkId::TCP);
        assert_eq!(unknown.or_tcp(), NetworkId::TCP);
        assert_eq!(unknown.name(), "tcp");
    }
}
