//! A world of files, environment and standard input as one recorded case describes it, and the
//! comparison of printed configurations.

use std::{collections::BTreeMap, io, path::Path};

use serde_json::{Map, Value};

use crate::{
    Fetched, Sources,
    tree::{Kind, Tree},
};

/// The recorded cases of a file.
pub(super) fn cases(folder: &str, file: &str) -> Vec<Value> {
    serde_json::from_str(&text(folder, file)).expect("recorded cases are JSON")
}

/// The text of a recorded file.
pub(super) fn text(folder: &str, file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let path = root.join(folder).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the case says about the world.
pub(super) struct World {
    files: BTreeMap<String, String>,
    stdin: String,
    env: BTreeMap<String, String>,
}

impl World {
    pub(super) fn of(case: &Value) -> Self {
        let map = |key: &str| -> BTreeMap<String, String> {
            let entries = case.get(key).and_then(Value::as_object);
            let entries = entries.into_iter().flatten();
            entries
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        };
        let mut env = map("env");
        env.insert("HOME".to_owned(), "../home".to_owned());
        Self {
            files: map("files"),
            stdin: case["stdin"].as_str().unwrap_or_default().to_owned(),
            env,
        }
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.env.insert(name.to_owned(), value);
    }
}

impl Sources for World {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.display().to_string();
        let folder = format!("{name}/");
        match self.files.get(&name) {
            Some(text) => Ok(text.clone().into_bytes()),
            None if self.files.keys().any(|file| file.starts_with(&folder)) => {
                Err(io::ErrorKind::IsADirectory.into())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn stdin(&self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone().into_bytes())
    }

    fn fetch(&self, _: &str) -> Result<Fetched, String> {
        Err("connection refused".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
}

/// The strings of a list.
pub(super) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// True when the printed configurations mean the same: key order does not matter, no services are
/// an empty list, numbers compare by value, and keys that lose their case in the original's file
/// reader compare without it.
pub(super) fn same(ours: &Value, theirs: &Value) -> bool {
    matches(ours, theirs, false, 0)
}

fn matches(ours: &Value, theirs: &Value, fold: bool, depth: usize) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let ours = without_empty_services(ours, depth);
            let theirs = without_empty_services(theirs, depth);
            let known =
                |key: &str, among: &Map<String, Value>| among.keys().any(|k| alike(k, key, fold));
            theirs.keys().all(|key| known(key, &ours))
                && ours.iter().all(|(key, value)| {
                    // Of keys that differ in case only, ours has one.
                    let mut same = theirs.iter().filter(|(k, _)| alike(k, key, fold));
                    same.any(|(_, theirs)| {
                        matches(value, theirs, fold || loses_case(key), depth + 1)
                    })
                })
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(a, b)| matches(a, b, fold, depth + 1))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

fn alike(a: &str, b: &str, fold: bool) -> bool {
    if fold {
        a.eq_ignore_ascii_case(b)
    } else {
        a == b
    }
}

fn loses_case(key: &str) -> bool {
    [
        "metadata",
        "header",
        "requestHeader",
        "responseHeader",
        "httpHeaders",
    ]
    .contains(&key)
}

fn without_empty_services(map: &Map<String, Value>, depth: usize) -> Map<String, Value> {
    let mut map = map.clone();
    if depth == 0 {
        let is_empty = match map.get("services") {
            Some(Value::Null) => true,
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if is_empty {
            map.remove("services");
        }
    }
    map
}

/// A read document as JSON, with floats that JSON lacks as text.
pub(super) fn tree_value(tree: &Tree) -> Value {
    match tree.kind.plain() {
        Kind::Null => Value::Null,
        Kind::Bool(b) => (*b).into(),
        Kind::Int(n) => serde_json::from_str(&n.to_string()).expect("a number"),
        Kind::Float(n) => {
            serde_json::Number::from_f64(*n).map_or_else(|| n.to_string().into(), Value::Number)
        }
        Kind::Time(text) | Kind::Text(text) => text.to_string().into(),
        Kind::List(items) => items.iter().map(tree_value).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, tree)| (key.text.to_string(), tree_value(tree)))
            .collect(),
        Kind::Written(..) => unreachable!("plain() took it off"),
    }
}
