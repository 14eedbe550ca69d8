//! The commands that a service runs when it begins and ceases to listen.

use std::{process::Stdio, time::Duration};

use gost_core::values::{FromValue, Value};
use tokio::process::Command;

use crate::options::ServiceOptions;

/// How long a command may run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands, each of which is a program and its arguments, written as for a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands(pub Vec<String>);

impl FromValue for Commands {
    const KIND: &'static str = "a list of commands";

    /// A list, or one command: its commas are its own.
    fn from_value(value: &Value) -> Option<Self> {
        let commands = match value {
            Value::List(items) => items
                .iter()
                .map(String::from_value)
                .collect::<Option<_>>()?,
            Value::Text(text) => vec![text.clone()],
            Value::Null => Vec::new(),
            _ => return None,
        };
        Some(Self(commands))
    }

    fn show(&self) -> String {
        self.0.join("; ")
    }
}

/// The commands of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    service: String,
    /// Once its sockets are open.
    pre_up: Commands,
    /// When it begins to serve.
    post_up: Commands,
    /// Before it stops.
    pre_down: Commands,
    /// When its sockets are closed.
    post_down: Commands,
}

impl Hooks {
    pub(crate) fn new(service: &str, options: &ServiceOptions) -> Self {
        Self {
            service: service.to_owned(),
            pre_up: options.pre_up.clone(),
            post_up: options.post_up.clone(),
            pre_down: options.pre_down.clone(),
            post_down: options.post_down.clone(),
        }
    }

    pub(crate) async fn pre_up(&self) {
        self.run("pre-up", &self.pre_up).await;
    }

    /// Runs in the background: the service serves already.
    pub(crate) fn post_up(&self) {
        if !self.post_up.0.is_empty() {
            let hooks = self.clone();
            tokio::spawn(async move { hooks.run("post-up", &hooks.post_up).await });
        }
    }

    pub(crate) async fn pre_down(&self) {
        self.run("pre-down", &self.pre_down).await;
    }

    pub(crate) async fn post_down(&self) {
        self.run("post-down", &self.post_down).await;
    }

    /// Runs commands one after the other. One that fails is said, and the others run all the same.
    async fn run(&self, phase: &str, commands: &Commands) {
        let commands = commands.0.iter().map(|command| command.trim());
        for command in commands.filter(|command| !command.is_empty()) {
            tracing::info!(service = self.service, "{command}");
            if let Err(reason) = run(command).await {
                tracing::warn!(service = self.service, "[{phase}] {command}: {reason}");
            }
        }
    }
}

/// Runs a program with its arguments; there is no shell. What it writes goes where ours goes.
async fn run(command: &str) -> Result<(), String> {
    let words = shlex::split(command).ok_or("a quotation that does not end")?;
    let [program, arguments @ ..] = &*words else {
        return Err("no command".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| e.to_string())?;
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("ended after {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commands_are_split_as_a_shell_does_and_what_fails_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b");
        run(&format!("touch '{}'", path.display())).await.unwrap();
        assert!(path.exists());
        for (command, reason) in [
            ("false", "exit status: 1"),
            ("nosuchprogram 1", "No such file"),
            ("echo 'a", "a quotation that does not end"),
            ("# nothing", "no command"),
        ] {
            let error = run(command).await.unwrap_err();
            assert!(error.contains(reason), "{command}: {error}");
        }
    }

    #[test]
    fn one_command_may_have_commas() {
        let one = Commands::from_value(&Value::Text("a -o b,c".into()));
        assert_eq!(one, Some(Commands(vec!["a -o b,c".into()])));
        assert_eq!(Commands::from_value(&Value::Bool(true)), None);
    }
}
