//! What is wrong with a configuration that can be read.
use crate::{Config, Problem};
pub fn check(_: &Config) -> Vec<Problem> {
    Vec::new()
}
