//! Questions for addresses, and what the answers to them say.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::opt::{ClientSubnet, EdnsOption},
    },
    serialize::binary::BinDecodable as _,
};

use crate::DnsError;

/// The length of a message's header.
pub(crate) const HEADER: usize = 12;

/// The longest message.
pub(crate) const MOST: usize = 65_535;

/// The shortest record: the root's name, type, class, TTL, length.
const RECORD: usize = 11;

/// The longest datagram that we ask for (DNS Flag Day 2020), where a question says such things.
const PAYLOAD: u16 = 1232;

/// How many aliases a name may have on the way to its addresses.
const ALIASES: usize = 16;

/// How many addresses of a name are taken.
const ADDRESSES: usize = 64;

/// How long a server may have an answer kept (RFC 8767, section 4).
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// How long the lack of an answer is kept, unless the server says less.
const NOTHING: Duration = Duration::from_mins(1);

/// The type of the addresses that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A: IPv4.
    V4,
    /// AAAA: IPv6.
    V6,
}

impl Kind {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    const fn record_type(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }
}

/// What a server said about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The addresses; none when there is no such name, or it has none of the type.
    pub addresses: Vec<IpAddr>,
    /// How long this holds.
    pub ttl: Duration,
}

/// Asks for the addresses of a host, with a random id. The subnet of `client` is told to the
/// server: the first 24 bits of an IPv4 address, all of an IPv6 address.
///
/// # Errors
/// [`DnsError::Name`].
pub fn question(host: &str, kind: Kind, client: Option<IpAddr>) -> Result<Vec<u8>, DnsError> {
    let wrong = || DnsError::Name(host.to_owned());
    let mut name = if host.is_ascii() {
        Name::from_ascii(host)
    } else {
        Name::from_utf8(host)
    }
    .map_err(|_| wrong())?;
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind.record_type()));
    if let Some(client) = client {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        let subnet = match client {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                ClientSubnet::new(Ipv4Addr::new(a, b, c, 0).into(), 24, 0)
            }
            IpAddr::V6(_) => ClientSubnet::new(client, 128, 0),
        };
        edns.options_mut().insert(EdnsOption::Subnet(subnet));
        message.set_edns(edns);
    }
    message.to_vec().map_err(|_| wrong())
}

/// Checks that a message answers another: id, kind, question.
///
/// # Errors
/// [`DnsError::Forged`] or [`DnsError::TooLong`].
pub fn check(answer: &[u8], question: &[u8]) -> Result<(), DnsError> {
    if answer.len() > MOST {
        return Err(DnsError::TooLong);
    }
    let (Some(header), Some(asked)) = (answer.get(..HEADER), question.get(..HEADER)) else {
        return Err(DnsError::Forged("it is shorter than a header"));
    };
    if header[..2] != asked[..2] {
        return Err(DnsError::Forged("another id"));
    }
    // QR is set, and the opcode is the same.
    if header[2] & 0xf8 != (asked[2] & 0x78) | 0x80 {
        return Err(DnsError::Forged("it is no answer"));
    }
    // Some servers refuse without repeating the question.
    if header[4..6] == [0, 0] && header[3] & 0xf != 0 {
        return Ok(());
    }
    let end = questions_end(question).ok_or(DnsError::Forged("there was no question"))?;
    let same = header[4..6] == asked[4..6]
        && answer
            .get(HEADER..end)
            .is_some_and(|same| same.eq_ignore_ascii_case(&question[HEADER..end]));
    if same {
        Ok(())
    } else {
        Err(DnsError::Forged("another question"))
    }
}

/// Where the questions of a question end.
fn questions_end(message: &[u8]) -> Option<usize> {
    let count = u16::from_be_bytes([*message.get(4)?, *message.get(5)?]);
    let mut at = HEADER;
    for _ in 0..count {
        loop {
            let length = usize::from(*message.get(at)?);
            // A name in a question has nothing before it to point to.
            if length > 63 {
                return None;
            }
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        at += 4;
    }
    (at <= message.len()).then_some(at)
}

/// True when a server could not send all of its answer.
pub fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 2 != 0)
}

/// The addresses in an answer: those of the name that was asked for, or of what it is an alias of.
///
/// # Errors
/// [`DnsError::Malformed`]; [`DnsError::Code`] unless there are addresses, or there is no such
/// name.
pub fn read(answer: &[u8], kind: Kind) -> Result<Found, DnsError> {
    let malformed = |what: &dyn std::fmt::Display| DnsError::Malformed(what.to_string());
    let counts = answer
        .get(4..HEADER)
        .ok_or_else(|| malformed(&"it is shorter than a header"))?;
    let records: usize = counts[2..]
        .chunks_exact(2)
        .map(|count| usize::from(u16::from_be_bytes([count[0], count[1]])))
        .sum();
    // What is read below makes room by these numbers.
    if counts[..2] > [0, 1][..] || records > answer.len() / RECORD {
        return Err(malformed(&"it claims to have more than it has"));
    }
    let message = Message::from_bytes(answer).map_err(|e| malformed(&e))?;
    match message.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => {
            return Ok(Found {
                addresses: Vec::new(),
                ttl: nothing(&message),
            });
        }
        other => return Err(DnsError::Code(other.to_str())),
    }
    let mut name = message
        .queries
        .first()
        .map(|query| query.name().clone())
        .ok_or_else(|| malformed(&"it has no question"))?;
    let mut ttl = LONGEST;
    let mut shorter = |record: &Record| ttl = ttl.min(lifetime(record.ttl));
    for _ in 0..ALIASES {
        let alias = message
            .answers
            .iter()
            .find_map(|record| match &record.data {
                RData::CNAME(to) if record.name == name => Some((record, &to.0)),
                _ => None,
            });
        let Some((record, to)) = alias else { break };
        shorter(record);
        name = to.clone();
    }
    let address = |record: &Record| match (&record.data, kind) {
        (RData::A(ip), Kind::V4) => Some(IpAddr::V4(Ipv4Addr::from(*ip))),
        (RData::AAAA(ip), Kind::V6) => Some(IpAddr::V6(Ipv6Addr::from(*ip))),
        _ => None,
    };
    let mut addresses = Vec::new();
    for record in message.answers.iter().filter(|record| record.name == name) {
        let Some(ip) = address(record) else { continue };
        shorter(record);
        if addresses.len() < ADDRESSES && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() {
        if is_truncated(answer) {
            return Err(malformed(&"it is cut off before the first address"));
        }
        ttl = nothing(&message);
    }
    Ok(Found { addresses, ttl })
}

/// Numbers that would be negative mean none at all (RFC 2181, section 8).
fn lifetime(ttl: u32) -> Duration {
    if i32::try_from(ttl).is_err() {
        return Duration::ZERO;
    }
    Duration::from_secs(ttl.into()).min(LONGEST)
}

/// How long the lack of an answer holds (RFC 2308, section 5).
fn nothing(message: &Message) -> Duration {
    let soa = message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(lifetime(record.ttl.min(soa.minimum))),
            _ => None,
        });
    soa.map_or(NOTHING, |soa| soa.min(NOTHING))
}

#[cfg(test)]
mod tests;
