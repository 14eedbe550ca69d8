//! Name servers of others, web servers to be found, and our program between them.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process, Signal},
};
use gost_tests::curl;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A program of this name; where it is installed need not be on the path.
fn program(name: &str) -> Option<PathBuf> {
    let sbin = Path::new("/usr/sbin").join(name);
    sbin.exists().then_some(sbin).or_else(|| peers::need(name))
}

/// dnsmasq with some `--address` options.
pub(crate) struct Dnsmasq {
    _process: Process,
    pub(crate) port: u16,
}

impl Dnsmasq {
    /// Nothing when this machine has none.
    pub(crate) async fn start(addresses: &[&str]) -> Result<Option<Self>> {
        let Some(program) = program("dnsmasq") else {
            return Ok(None);
        };
        let port = ports::both();
        let mut process = Launch::new(program)
            .args(["-k", "-C", "/dev/null", "-R", "-h", "-x", "", "-8", "-"])
            .args(["--bind-interfaces", "--listen-address=127.0.0.1"])
            .arg(format!("--port={port}"))
            .args(user().map(|user| format!("--user={user}")))
            .args(addresses.iter().map(|item| format!("--address={item}")))
            .spawn()?;
        process.ready(port).await?;
        Ok(Some(Self {
            _process: process,
            port,
        }))
    }
}

/// Whom programs that give up their rights shall be: us.
fn user() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map(|user| user.name)
}

/// unbound, with all of its protocols and a certificate for `dns.test`.
pub(crate) struct Unbound {
    process: Process,
    pub(crate) folder: TempDir,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) https: u16,
}

/// The names of the server.
const DATA: &str = r#"
  local-zone: "test." static
  local-data: "echo.test. 60 IN A 127.0.0.1"
  local-data: "both.test. 60 IN A 127.0.0.1"
  local-data: "both.test. 60 IN AAAA ::1"
  local-data: "four.test. 60 IN A 127.0.0.1"
  local-data: "brief.test. 1 IN A 127.0.0.1"
"#;

impl Unbound {
    /// Nothing when this machine has none.
    pub(crate) async fn start() -> Result<Option<Self>> {
        let Some(program) = program("unbound") else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        certificate(folder.path()).await?;
        let (plain, tls, https) = (ports::both(), ports::tcp(), ports::tcp());
        let path = folder.path().display();
        // One answer that does not fit into a datagram of 512 bytes.
        let many: Vec<_> = (0..60)
            .map(|i| format!("  local-data: \"large.test. 60 IN A 127.0.{i}.1\""))
            .collect();
        let many = many.join("\n");
        let config = format!(
            "server:
  do-daemonize: no
  use-syslog: no
  log-queries: yes
  rrset-roundrobin: no
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  directory: \"{path}\"
  interface: 127.0.0.1@{plain}
  interface: 127.0.0.1@{tls}
  interface: 127.0.0.1@{https}
  tls-port: {tls}
  https-port: {https}
  tls-service-key: \"{path}/key.pem\"
  tls-service-pem: \"{path}/cert.pem\"
{DATA}{many}
remote-control:
  control-enable: no
"
        );
        let file = folder.path().join("unbound.conf");
        std::fs::write(&file, config)?;
        let mut process = Launch::new(program)
            .args(["-d", "-p", "-c"])
            .arg(&file)
            .spawn()?;
        for port in [plain, tls, https] {
            process.ready(port).await?;
        }
        Ok(Some(Self {
            process,
            folder,
            plain,
            tls,
            https,
        }))
    }

    /// The servers by the schemes that they are asked with.
    pub(crate) fn servers(&self) -> [(&'static str, String); 4] {
        let at = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
        [
            ("udp", at("udp", self.plain)),
            ("tcp", at("tcp", self.plain)),
            ("tls", at("tls", self.tls)),
            ("https", at("https", self.https) + "/dns-query"),
        ]
    }

    /// How often it was asked for the addresses of a name.
    pub(crate) fn asked(&self, name: &str, kind: &str) -> usize {
        let wanted = format!(" {name}. {kind} IN");
        let lines = self.process.lines();
        lines.iter().filter(|line| line.ends_with(&wanted)).count()
    }

    /// Its certificate, for those who shall trust it.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Stops answering.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGKILL)?;
        self.process.exit(PATIENCE).await.map(drop)
    }
}

/// Makes `cert.pem` and `key.pem`, for `dns.test`.
pub(crate) async fn certificate(folder: &Path) -> Result<()> {
    let make = tokio::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-subj", "/CN=dns.test"])
        .args(["-addext", "subjectAltName=DNS:dns.test"])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, make).await??;
    ensure!(output.status.success(), "openssl: {output:?}");
    Ok(())
}

/// Our program with a configuration, as an HTTP and SOCKS proxy.
pub(crate) struct Gost {
    pub(crate) program: gost_tests::Gost,
    pub(crate) port: u16,
}

impl Gost {
    /// Starts it: a service with `keys`, and `sections`. It trusts `certificate`, if any.
    pub(crate) async fn start(
        keys: &str,
        sections: &str,
        certificate: Option<&Path>,
    ) -> Result<Self> {
        let (port, folder) = (ports::tcp(), tempfile::tempdir()?);
        let config = Self::config(port, keys, sections);
        let trust = |launch: Launch| match certificate {
            Some(certificate) => launch.env("SSL_CERT_FILE", certificate),
            None => launch,
        };
        let program = gost_tests::Gost::start_with(folder, &config, port, trust).await?;
        Ok(Self { program, port })
    }

    fn config(port: u16, keys: &str, sections: &str) -> String {
        format!(
            "log: {{level: debug}}
services: [{{name: proxy, addr: '127.0.0.1:{port}', {keys}}}]
{sections}
"
        )
    }

    /// Goes on with another configuration.
    pub(crate) async fn reload(&self, keys: &str, sections: &str) -> Result<()> {
        let config = Self::config(self.port, keys, sections);
        self.program.reload(&config).await
    }

    /// With a resolver of these servers, each a map of YAML.
    pub(crate) async fn resolving(servers: &str, certificate: Option<&Path>) -> Result<Self> {
        let (keys, sections) = resolving(servers);
        Self::start(keys, &sections, certificate).await
    }

    /// What a web server at a host says; empty when it can't be reached.
    pub(crate) async fn get(&self, host: &str, port: u16) -> Result<String> {
        self.get_with("http", host, port).await
    }

    /// The same by one of curl's schemes of proxies.
    pub(crate) async fn get_with(&self, scheme: &str, host: &str, port: u16) -> Result<String> {
        let proxy = format!("{scheme}://127.0.0.1:{}", self.port);
        let url = format!("http://{host}:{port}/");
        let output = curl(&["-f", "-x", &proxy, &url]).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A proxy whose resolver has these servers.
pub(crate) fn resolving(servers: &str) -> (&'static str, String) {
    (
        "resolver: r, handler: {type: auto}",
        format!("resolvers: [{{name: r, nameservers: [{servers}]}}]"),
    )
}

/// Web servers on one port of both families, of which each says which one it is.
pub(crate) async fn web_of_both() -> Result<u16> {
    let (four, six) = loop {
        let four = TcpListener::bind("127.0.0.1:0").await?;
        let port = four.local_addr()?.port();
        match TcpListener::bind(("::1", port)).await {
            Ok(six) => break (four, six),
            // Somebody else has it.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    };
    let port = four.local_addr()?.port();
    serve(four, "four");
    serve(six, "six");
    Ok(port)
}

/// A web server at an address, which says what it is.
pub(crate) async fn web_at(address: &str, says: &'static str) -> Result<u16> {
    let listener = TcpListener::bind((address, 0)).await?;
    let port = listener.local_addr()?.port();
    serve(listener, says);
    Ok(port)
}

fn serve(listener: TcpListener, says: &'static str) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let length = says.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{says}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
}
