//! The signals that end the program, the one that makes it read its configuration again, and those
//! that have no effect.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signal to load the configuration again.
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Takes the signal over from the system.
    pub(crate) fn take() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one. Several that came meanwhile are one.
    pub(crate) async fn wait(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Signals that mean nothing to the program, and would end one that does not take them.
const IDLE: [SignalKind; 3] = [
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
    SignalKind::alarm(),
];

/// SIGINT and SIGTERM, and SIGQUIT for who can't wait.
pub(crate) struct Ends {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

/// How the program was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Orderly,
    /// At once.
    AtOnce,
}

impl Ends {
    /// Takes the signals over from the system, and those that are to have no effect.
    pub(crate) fn take() -> io::Result<Self> {
        for kind in IDLE {
            // Taken for as long as the process lives, whoever looks at it.
            drop(signal(kind)?);
        }
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn wait(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Orderly,
            _ = self.terminate.recv() => End::Orderly,
            _ = self.quit.recv() => End::AtOnce,
        }
    }
}
