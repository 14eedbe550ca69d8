//! What the original takes silently though it is wrong draws a warning or an error here.

use super::{
    messages, outcome, printed, surprises,
    world::{cases, same},
};

/// Rows whose configuration differs on purpose, and why.
const DIFFERENT: [(&str, &str); 3] = [
    (
        "accepted/limiter-out-only",
        "the limit is for the outgoing side; the original applies it to the incoming one",
    ),
    (
        "accepted/api-unix",
        "the API listens on the socket; the original takes a random TCP port",
    ),
    (
        "accepted/C-retries-overflow",
        "a number out of range is refused; the original makes it negative",
    ),
];

/// Rows that need no complaint, because they do what is meant; and one that another crate reports.
const SILENT: [(&str, &str); 3] = [
    ("accepted/limiter-out-only", "does what is meant"),
    ("accepted/api-unix", "does what is meant"),
    (
        "accepted/C-bad-matcher",
        "rules are read where routes are built",
    ),
];

#[test]
fn what_was_wrong_in_silence_is_said() {
    let mut differing = Vec::new();
    let mut silent = Vec::new();
    for case in cases("cli", "accepted.json") {
        let name = case["name"].as_str().unwrap_or_default().to_owned();
        match outcome(&case) {
            Ok(loaded) => {
                let ours = printed(&loaded[0]);
                if !same(&ours, &case["output"]) {
                    differing.push((name.clone(), ours.to_string()));
                }
                if loaded[0].problems.is_empty() {
                    silent.push((name, case["should"].to_string()));
                }
            }
            Err(error) => differing.push((name, error)),
        }
    }
    let report = surprises(&differing, &DIFFERENT) + &surprises(&silent, &SILENT);
    assert!(report.is_empty(), "{report}");
}

#[test]
fn the_complaint_says_what_is_wrong() {
    let all = cases("cli", "accepted.json");
    for (name, says) in [
        (
            "unknown-scheme",
            "unknown scheme \"htp\"; did you mean http?",
        ),
        ("unknown-listener", "would listen in plain text"),
        ("dial-only-name-as-service", "utls cannot be used in -L"),
        ("tls-as-handler", "tls is no handler, and mws is plain text"),
        ("port-name", "port \"http-alt\" is not a number"),
        ("missing-colon", "did you mean :8080?"),
        ("missing-slash", "did you mean http://:8080?"),
        ("userinfo-slash", "write / in the password as %2F"),
        ("path-kills-handler", "tcp forward to index.html"),
        ("target-unequal-ranges", "3 listen ports but 2 targets"),
        ("parameter-typo", "did you mean limiter.in?"),
        ("secure-yes", "the certificate would not be verified"),
        ("ca-without-cert", "would not be asked for a certificate"),
        ("limiter-bare-number", "1000000 lacks a unit"),
        ("limiter-bad-unit", "unknown unit M in 10M"),
        ("limiter-on-node", "has no meaning on -F"),
        ("query-repeated", "only the first counts"),
        ("F-path", "did you mean ?path=/tunnel"),
        ("stray-argument", "did you forget -L?"),
        (
            "env-level-unknown",
            "GOST_LOGGER_LEVEL: level: unknown \"verbose\"",
        ),
        (
            "C-unknown-key",
            "a.yaml:3: services[0]: unknown key \"address\"; did you mean addr?",
        ),
        ("C-chain-selector", "put it on the hop"),
        (
            "C-duration-number",
            "30 lacks a unit (it means 30 nanoseconds)",
        ),
        (
            "C-missing-refs",
            "services[0].handler.auther: no auther \"u9\"",
        ),
        ("C-duplicate-names", "two services named a"),
        ("C-bad-cidr", "300.0.0.0/8 is not a network"),
    ] {
        let case = all
            .iter()
            .find(|case| case["name"] == format!("accepted/{name}"))
            .unwrap_or_else(|| panic!("no case {name}"));
        let loaded = outcome(case).unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = messages(&loaded[0].problems);
        assert!(said.contains(says), "{name}: {said}");
    }
    let case = &all[0];
    let is_named = |case: &&serde_json::Value| case["name"] == "accepted/userinfo-slash";
    let case = all.iter().find(is_named).unwrap_or(case);
    let said = messages(&outcome(case).expect("accepted")[0].problems);
    assert!(!said.contains("p/w") && !said.contains("w@"), "{said}");
}
