//! The file formats, each read into a [`Tree`].

mod json;
mod toml;
pub(crate) mod yaml;

use crate::tree::Tree;

/// The most bytes of one document.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// YAML; of several documents the first counts.
    Yaml,
    /// JSON in a file: of a key given twice the last counts.
    Json,
    /// JSON on the command line: objects given twice under one key are joined.
    InlineJson,
    /// TOML.
    Toml,
}

impl FileFormat {
    /// The format that a file name extension stands for; the error says what is known.
    pub fn of_extension(extension: &str) -> Result<Self, String> {
        match extension {
            "yaml" | "yml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            "toml" => Ok(Self::Toml),
            "properties" | "props" | "prop" | "hcl" | "tfvars" | "dotenv" | "env" | "ini" => Err(
                format!("{extension} files are not supported; use yaml, json or toml"),
            ),
            "" => Err("the name has no extension; use .yaml, .yml, .json or .toml".to_owned()),
            other
                if matches!(
                    other.to_ascii_lowercase().as_str(),
                    "yaml" | "yml" | "json" | "toml"
                ) =>
            {
                let lower = other.to_ascii_lowercase();
                Err(format!("write the extension in lower case (.{lower})"))
            }
            other => Err(format!(
                "unknown format {other:?}; the extensions are .yaml, .yml, .json and .toml"
            )),
        }
    }
}

/// A document as read, and what is odd about it (line and message).
#[derive(Debug)]
pub(crate) struct Document {
    /// The value.
    pub tree: Tree,
    /// Things to warn of.
    pub notes: Vec<(u32, String)>,
}

/// Text that is not of the format it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    /// Line, from 1; 0 when the error has no place.
    pub line: u32,
    /// What is wrong; with the column.
    pub message: String,
}

impl SyntaxError {
    fn at(line: u32, column: usize, message: impl std::fmt::Display) -> Self {
        Self {
            line,
            message: format!("column {column}: {message}"),
        }
    }
}

/// Reads a document.
///
/// # Errors
/// Syntax errors, text that is not UTF-8, and documents that are too big or too deep.
pub(crate) fn parse(format: FileFormat, bytes: &[u8]) -> Result<Document, SyntaxError> {
    let fail = |message: String| SyntaxError { line: 0, message };
    if bytes.len() > MAX_BYTES {
        return Err(fail(format!(
            "{} bytes are too many (at most {MAX_BYTES})",
            bytes.len()
        )));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.split(|b| *b == b'\n').count();
        SyntaxError {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            message: "the text is not UTF-8".to_owned(),
        }
    })?;
    match format {
        FileFormat::Yaml => yaml::parse(text),
        FileFormat::Json => json::parse(text, json::Twice::LastCounts),
        FileFormat::InlineJson => json::parse(text, json::Twice::Join),
        FileFormat::Toml => toml::parse(text),
    }
}
