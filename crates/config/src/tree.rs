//! The one form that every file format is read into: values with the lines they stand on.

/// The deepest nesting that is read; real files stay under 15.
pub(crate) const MAX_DEPTH: usize = 64;

/// The most values of one document, copies made by YAML aliases included.
pub(crate) const MAX_VALUES: usize = 2_000_000;

/// A value and the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The line, from 1; 0 when the source has no lines.
    pub line: u32,
    /// The value.
    pub kind: Kind,
}

/// A value as a file format gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, or an explicit null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction, or one written as such.
    Float(f64),
    /// A number or time that was written in another form than the one it is printed in (`007`):
    /// the text as written and the value.
    Written(Box<str>, Box<Kind>),
    /// A date or time: in RFC 3339.
    Time(Box<str>),
    /// Text.
    Text(Box<str>),
    /// A list.
    List(Vec<Tree>),
    /// A map; keys are unlike by spelling, but may be alike but for case.
    Map(Vec<(Key, Tree)>),
}

/// A key of a map and its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key as written.
    pub text: Box<str>,
    /// The line, from 1.
    pub line: u32,
}

impl Tree {
    /// A value at a line.
    pub fn new(line: u32, kind: Kind) -> Self {
        Self { line, kind }
    }

    /// True for null, and for a map with nothing in it.
    pub fn is_blank(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }
}

impl Kind {
    /// What to call such a value in a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Written(_, kind) => kind.name(),
            Self::Time(_) => "a time",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The value without the note how it was written.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Written(_, kind) => kind,
            kind => kind,
        }
    }
}

/// The `[^:]` lines of byte offsets: for formats that tell offsets only.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// The line starts of a text.
    pub(crate) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self(ends.map(|(at, _)| at).collect())
    }

    /// Line and column (both from 1, in bytes) of an offset.
    pub(crate) fn at(&self, offset: usize) -> (u32, usize) {
        let line = self.0.partition_point(|end| *end < offset);
        let start = line.checked_sub(1).map_or(0, |before| self.0[before] + 1);
        (
            u32::try_from(line + 1).unwrap_or(u32::MAX),
            offset - start + 1,
        )
    }
}
