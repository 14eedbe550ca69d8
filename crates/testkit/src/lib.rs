//! Tools for the tests of gost: processes that always end, servers with a
//! known behaviour, impaired paths, ports, payloads and real peers.
//!
//! Nothing here is part of the product, and the product never depends on it.
//!
//! - [`ports`]: port numbers from the system that nobody else is given
//! - [`process`]: a child process with its output, its readiness and its end
//! - [`usage`]: what a process group uses: CPU time, memory, descriptors
//! - [`tcp`] and [`udp`]: servers to talk to through whatever is tested
//! - [`impair`]: relays that delay, lose, reorder, throttle and cut
//! - [`payload`]: bytes that can be made again, and their digests
//! - [`peers`]: other people's programs on PATH, and the `gost` under test
//!
//! Servers and relays run as tasks of the tokio runtime that starts them and
//! end when they are dropped.

pub mod go_peer;
pub mod impair;
pub mod payload;
pub mod peers;
pub mod ports;
pub mod process;
pub mod tcp;
pub mod udp;
pub mod usage;

/// How long a test waits for something that should take milliseconds.
///
/// Long enough for a loaded machine, short enough that a hang is noticed.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Waits for what should come soon.
///
/// # Panics
///
/// When it does not come within [`PATIENCE`].
pub async fn soon<F: Future>(work: F) -> F::Output {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.expect("it takes too long")
}
