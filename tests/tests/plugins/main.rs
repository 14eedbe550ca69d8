//! Plugins of every kind, in another language, over both protocols: what is asked and answered, and
//! what is done when one fails.

mod failing;
mod kinds;
mod tls;
mod working;

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use gost_core::{
    build::Build,
    registry::{Kind, Registry},
    values::Values,
};
use gost_testkit::{
    PATIENCE, peers,
    process::{Launch, Process},
};
use serde_json::Value;
use tokio::{process::Command, sync::OnceCell};

/// Both protocols.
const BOTH: [&str; 2] = ["http", "grpc"];

/// The Python that has what the plugin needs: of several one may. Says so when there is none.
async fn python() -> Option<&'static PathBuf> {
    static FOUND: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let found = FOUND.get_or_init(|| async {
        peers::need("protoc")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        for program in std::env::split_paths(&path).map(|folder| folder.join("python3")) {
            let run = Command::new(&program)
                .args(["-c", "import grpc, google.protobuf"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .status();
            if matches!(tokio::time::timeout(PATIENCE, run).await, Ok(Ok(s)) if s.success()) {
                return Some(program);
            }
        }
        peers::skip("grpcio of Python");
        None
    });
    found.await.as_ref()
}

/// A plugin of every kind.
struct Plugin {
    process: Process,
    protocol: &'static str,
    port: u16,
}

impl Plugin {
    /// Starts one; nothing when this machine can't run it. `mode` is how it fails, or empty.
    async fn start(
        protocol: &'static str,
        mode: &str,
        env: &[(&str, &str)],
    ) -> Result<Option<Self>> {
        let Some(python) = python().await else {
            return Ok(None);
        };
        let folder = env!("CARGO_MANIFEST_DIR");
        let mut launch = Launch::new(python)
            .arg(format!("{folder}/peers/plugin/plugin.py"))
            .arg(protocol)
            .arg(format!("{folder}/../crates/x-plugin/proto/plugin.proto"))
            .arg(mode);
        for (key, value) in env {
            launch = launch.env(key, value);
        }
        let process = launch.spawn()?;
        let line = process.line("listening ").await?;
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
        Ok(Some(Self {
            process,
            protocol,
            port: port.context("a port")?,
        }))
    }

    /// Where it is asked about a kind.
    fn addr(&self, kind: &str) -> String {
        match self.protocol {
            "http" => format!("http://127.0.0.1:{}/{kind}", self.port),
            _ => format!("127.0.0.1:{}", self.port),
        }
    }

    /// A component that asks it.
    async fn made<K: Kind + ?Sized>(&self, kind: &str, timeout: &str) -> Result<K::Made> {
        let mut registry = Registry::new();
        gost_x_plugin::register(&mut registry);
        let registry = Arc::new(registry);
        let values = Values::new()
            .with("addr", self.addr(kind))
            .with("token", "open sesame")
            .with("timeout", timeout);
        let build = Build::new(registry.clone());
        Ok(registry.make::<K>(self.protocol, &values, build).await?)
    }

    /// The keys of a section whose plugin it is.
    fn section(&self, kind: &str, more: &str) -> String {
        let (protocol, addr) = (self.protocol, self.addr(kind));
        format!("plugin: {{type: {protocol}, addr: '{addr}', token: open sesame{more}}}")
    }

    /// The questions about a kind so far: what was asked, and the token.
    fn questions(&self, kind: &str) -> Vec<(Value, String)> {
        let lines = self.process.lines();
        let lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["kind"] == kind)
            .map(|line| {
                let token = line["token"].as_str().unwrap_or_default();
                (line["request"].clone(), token.to_owned())
            })
            .collect()
    }

    /// A question about a kind that fits; waits for it to be noted.
    async fn asked(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = async {
            loop {
                let mut questions = self.questions(kind).into_iter();
                if let Some(found) = questions.find(|(question, _)| fits(question)) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        let all = || format!("{kind}: {:?}", self.questions(kind));
        let (question, token) = found.with_context(all)?;
        let wanted = match self.protocol {
            "http" => "Bearer open sesame",
            _ => "open sesame",
        };
        ensure!(token == wanted, "{kind}: token {token:?}");
        Ok(question)
    }
}

/// True for a question that has these fields, and perhaps more.
fn says(fields: &Value) -> impl Fn(&Value) -> bool + use<> {
    let fields = fields.as_object().cloned().unwrap_or_default();
    move |question| fields.iter().all(|(key, value)| question[key] == *value)
}
