//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::scenario::{SCENARIOS, Scenario};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: gost-bench [options]

Drives gost and the peers found on PATH through the same scenarios and prints
a table of ratios.

  --quick               one short round, for a first look (under 90 s)
  --only NAME,...       these scenarios only (--list shows them)
  --programs LABEL,...  these programs only, such as ours,reference
  --gost PATH           our binary [GOST_BIN, or gost beside this program]
  --rounds N            rounds, each of which runs every program once [5]
  --seconds S           length of each load in seconds [what the time allows]
  --idle N              idle connections, for memory [1000; quick: 300]
  --json FILE           the results as JSON [gost-bench.json in target/]
  --logs DIR            keep what the programs say; costs them time
  --bad-path S          KCP over a path with loss, for S seconds, and nothing else
  --list                list the scenarios
  --help                this text
";

/// What the command line asks for.
pub(crate) enum Command {
    /// Measure.
    Run(Args),
    /// Print [`HELP`].
    Help,
    /// List the scenarios.
    List,
    /// Measure KCP over a bad path only.
    BadPath {
        /// Our binary, unless it is the one beside this program.
        gost: Option<PathBuf>,
        /// For how long.
        seconds: f64,
    },
}

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) quick: bool,
    pub(crate) scenarios: Vec<&'static Scenario>,
    /// Labels of the programs to run; all if empty.
    pub(crate) programs: Vec<String>,
    pub(crate) gost: Option<PathBuf>,
    pub(crate) rounds: usize,
    pub(crate) seconds: Option<f64>,
    pub(crate) idle: usize,
    pub(crate) json: PathBuf,
    pub(crate) logs: Option<PathBuf>,
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command> {
    let mut quick = false;
    let mut scenarios: Vec<_> = SCENARIOS.iter().collect();
    let mut programs = Vec::new();
    let (mut gost, mut rounds, mut seconds, mut idle, mut json, mut logs) =
        (None, None, None, None, None, None);

    let mut bad_path = None;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        // Both --name VALUE and --name=VALUE.
        let (name, attached) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let mut value = || {
            let value = attached.clone().or_else(|| args.next());
            value.with_context(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--quick" => quick = true,
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--only" => scenarios = value()?.split(',').map(scenario).collect::<Result<_>>()?,
            "--programs" => programs = value()?.split(',').map(str::to_owned).collect(),
            "--gost" => gost = Some(value()?.into()),
            "--rounds" => rounds = Some(number(&name, &value()?, 1, 1000)?),
            "--seconds" => seconds = Some(duration(&name, &value()?, 60.0)?),
            "--bad-path" => bad_path = Some(duration(&name, &value()?, 3600.0)?),
            "--idle" => idle = Some(number(&name, &value()?, 1, 4000)?),
            "--json" => json = Some(value()?.into()),
            "--logs" => logs = Some(value()?.into()),
            _ => bail!("unknown option {name}; --help lists them"),
        }
    }
    if let Some(seconds) = bad_path {
        return Ok(Command::BadPath { gost, seconds });
    }
    Ok(Command::Run(Args {
        quick,
        scenarios,
        programs,
        gost,
        rounds: rounds.unwrap_or(if quick { 1 } else { 5 }),
        seconds,
        idle: idle.unwrap_or(if quick { 300 } else { 1000 }),
        json: json.unwrap_or_else(default_json),
        logs,
    }))
}

fn scenario(name: &str) -> Result<&'static Scenario> {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.with_context(|| format!("unknown scenario {name}; --list shows them"))
}

fn number(name: &str, text: &str, min: usize, max: usize) -> Result<usize> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (min..=max).contains(number));
    number.with_context(|| format!("{name} {text}: not a number from {min} to {max}"))
}

fn duration(name: &str, text: &str, most: f64) -> Result<f64> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.1..=most).contains(seconds));
    seconds.with_context(|| format!("{name} {text}: not a number from 0.1 to {most}"))
}

/// Beside the build's own files, which version control ignores.
fn default_json() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program
        .ancestors()
        .nth(2)
        .map(PathBuf::from)
        .unwrap_or_default();
    target.join("gost-bench.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Args> {
        match parse(line.split_ascii_whitespace().map(str::to_owned))? {
            Command::Run(args) => Ok(args),
            Command::Help | Command::List | Command::BadPath { .. } => bail!("no run"),
        }
    }

    #[test]
    fn defaults_run_everything_and_quick_runs_it_once() {
        let full = args("").unwrap();
        assert_eq!((full.rounds, full.idle, full.seconds), (5, 1000, None));
        assert_eq!(full.scenarios.len(), SCENARIOS.len());
        let quick = args("--quick").unwrap();
        assert_eq!((quick.rounds, quick.idle), (1, 300));
        assert_eq!(quick.scenarios.len(), SCENARIOS.len());
    }

    #[test]
    fn options_are_read_in_both_forms() {
        let args =
            args("--only tcp,udp --programs=ours --rounds 3 --seconds=0.5 --gost /g").unwrap();
        assert_eq!(
            args.scenarios.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["tcp", "udp"]
        );
        assert_eq!((args.rounds, args.seconds), (3, Some(0.5)));
        assert_eq!(
            (args.programs, args.gost),
            (vec!["ours".to_owned()], Some("/g".into()))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("--only tcp,nothing", "nothing"),
            ("--rounds 0", "--rounds 0"),
            ("--seconds x", "--seconds x"),
            ("--bad-path 0", "--bad-path 0"),
            ("--gost", "--gost needs"),
            ("--fast", "--fast"),
        ] {
            let error = args(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
