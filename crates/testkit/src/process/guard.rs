//! Ends children whose parent was killed and could not end them itself.
//!
//! One shell per test process reads from a pipe which groups run. When the
//! pipe closes, because the parent ended in whatever way, it kills those that
//! are left. It has a group of its own, so an interrupt from the terminal does
//! not reach it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

pub(super) const SCRIPT: &str = r#"
live=
while read -r event group; do
    rest=
    for other in $live; do
        [ "$other" = "$group" ] || rest="$rest $other"
    done
    live=$rest
    [ "$event" = started ] && live="$live $group"
done
for group in $live; do
    kill -s KILL -- "-$group" 2>/dev/null
done
"#;

/// The pipe to the shell; nothing if there is no shell, and then only `Drop`
/// ends children.
static SHELL: LazyLock<Mutex<Option<ChildStdin>>> = LazyLock::new(|| {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    // The shell ends with the pipe, after this process: nobody waits for it.
    Mutex::new(
        command
            .spawn()
            .ok()
            .and_then(|mut child| child.stdin.take()),
    )
});

pub(super) fn started(group: u32) {
    tell("started", group);
}

pub(super) fn ended(group: u32) {
    tell("ended", group);
}

fn tell(event: &str, group: u32) {
    let mut shell = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pipe) = shell.as_mut() {
        // Without a shell there is nobody to tell.
        let _ = pipe.write_all(format!("{event} {group}\n").as_bytes());
    }
}
