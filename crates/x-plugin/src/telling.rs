//! Plugins that are told things: records, events and statistics. And one that tells other bodies.

use std::sync::Arc;

use bytes::Bytes;
use gost_core::{
    error::Result,
    meter::Direction,
    policy::{Answer, BodyFacts, Event, EventPhase, Observer, Recorder, Rewriter, Stats},
};
use serde_json::Value;

use crate::{
    client::{Client, Protocol},
    error::PluginError,
    messages::{
        EventMessage, ObserveRequest, RecordRequest, RewriteRequest, StatsMessage, StatusMessage,
    },
};

/// Records go to a plugin. One that does not take a record loses it, which is an error.
pub(crate) struct PluginRecorder(pub(crate) Arc<Client>);

impl Recorder for PluginRecorder {
    fn record(&self, record: Bytes, metadata: &Arc<str>) -> Answer<'static, Result<()>> {
        if record.is_empty() && self.0.protocol() == Protocol::Http {
            return Answer::Now(Ok(()));
        }
        let client = self.0.clone();
        let question = RecordRequest {
            data: record,
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
        };
        Answer::later(async move { client.tell(question).await })
    }
}

/// A plugin that is told of events. What it does not take is an error, and offered again.
pub(crate) struct PluginObserver(pub(crate) Arc<Client>);

impl Observer for PluginObserver {
    fn observe<'a>(&'a self, events: &'a [Event]) -> Answer<'a, Result<()>> {
        if events.is_empty() {
            return Answer::Now(Ok(()));
        }
        Answer::later(async move {
            let events = events.iter().map(message).collect();
            self.0.tell(ObserveRequest { events }).await
        })
    }
}

fn message(event: &Event) -> EventMessage {
    match event {
        Event::Status {
            service,
            state,
            text,
        } => EventMessage {
            kind: "service".to_owned(),
            service: service.to_string(),
            r#type: "status".to_owned(),
            status: Some(StatusMessage {
                state: (*state).to_owned(),
                msg: text.clone(),
            }),
            ..EventMessage::default()
        },
        Event::Stats {
            service,
            client,
            stats,
        } => EventMessage {
            kind: if client.is_some() {
                "handler"
            } else {
                "service"
            }
            .to_owned(),
            service: service.to_string(),
            client: client.clone().unwrap_or_default(),
            r#type: "stats".to_owned(),
            stats: Some(counters(*stats)),
            ..EventMessage::default()
        },
    }
}

fn counters(stats: Stats) -> StatsMessage {
    StatsMessage {
        total_conns: stats.total_connections,
        current_conns: stats.current_connections,
        input_bytes: stats.input_bytes,
        output_bytes: stats.output_bytes,
        total_errs: stats.total_errors,
    }
}

/// What is known of a body, under the names of the protocol.
fn facts(about: &BodyFacts) -> Value {
    let mut facts = serde_json::Map::new();
    let mut set = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    if let Some(session) = about.session {
        set("sid", session.to_string().into());
    }
    if let Some(direction) = about.direction {
        let name = match direction {
            Direction::In => "request",
            Direction::Out => "response",
        };
        set("direction", name.into());
    }
    if !about.uri.is_empty() {
        set("uri", about.uri.as_str().into());
    }
    if let Some(part) = about.event {
        let phase = match part.phase {
            EventPhase::Start => "start",
            EventPhase::Event => "event",
            EventPhase::End => "end",
        };
        set("sse_phase", phase.into());
        set("event_index", part.index.into());
        if part.is_broken {
            set("stream_error", true.into());
        }
    }
    Value::Object(facts)
}

/// Bodies that a plugin changes. One that does not answer is an error, but an HTTP status other
/// than 200 leaves a body as it is.
pub(crate) struct PluginRewriter(pub(crate) Arc<Client>);

impl Rewriter for PluginRewriter {
    fn rewrite<'a>(&'a self, body: Bytes, about: &'a BodyFacts) -> Answer<'a, Result<Bytes>> {
        Answer::later(async move {
            let is_end = about
                .event
                .is_some_and(|part| part.phase == EventPhase::End);
            let question = RewriteRequest {
                data: (!is_end).then(|| body.clone()),
                metadata: facts(about).to_string().into(),
            };
            match self.0.call(question).await {
                Ok(reply) if reply.ok => Ok(reply.data.unwrap_or(body)),
                Ok(_) | Err(PluginError::Status(_)) => Ok(body),
                Err(error) => Err(error.into_error("rewrite a body")),
            }
        })
    }
}
