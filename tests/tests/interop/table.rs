//! What is combined with what, and which combinations the original can't do.

use serde_json::{Value, json};

/// Something that carries streams between two nodes: a listener and a dialer of one name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    /// The type of listener and dialer.
    pub(crate) name: &'static str,
    /// What its listener is bound to.
    pub(crate) place: Place,
    /// Whether one direction can end before the other.
    pub(crate) half_close: HalfClose,
    /// Metadata of the listener and of the dialer, as JSON.
    pub(crate) metadata: &'static str,
    /// Made of others in this table: what no channel can alter is not tried again.
    composed: bool,
}

/// The kinds of addresses that listeners have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp,
    Udp,
    Path,
}

/// Where one direction of a channel can end before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfClose {
    /// The channel has it.
    Yes,
    /// The original ends both directions at once.
    Ours,
    /// A stream of smux that has ended in one direction is not written to any more by the
    /// original, so nobody sends such an end early.
    No,
}

const fn channel(name: &'static str, place: Place, half_close: HalfClose) -> Channel {
    Channel {
        name,
        place,
        half_close,
        metadata: "{}",
        composed: false,
    }
}

const fn composed(channel: Channel) -> Channel {
    Channel {
        composed: true,
        ..channel
    }
}

/// Every channel. A new one is a line here.
pub(crate) static CHANNELS: &[Channel] = &[
    channel("tcp", Place::Tcp, HalfClose::Yes),
    channel("unix", Place::Path, HalfClose::Yes),
    channel("mtcp", Place::Tcp, HalfClose::No),
    channel("tls", Place::Tcp, HalfClose::Yes),
    composed(channel("mtls", Place::Tcp, HalfClose::No)),
    channel("ws", Place::Tcp, HalfClose::Ours),
    composed(channel("wss", Place::Tcp, HalfClose::Ours)),
    composed(channel("mws", Place::Tcp, HalfClose::No)),
    composed(channel("mwss", Place::Tcp, HalfClose::No)),
    channel("kcp", Place::Udp, HalfClose::No),
];

/// What two nodes speak over a channel.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub(crate) name: &'static str,
    /// The type of the handler.
    pub(crate) handler: &'static str,
    /// The type of the connector.
    pub(crate) connector: &'static str,
    /// Metadata of the connector, as JSON.
    pub(crate) metadata: &'static str,
    /// How a client says who it is.
    pub(crate) login: Login,
    /// Whether targets can be names and IPv6 addresses.
    pub(crate) addresses: Addresses,
    pub(crate) datagrams: Datagrams,
    /// Whether the other node can listen.
    pub(crate) bind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Password,
    /// A name alone.
    User,
    None,
}

/// The kinds of targets, beside IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    All,
    Names,
    Ipv4,
    /// The other node alone knows the target.
    Fixed,
}

/// The datagrams that a protocol carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datagrams {
    None,
    /// All but empty ones, which would shift the stream for the original.
    NotEmpty,
    All,
}

/// Every protocol.
pub(crate) static PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "relay",
        handler: "relay",
        connector: "relay",
        metadata: "{}",
        login: Login::Password,
        addresses: Addresses::All,
        datagrams: Datagrams::All,
        bind: true,
    },
    Protocol {
        name: "relay-nodelay",
        handler: "relay",
        connector: "relay",
        metadata: r#"{"nodelay": true}"#,
        login: Login::Password,
        addresses: Addresses::All,
        datagrams: Datagrams::All,
        bind: false,
    },
    Protocol {
        name: "socks5",
        handler: "socks5",
        connector: "socks5",
        metadata: "{}",
        login: Login::Password,
        addresses: Addresses::All,
        datagrams: Datagrams::NotEmpty,
        bind: true,
    },
    Protocol {
        name: "socks4",
        handler: "socks4",
        connector: "socks4",
        metadata: r#"{"disable4a": true}"#,
        login: Login::User,
        addresses: Addresses::Ipv4,
        datagrams: Datagrams::None,
        bind: false,
    },
    Protocol {
        name: "socks4a",
        handler: "socks4a",
        connector: "socks4a",
        metadata: "{}",
        login: Login::User,
        addresses: Addresses::Names,
        datagrams: Datagrams::None,
        bind: false,
    },
    Protocol {
        name: "http",
        handler: "http",
        connector: "http",
        metadata: "{}",
        login: Login::Password,
        addresses: Addresses::All,
        datagrams: Datagrams::NotEmpty,
        bind: false,
    },
    Protocol {
        name: "forward",
        handler: "forward",
        connector: "forward",
        metadata: "{}",
        login: Login::None,
        addresses: Addresses::Fixed,
        datagrams: Datagrams::None,
        bind: false,
    },
];

impl Protocol {
    /// Metadata of the handler: everything that can be allowed is.
    pub(crate) fn handler_metadata(&self) -> Value {
        match self.handler {
            "relay" => json!({"bind": true}),
            "socks5" => json!({"bind": true, "udp": true}),
            "http" => json!({"udp": true}),
            _ => json!({}),
        }
    }

    /// Metadata of the connector, where it talks to a server over a channel.
    ///
    /// When the original closes TLS within a stream of smux, it sets a deadline to the whole session,
    /// which is lost: between two of its own nodes, too. There SOCKS5 does without TLS.
    pub(crate) fn connector_metadata(
        &self,
        over_smux: bool,
        with_reference: bool,
    ) -> Result<Value, serde_json::Error> {
        if self.connector == "socks5" && over_smux && with_reference {
            return Ok(json!({"notls": true}));
        }
        serde_json::from_str(self.metadata)
    }

    /// What the handler asks for, and the connector gives if `right`.
    pub(crate) fn auth(&self, right: bool) -> Option<Value> {
        let name = if right { "alice" } else { "mallory" };
        match self.login {
            Login::Password if right => Some(json!({"username": "alice", "password": "secret"})),
            Login::Password => Some(json!({"username": "alice", "password": "guess"})),
            Login::User => Some(json!({"username": name})),
            Login::None => None,
        }
    }
}

/// Whose programs stand at the ends of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pairing {
    OursOurs,
    OursReference,
    ReferenceOurs,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Program {
    Ours,
    Reference,
}

impl Pairing {
    pub(crate) const ALL: [Self; 3] = [Self::OursOurs, Self::OursReference, Self::ReferenceOurs];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OursOurs => "ours→ours",
            Self::OursReference => "ours→reference",
            Self::ReferenceOurs => "reference→ours",
        }
    }

    pub(crate) const fn client(self) -> Program {
        match self {
            Self::ReferenceOurs => Program::Reference,
            Self::OursOurs | Self::OursReference => Program::Ours,
        }
    }

    pub(crate) const fn server(self) -> Program {
        match self {
            Self::OursReference => Program::Reference,
            Self::OursOurs | Self::ReferenceOurs => Program::Ours,
        }
    }

    pub(crate) const fn needs_reference(self) -> bool {
        !matches!(self, Self::OursOurs)
    }
}

/// What is tried with a combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// A byte, and then megabytes in both directions at once.
    Bytes,
    /// Connections at once, each with bytes of its own.
    Many,
    /// Targets by name and by IPv6 address.
    Addresses,
    /// A target that speaks before the client does.
    SpeaksFirst,
    /// The client ends its direction and then gets its answer.
    ClientEndsFirst,
    /// The target says something and ends its direction.
    TargetEndsFirst,
    /// A target that resets the connection.
    Reset,
    /// Nobody listens at the target.
    Refused,
    /// Wrong credentials.
    WrongPassword,
    /// A UDP port of the client node leads to a target.
    Datagrams,
    /// A client associates at the client node, which reaches targets through the other.
    Associate,
    /// A client associates at the server node itself.
    AssociateAlone,
    /// A TCP port of the other node leads back to a target.
    RemoteTcp,
    /// A UDP port of the other node leads back to a target.
    RemoteUdp,
}

impl Trial {
    pub(crate) const ALL: [Self; 14] = [
        Self::Bytes,
        Self::Many,
        Self::Addresses,
        Self::SpeaksFirst,
        Self::ClientEndsFirst,
        Self::TargetEndsFirst,
        Self::Reset,
        Self::Refused,
        Self::WrongPassword,
        Self::Datagrams,
        Self::Associate,
        Self::AssociateAlone,
        Self::RemoteTcp,
        Self::RemoteUdp,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Many => "many",
            Self::Addresses => "addresses",
            Self::SpeaksFirst => "target-speaks-first",
            Self::ClientEndsFirst => "client-ends-first",
            Self::TargetEndsFirst => "target-ends-first",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::WrongPassword => "wrong-password",
            Self::Datagrams => "datagrams",
            Self::Associate => "associate",
            Self::AssociateAlone => "associate-alone",
            Self::RemoteTcp => "remote-tcp",
            Self::RemoteUdp => "remote-udp",
        }
    }

    /// Whether the combination has such a thing at all, by what channel and protocol are.
    pub(crate) fn exists(self, channel: &Channel, protocol: &Protocol) -> bool {
        if channel.composed {
            let alike = matches!(protocol.name, "relay-nodelay" | "socks4" | "socks4a");
            let of_protocol = matches!(
                self,
                Self::Addresses | Self::WrongPassword | Self::Associate | Self::RemoteUdp
            );
            if alike || of_protocol {
                return false;
            }
        }
        match self {
            Self::Bytes
            | Self::Many
            | Self::SpeaksFirst
            | Self::TargetEndsFirst
            | Self::Refused => true,
            Self::Addresses => {
                matches!(protocol.addresses, Addresses::All | Addresses::Names)
            }
            Self::ClientEndsFirst => channel.half_close != HalfClose::No,
            Self::Reset => channel.name == "tcp",
            Self::WrongPassword => protocol.login != Login::None,
            Self::Datagrams | Self::Associate => protocol.datagrams != Datagrams::None,
            Self::AssociateAlone => protocol.name == "socks5" && channel.name == "tcp",
            Self::RemoteTcp | Self::RemoteUdp => protocol.bind,
        }
    }

    /// Why a combination that exists fails by no fault of ours.
    pub(crate) fn defect(
        self,
        channel: &Channel,
        protocol: &Protocol,
        pairing: Pairing,
    ) -> Option<&'static str> {
        if !pairing.needs_reference() {
            return None;
        }
        let by_reference = pairing.client() == Program::Reference;
        match (self, protocol.name) {
            (_, "http" | "socks4" | "socks4a") if by_reference && channel.name == "unix" => {
                Some("the original takes a Unix socket below this connector for datagrams")
            }
            (_, "forward") if !by_reference && channel.name == "unix" => {
                Some("the original does not forward from a Unix socket to a TCP target")
            }
            (Self::SpeaksFirst, "relay") if by_reference => {
                Some("the original as a client sends nothing before its first data")
            }
            (Self::SpeaksFirst | Self::TargetEndsFirst, "http" | "socks5") if by_reference => {
                Some("the original as a client now and then loses bytes behind the answer")
            }
            (Self::SpeaksFirst | Self::TargetEndsFirst | Self::Refused, "forward")
                if by_reference && channel.half_close == HalfClose::No =>
            {
                Some("the original as a client loses what comes before it has noted a new stream")
            }
            (Self::ClientEndsFirst, _) if channel.half_close == HalfClose::Ours => {
                Some("the original ends both directions at once")
            }
            (Self::ClientEndsFirst, "relay" | "relay-nodelay" | "socks5") => {
                Some("the original ends both directions at once")
            }
            (Self::Reset, _) => Some("the original ends in order what was reset"),
            _ => None,
        }
    }
}
