//! The single sections.

use super::{Auth, schema};

schema! {
    /// How a logger logs.
    pub struct Log {
        /// `stderr`, `stdout`, `none` or a file.
        output: String => "output";
        /// `trace`, `debug`, `info`, `warn`, `error`, `fatal`.
        level: String => "level";
        /// `json` or `text`.
        format: String => "format";
        /// When the file is changed for a new one.
        rotation: Option<LogRotation> => "rotation";
    }

    /// When a file is changed for a new one, and how many old ones are kept.
    pub struct LogRotation {
        /// Megabytes; 0 for 100.
        max_size: i64 => "maxSize";
        /// Days that old files are kept; 0 for ever.
        max_age: i64 => "maxAge";
        /// Old files that are kept; 0 for all.
        max_backups: i64 => "maxBackups";
        /// Local time in names of old files, instead of UTC.
        local_time: bool => "localTime";
        /// Compress old files.
        compress: bool => "compress";
    }

    /// The profiling server.
    pub struct Profiling {
        /// Address; empty for `:6060`.
        addr: String => "addr".always();
    }

    /// The web API.
    pub struct Api {
        /// Address, or `unix://` and a path.
        addr: String => "addr".always();
        /// Prefix of its paths.
        path_prefix: String => "pathPrefix";
        /// Log each request.
        accesslog: bool => "accesslog";
        /// The one user.
        auth: Option<Auth> => "auth";
        /// An authenticator by name.
        auther: String => "auther";
    }

    /// The metrics server.
    pub struct Metrics {
        /// Address, or `unix://` and a path; empty for none.
        addr: String => "addr".always();
        /// Path; empty for `/metrics`.
        path: String => "path";
        /// The one user.
        auth: Option<Auth> => "auth";
        /// An authenticator by name; it replaces `auth`.
        auther: String => "auther";
    }
}
