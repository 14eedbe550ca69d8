//! The listener that binds over a way out.

use std::time::Duration;

use gost_core::{meter::Meter, prelude::*};
use gost_net::sockets::Sockets;

/// How long binding at a node may take.
const BIND: Duration = Duration::from_secs(15);

options! {
    /// Options of the rudp listener.
    pub struct RudpOptions {
        /// How long a client is kept without a datagram in either direction; 0 for the default.
        ttl: Duration = Duration::from_mins(1), "ttl";
        /// Without effect: datagrams of every length are received whole.
        read_buffer_size: usize = 0, "readBufferSize";
        /// How many datagrams of one client may wait; 0 for the default.
        queue: usize = 1024, "readQueueSize";
        /// How many new clients may wait to be accepted; 0 for the default.
        backlog: usize = 128, "backlog";
    }
}

impl RudpOptions {
    pub(crate) fn how(&self) -> BindOptions {
        let default = Self::default();
        let or = |n: usize, other: usize| if n == 0 { other } else { n };
        BindOptions {
            mux: false,
            backlog: or(self.backlog, default.backlog),
            queue: or(self.queue, default.queue),
            ttl: if self.ttl.is_zero() {
                default.ttl
            } else {
                self.ttl
            },
        }
    }
}

/// Listens at the far end of a way out. It binds when first asked for a connection, and again
/// after the bind was lost; until then each try is an error, after which the service waits.
pub struct Remote {
    at: Target,
    how: BindOptions,
    out: Arc<dyn Outbound>,
    bound: Option<Box<dyn Listener>>,
    proxy_protocol: bool,
    meter: Meter,
}

impl Remote {
    /// A listener at `at`, over the way out of `build`; here when it has none.
    pub fn new(at: Target, how: BindOptions, build: &Build) -> Self {
        let out = build
            .door
            .outbound
            .clone()
            .unwrap_or_else(|| Arc::new(Sockets::default()));
        Self {
            at,
            how,
            out,
            bound: None,
            proxy_protocol: build.door.proxy_protocol,
            meter: build.door.meter.clone(),
        }
    }

    /// The bound listener; binds if there is none.
    async fn bound(&mut self) -> Result<&mut Box<dyn Listener>> {
        let listener = if let Some(listener) = self.bound.take() {
            listener
        } else {
            let deadline = std::time::Instant::now() + BIND;
            let ask = Ask {
                deadline: Some(deadline),
                ..Ask::default()
            };
            let bind = self.out.bind(&self.at, &ask, &self.how);
            let listener = ask.within("bind", &self.at, bind).await?;
            tracing::info!("bound {} through {}", listener.addr(), self.out.path());
            listener
        };
        Ok(self.bound.insert(listener))
    }

    fn metered(&self, incoming: Incoming) -> Incoming {
        if self.meter.is_none() {
            return incoming;
        }
        let meter = self.meter.clone();
        incoming.then(|accepted| async move {
            Ok(match accepted {
                Accepted::One(conn) => Accepted::One(gost_net::metered(conn, &meter)),
                many @ Accepted::Many(_) => many,
            })
        })
    }
}

#[async_trait]
impl Listener for Remote {
    async fn accept(&mut self) -> Result<Incoming> {
        let proxy_protocol = self.proxy_protocol;
        let accepted = self.bound().await?.accept().await;
        let accepted = accepted.map(|incoming| self.metered(incoming));
        match accepted {
            Ok(incoming) if proxy_protocol => Ok(incoming.then(|accepted| async {
                match accepted {
                    Accepted::One(conn) => gost_net::proxy_protocol::accept(conn)
                        .await
                        .map(Accepted::One),
                    many @ Accepted::Many(_) => Ok(many),
                }
            })),
            Ok(incoming) => Ok(incoming),
            Err(error) => {
                // The bind is lost, not the listener: it is made again at the next try.
                self.bound = None;
                Err(if error.why() == Why::Closed {
                    error.why_set(Why::Reset)
                } else {
                    error
                }
                .context(format_args!("bind {}", self.at)))
            }
        }
    }

    /// The address that was given until the far end has told its own.
    fn addr(&self) -> Addr {
        self.bound
            .as_ref()
            .map_or_else(|| self.at.addr.clone(), |bound| bound.addr())
    }

    fn network(&self) -> Network {
        self.at.network
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use gost_core::outbound::PathId;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A far end whose first bind fails, and whose binds yield one connection each.
    #[derive(Default)]
    struct FarEnd(AtomicUsize);

    struct OneConn(bool);

    #[async_trait]
    impl Outbound for FarEnd {
        async fn connect(&self, _: &Target, _: &Ask) -> Result<Conn> {
            Err(Error::new(Why::Unsupported, "only bind"))
        }

        async fn bind(&self, at: &Target, _: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
            assert_eq!(at.addr, Addr::wildcard(2222));
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::new(Why::Unreachable, "node is away")),
                _ => Ok(Box::new(OneConn(false))),
            }
        }

        fn path(&self) -> PathId {
            PathId::direct().and("far")
        }
    }

    #[async_trait]
    impl Listener for OneConn {
        async fn accept(&mut self) -> Result<Incoming> {
            if std::mem::replace(&mut self.0, true) {
                return Err(Error::new(Why::Closed, "session ended"));
            }
            let (mut near, far) = tokio::io::duplex(8);
            tokio::io::AsyncWriteExt::write_all(&mut near, b"hello").await?;
            Ok(Incoming::ready(
                Addr::Any,
                Conn::stream(far, Meta::default()),
            ))
        }

        fn addr(&self) -> Addr {
            Addr::wildcard(40000)
        }
    }

    #[test]
    fn zeros_mean_the_defaults() {
        use gost_core::{options::Options as _, values::Values};

        let how = |values: Values| {
            let mut errors = Vec::new();
            let how = RudpOptions::read(&values, &mut errors).how();
            assert_eq!(errors, []);
            (how.ttl.as_secs(), how.queue, how.backlog)
        };
        let zeros = Values::new()
            .with("ttl", "0")
            .with("readQueueSize", "0")
            .with("backlog", "0");
        assert_eq!(how(zeros), (60, 1024, 128));
        let given = Values::new()
            .with("ttl", "7")
            .with("readQueueSize", "8")
            .with("backlog", "9")
            .with("readBufferSize", "1");
        assert_eq!(how(given), (7, 8, 9));
    }

    #[tokio::test]
    async fn it_binds_again_after_the_bind_was_lost() {
        let mut build = Build::new(Arc::default());
        build.addr = ":2222".into();
        let far = Arc::new(FarEnd::default());
        build.door.outbound = Some(far.clone());
        let at = Target::tcp(crate::address(&build).unwrap());
        let mut remote = Remote::new(at, BindOptions::default(), &build);
        assert_eq!(remote.accept().await.unwrap_err().why(), Why::Unreachable);
        for round in 2..5 {
            let Accepted::One(conn) = remote.accept().await.unwrap().finish().await.unwrap() else {
                panic!("a session");
            };
            assert_eq!(remote.addr(), Addr::wildcard(40000));
            let mut text = String::new();
            conn.into_stream()
                .unwrap()
                .0
                .read_to_string(&mut text)
                .await
                .unwrap();
            assert_eq!(text, "hello");
            let error = remote.accept().await.unwrap_err();
            assert_eq!(error.why(), Why::Reset, "the service must try again");
            assert_eq!(far.0.load(Ordering::Relaxed), round);
        }
    }
}
