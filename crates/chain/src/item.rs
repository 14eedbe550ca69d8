//! What can be chosen: a node, a chain of a group, a hop of a group.

use std::time::Duration;

use gost_core::{options, routing::Marker};

options! {
    /// Metadata keys of a node, or of an entry of a group, that its choice depends on.
    pub struct ItemOptions {
        /// How often the strategy `random` takes it, compared with others.
        weight: i32 = 1, "weight";
        /// Use it only when nothing else is left.
        backup: bool = false, "backup";
        /// Failures in a row after which it counts as failed; 0 for 1. Without it the selector's
        /// own limit counts.
        max_fails: Option<i32> = None, "maxFails";
        /// How long it counts as failed; 0 for 10s. Without it the selector's own limit counts.
        fail_timeout: Option<Duration> = None, "failTimeout";
    }
}

impl ItemOptions {
    /// The weight; what is not positive counts as 1.
    pub fn weight(&self) -> u64 {
        u64::try_from(self.weight.max(1)).unwrap_or(1)
    }
}

/// When something counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row; at least 1.
    pub max_fails: u32,
    /// How long the last failure counts.
    pub fail_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(0, Duration::ZERO)
    }
}

impl Limits {
    /// Limits as configured; what is not positive means 1 failure, 10 seconds.
    pub fn new(max_fails: i32, fail_timeout: Duration) -> Self {
        Self {
            max_fails: u32::try_from(max_fails).unwrap_or(0).max(1),
            fail_timeout: if fail_timeout.is_zero() {
                Duration::from_secs(10)
            } else {
                fail_timeout
            },
        }
    }

    /// These limits, with the options of an item instead where it has any.
    fn or_of(self, options: &ItemOptions) -> Self {
        Self {
            max_fails: options
                .max_fails
                .map_or(self.max_fails, |n| Self::new(n, Duration::ZERO).max_fails),
            fail_timeout: options
                .fail_timeout
                .map_or(self.fail_timeout, |t| Self::new(0, t).fail_timeout),
        }
    }
}

/// Something that a selector chooses from.
pub trait Item {
    /// Its failures, and what its last probe found.
    fn marker(&self) -> &Marker;

    /// What its choice depends on.
    fn options(&self) -> &ItemOptions;

    /// True when it counts as failed, by its own limits or else these.
    fn is_failed(&self, limits: Limits) -> bool {
        let limits = limits.or_of(self.options());
        self.marker()
            .is_failed(limits.max_fails, limits.fail_timeout)
    }
}
