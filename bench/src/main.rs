//! Side-by-side benchmark of gost and its peers: see `bench/README.md`.
//!
//! Every program is driven through the same scenarios by the same load in the
//! same run, programs taking turns within each round, so that what the machine
//! does meanwhile hits all of them alike. Ratios are the result; absolute
//! figures belong to the machine.

// Figures here have three digits; none needs the 53 bits of an f64.
#![allow(clippy::cast_precision_loss)]

mod args;
mod bad_path;
mod client;
mod idle;
mod load;
mod machine;
mod measure;
mod metric;
mod program;
mod report;
mod scenario;
mod target;
mod udp;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Command;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gost-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args = match args::parse(std::env::args().skip(1))? {
        Command::Run(args) => args,
        Command::Help => {
            print!("{}", args::HELP);
            return Ok(());
        }
        Command::BadPath { gost, seconds } => return bad_path::run(gost, seconds),
        Command::List => {
            for scenario in scenario::SCENARIOS {
                println!("{:14} {}", scenario.name, scenario.title);
            }
            return Ok(());
        }
    };
    machine::raise_descriptor_limit()?;
    let results = measure::Plan::new(&args)?.run();
    print!("{}", report::text(&results));
    report::write_json(&results, &args.json)?;
    eprintln!("wrote {}", args.json.display());
    Ok(())
}
