//! Durations in Go's text form (`300ms`, `1.5h`, `2h45m`), as the configuration writes them.

use std::time::Duration;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration in Go's syntax into nanoseconds; `None` when the text is not one.
///
/// An optional sign, then one or more decimal numbers with a unit each, without blanks; `0` needs
/// no unit. The range is Go's: about 292 years either way.
/// Source: the documentation of Go's `time.ParseDuration`.
pub fn parse_go_nanos(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(number, scale)?)?;
        rest = next;
    }
    if negative {
        total = -total;
    }
    i64::try_from(total).ok()
}

/// A decimal number times a unit, in nanoseconds, truncated.
fn scaled(number: &str, scale: u64) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(i128::from(scale))?;
    let mut place = i128::from(scale);
    for digit in fraction.chars() {
        place /= 10;
        total += place * i128::from(digit.to_digit(10)?);
    }
    Some(total)
}

/// Reads a duration in Go's syntax; negative ones are refused (`None`).
pub fn parse_go(text: &str) -> Option<Duration> {
    u64::try_from(parse_go_nanos(text)?)
        .ok()
        .map(Duration::from_nanos)
}

/// Writes nanoseconds as Go prints a duration: `1m30s`, `1.5s`, `300ms`, `0s`.
pub fn format_go_nanos(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let text = match magnitude {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(magnitude, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(magnitude, 1_000_000)),
        _ => {
            let seconds = magnitude / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let last = decimal(magnitude % 60_000_000_000, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{last}s"),
                (0, _) => format!("{minutes}m{last}s"),
                _ => format!("{hours}h{minutes}m{last}s"),
            }
        }
    };
    if nanos < 0 { format!("-{text}") } else { text }
}

/// Writes a duration as Go prints it.
pub fn format_go(duration: Duration) -> String {
    format_go_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("-1s", -1_000_000_000),
            ("+.5s", 500_000_000),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
        ] {
            assert_eq!(parse_go_nanos(text), Some(nanos), "{text}");
        }
        for text in [
            "", "10", "s", ".s", "1d", "1 s", "1s ", "-", "9999999h", "1.2.3s",
        ] {
            assert_eq!(parse_go_nanos(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5\u{b5}s"),
            (300_000_000, "300ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (31_536_000_000_000_000, "8760h0m0s"),
            (-1_000_000, "-1ms"),
        ] {
            assert_eq!(format_go_nanos(nanos), text);
        }
    }
}
