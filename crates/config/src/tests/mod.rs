//! The recorded command lines and files of the original, as tables.

mod accepted;
mod cli;
mod config;
mod rejected;
mod speed;
mod world;

use serde_json::Value;

use self::world::{World, strings};
use crate::{Action, Flags, Format, Loaded, Names, Problem, load};

/// What one recorded case comes to: the loaded configurations (several for workers), or why none.
fn outcome(case: &Value) -> Result<Vec<Loaded>, String> {
    let mut world = World::of(case);
    let args = match case.get("argv") {
        Some(argv) => strings(argv),
        None => strings(&case["args"]),
    };
    let load = |flags: &Flags, world: &World| {
        load(flags, world, &Names::default()).map_err(|failure| failure.to_string())
    };
    match Action::of(&args) {
        Action::Run(flags) | Action::Print(flags) => Ok(vec![load(&flags, &world)?]),
        Action::Workers(groups) => {
            let mut all = Vec::new();
            for (id, group) in groups.iter().enumerate() {
                world.set("_GOST_ID", id.to_string());
                match Action::of(group) {
                    Action::Version => {}
                    Action::Refuse(error) => return Err(format!("worker {id}: {error}")),
                    Action::Run(flags) | Action::Print(flags) => all.push(load(&flags, &world)?),
                    action => panic!("{action:?}"),
                }
            }
            Ok(all)
        }
        Action::Refuse(error) => Err(error.to_string()),
        action => panic!("{action:?}"),
    }
}

/// The configuration as the program prints it in JSON.
fn printed(loaded: &Loaded) -> Value {
    let text = loaded.config.print(Format::Json).expect("finite numbers");
    serde_json::from_str(&text).expect("printed JSON is JSON")
}

fn messages(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// The rows that differ and are not listed, and the listed ones that do not differ.
fn surprises(differing: &[(String, String)], listed: &[(&str, &str)]) -> String {
    let mut report = Vec::new();
    for (name, detail) in differing {
        if !listed.iter().any(|(known, _)| known == name) {
            report.push(format!("{name} differs\n{detail}\n"));
        }
    }
    for (name, _) in listed {
        if !differing.iter().any(|(known, _)| known == name) {
            report.push(format!("{name} is listed, but does not differ\n"));
        }
    }
    report.concat()
}
