//! Single values: text, numbers, truth values, durations, and lists and maps of text.

use std::collections::BTreeMap;

use super::{Decoder, FieldType};
use crate::{
    output::{Doc, Format},
    scalar::{Nanos, Secret, parse_duration},
    tree::{Kind, Tree},
};

/// The largest whole number that JSON readers keep exact, 2^53.
const MAX_EXACT: i128 = 1 << 53;

fn text(tree: &Tree, decoder: &mut Decoder) -> Option<String> {
    let (kind, written) = match &tree.kind {
        Kind::Written(written, kind) => (&**kind, Some(written)),
        kind => (kind, None),
    };
    let text = match kind {
        Kind::Null => return None,
        Kind::Text(text) => return Some(text.to_string()),
        Kind::Int(n) if !decoder.strict() => n.to_string(),
        Kind::Float(n) if !decoder.strict() => n.to_string(),
        Kind::Bool(b) if !decoder.strict() => {
            let text = if *b { "1" } else { "0" };
            let message = format!("text is wanted ({b} becomes \"{text}\"); put it in quotes");
            decoder.warn(tree.line, message);
            return Some(text.to_owned());
        }
        // A time is meant as the text it was written as.
        Kind::Time(time) => return Some(written.unwrap_or(time).to_string()),
        _ => {
            decoder.wrong_type(tree, "text");
            return None;
        }
    };
    if let Some(written) = written {
        let message = format!("text is wanted ({written} becomes \"{text}\"); put it in quotes");
        decoder.warn(tree.line, message);
    }
    Some(text)
}

impl FieldType for String {
    const KIND: &'static str = "text";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        if let Some(text) = text(tree, decoder) {
            *self = text;
        }
    }

    fn encode(&self, _: Format) -> Doc {
        Doc::Text(self.clone())
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl FieldType for Secret {
    const KIND: &'static str = "text";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        if let Some(text) = text(tree, decoder) {
            *self = text.into();
        }
    }

    fn encode(&self, _: Format) -> Doc {
        Doc::Text(self.to_string())
    }

    fn is_empty(&self) -> bool {
        str::is_empty(self)
    }
}

impl FieldType for bool {
    const KIND: &'static str = "true or false";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        let value = match tree.kind.plain() {
            Kind::Null => return,
            Kind::Bool(b) => Some(*b),
            Kind::Int(n) if !decoder.strict() => Some(*n != 0),
            Kind::Float(n) if !decoder.strict() => Some(*n != 0.0),
            Kind::Text(text) if !decoder.strict() => match &**text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                text => {
                    let message = match text.to_ascii_lowercase().as_str() {
                        word @ ("yes" | "on" | "y") => {
                            format!("write true ({word} is text here)")
                        }
                        word @ ("no" | "off" | "n") => {
                            format!("write false ({word} is text here)")
                        }
                        _ => format!("not a truth value: {text}; write true or false"),
                    };
                    decoder.unreadable(tree.line, message);
                    return;
                }
            },
            _ => None,
        };
        match value {
            Some(value) => *self = value,
            None => decoder.wrong_type(tree, Self::KIND),
        }
    }

    fn encode(&self, _: Format) -> Doc {
        Doc::Bool(*self)
    }

    fn is_empty(&self) -> bool {
        !self
    }
}

/// A whole number of any size, or nothing after a report.
fn whole(tree: &Tree, decoder: &mut Decoder) -> Option<i128> {
    match tree.kind.plain() {
        Kind::Null => None,
        Kind::Int(n) => Some(*n),
        Kind::Float(n) if !n.is_finite() || n.abs() > 1e30 => {
            decoder.unreadable(tree.line, format!("{n} is too big"));
            None
        }
        Kind::Float(n) => {
            if n.fract() != 0.0 {
                let message = format!("{n} is not a whole number");
                if decoder.strict() {
                    decoder.unreadable(tree.line, message);
                    return None;
                }
                decoder.warn(tree.line, format!("{message}; {} is used", n.trunc()));
            }
            Some(n.trunc() as i128)
        }
        Kind::Bool(b) if !decoder.strict() => {
            let n = i128::from(*b);
            decoder.warn(
                tree.line,
                format!("a number is wanted, not {b} ({n} is used)"),
            );
            Some(n)
        }
        Kind::Text(text) if !decoder.strict() => {
            let number = if text.is_empty() {
                Some(0)
            } else {
                parse_int(text)
            };
            if number.is_none() {
                decoder.unreadable(tree.line, format!("not a number: {text}"));
            }
            number
        }
        _ => {
            decoder.wrong_type(tree, "a number");
            None
        }
    }
}

/// Reads a whole number as Go does with base 0: `0x10`, `0b1`, `0o17`, `017`, `1_000`.
pub(crate) fn parse_int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, &digits[..]),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    Some(if negative { -magnitude } else { magnitude })
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl FieldType for $int {
            const KIND: &'static str = "a whole number";

            fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
                if let Some(n) = whole(tree, decoder) {
                    match n.try_into() {
                        Ok(n) => *self = n,
                        Err(_) => decoder.unreadable(tree.line, format!("{n} is out of range")),
                    }
                }
            }

            fn encode(&self, _: Format) -> Doc {
                Doc::Int((*self).into())
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
integers!(i64, u64);

impl FieldType for Nanos {
    const KIND: &'static str = "a duration such as 10s or 1m30s";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        let number = match tree.kind.plain() {
            Kind::Text(text) => {
                match parse_duration(text) {
                    Ok(nanos) => *self = nanos,
                    Err(message) => decoder.unreadable(tree.line, message),
                }
                return;
            }
            Kind::Bool(b) if !decoder.strict() => {
                decoder.error(tree.line, format!("not a duration: {b}"));
                i128::from(*b)
            }
            _ => match whole(tree, decoder) {
                Some(number) => number,
                None => return,
            },
        };
        // Nobody means microseconds by a bare number; whoever writes nanoseconds (`-O json` does)
        // has at least six digits.
        if number != 0 && number.abs() < 1_000_000 && !matches!(tree.kind, Kind::Bool(_)) {
            let message = format!(
                "{number} lacks a unit (it means {number} nanoseconds); write {number}s or {number}ms"
            );
            decoder.warn(tree.line, message);
        }
        match i64::try_from(number) {
            Ok(nanos) => *self = Self(nanos),
            Err(_) => decoder.unreadable(tree.line, format!("duration {number} is too long")),
        }
    }

    fn encode(&self, format: Format) -> Doc {
        match format {
            Format::Json => Doc::Int(self.0.into()),
            Format::Yaml => Doc::Text(self.to_string()),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_zero()
    }
}

impl FieldType for Vec<String> {
    const KIND: &'static str = "a list of texts";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        match tree.kind.plain() {
            Kind::Null => {}
            Kind::List(items) => {
                *self = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| {
                        decoder.in_item(at, |decoder| text(item, decoder).unwrap_or_default())
                    })
                    .collect();
            }
            Kind::Map(entries) if entries.is_empty() => self.clear(),
            Kind::Map(_) => decoder.wrong_type(tree, "a list of texts"),
            _ if decoder.strict() => decoder.wrong_type(tree, "a list"),
            kind => {
                if matches!(kind, Kind::Text(text) if text.contains(',')) {
                    let message = "write a list; this is one item with commas in it";
                    decoder.warn(tree.line, message);
                }
                *self = text(tree, decoder).into_iter().collect();
            }
        }
    }

    fn encode(&self, _: Format) -> Doc {
        Doc::List(self.iter().map(|text| Doc::Text(text.clone())).collect())
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl FieldType for BTreeMap<String, String> {
    const KIND: &'static str = "a mapping from text to text";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        match tree.kind.plain() {
            Kind::Null => {}
            Kind::Map(entries) => {
                for (key, value) in entries {
                    let value = text(value, decoder).unwrap_or_default();
                    self.insert(key.text.to_string(), value);
                }
            }
            _ => decoder.wrong_type(tree, "a mapping"),
        }
    }

    fn encode(&self, _: Format) -> Doc {
        let entries = self.iter();
        Doc::Map(
            entries
                .map(|(key, value)| (key.clone().into(), Doc::Text(value.clone())))
                .collect(),
        )
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

/// A number of a JSON document: whole when it is so exactly, else a 64-bit float.
pub(crate) fn json_number(text: &str) -> Option<Kind> {
    if let Ok(n) = text.parse::<i128>()
        && n.abs() <= MAX_EXACT
    {
        return Some(Kind::Int(n));
    }
    text.parse().ok().map(Kind::Float)
}
