//! Metadata: values without a schema, which components read later.

use gost_core::values::{Mark, Value, Values};

use super::{Decoder, FieldType};
use crate::{
    output::{Doc, Format},
    schema::Visitor,
    tree::{Kind, Tree},
};

/// The most keys of one metadata block; components have a few dozen.
const MAX_METADATA: usize = 1024;

/// A value without a schema, as metadata has them.
fn value(tree: &Tree) -> Value {
    match tree.kind.plain() {
        // What was written is off after `plain`.
        Kind::Null | Kind::Written(..) => Value::Null,
        Kind::Bool(b) => Value::Bool(*b),
        Kind::Int(n) => Value::Int(*n),
        // JSON knows floats only; whole ones are given back as what they were meant to be.
        Kind::Float(n) => Value::Float(*n),
        Kind::Time(text) | Kind::Text(text) => Value::Text(text.to_string()),
        Kind::List(items) => Value::List(items.iter().map(value).collect()),
        Kind::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, tree)| (key.text.to_string(), value(tree)))
                .collect(),
        ),
    }
}

impl FieldType for Values {
    const KIND: &'static str = "a mapping";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        match tree.kind.plain() {
            Kind::Null => {}
            Kind::Map(entries) if entries.len() > MAX_METADATA => {
                let message = format!("more than {MAX_METADATA} keys");
                decoder.unreadable(tree.line, message);
            }
            Kind::Map(entries) => {
                for (key, tree) in entries {
                    if self.find(&key.text).is_some() {
                        let message = format!("key {:?} twice; the last one counts", key.text);
                        decoder.warn(key.line, message);
                    }
                    let mark = Mark::new(decoder.source().clone(), key.line);
                    self.set(&*key.text, value(tree), mark);
                }
            }
            Kind::List(items) if items.is_empty() => {}
            _ => decoder.wrong_type(tree, "a mapping"),
        }
    }

    fn encode(&self, _: Format) -> Doc {
        let mut entries: Vec<_> = self
            .iter()
            .map(|entry| (entry.key.clone().into(), encode_value(&entry.value)))
            .collect();
        entries.sort_by(|(a, _): &(std::borrow::Cow<'static, str>, _), (b, _)| a.cmp(b));
        Doc::Map(entries)
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.metadata(self);
    }
}

fn encode_value(value: &Value) -> Doc {
    match value {
        Value::Null => Doc::Null,
        Value::Bool(b) => Doc::Bool(*b),
        Value::Int(n) => Doc::Int(*n),
        Value::Float(n) => Doc::Float(*n),
        Value::Text(text) => Doc::Text(text.clone()),
        Value::List(items) => Doc::List(items.iter().map(encode_value).collect()),
        Value::Map(entries) => Doc::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone().into(), encode_value(value)))
                .collect(),
        ),
    }
}
