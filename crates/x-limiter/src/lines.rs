//! Lines of limits: a key, what limits it, and perhaps a comment.

use gost_core::error::{Error, Result, Why};
use gost_loader::{Loaded, RedisKind, Reloading, SourceOptions};

/// A line that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} {why}")]
pub struct RuleError {
    line: String,
    why: String,
}

/// Rules that are read from lines.
pub(crate) trait Lines: Clone + Default + Send + Sync + 'static {
    /// Sets what a line says about a key, of which there is at least one word. The error says
    /// what the line does.
    fn set_line(&mut self, key: &str, words: &[&str]) -> Result<(), String>;

    /// Notes whether some rules could not be loaded yet.
    fn shut(&mut self, is_shut: bool);
}

/// Reads lines of a key and words; `#` begins a comment. Of two lines for one key the later counts.
pub(crate) fn parse<L: Lines>(lines: &[String]) -> Result<L, RuleError> {
    let mut rules = L::default();
    for line in lines {
        add(&mut rules, line)?;
    }
    Ok(rules)
}

/// Loads rules: of those for one key the loaded one counts. `place` says whose they are, for the
/// log.
///
/// # Errors
/// A line of the configuration that is no limit; a file that can't be read.
pub(crate) async fn load<L: Lines>(
    place: &str,
    limits: &[String],
    sources: &SourceOptions,
) -> Result<Reloading<L>> {
    let inline: L = parse(limits).map_err(|e| Error::new(Why::BadInput, format!("limits: {e}")))?;
    let make = move |loaded: &Loaded| {
        let mut rules = inline.clone();
        for entry in loaded.entries() {
            if let Err(why) = add(&mut rules, entry.uncommented()) {
                loaded.left_out(&entry, why);
            }
        }
        rules.shut(!loaded.is_whole());
        rules
    };
    let kinds = [RedisKind::Set, RedisKind::List];
    Reloading::new(place, sources, &kinds, make).await
}

fn add(rules: &mut impl Lines, line: &str) -> Result<(), RuleError> {
    let text = line.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let Some(key) = words.next() else {
        return Ok(());
    };
    let words: Vec<_> = words.collect();
    let set = if words.is_empty() {
        Err("has no limit".to_owned())
    } else {
        rules.set_line(key, &words)
    };
    set.map_err(|why| RuleError {
        line: line.to_owned(),
        why,
    })
}
