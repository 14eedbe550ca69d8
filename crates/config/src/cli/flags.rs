//! Flags, in the conventions of Go's `flag` package.

use crate::{
    scalar::{Nanos, parse_duration},
    suggest::nearest,
};

/// The flags given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-L`: service URLs.
    pub services: Vec<String>,
    /// `-F`: node URLs; each is a hop of one chain.
    pub nodes: Vec<String>,
    /// `-C`: configuration sources.
    pub configs: Vec<String>,
    /// `-O`: print the configuration in this format.
    pub output: Option<String>,
    /// `-D`: log level debug.
    pub debug: bool,
    /// `-DD`: log level trace.
    pub trace: bool,
    /// `-V`: print the version.
    pub version: bool,
    /// `-h`: print the flags.
    pub help: bool,
    /// `-api`: address or URL of the web API.
    pub api: String,
    /// `-metrics`: address or URL of the metrics server.
    pub metrics: String,
    /// `-R`: time between reloads; 0 for none.
    pub reload: Nanos,
    /// What follows the flags: a mistake.
    pub stray: Vec<String>,
}

/// A command line that cannot be read. Print it with [`usage`] to stderr and exit with status 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FlagError(
    /// What is wrong.
    pub String,
);

const FLAGS: [(&str, &str, &str); 11] = [
    (
        "C",
        "SOURCE",
        "configuration: a file, an http(s) URL, - for stdin, or JSON; repeatable",
    ),
    ("D", "", "log level debug"),
    ("DD", "", "log level trace"),
    (
        "F",
        "URL",
        "a node of the forwarding chain; repeatable, each is a hop",
    ),
    ("L", "URL", "a service; repeatable"),
    (
        "O",
        "FORMAT",
        "print the configuration as json or yaml, and exit",
    ),
    (
        "R",
        "DURATION",
        "reload the configuration periodically, for example 30s",
    ),
    ("V", "", "print the version and exit"),
    ("api", "ADDRESS", "address of the web API"),
    ("h", "", "print this list and exit"),
    ("metrics", "ADDRESS", "address of the metrics server"),
];

/// Words that people try in place of the flags.
const WORDS: [(&str, &str); 14] = [
    ("listen", "L"),
    ("local", "L"),
    ("service", "L"),
    ("forward", "F"),
    ("proxy", "F"),
    ("chain", "F"),
    ("config", "C"),
    ("conf", "C"),
    ("output", "O"),
    ("debug", "D"),
    ("verbose", "D"),
    ("trace", "DD"),
    ("version", "V"),
    ("reload", "R"),
];

/// The list of flags.
pub fn usage() -> String {
    let flags = FLAGS.map(|(name, value, what)| {
        let head = format!("-{name} {value}");
        format!("  {:<18} {what}\n", head.trim_end())
    });
    format!(
        "Usage of gost:\n{}Several processes are started by groups of flags separated with --.\n",
        flags.concat()
    )
}

impl Flags {
    /// Reads the flags of a command line, the program's name left out.
    ///
    /// One dash or two are the same; `-x=v` and `-x v` are the same; flags end at the first
    /// argument that is none, or behind `--`.
    ///
    /// # Errors
    /// Unknown flags, values that are missing or wrong.
    ///
    /// ```
    /// let args = ["-L", ":8080", "-D"].map(String::from);
    /// let flags = gost_config::Flags::parse(&args)?;
    /// assert_eq!((flags.services[0].as_str(), flags.debug), (":8080", true));
    /// # Ok::<(), gost_config::FlagError>(())
    /// ```
    pub fn parse(args: &[String]) -> Result<Self, FlagError> {
        let mut flags = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                break;
            }
            let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
                flags.stray.push(arg.clone());
                break;
            };
            let name = name.strip_prefix('-').unwrap_or(name);
            if name.starts_with(['-', '=']) {
                return Err(FlagError(format!("bad flag syntax: {arg}")));
            }
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (name, None),
            };
            let mut text = || match value {
                Some(value) => Ok(value.to_owned()),
                None => args
                    .next()
                    .cloned()
                    .ok_or_else(|| FlagError(format!("-{name} needs a value"))),
            };
            match name {
                "L" => flags.services.push(text()?),
                "F" => flags.nodes.push(text()?),
                "C" => flags.configs.push(text()?),
                "O" => flags.output = Some(text()?).filter(|format| !format.is_empty()),
                "api" => flags.api = text()?,
                "metrics" => flags.metrics = text()?,
                "R" => {
                    let period = parse_duration(&text()?);
                    flags.reload = period.map_err(|error| FlagError(format!("-R: {error}")))?;
                }
                "D" => flags.debug = truth(name, value)?,
                "DD" => flags.trace = truth(name, value)?,
                "V" => flags.version = truth(name, value)?,
                "h" | "help" => {
                    flags.help = true;
                    return Ok(flags);
                }
                _ => return Err(FlagError(unknown(arg, name))),
            }
        }
        flags.stray.extend(args.cloned());
        Ok(flags)
    }
}

fn truth(name: &str, value: Option<&str>) -> Result<bool, FlagError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(FlagError(format!(
            "-{name} takes no value (or -{name}=true, -{name}=false)"
        ))),
    }
}

fn unknown(arg: &str, name: &str) -> String {
    let shown = arg.split('=').next().unwrap_or(arg);
    let lower = name.to_ascii_lowercase();
    let same = FLAGS.iter().map(|(flag, ..)| *flag);
    let meant = WORDS
        .iter()
        .find(|(word, _)| *word == lower)
        .map(|(_, flag)| *flag)
        .or_else(|| same.clone().find(|flag| flag.eq_ignore_ascii_case(name)))
        .or_else(|| nearest(name, same.filter(|flag| flag.len() > 2)));
    let hint = meant.map_or_else(String::new, |flag| format!("; did you mean -{flag}?"));
    format!("unknown flag {shown}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, FlagError> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Flags::parse(&args)
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let flags = parse(&["--L=:1", "-L", ":2", "-D=0", "-DD", "-R=1m", "-O", "json"]);
        let flags = flags.expect("good flags");
        assert_eq!(flags.services, [":1", ":2"]);
        assert_eq!((flags.debug, flags.trace), (false, true));
        assert_eq!(flags.reload, Nanos(60_000_000_000));
        assert_eq!(flags.output.as_deref(), Some("json"));
        let flags = parse(&["-D", "maybe", "-L", ":1"]).expect("stray words");
        assert_eq!(flags.stray, ["maybe", "-L", ":1"]);
        assert!(flags.services.is_empty());
    }

    #[test]
    fn mistakes_say_what_was_meant() {
        for (args, says) in [
            (&["-x"][..], "unknown flag -x"),
            (
                &["--listen", ":1"],
                "unknown flag --listen; did you mean -L?",
            ),
            (&["-l", ":1"], "did you mean -L?"),
            (&["-metric", ":1"], "did you mean -metrics?"),
            (&["-L"], "-L needs a value"),
            (&["-R", "5"], "-R: duration 5 lacks a unit"),
            (&["-D=maybe"], "-D takes no value"),
            (&["---L"], "bad flag syntax"),
            (&["-=x"], "bad flag syntax"),
        ] {
            let error = parse(args).expect_err(says).to_string();
            assert!(error.contains(says), "{args:?}: {error}");
        }
    }
}
