//! Small types that fields of the schema have: durations and secrets.

use std::{fmt, ops::Deref, time::Duration};

use gost_core::duration::{format_go_nanos, parse_go_nanos};

/// A duration as the configuration writes it: signed nanoseconds, 0 when not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i64);

impl Nanos {
    /// The duration when it is positive; none when it is zero (not given) or negative.
    pub fn positive(self) -> Option<Duration> {
        let nanos = u64::try_from(self.0).ok()?;
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// True when not given.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Nanos {
    /// Go's form: `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_go_nanos(self.0))
    }
}

impl From<Duration> for Nanos {
    /// Durations over 292 years become that.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Reads a duration in Go's syntax; the error says what is wrong with it.
pub(crate) fn parse_duration(text: &str) -> Result<Nanos, String> {
    if let Some(nanos) = parse_go_nanos(text) {
        return Ok(Nanos(nanos));
    }
    let number = text.trim_start_matches(['+', '-']);
    let digits = number.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    Err(if text.is_empty() {
        "empty duration; write 10s, or leave the key out".to_owned()
    } else if digits.is_empty() && number.contains(|c: char| c.is_ascii_digit()) {
        format!("duration {text} lacks a unit, for example {text}s")
    } else if text.contains(char::is_whitespace) {
        format!("blank in duration {text:?}")
    } else if digits.len() == number.len() {
        format!("not a duration: {text}")
    } else if let Some(days) = number.strip_suffix('d').and_then(|n| n.parse::<u32>().ok()) {
        format!(
            "no unit d in duration {text}; write {}h",
            u64::from(days) * 24
        )
    } else if digits
        .split(|c: char| c.is_ascii_digit() || c == '.')
        .all(|unit| {
            unit.is_empty() || ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].contains(&unit)
        })
    {
        format!("duration {text} is too long (292 years at most) or badly formed")
    } else {
        format!("not a duration: {text} (units are ns, us, ms, s, m, h)")
    })
}

/// A password or token: text that is printed by `-O` but never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_duration_says_what_to_write() {
        for (text, says) in [
            ("10", "lacks a unit"),
            ("-1.5", "lacks a unit"),
            ("", "empty duration"),
            ("1d", "write 24h"),
            (" 5s", "blank"),
            ("soon", "not a duration: soon"),
            ("9999999h", "too long"),
            ("5w", "units are"),
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(parse_duration("1m30s"), Ok(Nanos(90_000_000_000)));
    }

    #[test]
    fn secrets_do_not_show() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?}"), "\"***\"");
        assert_eq!(&*secret, "hunter2");
    }
}
