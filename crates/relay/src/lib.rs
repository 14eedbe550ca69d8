#![doc = include_str!("../README.md")]

mod address;
mod auth;
mod error;
mod feature;
mod id;
mod message;
mod metadata;
pub mod socks_addr;
mod status;
pub mod udp;

pub use address::{Address, AddressRef, Host, MAX_DOMAIN_LEN};
pub use auth::UserAuth;
pub use error::{DecodeError, EncodeError, ParseAddressError, ParseIdError, ValueError};
pub use feature::{Feature, Features, MAX_FEATURES, Opaque};
pub use id::{Connector, ConnectorId, Id, NetworkId, Tunnel, TunnelId};
pub use message::{Command, HEADER_LEN, MAX_MESSAGE_LEN, Request, Response, VERSION, message_len};
pub use metadata::Metadata;
pub use status::Status;
