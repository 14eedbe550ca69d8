//! When a failed attempt is repeated, and without which nodes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use gost_core::{
    error::{Error, Phase, Result, Side, Why},
    routing::Node,
};

use crate::{deadline::now, route::Blame};

/// How many attempts a request may get beyond the configured ones when nodes fail.
const SPARE: usize = 3;

/// Why an attempt failed, and the nodes at fault.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) blames: Vec<Blame>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            blames: Vec::new(),
        }
    }
}

/// Decides about another attempt.
///
/// - A failure of a node or the target, before anything was relayed, is repeated as often as
///   configured. The nodes that failed are left out until there are no others.
/// - A failed node costs a request no more than time: another node is tried even if no retries
///   are configured, once in any case and a few times more while the request is younger than
///   the timeout of one attempt.
/// - What we refuse ourselves, and what no repetition can change, is final.
pub(crate) struct Retry {
    /// Configured retries that are left.
    budget: usize,
    spare: usize,
    /// Until when more than one spare attempt is made.
    young: Instant,
    deadline: Option<Instant>,
    /// Nodes that failed.
    tried: Vec<Arc<Node>>,
    /// Nodes of which some failed, nobody knows which, with the places of their steps.
    suspects: Vec<(usize, Arc<Node>)>,
    /// Why the last attempt failed, if it went as far as a node or target.
    last: Option<Error>,
    /// True when the current attempt is a configured one.
    paid: bool,
}

impl Retry {
    pub(crate) fn new(retries: usize, dial_timeout: Duration, deadline: Option<Instant>) -> Self {
        Self {
            budget: retries,
            spare: SPARE,
            young: now() + dial_timeout,
            deadline,
            tried: Vec::new(),
            suspects: Vec::new(),
            last: None,
            paid: true,
        }
    }

    /// The nodes to leave out of the next attempt. If that leaves no way, those of the next list:
    /// of several suspects at least those of one step.
    pub(crate) fn without(&self) -> Vec<Vec<Arc<Node>>> {
        let with = |fits: &dyn Fn(usize) -> bool| {
            let suspects = self.suspects.iter().filter(|(place, _)| fits(*place));
            let suspects = suspects.map(|(_, node)| node);
            self.tried.iter().chain(suspects).cloned().collect()
        };
        let mut lists = vec![with(&|_| true)];
        let places: BTreeSet<_> = self.suspects.iter().map(|(place, _)| *place).collect();
        lists.extend(places.into_iter().map(|place| with(&|at| at == place)));
        lists
    }

    /// Notes the nodes at fault; false when there are none.
    fn note(&mut self, blames: Vec<Blame>) -> bool {
        let found = !blames.is_empty();
        let doubted = blames.iter().filter(|blame| blame.doubt).count() > 1;
        for blame in blames {
            if doubted && blame.doubt {
                self.suspects.push((blame.place, blame.node));
            } else {
                self.tried.push(blame.node);
            }
        }
        found
    }

    /// Succeeds when there is to be another attempt; fails with what to tell the client.
    pub(crate) fn after(&mut self, failed: Failed) -> Result<()> {
        let Failed { error, blames } = failed;
        if error.why() == Why::NoRoute && error.at_phase() == Phase::Route {
            // A configured attempt begins again with all nodes; a spare one has no other to go to.
            if self.paid && !(self.tried.is_empty() && self.suspects.is_empty()) {
                self.tried.clear();
                self.suspects.clear();
                return Ok(());
            }
            return Err(self.last.take().unwrap_or(error));
        }
        let late = self.deadline.is_some_and(|end| now() >= end);
        let at_node = error.at_side() == Side::Node;
        if late || !(at_node || error.at_side() == Side::Target) {
            return Err(error);
        }
        let found = self.note(blames);
        if self.budget > 0 {
            self.budget -= 1;
            self.paid = true;
        } else if at_node && found && (self.spare == SPARE || now() < self.young) && self.spare > 0
        {
            self.spare -= 1;
            self.paid = false;
        } else {
            return Err(error);
        }
        tracing::debug!("another attempt, since {error}");
        self.last = Some(error);
        Ok(())
    }
}
