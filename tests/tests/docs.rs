//! Every command and every file in README.md and docs/ is one that the program understands.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, peers};
use tokio::process::Command;

fn read(name: &str) -> Result<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(name)).with_context(|| name.to_owned())
}

/// The first fenced block of YAML, and those that follow.
fn yaml(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
}

/// The commands of a page: indented or fenced lines, and code in tables.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    let lines = page.lines().filter(|line| line.starts_with("    "));
    let cells = page.lines().filter(|line| line.starts_with('|'));
    let cells = cells.flat_map(|line| line.split('`').skip(1).step_by(2));
    lines
        .map(str::trim)
        .chain(cells)
        .filter(|text| text.starts_with("gost -"))
        // One process for each group, which prints nothing.
        .filter(|text| !text.contains(" -- "))
}

/// Has the program print what a command means; anything to complain of is an error.
async fn understood(command: &str, folder: &std::path::Path) -> Result<String> {
    let gost = peers::gost_bin()?;
    let arguments = command.strip_prefix("gost").context("not ours")?;
    let script = format!("'{}'{arguments} -O yaml", gost.display());
    let run = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .with_context(|| format!("{command}: does not end"))??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{command}: {}: {said}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn every_command_is_understood() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let configuration = read("docs/configuration.md")?;
    let file = yaml(&configuration).next().context("no file")?;
    fs::write(folder.path().join("gost.yaml"), file)?;
    let mut count = 0;
    for page in ["README.md", "docs/command-line.md", "docs/configuration.md"] {
        let text = read(page)?;
        for command in commands(&text) {
            let printed = understood(command, folder.path()).await;
            let printed = printed.with_context(|| page.to_owned())?;
            ensure!(printed.contains("services:"), "{command}: {printed}");
            count += 1;
        }
    }
    ensure!(count > 25, "only {count} commands were found");
    Ok(())
}

#[tokio::test]
async fn every_file_is_understood() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = read("docs/configuration.md")?;
    let mut count = 0;
    for file in yaml(&page) {
        fs::write(folder.path().join("gost.yaml"), file)?;
        let printed = understood("gost -C gost.yaml", folder.path()).await;
        printed.with_context(|| file.to_owned())?;
        count += 1;
    }
    ensure!(count > 3, "only {count} files were found");
    Ok(())
}

/// Links between pages lead somewhere.
#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs"))? {
        pages.push(entry?.path());
    }
    for page in pages {
        let text = fs::read_to_string(&page)?;
        for link in text.split("](").skip(1).filter_map(|l| l.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let folder = page.parent().context("no folder")?;
            let target = if path.is_empty() {
                page.clone()
            } else {
                folder.join(path)
            };
            ensure!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target)?;
                let found = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| {
                        let title = line.trim_start_matches('#').trim();
                        title.to_lowercase().replace(' ', "-") == anchor
                    });
                ensure!(found, "{}: {link}", page.display());
            }
        }
    }
    Ok(())
}
