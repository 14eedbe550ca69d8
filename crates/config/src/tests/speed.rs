//! Large files stay quick: a bound wide enough for a slow machine and an unoptimised build, and
//! far below what anything quadratic would take.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{FileFormat, Format, check, read_document};

#[test]
fn ten_thousand_nodes_are_read_checked_and_printed_in_no_time() {
    let mut yaml = String::from("services:\n");
    for n in 0..1000 {
        let port = 10_000 + n;
        writeln!(
            yaml,
            "- name: s{n}\n  addr: 127.0.0.1:{port}\n  handler: {{type: http, chain: c}}"
        )
        .expect("text");
    }
    yaml.push_str("chains:\n- name: c\n  hops:\n  - name: h\n    nodes:\n");
    for n in 0..10_000 {
        write!(
            yaml,
            "    - name: n{n}\n      addr: 127.0.0.1:{n}\n      connector:\n        type: socks5\n        \
             auth: {{username: u{n}, password: p}}\n      dialer:\n        type: tls\n        \
             metadata: {{weight: {n}, keepAlive: true}}\n"
        )
        .expect("text");
    }
    let start = Instant::now();
    let (config, problems) =
        read_document("big.yaml", FileFormat::Yaml, yaml.as_bytes()).expect("yaml");
    let problems = [problems, check(&config)].concat();
    let json = config.print(Format::Json).expect("json");
    let took = start.elapsed();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(config.chains[0].hops[0].nodes.len(), 10_000);
    assert!(json.len() > 1_000_000);
    println!("read, checked and printed in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
