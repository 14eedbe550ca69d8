//! Every channel with every protocol, between two nodes of ours and between one of ours and one
//! of the original (`gost-reference` on PATH): bytes, ends, refusals, datagrams, remote ports,
//! and chains of nodes of both kinds.
//!
//! Each combination is a test of its own, called `channel/protocol/pairing/trial`; a part of a
//! name on the command line selects, as it does for other tests. At the end stands how many ran
//! and how many did not, and why.

mod chains;
mod datagrams;
mod nodes;
mod pair;
mod streams;
mod table;
mod targets;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use gost_testkit::peers;
use libtest_mimic::{Arguments, Failed};
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{
    pair::Pair,
    table::{CHANNELS, PROTOCOLS, Pairing, Protocol, Trial},
    targets::Targets,
};

/// How long one trial may take. Each of its waits has a shorter deadline of its own.
const TRIAL: Duration = Duration::from_mins(1);

/// Trials at once: they wait for the most part.
const AT_ONCE: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut suite = Suite {
        runtime,
        targets: Arc::default(),
        reference: peers::peer("gost-reference").is_some(),
        trials: Vec::new(),
        skipped: 0,
        defects: BTreeMap::new(),
    };
    suite.add_pairs();
    suite.add_chains();
    let Suite {
        trials,
        skipped,
        defects,
        runtime,
        ..
    } = suite;
    let all = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The runtime outlives the last of the processes and servers.
    drop(runtime);
    println!(
        "interop: {all} combinations: {} ran, {} failed, {skipped} skipped{}",
        conclusion.num_passed + conclusion.num_failed,
        conclusion.num_failed,
        if skipped > 0 { ": no reference" } else { "" },
    );
    for (why, count) in defects {
        println!("interop: {count} more left out: {why}");
    }
    conclusion.exit_code()
}

struct Suite {
    runtime: Arc<Runtime>,
    targets: Arc<OnceCell<Targets>>,
    reference: bool,
    trials: Vec<libtest_mimic::Trial>,
    skipped: usize,
    defects: BTreeMap<&'static str, usize>,
}

impl Suite {
    fn add_pairs(&mut self) {
        for channel in CHANNELS {
            for pairing in Pairing::ALL {
                let pair = Arc::new(Pair::new(channel, pairing, &self.targets));
                for protocol in PROTOCOLS {
                    for trial in Trial::ALL {
                        if !trial.exists(channel, protocol) {
                            continue;
                        }
                        if let Some(why) = trial.defect(channel, protocol, pairing) {
                            *self.defects.entry(why).or_default() += 1;
                            continue;
                        }
                        let name = format!(
                            "{}/{}/{}/{}",
                            channel.name,
                            protocol.name,
                            pairing.name(),
                            trial.name()
                        );
                        let pair = pair.clone();
                        self.add(name, pairing.needs_reference(), async move {
                            run(trial, &pair, protocol).await
                        });
                    }
                }
            }
        }
    }

    fn add_chains(&mut self) {
        let nodes = Arc::new(chains::Nodes::new(&self.targets));
        for row in chains::ROWS {
            for client in chains::CLIENTS {
                let name = format!("chain/{}/{}", row.name, client.name());
                let nodes = nodes.clone();
                self.add(name, row.needs_reference(client), async move {
                    nodes.run(row, client).await
                });
            }
        }
    }

    fn add(
        &mut self,
        name: String,
        needs_reference: bool,
        trial: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let runtime = self.runtime.clone();
        let run = move || {
            // What the trial holds may end tasks, so it is dropped inside the runtime, too.
            let done = runtime.block_on(async { tokio::time::timeout(TRIAL, trial).await });
            done.context("the trial takes too long")
                .and_then(|done| done)
                .map_err(|error| Failed::from(format!("{error:#}")))
        };
        let skip = needs_reference && !self.reference;
        self.skipped += usize::from(skip);
        let trial = libtest_mimic::Trial::test(name, run).with_ignored_flag(skip);
        self.trials.push(trial);
    }
}

async fn run(trial: Trial, pair: &Pair, protocol: &Protocol) -> Result<()> {
    let (targets, nodes) = pair.get().await?;
    match trial {
        Trial::Bytes => streams::bytes(nodes, protocol).await,
        Trial::Many => streams::many(nodes, protocol).await,
        Trial::Addresses => streams::addresses(nodes, protocol).await,
        Trial::SpeaksFirst => streams::speaks_first(nodes, protocol).await,
        Trial::ClientEndsFirst => streams::client_ends_first(nodes, protocol).await,
        Trial::TargetEndsFirst => streams::target_ends_first(nodes, protocol, pair.pairing).await,
        Trial::Reset => streams::reset(nodes, protocol).await,
        Trial::Refused => streams::refused(nodes, protocol).await,
        Trial::WrongPassword => streams::wrong_password(targets, nodes, protocol).await,
        Trial::Datagrams => datagrams::forwarded(nodes, protocol, pair.pairing).await,
        Trial::Associate => datagrams::associated(targets, nodes, protocol).await,
        Trial::AssociateAlone => {
            datagrams::associated_alone(targets, nodes, protocol, pair.pairing).await
        }
        Trial::RemoteTcp => streams::remote(nodes, protocol).await,
        Trial::RemoteUdp => datagrams::remote(nodes, protocol, pair.pairing).await,
    }
}
