//! A plugin of either protocol, asked within a time, with one line of the log when it fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use gost_core::{
    build::Build,
    error::{Error, Result, Why},
    options,
};
use gost_tls::ClientTls;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::{
    error::PluginError,
    grpc::{self, GrpcPlugin},
    http::{self, HttpPlugin, Url},
    messages::{Call, OkReply},
};

/// How long an answer may take when nothing is configured.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often the failures of a plugin are a line of the log.
const COMPLAINT: Duration = Duration::from_secs(30);

options! {
    /// Options of a component that asks a plugin. TLS toward it is set by `tls`.
    pub struct PluginOptions {
        /// Where it is: `host:port` or `unix:path` for gRPC, a URL for HTTP.
        addr: String = String::new(), "addr";
        /// How long an answer may take; zero for the default.
        timeout: Duration = TIMEOUT, "timeout";
        /// Sent with each call: as metadata `token` over gRPC, as `Authorization: Bearer` over
        /// HTTP.
        token: String = String::new(), "token";
    }
}

/// How a plugin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

enum Transport {
    Grpc(GrpcPlugin),
    Http(Box<HttpPlugin>),
}

/// A plugin.
pub(crate) struct Client {
    /// Where it is configured, and where it is.
    what: String,
    transport: Transport,
    timeout: Duration,
    complaints: Complaints,
}

impl Client {
    /// The plugin of a component. Nothing is connected before the first question.
    ///
    /// # Errors
    /// Where it is said to be can't be understood, its token can't be sent, or its TLS settings
    /// are not good.
    pub(crate) fn new(
        protocol: Protocol,
        options: &PluginOptions,
        build: &Build,
    ) -> Result<Arc<Self>> {
        let timeout = match options.timeout {
            Duration::ZERO => TIMEOUT,
            timeout => timeout,
        };
        let (transport, at) = match protocol {
            Protocol::Grpc => {
                let target = grpc::target(&options.addr).map_err(|e| bad("addr", e))?;
                let settings = build.tls.as_deref().map(grpc::tls_settings);
                let name = settings.as_ref().map(|tls| tls.server_name.clone());
                let tls = settings.map(|tls| client_tls(build, tls)).transpose()?;
                let at = format!("grpc {}", target.addr);
                let name = name.unwrap_or_default();
                let made = GrpcPlugin::new(target, &options.token, tls, &name, timeout);
                (Transport::Grpc(made.map_err(|e| bad("plugin", e))?), at)
            }
            Protocol::Http => {
                let url = Url::parse(&options.addr).map_err(|e| bad("addr", e))?;
                let at = url.shown();
                let tls = if url.has_tls() {
                    let settings = http::tls_settings(build.tls.as_deref());
                    Some(client_tls(build, settings)?)
                } else {
                    None
                };
                let made = HttpPlugin::new(url, &options.token, tls, timeout);
                let made = made.map_err(|e| bad("plugin", e))?;
                (Transport::Http(Box::new(made)), at)
            }
        };
        Ok(Arc::new(Self {
            what: format!("{}: plugin {at}", build.place),
            transport,
            timeout,
            complaints: Complaints::default(),
        }))
    }

    /// How it is asked.
    pub(crate) const fn protocol(&self) -> Protocol {
        match self.transport {
            Transport::Grpc(_) => Protocol::Grpc,
            Transport::Http(_) => Protocol::Http,
        }
    }

    /// Asks. A failure is logged, unless others were lately.
    pub(crate) async fn call<C: Call>(&self, question: C) -> Result<C::Reply, PluginError> {
        let answer = self.exchange(question).await;
        self.note(answer.as_ref().err());
        answer
    }

    /// Asks, for those who pass the error on.
    pub(crate) async fn ask<C: Call>(&self, question: C) -> Result<C::Reply> {
        let answer = self.call(question).await;
        answer.map_err(|e| e.into_error(&self.what))
    }

    /// Tells something; what is not taken is an error.
    pub(crate) async fn tell<C: Call<Reply = OkReply>>(&self, what: C) -> Result<()> {
        let told = match self.exchange(what).await {
            Ok(reply) if reply.ok => Ok(()),
            Ok(_) => Err(PluginError::NotOk),
            Err(error) => Err(error),
        };
        self.note(told.as_ref().err());
        told.map_err(|e| e.into_error(&self.what))
    }

    async fn exchange<C: Call>(&self, question: C) -> Result<C::Reply, PluginError> {
        let late = |_| PluginError::TimedOut(self.timeout);
        match &self.transport {
            Transport::Grpc(plugin) => {
                let connection = plugin.connection();
                let answer = timeout(self.timeout, plugin.call(&connection, question)).await;
                if answer.is_err() {
                    plugin.abandon(&connection);
                }
                answer.map_err(late)?
            }
            Transport::Http(plugin) => {
                let answer = timeout(self.timeout, plugin.call(&question)).await;
                answer.map_err(late)?
            }
        }
    }

    fn note(&self, failure: Option<&PluginError>) {
        match failure {
            None => self.complaints.success(&self.what),
            Some(error) => self.complaints.failure(&self.what, error),
        }
    }
}

fn bad(key: &str, what: impl std::fmt::Display) -> Error {
    Error::new(Why::BadInput, format!("{key}: {what}"))
}

fn client_tls(build: &Build, settings: gost_core::build::TlsSettings) -> Result<Arc<ClientTls>> {
    let mut build = build.clone();
    build.tls = Some(Arc::new(settings));
    gost_tls::dialer_upgrade(&build)
}

/// Says that a plugin fails, at most so often, and that it is over.
#[derive(Default)]
struct Complaints {
    /// Failures since the last line.
    failures: AtomicU64,
    /// True from a line about a failure to the next success.
    is_failing: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Complaints {
    fn failure(&self, what: &str, error: &PluginError) {
        self.failures.fetch_add(1, Relaxed);
        if self.is_time() {
            let failures = self.failures.swap(0, Relaxed);
            self.is_failing.store(true, Relaxed);
            tracing::warn!(failures, "{what}: {error}");
        }
    }

    fn is_time(&self) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock();
        let is_time = last.is_none_or(|last| now.duration_since(last) >= COMPLAINT);
        if is_time {
            *last = Some(now);
        }
        is_time
    }

    fn success(&self, what: &str) {
        if self.is_failing.load(Relaxed) && self.is_failing.swap(false, Relaxed) {
            tracing::info!("{what}: answers again");
        }
    }
}
