//! What is wrong with a configuration that can be read: names, references and values.
//!
//! Checked is what needs nothing but the configuration. Types of components, their options, files
//! and sockets are checked where components are built.

mod addresses;
mod cycles;
mod names;
mod values;

use crate::{Config, Problem};

/// Everything wrong with a configuration: names that are missing or taken, references to nothing,
/// addresses without ports, limits without units, and the like.
///
/// [`load`](crate::load()) has done this; a program that changes a configuration does it again.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    names::check(config, &mut problems);
    addresses::check(config, &mut problems);
    cycles::check(config, &mut problems);
    values::check(config, &mut problems);
    problems
}
