//! Counting and limiting bytes without standing in their way.

use std::{fmt, sync::Arc, time::Duration};

use crate::error::{Error, Why};

/// Which way bytes go, seen from the one who connected to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to us.
    In,
    /// From us to the client.
    Out,
}

/// How much may move now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Up to so many bytes, at least one.
    Bytes(usize),
    /// Nothing until so long from now.
    After(Duration),
    /// Nothing any more: what moves the bytes is to end.
    Over,
}

/// A counter of bytes that may also limit them. Shared by many connections.
pub trait Metering: Send + Sync + 'static {
    /// Counts bytes that have moved.
    fn count(&self, direction: Direction, bytes: usize);

    /// How many of `want` bytes may move now. They are counted as used up only by [`Self::count`].
    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        let _ = direction;
        Allowance::Bytes(want)
    }

    /// A meter for one connection of those that share this one, where it keeps whose turn it is;
    /// `None`, the default, when all can share this one.
    fn of_one(&self) -> Option<Meter> {
        None
    }
}

/// Counters, and possibly a limit, that the mover of the bytes keeps: no wrapper, so that the
/// bytes can still move inside the kernel.
#[derive(Clone, Default)]
pub struct Meter(Option<Arc<dyn Metering>>);

impl Meter {
    /// A meter that counts into `metering`.
    pub fn new(metering: Arc<dyn Metering>) -> Self {
        Self(Some(metering))
    }

    /// True when nothing is counted.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Counts bytes that have moved.
    pub fn count(&self, direction: Direction, bytes: usize) {
        if let Some(metering) = &self.0 {
            metering.count(direction, bytes);
        }
    }

    /// How many of `want` bytes may move now.
    pub fn allow(&self, direction: Direction, want: usize) -> Allowance {
        self.0
            .as_ref()
            .map_or(Allowance::Bytes(want), |m| m.allow(direction, want))
    }

    /// A meter for one connection of those that share this one.
    #[must_use]
    pub fn of_one(&self) -> Self {
        let own = self.0.as_ref().and_then(|metering| metering.of_one());
        own.unwrap_or_else(|| self.clone())
    }

    /// Both meters as one: each counts, the stricter limits.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(Arc::new(Both(a, b)))),
            (a, b) => Self(a.or(b)),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() {
            "Meter(none)"
        } else {
            "Meter"
        })
    }
}

struct Both(Arc<dyn Metering>, Arc<dyn Metering>);

impl Metering for Both {
    fn count(&self, direction: Direction, bytes: usize) {
        self.0.count(direction, bytes);
        self.1.count(direction, bytes);
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        match (self.0.allow(direction, want), self.1.allow(direction, want)) {
            (Allowance::Over, _) | (_, Allowance::Over) => Allowance::Over,
            (Allowance::Bytes(a), Allowance::Bytes(b)) => Allowance::Bytes(a.min(b)),
            (Allowance::After(a), Allowance::After(b)) => Allowance::After(a.max(b)),
            (Allowance::After(wait), _) | (_, Allowance::After(wait)) => Allowance::After(wait),
        }
    }

    fn of_one(&self) -> Option<Meter> {
        let one = |metering: &Arc<dyn Metering>| Meter(Some(metering.clone())).of_one();
        Some(one(&self.0).and(one(&self.1)))
    }
}

/// What ends a connection that may move nothing any more.
pub fn used_up() -> Error {
    Error::new(Why::Limited, "quota: traffic limit reached")
}
