//! Blocks that several structures have: users, TLS, selectors, plugins, loaders.

use super::schema;
use crate::scalar::{Nanos, Secret};

schema! {
    /// A user and password.
    pub struct Auth {
        /// User name.
        username: String => "username";
        /// Password; empty for any where users are checked.
        password: Secret => "password";
        /// A file whose first line has user and password.
        file: String => "file";
    }

    /// Certificates and TLS options, of a server or a client.
    pub struct Tls {
        /// PEM certificate chain.
        cert_file: String => "certFile";
        /// PEM private key.
        key_file: String => "keyFile";
        /// PEM certificates that the other side must have one under.
        ca_file: String => "caFile";
        /// Client: verify the server.
        secure: bool => "secure";
        /// Client: name to ask for and to verify.
        server_name: String => "serverName";
        /// Versions, suites and protocols.
        options: Option<TlsOptions> => "options";
        /// Life of a generated certificate; global section only.
        validity: Nanos => "validity";
        /// Name in a generated certificate; global section only.
        common_name: String => "commonName";
        /// Organization in a generated certificate; global section only.
        organization: String => "organization";
        /// Server: refuse clients that ask for no name, or not for one of `server_names`.
        reject_unknown_sni: bool => "rejectUnknownSNI";
        /// Server: names that clients may ask for.
        server_names: Vec<String> => "serverNames";
    }

    /// Versions, suites and protocols of TLS.
    pub struct TlsOptions {
        /// `VersionTLS10` to `VersionTLS13`.
        min_version: String => "minVersion";
        /// `VersionTLS10` to `VersionTLS13`.
        max_version: String => "maxVersion";
        /// Suites of TLS 1.2 by their constant names in Go.
        cipher_suites: Vec<String> => "cipherSuites";
        /// Application protocols.
        alpn: Vec<String> => "alpn";
    }

    /// Options of outgoing sockets; deprecated in favour of metadata.
    pub struct SockOpts {
        /// `SO_MARK`.
        mark: i64 => "mark";
    }

    /// How one of several is chosen, and when a failed one is tried again.
    pub struct Selector {
        /// `round`, `rand`, `fifo`, `hash`, `parallel`, `lowestlatency`.
        strategy: String => "strategy".always();
        /// Failures after which an item counts as failed; 0 for 1.
        max_fails: i64 => "maxFails".always();
        /// How long it counts as failed; 0 for 10 s.
        fail_timeout: Nanos => "failTimeout".always();
        /// Slower nodes are left out; 0 for none.
        max_latency: Nanos => "maxLatency";
    }

    /// A program that does the work of a component.
    pub struct Plugin {
        /// `http`, or `grpc` for anything else.
        r#type: String => "type".always();
        /// Address or URL.
        addr: String => "addr".always();
        /// TLS toward it.
        tls: Option<Tls> => "tls";
        /// How long a call may take; 0 for no limit.
        timeout: Nanos => "timeout";
        /// Token that it asks for.
        token: Secret => "token";
    }

    /// Entries from a file.
    pub struct FileLoader {
        /// Path.
        path: String => "path".always();
    }

    /// Entries from redis.
    pub struct RedisLoader {
        /// Address.
        addr: String => "addr".always();
        /// Number of the database.
        db: i64 => "db";
        /// User name.
        username: String => "username";
        /// Password.
        password: Secret => "password";
        /// Key; empty for `gost`.
        key: String => "key";
        /// Type of the value: `hash`, `set`, `list`.
        r#type: String => "type";
    }

    /// Entries from a URL.
    pub struct HttpLoader {
        /// URL.
        url: String => "url".always();
        /// How long it may take; 0 for no limit.
        timeout: Nanos => "timeout";
    }
}
