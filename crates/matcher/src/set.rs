//! Many patterns as one.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

use gost_core::addr::Addr;

use crate::{
    Glob, IpRange, IpSet, Pattern, Ports,
    names::{NameTable, parents},
};

/// Many patterns as one, which matches what any of them does.
///
/// Only wildcards whose end is one, such as `ads*`, are tried one after the other; all others are
/// found by what they end in.
#[derive(Clone, Default)]
pub struct PatternSet {
    count: usize,
    ips: IpSet,
    ip_ports: HashMap<IpAddr, Ports>,
    names: NameTable,
    /// Wildcards by the labels that they end in.
    ends: HashMap<Box<str>, Vec<(Glob, Ports)>>,
    /// Wildcards that may end in anything.
    globs: Vec<(Glob, Ports)>,
}

impl PatternSet {
    /// How many patterns there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True when there are no patterns.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True when a pattern matches the host and port. An unknown port is 0.
    pub fn matches(&self, addr: &Addr) -> bool {
        match addr {
            Addr::Any => false,
            Addr::Ip(addr) => self.matches_ip(*addr),
            Addr::Name(name, port) => match name.parse::<IpAddr>() {
                Ok(ip) => self.matches_ip((ip, *port).into()),
                Err(_) => self.matches_name(&normalized(name), *port),
            },
            Addr::Path(path) => self.matches_name(&path.to_string_lossy(), 0),
        }
    }

    fn matches_ip(&self, addr: SocketAddr) -> bool {
        let (ip, port) = (addr.ip().to_canonical(), addr.port());
        if self.ips.contains(ip)
            || self
                .ip_ports
                .get(&ip)
                .is_some_and(|ports| ports.contain(port))
        {
            return true;
        }
        let has_globs = !(self.globs.is_empty() && self.ends.is_empty());
        has_globs && self.matches_globs(&ip.to_string(), port)
    }

    fn matches_name(&self, name: &str, port: u16) -> bool {
        self.names.matches(name, port) || self.matches_globs(name, port)
    }

    fn matches_globs(&self, name: &str, port: u16) -> bool {
        let any = |globs: &[(Glob, Ports)]| {
            globs
                .iter()
                .any(|(glob, ports)| ports.contain(port) && glob.matches(name))
        };
        let by_end = || {
            let found = parents(name).filter_map(|end| self.ends.get(end));
            found.into_iter().any(|globs| any(globs))
        };
        any(&self.globs) || (!self.ends.is_empty() && by_end())
    }
}

impl FromIterator<Pattern> for PatternSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        let mut ranges: Vec<IpRange> = Vec::new();
        for pattern in patterns {
            set.count += 1;
            match pattern {
                Pattern::Ips(range) => ranges.push(range),
                Pattern::Ip(ip, Ports::Any) => ranges.push(ip.into()),
                Pattern::Ip(ip, ports) => set.ip_ports.entry(ip).or_default().add(&ports),
                Pattern::Name {
                    name,
                    below,
                    itself,
                    ports,
                } => set.names.add(name, itself, below, &ports),
                Pattern::Glob(glob, ports) => {
                    let end = glob.literal_end();
                    // The first label of the end may be the end of a longer one.
                    match end.split_once('.') {
                        Some((_, end)) if !end.is_empty() => {
                            set.ends.entry(end.into()).or_default().push((glob, ports));
                        }
                        _ => set.globs.push((glob, ports)),
                    }
                }
            }
        }
        set.ips = ranges.into_iter().collect();
        set
    }
}

impl fmt::Debug for PatternSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatternSet({})", self.count)
    }
}

/// A host name as it is compared: in lower case, without the dot that ends a full one.
pub fn normalized(name: &str) -> Cow<'_, str> {
    let bare = match name.strip_suffix('.') {
        Some(bare) if !bare.is_empty() => bare,
        _ => name,
    };
    if bare.chars().any(char::is_uppercase) {
        Cow::Owned(bare.to_lowercase())
    } else {
        Cow::Borrowed(bare)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn set<'a>(items: impl IntoIterator<Item = &'a str>) -> PatternSet {
        items
            .into_iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn each_pattern_with_what_it_matches_and_what_not() {
        for (pattern, yes, no) in [
            (
                "example.com",
                &[
                    "example.com:80",
                    "EXAMPLE.com:1",
                    "example.com.:80",
                    "example.com",
                ][..],
                &["www.example.com:80", "xexample.com:80"][..],
            ),
            (
                ".example.com",
                &["example.com:80", "a.b.example.com:443", "A.EXAMPLE.COM.:1"],
                &["xexample.com:80", "com:80"],
            ),
            (
                "*.example.com",
                &["a.example.com:80", "a.b.example.com:443"],
                &["example.com:80", "xexample.com:1"],
            ),
            (
                "*.example.com:0-1024",
                &["a.example.com:443", "a.example.com"],
                &["a.example.com:8080"],
            ),
            (
                "example.com:80",
                &["example.com:80"],
                &["example.com:81", "example.com"],
            ),
            (
                "example.com:80-90",
                &["example.com:85"],
                &["example.com:443"],
            ),
            (
                "192.168.1.1:80-90",
                &["192.168.1.1:85"],
                &["192.168.1.1:443", "192.168.1.2:85"],
            ),
            (
                "192.168.1.1-192.168.1.10",
                &["192.168.1.7:9", "[::ffff:192.168.1.7]:9"],
                &["192.168.1.11:9"],
            ),
            (
                "10.0.0.0/8",
                &["10.1.2.3:1"],
                &["11.0.0.1:1", "ten.example:1"],
            ),
            (
                "[2001:db8::1]:443",
                &["[2001:db8::1]:443"],
                &["[2001:db8::1]:80", "[2001:db8::2]:443"],
            ),
            ("*:80", &["a.b:80", "1.2.3.4:80", "[::1]:80"], &["a.b:81"]),
            ("192.168.*", &["192.168.3.4:1"], &["192.169.3.4:1"]),
            ("*.3.4", &["1.2.3.4:1"], &["1.2.33.4:1"]),
            (
                "ads*.x.org",
                &["ads1.x.org:1", "ads.a.x.org:1"],
                &["ad.x.org:1", "ads.y.org:1"],
            ),
            (
                "*s.x.org",
                &["ads.x.org:1", "s.x.org:2"],
                &["x.org:1", "ad.x.org:1"],
            ),
            (
                "*example.com",
                &["example.com:1", "xexample.com:1"],
                &["example.org:1"],
            ),
            ("{a,b}*.org", &["a1.org:1", "bx.org:1"], &["c.org:1"]),
            ("/run/a.sock", &[], &["run:1"]),
        ] {
            let set = set([pattern]);
            for text in yes {
                assert!(set.matches(&Addr::parse(text).unwrap()), "{pattern} {text}");
            }
            for text in no {
                assert!(
                    !set.matches(&Addr::parse(text).unwrap()),
                    "{pattern} {text}"
                );
            }
            assert!(!set.matches(&Addr::Any));
        }
        assert!(set(["/run/a.sock"]).matches(&Addr::path("/run/a.sock")));
    }

    #[test]
    fn ports_of_one_host_add_up() {
        let set = set([
            "a.org:80",
            "a.org:443",
            ".a.org:22",
            "1.1.1.1:1",
            "1.1.1.1:2",
        ]);
        for (text, wanted) in [
            ("a.org:80", true),
            ("a.org:443", true),
            ("a.org:22", true),
            ("a.org:23", false),
            ("b.a.org:22", true),
            ("b.a.org:80", false),
            ("1.1.1.1:2", true),
            ("1.1.1.1:3", false),
        ] {
            assert_eq!(set.matches(&Addr::parse(text).unwrap()), wanted, "{text}");
        }
    }

    /// A hundred thousand rules of all kinds must cost microseconds, not milliseconds. The bound
    /// is wide, for a busy machine and a build that is not optimized.
    #[test]
    fn many_rules_are_decided_quickly() {
        let mut rules = Vec::new();
        for n in 0..20_000 {
            let (a, b) = (n / 250, n % 250);
            rules.push(format!("10.{a}.{b}.0/25"));
            rules.push(format!("172.{a}.{b}.1:80"));
            rules.push(format!("host{n}.example.com"));
            rules.push(format!(".domain{n}.org"));
            rules.push(format!("*x.wild{n}.net"));
        }
        let set = set(rules.iter().map(String::as_str));
        assert_eq!(set.len(), 100_000);
        let asked: Vec<_> = [
            ("10.79.200.1:80", true),
            ("10.79.200.200:80", false),
            ("172.3.4.1:80", true),
            ("host777.example.com:1", true),
            ("a.b.domain19999.org:1", true),
            ("ax.wild5.net:1", true),
            ("a.wild5.net:1", false),
            ("www.nobody.example:443", false),
        ]
        .iter()
        .map(|(text, wanted)| (Addr::parse(text).unwrap(), *wanted))
        .collect();
        let start = Instant::now();
        for _ in 0..1000 {
            for (addr, wanted) in &asked {
                assert_eq!(set.matches(addr), *wanted, "{addr}");
            }
        }
        let each = start.elapsed() / 8000;
        assert!(each < Duration::from_micros(50), "{each:?}");
    }
}
