//! Plugins that are told things: records, events and statistics. And one that tells other bodies.

use std::sync::Arc;

use bytes::Bytes;
use gost_core::{
    error::Result,
    policy::{Answer, Asker, Event, Observer, Recorder, Rewriter, Stats},
};

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

/// Bodies that a plugin changes. One that does not answer is an error, but an HTTP status other
/// than 200 leaves a body as it is.
pub(crate) struct PluginRewriter(pub(crate) Arc<Client>);

impl Rewriter for PluginRewriter {
    fn rewrite<'a>(&'a self, body: Bytes, about: &'a Asker) -> Answer<'a, Result<Bytes>> {
        Answer::later(async move {
            let metadata = serde_json::json!({ "sid": about.session.to_string() });
            let question = RewriteRequest {
                data: body.clone(),
                metadata: metadata.to_string().into(),
            };
            match self.0.call(question).await {
                Ok(reply) if reply.ok => Ok(reply.data.unwrap_or(body)),
                Ok(_) | Err(PluginError::Status(_)) => Ok(body),
                Err(error) => Err(error.into_error("rewrite a body")),
            }
        })
    }
}
