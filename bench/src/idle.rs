//! Memory at rest and per idle connection, and the time to start, all on a
//! fresh process: one that has been under load keeps memory which new
//! connections then take without its growing.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use gost_testkit::tcp::{Behaviour, Server};
use tokio::runtime::Runtime;

use crate::client::{Path, exchange};
use crate::metric::{Metric, Sample};
use crate::program::{Programs, Running};
use crate::scenario::{Contestant, Entry, Scenario};
use crate::target::UdpTarget;
use crate::udp;

/// Connections that come before the first reading, so that what a program
/// loads with its first ones is not counted with each.
const FIRST: usize = 10;
/// Memory is at rest when it changes by less than this between two looks.
const AT_REST: u64 = 16 * 1024;
const LOOK: Duration = Duration::from_millis(60);
const LONGEST: Duration = Duration::from_millis(1500);

/// Measures `count` idle connections.
pub(crate) fn measure(
    programs: &Programs,
    scenario: &Scenario,
    contestant: &Contestant,
    count: usize,
    sample: &mut Sample,
) -> Result<()> {
    if scenario.entry == Entry::Datagrams {
        let target = UdpTarget::start()?;
        let program = programs.start(scenario, contestant, target.address())?;
        return hold(&program, count, sample, || {
            let socket = udp::client(program.listen)?;
            udp::exchange(&socket)?;
            Ok(socket)
        });
    }
    // A task instead of a thread for each connection.
    let runtime = Runtime::new()?;
    let target = runtime.block_on(Server::start(Behaviour::Echo))?;
    let program = programs.start(scenario, contestant, target.address())?;
    let path = Path {
        entry: scenario.entry,
        listen: program.listen,
        target: target.address(),
    };
    hold(&program, count, sample, || {
        let mut stream = path.connect()?;
        // Some protocols reach the target only with the first data.
        exchange(&mut stream)?;
        Ok(stream)
    })
}

fn hold<C>(
    program: &Running,
    count: usize,
    sample: &mut Sample,
    connect: impl Fn() -> Result<C>,
) -> Result<()> {
    sample.set(Metric::Start, program.start.as_secs_f64() * 1e3);
    sample.set(Metric::Rest, settled(program) as f64 / f64::from(1 << 20));
    let mut held: Vec<C> = (0..FIRST).map(|_| connect()).collect::<Result<_>>()?;
    let before = settled(program);
    for number in 0..count {
        held.push(connect().with_context(|| format!("idle connection {number}"))?);
    }
    let after = settled(program);
    // A program may also shrink.
    let grown = after as f64 - before as f64;
    sample.set(Metric::Idle, grown / 1024.0 / count as f64);
    Ok(())
}

/// Memory of the program once it does not change any more.
fn settled(program: &Running) -> u64 {
    let begun = Instant::now();
    let mut last = program.memory();
    loop {
        thread::sleep(LOOK);
        let now = program.memory();
        if now.abs_diff(last) < AT_REST || begun.elapsed() > LONGEST {
            return now;
        }
        last = now;
    }
}
