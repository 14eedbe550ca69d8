//! Header lines that a configuration adds to a handshake.

use thiserror::Error;

/// A header line that can't be added.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// The handshake has it already, and means something by it.
    #[error("header {0}: it belongs to the handshake")]
    Reserved(String),
    /// The name is not one.
    #[error("header {0:?}: not a name of a header")]
    Name(String),
    /// The value has a line break or another control character; it may be secret.
    #[error("header {0}: its value has a control character")]
    Value(String),
}

/// What the handshake writes itself, and what would make a body of what follows.
const RESERVED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Sec-Websocket-Accept",
    "Sec-Websocket-Extensions",
    "Sec-Websocket-Key",
    "Sec-Websocket-Version",
    "Transfer-Encoding",
    "Upgrade",
];

/// Header lines to be added, by their names in the usual spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Sorted by name.
    lines: Vec<(String, String)>,
}

impl Headers {
    /// Checks and sorts the lines. Names are written with capitals at the start of each word,
    /// since a configuration may have lost their case.
    pub fn new<'a>(
        lines: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, HeaderError> {
        let mut sorted = Vec::new();
        for (name, value) in lines {
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(HeaderError::Name(name.to_owned()));
            }
            let name = canonical(name);
            if RESERVED.contains(&&*name) {
                return Err(HeaderError::Reserved(name));
            }
            // As its specification spells it, and so does the original.
            let name = match &*name {
                "Sec-Websocket-Protocol" => "Sec-WebSocket-Protocol".to_owned(),
                _ => name,
            };
            if value.bytes().any(|b| b != b'\t' && b.is_ascii_control()) {
                return Err(HeaderError::Value(name));
            }
            sorted.push((name, value.trim_matches([' ', '\t']).to_owned()));
        }
        sorted.sort();
        Ok(Self { lines: sorted })
    }

    /// Takes all lines of a name out, and returns the value of the first.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut taken = self.lines.extract_if(.., |(own, _)| own == name);
        let first = taken.next().map(|(_, value)| value);
        taken.for_each(drop);
        first
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(name, value)| (&**name, &**value))
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|letter| {
            let cased = if start {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            };
            start = letter == '-';
            cased
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_and_spelt_as_usual() {
        let headers = Headers::new([
            ("x-b", "2"),
            ("sec-websocket-protocol", "p"),
            ("HOST", "h"),
            ("X-a", " 1 1\t"),
        ]);
        let headers = headers.unwrap();
        let lines: Vec<_> = headers.lines().collect();
        let sorted = [
            ("Host", "h"),
            ("Sec-WebSocket-Protocol", "p"),
            ("X-A", "1 1"),
            ("X-B", "2"),
        ];
        assert_eq!(lines, sorted);
    }

    #[test]
    fn what_would_break_the_handshake_is_refused() {
        for (line, text) in [
            (
                ("upgrade", "x"),
                "header Upgrade: it belongs to the handshake",
            ),
            (
                ("sec-websocket-key", "x"),
                "header Sec-Websocket-Key: it belongs to the handshake",
            ),
            (("", "x"), "header \"\": not a name of a header"),
            (("a b", "x"), "header \"a b\": not a name of a header"),
            (
                ("a\r\nb", "x"),
                "header \"a\\r\\nb\": not a name of a header",
            ),
            (
                ("token", "s3cret\r\nb: c"),
                "header Token: its value has a control character",
            ),
        ] {
            assert_eq!(Headers::new([line]).unwrap_err().to_string(), text);
        }
    }
}
