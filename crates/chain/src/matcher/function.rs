//! The functions of rules.

use std::net::IpAddr;

use gost_core::{
    addr::{Addr, Network, Target},
    build::{Named, Ref},
    policy::{Admission, Bypass, BypassQuery},
    routing::{HttpFacts, Request},
};
use ipnet::IpNet;
use regex::{Regex, bytes};

use super::json_path::JsonPath;
use crate::rules::{Call, RuleError};

/// One question about a request.
pub(super) enum Test {
    ClientIp(IpNet),
    Network(String),
    Proto(String),
    Host(String),
    HostRegexp(Regex),
    Method(String),
    Path(String),
    PathPrefix(String),
    PathRegexp(Regex),
    Header(String, Wanted),
    Query(String, Wanted),
    BodyRegexp(bytes::Regex),
    BodyJson(JsonPath, Wanted),
    Bypass(Ref<dyn Bypass>),
    Admission(Ref<dyn Admission>),
}

/// What a value is to be.
pub(super) enum Wanted {
    Anything,
    Exactly(String),
    Like(Regex),
    Compared(Comparison, f64),
}

#[derive(Clone, Copy)]
pub(super) enum Comparison {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

type MakeTest = fn(&'static str, &[String], &Named) -> Result<Test, RuleError>;

/// Name, least and most arguments, and how the test is made.
const FUNCTIONS: [(&str, usize, usize, MakeTest); 17] = [
    ("ClientIP", 1, 1, |name, args, _| {
        prefix(&args[0])
            .map(Test::ClientIp)
            .ok_or_else(|| bad(name, format!("{:?} is no address or prefix", args[0])))
    }),
    ("Network", 1, 1, |_, args, _| {
        Ok(Test::Network(args[0].to_lowercase()))
    }),
    ("Proto", 1, 1, |_, args, _| {
        Ok(Test::Proto(args[0].to_lowercase()))
    }),
    ("Host", 1, 1, |name, args, _| {
        ascii(name, &args[0])?;
        let host = args[0].trim().to_ascii_lowercase();
        Ok(Test::Host(match host.strip_prefix('*') {
            Some(rest) if !rest.starts_with('.') => format!(".{rest}"),
            Some(rest) => rest.to_owned(),
            None => host,
        }))
    }),
    ("HostRegexp", 1, 1, |name, args, _| {
        ascii(name, &args[0])?;
        regex(name, &args[0]).map(Test::HostRegexp)
    }),
    ("Method", 1, 1, |_, args, _| {
        Ok(Test::Method(args[0].to_uppercase()))
    }),
    ("Path", 1, 1, |name, args, _| {
        path(name, &args[0]).map(Test::Path)
    }),
    ("PathPrefix", 1, 1, |name, args, _| {
        path(name, &args[0]).map(Test::PathPrefix)
    }),
    ("PathRegexp", 1, 1, |name, args, _| {
        regex(name, &args[0]).map(Test::PathRegexp)
    }),
    ("Header", 1, 3, |name, args, _| {
        Ok(Test::Header(args[0].clone(), exactly(name, &args[1..])?))
    }),
    ("HeaderRegexp", 1, 2, |name, args, _| {
        Ok(Test::Header(args[0].clone(), like(name, &args[1..])?))
    }),
    ("Query", 1, 3, |name, args, _| {
        Ok(Test::Query(args[0].clone(), exactly(name, &args[1..])?))
    }),
    ("QueryRegexp", 1, 2, |name, args, _| {
        Ok(Test::Query(args[0].clone(), like(name, &args[1..])?))
    }),
    ("BodyRegexp", 1, 1, |name, args, _| {
        bytes::Regex::new(&args[0])
            .map(Test::BodyRegexp)
            .map_err(|e| bad(name, e.to_string()))
    }),
    ("BodyJSON", 2, 3, |name, args, _| {
        let path = JsonPath::parse(&args[0]).map_err(|what| bad(name, what))?;
        Ok(Test::BodyJson(path, like(name, &args[1..])?))
    }),
    ("Bypass", 1, 1, |name, args, named| {
        named
            .get(&args[0])
            .map(Test::Bypass)
            .map_err(|e| bad(name, e.to_string()))
    }),
    ("Admission", 1, 1, |name, args, named| {
        named
            .get(&args[0])
            .map(Test::Admission)
            .map_err(|e| bad(name, e.to_string()))
    }),
];

impl Test {
    /// The test that a call means.
    pub(super) fn new(call: &Call, named: &Named) -> Result<Self, RuleError> {
        let (name, least, most, make) = FUNCTIONS
            .iter()
            .find(|(name, ..)| is_spelling(&call.name, name))
            .ok_or_else(|| RuleError::Unknown(call.name.clone()))?;
        if !(*least..=*most).contains(&call.args.len()) {
            let what = if least == most {
                format!("takes {least} argument(s), not {}", call.args.len())
            } else {
                format!("takes {least} to {most} arguments, not {}", call.args.len())
            };
            return Err(bad(name, what));
        }
        make(name, &call.args, named)
    }

    /// True for a test that has to ask a policy.
    pub(super) const fn asks_policy(&self) -> bool {
        matches!(self, Self::Bypass(_) | Self::Admission(_))
    }

    /// The answer, from a policy where the test is about one.
    pub(super) async fn ask(&self, request: &Request) -> bool {
        match self {
            // A removed bypass keeps everything out.
            Self::Bypass(bypass) => {
                let query = BypassQuery {
                    target: Target::tcp(request.host.clone().unwrap_or_default()),
                    ..BypassQuery::default()
                };
                !bypass.contains(&query, &request.asker).await
            }
            Self::Admission(admission) => match client(request) {
                Some(ip) => {
                    let client = Addr::Ip((ip, 0).into());
                    admission.admit(Network::Ip, &client, &request.asker).await
                }
                None => false,
            },
            other => other.of_request(request),
        }
    }

    /// The answer of a test that only needs the request; a policy has to be [asked](Self::ask).
    pub(super) fn of_request(&self, request: &Request) -> bool {
        let http = request.http.as_deref();
        let http_is = |test: &dyn Fn(&HttpFacts) -> bool| http.is_some_and(test);
        match self {
            Self::ClientIp(net) => client(request).is_some_and(|ip| net.contains(&ip)),
            Self::Network(prefix) => request.target.network.as_str().starts_with(prefix),
            Self::Proto(name) => request.protocol == Some(name),
            Self::Host(wanted) => {
                let host = host(request);
                !host.is_empty()
                    && (host == *wanted || wanted.starts_with('.') && host.ends_with(wanted))
            }
            Self::HostRegexp(re) => re.is_match(&host(request)),
            Self::Method(method) => http_is(&|http| http.method == *method),
            Self::Path(path) => http_is(&|http| http.path == *path),
            Self::PathPrefix(prefix) => http_is(&|http| http.path.starts_with(prefix)),
            // A request that is not HTTP has the empty path, which a pattern may match.
            Self::PathRegexp(re) => re.is_match(http.map_or("", |http| &http.path)),
            Self::Header(key, wanted) => http_is(&|http| {
                let mut fields = http.headers.iter();
                fields.any(|(k, v)| k.eq_ignore_ascii_case(key) && wanted.is(v))
            }),
            Self::Query(key, wanted) => {
                http_is(&|http| http.query.iter().any(|(k, v)| k == key && wanted.is(v)))
            }
            Self::BodyRegexp(re) => {
                http_is(&|http| !http.body.is_empty() && re.is_match(&http.body))
            }
            Self::BodyJson(path, wanted) => http_is(&|http| {
                !http.body.is_empty() && wanted.is(&path.find(&http.body).unwrap_or_default())
            }),
            Self::Bypass(_) | Self::Admission(_) => false,
        }
    }
}

impl Wanted {
    fn is(&self, value: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(text) => value == text,
            Self::Like(re) => re.is_match(value),
            Self::Compared(comparison, with) => value
                .parse()
                .is_ok_and(|value| comparison.holds(value, *with)),
        }
    }
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            _ => return None,
        })
    }

    #[expect(clippy::float_cmp, reason = "a rule asks for exactly this number")]
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Eq => left == right,
            Self::Ne => left != right,
        }
    }
}

fn client(request: &Request) -> Option<IpAddr> {
    request.asker.client.ip().map(|a| a.ip().to_canonical())
}

/// The host asked for, without port and in lower case.
fn host(request: &Request) -> String {
    let host = request.host.as_ref().map(Addr::host).unwrap_or_default();
    host.trim().to_lowercase()
}

/// Canonical, lower case, upper case, or a capital first letter alone.
fn is_spelling(given: &str, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    given == name
        || given == lower
        || given == name.to_ascii_uppercase()
        || (given.starts_with(&name[..1]) && given[1..] == lower[1..])
}

fn bad(name: &'static str, what: impl Into<String>) -> RuleError {
    let what = what.into();
    RuleError::Arguments { name, what }
}

fn prefix(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        .map(|net| match net {
            // An IPv4 address in its IPv6 form is the same address.
            IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
                (Some(v4), Some(len)) => IpNet::new(v4.into(), len).unwrap_or(net),
                _ => net,
            },
            IpNet::V4(_) => net,
        })
}

fn ascii(name: &'static str, text: &str) -> Result<(), RuleError> {
    if text.is_ascii() {
        Ok(())
    } else {
        Err(bad(name, format!("{text:?} is not ASCII")))
    }
}

fn path(name: &'static str, text: &str) -> Result<String, RuleError> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(bad(name, format!("path {text:?} does not start with /")))
    }
}

fn regex(name: &'static str, text: &str) -> Result<Regex, RuleError> {
    Regex::new(text).map_err(|e| bad(name, e.to_string()))
}

/// Nothing, a text, or a comparison.
fn exactly(name: &'static str, args: &[String]) -> Result<Wanted, RuleError> {
    match args {
        [] => Ok(Wanted::Anything),
        [text] => Ok(Wanted::Exactly(text.clone())),
        more => compared(name, more),
    }
}

/// Nothing, a pattern, or a comparison.
fn like(name: &'static str, args: &[String]) -> Result<Wanted, RuleError> {
    match args {
        [] => Ok(Wanted::Anything),
        [pattern] => regex(name, pattern).map(Wanted::Like),
        more => compared(name, more),
    }
}

fn compared(name: &'static str, args: &[String]) -> Result<Wanted, RuleError> {
    let [op, number] = args else {
        return Err(bad(name, "expected an operator and a number"));
    };
    let comparison = Comparison::parse(op)
        .ok_or_else(|| bad(name, format!("{op:?} is none of gt ge lt le eq ne")))?;
    let number = number
        .parse()
        .map_err(|_| bad(name, format!("{number:?} is no number")))?;
    Ok(Wanted::Compared(comparison, number))
}
