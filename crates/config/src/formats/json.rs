//! JSON with lines. Like Go's reader: no comments, no trailing commas, nothing after the document.

use std::collections::HashMap;

use super::{Document, SyntaxError};
use crate::{
    decode::json_number,
    tree::{Key, Kind, Lines, MAX_DEPTH, Tree},
};

/// What becomes of a key given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twice {
    /// The last value counts.
    LastCounts,
    /// Objects are joined; of other values the last counts.
    Join,
}

pub(super) fn parse(text: &str, twice: Twice) -> Result<Document, SyntaxError> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        twice,
        notes: Vec::new(),
    };
    reader.blank();
    if reader.at == text.len() {
        return Err(reader.error("the document is empty"));
    }
    let tree = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.error("text after the document"));
    }
    Ok(Document {
        tree,
        notes: reader.notes,
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    twice: Twice,
    notes: Vec<(u32, String)>,
}

impl<'a> Reader<'a> {
    fn error(&self, message: &str) -> SyntaxError {
        let (line, column) = Lines::of(self.text).at(self.at);
        SyntaxError::at(line, column, message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Names what stands here, for messages.
    fn here(&self) -> String {
        self.text[self.at..]
            .chars()
            .next()
            .map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"))
    }

    fn blank(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.line += u32::from(byte == b'\n');
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Tree, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        let line = self.line;
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::Text(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Tree::new(line, kind))
    }

    fn word(&mut self) -> Result<Kind, SyntaxError> {
        for (word, kind) in [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        let rest = &self.text[self.at..];
        let message = if rest.starts_with("NaN") || rest.starts_with("Inf") {
            "NaN and infinities are no JSON numbers".to_owned()
        } else if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
            "JSON has no comments".to_owned()
        } else {
            format!("expected a value, not {}", self.here())
        };
        Err(self.error(&message))
    }

    fn object(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        self.at += 1;
        let mut entries: Vec<(Key, Tree)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        loop {
            self.blank();
            if entries.is_empty() && self.eat(b'}') {
                break;
            }
            if self.peek() != Some(b'"') {
                let message = match self.peek() {
                    Some(b'}') => "a comma before } is too much".to_owned(),
                    _ => format!("expected a key in quotes, not {}", self.here()),
                };
                return Err(self.error(&message));
            }
            let line = self.line;
            let text = self.string()?;
            self.blank();
            if !self.eat(b':') {
                return Err(self.error(&format!("expected : after the key, not {}", self.here())));
            }
            self.blank();
            let tree = self.value(depth + 1)?;
            if let Some(at) = index.get(&text) {
                self.notes
                    .push((line, format!("key {text:?} twice, the last one counts")));
                let twice = self.twice;
                join(&mut entries[*at].1, tree, twice);
            } else {
                index.insert(text.clone(), entries.len());
                let text = text.into();
                entries.push((Key { text, line }, tree));
            }
            self.blank();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b'}') {
                break;
            }
            return Err(self.error(&format!("expected , or }} here, not {}", self.here())));
        }
        Ok(Kind::Map(entries))
    }

    fn array(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank();
            if items.is_empty() && self.eat(b']') {
                break;
            }
            if self.peek() == Some(b']') {
                return Err(self.error("a comma before ] is too much"));
            }
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b']') {
                break;
            }
            return Err(self.error(&format!("expected , or ] here, not {}", self.here())));
        }
        Ok(Kind::List(items))
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        let text = &rest[..end];
        let kind = is_number(text).then(|| json_number(text)).flatten();
        let kind = kind.filter(|kind| !matches!(kind, Kind::Float(n) if n.is_infinite()));
        let Some(kind) = kind else {
            return Err(self.error(&format!("{text} is not a JSON number")));
        };
        self.at += end;
        Ok(kind)
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest: &'a str = &self.text[self.at..];
            let end = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or_else(|| self.error("text without closing quote"))?;
            string.push_str(&rest[..end]);
            self.at += end;
            match rest.as_bytes()[end] {
                b'"' => {
                    self.at += 1;
                    return Ok(string);
                }
                b'\\' => string.push(self.escape()?),
                _ => {
                    return Err(self.error("control character in text; write it as \\n or \\u000a"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("unknown escape in text")),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let unit = self
            .hex(self.at)
            .ok_or_else(|| self.error("\\u needs four hexadecimal digits"))?;
        self.at += 5;
        if (0xd800..0xdc00).contains(&unit)
            && self.text[self.at..].starts_with("\\u")
            && let Some(low @ 0xdc00..0xe000) = self.hex(self.at + 1)
        {
            self.at += 6;
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // Half of a pair stands for no character.
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The four digits behind the `u` at `at`.
    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at + 1..at + 5)?;
        let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

fn join(old: &mut Tree, new: Tree, twice: Twice) {
    match (&mut old.kind, new) {
        (
            Kind::Map(old),
            Tree {
                kind: Kind::Map(new),
                ..
            },
        ) if twice == Twice::Join => {
            for (key, tree) in new {
                match old.iter_mut().find(|(k, _)| k.text == key.text) {
                    Some((_, old)) => join(old, tree, twice),
                    None => old.push((key, tree)),
                }
            }
        }
        (_, new) => *old = new,
    }
}

/// The grammar of JSON numbers: no leading zeros, digits on both sides of the point.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str) -> String {
        let Document { tree, .. } = parse(document, Twice::LastCounts).expect(document);
        match tree.kind {
            Kind::Text(text) => text.into(),
            kind => panic!("{kind:?}"),
        }
    }

    #[test]
    fn escapes_are_read_as_go_does() {
        assert_eq!(text(r#""a\n\u00e4\ud83d\ude00\/""#), "a\nä😀/");
        assert_eq!(text(r#""\ud83dx""#), "\u{fffd}x");
    }

    #[test]
    fn errors_tell_line_and_column() {
        for (document, line, says) in [
            ("{\"a\":[],}", 1, "column 9: a comma before }"),
            ("// c\n{}", 1, "no comments"),
            ("{\"a\":\n NaN}", 2, "column 2: NaN"),
            ("{\"a\":1} {}", 1, "column 9: text after"),
            ("", 1, "empty"),
            ("{a:1}", 1, "key in quotes"),
            ("{\"a\":01}", 1, "01 is not"),
            ("{\"a\":1e999}", 1, "1e999 is not"),
            ("{\"a", 1, "closing quote"),
            ("[1 2]", 1, "expected , or ]"),
            ("\"\\u12\"", 1, "four hexadecimal"),
        ] {
            let error = parse(document, Twice::LastCounts).expect_err(document);
            assert_eq!(error.line, line, "{document}");
            assert!(error.message.contains(says), "{document}: {error}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(100_000);
        let error = parse(&deep, Twice::LastCounts).expect_err("too deep");
        assert!(error.message.contains("too deep"));
    }

    #[test]
    fn a_key_given_twice_joins_inline_and_replaces_in_files() {
        let document = r#"{"log":{"level":"info"},"log":{"format":"text"}}"#;
        for (twice, keys) in [(Twice::Join, 2), (Twice::LastCounts, 1)] {
            let Document { tree, notes } = parse(document, twice).expect("json");
            assert_eq!(notes.len(), 1);
            let Kind::Map(entries) = tree.kind else {
                panic!("no map")
            };
            let Kind::Map(log) = &entries[0].1.kind else {
                panic!("no map")
            };
            assert_eq!(log.len(), keys);
        }
    }
}
