//! The gost program: the components of this workspace, run by a command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    gost::run(gost::components())
}
