//! JSON as Go's encoder writes it: two spaces, HTML characters escaped.

use std::fmt::Write as _;

use super::{Doc, NotJson};

pub(super) fn print(doc: &Doc) -> Result<String, NotJson> {
    let mut out = String::new();
    write(doc, 0, &mut out)?;
    out.push('\n');
    Ok(out)
}

fn write(doc: &Doc, depth: usize, out: &mut String) -> Result<(), NotJson> {
    match doc {
        Doc::Null => out.push_str("null"),
        Doc::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Doc::Int(n) => out.push_str(&n.to_string()),
        Doc::Float(n) if n.is_finite() => float(*n, out),
        Doc::Float(n) => return Err(NotJson(*n)),
        Doc::Text(text) => string(text, out),
        Doc::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                next(at, depth + 1, out);
                write(item, depth + 1, out)?;
            }
            end(items.is_empty(), depth, out);
            out.push(']');
        }
        Doc::Map(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                next(at, depth + 1, out);
                string(key, out);
                out.push_str(": ");
                write(value, depth + 1, out)?;
            }
            end(entries.is_empty(), depth, out);
            out.push('}');
        }
    }
    Ok(())
}

fn next(at: usize, depth: usize, out: &mut String) {
    if at > 0 {
        out.push(',');
    }
    line(depth, out);
}

fn end(empty: bool, depth: usize, out: &mut String) {
    if !empty {
        line(depth, out);
    }
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Decimal, or with an exponent outside 1e-6..1e21, as Go chooses.
fn float(n: f64, out: &mut String) {
    let size = n.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{n:e}");
        let sign = if text.contains("e-") { "e" } else { "e+" };
        out.push_str(&text.replace('e', sign));
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "{n}");
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_go_writes() {
        let doc = Doc::Map(vec![
            ("a".into(), Doc::Text("<&>\u{2028}\u{1}\"".into())),
            ("empty".into(), Doc::List(vec![])),
            (
                "n".into(),
                Doc::List(vec![
                    Doc::Float(1e21),
                    Doc::Float(1.5e-7),
                    Doc::Float(12_345_678_901_234_567_890.0),
                    Doc::Float(1000.0),
                    Doc::Int(u64::MAX.into()),
                ]),
            ),
        ]);
        assert_eq!(
            print(&doc).expect("finite"),
            "{\n  \"a\": \"\\u003c\\u0026\\u003e\\u2028\\u0001\\\"\",\n  \"empty\": [],\n  \
             \"n\": [\n    1e+21,\n    1.5e-7,\n    12345678901234567000,\n    1000,\n    \
             18446744073709551615\n  ]\n}\n"
        );
        assert!(print(&Doc::Float(f64::INFINITY)).is_err());
    }
}
