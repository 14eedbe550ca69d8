//! Component options as the user wrote them: named values that remember where they stand.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::duration;

/// One value of a configuration, whatever format it came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, or an explicit null.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer; wide enough for all 64-bit ones, signed or not.
    Int(i128),
    /// A number with a fraction, or one written as such.
    Float(f64),
    /// Text; everything on a command line is text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map from text; the keys keep the spelling of the source.
    Map(BTreeMap<String, Value>),
}

/// Where a key was written, and whether anything has read it.
///
/// A command line copies each query item to handler, listener and service: the copies share one
/// mark, so the item is unknown only if none of them was read.
#[derive(Debug)]
pub struct Mark {
    source: Arc<str>,
    line: u32,
    read: AtomicBool,
}

impl Mark {
    /// A mark at `line` (from 1; 0 when the source has no lines) of `source`.
    pub fn new(source: Arc<str>, line: u32) -> Arc<Self> {
        Arc::new(Self {
            source,
            line,
            read: AtomicBool::new(false),
        })
    }

    /// True once some component asked for the key.
    pub fn is_read(&self) -> bool {
        self.read.load(Relaxed)
    }

    /// Notes that the key is known to the one who asks.
    pub fn read(&self) {
        self.read.store(true, Relaxed);
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}

/// A key with its value and its mark.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as written.
    pub key: String,
    /// The value as written.
    pub value: Value,
    /// Where it was written.
    pub mark: Arc<Mark>,
}

/// The named values of one component. Keys are compared without regard to case.
///
/// Two collections are equal when their keys and values are, wherever they were written.
#[derive(Clone, Debug, Default)]
pub struct Values {
    entries: Vec<Entry>,
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|mine| {
                other
                    .find(&mine.key)
                    .is_some_and(|theirs| mine.value == theirs.value)
            })
    }
}

impl Values {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, or replaces the value of one spelt alike but for case.
    pub fn set(&mut self, key: impl Into<String>, value: Value, mark: Arc<Mark>) {
        let key = key.into();
        let entry = Entry { key, value, mark };
        match self
            .entries
            .iter_mut()
            .find(|e| e.key.eq_ignore_ascii_case(&entry.key))
        {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Adds text under a key, for tests and for embedders without a file.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(
            key,
            Value::Text(value.into()),
            Mark::new("options".into(), 0),
        );
        self
    }

    /// The entry of a key, whatever its case. Does not count as read.
    pub fn find(&self, key: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|e| e.key.eq_ignore_ascii_case(key))
    }

    /// The entry of the first *listed* alias that is present; every alias present counts as read.
    pub fn get(&self, aliases: &[&str]) -> Option<&Entry> {
        let mut first = None;
        for alias in aliases {
            if let Some(entry) = self.find(alias) {
                entry.mark.read();
                first = first.or(Some(entry));
            }
        }
        first
    }

    /// All entries in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A type that an option can have.
pub trait FromValue: Sized {
    /// What to call the type in messages and in the reference manual.
    const KIND: &'static str;

    /// Reads the value; `None` when it does not fit the type.
    fn from_value(value: &Value) -> Option<Self>;

    /// How a default of this type is shown in the reference manual.
    fn show(&self) -> String;
}

impl FromValue for bool {
    const KIND: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(*b),
            Value::Int(n) => Some(*n != 0),
            Value::Float(n) => Some(*n != 0.0),
            Value::Text(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                // An empty value is what `?key=` leaves behind.
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($least:expr; $($int:ty),*) => {$(
        impl FromValue for $int {
            const KIND: &'static str = "a whole number";

            fn from_value(value: &Value) -> Option<Self> {
                whole(value).and_then(|n| n.max($least).try_into().ok())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
integers!(i128::MIN; i32, i64);
// What counts or measures something is never less than nothing: a negative number reads as zero,
// which stands for the default of most keys, as it does in the original.
integers!(0; u8, u16, u32, u64, usize);

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(b) => Some(i128::from(*b)),
        Value::Int(n) => Some(*n),
        // JSON has no integers: 3 arrives as 3.0.
        Value::Float(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(*n as i128),
        Value::Text(text) if text.is_empty() => Some(0),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

impl FromValue for f64 {
    const KIND: &'static str = "a number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(n) => Some(*n),
            #[expect(clippy::cast_precision_loss, reason = "options are small numbers")]
            Value::Int(n) => Some(*n as f64),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FromValue for Duration {
    const KIND: &'static str = "a duration such as 10s or 1m30s (a bare number counts seconds)";

    /// A negative duration reads as zero, which switches off most of the waits that have one.
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value
            && let Some(nanos) = duration::parse_go_nanos(text)
        {
            return Some(Self::from_nanos(u64::try_from(nanos).unwrap_or(0)));
        }
        let seconds = whole(value)?;
        Some(Self::from_secs(u64::try_from(seconds.max(0)).ok()?))
    }

    fn show(&self) -> String {
        duration::format_go(*self)
    }
}

impl FromValue for String {
    const KIND: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Int(n) => Some(n.to_string()),
            Value::Float(n) => Some(n.to_string()),
            Value::Null => Some(Self::new()),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl FromValue for Vec<String> {
    const KIND: &'static str = "a list of texts";

    /// A list, or one text with commas: a command line has no other way to give several.
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(items) => items.iter().map(String::from_value).collect(),
            Value::Text(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Value::Null => Some(Self::new()),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

impl FromValue for BTreeMap<String, String> {
    const KIND: &'static str = "a map of texts";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Map(map) => map
                .iter()
                .map(|(key, value)| Some((key.clone(), String::from_value(value)?)))
                .collect(),
            Value::Null => Some(Self::new()),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const KIND: &'static str = T::KIND;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, T::show)
    }
}
