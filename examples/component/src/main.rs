//! A gost of one's own, with a handler and a dialer that the original does not have.
//!
//! Together they hide a service behind a word: the dialer `knock` says it as soon as it has
//! reached its node, and the handler `knock` forwards who has said it and hangs up on others.
//!
//!     knock -L "knock://:9000/127.0.0.1:22?word=sesame"
//!     knock -L tcp://:2222 -F "forward+knock://server:9000?word=sesame"

use std::process::ExitCode;

// The prelude has the traits, the types that they speak, and the macro `options!`.
use gost_core::prelude::*;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

options! {
    /// Keys of both components: from this come the reader, the defaults and the manual.
    pub struct KnockOptions {
        /// What has to be said first.
        word: String = String::new(), "knock.word" | "word";
    }
}

/// Handler and dialer are small enough to be one type.
struct Knock {
    word: String,
}

impl Knock {
    /// What the registry calls with the options that it has read. An error here is one in the
    /// configuration: it is reported with its place, and nothing is started.
    fn new(options: KnockOptions) -> Result<Arc<Self>> {
        let KnockOptions { word } = options;
        if word.is_empty() {
            return Err(Error::new(Why::BadInput, "knock: a word is needed"));
        }
        Ok(Arc::new(Self { word }))
    }
}

#[async_trait]
impl Handler for Knock {
    // The service keeps a deadline (`readTimeout`) until the handler opens something: there is
    // no need for one here.
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let (mut client, meta) = conn.into_stream()?;
        let mut said = vec![0; self.word.len()];
        client.read_exact(&mut said).await?;
        if !bool::from(said.ct_eq(self.word.as_bytes())) {
            return Err(Error::new(Why::Auth, "wrong word").side(Side::Client));
        }
        // A node of the service's forwarder, through its chain, with retries, marks and a record.
        let upstream = session.forward(&Hint::default()).await?;
        // Who relays is not this future: it ends here, and what it held is freed.
        let io = Io::Stream(client);
        Ok(Next::Relay(Conn { io, meta }, upstream))
    }
}

#[async_trait]
impl Dialer for Knock {
    // `below` is the way to the node: a socket, or the nodes before it in the chain.
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let conn = below.connect(&Target::tcp(node.addr.clone()), ask).await?;
        let (mut stream, meta) = conn.into_stream()?;
        let knock = async {
            stream.write_all(self.word.as_bytes()).await?;
            Ok(stream.flush().await?)
        };
        ask.within("knock at", node, knock).await?;
        let io = Io::Stream(stream);
        Ok(Conn { io, meta })
    }
}

fn main() -> ExitCode {
    let mut components = gost::components();
    components.add::<dyn Handler, _, _>(&["knock"], |options, _| async {
        Ok(Knock::new(options)? as Arc<dyn Handler>)
    });
    components.add::<dyn Dialer, _, _>(&["knock"], |options, _| async {
        Ok(Knock::new(options)? as Arc<dyn Dialer>)
    });
    gost::run(components)
}
