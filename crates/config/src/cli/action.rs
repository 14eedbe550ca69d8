//! What a command line asks for.

use super::{FlagError, Flags, split_workers};

/// What a program started with a command line has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process of its own for each group of arguments, with `_GOST_ID` set to its number
    /// from 0.
    Workers(Vec<Vec<String>>),
    /// Print the version to stdout and exit with status 0.
    Version,
    /// Print [`usage`](super::usage) to stderr and exit with status 0.
    Help,
    /// Load the configuration, print it in the format of [`Flags::output`] to stdout (what is
    /// wrong with it to stderr) and exit with status 0; with 1 if it cannot be read.
    Print(Flags),
    /// Load the configuration and run it; exit with status 1 if anything is wrong with it.
    Run(Flags),
    /// Print the error and [`usage`](super::usage) to stderr and exit with status 2.
    Refuse(FlagError),
}

impl Action {
    /// Reads a command line, the program's name left out.
    pub fn of(args: &[String]) -> Self {
        match split_workers(args) {
            Ok(Some(groups)) => return Self::Workers(groups),
            Ok(None) => {}
            Err(error) => return Self::Refuse(error),
        }
        match Flags::parse(args) {
            Err(error) => Self::Refuse(error),
            Ok(flags) if flags.help => Self::Help,
            Ok(flags) if flags.version => Self::Version,
            Ok(flags) if flags.output.is_some() => Self::Print(flags),
            Ok(flags) => Self::Run(flags),
        }
    }
}
