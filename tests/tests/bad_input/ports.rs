//! One gost with a port for every protocol and channel, and the bytes that each takes ill.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context as _, Result};
use gost_testkit::{peers, ports, process::Launch, process::Process, tcp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a client may take until it has asked for something.
pub(crate) const DEADLINE: Duration = Duration::from_millis(1500);

/// A port, and what its clients may send by mistake or in malice.
pub(crate) struct Port {
    pub(crate) name: &'static str,
    handler: &'static str,
    listener: &'static str,
    /// The beginning of something right.
    pub(crate) beginning: &'static [u8],
    /// What is said to who speaks another protocol, as it begins: empty where the protocol has no
    /// words for that.
    pub(crate) refusal: &'static [u8],
    /// More than anybody needs to say who he is and where he wants to go.
    pub(crate) oversized: Oversized,
}

/// A message that is too large, and how its refusal begins.
pub(crate) struct Oversized {
    pub(crate) head: &'static [u8],
    /// Comes again and again behind it.
    pub(crate) filler: u8,
    pub(crate) refusal: &'static [u8],
}

const HTTP_HEAD: &[u8] = b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\n";
const WS_HEAD: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n";
const TLS_HEAD: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
/// A fatal alert.
const TLS_ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 ";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 ";

const LONG_HEADER: Oversized = Oversized {
    head: b"GET http://127.0.0.1/ HTTP/1.1\r\nA: ",
    filler: b'x',
    refusal: TOO_LARGE,
};

const LONG_RECORD: Oversized = Oversized {
    head: b"\x16\x03\x01\xff\xff",
    filler: b'x',
    refusal: TLS_ALERT,
};

/// Every port. Forwarding has none: whatever comes is the target's to judge.
pub(crate) static PORTS: &[Port] = &[
    Port {
        name: "auto",
        handler: "auto",
        listener: "tcp",
        beginning: b"\x05\x01",
        refusal: BAD_REQUEST,
        oversized: LONG_HEADER,
    },
    Port {
        name: "http",
        handler: "http",
        listener: "tcp",
        beginning: HTTP_HEAD,
        refusal: BAD_REQUEST,
        oversized: LONG_HEADER,
    },
    Port {
        name: "socks4",
        handler: "socks4",
        listener: "tcp",
        beginning: b"\x04\x01\x00\x50\x7f\x00\x00\x01us",
        refusal: b"",
        oversized: Oversized {
            head: b"\x04\x01\x00\x50\x7f\x00\x00\x01",
            filler: b'u',
            refusal: b"\x00\x5b",
        },
    },
    Port {
        name: "socks5",
        handler: "socks5",
        listener: "tcp",
        beginning: b"\x05\xff\x01\x02",
        refusal: b"",
        // As many methods as there can be, and none that is known.
        oversized: Oversized {
            head: b"\x05\xff",
            filler: 0x77,
            refusal: b"\x05\xff",
        },
    },
    Port {
        name: "relay",
        handler: "relay",
        listener: "tcp",
        beginning: b"\x01\x01\x00\x08\x02\x00\x05",
        refusal: b"",
        // Features which announce more than there is.
        oversized: Oversized {
            head: b"\x01\x01\xff\xff\x02\xff\xfe",
            filler: 0x7f,
            refusal: b"",
        },
    },
    Port {
        name: "proxy-protocol",
        handler: "http",
        listener: "tcp",
        beginning: b"PROXY TCP4 192.0.2.1 192.0.2",
        // Who sends no such header is a client like others.
        refusal: BAD_REQUEST,
        oversized: Oversized {
            head: b"PROXY TCP4 ",
            filler: b'1',
            refusal: b"",
        },
    },
    Port {
        name: "mtcp",
        handler: "relay",
        listener: "mtcp",
        beginning: b"\x02\x00",
        refusal: b"",
        // A frame of data for a stream that nobody has opened, and another version behind it.
        oversized: Oversized {
            head: b"\x02\x02\xff\xff\x01\x00\x00\x00",
            filler: b'z',
            refusal: b"",
        },
    },
    Port {
        name: "tls",
        handler: "relay",
        listener: "tls",
        beginning: TLS_HEAD,
        refusal: TLS_ALERT,
        oversized: LONG_RECORD,
    },
    Port {
        name: "mtls",
        handler: "relay",
        listener: "mtls",
        beginning: TLS_HEAD,
        refusal: TLS_ALERT,
        oversized: LONG_RECORD,
    },
    Port {
        name: "ws",
        handler: "relay",
        listener: "ws",
        beginning: WS_HEAD,
        refusal: BAD_REQUEST,
        oversized: LONG_HEADER,
    },
    Port {
        name: "mwss",
        handler: "relay",
        listener: "mwss",
        beginning: TLS_HEAD,
        refusal: TLS_ALERT,
        oversized: LONG_RECORD,
    },
];

impl Port {
    fn service(&self, port: u16) -> Value {
        let mut service = json!({
            "name": self.name,
            "addr": format!("127.0.0.1:{port}"),
            "handler": {
                "type": self.handler,
                "metadata": {"readTimeout": format!("{}ms", DEADLINE.as_millis())},
            },
            "listener": {"type": self.listener},
        });
        if self.name == "proxy-protocol" {
            service["metadata"] = json!({"proxyProtocol": 1});
        }
        service
    }
}

/// The running gost, with a forward to an echo beside the ports.
pub(crate) struct Gost {
    pub(crate) process: Process,
    ports: HashMap<&'static str, u16>,
    pub(crate) forward: u16,
    _echo: tcp::Server,
    _folder: TempDir,
}

impl Gost {
    pub(crate) async fn start() -> Result<Self> {
        let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
        let forward = ports::tcp();
        let mut numbers = HashMap::new();
        let mut services = vec![json!({
            "name": "forward",
            "addr": format!("127.0.0.1:{forward}"),
            "handler": {"type": "tcp"},
            "listener": {"type": "tcp"},
            "forwarder": {"nodes": [{"name": "echo", "addr": echo.address().to_string()}]},
        })];
        for port in PORTS {
            let number = ports::tcp();
            numbers.insert(port.name, number);
            services.push(port.service(number));
        }
        let config = json!({"services": services, "log": {"level": "debug"}});
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gost.json");
        fs::write(&file, serde_json::to_vec(&config)?)?;
        let process = Launch::new(peers::gost_bin()?)
            .arg("-C")
            .arg(&file)
            .spawn()?;
        for number in numbers.values().chain([&forward]) {
            process
                .line(&format!("listening on 127.0.0.1:{number}"))
                .await?;
        }
        Ok(Self {
            process,
            ports: numbers,
            forward,
            _echo: echo,
            _folder: folder,
        })
    }

    pub(crate) fn number(&self, port: &Port) -> Result<u16> {
        let number = self.ports.get(port.name).copied();
        number.context("no such port")
    }

    /// The lines of the log about one client of one service, as their levels and texts.
    pub(crate) fn log_of(&self, service: &str, client: u16) -> Vec<(String, String)> {
        let client = format!("127.0.0.1:{client}");
        self.process
            .lines()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| {
                // A session below the streams is the channel's to speak of, which knows no service.
                let of_service = line["service"] == service || line.get("service").is_none();
                of_service && (line["client"] == client.as_str() || line["peer"] == client.as_str())
            })
            .map(|line| {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                (text("level"), text("msg"))
            })
            .collect()
    }
}
