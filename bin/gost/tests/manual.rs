//! `docs/components.md` says what the components themselves say of their keys.
//!
//! `GOST_WRITE_MANUAL=1 cargo test -p gost --test manual` writes it anew.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use gost_core::options::{KeyInfo, Options as _};

const INTRODUCTION: &str = "# Components and their keys

Made from the program's own tables: `GOST_WRITE_MANUAL=1 cargo test -p gost --test manual` writes it
anew.

Keys are written as `metadata` of a component in a file, or as parameters of a URL
([command-line.md](command-line.md) says which part takes them). Upper and lower case are the same.
Where a row has several keys they mean the same, and the first one that is given counts. A duration
is written `10s`, `1m30s` or `250ms`; a bare number counts seconds. The handler `auto` hands its keys
on to `http`, `socks4` and `socks5`.
";

/// Keys that many components share, and what their section is called.
const SHARED: [(&str, &str); 2] = [("mux.", "Multiplexing"), ("keepalive", "TCP keep-alive")];

/// The section that a row has in common with other components.
fn shared(key: &KeyInfo) -> Option<&'static str> {
    let name = key.keys[0].trim_start_matches("tcp.");
    let is_tcp = |key: &KeyInfo| key.doc.contains("TCP") || key.keys[0].contains("keepalive.");
    SHARED
        .iter()
        .find(|(begin, _)| name.starts_with(begin) && (*begin == "mux." || is_tcp(key)))
        .map(|(_, title)| *title)
}

fn row(key: &KeyInfo) -> String {
    let keys: Vec<_> = key.keys.iter().map(|key| format!("`{key}`")).collect();
    let value = match key.kind {
        kind if kind.starts_with("a duration") => "duration",
        "a whole number" => "number",
        "true or false" => "bool",
        kind => kind,
    };
    let default = match &*key.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let doc = key.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let doc = doc.replace('|', "\\|");
    format!("| {} | {value} | {default} | {doc} |\n", keys.join(" "))
}

fn table(page: &mut String, rows: &str) {
    page.push_str("\n| key | value | default | what it does |\n|---|---|---|---|\n");
    page.push_str(rows);
}

/// The page for the components that this program has.
fn page() -> String {
    let components = gost::components();
    let tables = components.tables();
    let mut page = INTRODUCTION.to_owned();
    let own = [
        ("Services", gost_runtime::ServiceOptions::table()),
        (
            "Handlers, whatever they speak",
            gost_service::SessionOptions::table(),
        ),
        (
            "Handlers, with an observer",
            gost_runtime::ObservingKeys::table(),
        ),
        ("Records", gost_runtime::RecordKeys::table()),
        (
            "Hops, for all their nodes",
            gost_runtime::HopOptions::table(),
        ),
        ("Nodes", gost_runtime::NodeOptions::table()),
    ];
    for (title, keys) in own {
        let _ = write!(page, "\n## {title}\n");
        table(&mut page, &keys.iter().map(row).collect::<String>());
    }
    for (_, title) in SHARED {
        let _ = write!(page, "\n## {title}\n");
        let mut seen = BTreeSet::new();
        let all = tables.values().flatten();
        let rows = all
            .filter(|key| shared(key) == Some(title) && !key.keys[0].starts_with("tcp."))
            .map(row)
            .filter(|row| seen.insert(row.clone()));
        table(&mut page, &rows.collect::<String>());
    }
    for kind in ["handler", "listener", "connector", "dialer", "auther"] {
        // Names that mean the same share a section; those without keys share one too.
        let mut sections: Vec<(Vec<&str>, String)> = Vec::new();
        for ((_, name), keys) in tables.iter().filter(|((of, _), _)| *of == kind) {
            let mut text: String = keys
                .iter()
                .filter(|k| shared(k).is_none())
                .map(row)
                .collect();
            for (_, title) in SHARED {
                if keys.iter().any(|key| shared(key) == Some(title)) {
                    let anchor = title.to_ascii_lowercase().replace(' ', "-");
                    let tcp = keys.iter().any(|key| key.keys[0].starts_with("tcp."));
                    let how = if tcp && title != "Multiplexing" {
                        ", each with `tcp.` in front"
                    } else {
                        ""
                    };
                    let _ = writeln!(text, "| | | | the keys of [{title}](#{anchor}){how} |");
                }
            }
            match sections.iter_mut().find(|(_, same)| *same == text) {
                Some((names, _)) => names.push(name),
                None => sections.push((vec![name], text)),
            }
        }
        let mut title = kind.to_owned();
        title[..1].make_ascii_uppercase();
        let _ = write!(page, "\n## {title}s\n");
        for (names, rows) in sections {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = write!(page, "\n### {kind} {}\n", names.join(", "));
            if rows.is_empty() {
                page.push_str("\nNo keys of its own.\n");
            } else {
                table(&mut page, &rows);
            }
        }
    }
    page
}

/// The keys of a page.
fn keys(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn nothing_in_the_manual_is_untrue() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/components.md");
    let true_page = page();
    if std::env::var_os("GOST_WRITE_MANUAL").is_some() {
        fs::write(&file, &true_page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    let (known, told) = (keys(&true_page), keys(&written));
    let untrue: Vec<_> = told.difference(&known).collect();
    assert!(untrue.is_empty(), "write it anew: {untrue:#?}");
    assert!(told.len() > 50);
}
