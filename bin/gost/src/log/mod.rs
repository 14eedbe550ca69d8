//! The log: one line for each event, as JSON or text, in the shape of the original's.
//!
//! It is a `tracing` subscriber without spans: an idle connection must not pay for a span, so the
//! fields of a connection stand in its lines.

mod line;

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use gost_config::Log as Config;
use tracing::{
    Event, Level, Metadata, Subscriber,
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
    Nowhere,
}

/// What a configuration says about the log, with its file open.
#[derive(Debug)]
pub(crate) struct Settings {
    level: LevelFilter,
    format: Format,
    output: Output,
}

/// The subscriber.
#[derive(Debug)]
struct Logger {
    settings: ArcSwap<Settings>,
    spans: AtomicU64,
}

/// The log of the program, to be changed when the configuration does.
pub(crate) struct Log(Arc<Logger>);

impl Log {
    /// Logs differently from now on.
    pub(crate) fn change(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
        tracing::callsite::rebuild_interest_cache();
    }
}

impl Settings {
    /// Opens what a configuration says, without logging there yet. A file is opened again even if
    /// it is the same: it may have been moved away to make room for a new one.
    pub(crate) fn open(log: Option<&Config>) -> Result<Self, String> {
        let empty = Config::default();
        let log = log.unwrap_or(&empty);
        let output = open(&log.output).map_err(|e| format!("log to {}: {e}", log.output))?;
        Ok(Self::new(log, output))
    }

    fn new(log: &Config, output: Output) -> Self {
        Self {
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
pub(crate) fn start(log: Option<&Config>) -> Log {
    let empty = Config::default();
    let log = log.unwrap_or(&empty);
    let (settings, complaint) = match Settings::open(Some(log)) {
        Ok(settings) => (settings, None),
        Err(reason) => (Settings::new(log, Output::Stderr), Some(reason)),
    };
    let logger = Arc::new(Logger {
        settings: ArcSwap::from_pointee(settings),
        spans: AtomicU64::new(0),
    });
    // Fails only when the embedding program has a subscriber already, which is then used.
    let _ = tracing::subscriber::set_global_default(logger.clone());
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    Log(logger)
}

/// Says why the program does not start: on standard error, whatever else the log does.
pub(crate) fn fatal(reason: &str) {
    tracing::error!(target: FATAL, "{reason}");
}

/// The level by the original's name; what it does not know means info.
fn level(name: &str) -> LevelFilter {
    match name {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

fn open(name: &str) -> io::Result<Output> {
    match name {
        "" | "stderr" => Ok(Output::Stderr),
        "stdout" => Ok(Output::Stdout),
        "none" | "null" => Ok(Output::Nowhere),
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
    /// Writes a line whole, so that lines of several threads do not mix.
    fn write(&self, line: &[u8]) {
        // There is nowhere left to complain when the log itself can't be written.
        let _ = match &self.output {
            Output::Stderr => io::stderr().lock().write_all(line),
            Output::Stdout => io::stdout().lock().write_all(line),
            Output::File(file) => (&*file).write_all(line),
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
        let settings = self.settings.load();
        let heard = !matches!(settings.output, Output::Nowhere) || metadata.target() == FATAL;
        heard
            && metadata.is_event()
            && *metadata.level() <= settings.level
            && (ours || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let settings = self.settings.load();
        Some(if matches!(settings.output, Output::Nowhere) {
            LevelFilter::ERROR
        } else {
            settings.level
        })
    }

    fn event(&self, event: &Event<'_>) {
        thread_local! {
            static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let settings = self.settings.load();
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let mut line = Line::new(buffer, settings.format == Format::Json);
            let is_fatal = event.metadata().target() == FATAL;
            line.begin(if is_fatal {
                "fatal"
            } else {
                line::name(*event.metadata().level())
            });
            event.record(&mut line);
            line.end();
            settings.write(buffer.as_bytes());
            if is_fatal && !matches!(settings.output, Output::Stderr) {
                let _ = io::stderr().lock().write_all(buffer.as_bytes());
            }
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
