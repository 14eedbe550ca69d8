//! What is written down, counted and told: recorders, statistics and observers.

use std::{sync::Arc, time::Duration};

use gost_config::{self as config, Place, Problem};
use gost_core::{
    options,
    policy::{Observer, Recorder},
    values::{Value, Values},
};
use gost_service::{Clients, Counters, Queue, Records, Tap};

use crate::{
    builder::{Builder, read},
    kept::{Files, Same},
    options::ServiceOptions,
    policies::Fields,
    reporting::{ClientSource, Reporter, ServiceSource},
};

/// How many bytes of a body are recorded at most.
const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a body is recorded unless something else is said.
const BODY_DEFAULT: usize = 64 * 1024;

options! {
    /// Keys of whoever names an observer.
    pub struct ObservingKeys {
        /// How often it is told of what has changed; a second at least.
        period: Duration = Duration::from_secs(5),
            "observer.period" | "observePeriod" | "observer.observePeriod";
        /// Tell it the bytes since the last report, instead of all so far.
        reset: bool = false, "observer.resetTraffic";
    }
}

options! {
    /// What is configured about a recording. All of it is handed to recorders that are plugins.
    pub struct RecordKeys {
        /// Record bodies of HTTP.
        bodies: bool = false, "http.body";
        /// How many bytes of each; a mebibyte at most, and 0 for the default.
        body_limit: usize = BODY_DEFAULT, "http.maxBodySize";
    }
}

/// Says what can't be recorded.
pub(crate) fn check(config: &config::Config, problems: &mut Vec<Problem>) {
    for object in config
        .services
        .iter()
        .flat_map(|service| &*service.recorders)
    {
        match object.record.trim() {
            "recorder.service.client.address"
            | "recorder.service.router.dial.address"
            | "recorder.service.router.dial.address.error"
            | "recorder.service.handler" => {}
            name @ ("recorder.service.handler.serial" | "recorder.service.handler.tunnel") => {
                let what = format!("nothing makes a record {name}: ignored");
                problems.push(object.place.warning("record", what));
            }
            other => {
                let what = format!("there is no record {other:?}");
                problems.push(object.place.error("record", what));
            }
        }
    }
}

impl Builder<'_> {
    /// Makes recorders and observers.
    pub(crate) async fn observing(&self, problems: &mut Vec<Problem>) {
        for recorder in &self.config.recorders {
            match self.recorder(recorder).await {
                Ok(made) => self.fill::<dyn Recorder>(&recorder.name, made),
                Err(problem) => problems.push(problem),
            }
        }
        for observer in &self.config.observers {
            let plugin = observer.plugin.as_ref();
            let made = self.only_plugin::<dyn Observer>(&observer.name, plugin, &observer.place);
            match made.await {
                Ok(made) => self.fill::<dyn Observer>(&observer.name, made),
                Err(problem) => problems.push(problem),
            }
        }
    }

    /// A recorder, behind a queue.
    async fn recorder(&self, recorder: &config::Recorder) -> Result<Arc<dyn Recorder>, Problem> {
        let tls = recorder
            .plugin
            .as_ref()
            .and_then(|plugin| plugin.tls.as_ref());
        let wanted = (recorder.clone(), Files::of(None, tls));
        let make = async {
            let sink = self.sink(recorder).await?;
            Ok(Arc::new(Queue::start(&recorder.name, sink)))
        };
        let place = format!("queue of recorder {}", recorder.name);
        let none = Values::new();
        let kept = self.keeper.keep(&place, wanted, &none, make);
        let queue: Arc<Queue> = kept.await?;
        self.queues.lock().push(queue.clone());
        Ok(queue)
    }

    /// Where the records of a recorder go: of several the original takes the first, too.
    async fn sink(&self, recorder: &config::Recorder) -> Result<Arc<dyn Recorder>, Problem> {
        if let Some(plugin) = &recorder.plugin {
            return self.plugin::<dyn Recorder>(&recorder.name, plugin).await;
        }
        let text = |text: &str| Value::Text(text.to_owned());
        let nanos = |time: config::Nanos| {
            let time = time.positive().unwrap_or_default();
            Value::Text(gost_core::duration::format_go(time))
        };
        let (kind, place, fields) = if let Some(file) = &recorder.file {
            let mut fields = Fields::default()
                .set("path", text(&file.path))
                .set("sep", text(&file.sep));
            if let Some(rotation) = &file.rotation {
                fields = fields
                    .set("rotation", Value::Bool(true))
                    .set("maxSize", Value::Int(rotation.max_size.max(0).into()))
                    .set("maxAge", Value::Int(rotation.max_age.max(0).into()))
                    .set("maxBackups", Value::Int(rotation.max_backups.max(0).into()))
                    .set("localTime", Value::Bool(rotation.local_time))
                    .set("compress", Value::Bool(rotation.compress));
            }
            ("file", &file.place, fields)
        } else if let Some(tcp) = &recorder.tcp {
            let fields = Fields::default()
                .set("addr", text(&tcp.addr))
                .set("timeout", nanos(tcp.timeout));
            ("tcp", &tcp.place, fields)
        } else if let Some(http) = &recorder.http {
            let header = http.header.iter();
            let header = header.map(|(name, value)| (name.clone(), text(value)));
            let fields = Fields::default()
                .set("url", text(&http.url))
                .set("timeout", nanos(http.timeout))
                .set("header", Value::Map(header.collect()));
            ("url", &http.place, fields)
        } else if let Some(redis) = &recorder.redis {
            let fields = Fields::default()
                .set("addr", text(&redis.addr))
                .set("db", Value::Int(redis.db.into()))
                .set("username", text(&redis.username))
                .set("password", Value::Text(redis.password.to_string()))
                .set("key", text(&redis.key))
                .set("type", text(&redis.r#type));
            ("redis", &redis.place, fields)
        } else {
            let what = "it records nowhere: file, tcp, http, redis or plugin is missing";
            return Err(recorder.place.error("", what));
        };
        if !self.registry.has::<dyn Recorder>(kind) {
            let what = format!("this version has no recorder {kind}");
            return Err(place.error("", what));
        }
        let build = self.build(format!("recorder {}", recorder.name).into(), "");
        let made = self
            .registry
            .make::<dyn Recorder>(kind, fields.values(), build);
        made.await.map_err(|e| place.error("", e.to_string()))
    }

    /// What a service records.
    pub(crate) fn records(
        &self,
        service: &config::Service,
        options: &ServiceOptions,
    ) -> Result<Records, Problem> {
        let mut records = Records {
            labels: options.labels.clone(),
            ..Records::default()
        };
        for object in &service.recorders {
            let found = self.by_name::<dyn Recorder>(&object.name, &object.place, "name")?;
            let Some(recorder) = found else { continue };
            let tap = Tap {
                recorder: Arc::new(recorder),
                metadata: json(&object.metadata).into(),
            };
            let place = match object.record.trim() {
                "recorder.service.client.address" => &mut records.client_address,
                "recorder.service.router.dial.address" => &mut records.dial,
                "recorder.service.router.dial.address.error" => &mut records.dial_error,
                "recorder.service.handler" => {
                    let keys: RecordKeys = read(&object.metadata);
                    if records.handler.is_none() && keys.bodies {
                        records.body_limit = match keys.body_limit {
                            0 => BODY_DEFAULT,
                            limit => limit.min(BODY_LIMIT),
                        };
                    }
                    &mut records.handler
                }
                _ => continue,
            };
            // As in the original, the first counts.
            place.get_or_insert(tap);
        }
        Ok(records)
    }

    /// What counts for a service, and what it tells.
    pub(crate) async fn accounts(
        &self,
        service: &config::Service,
        options: &ServiceOptions,
        handler: &config::Handler,
    ) -> Result<Accounts, Problem> {
        let place = format!("service {}", service.name);
        let of_handler: ObservingKeys = read(&handler.metadata);
        let observer = self.observer(&service.observer, &service.place)?;
        let clients_observer = self.observer(&handler.observer, &handler.place)?;
        let none = Values::new();
        let mut accounts = Accounts {
            observer: observer.clone(),
            ..Accounts::default()
        };
        if options.stats {
            let reset = options.observing.reset;
            let make = std::future::ready(Ok(Counters::of_service(reset)));
            let kept = self
                .keeper
                .keep::<_, _, Problem>(&place, ("stats", reset), &none, make);
            let counters = kept.await?;
            accounts.stats = Some(counters.clone());
            if let Some(observer) = observer {
                let name = service.name.clone();
                let period = options.observing.period;
                let wanted = (service.observer.clone(), period, Same(counters.clone()));
                let make = async {
                    let source = ServiceSource { name, counters };
                    Ok(Reporter::start(observer, period, source))
                };
                let kept = self
                    .keeper
                    .keep::<_, _, Problem>(&place, wanted, &none, make);
                let _: Arc<Reporter> = kept.await?;
            }
        }
        if let Some(observer) = clients_observer {
            let place = format!("{place} / handler");
            let make = std::future::ready(Ok(Arc::new(Clients::new(of_handler.reset))));
            let wanted = ("clients", of_handler.reset);
            let clients: Arc<Clients> = self
                .keeper
                .keep::<_, _, Problem>(&place, wanted, &none, make)
                .await?;
            accounts.clients = Some(clients.clone());
            let wanted = (
                handler.observer.clone(),
                of_handler.period,
                Same(clients.clone()),
            );
            let name = service.name.clone();
            let make = async {
                let source = ClientSource { name, clients };
                Ok(Reporter::start(observer, of_handler.period, source))
            };
            let kept = self
                .keeper
                .keep::<_, _, Problem>(&place, wanted, &none, make);
            let _: Arc<Reporter> = kept.await?;
        }
        Ok(accounts)
    }

    fn observer(&self, name: &str, place: &Place) -> Result<Option<Arc<dyn Observer>>, Problem> {
        let found = self.by_name::<dyn Observer>(name, place, "observer")?;
        Ok(found.map(|named| Arc::new(named) as _))
    }
}

/// What counts for a service.
#[derive(Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) stats: Option<Arc<Counters>>,
    pub(crate) clients: Option<Arc<Clients>>,
}

/// Values as a JSON object; `null` when there are none.
fn json(values: &Values) -> String {
    if values.is_empty() {
        return "null".to_owned();
    }
    let entries = values.iter().map(|entry| {
        // Whoever gets it may know the key.
        entry.mark.read();
        (entry.key.clone(), to_json(&entry.value))
    });
    serde_json::Value::Object(entries.collect()).to_string()
}

fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) => i64::try_from(*n)
            .map(Json::from)
            .or_else(|_| u64::try_from(*n).map(Json::from))
            .unwrap_or_else(|_| Json::String(n.to_string())),
        Value::Float(n) => Json::from(*n),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(k, v)| (k.clone(), to_json(v)));
            Json::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use gost_core::values::Mark;

    use super::*;

    #[test]
    fn metadata_is_handed_on_as_json() {
        assert_eq!(json(&Values::new()), "null");
        let mut values = Values::new().with("a", "x\"");
        values.set("n", Value::Int(7), Mark::new("test".into(), 0));
        values.set(
            "b",
            Value::List(vec![Value::Bool(true)]),
            Mark::new("test".into(), 0),
        );
        assert_eq!(json(&values), r#"{"a":"x\"","n":7,"b":[true]}"#);
    }
}
