//! Name servers as configured.

use std::{net::IpAddr, time::Duration};

use gost_core::{
    error::{Error, Result, Why},
    options,
    values::{FromValue, Value},
};
use gost_dns::message::Kind;

options! {
    /// Options of the resolver.
    pub struct ResolverOptions {
        /// The servers, asked in order: a list of `addr`, `chain`, `prefer`, `only`, `clientIP`,
        /// `hostname`, `ttl`, `timeout` and `async`.
        nameservers: Nameservers = Nameservers::default(), "nameservers";
    }
}

/// How long the answers of a server are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As long as they say.
    #[default]
    Answer,
    /// Not at all.
    Never,
    /// For so long, whatever they say.
    Fixed(Duration),
}

/// A name server as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameserver {
    /// Its address, as [`gost_dns::Server`] reads it; nothing for no server.
    pub addr: String,
    /// The chain to ask it through, by name; nothing to ask it directly.
    pub chain: String,
    /// `ipv4` or `ipv6` first.
    pub prefer: String,
    /// `ipv4` or `ipv6` alone.
    pub only: String,
    /// The client whose subnet it is told.
    pub client_ip: String,
    /// The name that its certificate must be for; nothing to take any certificate.
    pub hostname: String,
    /// How long its answers are kept.
    pub ttl: Ttl,
    /// How long an answer may take; zero for 5 seconds.
    pub timeout: Duration,
    /// Give old answers at once, and ask again meanwhile.
    pub refresh: bool,
}

/// The name servers of a resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameservers(pub Vec<Nameserver>);

/// The time for an answer where none is configured.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Nameserver {
    pub(crate) const fn timeout(&self) -> Duration {
        if self.timeout.is_zero() {
            TIMEOUT
        } else {
            self.timeout
        }
    }

    pub(crate) fn client(&self) -> Result<Option<IpAddr>> {
        let text = self.client_ip.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || wrong("clientIP", text, "an IP address");
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// The type to ask for first, and whether it is the only one.
    pub(crate) fn families(&self) -> Result<(Kind, bool)> {
        let prefer = kind("prefer", &self.prefer)?;
        let only = kind("only", &self.only)?;
        Ok((only.or(prefer).unwrap_or(Kind::V4), only.is_some()))
    }
}

fn kind(key: &str, text: &str) -> Result<Option<Kind>> {
    Ok(match &*text.trim().to_ascii_lowercase() {
        "" => None,
        "ip4" | "ipv4" => Some(Kind::V4),
        "ip6" | "ipv6" => Some(Kind::V6),
        _ => return Err(wrong(key, text, "ipv4 or ipv6")),
    })
}

fn wrong(key: &str, text: &str, expected: &str) -> Error {
    Error::new(Why::BadInput, format!("{key}: {text:?} is not {expected}"))
}

impl FromValue for Ttl {
    const KIND: &'static str = "a duration; negative for none, 0 for what answers say";

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value
            && let Some(rest) = text.trim().strip_prefix('-')
        {
            Duration::from_value(&Value::Text(rest.to_owned()))?;
            return Some(Self::Never);
        }
        if matches!(value, Value::Int(n) if *n < 0) {
            return Some(Self::Never);
        }
        let fixed = Duration::from_value(value)?;
        Some(if fixed.is_zero() {
            Self::Answer
        } else {
            Self::Fixed(fixed)
        })
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl FromValue for Nameservers {
    const KIND: &'static str =
        "a list of maps with addr, chain, prefer, only, clientIP, hostname, ttl, timeout and async";

    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else {
            return None;
        };
        items
            .iter()
            .map(|item| {
                let Value::Map(map) = item else { return None };
                Some(Nameserver {
                    addr: read(map.get("addr"))?,
                    chain: read(map.get("chain"))?,
                    prefer: read(map.get("prefer"))?,
                    only: read(map.get("only"))?,
                    client_ip: read(map.get("clientIP"))?,
                    hostname: read(map.get("hostname"))?,
                    ttl: read(map.get("ttl"))?,
                    timeout: read(map.get("timeout"))?,
                    refresh: read(map.get("async"))?,
                })
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// The value, or the default when there is none.
fn read<T: FromValue + Default>(value: Option<&Value>) -> Option<T> {
    value.map_or_else(|| Some(T::default()), T::from_value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn reads_every_key() {
        let text = |text: &str| Value::Text(text.to_owned());
        let map = BTreeMap::from([
            ("addr".to_owned(), text("tls://1.1.1.1")),
            ("chain".to_owned(), text("c")),
            ("prefer".to_owned(), text("ipv6")),
            ("clientIP".to_owned(), text("10.1.2.3")),
            ("hostname".to_owned(), text("dns.example")),
            ("ttl".to_owned(), text("-1s")),
            ("timeout".to_owned(), text("2s")),
            ("async".to_owned(), Value::Bool(true)),
        ]);
        let list = Value::List(vec![Value::Map(map)]);
        let read = Nameservers::from_value(&list).unwrap().0.remove(0);
        assert_eq!(read.ttl, Ttl::Never);
        assert_eq!(read.timeout(), Duration::from_secs(2));
        assert_eq!(read.client().unwrap(), Some("10.1.2.3".parse().unwrap()));
        assert_eq!(read.families().unwrap(), (Kind::V6, false));
        assert!(read.refresh);
        assert_eq!((&*read.hostname, &*read.chain), ("dns.example", "c"));
    }

    #[test]
    fn reads_times_and_families() {
        let ttl = |value: Value| Ttl::from_value(&value);
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(ttl(text("0s")), Some(Ttl::Answer));
        assert_eq!(ttl(text("1m")), Some(Ttl::Fixed(Duration::from_mins(1))));
        assert_eq!(ttl(Value::Int(-1)), Some(Ttl::Never));
        assert_eq!(ttl(text("-soon")), None);
        let of = |prefer: &str, only: &str| {
            let server = Nameserver {
                prefer: prefer.to_owned(),
                only: only.to_owned(),
                ..Nameserver::default()
            };
            server.families()
        };
        assert_eq!(of("", "").unwrap(), (Kind::V4, false));
        assert_eq!(of("ipv6", "ip4").unwrap(), (Kind::V4, true));
        assert!(of("both", "").is_err() && of("", "6").is_err());
    }
}
