//! The auto handler.

use bytes::BytesMut;
use gost_core::{prelude::*, stream::read_more};

/// Looks at the first byte of a connection and gives it to the handler of that protocol.
pub struct Auto {
    socks4: Option<Arc<dyn Handler>>,
    socks5: Option<Arc<dyn Handler>>,
    http: Option<Arc<dyn Handler>>,
}

impl Auto {
    /// Builds the handlers that the registry has, from the options of this one.
    pub async fn build(build: &Build) -> Result<Self> {
        Ok(Self {
            socks4: part(build, "socks4").await?,
            socks5: part(build, "socks5").await?,
            http: part(build, "http").await?,
        })
    }
}

async fn part(build: &Build, name: &str) -> Result<Option<Arc<dyn Handler>>> {
    if build.registry.has::<dyn Handler>(name) {
        build.make::<dyn Handler>(name).await.map(Some)
    } else {
        Ok(None)
    }
}

#[async_trait]
impl Handler for Auto {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let (mut stream, meta) = conn.into_stream()?;
        let mut first = BytesMut::new();
        read_more(&mut *stream, &mut first).await?;
        let (name, handler) = match first.first() {
            Some(4) => ("socks4", &self.socks4),
            Some(5) => ("socks5", &self.socks5),
            _ => ("http", &self.http),
        };
        let conn = Conn {
            io: Io::Stream(stream),
            meta,
        }
        .prefixed(first.freeze());
        match handler {
            Some(handler) => handler.handle(conn, session).await,
            None => Err(Error::new(
                Why::Unsupported,
                format!("this program was built without {name}"),
            )),
        }
    }
}
