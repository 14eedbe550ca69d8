//! The time in which bytes count.

use std::time::{Duration, SystemTime};

use chrono::DateTime;

/// The time in which bytes count; open where nothing is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub starts: Option<SystemTime>,
    /// The first moment after it.
    pub expires: Option<SystemTime>,
}

impl Window {
    /// True when the moment lies within.
    pub fn has(&self, now: SystemTime) -> bool {
        self.starts.is_none_or(|starts| starts <= now) && !self.is_over(now)
    }

    /// True when the moment lies behind the end.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Reads a time in RFC 3339; none when it is empty.
pub(crate) fn parse(text: &str) -> Result<Option<SystemTime>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|e| format!("{text:?} is no time such as 2026-01-31T00:00:00Z: {e}"))?;
    Ok(Some(time.into()))
}

/// Nanoseconds since 1970, 0 for no time: the form that is stored.
pub(crate) fn nanos(time: Option<SystemTime>) -> i64 {
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
    let nanos = time
        .and_then(since)
        .map_or(0, |since: Duration| since.as_nanos());
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_first_moment_but_not_its_last() {
        let at = |text| parse(text).unwrap();
        let window = Window {
            starts: at("2026-01-01T00:00:00Z"),
            expires: at("2026-02-01T00:00:00+01:00"),
        };
        for (moment, has, over) in [
            ("2025-12-31T23:59:59Z", false, false),
            ("2026-01-01T00:00:00Z", true, false),
            ("2026-01-31T22:59:59.999Z", true, false),
            ("2026-01-31T23:00:00Z", false, true),
        ] {
            let now = at(moment).unwrap();
            assert_eq!(
                (window.has(now), window.is_over(now)),
                (has, over),
                "{moment}"
            );
        }
        assert!(Window::default().has(SystemTime::now()));
        assert_eq!(nanos(window.starts), 1_767_225_600_000_000_000);
        assert_eq!((nanos(None), parse(" ").unwrap()), (0, None));
        assert!(parse("tomorrow").is_err());
    }
}
