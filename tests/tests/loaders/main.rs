//! Lists that are loaded: from files that change, from URLs that fail, and from a redis that several
//! daemons share and that dies.

mod discovery;
mod refused;
mod routes;
mod scaling;
mod sources;
mod table;

use std::{future::Future, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use gost_testkit::PATIENCE;
use gost_tests::{curl, gost_output};

/// What the program says of a configuration that it does not start with.
async fn refused(config: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    std::fs::write(&file, config)?;
    refused_with(&["-C", &file.to_string_lossy()]).await
}

/// What the program says of arguments that it does not start with.
async fn refused_with(args: &[&str]) -> Result<String> {
    let output = gost_output(args).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.code() == Some(1), "{args:?}: {text}");
    Ok(text)
}

/// True when curl gets the page through a proxy.
async fn passes(proxy: &str, more: &[&str], url: &str) -> Result<bool> {
    let args = [more, &["-x", proxy, url]].concat();
    Ok(curl(&args).await?.stdout == b"hello")
}

/// Waits until something is so.
async fn until<F>(what: &str, mut is_so: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let waiting = async {
        while !is_so().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .with_context(|| format!("never: {what}"))?
}

fn write(file: &Path, text: &str) -> Result<()> {
    // As editors do: nobody ever sees half a file.
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, file)?)
}
