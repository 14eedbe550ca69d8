//! A runtime for each core.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{MissedTickBehavior, interval},
};

/// How often each runtime looks at its clock in any case. Deadlines of connections are further off,
/// so that setting one need not wake the runtime to tell it of a nearer one.
const TICK: Duration = Duration::from_secs(5);

/// The runtime of this thread.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Starts a thread with a runtime for each core beside the one that this is called in. They run
/// until the program ends.
pub(crate) fn start_others() -> io::Result<Vec<Handle>> {
    tokio::spawn(tick());
    let cores = thread::available_parallelism()?.get();
    (1..cores)
        .map(|core| {
            let runtime = runtime()?;
            let handle = runtime.handle().clone();
            thread::Builder::new()
                .name(format!("gost-{core}"))
                .spawn(move || runtime.block_on(tick()))?;
            Ok(handle)
        })
        .collect()
}

async fn tick() {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
    }
}
