//! The ports that a rule is about.

/// Ports: none, some, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// No port.
    #[default]
    None,
    /// The ports of some ranges, each with its first and last.
    Some(Box<Vec<(u16, u16)>>),
    /// Any port, also an unknown one.
    Any,
}

impl Ports {
    /// Reads `80` or `80-90`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        // A sign is not part of a port.
        let port = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let (first, last) = (port(first)?, port(last)?);
        (first <= last).then(|| Self::Some(Box::new(vec![(first, last)])))
    }

    /// True when the port is one of them. An unknown port is 0.
    pub fn contain(&self, port: u16) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Some(ranges) => ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port)),
        }
    }

    /// These, and others.
    pub fn add(&mut self, others: &Self) {
        match (&mut *self, others) {
            (Self::Any, _) | (_, Self::None) => {}
            (Self::Some(mine), Self::Some(theirs)) => {
                for range in theirs.iter() {
                    if !mine.contains(range) {
                        mine.push(*range);
                    }
                }
            }
            (mine, others) => *mine = others.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_some_and_all() {
        let mut ports = Ports::parse("80-90").unwrap();
        assert!(ports.contain(80) && ports.contain(90) && !ports.contain(91));
        ports.add(&Ports::parse("443").unwrap());
        ports.add(&Ports::None);
        assert!(ports.contain(443) && ports.contain(85) && !ports.contain(0));
        ports.add(&Ports::Any);
        ports.add(&Ports::parse("1").unwrap());
        assert_eq!(ports, Ports::Any);
        let mut none = Ports::None;
        assert!(!none.contain(0));
        none.add(&Ports::parse("0-1").unwrap());
        assert!(none.contain(0) && none.contain(1));
        for bad in ["", "http", "+80", "-1", "90-80", "65536", "1-", "1-2-3"] {
            assert_eq!(Ports::parse(bad), None, "{bad}");
        }
    }
}
