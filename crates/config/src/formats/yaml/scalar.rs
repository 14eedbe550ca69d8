//! What a plain YAML scalar means: mostly YAML 1.2, with numbers and times of 1.1.

use crate::{decode::parse_int, tree::Kind};

/// Reads a plain scalar as the original's YAML reader does.
///
/// `yes`, `no`, `on` and `off` are text; `0x10`, `0o17`, `017`, `0b1` and `1_000` are whole
/// numbers; dates and times are times. Source: the resolver of `gopkg.in/yaml.v3`.
pub(crate) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Kind::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Kind::Text(text.into());
    }
    if let Some(time) = timestamp(text) {
        return Kind::Written(text.into(), Box::new(Kind::Time(time.into())));
    }
    let plain = text.replace('_', "");
    let number = if text.starts_with('.') {
        None
    } else {
        parse_int(&plain).filter(|n| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(n))
    };
    let kind = number
        .map(Kind::Int)
        .or_else(|| is_float(&plain).then(|| plain.parse().ok().map(Kind::Float))?);
    match kind {
        None => Kind::Text(text.into()),
        Some(kind) => {
            let printed = match &kind {
                Kind::Int(n) => n.to_string(),
                Kind::Float(n) => n.to_string(),
                _ => String::new(),
            };
            if printed == text {
                kind
            } else {
                Kind::Written(text.into(), Box::new(kind))
            }
        }
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let digits = |text: &str| !text.is_empty() && all_digits(text);
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && all_digits(fraction),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

/// Reads `2006-1-2`, or that with ` 15:4:5` or `T15:4:5Z` (any zone, any fraction), into RFC 3339.
fn timestamp(text: &str) -> Option<String> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (month, day) = (number(month, 12)?, number(day, 31)?);
    let year = number(year, 9999).filter(|_| year.len() == 4)?;
    let last = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if parts.next().is_some() || month == 0 || day == 0 || day > last {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(time) = time else {
        return Some(format!("{date}T00:00:00Z"));
    };
    // With a blank in between there is no zone; with a T there must be one.
    let (clock, zone) = if text.contains(' ') {
        (time, "Z")
    } else {
        let at = time.find(['Z', '+', '-'])?;
        time.split_at(at)
    };
    if !is_zone(zone) {
        return None;
    }
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (number(hour, 23)?, number(minute, 59)?, number(second, 59)?);
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}{dot}{fraction}{zone}"
    ))
}

fn number(text: &str, most: u16) -> Option<u16> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|n| *n <= most)
}

/// `Z`, or `+01:00`.
fn is_zone(zone: &str) -> bool {
    match zone.as_bytes() {
        [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    }
}

/// True when the text can be written without quotes and is read back as this very text.
pub(crate) fn is_plain_text(text: &str) -> bool {
    // Truth values of YAML 1.1 are quoted for the sake of other readers.
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let safe = |c: char| c.is_alphanumeric() || "_-./@%+,()$=~; :".contains(c);
    text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '$'))
        && !text.ends_with([' ', ':'])
        && text.chars().all(safe)
        && !text.contains(": ")
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
        && matches!(resolve(text), Kind::Text(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_read_as_the_original_does() {
        for (text, kind) in [
            ("10", Kind::Int(10)),
            ("-1", Kind::Int(-1)),
            ("0x10", Kind::Int(16)),
            ("0o17", Kind::Int(15)),
            ("017", Kind::Int(15)),
            ("0b11", Kind::Int(3)),
            ("1_000", Kind::Int(1000)),
            ("08", Kind::Float(8.0)),
            ("1e3", Kind::Float(1000.0)),
            (".5", Kind::Float(0.5)),
            ("1.", Kind::Float(1.0)),
            (
                "12345678901234567890",
                Kind::Int(12_345_678_901_234_567_890),
            ),
            ("yes", Kind::Text("yes".into())),
            ("off", Kind::Text("off".into())),
            ("10s", Kind::Text("10s".into())),
            ("1.2.3.4", Kind::Text("1.2.3.4".into())),
            ("127.0.0.1:0", Kind::Text("127.0.0.1:0".into())),
            ("-", Kind::Text("-".into())),
            ("~", Kind::Null),
            ("2026-13-01", Kind::Text("2026-13-01".into())),
            ("2026-02-30", Kind::Text("2026-02-30".into())),
        ] {
            assert_eq!(resolve(text).plain(), &kind, "{text}");
        }
    }

    #[test]
    fn times_become_rfc_3339() {
        for (text, time) in [
            ("2026-01-02", "2026-01-02T00:00:00Z"),
            ("2026-1-2", "2026-01-02T00:00:00Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            (
                "2026-01-02t03:04:05.50+01:00",
                "2026-01-02T03:04:05.5+01:00",
            ),
            ("2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(resolve(text).plain(), &Kind::Time(time.into()), "{text}");
        }
    }

    #[test]
    fn only_harmless_text_goes_without_quotes() {
        for text in ["http", "a b", "/etc/x", "127.0.0.1:0", "$ 1MB", "30s"] {
            assert!(is_plain_text(text), "{text}");
        }
        for text in [
            "",
            "yes",
            "10",
            "1e3",
            "- a",
            "a: b",
            "a #b",
            "*a",
            "x:",
            "null",
            "2026-01-02",
            ":1",
        ] {
            assert!(!is_plain_text(text), "{text}");
        }
    }
}
