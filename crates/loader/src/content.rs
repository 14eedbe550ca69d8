//! What sources hold.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::source::Source;

/// What a source holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A text of lines.
    Text(String),
    /// Entries.
    Items(Vec<String>),
    /// Entries that have a field and a value.
    Pairs(Vec<(String, String)>),
}

impl Content {
    fn entries(&self) -> Box<dyn Iterator<Item = (usize, Form<'_>)> + '_> {
        match self {
            Self::Text(text) => Box::new((1..).zip(text.lines().map(Form::Line))),
            Self::Items(items) => Box::new((1..).zip(items.iter().map(|item| Form::Item(item)))),
            Self::Pairs(pairs) => {
                let forms = pairs.iter().map(|(field, value)| Form::Pair(field, value));
                Box::new((1..).zip(forms))
            }
        }
    }
}

/// Only how much there is: it may be passwords.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} entries)", self.entries().count())
    }
}

#[derive(Clone, Copy)]
enum Form<'a> {
    Line(&'a str),
    Item(&'a str),
    Pair(&'a str, &'a str),
}

/// A line of a text, or an entry of a set, list or hash.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    form: Form<'a>,
    source: usize,
    /// Which one it is, from 1.
    number: usize,
}

impl<'a> Entry<'a> {
    /// The entry without blanks around it; of a hash, the field.
    pub fn text(&self) -> &'a str {
        match self.form {
            Form::Line(text) | Form::Item(text) | Form::Pair(text, _) => text.trim(),
        }
    }

    /// The entry, of a line what is before any `#`.
    pub fn uncommented(&self) -> &'a str {
        match self.form {
            Form::Line(line) => line.split('#').next().unwrap_or_default().trim(),
            _ => self.text(),
        }
    }

    /// The two halves of an entry: field and value of a hash, or what is before and behind the
    /// first blank. A line that begins with `#` has none.
    pub fn pair(&self) -> Option<(&'a str, &'a str)> {
        if let Form::Pair(field, value) = self.form {
            return Some((field.trim(), value.trim()));
        }
        let text = self.text();
        if text.is_empty() || (matches!(self.form, Form::Line(_)) && text.starts_with('#')) {
            return None;
        }
        let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        Some((first, rest.trim()))
    }
}

/// What all sources of a table hold, each as it was when it was last read.
#[derive(Default)]
pub struct Loaded {
    sources: Vec<(Arc<Source>, Option<Arc<Content>>)>,
    /// Entries that were not understood, and how many there are.
    bad: Mutex<(Vec<String>, usize)>,
    again: Mutex<Option<Duration>>,
}

/// How many entries that were not understood are named.
const NAMED: usize = 5;

impl Loaded {
    pub(crate) fn new(sources: Vec<(Arc<Source>, Option<Arc<Content>>)>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    /// False while there is a source that could never be read: nobody knows what it would say.
    pub fn is_whole(&self) -> bool {
        self.sources.iter().all(|(_, content)| content.is_some())
    }

    /// The entries: those of the file, of redis, and of the URL.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.contents().flat_map(|(source, _, content)| {
            content.entries().map(move |(number, form)| Entry {
                form,
                source,
                number,
            })
        })
    }

    /// The whole texts, with what to call their source, where entries are not lines.
    pub fn texts(&self) -> impl Iterator<Item = (String, &str)> {
        self.contents()
            .filter_map(|(_, source, content)| match content {
                Content::Text(text) => Some((source.to_string(), text.as_str())),
                _ => None,
            })
    }

    fn contents(&self) -> impl Iterator<Item = (usize, &Source, &Content)> {
        let sources = self.sources.iter().enumerate();
        sources.filter_map(|(at, (source, content))| Some((at, &**source, &**content.as_ref()?)))
    }

    /// Notes that an entry was left out, and why: a reason that holds no secret.
    pub fn left_out(&self, entry: &Entry<'_>, why: impl fmt::Display) {
        let mut bad = self.bad.lock();
        bad.1 += 1;
        if bad.0.len() < NAMED {
            let source = self.sources.get(entry.source);
            let source = source.map(|(source, _)| source.to_string());
            let word = match entry.form {
                Form::Line(_) => "line",
                Form::Item(_) | Form::Pair(..) => "entry",
            };
            let source = source.unwrap_or_default();
            bad.0
                .push(format!("{source}: {word} {} {why}", entry.number));
        }
    }

    /// Asks to be made again after a while, whether or not something else is loaded then: for what
    /// depends on more than the sources. Zero is never.
    pub fn make_again_after(&self, delay: Duration) {
        *self.again.lock() = (!delay.is_zero()).then_some(delay);
    }

    pub(crate) fn again(&self) -> Option<Duration> {
        *self.again.lock()
    }

    /// What was left out, in a sentence.
    pub(crate) fn complaint(&self) -> Option<String> {
        let bad = self.bad.lock();
        let (named, count) = &*bad;
        if *count == 0 {
            return None;
        }
        let more = match count - named.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Some(format!("left out: {}{more}", named.join("; ")))
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.sources).finish()
    }
}
