//! The log: one line for each event, as JSON or text, in the shape of the original's.
//!
//! It is a `tracing` subscriber without spans: an idle connection must not pay for a span, so the
//! fields of a connection stand in its lines.

mod line;

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use gost_config::{Config, Log as Section, Place};
use gost_rotate::{Appender, Rotation};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use self::line::Line;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
}

/// The target of the lines that say why the program does not start.
const FATAL: &str = "gost::fatal";

/// Where lines go.
#[derive(Debug)]
enum Output {
    Stderr,
    Stdout,
    File(File),
    Rotated(Mutex<Appender>),
    Nowhere,
}

/// What a configuration says about a log, with its file open.
#[derive(Debug)]
struct Settings {
    /// Empty for the log of the program.
    name: String,
    level: LevelFilter,
    format: Format,
    output: Output,
}

/// The log of the program, and those that services have chosen.
#[derive(Debug)]
pub(crate) struct Logs {
    main: Settings,
    /// By the name of the service.
    services: HashMap<String, Vec<Arc<Settings>>>,
}

/// The subscriber.
#[derive(Debug)]
struct Logger {
    logs: ArcSwap<Logs>,
    spans: AtomicU64,
}

/// The log of the program, to be changed when the configuration does.
pub(crate) struct Log(Arc<Logger>);

impl Log {
    /// Logs differently from now on.
    pub(crate) fn change(&self, logs: Logs) {
        self.0.logs.store(Arc::new(logs));
        tracing::callsite::rebuild_interest_cache();
    }
}

/// A log that can't be opened, and where it is configured.
pub(crate) type Complaint = (Place, String);

impl Logs {
    /// Opens what a configuration says, without logging there yet. A file is opened again even if
    /// it is the same: it may have been moved away to make room for a new one. What can't be opened
    /// is standard error, with a complaint.
    pub(crate) fn open(config: &Config) -> (Self, Vec<Complaint>) {
        let mut complaints = Vec::new();
        let main = Settings::open("", config.log.as_ref(), &mut complaints);
        let named: HashMap<_, _> = config
            .loggers
            .iter()
            .filter(|logger| logger.log.is_some())
            .map(|logger| {
                let log = Settings::open(&logger.name, logger.log.as_ref(), &mut complaints);
                (&*logger.name, Arc::new(log))
            })
            .collect();
        let mut services = HashMap::new();
        for service in &config.services {
            let names = std::iter::once(&service.logger).chain(&service.loggers);
            let logs: Vec<_> = names
                .filter_map(|name| named.get(name.trim()).cloned())
                .collect();
            if !logs.is_empty() {
                services.insert(service.name.clone(), logs);
            }
        }
        (Self { main, services }, complaints)
    }

    /// The log of the program alone.
    fn only(log: Option<&Section>, complaints: &mut Vec<Complaint>) -> Self {
        Self {
            main: Settings::open("", log, complaints),
            services: HashMap::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Settings> {
        let named = self.services.values().flatten().map(|log| &**log);
        std::iter::once(&self.main).chain(named)
    }

    /// Does something with each log that an event belongs to: those of its service, or else that
    /// of the program.
    fn each(&self, event: &Event<'_>, mut each: impl FnMut(&Settings)) {
        if !self.services.is_empty() {
            let mut service = ServiceOf::default();
            event.record(&mut service);
            if let Some(logs) = self.services.get(&service.0) {
                return logs.iter().for_each(|log| each(log));
            }
        }
        each(&self.main);
    }
}

/// Finds the service that an event is about.
#[derive(Default)]
struct ServiceOf(String);

impl Visit for ServiceOf {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "service" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "service" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Settings {
    fn open(name: &str, log: Option<&Section>, complaints: &mut Vec<Complaint>) -> Self {
        let empty = Section::default();
        let log = log.unwrap_or(&empty);
        let output = open(log).unwrap_or_else(|error| {
            let reason = format!("log to {}: {error}", log.output);
            complaints.push((log.place.clone(), reason));
            Output::Stderr
        });
        Self {
            name: name.to_owned(),
            level: level(&log.level),
            format: if log.format == "text" {
                Format::Text
            } else {
                Format::Json
            },
            output,
        }
    }
}

/// Starts the log as the configuration says. What can't be done is said on standard error, where
/// the log then goes.
pub(crate) fn start(config: &Config) -> Log {
    let (logs, complaints) = Logs::open(config);
    start_with(logs, complaints)
}

/// Starts the log of a program that is about to end.
pub(crate) fn start_only(log: Option<&Section>) {
    let mut complaints = Vec::new();
    let logs = Logs::only(log, &mut complaints);
    start_with(logs, complaints);
}

fn start_with(logs: Logs, complaints: Vec<Complaint>) -> Log {
    let logger = Arc::new(Logger {
        logs: ArcSwap::from_pointee(logs),
        spans: AtomicU64::new(0),
    });
    // Fails only when the embedding program has a subscriber already, which is then used.
    let _ = tracing::subscriber::set_global_default(logger.clone());
    for (_, complaint) in complaints {
        tracing::warn!("{complaint}");
    }
    Log(logger)
}

/// Says why the program does not start: on standard error, whatever else the log does.
pub(crate) fn fatal(reason: &str) {
    tracing::error!(target: FATAL, "{reason}");
}

/// The level by the original's name; what it does not know means info, and `fatal` only why the
/// program does not start.
fn level(name: &str) -> LevelFilter {
    match name {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        "fatal" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    }
}

fn open(log: &Section) -> io::Result<Output> {
    match &*log.output {
        "" | "stderr" => Ok(Output::Stderr),
        "stdout" => Ok(Output::Stdout),
        "none" | "null" => Ok(Output::Nowhere),
        path if log.rotation.is_some() => {
            let rotation = log.rotation.as_ref().map(|rotation| Rotation {
                max_size: u64::try_from(rotation.max_size).unwrap_or(0),
                max_age: u64::try_from(rotation.max_age).unwrap_or(0),
                max_backups: usize::try_from(rotation.max_backups).unwrap_or(0),
                local_time: rotation.local_time,
                compress: rotation.compress,
            });
            let file = Appender::open(path, rotation.as_ref())?;
            Ok(Output::Rotated(Mutex::new(file)))
        }
        path => {
            if let Some(folder) = Path::new(path).parent() {
                std::fs::create_dir_all(folder)?;
            }
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map(Output::File)
        }
    }
}

impl Settings {
    fn hears(&self, level: Level) -> bool {
        !matches!(self.output, Output::Nowhere) && level <= self.level
    }

    /// Writes a line whole, so that lines of several threads do not mix.
    fn write(&self, line: &[u8]) {
        // There is nowhere left to complain when the log itself can't be written.
        let _ = match &self.output {
            Output::Stderr => io::stderr().lock().write_all(line),
            Output::Stdout => io::stdout().lock().write_all(line),
            Output::File(file) => (&*file).write_all(line),
            Output::Rotated(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.write(line)
            }
            Output::Nowhere => Ok(()),
        };
    }
}

impl Subscriber for Logger {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Of other crates only what needs attention: their debug lines are not ours to show.
        let ours = metadata.target().starts_with("gost");
        let is_fatal = metadata.target() == FATAL;
        metadata.is_event()
            && (ours || *metadata.level() <= Level::WARN)
            && (is_fatal
                || self
                    .logs
                    .load()
                    .all()
                    .any(|log| log.hears(*metadata.level())))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let logs = self.logs.load();
        let levels = logs.all().map(|log| match log.output {
            Output::Nowhere => LevelFilter::OFF,
            _ => log.level,
        });
        // Why the program does not start is said in any case, and is an error to this crate.
        levels.chain([LevelFilter::ERROR]).max()
    }

    fn event(&self, event: &Event<'_>) {
        thread_local! {
            static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let is_fatal = event.metadata().target() == FATAL;
        let level = *event.metadata().level();
        self.logs.load().each(event, |log| {
            if !is_fatal && !log.hears(level) {
                return;
            }
            BUFFER.with_borrow_mut(|buffer| {
                buffer.clear();
                let name = if is_fatal { "fatal" } else { line::name(level) };
                let json = log.format == Format::Json;
                Line::write(buffer, json, (name, &log.name), event);
                log.write(buffer.as_bytes());
                if is_fatal && !matches!(log.output, Output::Stderr) {
                    let _ = io::stderr().lock().write_all(buffer.as_bytes());
                }
            });
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_hears_its_level_and_what_is_worse() {
        let levels = [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ];
        for (name, expected) in [
            ("fatal", 0),
            ("error", 1),
            ("warn", 2),
            ("info", 3),
            ("debug", 4),
            ("trace", 5),
            ("", 3),
            ("verbose", 3),
        ] {
            let section = Section {
                level: name.to_owned(),
                ..Section::default()
            };
            let log = Settings::open("", Some(&section), &mut Vec::new());
            let heard = levels.map(|level| log.hears(level));
            let count = heard.into_iter().take_while(|heard| *heard).count();
            assert_eq!(count, expected, "{name}");
        }
    }
}
