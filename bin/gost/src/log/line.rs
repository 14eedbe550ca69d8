//! One line of the log.

use std::{
    cell::Cell,
    fmt::{self, Write},
};

use chrono::{DateTime, Local};
use gost_core::duration::format_go_nanos;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// Writes the parts of a line into a buffer. Empty fields are left out.
pub(super) struct Line<'a> {
    buffer: &'a mut String,
    json: bool,
}

impl<'a> Line<'a> {
    /// Writes an event as a line of a logger, which may have no name.
    ///
    /// Time, level and message come first, whoever reads along; then what belongs to them.
    pub(super) fn write(
        buffer: &'a mut String,
        json: bool,
        (level, logger): (&str, &str),
        event: &Event<'_>,
    ) {
        let mut line = Self { buffer, json };
        line.begin(level);
        let mut message = Message(String::new());
        event.record(&mut message);
        line.text("msg", &message.0);
        if !logger.is_empty() {
            line.text("logger", logger);
        }
        event.record(&mut line);
        line.buffer.push_str(if json { "}\n" } else { "\n" });
    }

    fn begin(&mut self, level: &str) {
        let (time, between, end) = if self.json {
            ("{\"time\":\"", "\",\"level\":\"", "\"")
        } else {
            ("time=", " level=", "")
        };
        self.buffer.push_str(time);
        push_now(self.buffer);
        for part in [between, level, end] {
            self.buffer.push_str(part);
        }
    }

    fn key(&mut self, key: &str) {
        if self.json {
            self.buffer.push_str(",\"");
            self.buffer.push_str(key);
            self.buffer.push_str("\":");
        } else {
            self.buffer.push(' ');
            self.buffer.push_str(key);
            self.buffer.push('=');
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if self.json || value.contains([' ', '"', '=', '\n', '\\']) || value.is_empty() {
            push_quoted(self.buffer, value);
        } else {
            self.buffer.push_str(value);
        }
    }

    fn plain(&mut self, key: &str, value: fmt::Arguments<'_>) {
        self.key(key);
        let _ = self.buffer.write_fmt(value);
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !is_message(field) {
            self.record_str(field, &format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !value.is_empty() && !is_message(field) {
            self.text(field.name().trim_start_matches("r#"), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let name = field.name();
        if name == DURATION && !self.json {
            let nanos = i64::try_from(value).unwrap_or(i64::MAX);
            self.text(name, &format_go_nanos(nanos));
        } else {
            self.plain(name, format_args!("{value}"));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(field.name(), format_args!("{value}"));
    }
}

/// The field for how long something took: nanoseconds, which people read as `1.5s`.
const DURATION: &str = "duration";

/// The message of an event, which is one of its fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_message(field) {
            let _ = write!(self.0, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_message(field) {
            value.clone_into(&mut self.0);
        }
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

/// The name of a level.
pub(super) const fn name(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// Writes text in quotes, as JSON does.
fn push_quoted(buffer: &mut String, text: &str) {
    buffer.push('"');
    for c in text.chars() {
        match c {
            '"' => buffer.push_str("\\\""),
            '\\' => buffer.push_str("\\\\"),
            '\n' => buffer.push_str("\\n"),
            '\r' => buffer.push_str("\\r"),
            '\t' => buffer.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(buffer, "\\u{:04x}", u32::from(c));
            }
            c => buffer.push(c),
        }
    }
    buffer.push('"');
}

/// Writes the time as `2006-01-02T15:04:05.000+01:00`, with `Z` for the zone of Greenwich. The text
/// of a second is made once.
fn push_now(buffer: &mut String) {
    thread_local! {
        static SECOND: Cell<(i64, [u8; 19], [u8; 6])> = const { Cell::new((i64::MIN, [0; 19], [0; 6])) };
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
    SECOND.with(|cached| {
        let (mut at, mut date, mut zone) = cached.get();
        if at != seconds {
            let local = DateTime::from_timestamp(seconds, 0)
                .unwrap_or_default()
                .with_timezone(&Local);
            let text = local.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
            if let (Some(first), Some(last)) = (text.get(..19), text.get(19..25)) {
                date.copy_from_slice(first.as_bytes());
                zone.copy_from_slice(last.as_bytes());
            }
            at = seconds;
            cached.set((at, date, zone));
        }
        buffer.push_str(std::str::from_utf8(&date).unwrap_or_default());
        let _ = write!(buffer, ".{:03}", now.subsec_millis());
        buffer.push_str(match &zone {
            b"+00:00" => "Z",
            zone => std::str::from_utf8(zone).unwrap_or_default(),
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_milliseconds_and_zone() {
        let mut text = String::new();
        push_now(&mut text);
        let (_, milliseconds) = text.split_once('.').expect("a point");
        let is_utc = Local::now().offset().local_minus_utc() == 0;
        let zone = milliseconds.trim_start_matches(|c: char| c.is_ascii_digit());
        assert_eq!(milliseconds.len() - zone.len(), 3, "{text}");
        assert_eq!(zone == "Z", is_utc, "{text}");
        assert!(DateTime::parse_from_rfc3339(&text).is_ok(), "{text}");
    }

    #[test]
    fn quotes_hold_whatever_comes() {
        let mut text = String::new();
        push_quoted(&mut text, "a\"b\\c\n\u{1}\u{e9}");
        assert_eq!(text, "\"a\\\"b\\\\c\\n\\u0001\u{e9}\"");
    }
}
