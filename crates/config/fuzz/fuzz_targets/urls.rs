//! Any command line: arguments are the lines of the input.
#![no_main]

use gost_config::{Action, Format, Local, Names, load, redact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut args = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // Files of this machine and standard input are no concern of this target.
        let flag = ["-L", "-F", "-api", "-metrics"][at % 4];
        args.extend([flag.to_owned(), line.to_owned()]);
        assert!(!redact(line).contains(|c: char| c.is_control()));
    }
    let sources = Local(|_: &str| Err(String::new()));
    if let Action::Run(flags) = Action::of(&args)
        && let Ok(loaded) = load(&flags, &sources, &Names::default())
    {
        let _ = loaded.config.print(Format::Json);
        let _ = loaded.config.print(Format::Yaml);
    }
});
