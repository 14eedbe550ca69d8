//! Which handler gets a connection, and with which bytes.

use std::{net::SocketAddr, time::Duration};

use gost_core::{build::Door, prelude::*, values::Values};
use gost_net::{listen, sockets::Sockets};
use gost_service::{Service, Serving};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

options! {
    /// Options of the handlers in these tests.
    struct PartOptions {
        /// A number to be told.
        mark: u32 = 0, "mark";
    }
}

/// Tells its name, its option and all that it reads.
struct Part(&'static str, u32);

#[async_trait]
impl Handler for Part {
    async fn handle(&self, conn: Conn, _: &mut Session) -> Result<Next> {
        let (mut stream, _) = conn.into_stream()?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        let told = format!("{} {} {}", self.0, self.1, String::from_utf8_lossy(&said));
        stream.write_all(told.as_bytes()).await?;
        stream.shutdown().await?;
        Ok(Next::Done)
    }
}

/// The handler `auto`, made of the parts of these names.
async fn auto(parts: &[&'static str], values: &Values) -> Result<Arc<dyn Handler>> {
    let mut registry = Registry::new();
    gost_x_auto::register(&mut registry);
    for &part in parts {
        registry.add::<dyn Handler, PartOptions, _>(&[part], move |options, _| async move {
            Ok(Arc::new(Part(part, options.mark)) as _)
        });
    }
    let registry = Arc::new(registry);
    let mut build = Build::new(registry.clone());
    build.values = values.clone();
    registry.make::<dyn Handler>("auto", values, build).await
}

async fn serve(handler: Arc<dyn Handler>) -> (SocketAddr, Service) {
    let options = listen::TcpOptions::default();
    let listener = listen::tcp("127.0.0.1:0", &options, &Door::default())
        .await
        .unwrap();
    let addr = listener.addr().ip().unwrap();
    let mut serving = Serving::new(handler, Arc::new(Sockets::default()));
    serving.options.read_timeout = Duration::from_millis(500);
    (addr, Service::start("auto", Box::new(listener), serving))
}

/// What comes back for bytes that are sent in these pieces.
async fn told(addr: SocketAddr, pieces: &[&str]) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        // A connection that is closed on unread bytes is reset.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    timeout(PATIENCE, talk).await.unwrap()
}

const ALL: &[&str] = &["socks4", "socks5", "http"];

#[tokio::test]
async fn the_first_byte_decides_and_is_not_lost() {
    let values = Values::new().with("mark", "7");
    let (addr, _service) = serve(auto(ALL, &values).await.unwrap()).await;
    for (pieces, wanted) in [
        (&["\x04rest"][..], "socks4 7 \x04rest"),
        (&["\x05", "rest"], "socks5 7 \x05rest"),
        (&["G", "E", "T /"], "http 7 GET /"),
        (&["CONNECT a:1"], "http 7 CONNECT a:1"),
        // The beginning of a TLS handshake is no request, and http says so.
        (&["\x16\x03\x01"], "http 7 \x16\x03\x01"),
        (&["\0"], "http 7 \0"),
    ] {
        assert_eq!(told(addr, pieces).await, wanted);
    }
}

#[tokio::test]
async fn what_the_program_has_not_is_refused() {
    for missing in ALL {
        let parts: Vec<_> = ALL
            .iter()
            .filter(|part| *part != missing)
            .copied()
            .collect();
        let (addr, _service) = serve(auto(&parts, &Values::new()).await.unwrap()).await;
        for (byte, part) in [("\x04", "socks4"), ("\x05", "socks5"), ("G", "http")] {
            let wanted = if part == *missing {
                String::new()
            } else {
                format!("{part} 0 {byte}")
            };
            assert_eq!(told(addr, &[byte]).await, wanted, "without {missing}");
        }
    }
}

#[tokio::test]
async fn who_says_nothing_is_cut() {
    let (addr, _service) = serve(auto(ALL, &Values::new()).await.unwrap()).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn options_that_do_not_fit_a_part_are_errors() {
    let values = Values::new().with("mark", "many");
    let error = auto(ALL, &values).await.err().unwrap();
    assert_eq!(error.why(), Why::BadInput);
    assert!(error.to_string().contains("mark"), "{error}");
}
