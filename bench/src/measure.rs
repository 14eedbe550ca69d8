//! The whole run: rounds, scenarios, programs in turn.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::args::Args;
use crate::client::Path;
use crate::idle;
use crate::load;
use crate::machine::Machine;
use crate::metric::Sample;
use crate::program::Programs;
use crate::scenario::{Contestant, Entry, Program, Scenario};
use crate::target::{TcpTarget, UdpTarget};
use crate::udp;

/// What a run may take, and what a quick one may.
const BUDGET: Duration = Duration::from_mins(7);
const QUICK_BUDGET: Duration = Duration::from_secs(75);
/// Seconds that a program takes in one round beside its loads: two starts,
/// the idle connections, warming up.
const OVERHEAD: f64 = 2.0;
/// A program that failed this often is not run again.
const FAILURES: usize = 2;

/// A run that can begin.
pub(crate) struct Plan {
    args: Args,
    programs: Programs,
    entries: Vec<Entries>,
    length: Duration,
}

/// A scenario and those of its programs that are there.
struct Entries {
    scenario: &'static Scenario,
    contestants: Vec<Contestant>,
}

/// Everything that a run has found.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Length of each load.
    pub(crate) length: Duration,
    pub(crate) idle: usize,
    pub(crate) elapsed: Duration,
    /// Names of programs and what they say of their version.
    pub(crate) versions: Vec<(&'static str, String)>,
    pub(crate) scenarios: Vec<ScenarioResult>,
}

/// What one scenario has shown.
#[derive(Debug)]
pub(crate) struct ScenarioResult {
    pub(crate) scenario: &'static Scenario,
    pub(crate) rows: Vec<Row>,
}

/// What one program has shown in one scenario.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) label: &'static str,
    /// One for each round; nothing where it failed.
    pub(crate) samples: Vec<Option<Sample>>,
    pub(crate) failures: Vec<String>,
}

impl Plan {
    /// Looks which programs there are, and shares out the time.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let programs = Programs::new(args.gost.clone(), args.logs.clone())?;
        programs.introduce();
        let mut missing = Vec::new();
        let mut entries = Vec::new();
        for &scenario in &args.scenarios {
            let mut contestants = Vec::new();
            for contestant in scenario.contestants() {
                let wanted = args.programs.is_empty()
                    || args.programs.iter().any(|label| label == contestant.label);
                if !wanted {
                    continue;
                }
                if programs.find(contestant.program).is_some() {
                    contestants.push(contestant);
                } else if !missing.contains(&contestant.program) {
                    missing.push(contestant.program);
                }
            }
            if !contestants.is_empty() {
                entries.push(Entries {
                    scenario,
                    contestants,
                });
            }
        }
        for program in missing {
            eprintln!("skipped: no {}", name(program));
        }
        ensure!(!entries.is_empty(), "none of the programs was found");
        let length = match args.seconds {
            Some(seconds) => Duration::from_secs_f64(seconds),
            None => share(args, &entries),
        };
        Ok(Self {
            args: args.clone(),
            programs,
            entries,
            length,
        })
    }

    /// Measures everything.
    pub(crate) fn run(self) -> Results {
        let begun = Instant::now();
        let new_row = |contestant: &Contestant| Row {
            label: contestant.label,
            samples: Vec::new(),
            failures: Vec::new(),
        };
        let new_result = |entry: &Entries| ScenarioResult {
            scenario: entry.scenario,
            rows: entry.contestants.iter().map(new_row).collect(),
        };
        let mut scenarios: Vec<_> = self.entries.iter().map(new_result).collect();
        for round in 0..self.args.rounds {
            for (entry, result) in self.entries.iter().zip(&mut scenarios) {
                // Each round another one begins: no place in the row is better.
                let count = entry.contestants.len();
                for place in 0..count {
                    let at = (place + round) % count;
                    self.take_turn(
                        round,
                        entry.scenario,
                        &entry.contestants[at],
                        &mut result.rows[at],
                    );
                }
            }
        }
        Results {
            machine: Machine::here(),
            rounds: self.args.rounds,
            length: self.length,
            idle: self.args.idle,
            elapsed: begun.elapsed(),
            versions: self.versions(),
            scenarios,
        }
    }

    fn take_turn(&self, round: usize, scenario: &Scenario, contestant: &Contestant, row: &mut Row) {
        if row.failures.len() >= FAILURES {
            row.samples.push(None);
            return;
        }
        eprintln!(
            "round {}: {}, {}",
            round + 1,
            scenario.name,
            contestant.label
        );
        let sample = self.measure(scenario, contestant);
        row.samples.push(match sample {
            Ok(sample) => Some(sample),
            Err(error) => {
                eprintln!("  failed: {error:#}");
                row.failures.push(format!("round {}: {error:#}", round + 1));
                None
            }
        });
    }

    /// One round of one program.
    fn measure(&self, scenario: &Scenario, contestant: &Contestant) -> Result<Sample> {
        let mut sample = Sample::default();
        idle::measure(
            &self.programs,
            scenario,
            contestant,
            self.args.idle,
            &mut sample,
        )
        .context("idle connections")?;
        // Targets are new each time: their ports have no connections that
        // linger from other programs.
        if scenario.entry == Entry::Datagrams {
            let target = UdpTarget::start()?;
            let program = self
                .programs
                .start(scenario, contestant, target.address())?;
            udp::datagrams(&program, program.listen, self.length, &mut sample)?;
        } else {
            let target = TcpTarget::start()?;
            let program = self
                .programs
                .start(scenario, contestant, target.address())?;
            let (listen, target) = (program.listen, target.address());
            let path = Path {
                entry: scenario.entry,
                listen,
                target,
            };
            load::streams(&program, path, self.length, &mut sample)?;
        }
        Ok(sample)
    }

    fn versions(&self) -> Vec<(&'static str, String)> {
        let mut seen = Vec::new();
        for contestant in self.entries.iter().flat_map(|entry| &entry.contestants) {
            if !seen.contains(&contestant.program) {
                seen.push(contestant.program);
            }
        }
        let version = |program| Some((name(program), self.programs.version(program)?));
        seen.into_iter().filter_map(version).collect()
    }
}

fn name(program: Program) -> &'static str {
    match program {
        Program::Ours => crate::scenario::OURS,
        Program::Peer(name) => name,
        Program::Pair(Program::Ours, near) => name(*near),
        Program::Pair(far, _) => name(*far),
    }
}

/// The length of each load for which the run keeps to its time.
fn share(args: &Args, entries: &[Entries]) -> Duration {
    let budget = if args.quick { QUICK_BUDGET } else { BUDGET };
    let (mut turns, mut loads) = (0, 0);
    for entry in entries {
        turns += entry.contestants.len();
        let each = if entry.scenario.entry == Entry::Datagrams {
            1
        } else {
            3
        };
        loads += entry.contestants.len() * each;
    }
    let round = budget.as_secs_f64() / args.rounds as f64;
    let seconds = (round - turns as f64 * OVERHEAD) / loads as f64;
    Duration::from_secs_f64(seconds.clamp(0.3, 2.0))
}

#[cfg(test)]
mod tests {
    use gost_testkit::peers;

    use super::*;
    use crate::args::{self, Command};
    use crate::metric::Metric;

    /// A run of one program in one scenario, in miniature.
    fn miniature(peer: &str, label: &str, scenario: &str) -> Option<Results> {
        let program = peers::need(peer)?;
        let line = format!(
            "--only {scenario} --programs {label} --gost {} --rounds 2 --seconds 0.1 --idle 20",
            program.display()
        );
        let Ok(Command::Run(args)) = args::parse(line.split(' ').map(str::to_owned)) else {
            panic!("{line}");
        };
        Some(Plan::new(&args).unwrap().run())
    }

    fn only_row(results: &Results) -> &Row {
        let [ScenarioResult { rows, .. }] = &results.scenarios[..] else {
            panic!("{results:?}")
        };
        let [row] = &rows[..] else {
            panic!("{results:?}")
        };
        row
    }

    #[test]
    fn a_forwarder_shows_every_figure_of_streams() {
        let Some(results) = miniature("haproxy", "haproxy", "tcp") else {
            return;
        };
        let row = only_row(&results);
        assert!(row.failures.is_empty(), "{:?}", row.failures);
        assert_eq!(row.samples.len(), 2);
        for sample in row.samples.iter().flatten() {
            for metric in [
                Metric::Gbps,
                Metric::ConnRate,
                Metric::P50,
                Metric::P99,
                Metric::Rest,
                Metric::Start,
            ] {
                assert!(
                    sample.get(metric).is_some_and(|value| value > 0.0),
                    "{sample:?}"
                );
            }
            // In so short a load even nothing is a reading of CPU time.
            assert!(sample.get(Metric::CpuPerGb).is_some(), "{sample:?}");
            assert_eq!(sample.get(Metric::DatagramRate), None);
        }
        assert!(results.versions.iter().any(|(name, _)| *name == "haproxy"));
    }

    #[test]
    fn a_forwarder_shows_every_figure_of_datagrams() {
        let Some(results) = miniature("realm", "realm", "udp") else {
            return;
        };
        let row = only_row(&results);
        assert!(row.failures.is_empty(), "{:?}", row.failures);
        for sample in row.samples.iter().flatten() {
            for metric in [Metric::DatagramRate, Metric::Rest] {
                assert!(
                    sample.get(metric).is_some_and(|value| value > 0.0),
                    "{sample:?}"
                );
            }
            assert_eq!(sample.get(Metric::Gbps), None);
        }
    }

    #[test]
    fn a_program_that_fails_is_reported_and_given_up() {
        // It ends at once and never listens.
        let Some(results) = miniature("false", "ours", "tcp") else {
            return;
        };
        let row = only_row(&results);
        assert_eq!(row.failures.len(), 2, "{:?}", row.failures);
        assert!(row.failures[0].contains("ended with"), "{:?}", row.failures);
        assert!(row.samples.iter().all(Option::is_none));
    }

    #[test]
    fn a_whole_run_keeps_to_its_time() {
        for line in ["", "--quick"] {
            let Ok(Command::Run(args)) =
                args::parse(line.split_ascii_whitespace().map(str::to_owned))
            else {
                panic!("{line}");
            };
            let entry = |scenario: &&'static Scenario| Entries {
                scenario,
                contestants: scenario.contestants().collect(),
            };
            let entries: Vec<_> = args.scenarios.iter().map(entry).collect();
            let seconds = share(&args, &entries).as_secs_f64();
            assert!((0.3..2.0).contains(&seconds), "{line}: {seconds}");
        }
    }
}
