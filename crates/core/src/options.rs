//! Typed options of a component, made from one list: struct, defaults, reader and manual.

use crate::values::{Entry, FromValue, Values};

/// A key of a component, for the reference manual and the JSON Schema.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// The name and its aliases, the first listed wins.
    pub keys: &'static [&'static str],
    /// What the value is.
    pub kind: &'static str,
    /// The default, as one would write it; empty for none.
    pub default: String,
    /// What it does.
    pub doc: String,
}

/// A value that does not fit its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// Where it was written.
    pub place: String,
    /// The key as written.
    pub key: String,
    /// What was expected.
    pub expected: &'static str,
}

impl std::fmt::Display for OptionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}: expected {}",
            self.place, self.key, self.expected
        )
    }
}

impl std::error::Error for OptionError {}

/// Options that the [`options!`](crate::options!) macro made.
pub trait Options: Default + Send + Sync + 'static {
    /// Reads the options; what does not fit is added to `errors` and keeps its default.
    fn read(values: &Values, errors: &mut Vec<OptionError>) -> Self;

    /// The keys with types, defaults and docs.
    fn table() -> Vec<KeyInfo>;
}

/// A component without options of its own.
impl Options for () {
    fn read(_: &Values, _: &mut Vec<OptionError>) -> Self {}

    fn table() -> Vec<KeyInfo> {
        Vec::new()
    }
}

/// Reads one option; called by the code that [`options!`](crate::options!) makes.
pub fn read_option<T: FromValue>(
    values: &Values,
    keys: &'static [&'static str],
    errors: &mut Vec<OptionError>,
) -> Option<T> {
    let Entry { key, value, mark } = values.get(keys)?;
    let read = T::from_value(value);
    if read.is_none() {
        errors.push(OptionError {
            place: mark.to_string(),
            key: key.clone(),
            expected: T::KIND,
        });
    }
    read
}

/// Declares the options of a component.
///
/// From one list it makes the struct, its `Default`, the reader and the table of keys. A field is
/// `name: Type = default, "key" | "alias";` under its docstring; `..name: Group;` includes another
/// set of options.
///
/// ```
/// use std::time::Duration;
/// use gost_core::options::Options as _;
///
/// gost_core::options! {
///     /// Options of the line handler.
///     pub struct LineOptions {
///         /// Greeting sent first.
///         greeting: String = "hi".into(), "greeting" | "hello";
///         /// How long to wait for a line.
///         timeout: Duration = Duration::from_secs(15), "readTimeout";
///     }
/// }
/// let values = gost_core::values::Values::new().with("HELLO", "ahoy");
/// let mut errors = Vec::new();
/// let options = LineOptions::read(&values, &mut errors);
/// assert_eq!((options.greeting.as_str(), errors.len()), ("ahoy", 0));
/// ```
#[macro_export]
macro_rules! options {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($body:tt)* }) => {
        $crate::options!(@munch [$(#[$meta])* $vis $name] [] [] $($body)*);
    };
    (@munch $head:tt [$($fields:tt)*] $groups:tt
        $(#[doc = $doc:literal])+ $field:ident : $ty:ty = $default:expr, $($key:literal)|+ ; $($rest:tt)*) => {
        $crate::options!(@munch $head
            [$($fields)* { [$($doc)+] $field, $ty, $default, [$($key),+] }] $groups $($rest)*);
    };
    (@munch $head:tt $fields:tt [$($groups:tt)*] $(#[doc = $doc:literal])* .. $field:ident : $ty:ty ; $($rest:tt)*) => {
        $crate::options!(@munch $head $fields [$($groups)* { [$($doc)*] $field, $ty }] $($rest)*);
    };
    (@munch [$(#[$meta:meta])* $vis:vis $name:ident]
        [$({ [$($doc:literal)+] $field:ident, $ty:ty, $default:expr, [$($key:literal),+] })*]
        [$({ [$($gdoc:literal)*] $group:ident, $gty:ty })*]) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(unreachable_pub)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: $ty,)*
            $($(#[doc = $gdoc])* #[allow(missing_docs)] pub $group: $gty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($group: Default::default(),)*
                }
            }
        }

        impl $crate::options::Options for $name {
            #[allow(unused_variables)]
            fn read(
                values: &$crate::values::Values,
                errors: &mut Vec<$crate::options::OptionError>,
            ) -> Self {
                let default = Self::default();
                Self {
                    $($field: $crate::options::read_option(values, &[$($key),+], errors)
                        .unwrap_or(default.$field),)*
                    $($group: $crate::options::Options::read(values, errors),)*
                }
            }

            fn table() -> Vec<$crate::options::KeyInfo> {
                let default = Self::default();
                #[allow(unused_mut)]
                let mut table = vec![$($crate::options::KeyInfo {
                    keys: &[$($key),+],
                    kind: <$ty as $crate::values::FromValue>::KIND,
                    default: $crate::values::FromValue::show(&default.$field),
                    doc: concat!($($doc, "\n"),+).trim().to_owned(),
                }),*];
                $(table.extend(<$gty as $crate::options::Options>::table());)*
                table
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::values::{Mark, Value};

    options! {
        /// Shared.
        struct Group {
            /// A limit.
            limit: u32 = 7, "limit";
        }
    }

    options! {
        /// Test options.
        struct Sample {
            /// On or off.
            on: bool = false, "on";
            /// A wait.
            wait: Duration = Duration::from_secs(5), "keepalive.ttl" | "ttl";
            ..group: Group;
        }
    }

    #[test]
    fn the_first_listed_alias_wins_and_all_count_as_read() {
        let values = Values::new().with("ttl", "1s").with("Keepalive.TTL", "2");
        let mut errors = Vec::new();
        let options = Sample::read(&values, &mut errors);
        assert_eq!(options.wait, Duration::from_secs(2));
        assert_eq!(options.group.limit, 7);
        assert!(values.iter().all(|entry| entry.mark.is_read()));
        assert!(errors.is_empty());
    }

    #[test]
    fn a_bad_value_is_named_with_its_place() {
        let mut values = Values::new();
        values.set(
            "on",
            Value::Text("yes".into()),
            Mark::new("gost.yaml".into(), 12),
        );
        let mut errors = Vec::new();
        assert!(!Sample::read(&values, &mut errors).on);
        assert_eq!(
            errors[0].to_string(),
            "gost.yaml:12: on: expected true or false"
        );
    }

    #[test]
    fn the_table_lists_keys_defaults_and_docs() {
        let table = Sample::table();
        assert_eq!(table[1].keys, ["keepalive.ttl", "ttl"]);
        assert_eq!(
            (table[1].default.as_str(), table[1].doc.as_str()),
            ("5s", "A wait.")
        );
        assert_eq!(table[2].keys, ["limit"]);
    }
}
