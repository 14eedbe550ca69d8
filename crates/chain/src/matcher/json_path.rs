//! Paths into JSON, in the common part of the syntax of gjson.
//!
//! `user.tags.0`: keys and places separated by dots. In a key `*` stands for any characters, `?`
//! for one, and a backslash takes the meaning from the next character. `list.#` is the length of
//! a list, `list.#.name` the list of a key's values. Queries, modifiers and pipes are refused.
//! Source: the syntax document of github.com/tidwall/gjson.

use serde_json::Value;

/// A path into JSON.
pub(super) struct JsonPath(Vec<Part>);

enum Part {
    /// A key, or the place in a list.
    Key(String),
    /// The first key that fits.
    Pattern(Vec<Piece>),
    /// The length of a list at the end of a path, otherwise each of its items.
    Each,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Many,
}

impl JsonPath {
    /// Reads a path; the error says what is not supported.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(['@', '!', '[', '{']) {
            return Err(format!("path {text:?}: modifiers are not supported"));
        }
        let mut parts = Vec::new();
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        loop {
            match chars.next() {
                Some('.') => parts.push(part(std::mem::take(&mut pieces))),
                None => {
                    parts.push(part(pieces));
                    return Ok(Self(parts));
                }
                Some('\\') => match chars.next() {
                    Some(c) => pieces.push(Piece::Char(c)),
                    None => return Err(format!("path {text:?}: ends in a backslash")),
                },
                Some('*') => {
                    // Two in a row mean the same and cost more.
                    if pieces.last() != Some(&Piece::Many) {
                        pieces.push(Piece::Many);
                    }
                }
                Some('?') => pieces.push(Piece::One),
                Some('|') => return Err(format!("path {text:?}: pipes are not supported")),
                Some('(') if pieces == [Piece::Char('#')] => {
                    return Err(format!("path {text:?}: queries are not supported"));
                }
                Some(c) => pieces.push(Piece::Char(c)),
            }
        }
    }

    /// The value at the path as text, or `None` when the JSON is no JSON or has none there.
    ///
    /// Text is given without quotes, null as the empty text, lists and maps as JSON.
    pub(super) fn find(&self, json: &[u8]) -> Option<String> {
        let value: Value = serde_json::from_slice(json).ok()?;
        find(&value, &self.0).map(|found| match found {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        })
    }
}

fn part(pieces: Vec<Piece>) -> Part {
    if pieces == [Piece::Char('#')] {
        return Part::Each;
    }
    let plain: Option<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Char(c) => Some(*c),
            Piece::One | Piece::Many => None,
        })
        .collect();
    plain.map_or(Part::Pattern(pieces), Part::Key)
}

/// Recursion is as deep as the path is long, or as the JSON nests, whichever is less.
fn find(value: &Value, path: &[Part]) -> Option<Value> {
    let Some((part, rest)) = path.split_first() else {
        return Some(value.clone());
    };
    match (part, value) {
        (Part::Key(key), Value::Object(map)) => find(map.get(key)?, rest),
        (Part::Key(key), Value::Array(list)) => find(list.get(key.parse::<usize>().ok()?)?, rest),
        (Part::Pattern(pieces), Value::Object(map)) => {
            let (_, value) = map.iter().find(|(key, _)| fits(key, pieces))?;
            find(value, rest)
        }
        (Part::Each, Value::Array(list)) if rest.is_empty() => Some(list.len().into()),
        (Part::Each, Value::Array(list)) => Some(Value::Array(
            list.iter().filter_map(|item| find(item, rest)).collect(),
        )),
        _ => None,
    }
}

/// Matches with a single point of return, so that no pattern takes exponential time.
fn fits(text: &str, pieces: &[Piece]) -> bool {
    let text: Vec<_> = text.chars().collect();
    let (mut at, mut piece) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Many) => {
                back = Some((at, piece + 1));
                piece += 1;
            }
            Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Char(c)) if *c == text[at] => (at, piece) = (at + 1, piece + 1),
            _ => match &mut back {
                Some((from, next)) => {
                    *from += 1;
                    (at, piece) = (*from, *next);
                }
                None => return false,
            },
        }
    }
    pieces[piece..].iter().all(|p| *p == Piece::Many)
}
