//! Keys of the channel.

use std::{fmt, time::Duration};

use gost_core::{
    options,
    values::{FromValue, Value},
};
use gost_mux::PoolOptions;

options! {
    /// Keys of both ends. Nothing is negotiated: key, cipher, compression and the version of smux
    /// must be the same at both.
    pub struct KcpOptions {
        /// A JSON file with settings, as kcptun has it. The keys below go before it.
        file: String = String::new(), "kcp.configFile" | "configFile" | "c";
        /// The same settings, as an object; after the file.
        object: Object = Object::default(), "kcp.config" | "config";
        /// The text that the key is derived from. When it is empty, everybody knows the key.
        key: KeyText = KeyText::default(), "kcp.key";
        /// The cipher: aes, aes-128, aes-192, sm4, twofish, blowfish, cast5, 3des, tea, xtea,
        /// salsa20, xor or none.
        crypt: Option<String> = None, "kcp.crypt";
        /// A preset: normal, fast, fast2 or fast3.
        mode: Option<String> = None, "kcp.mode";
        /// The longest datagram, in bytes; 0 for 1400.
        mtu: Option<i64> = None, "kcp.mtu";
        /// How many segments may be on their way; 0 for 32.
        send_window: Option<i64> = None, "kcp.sndwnd";
        /// How many segments may wait to be read; 0 for 32.
        receive_window: Option<i64> = None, "kcp.rcvwnd";
        /// The interval of the protocol in milliseconds, at least 10.
        interval: Option<i64> = None, "kcp.interval";
        /// Seconds between two signs of life; 0 for 10.
        keepalive: Option<i64> = None, "kcp.keepalive";
        /// The version of smux, 1 or 2; 0 for 1.
        smux_version: Option<i64> = None, "kcp.smuxver";
        /// Bytes that may wait to be read in all streams of a session; 0 for the socket buffer.
        smux_buffer: Option<i64> = None, "kcp.smuxbuf";
        /// Bytes that may wait to be read in a stream (version 2); 0 for half the socket buffer.
        stream_buffer: Option<i64> = None, "kcp.streambuf";
        /// Do not compress.
        no_compression: Option<bool> = None, "kcp.nocomp";
        /// Packets that look like TCP instead of UDP; needs the right to open raw sockets.
        tcp: Option<bool> = None, "kcp.tcp" | "tcp";
    }
}

options! {
    /// Options of the kcp listener.
    pub struct KcpListenerOptions {
        /// How many sessions may wait to be served; 0 for the default.
        backlog: usize = 128, "backlog";
        ..kcp: KcpOptions;
    }
}

options! {
    /// Options of the kcp dialer.
    pub struct KcpDialerOptions {
        /// Known for the sake of configurations that give it: kcp has no handshake.
        handshake_timeout: Duration = Duration::ZERO, "handshakeTimeout";
        ..kcp: KcpOptions;
        ..pool: PoolOptions;
    }
}

/// A text to derive a key from, if one was given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyText(pub(crate) Option<String>);

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText")
    }
}

impl FromValue for KeyText {
    const KIND: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        String::from_value(value).map(|text| Self(Some(text)))
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// Settings inside a configuration.
#[derive(Clone, Default, PartialEq)]
pub struct Object(pub(crate) Option<serde_json::Value>);

// They may hold a key.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Object")
    }
}

impl FromValue for Object {
    const KIND: &'static str = "an object with settings";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self(None)),
            Value::Map(_) => json(value).map(|json| Self(Some(json))),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.0
            .as_ref()
            .map_or_else(String::new, ToString::to_string)
    }
}

fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => i64::try_from(*n).ok()?.into(),
        Value::Float(n) => (*n).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => items.iter().map(json).collect::<Option<Vec<_>>>()?.into(),
        Value::Map(map) => {
            let entries = map.iter().map(|(k, v)| Some((k.clone(), json(v)?)));
            entries.collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
    })
}
