//! Every recorded command line becomes the same configuration as in the original.

use super::{
    outcome, printed, surprises,
    world::{cases, same, strings, tree_value},
};
use crate::{
    FileFormat, Format,
    formats::{self},
};

const FILES: [&str; 14] = [
    "address",
    "components",
    "credentials",
    "flags",
    "inputs",
    "metadata",
    "nodes",
    "pairs",
    "schemes",
    "scope",
    "socket",
    "targets",
    "tls",
    "workers",
];

/// Rows that differ on purpose, and why.
const DIFFERENT: [(&str, &str); 10] = [
    (
        "address/unix-relative-dot",
        "a relative path means that path, which the original cannot express",
    ),
    (
        "address/unix-dot-host-and-path",
        "address ./app.sock and target /run/remote.sock, as documented",
    ),
    (
        "components/limiter-out",
        "the limit is for the outgoing side; the original applies it to the incoming one",
    ),
    (
        "components/limiter-conn-out",
        "the limit is for the outgoing side; the original applies it to the incoming one",
    ),
    (
        "flags/api-unix",
        "the API listens on the socket; the original takes a random TCP port",
    ),
    (
        "inputs/file-no-ext-after-yaml",
        "a name without extension has no format, whatever was read before it",
    ),
    (
        "inputs/file-properties",
        "refused: the format has no lists, so no services",
    ),
    (
        "inputs/file-ini",
        "refused: the format has no lists, so no services",
    ),
    (
        "inputs/file-env",
        "refused: the original reads it and finds nothing",
    ),
    (
        "inputs/default-file-with-F-and-chains",
        "the chains of file and command line stand side by side; the original mixes them up",
    ),
];

#[test]
fn command_lines_become_what_they_always_became() {
    let mut differing = Vec::new();
    let mut total = 0;
    for case in FILES
        .iter()
        .flat_map(|file| cases("cli", &format!("{file}.json")))
    {
        total += 1;
        let better = case.get("output_v0155").or(case.get("output_lenient"));
        let expected = match (better.or(case.get("output")), case.get("outputs")) {
            (Some(output), _) => Some(vec![output.clone()]),
            (None, Some(outputs)) => outputs.as_array().cloned(),
            (None, None) => None,
        };
        let detail = match (outcome(&case), expected) {
            (Err(_), None) => continue,
            (Ok(ours), Some(theirs)) => {
                let ours: Vec<_> = ours.iter().map(printed).collect();
                let all = ours.len() == theirs.len()
                    && theirs
                        .iter()
                        .all(|theirs| ours.iter().any(|ours| same(ours, theirs)));
                if all {
                    continue;
                }
                format!("ours   {ours:?}\ntheirs {theirs:?}")
            }
            (Err(error), Some(_)) => error,
            (Ok(ours), None) => format!("accepted: {ours:?}"),
        };
        let name = case["name"].as_str().unwrap_or_default().to_owned();
        differing.push((name, format!("{:?}\n{detail}", strings(&case["args"]))));
    }
    let report = surprises(&differing, &DIFFERENT);
    assert!(report.is_empty(), "{report}");
    assert_eq!(total, 914);
    assert!(differing.len() * 50 <= total, "98 of 100 rows are equal");
}

#[test]
fn printed_yaml_says_the_same() {
    for case in cases("cli", "yaml.json") {
        let loaded = outcome(&case).expect("accepted rows");
        let ours = loaded[0].config.print(Format::Yaml).expect("yaml");
        let theirs = case["yaml"].as_str().unwrap_or_default();
        let read = |text: &str| {
            let document = formats::parse(FileFormat::Yaml, text.as_bytes()).expect(text);
            tree_value(&document.tree)
        };
        let name = &case["name"];
        assert!(
            same(&read(&ours), &read(theirs)),
            "{name}\n{ours}\n{theirs}"
        );
    }
}
