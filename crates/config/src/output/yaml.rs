//! YAML in block style, two spaces; text is quoted whenever a reader might take it for something
//! else.

use std::fmt::Write as _;

use super::Doc;
use crate::formats::yaml::is_plain_text;

pub(super) fn print(doc: &Doc) -> String {
    let mut out = String::new();
    block(doc, 0, &mut out);
    out
}

/// Writes a value on lines of its own.
fn block(doc: &Doc, depth: usize, out: &mut String) {
    match doc {
        Doc::List(items) if !items.is_empty() => {
            for item in items {
                indent(depth, out);
                out.push_str("- ");
                in_item(item, depth, out);
            }
        }
        Doc::Map(entries) if !entries.is_empty() => {
            for (at, _) in entries.iter().enumerate() {
                indent(depth, out);
                entry(doc, at, depth, out);
            }
        }
        doc => {
            scalar(doc, out);
            out.push('\n');
        }
    }
}

/// Writes a list item behind its dash: the first key of a map stands on the same line.
fn in_item(item: &Doc, depth: usize, out: &mut String) {
    match item {
        Doc::Map(entries) if !entries.is_empty() => {
            for (at, _) in entries.iter().enumerate() {
                if at > 0 {
                    indent(depth + 1, out);
                }
                entry(item, at, depth + 1, out);
            }
        }
        Doc::List(items) if !items.is_empty() => {
            out.push('\n');
            block(item, depth + 1, out);
        }
        doc => {
            scalar(doc, out);
            out.push('\n');
        }
    }
}

fn entry(map: &Doc, at: usize, depth: usize, out: &mut String) {
    let Doc::Map(entries) = map else { return };
    let (key, value) = &entries[at];
    text(key, out);
    out.push(':');
    let deeper = match value {
        Doc::List(items) => !items.is_empty(),
        Doc::Map(entries) => !entries.is_empty(),
        _ => false,
    };
    if deeper {
        out.push('\n');
        block(value, depth + 1, out);
    } else {
        out.push(' ');
        scalar(value, out);
        out.push('\n');
    }
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn scalar(doc: &Doc, out: &mut String) {
    match doc {
        Doc::Null => out.push_str("null"),
        Doc::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Doc::Int(n) => out.push_str(&n.to_string()),
        Doc::Float(n) if n.is_nan() => out.push_str(".nan"),
        Doc::Float(n) if n.is_infinite() => out.push_str(if *n < 0.0 { "-.inf" } else { ".inf" }),
        Doc::Float(n) if n.abs() >= 1e21 => out.push_str(&format!("{n:e}").replace('e', "e+")),
        Doc::Float(n) => out.push_str(&n.to_string()),
        Doc::Text(value) => text(value, out),
        Doc::List(_) => out.push_str("[]"),
        Doc::Map(_) => out.push_str("{}"),
    }
}

fn text(text: &str, out: &mut String) {
    if is_plain_text(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
