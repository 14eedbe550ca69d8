//! Objects and lists of objects.

use super::{Decoder, FieldType};
use crate::{
    List,
    output::{Doc, Format},
    schema::{Structure, Visitor},
    suggest::did_you_mean,
    tree::{Key, Kind, Tree},
};

/// Reads an object; what does not fit is reported and keeps its default.
pub(crate) fn decode_object<T: Structure>(tree: &Tree, decoder: &mut Decoder) -> T {
    let mut object = T::default();
    let keys = match tree.kind.plain() {
        Kind::Map(entries) => decode_fields(&mut object, entries, decoder),
        // A chain group lists its chains by plain names, too.
        Kind::Text(_) if T::FIELDS.iter().any(|field| field.is_shorthand) => {
            let field = T::FIELDS.iter().find(|field| field.is_shorthand);
            let keys: Vec<_> = field.map(|f| (f.key, tree.line)).into_iter().collect();
            for (key, _) in &keys {
                decoder.in_key(key, |decoder| object.set(key, tree, decoder));
            }
            keys
        }
        _ => {
            decoder.wrong_type(tree, "a mapping");
            Vec::new()
        }
    };
    *object.place_mut() = decoder.place(tree.line, keys);
    object
}

fn decode_fields<T: Structure>(
    object: &mut T,
    entries: &[(Key, Tree)],
    decoder: &mut Decoder,
) -> Vec<(&'static str, u32)> {
    let mut keys: Vec<(&'static str, u32)> = Vec::new();
    for (key, tree) in entries {
        if decoder.is_full() {
            break;
        }
        let field = T::FIELDS
            .iter()
            .find(|field| field.key.eq_ignore_ascii_case(&key.text));
        let Some(field) = field else {
            decoder.warn(key.line, unknown_key::<T>(&key.text));
            continue;
        };
        if let Some((name, line)) = keys.iter().find(|(name, _)| *name == field.key) {
            let message = format!("key {name:?} twice, lines {line} and {}", key.line);
            decoder.warn(key.line, message);
        }
        keys.push((field.key, key.line));
        decoder.in_key(field.key, |decoder| object.set(field.key, tree, decoder));
    }
    keys
}

fn unknown_key<T: Structure>(key: &str) -> String {
    // Upstream's sample files have it there, without effect.
    if T::NAME == "Chain" && key.eq_ignore_ascii_case("selector") {
        return "unknown key \"selector\": put it on the hop".to_owned();
    }
    let names = T::FIELDS.iter().map(|field| field.key);
    format!("unknown key {key:?}{}", did_you_mean(key, names))
}

/// Reads one item of a list, given its position.
pub(crate) fn decode_item<T: Structure>(
    list: &mut List<T>,
    at: usize,
    tree: &Tree,
    decoder: &mut Decoder,
) {
    decoder.in_item(at, |decoder| {
        if tree.kind == Kind::Null {
            // The original skips an empty hop or node, and crashes on any other empty item.
            decoder.error(tree.line, "is empty");
            list.push_null();
        } else {
            list.push(decode_object(tree, decoder));
        }
    });
}

/// Reads a list of objects.
pub(crate) fn decode_list<T: Structure>(list: &mut List<T>, tree: &Tree, decoder: &mut Decoder) {
    match tree.kind.plain() {
        Kind::Null => {}
        Kind::List(items) => {
            list.mark_given();
            for (at, item) in items.iter().enumerate() {
                decode_item(list, at, item, decoder);
            }
        }
        Kind::Map(entries) if !decoder.strict() => {
            list.mark_given();
            if !entries.is_empty() {
                decode_item(list, 0, tree, decoder);
            }
        }
        Kind::Text(_) if !decoder.strict() && T::FIELDS.iter().any(|field| field.is_shorthand) => {
            decode_item(list, 0, tree, decoder);
        }
        _ => decoder.wrong_type(tree, "a list"),
    }
}

impl<T: Structure> FieldType for Option<T> {
    const KIND: &'static str = "a mapping";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        if tree.kind != Kind::Null {
            *self = Some(decode_object(tree, decoder));
        }
    }

    fn encode(&self, format: Format) -> Doc {
        self.as_ref()
            .map_or(Doc::Null, |object| object.encode(format))
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        if let Some(object) = self {
            object.visit(visitor);
        }
    }
}

impl<T: Structure> FieldType for List<T> {
    const KIND: &'static str = "a list";

    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder) {
        decode_list(self, tree, decoder);
    }

    fn encode(&self, format: Format) -> Doc {
        if format == Format::Json && !self.is_given() {
            return Doc::Null;
        }
        let places = self.places();
        Doc::List(
            places
                .map(|item| item.map_or(Doc::Null, |item| item.encode(format)))
                .collect(),
        )
    }

    fn is_empty(&self) -> bool {
        self.places().next().is_none()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        for item in self {
            item.visit(visitor);
        }
    }
}
