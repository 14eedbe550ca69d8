//! Records posted to a URL.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{Answer, Recorder},
};
use tokio::sync::Semaphore;
use ureq::Agent;

use crate::or_patience;

/// How many posts are on their way at once; each has a thread.
const AT_ONCE: usize = 8;

options! {
    /// Options of the http recorder.
    pub struct HttpOptions {
        /// Where to post to; `http://` is put in front of what does not begin with `http`.
        url: String = String::new(), "url";
        /// How long it may take; 0 for 10 s.
        timeout: Duration = Duration::ZERO, "timeout";
        /// Header lines of each request; the content type is `application/json` unless given.
        header: BTreeMap<String, String> = BTreeMap::new(), "header";
    }
}

/// Posts each record.
pub struct HttpRecorder(Arc<Shared>);

struct Shared {
    agent: Agent,
    url: String,
    header: Vec<(String, String)>,
    posts: Arc<Semaphore>,
}

impl HttpRecorder {
    /// A recorder for a URL; an error names what is wrong with it.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        let url = options.url.trim();
        if url.is_empty() {
            return Err(Error::new(Why::BadInput, "the URL is empty"));
        }
        let url = if url.starts_with("http") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let (url, authorization) = gost_loader::without_credentials(&url);
        let mut header: Vec<_> = options.header.clone().into_iter().collect();
        let has = |wanted: &str| (options.header.keys()).any(|k| k.eq_ignore_ascii_case(wanted));
        if let Some(value) = authorization.filter(|_| !has("authorization")) {
            header.push(("Authorization".into(), value));
        }
        if !has("content-type") {
            header.push(("Content-Type".into(), "application/json".into()));
        }
        let agent = gost_loader::agent(&url, or_patience(options.timeout));
        Ok(Self(Arc::new(Shared {
            agent: agent.map_err(|e| Error::new(Why::BadInput, e))?,
            url,
            header,
            posts: Arc::new(Semaphore::new(AT_ONCE)),
        })))
    }
}

impl Shared {
    fn post(&self, record: &[u8]) -> Result<()> {
        let failed = |e: ureq::Error| Error::new(Why::Other, e.to_string());
        let mut request = self.agent.post(&self.url);
        for (name, value) in &self.header {
            request = request.header(name, value);
        }
        let mut response = request.send(record).map_err(failed)?;
        let status = response.status().as_u16();
        // Read, so that the connection can be used again; an answer has nothing to say.
        let _ = response.body_mut().read_to_vec();
        if status >= 400 {
            return Err(Error::new(Why::Denied, format!("status {status}")));
        }
        Ok(())
    }
}

impl Recorder for HttpRecorder {
    fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
        let shared = self.0.clone();
        Answer::later(async move {
            let gone = |e: &dyn fmt::Display| Error::new(Why::Other, e.to_string());
            let permit = shared.posts.clone().acquire_owned().await;
            let permit = permit.map_err(|e| gone(&e))?;
            let post = move || {
                let _permit = permit;
                shared.post(&record)
            };
            let posted = tokio::task::spawn_blocking(post).await;
            posted.map_err(|e| gone(&e))?
        })
    }
}

impl fmt::Debug for HttpRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRecorder({})", self.0.url)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;

    /// Answers posts on one connection with these statuses, and gives what was posted.
    async fn server(listener: TcpListener, statuses: Vec<u16>) -> Vec<(String, String)> {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut got = Vec::new();
        for status in statuses {
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line.to_ascii_lowercase());
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            got.push((head, String::from_utf8(body).unwrap()));
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        got
    }

    #[tokio::test]
    async fn each_record_is_posted_and_refusals_are_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = HttpRecorder::new(&HttpOptions {
            url: format!("ann:pw@{}/in", listener.local_addr().unwrap()),
            header: [("X-Key".to_owned(), "k".to_owned())].into(),
            ..HttpOptions::default()
        })
        .unwrap();
        assert!(!format!("{recorder:?}").contains("pw"));
        let server = tokio::spawn(server(listener, vec![200, 201, 500]));
        let nothing = "null".into();
        assert!(recorder.record("{}".into(), &nothing).await.is_ok());
        assert!(recorder.record("a".into(), &nothing).await.is_ok());
        let refused = recorder.record("b".into(), &nothing).await.unwrap_err();
        assert_eq!(refused.to_string(), "status 500");
        let got = server.await.unwrap();
        let bodies: Vec<_> = got.iter().map(|(_, body)| &**body).collect();
        assert_eq!(bodies, ["{}", "a", "b"]);
        for line in [
            "post /in http/1.1\r\n",
            "content-type: application/json\r\n",
            "x-key: k\r\n",
            "authorization: basic yw5uonb3\r\n",
        ] {
            assert!(got[0].0.contains(line), "{}", got[0].0);
        }
    }
}
