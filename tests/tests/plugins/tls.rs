//! Plugins that have TLS.

use std::{path::Path, sync::Arc};

use anyhow::{Result, ensure};
use gost_core::{
    build::{Build, TlsSettings},
    policy::{Asker, Authenticator, Credentials},
    registry::Registry,
    values::Values,
};
use gost_testkit::{PATIENCE, peers};
use tokio::process::Command;

use crate::{BOTH, Plugin};

/// A certificate for `plugin.test`, and its key.
async fn certificate(folder: &Path) -> Result<Option<(String, String)>> {
    let Some(openssl) = peers::need("openssl") else {
        return Ok(None);
    };
    let run = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "1", "-subj", "/CN=plugin.test"])
        .args(["-addext", "subjectAltName=DNS:plugin.test"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-out", "cert.pem", "-keyout", "key.pem"])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await??;
    ensure!(output.status.success(), "openssl: {output:?}");
    let path = |name| folder.join(name).to_string_lossy().into_owned();
    Ok(Some((path("cert.pem"), path("key.pem"))))
}

/// Whether a user is let in who should be.
async fn is_asked(kind: &str, addr: &str, tls: Option<TlsSettings>) -> Result<bool> {
    let mut registry = Registry::new();
    gost_x_plugin::register(&mut registry);
    let registry = Arc::new(registry);
    let values = Values::new().with("addr", addr).with("timeout", "10s");
    let mut build = Build::new(registry.clone());
    build.tls = tls.map(Arc::new);
    let auther = registry.make::<dyn Authenticator>(kind, &values, build);
    let given = Credentials {
        username: "bob".into(),
        password: "secret".into(),
    };
    let id = auther.await?;
    Ok(id.authenticate(&given, &Asker::default()).await.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_verified_where_that_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((cert, key)) = certificate(folder.path()).await? else {
        return Ok(());
    };
    for protocol in BOTH {
        let env = [("CERT", &*cert), ("KEY", &*key)];
        let Some(plugin) = Plugin::start(protocol, "", &env).await? else {
            return Ok(());
        };
        let addr = plugin.addr("auth").replace("http://", "https://");
        let verified = |name: &str| TlsSettings {
            secure: true,
            ca_file: cert.clone(),
            server_name: name.to_owned(),
            ..TlsSettings::default()
        };
        for (what, tls, wanted) in [
            ("not verified", Some(TlsSettings::default()), true),
            ("verified", Some(verified("plugin.test")), true),
            ("of another name", Some(verified("other.test")), false),
            (
                "of nobody's",
                Some(TlsSettings {
                    ca_file: String::new(),
                    ..verified("plugin.test")
                }),
                false,
            ),
            ("by the URL alone", None, false),
        ] {
            let asked = is_asked(protocol, &addr, tls).await?;
            ensure!(asked == wanted, "{protocol}: {what}");
        }
    }
    Ok(())
}
