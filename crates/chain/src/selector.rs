//! Filters and strategies: which of several fit items is taken.

use std::{
    cmp::Ordering,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use gost_core::routing::Probed;

use crate::item::{Item, Limits};

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// In turn. The turn is counted per selector, whatever there is to choose from.
    #[default]
    Round,
    /// By chance, in proportion to the weights.
    Random,
    /// The first.
    Fifo,
    /// By the CRC-32 of the request's hash source, so that the same source gets the same item for
    /// as long as there are as many of them; by chance without a source.
    Hash,
    /// All nodes at once; whichever answers first.
    Parallel,
    /// The one whose last probe was the quickest; without any good probe the first.
    LowestLatency,
}

impl Strategy {
    /// Reads a name of the configuration; `None` for an unknown one.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "round" | "rr" => Self::Round,
            "random" | "rand" => Self::Random,
            "fifo" | "ha" => Self::Fifo,
            "hash" => Self::Hash,
            "parallel" => Self::Parallel,
            "lowestlatency" | "lowest" | "ll" => Self::LowestLatency,
            _ => return None,
        })
    }

    /// The strategy for the entries of a group: those that are about nodes mean in turn.
    #[must_use]
    pub const fn of_group(self) -> Self {
        match self {
            Self::Parallel | Self::LowestLatency => Self::Round,
            other => other,
        }
    }
}

/// What a selector chose.
#[derive(Debug)]
pub(crate) enum Chosen<'a, T> {
    /// This one.
    One(&'a T),
    /// Whichever of these answers first.
    Race(Vec<&'a T>),
}

/// Filters, then a strategy. The filters leave alone what has no alternative.
#[derive(Debug, Default)]
pub struct Selector {
    strategy: Strategy,
    limits: Limits,
    max_latency: Duration,
    turn: AtomicUsize,
}

impl Selector {
    /// A selector with the usual limits: 1 failure, 10 seconds, any latency.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            ..Self::default()
        }
    }

    /// Sets when an item counts as failed.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Passes over nodes whose last probe failed or took longer; zero for any latency.
    #[must_use]
    pub const fn with_max_latency(mut self, max_latency: Duration) -> Self {
        self.max_latency = max_latency;
        self
    }

    /// The same selector for the entries of a group.
    #[must_use]
    pub(crate) const fn of_group(mut self) -> Self {
        self.strategy = self.strategy.of_group();
        self.max_latency = Duration::ZERO;
        self
    }

    /// When an item counts as failed.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Chooses; `None` when the filters leave nothing.
    pub(crate) fn choose<'a, T: Item>(
        &self,
        items: &[&'a T],
        hash: Option<&str>,
    ) -> Option<Chosen<'a, T>> {
        let mut items = items.to_vec();
        keep(&mut items, |item| !item.is_failed(self.limits));
        if items.iter().any(|item| !item.options().backup) {
            keep(&mut items, |item| !item.options().backup);
        }
        if !self.max_latency.is_zero() {
            keep(&mut items, |item| match item.marker().latency() {
                Probed::Never => true,
                Probed::Failed => false,
                Probed::Took(time) => time <= self.max_latency,
            });
        }
        self.apply(items, hash)
    }

    /// The strategy alone.
    pub(crate) fn apply<'a, T: Item>(
        &self,
        items: Vec<&'a T>,
        hash: Option<&str>,
    ) -> Option<Chosen<'a, T>> {
        let index = match self.strategy {
            // Who has no alternative has had a turn, too.
            Strategy::Round => self.turn.fetch_add(1, Relaxed) % items.len().max(1),
            _ if items.len() < 2 => 0,
            Strategy::Random => {
                let weights: Vec<_> = items.iter().map(|item| item.options().weight()).collect();
                weighted(&weights, fastrand::u64(0..weights.iter().sum()))
            }
            Strategy::Fifo => 0,
            Strategy::Hash => match hash {
                Some(source) => crc32fast::hash(source.as_bytes()) as usize % items.len(),
                None => fastrand::usize(0..items.len()),
            },
            Strategy::Parallel => return Some(Chosen::Race(items)),
            Strategy::LowestLatency => quickest(&items),
        };
        items.get(index).copied().map(Chosen::One)
    }
}

/// A filter: does nothing to an item that has no alternative.
fn keep<T>(items: &mut Vec<T>, fit: impl FnMut(&T) -> bool) {
    if items.len() > 1 {
        items.retain(fit);
    }
}

/// The place at which `roll` falls, which is less than the sum of the weights.
fn weighted(weights: &[u64], mut roll: u64) -> usize {
    for (place, weight) in weights.iter().enumerate() {
        if roll < *weight {
            return place;
        }
        roll -= weight;
    }
    0
}

fn quickest<T: Item>(items: &[&T]) -> usize {
    let time = |place: &usize| match items[*place].marker().latency() {
        Probed::Took(time) => Some(time),
        Probed::Never | Probed::Failed => None,
    };
    (0..items.len())
        .min_by(|a, b| match (time(a), time(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
