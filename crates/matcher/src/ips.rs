//! Sets of IP addresses.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Addresses of one family, from the first to the last.
///
/// IPv4 addresses in IPv6 form are IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// The addresses of a network, whatever its host bits say.
    pub fn of_net(net: IpNet) -> Self {
        let (first, last) = (net.network(), net.broadcast());
        // Only a network inside `::ffff:0:0/96` is one of IPv4.
        match (first.to_canonical(), last.to_canonical()) {
            (first @ IpAddr::V4(_), last @ IpAddr::V4(_)) => Self { first, last },
            _ => Self { first, last },
        }
    }
}

impl From<IpAddr> for IpRange {
    fn from(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self {
            first: ip,
            last: ip,
        }
    }
}

impl FromStr for IpRange {
    type Err = ();

    /// Reads an address, a network (`10.0.0.0/8`) or two addresses with a dash between.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::of_net(net));
        }
        let (first, last) = text.split_once('-').ok_or(())?;
        let ip = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| ());
        let (first, last) = (ip(first)?.to_canonical(), ip(last)?.to_canonical());
        if first.is_ipv4() == last.is_ipv4() && first <= last {
            Ok(Self { first, last })
        } else {
            Err(())
        }
    }
}

/// A set of IP addresses: ranges, sorted and joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl IpSet {
    /// True when no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// True when the address is in the set.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => holds(&self.v6, ip.to_bits()),
        }
    }
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], ip: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= ip);
    after > 0 && ranges[after - 1].1 >= ip
}

impl FromIterator<IpRange> for IpSet {
    fn from_iter<I: IntoIterator<Item = IpRange>>(ranges: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match (range.first, range.last) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (first, last) => v6.push((bits(first), bits(last))),
            }
        }
        Self {
            v4: joined(v4, |last, next| {
                last.checked_add(1).is_none_or(|l| l >= next)
            }),
            v6: joined(v6, |last, next| {
                last.checked_add(1).is_none_or(|l| l >= next)
            }),
        }
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Ranges in order, those that meet made one.
fn joined<T: Ord + Copy>(mut ranges: Vec<(T, T)>, meet: impl Fn(T, T) -> bool) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut all: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match all.last_mut() {
            Some(before) if meet(before.1, first) => before.1 = before.1.max(last),
            _ => all.push((first, last)),
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(items: &[&str]) -> IpSet {
        items.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_networks_and_ranges() {
        let set = set(&[
            "10.0.0.0/8",
            "192.168.1.7",
            "172.16.0.5 - 172.16.0.9",
            "2001:db8::/32",
            "::ffff:1.2.3.0/120",
            "fe80::1-fe80::3",
        ]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.168.1.7",
            "172.16.0.5",
            "172.16.0.9",
            "2001:db8:ffff::1",
            "1.2.3.4",
            "::ffff:10.1.1.1",
            "fe80::2",
        ] {
            assert!(set.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.168.1.6",
            "172.16.0.10",
            "2001:db9::",
            "1.2.4.0",
            "fe80::4",
            "::1",
        ] {
            assert!(!set.contains(outside.parse().unwrap()), "{outside}");
        }
        let v6 = IpSet::from_iter(["::/0".parse().unwrap()]);
        assert!(v6.contains("::1".parse().unwrap()) && !v6.contains("1.2.3.4".parse().unwrap()));
        for bad in [
            "",
            "10.0.0.0/33",
            "a-b",
            "10.0.0.2-10.0.0.1",
            "10.0.0.1-::1",
            "10.0.0",
        ] {
            assert!(bad.parse::<IpRange>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn holds_what_any_of_its_ranges_holds(
            ranges in prop::collection::vec((0_u32..300, 0_u32..40), 0..12), ip in 0_u32..400
        ) {
            let of = |(first, length): &(u32, u32)| IpRange {
                first: IpAddr::V4((*first).into()),
                last: IpAddr::V4((first + length).into()),
            };
            let set: IpSet = ranges.iter().map(of).collect();
            let expected = ranges.iter().any(|(first, length)| (*first..=first + length).contains(&ip));
            prop_assert_eq!(set.contains(IpAddr::V4(ip.into())), expected);
            prop_assert!(set.v4.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
