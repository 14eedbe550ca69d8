//! Network namespaces.

use std::io;

/// Opens something in a network namespace, given by name or as the path of its file.
///
/// Entering one changes the thread, so it happens on a thread of its own; a socket stays in the
/// namespace it was opened in.
pub(crate) fn in_netns<T: Send>(
    netns: Option<&str>,
    open: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(name) = netns else { return open() };
    let path = if name.starts_with('/') {
        name.into()
    } else {
        format!("/run/netns/{name}")
    };
    let enter_and_open = || {
        let named =
            |e: io::Error| io::Error::new(e.kind(), format!("network namespace {path}: {e}"));
        let file = std::fs::File::open(&path).map_err(named)?;
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
            .map_err(|e| named(e.into()))?;
        open()
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(enter_and_open);
        thread.join().unwrap_or_else(|_| {
            Err(io::Error::other(
                "the thread in the network namespace failed",
            ))
        })
    })
}
