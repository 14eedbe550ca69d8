//! What a service writes down, and where.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{DateTime, Local, SecondsFormat};
use gost_core::{
    addr::{Addr, Network},
    error::Error,
    meter::{Direction, Metering},
    policy::{Answer, Recorder},
    record::{Details, HttpDetails, HttpMessage, Mode},
    session::Record,
};
use serde::{Serialize, Serializer};

/// A recorder, and what is configured about what goes there.
#[derive(Clone)]
pub struct Tap {
    /// Takes the records; one that does not answer at once gets a task for each.
    pub recorder: Arc<dyn Recorder>,
    /// A JSON object, or `null`.
    pub metadata: Arc<str>,
}

impl Tap {
    fn give(&self, record: impl Into<Bytes>) {
        match self.recorder.record(record.into(), &self.metadata) {
            // A queue that is full says so by itself.
            Answer::Now(_) | Answer::Taken => {}
            later @ Answer::Later(_) => drop(tokio::spawn(later)),
        }
    }
}

/// What a service writes down. Records that have no recorder are never made.
#[derive(Clone, Default)]
pub struct Records {
    /// The address of each client.
    pub client_address: Option<Tap>,
    /// The host of each target that is to be opened.
    pub dial: Option<Tap>,
    /// The host of each target that could not be opened.
    pub dial_error: Option<Tap>,
    /// Everything about each conversation, as JSON.
    pub handler: Option<Tap>,
    /// How many bytes of each body are recorded.
    pub body_limit: usize,
    /// What is said in each of the latter.
    pub labels: BTreeMap<String, String>,
}

impl Records {
    pub(crate) fn client(&self, client: &Addr) {
        if let Some(tap) = &self.client_address {
            tap.give(client.host());
        }
    }

    pub(crate) fn dial(&self, target: &Addr) {
        to_host(self.dial.as_ref(), target);
    }

    pub(crate) fn dial_error(&self, target: &Addr) {
        to_host(self.dial_error.as_ref(), target);
    }

    /// What is to be collected about a session, when anybody wants it.
    pub(crate) fn details(&self, remote: &Addr) -> Option<Box<Details>> {
        self.handler.as_ref()?;
        Some(Box::new(Details {
            time: SystemTime::now(),
            remote: remote.clone(),
            src: Addr::Any,
            dst: Addr::Any,
            node: None,
            proto: "",
            client_ip: String::new(),
            body_limit: self.body_limit,
            mode: Mode::Full,
            http: None,
        }))
    }

    /// Records a session, or a part of it, that is over.
    pub(crate) fn session(&self, record: &Record, bytes: (u64, u64), error: Option<&Error>) {
        let (Some(tap), Some(details)) = (&self.handler, &record.details) else {
            return;
        };
        if details.mode == Mode::Off {
            return;
        }
        let object = Object::new(self, record, details, bytes, error);
        match serde_json::to_vec(&object) {
            Ok(json) => tap.give(json),
            Err(error) => tracing::warn!(service = %record.service, "record: {error}"),
        }
    }
}

fn to_host(tap: Option<&Tap>, target: &Addr) {
    let Some(tap) = tap else { return };
    let host = target.host();
    if !host.is_empty() {
        tap.give(host);
    }
}

/// Counts the bytes of a client's connection for its records.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    input: AtomicU64,
    output: AtomicU64,
    recorded: AtomicBool,
}

impl Traffic {
    /// What has moved since the last record.
    pub(crate) fn take(&self) -> (u64, u64) {
        self.recorded.store(true, Relaxed);
        (self.input.swap(0, Relaxed), self.output.swap(0, Relaxed))
    }

    /// True when there was a record.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded.load(Relaxed)
    }
}

impl Metering for Traffic {
    fn count(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::In => &self.input,
            Direction::Out => &self.output,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// The record `recorder.service.handler`: names and order of the keys are the original's.
#[derive(Serialize)]
struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    service: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    network: &'static str,
    remote: String,
    local: String,
    client: String,
    src: String,
    dst: String,
    host: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    proto: &'static str,
    #[serde(rename = "clientIP")]
    client_ip: &'a str,
    #[serde(rename = "clientID", skip_serializing_if = "str::is_empty")]
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    #[serde(rename = "inputBytes")]
    input_bytes: u64,
    #[serde(rename = "outputBytes")]
    output_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<String>,
    sid: String,
    #[serde(serialize_with = "nanos")]
    duration: Duration,
    #[serde(serialize_with = "rfc3339")]
    time: SystemTime,
}

impl<'a> Object<'a> {
    fn new(
        records: &'a Records,
        record: &'a Record,
        details: &'a Details,
        (input_bytes, output_bytes): (u64, u64),
        error: Option<&Error>,
    ) -> Self {
        let target = record.target.as_ref();
        Self {
            node: details.node.as_deref(),
            service: &record.service,
            labels: &records.labels,
            network: target
                .map_or(Network::Tcp, |target| target.network)
                .as_str(),
            remote: details.remote.to_string(),
            local: record.local.to_string(),
            client: record.client.to_string(),
            src: details.src.to_string(),
            dst: details.dst.to_string(),
            host: match target.map(|target| &target.addr) {
                None => details
                    .http
                    .as_ref()
                    .map(|http| http.host.clone())
                    .unwrap_or_default(),
                Some(Addr::Any) => "0.0.0.0:0".to_owned(),
                Some(addr) => addr.to_string(),
            },
            proto: details.proto,
            client_ip: &details.client_ip,
            client_id: &record.user,
            http: details.http.as_deref().map(Http::new),
            route: record.route.as_deref().unwrap_or_default(),
            input_bytes,
            output_bytes,
            err: error.map(ToString::to_string),
            sid: record.id.to_string(),
            duration: record.start.elapsed(),
            time: details.time,
        }
    }
}

#[derive(Serialize)]
struct Http<'a> {
    host: &'a str,
    method: &'a str,
    proto: &'a str,
    scheme: &'a str,
    uri: &'a str,
    cached: bool,
    #[serde(rename = "statusCode")]
    status: u16,
    request: Message<'a>,
    response: Message<'a>,
}

impl<'a> Http<'a> {
    fn new(http: &'a HttpDetails) -> Self {
        Self {
            host: &http.host,
            method: &http.method,
            proto: &http.proto,
            scheme: &http.scheme,
            uri: &http.uri,
            cached: false,
            status: http.status,
            request: Message::new(&http.request),
            response: Message::new(&http.response),
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "contentLength")]
    length: i64,
    header: Option<&'a BTreeMap<String, Vec<String>>>,
    body: Option<String>,
}

impl<'a> Message<'a> {
    fn new(message: &'a HttpMessage) -> Self {
        Self {
            length: message.length,
            header: message.header.as_ref(),
            body: message.body.as_ref().map(|body| STANDARD.encode(body)),
        }
    }
}

fn nanos<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let time: DateTime<Local> = (*time).into();
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use gost_core::{
        addr::Target,
        error::{Result, Why},
        session::SessionId,
    };
    use parking_lot::Mutex;
    use serde_json::Value;

    use super::*;

    #[derive(Default)]
    struct Paper(Mutex<Vec<Bytes>>);

    impl Recorder for Paper {
        fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
            self.0.lock().push(record);
            Answer::Now(Ok(()))
        }
    }

    fn records(paper: &Arc<Paper>) -> Records {
        Records {
            handler: Some(Tap {
                recorder: paper.clone(),
                metadata: "null".into(),
            }),
            labels: [("Team".to_owned(), "red".to_owned())].into(),
            ..Records::default()
        }
    }

    fn record(records: &Records) -> Record {
        let addr = |text: &str| Addr::parse(text).unwrap();
        Record {
            id: SessionId::next(),
            service: "s".into(),
            start: Instant::now(),
            client: addr("10.0.0.9:1234"),
            local: addr("127.0.0.1:80"),
            tls: None,
            user: String::new(),
            target: None,
            route: None,
            details: records.details(&addr("127.0.0.1:1234")),
        }
    }

    /// The keys in their order, and what is not chance.
    fn shape(paper: &Paper) -> (String, Value) {
        let mut value: Value = serde_json::from_slice(&paper.0.lock().pop().unwrap()).unwrap();
        let object = value.as_object_mut().unwrap();
        let keys = object.keys().cloned().collect::<Vec<_>>().join(" ");
        for key in ["sid", "duration", "time"] {
            object.shift_remove(key).unwrap();
        }
        (keys, value)
    }

    #[test]
    fn a_record_of_little_has_the_keys_of_the_original() {
        let paper = Arc::new(Paper::default());
        let records = records(&paper);
        let record = record(&records);
        records.session(
            &record,
            (2, 0),
            Some(&Error::new(Why::BadInput, "bad version")),
        );
        let (keys, value) = shape(&paper);
        assert_eq!(
            keys,
            "service labels network remote local client src dst host clientIP inputBytes outputBytes err sid duration time"
        );
        let expected = serde_json::json!({
            "service": "s", "labels": {"Team": "red"}, "network": "tcp",
            "remote": "127.0.0.1:1234", "local": "127.0.0.1:80", "client": "10.0.0.9:1234",
            "src": "", "dst": "", "host": "", "clientIP": "",
            "inputBytes": 2, "outputBytes": 0, "err": "bad version"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_record_of_much_has_them_all() {
        let paper = Arc::new(Paper::default());
        let records = records(&paper);
        let mut record = record(&records);
        record.user = "ann".into();
        record.target = Some(Target::udp(Addr::Any));
        record.route = Some("n@a:1 > b:2".into());
        let details = record.details.as_mut().unwrap();
        details.node = Some("n0".into());
        details.proto = "http";
        let mut http = HttpDetails::default();
        http.request.header = Some([("Accept".to_owned(), vec!["*/*".to_owned()])].into());
        http.request.body = Some(Bytes::from_static(b"abc=1"));
        details.http = Some(Box::new(http));
        records.session(&record, (0, 0), None);
        let (keys, value) = shape(&paper);
        assert_eq!(
            keys,
            "node service labels network remote local client src dst host proto clientIP clientID http route inputBytes outputBytes sid duration time"
        );
        assert_eq!(value["host"], "0.0.0.0:0");
        assert_eq!(value["network"], "udp");
        let expected = serde_json::json!({
            "host": "", "method": "", "proto": "", "scheme": "", "uri": "", "cached": false, "statusCode": 0,
            "request": {"contentLength": 0, "header": {"Accept": ["*/*"]}, "body": "YWJjPTE="},
            "response": {"contentLength": 0, "header": null, "body": null}
        });
        assert_eq!(value["http"].to_string(), expected.to_string());
        record.details.as_mut().unwrap().mode = Mode::Off;
        records.session(&record, (0, 0), None);
        assert!(paper.0.lock().is_empty());
    }
}
