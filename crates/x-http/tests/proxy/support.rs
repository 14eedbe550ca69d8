//! Proxies, origins and raw clients.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;
use gost_core::{
    prelude::*,
    values::{Mark, Value, Values},
};
use gost_service::Serving;
use gost_testbed::{OneUser, Running, Through, credentials, make, through, values};
use gost_testkit::soon;
use gost_x_http::{
    body::{Body, of_request},
    head::{RequestHead, RequestScan, room},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_http::register(&mut registry);
    Arc::new(registry)
}

/// Values with a map of headers.
pub(crate) fn with_header(mut values: Values, name: &str, value: &str) -> Values {
    let map = [(name.to_owned(), Value::Text(value.to_owned()))];
    values.set(
        "header",
        Value::Map(map.into()),
        Mark::new("test".into(), 0),
    );
    values
}

/// The handler with options.
pub(crate) async fn handler(values: &Values) -> Arc<dyn Handler> {
    make::<dyn Handler>(&registry(), "http", values).await
}

/// A proxy on 127.0.0.1; `edit` sets policies and the way out.
pub(crate) async fn serve(values: &Values, edit: impl FnOnce(&mut Serving)) -> Running {
    gost_testbed::serve(handler(values).await, edit).await
}

/// A proxy without policies.
pub(crate) async fn proxy(query: &str) -> Running {
    serve(&values(query), |_| {}).await
}

/// A proxy for one user, whose password is `pass`.
pub(crate) async fn guarded(query: &str) -> Running {
    serve(&values(query), |serving| {
        serving.policies.auther = Some(Arc::new(USER));
    })
    .await
}

/// `user` with the password `pass`.
pub(crate) const USER: OneUser = OneUser("user", "pass");

/// The header line with the right password.
pub(crate) const LOGIN: &str = "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n";

/// The way through a node at `addr`, with the credentials of the user if `login`.
pub(crate) async fn via(values: &Values, login: bool, addr: SocketAddr) -> Through {
    let auth = login.then(|| credentials(USER.0, USER.1));
    let mut way = through(&registry(), "http", values, auth, addr).await;
    way.node.name = "n1".into();
    way
}

/// A web server that answers each request with what a function makes of it, and tells the test
/// what it saw.
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
    _tasks: JoinSet<()>,
}

/// A request as an origin saw it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The number of the connection, from 0.
    pub(crate) connection: usize,
    /// The head, as it came.
    pub(crate) head: String,
    /// The body, as it came: with chunk sizes.
    pub(crate) body: Vec<u8>,
}

impl Origin {
    /// `answer` gets the head and the body of a request; the connection ends after an answer with
    /// `Connection: close` in it.
    pub(crate) async fn start(
        answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let count = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::Relaxed);
                let (tell, answer) = (tell.clone(), answer.clone());
                connections.spawn(async move {
                    one_origin(stream, connection, &tell, &*answer).await;
                });
            }
        });
        Self {
            addr,
            seen,
            _tasks: tasks,
        }
    }

    /// One that says `<METHOD path>` as text.
    pub(crate) async fn echo() -> Self {
        Self::start(|head, _| {
            let line = head.lines().next().unwrap_or_default();
            let text = format!("<{}>", line.trim_end_matches(" HTTP/1.1"));
            ok(&text)
        })
        .await
    }

    pub(crate) async fn seen(&mut self) -> Seen {
        soon(self.seen.recv()).await.expect("an origin that runs")
    }
}

/// A response with a text.
pub(crate) fn ok(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

async fn one_origin(
    mut stream: TcpStream,
    connection: usize,
    tell: &mpsc::UnboundedSender<Seen>,
    answer: &(dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync),
) {
    let mut buf = BytesMut::new();
    loop {
        let mut scan = RequestScan::default();
        let end = loop {
            if !buf.is_empty()
                && let Some(end) = scan.find(&buf).expect("a request")
            {
                break end;
            }
            if !matches!(stream.read_buf(&mut buf).await, Ok(1..)) {
                return;
            }
        };
        let head = buf.split_to(end);
        let mut body = {
            let mut room = room();
            let parsed = RequestHead::parse(&head, &mut room).expect("a request");
            Body::new(of_request(parsed.headers, false).expect("a length"))
        };
        let mut bytes = Vec::new();
        loop {
            let n = body.take(&buf).expect("a body");
            bytes.extend_from_slice(&buf.split_to(n));
            if body.is_done() {
                break;
            }
            if !matches!(stream.read_buf(&mut buf).await, Ok(1..)) {
                return;
            }
        }
        let head = String::from_utf8(head.to_vec()).unwrap();
        let response = answer(&head, &bytes);
        let last = response
            .windows(17)
            .any(|part| part.eq_ignore_ascii_case(b"connection: close"));
        let seen = Seen {
            connection,
            head,
            body: bytes,
        };
        if tell.send(seen).is_err() || stream.write_all(&response).await.is_err() || last {
            return;
        }
    }
}

/// A raw client.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(to: &Running) -> Self {
        let stream = TcpStream::connect(to.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next `n` bytes; fewer when the connection ends before.
    pub(crate) async fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let mut got = 0;
        while got < n {
            match soon(self.0.read(&mut bytes[got..])).await {
                Ok(0) | Err(_) => break,
                Ok(more) => got += more,
            }
        }
        bytes.truncate(got);
        bytes
    }

    /// Reads exactly this.
    pub(crate) async fn expect(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let got = self.take(text.len()).await;
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(text));
    }

    /// A head, with the empty line that ends it.
    pub(crate) async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let more = self.take(1).await;
            assert!(!more.is_empty(), "{:?}", String::from_utf8_lossy(&bytes));
            bytes.extend(more);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// All until the server ends the connection in order.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        soon(self.0.read_to_end(&mut bytes)).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a request, in which `{to}` stands for a target's address, and is met there.
    pub(crate) async fn reach(&mut self, request: &str) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        self.send(request.replace("{to}", &to.to_string())).await;
        let (stream, _) = soon(listener.accept()).await.unwrap();
        (Self(stream), to)
    }

    /// Sends a request for a tunnel and reads the answer.
    pub(crate) async fn tunnel(&mut self, to: SocketAddr) {
        self.send(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n"))
            .await;
        self.expect(ESTABLISHED).await;
    }
}

/// The answer to CONNECT.
pub(crate) const ESTABLISHED: &str =
    "HTTP/1.1 200 Connection established\r\nProxy-Agent: gost/3.0\r\n\r\n";

/// The beginning of a refusal, up to the empty line or what else is in it. Only who may ask for
/// something is told what the proxy is called.
pub(crate) fn refusal(status: &str) -> String {
    let agent = match status.split(' ').next() {
        Some("400" | "407" | "431") => "",
        _ => "Proxy-Agent: gost/3.0\r\n",
    };
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{agent}")
}
