//! Printing a configuration as the original does.

mod json;
mod yaml;

use std::borrow::Cow;

use crate::{Config, schema::Structure as _};

/// The two printed formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON: durations are nanoseconds.
    Json,
    /// YAML: durations are text.
    Yaml,
}

/// A value ready for printing.
#[derive(Clone, Debug, PartialEq)]
pub enum Doc {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Doc>),
    /// A map in the order to print.
    Map(Vec<(Cow<'static, str>, Doc)>),
}

/// A value that JSON has no form for.
#[derive(Debug, thiserror::Error)]
#[error("{0} in metadata cannot be written as JSON; use -O yaml")]
pub struct NotJson(
    /// The value: an infinity or NaN.
    pub f64,
);

impl Config {
    /// The configuration as text, secrets included.
    ///
    /// # Errors
    /// JSON has no infinities and no NaN, which metadata from YAML may hold.
    pub fn print(&self, format: Format) -> Result<String, NotJson> {
        let doc = self.encode(format);
        match format {
            Format::Json => json::print(&doc),
            Format::Yaml => Ok(yaml::print(&doc)),
        }
    }
}
