//! TOML with lines.

use ::toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Document, SyntaxError};
use crate::tree::{Key, Kind, Lines, MAX_DEPTH, Tree};

pub(super) fn parse(text: &str) -> Result<Document, SyntaxError> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = lines.at(error.span().map_or(0, |span| span.start));
        SyntaxError::at(line, column, error.message())
    })?;
    let tree = Tree::new(1, map(table.get_ref(), &lines, 0)?);
    Ok(Document {
        tree,
        notes: Vec::new(),
    })
}

fn map(table: &DeTable<'_>, lines: &Lines, depth: usize) -> Result<Kind, SyntaxError> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let (line, _) = lines.at(key.span().start);
        let text = key.get_ref().as_ref().into();
        entries.push((Key { text, line }, tree(value, lines, depth)?));
    }
    Ok(Kind::Map(entries))
}

fn tree(value: &Spanned<DeValue<'_>>, lines: &Lines, depth: usize) -> Result<Tree, SyntaxError> {
    let (line, column) = lines.at(value.span().start);
    if depth > MAX_DEPTH {
        return Err(SyntaxError::at(line, column, "nested too deep"));
    }
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.as_ref().into()),
        DeValue::Integer(n) => {
            let read = i128::from_str_radix(n.as_str(), n.radix());
            Kind::Int(read.map_err(|_| SyntaxError::at(line, column, "number too big"))?)
        }
        DeValue::Float(n) => {
            let text = n.as_str().replace('_', "");
            let read = text.parse();
            Kind::Float(read.map_err(|_| SyntaxError::at(line, column, "not a number"))?)
        }
        DeValue::Boolean(b) => Kind::Bool(*b),
        DeValue::Datetime(time) => Kind::Time(time.to_string().into()),
        DeValue::Array(items) => Kind::List(
            items
                .iter()
                .map(|item| tree(item, lines, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => map(table, lines, depth + 1)?,
    };
    Ok(Tree::new(line, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_lines_and_errors_theirs() {
        let document = parse("a = 0x10\n\n[b]\nc = \"x\"\n").expect("toml");
        let Kind::Map(entries) = document.tree.kind else {
            panic!("no map")
        };
        assert_eq!(entries[0].1, Tree::new(1, Kind::Int(16)));
        let Kind::Map(inner) = &entries[1].1.kind else {
            panic!("no map")
        };
        assert_eq!((&*inner[0].0.text, inner[0].0.line), ("c", 4));
        assert_eq!(parse("a = 1\nb = [\n").expect_err("unclosed").line, 2);
    }
}
