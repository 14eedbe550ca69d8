//! From flags, files and environment to one configuration.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Api, Config, Failure, Flags, Log, Metrics, Names, Place, Problem, Profiling, Severity, Sources,
    check::check,
    cli,
    decode::{self, Decoder, Rules},
    formats::{self, FileFormat},
    source::{MAX_FETCHED, default_files},
};

/// A configuration and what there is to say about it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, and errors with which the configuration must not be started.
    pub problems: Vec<Problem>,
    /// The last file named by `-C`, which the web API saves to.
    pub file: Option<PathBuf>,
}

impl Loaded {
    /// True when nothing forbids to start it.
    pub fn is_good(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.severity < Severity::Error)
    }
}

/// Reads everything the flags name, and the environment, into one configuration.
///
/// All `-C` in order, then `-L` and `-F`; if that gives nothing to run, the default file; then the
/// environment, `-D`, `-api` and `-metrics`. Calling it again with the same flags is a reload.
///
/// # Errors
/// What cannot be read at all: every mistake found. Mistakes that leave something to print are in
/// [`Loaded::problems`].
///
/// ```
/// use gost_config::{Flags, Format, Local, Names, load};
///
/// let args = ["-L", "http://:8080"].map(String::from);
/// let flags = Flags::parse(&args)?;
/// let sources = Local(|_: &str| Err("no network here".to_owned()));
/// let loaded = load(&flags, &sources, &Names::default())?;
/// assert!(loaded.is_good());
/// assert_eq!(loaded.config.services[0].addr, ":8080");
/// println!("{}", loaded.config.print(Format::Yaml)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(flags: &Flags, sources: &dyn Sources, names: &Names) -> Result<Loaded, Failure> {
    let mut loaded = Loaded::default();
    for text in flags.configs.iter().map(|text| text.trim()) {
        if !text.is_empty() {
            let config = loaded.read(text, sources);
            loaded.config.append(config);
        }
    }
    if let Some(first) = flags.stray.first() {
        let meant = first.contains(':') && !first.starts_with('-');
        let hint = if meant { "; did you forget -L?" } else { "" };
        let shown = cli::redact(first);
        let message = format!("stray argument {shown}{hint}; it and what follows is not read");
        loaded.say(Severity::Error, message);
    }
    let worker = sources.env("_GOST_ID").filter(|id| !id.is_empty());
    let (built, problems) =
        cli::build::build(&flags.services, &flags.nodes, names, worker.as_deref());
    let is_readable = problems
        .iter()
        .all(|problem| problem.severity < Severity::Unreadable);
    loaded.problems.extend(problems);
    let has_nothing = is_readable
        && loaded.config.services.is_empty()
        && built.services.is_empty()
        && flags.api.is_empty()
        && loaded.config.api.is_none()
        && flags.configs.is_empty();
    if has_nothing {
        // The file goes first, as a -C would: what the command line has is added to it.
        let config = loaded.read_default(flags, sources);
        loaded.config.append(config);
    }
    loaded.config.append(built);
    loaded.apply_environment(sources);
    loaded.apply_flags(flags);
    loaded.problems.extend(check(&loaded.config));
    if loaded
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Unreadable)
    {
        return Err(Failure {
            problems: loaded.problems,
        });
    }
    Ok(loaded)
}

/// Reads one document, by the rules for files or for JSON from a command line or web API.
///
/// # Errors
/// Syntax errors and values that do not fit: every mistake found.
pub fn read_document(
    source: &str,
    format: FileFormat,
    bytes: &[u8],
) -> Result<(Config, Vec<Problem>), Failure> {
    let document = formats::parse(format, bytes).map_err(|error| {
        let place = match error.line {
            0 => source.to_owned(),
            line => format!("{source}:{line}"),
        };
        Problem::new(Severity::Unreadable, place, "", error.message)
    })?;
    let rules = match format {
        FileFormat::InlineJson => Rules::Strict,
        _ => Rules::Lenient,
    };
    let mut decoder = Decoder::new(source.into(), rules);
    for (line, message) in document.notes {
        decoder.warn(line, message);
    }
    let config = decode::root(document.tree, &mut decoder);
    let problems = decoder.into_problems();
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Unreadable)
    {
        return Err(Failure { problems });
    }
    Ok((config, problems))
}

impl Loaded {
    fn say(&mut self, severity: Severity, message: impl Into<String>) {
        self.problems.push(Problem::new(severity, "", "", message));
    }

    fn unreadable(&mut self, place: &str, message: impl Into<String>) {
        let problem = Problem::new(Severity::Unreadable, place, "", message);
        self.problems.push(problem);
    }

    fn document(&mut self, source: &str, format: FileFormat, bytes: &[u8]) -> Config {
        match read_document(source, format, bytes) {
            Ok((config, problems)) => {
                self.problems.extend(problems);
                config
            }
            Err(failure) => {
                self.problems.extend(failure.problems);
                Config::default()
            }
        }
    }

    /// Reads a source as `-C` names it.
    fn read(&mut self, text: &str, sources: &dyn Sources) -> Config {
        if text == "-" {
            return self.read_stdin(sources);
        }
        if text.starts_with('{') {
            return self.document("-C", FileFormat::InlineJson, text.as_bytes());
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => self.read_url(text, rest, sources),
                _ => {
                    let message = "only http and https URLs are read, and files";
                    self.unreadable(&cli::redact(text), message);
                    Config::default()
                }
            };
        }
        let path = Path::new(text);
        self.file = Some(path.to_owned());
        let bytes = sources.file(path);
        self.read_file(path, bytes)
    }

    fn read_stdin(&mut self, sources: &dyn Sources) -> Config {
        let source = "standard input";
        match sources.stdin() {
            Ok(bytes) if bytes.is_empty() => {
                self.unreadable(source, "the document is empty");
                Config::default()
            }
            Ok(bytes) => {
                let format = match bytes[0] {
                    b'{' => FileFormat::Json,
                    _ => FileFormat::Yaml,
                };
                self.document(source, format, &bytes)
            }
            Err(error) => {
                self.unreadable(source, error.to_string());
                Config::default()
            }
        }
    }

    fn read_file(&mut self, path: &Path, bytes: io::Result<Vec<u8>>) -> Config {
        let source = path.display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let result = match bytes {
            Ok(bytes) => FileFormat::of_extension(extension).map(|format| (format, bytes)),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                Err("is a directory".to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("no such file".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok((format, bytes)) => self.document(&source, format, &bytes),
            Err(message) => {
                self.unreadable(&source, message);
                Config::default()
            }
        }
    }

    fn read_url(&mut self, url: &str, rest: &str, sources: &dyn Sources) -> Config {
        // Without credentials: a place is for everyone to see.
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let shown = match authority.rsplit_once('@') {
            Some((userinfo, _)) => url.replacen(&format!("{userinfo}@"), "", 1),
            None => url.to_owned(),
        };
        let shown = cli::redact(&shown);
        match sources.fetch(url) {
            Ok(fetched) if fetched.body.len() > MAX_FETCHED => {
                let message = format!("the document is over {MAX_FETCHED} bytes");
                self.unreadable(&shown, message);
                Config::default()
            }
            Ok(fetched) => {
                let format = fetched_format(fetched.content_type.as_deref(), rest);
                self.document(&shown, format, &fetched.body)
            }
            Err(reason) => {
                self.unreadable(&shown, format!("fetch: {reason}"));
                Config::default()
            }
        }
    }

    fn read_default(&mut self, flags: &Flags, sources: &dyn Sources) -> Config {
        for path in default_files(sources) {
            match sources.file(&path) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::IsADirectory
                            | io::ErrorKind::NotADirectory
                    ) => {}
                bytes => return self.read_file(&path, bytes),
            }
        }
        let searched = "searched for gost.json, gost.toml, gost.yaml and gost.yml in /etc/gost, \
                        $HOME/.gost and the working directory";
        let why = if flags.nodes.is_empty() {
            "nothing to run: give -L or a configuration file"
        } else {
            "nothing to run: a chain (-F) without a service (-L) does nothing"
        };
        self.unreadable("", format!("{why}; {searched}"));
        Config::default()
    }

    fn apply_environment(&mut self, sources: &dyn Sources) {
        let set = |name: &str| sources.env(name).filter(|value| !value.is_empty());
        let place = |name: &str| Place::flag(&Arc::from(name), "");
        let config = &mut self.config;
        if let Some(level) = set("GOST_LOGGER_LEVEL") {
            let log = config.log.get_or_insert_with(|| Log {
                place: place("GOST_LOGGER_LEVEL"),
                ..Log::default()
            });
            log.level = level;
        }
        if let Some(addr) = set("GOST_API") {
            let api = config.api.get_or_insert_with(|| Api {
                place: place("GOST_API"),
                ..Api::default()
            });
            api.addr = addr;
        }
        if let Some(addr) = set("GOST_METRICS") {
            let metrics = config.metrics.get_or_insert_with(|| Metrics {
                place: place("GOST_METRICS"),
                ..Metrics::default()
            });
            metrics.addr = addr;
        }
        if let Some(addr) = set("GOST_PROFILING") {
            let profiling = config.profiling.get_or_insert_with(|| Profiling {
                place: place("GOST_PROFILING"),
                ..Profiling::default()
            });
            profiling.addr = addr;
        }
    }

    fn apply_flags(&mut self, flags: &Flags) {
        let level = match (flags.trace, flags.debug) {
            (true, _) => Some("trace"),
            (_, true) => Some("debug"),
            _ => None,
        };
        if let Some(level) = level {
            let log = self.config.log.get_or_insert_default();
            level.clone_into(&mut log.level);
        }
        if !flags.api.is_empty() {
            self.config.api = Some(cli::api(&flags.api, &mut self.problems));
        }
        if !flags.metrics.is_empty() {
            self.config.metrics = Some(cli::metrics(&flags.metrics, &mut self.problems));
        }
    }
}

/// The format of a fetched document: by its media type, else by the path, else YAML.
fn fetched_format(content_type: Option<&str>, rest: &str) -> FileFormat {
    let media_type = content_type.and_then(|t| t.split(';').next()).unwrap_or("");
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/json" => return FileFormat::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => {
            return FileFormat::Yaml;
        }
        _ => {}
    }
    let path = rest.split(['?', '#']).next().unwrap_or(rest);
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, extension)) if extension.eq_ignore_ascii_case("json") => FileFormat::Json,
        _ => FileFormat::Yaml,
    }
}
