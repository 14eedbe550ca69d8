//! YAML with lines: the events of a parser put together by the rules of the original's reader.
//!
//! Aliases are copied, within bounds; merge keys (`<<`) are followed; a key given twice is an
//! error; plain scalars are read as [`resolve`] says.

mod scalar;

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

pub(crate) use self::scalar::{is_plain_text, resolve};
use super::{Document, SyntaxError};
use crate::tree::{Key, Kind, MAX_DEPTH, MAX_VALUES, Tree};

pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let mut composer = Composer {
        text,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
    };
    let mut notes = Vec::new();
    let mut tree = None;
    loop {
        let (event, span) = composer.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if tree.is_some() => {
                let message = "a second document begins here; only the first is read";
                notes.push((line(&span), message.to_owned()));
                break;
            }
            Event::DocumentStart(_) => {
                let (event, span) = composer.next()?;
                tree = Some(composer.node(event, &span, 0)?);
            }
            _ => {}
        }
    }
    let tree = tree.unwrap_or(Tree::new(1, Kind::Null));
    Ok(Document { tree, notes })
}

struct Composer<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Tree, usize)>,
    values: usize,
}

fn line(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

fn error(span: &Span, message: impl std::fmt::Display) -> SyntaxError {
    SyntaxError::at(line(span), span.start.col() + 1, message)
}

fn scan_error(error: &ScanError, text: &str) -> SyntaxError {
    let marker = error.marker();
    let line = u32::try_from(marker.line()).unwrap_or(u32::MAX);
    let mut message = error.info().to_owned();
    if message.contains("unknown anchor") {
        // The parser does not say which.
        let rest = text.lines().nth(marker.line().saturating_sub(1));
        let rest = rest.unwrap_or_default().chars().skip(marker.col());
        let name: String = rest
            .skip_while(|c| *c == '*')
            .take_while(|c| !c.is_whitespace() && !",]}".contains(*c))
            .take(64)
            .collect();
        message = format!("unknown anchor {name}");
    }
    SyntaxError::at(line, marker.col() + 1, message)
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(event) => event.map_err(|error| scan_error(&error, self.text)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Counts values, so that aliases of aliases stay within bounds.
    fn count(&mut self, more: usize, span: &Span) -> Result<(), SyntaxError> {
        self.values += more;
        if self.values > MAX_VALUES {
            return Err(error(
                span,
                "too many values (aliases are counted each time)",
            ));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Tree, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(error(span, "nested too deep"));
        }
        self.count(1, span)?;
        let before = self.values;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                let Some((tree, size)) = self.anchors.get(&anchor) else {
                    return Err(error(span, "an alias inside what it stands for"));
                };
                let (tree, size) = (tree.clone(), *size);
                self.count(size, span)?;
                return Ok(tree);
            }
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, &span, depth + 1)?);
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor),
            _ => return Err(error(span, "unexpected end of the document")),
        };
        let tree = Tree::new(line(span), kind);
        if anchor > 0 {
            let size = self.values - before + 1;
            self.count(size, span)?;
            self.anchors.insert(anchor, (tree.clone(), size));
        }
        Ok(tree)
    }

    fn mapping(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        let mut entries: Vec<(Key, Tree)> = Vec::new();
        let mut merges = Vec::new();
        let mut index = Index::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = matches!(
                &event,
                Event::Scalar(text, ScalarStyle::Plain, 0, None) if text == "<<"
            );
            let key = self.node(event, &span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, &value_span, depth + 1)?;
            if is_merge {
                merges.push((value, span));
                continue;
            }
            let text = key_text(key.kind)
                .ok_or_else(|| error(&span, "keys must be plain, not lists or mappings"))?;
            let line = line(&span);
            if let Some(at) = index.find(&entries, &text) {
                let first = entries[at].0.line;
                let message = format!("key {text:?} twice, lines {first} and {line}");
                return Err(error(&span, message));
            }
            entries.push((Key { text, line }, value));
        }
        if !merges.is_empty() {
            let keys = entries.iter().map(|(key, _)| key.text.clone());
            let mut known: HashSet<Box<str>> = keys.collect();
            for (value, span) in merges {
                merge(&mut entries, &mut known, value, &span)?;
            }
        }
        Ok(Kind::Map(entries))
    }
}

/// Finds keys of a mapping: by looking at each while there are few, then by a table.
#[derive(Default)]
struct Index(HashMap<Box<str>, usize>);

impl Index {
    /// Where the key stands among the entries.
    fn find(&mut self, entries: &[(Key, Tree)], text: &str) -> Option<usize> {
        if entries.len() < 16 {
            return entries.iter().position(|(key, _)| *key.text == *text);
        }
        for (at, (key, _)) in entries.iter().enumerate().skip(self.0.len()) {
            self.0.insert(key.text.clone(), at);
        }
        self.0.get(text).copied()
    }
}

/// Adds the keys of a merged mapping, or of a list of them, that are not there yet.
fn merge(
    entries: &mut Vec<(Key, Tree)>,
    known: &mut HashSet<Box<str>>,
    value: Tree,
    span: &Span,
) -> Result<(), SyntaxError> {
    let maps = match value.kind {
        Kind::List(maps) => maps,
        kind => vec![Tree::new(value.line, kind)],
    };
    for map in maps {
        let Kind::Map(merged) = map.kind else {
            return Err(error(span, "<< takes a mapping, or a list of mappings"));
        };
        for (key, tree) in merged {
            if known.insert(key.text.clone()) {
                entries.push((key, tree));
            }
        }
    }
    Ok(())
}

fn key_text(kind: Kind) -> Option<Box<str>> {
    Some(match kind {
        Kind::Text(text) | Kind::Time(text) => text,
        Kind::Null => "".into(),
        Kind::Bool(b) => b.to_string().into(),
        Kind::Int(n) => n.to_string().into(),
        Kind::Float(n) => n.to_string().into(),
        Kind::Written(_, kind) => return key_text(*kind),
        Kind::List(_) | Kind::Map(_) => return None,
    })
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: &Span,
) -> Result<Kind, SyntaxError> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema());
    let bad = |kind: &str| error(span, format!("{text:?} is not {kind}"));
    match core.map(|tag| tag.suffix.as_str()) {
        Some("str") => Ok(Kind::Text(text.into())),
        Some("null") => Ok(Kind::Null),
        Some("bool") => match resolve(text) {
            kind @ Kind::Bool(_) => Ok(kind),
            _ => Err(bad("a truth value")),
        },
        Some("int") => match resolve(text) {
            Kind::Written(_, kind) if matches!(*kind, Kind::Int(_)) => Ok(*kind),
            kind @ Kind::Int(_) => Ok(kind),
            _ => Err(bad("a whole number")),
        },
        Some("float") => match resolve(text).plain() {
            #[expect(clippy::cast_precision_loss, reason = "the file asks for a float")]
            Kind::Int(n) => Ok(Kind::Float(*n as f64)),
            Kind::Float(n) => Ok(Kind::Float(*n)),
            _ => Err(bad("a number")),
        },
        _ if style == ScalarStyle::Plain => Ok(resolve(text)),
        _ => Ok(Kind::Text(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Vec<(Key, Tree)> {
        match parse(text).expect(text).tree.kind {
            Kind::Map(entries) => entries,
            kind => panic!("{kind:?}"),
        }
    }

    #[test]
    fn lines_are_those_of_the_keys() {
        let entries = map("a: 1\n\nb:\n  c: x\n");
        assert_eq!(entries[1].0.line, 3);
        let Kind::Map(inner) = &entries[1].1.kind else {
            panic!("no map")
        };
        assert_eq!(inner[0].0.line, 4);
    }

    #[test]
    fn errors_tell_line_and_column() {
        for (text, line, says) in [
            ("a:\n\t- b\n", 2, "column"),
            ("a: [\n", 2, "column"),
            ("a: 1\nb: 2\na: 3\n", 3, "key \"a\" twice, lines 1 and 3"),
            ("a: *x\n", 1, "unknown anchor x"),
            ("{[1, 2]: x}\n", 1, "keys must be plain"),
            ("a: &x [*x]\n", 1, "alias inside"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_given_twice_is_found_in_small_and_large_mappings() {
        for count in [2, 16, 17, 500] {
            let keys: Vec<_> = (0..count).map(|n| format!("k{n}: 1\n")).collect();
            assert_eq!(map(&keys.concat()).len(), count);
            let error = parse(&format!("{}k1: 2\n", keys.concat())).expect_err("twice");
            let says = format!("key \"k1\" twice, lines 2 and {}", count + 1);
            assert!(error.message.contains(&says), "{error}");
        }
    }

    #[test]
    fn own_keys_win_over_merged_ones_wherever_they_stand() {
        let entries = map("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  a: 3\n");
        let Kind::Map(y) = &entries[1].1.kind else {
            panic!("no map")
        };
        let values: Vec<_> = y.iter().map(|(k, v)| (&*k.text, &v.kind)).collect();
        assert_eq!(values, [("a", &Kind::Int(3)), ("b", &Kind::Int(2))]);
    }

    #[test]
    fn aliases_of_aliases_do_not_eat_the_memory() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let list = vec![format!("*a{}", i - 1); 10].join(",");
            text += &[
                "a",
                &i.to_string(),
                ": &a",
                &i.to_string(),
                " [",
                &list,
                "]\n",
            ]
            .concat();
        }
        let error = parse(&text).expect_err("a bomb");
        assert!(error.message.contains("too many values"), "{error}");
        let deep = format!("a: {}", "[".repeat(5000));
        assert!(parse(&deep).is_err());
    }
}
