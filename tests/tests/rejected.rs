//! What can't be run is said, a line for each mistake, and nothing is started.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, peers, ports};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Rows that are fine here: the original is too narrow.
const FINE: [&str; 6] = [
    "F-ipv6-list",
    "F-list-http",
    "F-list-https",
    "C-timestamp-in-string",
    "C-inline-string-duration",
    "C-inline-plain-chain-name",
];

/// What is said about what only those can see who build components.
const SAID: [(&str, &str); 12] = [
    (
        "start-unknown-handler",
        "unknown handler \"htp\"; did you mean \"http\"?",
    ),
    (
        "start-unknown-listener",
        "unknown listener \"tpc\"; did you mean \"tcp\"?",
    ),
    ("start-handler-case", "type names are lower-case: http"),
    (
        "start-unknown-connector",
        "nodes[0].connector.type: unknown connector \"sock5\"",
    ),
    (
        "start-unknown-dialer",
        "nodes[0].dialer.type: unknown dialer \"wg\"",
    ),
    (
        "start-unknown-listener-tproxy",
        "did you mean redirect with tproxy",
    ),
    ("start-missing-cert", "tls.certFile: none.pem: No such file"),
    (
        "start-missing-cert-plain-listener",
        "tls.certFile: none.pem: No such file",
    ),
    (
        "start-global-tls-missing",
        "tls.certFile: none.pem: No such file",
    ),
    (
        "start-node-ca-missing",
        "dialer.tls.caFile: none.pem: No such file",
    ),
    ("start-foreign-address", "Cannot assign requested address"),
    (
        "start-netns-missing",
        "network namespace /run/netns/nosuchns: No such file",
    ),
];

struct Run {
    status: Option<i32>,
    stderr: String,
}

/// Runs gost in a folder until it ends by itself.
async fn run(folder: &Path, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Result<Run> {
    let mut child = Command::new(peers::gost_bin()?)
        .args(args)
        .current_dir(folder)
        .env("HOME", folder)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("stdin")?;
    // It may not want any.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.context("it runs")??;
    Ok(Run {
        status: output.status.code(),
        stderr: String::from_utf8(output.stderr)?,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_original_rejects_is_rejected_in_words() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/cli/rejected.json");
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut ran = 0;
    for row in &rows {
        let name = row["name"].as_str().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        if FINE.contains(&name) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let strings = |value: &Value| -> Vec<(String, String)> {
            let entries = value.as_object().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            entries.map(|(k, v)| (k.clone(), text(v))).collect()
        };
        for (path, text) in strings(&row["files"]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(path, text)?;
        }
        let args = row["args"].as_array().context("args")?;
        let args: Vec<_> = args.iter().filter_map(Value::as_str).collect();
        let env = strings(&row["env"]);
        let env: Vec<_> = env.iter().map(|(k, v)| (&**k, &**v)).collect();
        let stdin = row["stdin"].as_str().unwrap_or_default();
        let run = run(folder.path(), &args, &env, stdin)
            .await
            .with_context(|| name.to_owned())?;
        // 2 for what is no command line at all.
        ensure!(
            matches!(run.status, Some(1 | 2)),
            "{name}: {:?}\n{}",
            run.status,
            run.stderr
        );
        ensure!(!run.stderr.trim().is_empty(), "{name}");
        ensure!(!run.stderr.contains("panicked"), "{name}: {}", run.stderr);
        if let Some((_, said)) = SAID.iter().find(|(row, _)| *row == name) {
            let said = said.replace('"', "\\\"");
            ensure!(run.stderr.contains(&said), "{name}: {}", run.stderr);
        }
        ran += 1;
    }
    ensure!(ran == rows.len() - FINE.len() && ran > 120, "{ran} rows");
    Ok(())
}

/// The reasons that are said, without level and time.
fn reasons(stderr: &str) -> Vec<String> {
    let lines = stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let fatal = lines.filter(|line: &Value| line["level"] == "fatal");
    fatal
        .map(|line| line["msg"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_files_are_one_line_each() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    std::fs::create_dir(folder.path().join("dir"))?;
    std::fs::create_dir(folder.path().join("dir.yaml"))?;
    write("empty.json", "")?;
    write("broken.yaml", "services: [")?;
    write(
        "binary.yaml",
        "services:\n- name: \u{0}\u{1}\n  addr: 127.0.0.1:0\n",
    )?;
    write(
        "nulls.yaml",
        "services:\n- null\nauthers: [null]\nchains: [null]\nhops: [~]\n",
    )?;
    write("big.yaml", &"# nothing\n".repeat(11 << 20))?;
    let port = ports::tcp();
    write(
        "port.yaml",
        &format!(
            "services:\n- {{name: a, addr: '127.0.0.1:{port}'}}\n- {{name: b, addr: ':{port}'}}\n"
        ),
    )?;
    write(
        "circle.yaml",
        "services: [{name: s, addr: '127.0.0.1:0', handler: {chain: c}}]
chains: [{name: c, hops: [{name: h, resolver: r, nodes: [{name: n, addr: 'a.test:1'}]}]}]
resolvers: [{name: r, nameservers: [{addr: 1.1.1.1, chain: c}]}]
",
    )?;
    let web = gost_tests::web(b"services: [").await?;
    let url = format!("http://al:secret@127.0.0.1:{web}/a.yaml");
    let said = format!("http://127.0.0.1:{web}/a.yaml:2: ");
    for (args, expected) in [
        (&["-C", "dir.yaml"][..], "dir.yaml: is a directory"),
        (&["-C", "dir"], "dir: is a directory"),
        (&["-C", "nosuch.yaml"], "nosuch.yaml: no such file"),
        (&["-C", "empty.json"], "empty.json"),
        (&["-C", "broken.yaml"], "broken.yaml:2: "),
        (&["-C", "binary.yaml"], "binary.yaml:2: "),
        (&["-C", "big.yaml"], "big.yaml: "),
        (&["-C", "-"], "standard input: the document is empty"),
        (
            &["-C", "ftp://127.0.0.1/a.yaml"],
            "only http and https URLs are read",
        ),
        (
            &["-C", "http://127.0.0.1:1/a.yaml"],
            "http://127.0.0.1:1/a.yaml: fetch: ",
        ),
        (&["-C", &url], &said),
        (&["-C", "{\"services\": [{]}"], "-C:1: "),
        (
            &["-C", "port.yaml"],
            "is already used by a (port.yaml:2: services[0])",
        ),
        (
            &["-L", "127.0.0.1:0", "-api", ":1"],
            "-api :1: addr: this version can't do this yet",
        ),
        (
            &["-L", "127.0.0.1:0", "-metrics", ":1"],
            "-metrics :1: addr: this version can't do this yet",
        ),
    ] {
        let run = run(folder.path(), args, &[], "")
            .await
            .with_context(|| format!("{args:?}"))?;
        let reasons = reasons(&run.stderr);
        let is_it = |reason: &String| reason.contains(expected);
        ensure!(run.status == Some(1), "{args:?}: {:?}", run.status);
        ensure!(
            reasons.len() == 1 && reasons.iter().all(is_it),
            "{args:?}: {}",
            run.stderr
        );
        ensure!(!run.stderr.contains("secret"), "{}", run.stderr);
    }
    for (file, said, count) in [
        ("circle.yaml", "a circle: chain c", 1),
        ("nulls.yaml", "is empty", 4),
    ] {
        let run = run(folder.path(), &["-C", file], &[], "").await?;
        let reasons = reasons(&run.stderr);
        ensure!(
            run.status == Some(1) && reasons.len() == count,
            "{}",
            run.stderr
        );
        ensure!(run.stderr.contains(said), "{}", run.stderr);
    }
    Ok(())
}
