//! The recorded command lines: each gives the same configuration as in the original.
#[path = "golden/world.rs"]
mod world;

use gost_config::{Action, Flags, Format, Loaded, Names, load};
use serde_json::Value;
use world::{World, cases, same, strings};

fn args_of(case: &Value) -> Vec<String> {
    match case.get("argv") {
        Some(argv) => strings(argv),
        None => strings(&case["args"]),
    }
}

fn run(flags: &Flags, world: &World) -> Result<(Value, Loaded), String> {
    let loaded = load(flags, world, &Names::default()).map_err(|failure| failure.to_string())?;
    let text = loaded
        .config
        .print(Format::Json)
        .map_err(|e| e.to_string())?;
    let value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
    Ok((value, loaded))
}

fn outcome(case: &Value) -> Result<Vec<(Value, Loaded)>, String> {
    let mut world = World::of(case);
    match Action::of(&args_of(case)) {
        Action::Run(flags) | Action::Print(flags) => Ok(vec![run(&flags, &world)?]),
        Action::Workers(groups) => {
            let mut outputs = Vec::new();
            for (id, group) in groups.iter().enumerate() {
                world.set("_GOST_ID", id.to_string());
                let flags = Flags::parse(group).map_err(|e| format!("worker {id}: {e}"))?;
                outputs.push(run(&flags, &world)?);
            }
            Ok(outputs)
        }
        Action::Refuse(error) => Err(error.to_string()),
        action => panic!("{action:?}"),
    }
}

#[test]
fn explore() {
    let mut bad = 0;
    let mut total = 0;
    for file in [
        "address",
        "components",
        "credentials",
        "flags",
        "inputs",
        "metadata",
        "nodes",
        "pairs",
        "schemes",
        "scope",
        "socket",
        "targets",
        "tls",
        "workers",
        "accepted",
    ] {
        for case in cases("cli", &format!("{file}.json")) {
            total += 1;
            let name = case["name"].as_str().unwrap().to_owned();
            let expected = case
                .get("output_v0155")
                .or(case.get("output_lenient"))
                .or(case.get("output"));
            match (outcome(&case), expected, case.get("outputs")) {
                (Ok(outs), Some(e), _) if outs.len() == 1 => {
                    if !same(&outs[0].0, e) {
                        bad += 1;
                        println!(
                            "DIFF {name} {}\n  ours   {}\n  theirs {}",
                            case["args"], outs[0].0, e
                        );
                    }
                    if file == "accepted" {
                        println!(
                            "ACC {name}: {:?}",
                            outs[0]
                                .1
                                .problems
                                .iter()
                                .map(|p| format!("{:?} {p}", p.severity))
                                .collect::<Vec<_>>()
                        );
                    }
                }
                (Ok(outs), None, Some(list)) => {
                    for e in list.as_array().unwrap() {
                        if !outs.iter().any(|o| same(&o.0, e)) {
                            bad += 1;
                            println!("DIFF {name}");
                        }
                    }
                }
                (Err(_), None, None) => {}
                (Err(e), _, _) => {
                    bad += 1;
                    println!("ERR {name} {}: {e}", case["args"]);
                }
                (Ok(o), None, None) => {
                    bad += 1;
                    println!("SHOULD FAIL {name}");
                }
                _ => {
                    bad += 1;
                    println!("?? {name}");
                }
            }
        }
    }
    println!("{bad} of {total}");
}

#[test]
fn explore_rejected() {
    for case in cases("cli", "rejected.json") {
        let name = case["name"].as_str().unwrap();
        match outcome(&case) {
            Err(e) => println!("{name}\n   {e}\n   should: {}", case["should"]),
            Ok(outs) => println!(
                "{name} OK {:?}\n   should: {}",
                outs.iter()
                    .flat_map(|o| o.1.problems.iter())
                    .map(|p| format!("{:?} {p}", p.severity))
                    .collect::<Vec<_>>(),
                case["should"]
            ),
        }
    }
}
