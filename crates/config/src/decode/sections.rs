//! What the file reader does before keys are matched: dotted keys reach into sections, and empty
//! mappings of the single sections vanish.

use super::{Decoder, Rules, decode_object};
use crate::{
    Config,
    schema::SINGLE_SECTIONS,
    tree::{Key, Kind, MAX_DEPTH, Tree},
};

/// Reads a whole document.
pub(crate) fn root(tree: Tree, decoder: &mut Decoder) -> Config {
    let tree = match (decoder.rules, tree) {
        (
            Rules::Lenient,
            Tree {
                line,
                kind: Kind::Map(entries),
            },
        ) => Tree::new(line, Kind::Map(sections(entries))),
        (_, tree) => tree,
    };
    match tree.kind {
        Kind::Null => Config::default(),
        Kind::Map(_) => decode_object(&tree, decoder),
        _ => {
            decoder.unreadable(tree.line, "the document must be a mapping of sections");
            Config::default()
        }
    }
}

fn sections(entries: Vec<(Key, Tree)>) -> Vec<(Key, Tree)> {
    let mut entries = undot(entries, 0);
    for (key, tree) in &mut entries {
        if SINGLE_SECTIONS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&key.text))
        {
            prune(tree);
        }
    }
    // An empty mapping is no list, though it would be read as one.
    entries.retain(|(_, tree)| !tree.is_blank());
    entries
}

/// Turns `log.level: debug` into `log: {level: debug}`, at every depth outside lists; values under
/// one key in both forms are joined.
fn undot(entries: Vec<(Key, Tree)>, depth: usize) -> Vec<(Key, Tree)> {
    // Joining looks at every key for each: no real section has this many.
    if depth > MAX_DEPTH || entries.len() > 1024 {
        return entries;
    }
    let mut joined: Vec<(Key, Tree)> = Vec::with_capacity(entries.len());
    for (key, mut tree) in entries {
        let Some((head, rest)) = key.text.split_once('.') else {
            if depth > 0
                && let Kind::Map(inner) = tree.kind
            {
                tree.kind = Kind::Map(undot(inner, depth + 1));
            }
            merge(&mut joined, key, tree);
            continue;
        };
        let inner = Key {
            text: rest.into(),
            line: key.line,
        };
        let line = tree.line;
        let inner = undot(vec![(inner, tree)], depth + 1);
        let head = Key {
            text: head.into(),
            line: key.line,
        };
        merge(&mut joined, head, Tree::new(line, Kind::Map(inner)));
    }
    joined
}

fn merge(entries: &mut Vec<(Key, Tree)>, key: Key, tree: Tree) {
    if let (Some((_, old)), Kind::Map(_)) = (
        entries
            .iter_mut()
            .find(|(k, _)| k.text.eq_ignore_ascii_case(&key.text)),
        &tree.kind,
    ) && let Kind::Map(old) = &mut old.kind
        && let Kind::Map(new) = tree.kind
    {
        for (key, tree) in new {
            merge(old, key, tree);
        }
    } else {
        entries.push((key, tree));
    }
}

/// Drops nulls and empty mappings at every depth outside lists.
fn prune(tree: &mut Tree) {
    if let Kind::Map(entries) = &mut tree.kind {
        for (_, tree) in entries.iter_mut() {
            prune(tree);
        }
        entries.retain(|(_, tree)| !tree.is_blank());
    }
}
